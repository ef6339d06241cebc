package cli

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestInboxTakesOneArchiveAtItsAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, err := receive("127.0.0.1", "127.0.0.1", dir)
	if err != nil {
		t.Fatal(err)
	}
	put := func(method, url, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for url, method := range map[string]string{"http://" + in.address + "/": http.MethodPut, in.url + "/x": http.MethodPut, in.url: http.MethodGet} {
		if code := put(method, url, "foreign"); code != http.StatusNotFound {
			t.Errorf("%s %s is answered with %d", method, url, code)
		}
	}
	if in.taken() != nil {
		t.Error("something was taken from a stranger")
	}
	put(http.MethodPut, in.url, "first")
	put(http.MethodPut, in.url, "logs")
	got := in.taken()
	if got == nil || got.size != 4 {
		t.Fatalf("taken: %+v", got)
	}
	if err := got.verify(got.sha1 + ";sha512:" + got.sha512); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(got.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the archive: %v, %v", info, err)
	}
	if err := got.verify(got.sha1 + ";sha512:00"); err == nil {
		t.Error("a wrong digest passes")
	}
	put(http.MethodPut, in.url, "nobody's")
	in.close()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
