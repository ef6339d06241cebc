package tunnel

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// Waits of one connection. An sshd that just started may take a while for its
// host keys, which is why a failed try is only made again.
const (
	tryLimit = 15 * time.Second
	shortest = 100 * time.Millisecond
	longest  = 2 * time.Second
)

// Options say where the VM is and what its port leads to.
type Options struct {
	Address string // host:port of the VM's sshd
	User    string
	Key     string // private, PEM
	Port    int    // on the VM's loopback address
	HostKey string // as in authorized_keys; Meet needs none

	Registry func(ctx context.Context) (net.Conn, error) // a new connection to it
	Told     func(error)                                 // each failed try; nil = nobody
	Opened   func()                                      // each time that the port leads there; nil = nobody
}

// CheckKey tells in words why a private key cannot be used.
func CheckKey(pem []byte) error {
	_, err := ssh.ParsePrivateKey(pem)
	var protected *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &protected):
		return messages.Errorf(messages.CodeManifestInvalid, "the private key is protected by a passphrase, which nobody could type").
			WithHint("give a key without one: ssh-keygen -p -N '' -f FILE takes it off a copy")
	case err != nil: // the cause may quote the key
		return messages.Errorf(messages.CodeManifestInvalid, "the private key is no PEM or OpenSSH private key").
			WithHint("private_key names the private part, the file without .pub")
	}
	return nil
}

// Meet connects for the first time, logs in, and gives the host key. It tries
// until ctx ends; the error is the last try's.
func Meet(ctx context.Context, o Options) (string, error) {
	var last error
	for pause := shortest; ; pause = min(2*pause, longest) {
		var seen ssh.PublicKey
		client, err := connect(ctx, o, nil, func(_ string, _ net.Addr, key ssh.PublicKey) error {
			seen = key
			return nil
		})
		if err == nil {
			client.Close()
			return authorized(seen), nil
		}
		if ctx.Err() == nil {
			last = err
			o.tell(err)
		}
		if poll.Pause(ctx, pause) != nil {
			return "", last
		}
	}
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func (o Options) tell(err error) {
	if o.Told != nil {
		o.Told(err)
	}
}

// connect is one try. algorithms are those of host keys, by preference.
func connect(ctx context.Context, o Options, algorithms []string, check ssh.HostKeyCallback) (*ssh.Client, error) {
	signer, err := ssh.ParsePrivateKey([]byte(o.Key))
	if err != nil {
		return nil, CheckKey([]byte(o.Key))
	}
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	inner, channels, requests, err := ssh.NewClientConn(conn, o.Address, &ssh.ClientConfig{
		User: o.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check, HostKeyAlgorithms: algorithms,
	})
	if err != nil {
		conn.Close()
		stop()
		return nil, err
	}
	if !stop() {
		inner.Close()
		return nil, ctx.Err()
	}
	return ssh.NewClient(inner, channels, requests), nil
}

// preferring are all algorithms of host keys, those of key first: a server that
// has the key then presents it.
func preferring(key ssh.PublicKey) []string {
	own := []string{key.Type()}
	if key.Type() == ssh.KeyAlgoRSA {
		own = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	for _, each := range ssh.SupportedAlgorithms().HostKeys {
		if !slices.Contains(own, each) {
			own = append(own, each)
		}
	}
	return own
}
