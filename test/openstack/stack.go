package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long one part may take to answer.
const patience = 5 * time.Minute

// stack is one OpenStack: a folder and its block of ports.
type stack struct {
	Dir      string // absolute
	Password string
	Level    string // api or vm
	Block    int    // number of the block of ports, which also picks the subnets

	Keystone, Glance, Placement, Nova, Metadata, Neutron, Cinder, Rabbit, RabbitDist, Epmd int

	began time.Time
}

func up(ctx context.Context, dir, level string) error {
	if os.Getuid() != 0 {
		return errors.New("cannot bring OpenStack up: it must be root, for apt-get and the packages' own files")
	}
	s, err := open(dir)
	if err != nil {
		return err
	}
	if err := s.decideLevel(level); err != nil {
		return err
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, phase := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"installing packages", s.install}, {"writing the configuration", s.configure}, {"starting database and queue", s.backends},
		{"making the schemas", s.schemas}, {"starting the services", s.services}, {"filling the cloud", s.fill}, {"waiting for the services", s.settle},
	} {
		s.say(phase.name)
		if err := phase.do(ctx); err != nil {
			return err
		}
	}
	s.say("ready: " + filepath.Join(s.Dir, cloudFile))
	return nil
}

func (s *stack) say(what string) {
	fmt.Fprintf(os.Stderr, "openstack: %5.1fs %s\n", time.Since(s.began).Seconds(), what)
}

func (s *stack) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// open reads what the folder remembers, or makes it.
func open(dir string) (*stack, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot use the folder: %w", err)
	}
	s := &stack{Dir: dir, Password: "secret", began: time.Now()}
	for _, sub := range []string{"etc", "log", "run", "py", "keystone", "glance", "nova/instances", "neutron", "cinder/volumes", "rabbit"} {
		if err := os.MkdirAll(s.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the folder: %w", err)
		}
	}
	file := s.path("ports.json")
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &s.Block)
	} else if errors.Is(err, os.ErrNotExist) {
		if s.Block, err = freeBlock(); err == nil {
			err = os.WriteFile(file, fmt.Appendln(nil, s.Block), 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot choose ports: %w", err)
	}
	for i, port := range s.ports() {
		*port = firstPort + s.Block*blockSize + i
	}
	return s, nil
}

const (
	firstPort = 14000
	blockSize = 16
	blocks    = 100
)

func (s *stack) ports() []*int {
	return []*int{
		&s.Keystone, &s.Glance, &s.Placement, &s.Nova, &s.Metadata, &s.Neutron, &s.Cinder, &s.Rabbit, &s.RabbitDist, &s.Epmd,
	}
}

// freeBlock finds ports that nobody listens on.
func freeBlock() (int, error) {
	for block := range blocks {
		free := true
		for i := range blockSize {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+block*blockSize+i))
			if err != nil {
				free = false
				break
			}
			_ = l.Close() // nobody came
		}
		if free {
			return block, nil
		}
	}
	return 0, errors.New("no free block of ports")
}

func (s *stack) lock() (*os.File, error) {
	f, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot lock the folder: %w", err)
	}
	return f, nil
}

// URL addresses, for the configuration's templates.

// URL is a service's address on a port.
func (s *stack) URL(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// Database is the address of one database.
func (s *stack) Database(name string) string {
	return fmt.Sprintf("mysql+pymysql://root@localhost/%s?unix_socket=%s&charset=utf8", name, s.socket())
}

func (s *stack) socket() string { return s.path("run", "mysql.sock") }

// Queue is the address of the message queue.
func (s *stack) Queue() string {
	return fmt.Sprintf("rabbit://openstack:%s@127.0.0.1:%d/", s.Password, s.Rabbit)
}
