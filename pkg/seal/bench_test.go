package seal_test

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/seal"
)

// BenchmarkDeploy is what sealing costs a deploy: the request's secrets, those of
// some fifteen step commands, settings on their way and at rest, an identity.
func BenchmarkDeploy(b *testing.B) {
	ring, err := seal.Ephemeral()
	if err != nil {
		b.Fatal(err)
	}
	secrets := map[string]string{"a": strings.Repeat("x", 2000)}
	for b.Loop() {
		for range 20 {
			box, err := ring.Seal(ring.Public(), secrets)
			if err != nil {
				b.Fatal(err)
			}
			var back map[string]string
			if err := ring.Open(box, &back); err != nil {
				b.Fatal(err)
			}
		}
	}
}
