package openstack

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// Name is the manifest's cloud.plugin that this CPI serves.
const Name = "openstack"

// Keys of a resource's metadata that say whose it is.
const (
	tagDeployment = "microbosh-deployment"
	tagUID        = "microbosh-uid"
	tagStep       = "microbosh-step"
)

// maxTag is how long a tag Nova takes.
const maxTag = 60

// Bus is the part of *bus.Conn that the methods need: they call the registry,
// and read stemcells that come from another host.
type Bus interface {
	caller
	Object(bucket, name string, size int64) *bus.Object
}

// Options configure a Cloud.
type Options struct {
	Bus      Bus
	Ring     *seal.Ring // the CPI's: tells clouds and settings apart, opens replies
	Keys     string     // folder with registry.xpub and registry.http
	Registry string     // file with the registry's url; trusting: the url itself, "" = there is none

	// Trusting is a Director's CPI: who names a CID owns what it names, a
	// stemcell is its image, and settings go where the properties say.
	Trusting bool
}

// Cloud is the CPI's methods.
type Cloud struct {
	registry keeper
	bus      Bus
	sessions sessions
}

// keeper keeps settings for the agents that ask for them.
type keeper interface {
	endpoint(name string, tunnel int) (string, error)
	store(ctx context.Context, name string, settings []byte, addresses []string, revision uint64) ([]byte, uint64, error)
	get(ctx context.Context, name string) ([]byte, uint64, error)
	setDisk(ctx context.Context, name, disk, path string, addresses []string) error
	delete(ctx context.Context, name string) error
}

// New makes the methods; nothing is contacted or read before one is used.
func New(o Options) *Cloud {
	var settings keeper = registry{bus: o.Bus, ring: o.Ring, keys: o.Keys, address: o.Registry}
	if o.Trusting {
		settings = httpRegistry{url: o.Registry, client: &http.Client{Timeout: answerTimeout}}
	}
	return &Cloud{
		registry: settings,
		bus:      o.Bus,
		sessions: sessions{ring: o.Ring, trusting: o.Trusting, open: map[string]*slot{}},
	}
}

// Info describes this CPI.
func Info() messages.CPIInfo {
	return messages.CPIInfo{StemcellFormats: []string{"openstack-raw", "openstack-qcow2", "openstack-light"}, APIVersion: 2}
}

// Methods are the step commands.
func (c *Cloud) Methods() map[string]cpi.Method {
	return map[string]cpi.Method{
		messages.MethodCreateStemcell: {Creates: true, Run: method(c, c.createStemcell)},
		messages.MethodDeleteStemcell: {Run: method(c, c.deleteStemcell)},
		messages.MethodCreateVM:       {Creates: true, Run: method(c, c.createVM)},
		messages.MethodDeleteVM:       {Run: method(c, c.deleteVM)},
		messages.MethodSetVMMetadata:  {Run: method(c, c.setVMMetadata)},
		messages.MethodDiscoverIP:     {Run: method(c, c.discoverIP)},
		messages.MethodCreateDisk:     {Creates: true, Run: method(c, c.createDisk)},
		messages.MethodDeleteDisk:     {Run: method(c, c.deleteDisk)},
		messages.MethodAttachDisk:     {Run: method(c, c.attachDisk)},
		messages.MethodDetachDisk:     {Run: method(c, c.detachDisk)},
		messages.MethodDeletePort:     {Run: method(c, c.deletePort)},

		messages.MethodAdopt: {Run: method(c, c.adopt)},

		messages.MethodRebootVM:        {Run: method(c, c.rebootVM)},
		messages.MethodSetDiskMetadata: {Run: method(c, c.setDiskMetadata)},
		messages.MethodResizeDisk:      {Run: method(c, c.resizeDisk)},
		messages.MethodUpdateDisk:      {Run: method(c, c.updateDisk)},
		messages.MethodSnapshotDisk:    {Creates: true, Run: method(c, c.snapshotDisk)},
		messages.MethodDeleteSnapshot:  {Run: method(c, c.deleteSnapshot)},
	}
}

// Queries are the reads.
func (c *Cloud) Queries() map[string]cpi.Query {
	return map[string]cpi.Query{
		messages.SvcHasVM:     c.hasVM,
		messages.SvcHasDisk:   query(c, messages.SvcHasDisk, c.hasDisk),
		messages.SvcGetDisks:  query(c, messages.SvcGetDisks, c.getDisks),
		messages.SvcCalculate: query(c, messages.SvcCalculate, c.calculate),
		messages.SvcFind:      query(c, messages.SvcFind, c.find),
		messages.SvcConsole:   query(c, messages.SvcConsole, c.console),
		messages.SvcPreflight: query(c, messages.SvcPreflight, c.preflight),
	}
}

// method gives a method its arguments and its session.
func method[A any](c *Cloud, run func(context.Context, *cpi.Step, *session, A) (any, error)) func(context.Context, *cpi.Step) (any, error) {
	return func(ctx context.Context, s *cpi.Step) (any, error) {
		var args A
		if err := s.Args(&args); err != nil {
			return nil, err
		}
		session, err := c.sessions.get(ctx, s.Secrets().Properties)
		if err != nil {
			return nil, err
		}
		return run(ctx, s, session, args)
	}
}

// idPattern is what an id can look like. It becomes part of an address.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$`)

// require refuses empty ids, for to a cloud an empty filter means everything,
// and what would lead elsewhere in an address.
func require(what, id string) error {
	if id == "" {
		return messages.Errorf(messages.CodeMalformed, "the command names no %s", what)
	}
	if !idPattern.MatchString(id) {
		return messages.Errorf(messages.CodeMalformed, "the command names no usable %s: %.40q", what, id)
	}
	return nil
}

// requireTags checks that a create says whose it will be, and that it is the
// step's own.
func requireTags(s *cpi.Step, t messages.Tags) error {
	if t.Step != s.ID() || t.UID == "" || t.Deployment != s.Deployment() {
		return messages.Errorf(messages.CodeMalformed, "the tags of %s are not its own", s.ID())
	}
	return nil
}

func metadata(t messages.Tags) map[string]string {
	return map[string]string{tagDeployment: t.Deployment, tagUID: t.UID, tagStep: t.Step}
}

// tags ride on the server beside the metadata, for filters. What is longer than
// Nova takes is left out.
func tags(t messages.Tags) []string {
	var out []string
	for _, tag := range []string{t.Step, t.UID, tagDeployment + "=" + t.Deployment} {
		if len(tag) <= maxTag {
			out = append(out, tag)
		}
	}
	return out
}

// owns tells whether a resource that bears a step id is its owner's. A Director
// keeps its CIDs itself and may name what another CPI made.
func (s *session) owns(bears, owner string) bool { return s.trusting || bears == owner }

// foreign says that a resource is not the one that the command means.
func foreign(what, cid, owner string) error {
	return messages.Errorf(messages.CodeCloudForeign, "%s %s does not carry the step id %s of its owner", what, cid, owner).
		WithHint("it was made by somebody else, or its tags were edited; look at it, and delete it by hand if it is yours").WithDetail("cid", cid)
}

// decode reads cloud_properties; unknown keys are other CPIs' business.
func decode(what string, raw json.RawMessage, into any) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return messages.Errorf(messages.CodeManifestInvalid, "the cloud_properties of %s cannot be read: %v", what, err)
	}
	return nil
}

// all reads every page of a listing.
func all[T any](ctx context.Context, doing string, pager pagination.Pager, extract func(pagination.Page) ([]T, error)) ([]T, error) {
	var out []T
	err := pager.EachPage(ctx, func(_ context.Context, page pagination.Page) (bool, error) {
		list, err := extract(page)
		out = append(out, list...)
		return err == nil, err
	})
	if err != nil {
		return nil, classify(doing, reads, err)
	}
	return out, nil
}

// await waits for a resource, for the cloud's state_timeout at most.
func (s *session) await(ctx context.Context, what, state string, ready func(context.Context) (bool, error)) error {
	most := seconds(s.OpenStack.StateTimeout, stateTimeout)
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	err := cpi.Await(limited, seconds(s.OpenStack.PollInterval, longestPoll), ready)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		code := messages.CodeCloudTransient
		if s.trusting {
			code = messages.CodeDeadline // who calls a CPI as a process decides whether to try again
		}
		return messages.Errorf(code, "Timed out waiting for %s to be %s", what, state).
			WithHint("it took more than %s; look at it in the cloud: a slow one needs a larger state_timeout", most)
	}
	return err
}
