package openstack

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// shelf is the registry with one VM's settings.
type shelf struct {
	ring     *seal.Ring
	settings json.RawMessage
	revision uint64
	lost     bool // the next put is done, and its answer lost
}

func (s *shelf) Call(_ context.Context, subject string, request, reply any) error {
	switch subject {
	case messages.ServiceSubject(messages.ServiceRegistry, messages.SvcSettingsPut):
		put := request.(messages.SettingsPut)
		if put.Revision != s.revision {
			return messages.Errorf(messages.CodeConflict, "the revision is %d", s.revision)
		}
		s.revision++
		reply.(*messages.SettingsPutReply).Revision = s.revision
		if err := s.ring.Open(put.Settings, &s.settings); err != nil {
			return err
		}
		if s.lost {
			s.lost = false
			return errors.New("timeout")
		}
		return nil
	case messages.ServiceSubject(messages.ServiceRegistry, messages.SvcSettingsGet):
		if s.revision == 0 {
			return messages.Errorf(messages.CodeSettingsNotFound, "none")
		}
		out := reply.(*messages.SettingsReply)
		out.Revision = s.revision
		var err error
		out.Settings, err = s.ring.Seal(request.(messages.SettingsGet).Asker, s.settings)
		return err
	}
	return errors.New("unknown subject " + subject)
}

func newShelf(t *testing.T) (*shelf, registry) {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	mine, err := seal.OpenRing(keys, messages.RoleCPI)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := seal.OpenRing(keys, messages.RoleRegistry)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{ring: theirs}
	return s, registry{bus: s, ring: mine, keys: keys}
}

// A CPI that was frozen while it made a VM must not undo what was recorded of
// that VM meanwhile.
func TestStoreKeepsDisks(t *testing.T) {
	t.Parallel()
	s, r := newShelf(t)
	mine := []byte(`{"agent_id":"a","disks":{"system":"/dev/sda","persistent":{}}}`)
	_, revision, err := r.store(t.Context(), "vm-1", mine, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.setDisk(t.Context(), "vm-1", "v", "/dev/sdb", nil); err != nil {
		t.Fatal(err)
	}
	stored, next, err := r.store(t.Context(), "vm-1", mine, []string{"192.0.2.1"}, revision)
	if err != nil || next != 3 {
		t.Fatalf("revision is %d: %v", next, err)
	}
	const want = `{"agent_id":"a","disks":{"persistent":{"v":"/dev/sdb"},"system":"/dev/sda"}}`
	if string(s.settings) != want || string(stored) != want {
		t.Errorf("stored is %s, said to be %s", s.settings, stored)
	}
}

// What the registry lost is stored anew; a lost answer may be asked for again.
func TestStoreAgain(t *testing.T) {
	t.Parallel()
	s, r := newShelf(t)
	if _, next, err := r.store(t.Context(), "vm-1", []byte(`{}`), nil, 7); err != nil || next != 1 {
		t.Errorf("revision is %d: %v", next, err)
	}
	s.lost = true
	if _, _, err := r.store(t.Context(), "vm-1", []byte(`{"a":1}`), nil, 1); messages.CodeOf(err) != messages.CodeNoService {
		t.Errorf("a lost answer is %v", err)
	}
	if _, _, err := r.store(t.Context(), "vm-1", []byte(`{"a":1}`), nil, 1); err != nil || string(s.settings) != `{"a":1}` {
		t.Errorf("stored is %s: %v", s.settings, err)
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", ".", "..", "../servers", "a/b", "a?all_tenants=1", "a#b", "a b", "%2e", strings.Repeat("x", 300)} {
		if err := require("VM", id); messages.CodeOf(err) != messages.CodeMalformed {
			t.Errorf("%q is taken for an id", id)
		}
	}
	for _, id := range []string{"6f70656e-7374-6163-6b21-000000000001", "vm-1", "k3v9q2m1xa-create_vm-1"} {
		if err := require("VM", id); err != nil {
			t.Error(err)
		}
	}
}
