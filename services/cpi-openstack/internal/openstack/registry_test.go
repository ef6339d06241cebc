package openstack_test

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// shelf is a registry that keeps its promises about revisions, and no more.
type shelf struct {
	ring *seal.Ring

	mu     sync.Mutex
	stored map[string]messages.SettingsPut // guarded by mu
}

func (s *shelf) endpoints() map[string]func(context.Context, []byte) (any, error) {
	return map[string]func(context.Context, []byte) (any, error){
		messages.SvcSettingsPut: func(_ context.Context, body []byte) (any, error) {
			var r messages.SettingsPut
			if err := json.Unmarshal(body, &r); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			have := s.stored[r.Name]
			if have.Revision != r.Revision {
				return nil, messages.Errorf(messages.CodeConflict, "the revision is %d", have.Revision)
			}
			r.Revision++
			s.stored[r.Name] = r
			return messages.SettingsPutReply{Revision: r.Revision}, nil
		},
		messages.SvcSettingsGet: func(_ context.Context, body []byte) (any, error) {
			var r messages.SettingsGet
			if err := json.Unmarshal(body, &r); err != nil {
				return nil, err
			}
			settings, put, err := s.read(r.Name)
			if err != nil {
				return nil, err
			}
			box, err := s.ring.Seal(r.Asker, settings)
			return messages.SettingsReply{Settings: box, Revision: put.Revision}, err
		},
		messages.SvcSettingsDelete: func(_ context.Context, body []byte) (any, error) {
			var r messages.SettingsDelete
			if err := json.Unmarshal(body, &r); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.stored, r.Name)
			return struct{}{}, nil
		},
	}
}

func (s *shelf) read(name string) (json.RawMessage, messages.SettingsPut, error) {
	s.mu.Lock()
	put, ok := s.stored[name]
	s.mu.Unlock()
	if !ok {
		return nil, put, messages.Errorf(messages.CodeSettingsNotFound, "none")
	}
	var settings json.RawMessage
	err := s.ring.Open(put.Settings, &settings)
	return settings, put, err
}
