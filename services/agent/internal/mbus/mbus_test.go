package mbus_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
)

type echo struct{}

func (echo) Dispatch(req messages.AgentRequest) func(context.Context) messages.AgentReply {
	return func(context.Context) messages.AgentReply {
		if req.Method == "fail" {
			return mbus.Exception("no")
		}
		value, _ := json.Marshal(req.Method)
		return messages.AgentReply{Value: value}
	}
}

type blobs struct {
	mu  sync.Mutex // guards all
	all map[string][]byte
}

func (b *blobs) Open(id string) (io.ReadCloser, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.all[id]
	if !ok {
		return nil, 0, errors.New("none")
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func (b *blobs) Put(id string, from io.Reader) error {
	data, err := io.ReadAll(from)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[id] = data
	return err
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	borrowed.Close()
	server, err := mbus.NewHTTPS(mbus.HTTPSOptions{
		URL: "https://vcap:b00tstrap@127.0.0.1:0", Certificate: borrowed.TLS.Certificates[0],
		Dispatcher: echo{}, Blobs: &blobs{all: map[string][]byte{}}, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, address := make(chan error, 1), make(chan net.Addr, 1)
	go func() { ended <- server.Run(ctx, func(a net.Addr) { address <- a }) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	url := "https://" + (<-address).String()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	cases := []struct {
		name, method, path, user, body string
		status                         int
		want                           string
	}{
		{"value", "POST", "/agent", "vcap:b00tstrap", `{"method":"ping","arguments":[],"reply_to":"x"}`, 200, "{\"value\":\"ping\"}\n"},
		{"exception", "POST", "/agent", "vcap:b00tstrap", `{"method":"fail","arguments":[]}`, 200, "{\"exception\":{\"message\":\"no\"}}\n"},
		{"no request", "POST", "/agent", "vcap:b00tstrap", `[]`, 400, ""},
		{"no password", "POST", "/agent", "", `{"method":"ping"}`, 401, ""},
		{"wrong password", "POST", "/agent", "vcap:wrong", `{"method":"ping"}`, 401, ""},
		{"another verb", "GET", "/agent", "vcap:b00tstrap", "", 404, ""},
		{"another path", "POST", "/other", "vcap:b00tstrap", "", 404, ""},
		{"blob without password", "PUT", "/blobs/ab/id-1", "", "x", 401, ""},
		{"put a blob", "PUT", "/blobs/ab/id-1", "vcap:b00tstrap", "content", 201, ""},
		{"get it", "GET", "/blobs/ab/id-1", "vcap:b00tstrap", "", 200, "content"},
		{"get it without a folder", "GET", "/blobs/id-1", "vcap:b00tstrap", "", 200, "content"},
		{"get another", "GET", "/blobs/id-2", "vcap:b00tstrap", "", 404, ""},
		{"delete it", "DELETE", "/blobs/id-1", "vcap:b00tstrap", "", 404, ""},
	}
	for _, c := range cases {
		req, err := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if user, password, ok := strings.Cut(c.user, ":"); ok {
			req.SetBasicAuth(user, password)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || (c.want != "" && string(body) != c.want) {
			t.Errorf("%s: got %d %q", c.name, resp.StatusCode, body)
		}
		if c.status == 401 && resp.Header.Get("WWW-Authenticate") != `Basic realm=""` {
			t.Errorf("%s: no challenge", c.name)
		}
	}
}

func TestHTTPSHidesThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://vcap:secret@host", "http://vcap:secret@host:1", "https://vcap:secret@ho st:1"} {
		_, err := mbus.NewHTTPS(mbus.HTTPSOptions{URL: url, Dispatcher: echo{}, Blobs: &blobs{}})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestEncodeFits(t *testing.T) {
	t.Parallel()
	const limit = 1000
	long := strings.Repeat("ä", 2000)
	value, _ := json.Marshal(long)
	if got := string(mbus.Encode(messages.AgentReply{Value: value}, limit)); !strings.Contains(got, "Response exceeded maximum allowed length") {
		t.Errorf("got %s", got)
	}
	cut := mbus.Encode(mbus.Exception("head"+long+"tail"), limit)
	var reply messages.AgentReply
	if err := json.Unmarshal(cut, &reply); err != nil || len(cut) > limit {
		t.Fatalf("%d bytes, %v", len(cut), err)
	}
	m := reply.Exception.Message
	if !strings.HasPrefix(m, "head") || !strings.HasSuffix(m, "tail") || !strings.Contains(m, "...[truncated]...") || !utf8.ValidString(m) {
		t.Errorf("got %q", m)
	}
	quotes := mbus.Encode(mbus.Exception(strings.Repeat("\x01", 5000)), limit)
	if len(quotes) > limit {
		t.Errorf("escaped text has %d bytes", len(quotes))
	}
	if got := mbus.Encode(messages.AgentReply{Value: value}, 0); len(got) < 2000 {
		t.Errorf("without a limit: %d bytes", len(got))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"method":"ping","arguments":[1],"reply_to":"director.a.b.c","step_id":"x"}`))
	f.Add([]byte(`{"method":"ping","arguments":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if req, err := mbus.Parse(body); err == nil && req.Method == "" {
			t.Error("a request without a method")
		}
	})
}
