package settings

import (
	"context"
	"encoding/json"
	"net/netip"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// service answers on the bus.
type service struct {
	store *Store
	ids   *Identities
	ring  *seal.Ring
	log   zerolog.Logger
}

func (s *service) endpoints() map[string]func(context.Context, []byte) (any, error) {
	return map[string]func(context.Context, []byte) (any, error){
		messages.SvcSettingsGet:    s.get,
		messages.SvcSettingsPut:    s.put,
		messages.SvcSettingsDelete: s.delete,
		messages.SvcIdentityCreate: s.createIdentity,
		messages.SvcIdentityRevoke: s.revokeIdentity,
	}
}

func (s *service) get(ctx context.Context, body []byte) (any, error) {
	var r messages.SettingsGet
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	in, err := s.store.Get(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	box, err := s.ring.Seal(r.Asker, json.RawMessage(in.Settings))
	if err != nil {
		return nil, err
	}
	return messages.SettingsReply{Settings: box, Revision: in.Revision}, nil
}

func (s *service) put(ctx context.Context, body []byte) (any, error) {
	var r messages.SettingsPut
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	in := Instance{Digest: r.Digest, Revision: r.Revision}
	for _, a := range r.Addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return nil, messages.Errorf(messages.CodeMalformed, "the settings of %.128q come with an address that is none", r.Name)
		}
		in.Addresses = append(in.Addresses, addr.Unmap().WithZone(""))
	}
	var document json.RawMessage
	if err := s.ring.Open(r.Settings, &document); err != nil {
		return nil, err
	}
	in.Settings = document
	rev, err := s.store.Put(ctx, r.Name, in)
	if err != nil {
		return nil, err
	}
	s.log.Info().Str("vm", r.Name).Uint64("seq", rev).Msg("settings stored")
	return messages.SettingsPutReply{Revision: rev}, nil
}

func (s *service) delete(ctx context.Context, body []byte) (any, error) {
	var r messages.SettingsDelete
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	if err := s.store.Delete(ctx, r.Name); err != nil {
		return nil, err
	}
	s.log.Info().Str("vm", r.Name).Msg("settings deleted")
	return struct{}{}, nil
}

func (s *service) createIdentity(ctx context.Context, body []byte) (any, error) {
	var r messages.IdentityCreate
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	id, err := s.ids.Create(ctx, r.AgentID, r.Lasting)
	if err != nil {
		return nil, err
	}
	box, err := s.ring.Seal(r.Asker, id)
	if err != nil {
		return nil, err
	}
	s.log.Info().Str("agent", r.AgentID).Bool("lasting", r.Lasting).Msg("identity given")
	return messages.IdentityReply{Identity: box}, nil
}

func (s *service) revokeIdentity(ctx context.Context, body []byte) (any, error) {
	var r messages.IdentityRevoke
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	if err := s.ids.Revoke(ctx, r.AgentID); err != nil {
		return nil, err
	}
	s.log.Info().Str("agent", r.AgentID).Msg("identity revoked")
	return struct{}{}, nil
}

// decode keeps the cause to itself: its text would quote the request.
func decode(body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return messages.Errorf(messages.CodeMalformed, "the request cannot be read")
	}
	return nil
}
