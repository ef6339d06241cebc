package seal

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// named says in words which of the ring's keys one is.
func (r *Ring) named(key string) string {
	if r.role == "" {
		return "the key " + short(key)
	}
	return "the " + r.role + "'s key " + short(key)
}

// notOurs says for whom something is sealed that this ring cannot open, and what
// to do.
func (r *Ring) notOurs(to string) error {
	if r.role == "" {
		return messages.Errorf(messages.CodeSealUnreadable, "it is sealed to the key %s, which is not this program's", short(to)).
			WithHint("ask again: the answer was meant for a program that has ended")
	}
	if other := r.owner(to); other != "" {
		return messages.Errorf(messages.CodeSealUnreadable, "it is sealed for the %s (key %s), and this is the %s", other, short(to), r.role).
			WithHint("whoever sealed it takes the %s for the %s: copy %s.xpub from the control plane's folder into its --keys", other, r.role, r.role)
	}
	return messages.Errorf(messages.CodeSealUnreadable, "it is sealed to the key %s, which is none of the %s's in %s", short(to), r.role, r.dir).
		WithHint("copy %s.xpub from there to where it was sealed, if that is another control plane's or an old one; put %s.<n>.xk back, if that key was removed too early", r.role, r.role)
}

// owner is the other role in whose public file a key is, "" for none.
func (r *Ring) owner(key string) string {
	if !isKey(key) {
		return ""
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return ""
	}
	for _, entry := range entries {
		role, ok := strings.CutSuffix(entry.Name(), ".xpub")
		if !ok || role == r.role {
			continue
		}
		if b, _, err := readBounded(filepath.Join(r.dir, entry.Name())); err == nil && strings.TrimSpace(string(b)) == key {
			return role
		}
	}
	return ""
}
