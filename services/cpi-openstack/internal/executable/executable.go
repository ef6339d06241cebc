package executable

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/openstack"
)

const (
	// light marks the CID of an image that the cloud had before.
	light = " light"

	// uploadTime is long enough for an image of some GiB on a slow line, workTime
	// for whatever else while the cloud answers with errors that may pass.
	uploadTime = 4 * time.Hour
	workTime   = 15 * time.Minute

	// maxLog bounds the answer's log; its end is kept.
	maxLog = 1 << 20

	apiVersion = 2
)

// Options say where one call comes from and goes to.
type Options struct {
	Config string // cpi.json; "" = the context says everything
	In     io.Reader
	Out    io.Writer
	Log    io.Writer
	Level  zerolog.Level
}

// Run answers one call. The error is only that nobody could be answered.
func Run(ctx context.Context, o Options) error {
	var log bytes.Buffer
	logger := zerolog.New(zerolog.SyncWriter(io.MultiWriter(o.Log, &log))).Level(o.Level).With().Timestamp().Logger()
	var out answer
	call, err := read(o.In)
	if err == nil {
		out.Result, err = serve(ctx, o, logger, call)
	}
	if err != nil {
		out.Result, out.Error = nil, failure(call.Method, err)
		logger.Error().Str("op", call.Method).Str("type", out.Error.Type).Str("err", out.Error.Message).Msg("the call failed")
	}
	out.Log = strings.ToValidUTF8(string(log.Bytes()[max(0, log.Len()-maxLog):]), "?")
	text, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("cannot write the answer: %w", err)
	}
	if _, err := o.Out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("cannot write the answer: %w", err)
	}
	return nil
}

func serve(ctx context.Context, o Options, log zerolog.Logger, call request) (any, error) {
	switch call.Method {
	case messages.SvcInfo:
		return map[string]any{"stemcell_formats": openstack.Info().StemcellFormats, "api_version": apiVersion}, nil
	case "configure_networks":
		return nil, fault{notSupported, "configure_networks is not supported: networks are configured when the VM is made", false}
	case "ping":
		return "pong", nil
	case "create_network", "delete_network", "current_vm_id":
		return nil, fault{notImplemented, "'" + call.Method + "' is not implemented by the OpenStack CPI", false}
	}
	settings, err := configuration(o.Config)
	if err != nil {
		return nil, err
	}
	properties, err := settings.properties(call)
	if err != nil {
		return nil, err
	}
	ring, err := seal.Ephemeral()
	if err != nil {
		return nil, err
	}
	registry, err := settings.registry(call)
	if err != nil {
		return nil, err
	}
	cloud := openstack.New(openstack.Options{Ring: ring, Registry: registry, Trusting: true})
	w := work{call: call, log: log, cloud: cloud, secrets: messages.StepSecrets{Properties: properties}}
	return w.do(ctx)
}

// registry is the url of the registry for the VM of a call, "" when its agent
// needs none.
func (c config) registry(call request) (string, error) {
	r := c.Cloud.Properties.Registry
	if r.Endpoint == "" || (call.API >= 2 && call.stemcellAPI() >= 2) {
		return "", nil
	}
	u, err := url.Parse(r.Endpoint)
	if err != nil {
		return "", messages.Errorf(messages.CodeManifestInvalid, "registry.endpoint is no URL")
	}
	if r.User != "" {
		u.User = url.UserPassword(r.User, r.Password)
	}
	return u.String(), nil
}

// work is one call that needs the cloud.
type work struct {
	call    request
	log     zerolog.Logger
	cloud   *openstack.Cloud
	secrets messages.StepSecrets
}

func (w work) do(ctx context.Context) (any, error) {
	a := &arguments{method: w.call.Method, list: w.call.Arguments}
	uid := strings.ReplaceAll(uuid.NewString(), "-", "")
	owner := w.call.word("director_uuid")
	if _, err := messages.ParseDeployment(owner); err != nil {
		owner = director
	}
	step := messages.StepID(uid, messages.StepCall, 1)
	args := command(a, messages.Tags{Deployment: owner, UID: uid, Step: step})
	if args != nil {
		if a.err != nil {
			return nil, a.err
		}
		return w.change(ctx, owner, step, args)
	}
	if args = question(a); args == nil {
		return nil, fault{invalidCall, "Method is not known, got '" + w.call.Method + "'", false}
	}
	if a.err != nil {
		return nil, a.err
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	return w.cloud.Queries()[w.call.Method](ctx, raw, w.secrets)
}

func (w work) change(ctx context.Context, owner, step string, args any) (any, error) {
	switch given := args.(type) {
	case messages.DeleteStemcellArgs:
		if strings.HasSuffix(given.CID, light) {
			return nil, nil // the image was there before
		}
	case messages.CreateVMArgs:
		given.StemcellCID = strings.TrimSuffix(given.StemcellCID, light)
		if len(w.call.Arguments) > 5 {
			w.secrets.Env = w.call.Arguments[5]
		}
		args = given
	}
	most := workTime + w.stateTimeout()
	if w.call.Method == messages.MethodCreateStemcell {
		most = uploadTime
	}
	once := cpi.Once{
		Cloud: openstack.Name, Deployment: owner, Step: step, Args: args, Secrets: w.secrets,
		Deadline: time.Now().Add(most), Log: w.log, Methods: w.cloud.Methods(),
	}
	out, err := once.Run(ctx, w.call.Method)
	if err != nil {
		return nil, err
	}
	return w.result(out)
}

// stateTimeout is how long the properties let the cloud take for one change.
func (w work) stateTimeout() time.Duration {
	var p struct {
		OpenStack struct {
			StateTimeout int `json:"state_timeout"`
		} `json:"openstack"`
	}
	if json.Unmarshal(w.secrets.Properties, &p) != nil {
		return 0 // who reads them for the cloud says what is wrong
	}
	return time.Duration(max(0, min(p.OpenStack.StateTimeout, 24*3600))) * time.Second
}

// result gives outputs the shape that the API version wants.
func (w work) result(out json.RawMessage) (any, error) {
	var made struct {
		CID      string          `json:"cid"`
		Uploaded *bool           `json:"uploaded"`
		Networks json.RawMessage `json:"networks"`
		Hint     string          `json:"hint"`
	}
	if len(out) > 0 && json.Unmarshal(out, &made) != nil {
		return nil, errors.New("the outputs cannot be read")
	}
	switch {
	case w.call.Method == messages.MethodCreateVM && w.call.API >= 2:
		return []any{made.CID, made.Networks}, nil
	case w.call.Method == messages.MethodAttachDisk && w.call.API >= 2:
		return made.Hint, nil
	case w.call.Method == messages.MethodCreateStemcell && made.Uploaded != nil && !*made.Uploaded:
		return made.CID + light, nil
	case made.CID != "":
		return made.CID, nil
	}
	return nil, nil
}

// Main is the command line of the executable face. It exits with 0 whatever
// happens: a Director reads the answer.
func Main(ctx context.Context, config string) int {
	level, err := zerolog.ParseLevel(os.Getenv("MICROBOSH_LOG"))
	if err != nil || level == zerolog.NoLevel {
		level = zerolog.InfoLevel
	}
	if err := Run(ctx, Options{Config: config, In: os.Stdin, Out: os.Stdout, Log: os.Stderr, Level: level}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
