package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what agents give
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Bounds on what is taken from a VM.
const (
	maxLogs  = 4 << 30
	maxFiles = 100_000
)

// archive is a tar.gz that came from a VM, in a temporary file.
type archive struct {
	path string
	size int64

	sha1, sha512 string
}

// store writes what comes to a temporary file in a folder; others cannot read
// it.
func store(dir string, from io.Reader) (*archive, error) {
	f, err := os.CreateTemp(dir, ".logs-*.tgz")
	if err != nil {
		return nil, fmt.Errorf("cannot keep the logs: %w", err)
	}
	one, two := sha1.New(), sha512.New() //nolint:gosec // see above
	n, err := io.Copy(io.MultiWriter(f, one, two), io.LimitReader(from, maxLogs+1))
	if err == nil && n > maxLogs {
		err = fmt.Errorf("there are more than %d bytes", int64(maxLogs))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot keep the logs: %w", err), os.Remove(f.Name()))
	}
	return &archive{f.Name(), n, hex.EncodeToString(one.Sum(nil)), hex.EncodeToString(two.Sum(nil))}, nil
}

// verify compares with BOSH's digest: sha1, or several with their names.
func (a *archive) verify(digest string) error {
	for part := range strings.SplitSeq(digest, ";") {
		want := a.sha1
		if rest, ok := strings.CutPrefix(part, "sha512:"); ok {
			part, want = rest, a.sha512
		}
		if !strings.EqualFold(part, want) {
			_ = os.Remove(a.path) // nothing is kept that is not what it should be
			return messages.Errorf(messages.CodeAgentFailed, "the logs did not arrive as the agent sent them: their digest differs")
		}
	}
	return nil
}

// list names the files in it.
func (a *archive) list() ([]string, error) {
	f, err := os.Open(a.path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the logs: %w", err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read the logs: %w", err)
	}
	var files []string
	for tr := tar.NewReader(gz); len(files) < maxFiles; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the logs: %w", err)
		}
		if h.Typeflag == tar.TypeReg {
			files = append(files, strings.TrimPrefix(h.Name, "./"))
		}
	}
	return files, nil
}

// inbox takes one archive at an address that nobody can guess.
type inbox struct {
	url     string
	address string
	server  *http.Server

	mu  sync.Mutex
	got *archive // guarded by mu
}

// receive listens where the VM reaches this machine: at host, else at the
// address that this machine has towards it.
func receive(host, vm, dir string) (*inbox, error) {
	if host == "" {
		towards, err := net.Dial("udp", net.JoinHostPort(vm, "9")) // sends nothing
		if err != nil {
			return nil, messages.Errorf(messages.CodeUsage, "cannot tell where the VM reaches this machine: %w", err).
				WithHint("name the address with --host")
		}
		host, _, _ = net.SplitHostPort(towards.LocalAddr().String())
		_ = towards.Close()
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, messages.Errorf(messages.CodeUsage, "cannot listen for the logs: %w", err).
			WithHint("name an address of this machine with --host")
	}
	token := rand.Text()
	in := &inbox{address: listener.Addr().String()}
	in.url = "http://" + in.address + "/" + token
	in.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.URL.Path != "/"+token {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		got, err := store(dir, r.Body)
		if err != nil {
			http.Error(w, "cannot keep it", http.StatusInsufficientStorage)
			return
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		if in.got != nil {
			_ = os.Remove(in.got.path) // sent again
		}
		in.got = got
		w.WriteHeader(http.StatusCreated)
	})}
	go func() { _ = in.server.Serve(listener) }() // ends with close
	return in, nil
}

// taken gives the archive away.
func (i *inbox) taken() *archive {
	i.mu.Lock()
	defer i.mu.Unlock()
	got := i.got
	i.got = nil
	return got
}

// close ends the server; what nobody took is removed.
func (i *inbox) close() {
	_ = i.server.Close()
	if got := i.taken(); got != nil {
		_ = os.Remove(got.path)
	}
}

var blobPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,200}$`)

// download gets a blob from the VM's own store. Its certificate is the VM's own,
// made at its first boot; the digest came another way.
func download(ctx context.Context, mbus, ip, id, dir string) (*archive, error) {
	if !blobPattern.MatchString(id) {
		return nil, messages.Errorf(messages.CodeMalformed, "the agent names no usable blob")
	}
	u, err := url.Parse(mbus)
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "cloud.properties.agent.mbus is no URL")
	}
	port := u.Port()
	if port == "" {
		port = "6868"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(ip, port)+"/blobs/"+id, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the logs: %w", err)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}} //nolint:gosec // see above
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, messages.Errorf(messages.CodeAgentTimeout, "cannot fetch the logs from the VM: %w", err).
			WithHint("this machine must reach the VM at %s, port %s", ip, port)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, messages.Errorf(messages.CodeAgentFailed, "the VM does not give the logs (%s)", resp.Status).
			WithHint("they are in the blobstore that cloud.properties.agent.blobstore names, as blob %s", id)
	}
	return store(dir, resp.Body)
}
