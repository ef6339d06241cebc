package watch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/watch"
)

func exists(path string) func() (bool, error) {
	return func() (bool, error) {
		_, err := os.Stat(path)
		return err == nil, nil
	}
}

func TestUntilSeesWhatComesLater(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	path := filepath.Join(t.TempDir(), "not", "yet", "there")
	looked := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- watch.Until(ctx, []string{path}, func() (bool, error) {
			looked <- struct{}{}
			return exists(path)()
		})
	}()
	<-looked
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	<-looked
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestUntilEndsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "never")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	looked := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- watch.Until(ctx, []string{path}, func() (bool, error) {
			looked <- struct{}{}
			return false, nil
		})
	}()
	<-looked
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) {
		t.Fatalf("got %v, want %v", err, cause)
	}
}
