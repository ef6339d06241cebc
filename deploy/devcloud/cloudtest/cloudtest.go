// Package cloudtest gives a test a devcloud of its own, in the test's process
// and without a hypervisor. It ends with the test.
package cloudtest

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

// patience is how long a cloud may take to end.
const patience = 30 * time.Second

// Start runs a cloud. The changes see the options first.
func Start(t testing.TB, changes ...func(*devcloud.Options)) *devcloud.Cloud {
	t.Helper()
	o := devcloud.Options{Dir: t.TempDir(), Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)}
	for _, change := range changes {
		change(&o)
	}
	cloud, err := devcloud.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cloud.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the cloud ended with: %v", err)
			}
		case <-time.After(patience):
			t.Error("the cloud did not end")
		}
	})
	return cloud
}
