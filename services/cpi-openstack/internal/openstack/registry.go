package openstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

const (
	registryRole = "registry"
	maxFile      = 4096
	putTries     = 8
)

// caller asks a micro service.
type caller interface {
	Call(ctx context.Context, subject string, request, reply any) error
}

// registry is the CPI's view of the registry service.
type registry struct {
	bus  caller
	ring *seal.Ring
	keys string

	address string // file with the url
}

// endpoint is where an instance reads its settings over HTTP, with its own
// credential inside: who reads its user data reads nobody else's settings, and
// writes none. Its files are read anew each time: the registry may have moved.
// Through a tunnel it is at that port of the instance itself.
func (r registry) endpoint(name string, tunnel int) (string, error) {
	var where struct {
		URL string `json:"url"`
	}
	about, err := readFile(r.address)
	if err != nil {
		return "", err
	}
	if json.Unmarshal(about, &where) != nil || where.URL == "" {
		return "", messages.Errorf(messages.CodeStateInvalid, "%s tells no url", r.address)
	}
	credential, err := readFile(filepath.Join(r.keys, "registry.http"))
	if err != nil {
		return "", err
	}
	_, password, ok := strings.Cut(strings.TrimSpace(string(credential)), ":")
	u, err := url.Parse(where.URL)
	if err != nil || !ok {
		return "", messages.Errorf(messages.CodeStateInvalid, "%s or registry.http cannot be read", r.address)
	}
	if tunnel != 0 {
		u = &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", tunnel)}
	}
	u.User = url.UserPassword(name, messages.InstancePassword(password, name))
	return u.String(), nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, messages.Errorf(messages.CodeNoService, "cannot find the registry: %w", err).
			WithHint("start microbosh-registry with the same --keys folder")
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// store puts settings for a VM, and records from which addresses it will ask
// for them. revision is what this process knows to be stored, 0 = nothing. Who
// stored meanwhile may be further on with the same VM: the disks recorded there
// stay. It gives what is stored now.
func (r registry) store(ctx context.Context, name string, settings []byte, addresses []string, revision uint64) ([]byte, uint64, error) {
	for range putTries {
		next, err := r.put(ctx, name, settings, addresses, revision)
		if !hasCode(err, messages.CodeConflict) {
			return settings, next, err
		}
		var have []byte
		have, revision, err = r.get(ctx, name)
		if hasCode(err, messages.CodeSettingsNotFound) {
			continue
		}
		if err == nil {
			settings, err = withDisksOf(settings, have)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, busy(name)
}

// setDisk records where a disk is attached; an empty path removes it. A VM
// without settings has nothing to change.
func (r registry) setDisk(ctx context.Context, name, disk, path string, addresses []string) error {
	for range putTries {
		have, revision, err := r.get(ctx, name)
		if hasCode(err, messages.CodeSettingsNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		next, err := withDisk(have, disk, path)
		if err != nil || bytes.Equal(have, next) {
			return err
		}
		if _, err = r.put(ctx, name, next, addresses, revision); !hasCode(err, messages.CodeConflict) {
			return err
		}
	}
	return busy(name)
}

func busy(name string) error {
	return messages.Errorf(messages.CodeCloudTransient, "the settings of %s are written by others all the time", name)
}

func (r registry) put(ctx context.Context, name string, settings []byte, addresses []string, revision uint64) (uint64, error) {
	to, err := seal.PublicKey(r.keys, registryRole)
	if err != nil {
		return 0, messages.Errorf(messages.CodeNoService, "cannot seal for the registry: %w", err).
			WithHint("start microbosh-registry with the same --keys folder")
	}
	box, err := r.ring.Seal(to, json.RawMessage(settings))
	if err != nil {
		return 0, fmt.Errorf("cannot seal the settings of %s: %w", name, err)
	}
	var reply messages.SettingsPutReply
	request := messages.SettingsPut{
		Name: name, Settings: box, Digest: r.ring.Digest(settings), Addresses: addresses, Revision: revision,
	}
	err = r.call(ctx, "store", name, messages.SvcSettingsPut, request, &reply)
	return reply.Revision, err
}

func (r registry) get(ctx context.Context, name string) ([]byte, uint64, error) {
	var reply messages.SettingsReply
	request := messages.SettingsGet{Name: name, Asker: r.ring.Public()}
	if err := r.call(ctx, "read", name, messages.SvcSettingsGet, request, &reply); err != nil {
		return nil, 0, err
	}
	var settings json.RawMessage
	if err := r.ring.Open(reply.Settings, &settings); err != nil {
		return nil, 0, fmt.Errorf("cannot open the settings of %s: %w", name, err)
	}
	return settings, reply.Revision, nil
}

func (r registry) delete(ctx context.Context, name string) error {
	return r.call(ctx, "delete", name, messages.SvcSettingsDelete, messages.SettingsDelete{Name: name}, nil)
}

// call asks the registry. A call without an answer may be made again.
func (r registry) call(ctx context.Context, verb, name, method string, request, reply any) error {
	err := r.bus.Call(ctx, messages.ServiceSubject(messages.ServiceRegistry, method), request, reply)
	if err == nil {
		return nil
	}
	var said *messages.Error
	if ctx.Err() == nil && !errors.As(err, &said) {
		return messages.Errorf(messages.CodeNoService, "cannot %s the settings of %s: %w", verb, name, err)
	}
	return fmt.Errorf("cannot %s the settings of %s: %w", verb, name, err)
}
