package conformance_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

// TestMain lets this program be the keeper of a stand-in's servers.
func TestMain(m *testing.M) {
	rootless.Keep()
	os.Exit(m.Run())
}

// standIn is the hypervisor that Nova's fake driver is not: what Nova calls
// ACTIVE it boots, from Glance's image and with Nova's user data, and what is
// attached it shows.
type standIn struct {
	client *client // an operator's: user data are not for everybody
	hyper  *rootless.Hypervisor
	dir    string
	guests map[string]*guest
}

type guest struct {
	devcloud.Guest
	machine devcloud.Machine
	disks   map[string]string // volume by device
}

// standInFor runs until the test ends.
func standInFor(t *testing.T, cloud target) {
	t.Helper()
	hyper, err := rootless.New(rootless.Options{Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{client: signInto(t, cloud, cloud.Admin, cloud.Admin), hyper: hyper, dir: t.TempDir(), guests: map[string]*guest{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				s.end(t)
				return
			case <-tick.C:
			}
			if err := s.follow(ctx); err != nil && ctx.Err() == nil {
				t.Logf("the stand-in: %v", err)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

func (s *standIn) get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", s.client.token)
	req.Header.Set("X-OpenStack-Nova-API-Version", "2.3")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	if out, ok := into.(io.Writer); ok {
		_, err = io.Copy(out, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

type novaServer struct {
	ID        string
	Name      string
	Status    string
	Image     struct{ ID string }
	UserData  string `json:"OS-EXT-SRV-ATTR:user_data"`
	Metadata  map[string]string
	Addresses map[string][]struct{ Addr string }
	Volumes   []struct{ ID string } `json:"os-extended-volumes:volumes_attached"`
}

// follow looks once at Nova's servers.
func (s *standIn) follow(ctx context.Context) error {
	var now struct{ Servers []novaServer }
	if err := s.get(ctx, s.client.url("compute", "/servers/detail?all_tenants=1"), &now); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, server := range now.Servers {
		there[server.ID] = true
		if s.guests[server.ID] == nil && server.Status == "ACTIVE" && server.Metadata["microbosh-uid"] != "" {
			if err := s.boot(ctx, server); err != nil {
				return err
			}
		}
		if g := s.guests[server.ID]; g != nil {
			if err := s.plug(ctx, g); err != nil {
				return err
			}
		}
	}
	for id := range s.guests {
		if !there[id] {
			if err := s.remove(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *standIn) boot(ctx context.Context, server novaServer) error {
	data, err := base64.StdEncoding.DecodeString(server.UserData)
	if err != nil {
		return err
	}
	g := &guest{disks: map[string]string{}, Guest: devcloud.Guest{
		ID: server.ID, Name: server.Name, Dir: filepath.Join(s.dir, "servers", server.ID), UserData: data, Meta: server.Metadata,
		Image: devcloud.Image{ID: server.Image.ID, Path: filepath.Join(s.dir, "images", server.Image.ID, "data")},
	}}
	for _, list := range server.Addresses {
		for _, a := range list {
			g.Address, err = netip.ParseAddr(a.Addr)
		}
	}
	if err != nil {
		return err
	}
	if err := s.image(ctx, g.Image); err != nil {
		return err
	}
	if g.machine, err = s.hyper.Boot(ctx, g.Guest); err != nil {
		return err
	}
	s.guests[server.ID] = g
	return nil
}

// image fetches an image, once.
func (s *standIn) image(ctx context.Context, i devcloud.Image) error {
	if _, err := os.Stat(i.Path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(i.Path), 0o700); err != nil {
		return err
	}
	f, err := os.Create(i.Path + ".part")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.get(ctx, s.client.url("image", "/images/"+i.ID+"/file"), f); err != nil {
		return err
	}
	return os.Rename(f.Name(), i.Path)
}

// plug shows what Nova says is attached, and nothing else.
func (s *standIn) plug(ctx context.Context, g *guest) error {
	var now struct {
		List []struct {
			Device   string `json:"device"`
			VolumeID string `json:"volumeId"`
		} `json:"volumeAttachments"`
	}
	if err := s.get(ctx, s.client.url("compute", "/servers/"+g.ID+"/os-volume_attachments"), &now); err != nil {
		return err
	}
	attached := map[string]string{}
	for _, a := range now.List {
		attached[a.Device] = a.VolumeID
		if g.disks[a.Device] == a.VolumeID {
			continue
		}
		folder := filepath.Join(s.dir, "volumes", a.VolumeID)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		if err := g.machine.Attach(a.Device, folder); err != nil {
			return err
		}
		g.disks[a.Device] = a.VolumeID
	}
	for device := range g.disks {
		if attached[device] == "" {
			delete(g.disks, device)
			if err := g.machine.Detach(device); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *standIn) remove(id string) error {
	g := s.guests[id]
	delete(s.guests, id)
	if err := g.machine.Stop(false); err != nil {
		return err
	}
	return s.hyper.Remove(g.Guest)
}

func (s *standIn) end(t *testing.T) {
	for id := range s.guests {
		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(s.guests[id].Dir, devcloud.Console))
			t.Logf("the console of %s:\n%s", id, console[max(0, len(console)-6000):])
		}
		if err := s.remove(id); err != nil {
			t.Errorf("a server does not end: %v", err)
		}
	}
	for _, kind := range []string{"images", "volumes"} {
		if err := rootless.RemoveAll(filepath.Join(s.dir, kind)); err != nil {
			t.Error(err)
		}
	}
}
