package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
	"github.com/microbosh/microbosh/pkg/daemon"
)

type settings struct {
	listen, dir, passwordFile, subnet, hypervisor string
	latency                                       time.Duration
	noBoot, noQuota                               bool
}

func run(ctx context.Context, log zerolog.Logger, s settings) error {
	subnet, err := netip.ParsePrefix(s.subnet)
	if err != nil {
		return fmt.Errorf("cannot read --subnet: %w", err)
	}
	lock, err := claim(s.dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if s.passwordFile == "" {
		s.passwordFile = filepath.Join(s.dir, "password")
	}
	secret, err := password(s.passwordFile)
	if err != nil {
		return err
	}
	o := devcloud.Options{Listen: s.listen, Dir: s.dir, Password: secret, Latency: s.latency, Subnet: subnet, Log: log}
	if s.noQuota {
		o.Quota = devcloud.NoQuota()
	}
	var cloud *devcloud.Cloud
	if !s.noBoot {
		var end func() error
		// Nothing boots before the cloud is there.
		size := func(folder string) int64 { return cloud.VolumeSize(folder) }
		if o.Hypervisor, o.Subnet, end, err = choose(ctx, log, s.hypervisor, subnet, size); err != nil {
			return err
		}
		defer func() { _ = end() }() // its sockets end with the program anyway
	}
	if cloud, err = open(o); err != nil {
		return err
	}
	if err := cloud.WriteFiles(); err != nil {
		return err
	}
	log.Info().Str("url", cloud.URL()).Msg("serving")
	// Connections wait in the listener's queue until Run takes them.
	if err := daemon.Ready(); err != nil {
		log.Warn().Err(err).Msg("readiness not told")
	}
	return cloud.Run(ctx)
}

// claim makes the folder this process's own, and removes what an earlier cloud
// left there: the state ended with it.
func claim(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("cannot lock the folder %s, another devcloud has it: %w", dir, err)
	}
	// Only a folder that bears a devcloud's file was one's.
	if _, err := os.Stat(filepath.Join(dir, devcloud.AddressFile)); err == nil {
		err := rootless.Clear(filepath.Join(dir, "servers"))
		for _, kind := range []string{"volumes", "images", "snapshots"} {
			err = errors.Join(err, rootless.RemoveAll(filepath.Join(dir, kind)))
		}
		if err != nil {
			_ = lock.Close()
			return nil, fmt.Errorf("cannot clear the folder of an earlier devcloud: %w", err)
		}
	}
	return lock, nil
}

// open uses the port of the last start when none is asked for and it is free.
func open(o devcloud.Options) (*devcloud.Cloud, error) {
	if o.Listen != "" {
		return devcloud.New(o)
	}
	var about struct {
		URL string `json:"url"`
	}
	if b, err := os.ReadFile(filepath.Join(o.Dir, devcloud.AddressFile)); err == nil && json.Unmarshal(b, &about) == nil {
		if u, err := url.Parse(about.URL); err == nil && u.Host != "" {
			o.Listen = u.Host
			if cloud, err := devcloud.New(o); err == nil {
				return cloud, nil
			}
		}
	}
	o.Listen = "127.0.0.1:0"
	return devcloud.New(o)
}

// password reads the file, or makes it.
func password(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		if text := strings.TrimSpace(string(b)); text != "" {
			return text, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("cannot make a password: %w", err)
	}
	text := hex.EncodeToString(random)
	if err := renameio.WriteFile(path, []byte(text+"\n"), 0o600, renameio.IgnoreUmask()); err != nil {
		return "", fmt.Errorf("cannot write the password: %w", err)
	}
	return text, nil
}
