package plane_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/services/orchestrator/internal/plane"
	"github.com/microbosh/microbosh/test/killpoint"
)

const childDir, childWhat = "PLANE_TEST_DIR", "PLANE_TEST_WHAT"

func TestMain(m *testing.M) {
	killpoint.Launch()
	os.Exit(m.Run())
}

// TestChild is no test: it is the process that TestKill kills.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	if err := act(dir, os.Getenv(childWhat)); err != nil {
		t.Fatal(err)
	}
}

const makeIt = "init"

func act(dir, what string) error {
	if what == makeIt {
		_, _, err := plane.Init(dir, plane.About{Nodes: []string{"127.0.0.1"}, Registry: "http://127.0.0.1:1", Store: "/nowhere"})
		return err
	}
	p, err := plane.Open(dir)
	if err != nil {
		return err
	}
	_, err = p.Rotate(what)
	return err
}

// TestKill kills init and every rotation before each change that it makes on
// disk. What is there then still works: every certificate goes with its key and
// is accepted by all others, nobody is asked to trust what was not announced,
// and the same command again ends well with nothing lost. Most changes make a
// temporary file, so not all are taken; set each to 1 for a change of this package.
func TestKill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before []string
		each   int
	}{
		makeIt: {nil, 29}, "registry": {[]string{makeIt}, 5}, plane.Issuer: {[]string{makeIt}, 2}, plane.TLS: {[]string{makeIt}, 17},
		"ca, first step": {[]string{makeIt}, 2}, "ca, second step": {[]string{makeIt, plane.CA}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			what, _, _ := strings.Cut(name, ",")
			start := filepath.Join(t.TempDir(), "plane")
			for _, one := range c.before {
				if err := act(start, one); err != nil {
					t.Fatal(err)
				}
			}
			for n := 1; ; n += c.each {
				dir := filepath.Join(t.TempDir(), "plane")
				if err := os.CopyFS(dir, os.DirFS(start)); len(c.before) > 0 && err != nil {
					t.Fatal(err)
				}
				private(t, dir)
				said, killed := kill(t, dir, what, n)
				if len(c.before) > 0 {
					usable(t, dir, start)
				}
				if !killed {
					t.Logf("%d changes", n-1)
					return
				}
				if err := act(dir, what); err != nil && !strings.Contains(err.Error(), "still trusted") { // it was over already
					t.Fatalf("killed before %s, again: %v", said, err)
				}
				usable(t, dir, start)
				kept(t, dir, start)
				if err := act(dir, makeIt); err != nil {
					t.Fatalf("killed before %s, then init: %v", said, err)
				}
				if t.Failed() {
					t.Fatalf("after a kill before %s", said)
				}
			}
		})
	}
}

func kill(t *testing.T, dir, what string, n int) (said string, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childWhat+"="+what)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	p := killpoint.Start(t, cmd, n)
	err := cmd.Wait()
	killed, said = p.Disarm()
	if !killed && err != nil {
		t.Fatalf("%s: %v\n%s", what, err, &out)
	}
	return fmt.Sprintf("change %d, %s", n, said), killed
}

// private gives a copied tree the modes that it had.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// usable tells whether a plane works as it is, and with copies of its folders
// that are older: everybody's certificate is accepted by everybody else, by what
// they trust now and by what they did at the start.
func usable(t *testing.T, dir, start string) {
	t.Helper()
	var pairs []tls.Certificate
	var bundles []*x509.CertPool
	for _, role := range []string{"admin", "cli", "orchestrator", "cpi", "registry", "ops", "bus"} {
		name := role
		if role == "bus" {
			name = "server"
		}
		file := filepath.Join(dir, role, name+".key")
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			t.Fatalf("the certificate of %s: %v", role, err)
		}
		pairs = append(pairs, pair)
		for _, at := range []string{dir, start} {
			text, err := os.ReadFile(filepath.Join(at, role, "ca.pem"))
			if errors.Is(err, fs.ErrNotExist) && at == start {
				continue // nothing was there yet
			}
			pool := x509.NewCertPool()
			if err != nil || !pool.AppendCertsFromPEM(text) {
				t.Fatalf("what %s trusts: %v", role, err)
			}
			bundles = append(bundles, pool)
		}
	}
	for _, pair := range pairs {
		between := x509.NewCertPool()
		for _, der := range pair.Certificate[1:] {
			between.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		}
		for _, pool := range bundles {
			_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			if err != nil {
				t.Errorf("%s is not accepted: %v", pair.Leaf.Subject.CommonName, err)
			}
		}
	}
}

// kept tells whether every key of the start is still there and the bus knows it.
func kept(t *testing.T, dir, start string) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(dir, "bus", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(filepath.Dir(file))+" "+string(b)] = true
	}
	for _, pattern := range []string{"*.nk", "*.xk", "registry.http", "registry.issuer"} {
		files, err := filepath.Glob(filepath.Join(start, "*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			folder, b := filepath.Base(filepath.Dir(file)), []byte(nil)
			if b, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
			if !all[folder+" "+string(b)] && (folder != "cpi" || pattern != "registry.http") { // the CPI needs only the present one
				t.Errorf("%s of the start is lost", file)
			}
			if pattern != "*.nk" {
				continue
			}
			pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(b))))
			if err != nil {
				t.Fatal(err)
			}
			if public, err := pair.PublicKey(); err != nil || !strings.Contains(string(config), public) {
				t.Errorf("the bus does not know %s of the start: %v", file, err)
			}
		}
	}
}
