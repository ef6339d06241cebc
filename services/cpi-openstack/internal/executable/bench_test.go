package executable_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/executable"
)

// The benchmarks run devcloud and the CPI of the upload as processes of their
// own, so that memory and allocations are the CPI's alone. This program is all
// of them.
const role = "EXECUTABLE_TEST_ROLE"

var imageMiB = flag.Int64("bench.image", 2048, "MiB of the image that is uploaded")

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "devcloud":
		os.Exit(runDevcloud(os.Args[1]))
	case "cpi":
		os.Exit(executable.Main(context.Background(), os.Args[1]))
	}
	flag.Parse()
	os.Exit(m.Run())
}

func runDevcloud(dir string) int {
	cloud, err := devcloud.New(devcloud.Options{Dir: dir, Password: "bench"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }() // it ends with its parent
	fmt.Println(cloud.AuthURL())
	if err := cloud.Run(ctx); err != nil {
		return 1
	}
	return 0
}

// cloud starts a devcloud and gives its auth_url.
func cloud(b testing.TB) string {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, b.TempDir())
	cmd.Env, cmd.Stderr = append(os.Environ(), role+"=devcloud"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(line[:n]))
}

func configFile(b testing.TB, auth string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "cpi.json")
	text := fmt.Sprintf(`{"cloud":{"properties":{"openstack":{"auth_url":%q,"username":"admin","api_key":"bench","tenant":"demo"}}}}`, auth)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// call asks in this process.
func call(b testing.TB, config, method string, args ...any) any {
	b.Helper()
	var out bytes.Buffer
	err := executable.Run(b.Context(), executable.Options{Config: config, In: question(b, method, args...), Out: &out, Log: io.Discard, Level: zerolog.Disabled})
	if err != nil {
		b.Fatal(err)
	}
	return result(b, method, &out)
}

func question(b testing.TB, method string, args ...any) io.Reader {
	b.Helper()
	text, err := json.Marshal(map[string]any{"method": method, "arguments": args, "context": map[string]any{}, "api_version": 1})
	if err != nil {
		b.Fatal(err)
	}
	return bytes.NewReader(text)
}

func result(b testing.TB, method string, out io.Reader) any {
	b.Helper()
	var answer struct {
		Result any
		Error  any
	}
	if err := json.NewDecoder(out).Decode(&answer); err != nil || answer.Error != nil {
		b.Fatalf("%s: %v %v", method, answer.Error, err)
	}
	return answer.Result
}

// writeImage writes a member image of random data, and the same data raw.
func writeImage(b testing.TB, size int64) (image, raw string) {
	b.Helper()
	dir := b.TempDir()
	image, raw = filepath.Join(dir, "image"), filepath.Join(dir, "root.img")
	block := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(block) // never fails
	plain, err := os.Create(raw)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	f, err := os.Create(image)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: "root.img", Mode: 0o600, Size: size}); err != nil {
		b.Fatal(err)
	}
	both := io.MultiWriter(tw, plain)
	for range size >> 20 {
		if _, err := both.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []io.Closer{tw, gz} {
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return image, raw
}

// BenchmarkLife is create_vm, create_disk, attach, detach and both deletes on a
// devcloud without latency, each as a call of its own with its own login.
func BenchmarkLife(b *testing.B) {
	config := configFile(b, cloud(b))
	image, _ := writeImage(b, 1<<20)
	stemcell := call(b, config, "create_stemcell", image, map[string]any{})
	networks := map[string]any{"n": map[string]any{"type": "dynamic"}}
	before := requests(b, config)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		vm := call(b, config, "create_vm", "a", stemcell, map[string]any{"instance_type": "m1.small"}, networks, []any{}, map[string]any{})
		disk := call(b, config, "create_disk", 1024, map[string]any{}, vm)
		call(b, config, "attach_disk", vm, disk)
		call(b, config, "detach_disk", vm, disk)
		call(b, config, "delete_vm", vm)
		call(b, config, "delete_disk", disk)
	}
	b.StopTimer()
	b.ReportMetric(float64(requests(b, config)-before)/float64(b.N), "requests/op")
}

// requests is how many requests devcloud has had.
func requests(b testing.TB, config string) int {
	b.Helper()
	resp, err := http.Get(strings.TrimSuffix(authOf(b, config), "/identity/v3") + "/devcloud/calls")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var calls []any
	if err := json.NewDecoder(resp.Body).Decode(&calls); err != nil {
		b.Fatal(err)
	}
	return len(calls)
}

func authOf(b testing.TB, config string) string {
	b.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"auth_url":"`)
	auth, _, _ := strings.Cut(rest, `"`)
	return auth
}

// BenchmarkUpload compares create_stemcell with a bare PUT of the same bytes to
// the same cloud, and tells the CPI's peak memory.
func BenchmarkUpload(b *testing.B) {
	auth := cloud(b)
	config := configFile(b, auth)
	image, raw := writeImage(b, *imageMiB<<20)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	timed := func() time.Duration {
		began := time.Now()
		bare(b, auth, raw)
		return time.Since(began)
	}
	for b.Loop() {
		put := timed() // once before and once after: who comes second finds the disk busy
		began := time.Now()
		cmd := exec.Command(self, config)
		cmd.Env, cmd.Stdin, cmd.Stderr = append(os.Environ(), role+"=cpi", "MICROBOSH_LOG=error"), question(b, "create_stemcell", image, map[string]any{}), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		cid := result(b, "create_stemcell", bytes.NewReader(out))
		ours := time.Since(began)
		put = (put + timed()) / 2
		b.ReportMetric(put.Seconds()/ours.Seconds(), "of-a-bare-PUT")
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			b.ReportMetric(float64(usage.Maxrss)/1024, "peak-MiB")
		}
		call(b, config, "delete_stemcell", cid)
	}
}

// bare makes an image and puts a file into it, with nothing between.
func bare(b testing.TB, auth, raw string) {
	b.Helper()
	do := func(method, url, token, kind string, body io.Reader) *http.Response {
		req, err := http.NewRequest(method, url, body)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		req.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode >= 300 {
			b.Fatalf("%s %s: %v %v", method, url, resp, err)
		}
		return resp
	}
	login := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","password":"bench","domain":{"name":"Default"}}}},"scope":{"project":{"name":"demo","domain":{"name":"Default"}}}}}`
	resp := do(http.MethodPost, auth+"/auth/tokens", "", "application/json", strings.NewReader(login))
	resp.Body.Close()
	token, base := resp.Header.Get("X-Subject-Token"), strings.TrimSuffix(auth, "/identity/v3")+"/image/v2/images"
	resp = do(http.MethodPost, base, token, "application/json", strings.NewReader(`{"name":"bare","disk_format":"raw","container_format":"bare"}`))
	defer resp.Body.Close()
	var made struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(raw)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	do(http.MethodPut, base+"/"+made.ID+"/file", token, "application/octet-stream", f).Body.Close()
	do(http.MethodDelete, base+"/"+made.ID, token, "", nil).Body.Close()
}
