package settings_test

import (
	"net"
	"sync"
)

// cutDialer tells when the first connection that it made has ended.
type cutDialer struct {
	once sync.Once
	lost chan struct{}
}

func (d *cutDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &watched{Conn: c, dialer: d}, nil
}

type watched struct {
	net.Conn
	dialer *cutDialer
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.dialer.once.Do(func() { close(w.dialer.lost) })
	}
	return n, err
}

// Close is what TLS ends in when the server says goodbye.
func (w *watched) Close() error {
	w.dialer.once.Do(func() { close(w.dialer.lost) })
	return w.Conn.Close()
}
