package embed

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Account is where everybody is on a bus with a configuration of its own.
const Account = "BOSH"

// Config is what the configuration of one nats-server says.
type Config struct {
	Name    string   // of the server
	Host    string   // address that it listens on; "" = all
	Port    int      // for clients
	Store   string   // folder of JetStream
	Folder  string   // with server.pem, server.key and ca.pem
	Cluster string   // "" alone; else the cluster's name
	Routes  []string // host:port of every server of the cluster
	Route   int      // port for the others, when there is a cluster

	Keys   map[messages.Role][]string // public nkeys, the present one first
	Warden []string                   // the registry's in the system account
	Issuer string                     // public nkey that signs logins
}

// Encode writes it as JSON, which nats-server reads. Everybody brings a
// certificate; the roles' nkeys are here, and about all others the registry is
// asked.
func (c Config) Encode() ([]byte, error) {
	type object = map[string]any
	var users, warden []any
	user := func(key string, p messages.Permission) object {
		allowed := object{"publish": object{"allow": p.Publish}, "subscribe": object{"allow": p.Subscribe}}
		if p.Respond {
			allowed["allow_responses"] = object{"max": 1, "expires": answerWait.String()}
		}
		return object{"nkey": key, "permissions": allowed}
	}
	for _, p := range messages.Permissions() {
		for _, key := range c.Keys[p.Role] {
			users = append(users, user(key, p))
		}
	}
	for _, key := range c.Warden {
		warden = append(warden, user(key, messages.WardenPermission()))
	}
	nobody, err := nobodysKey()
	if err != nil {
		return nil, err
	}
	security := object{ // server.key holds both halves, which one rename replaces
		"cert_file": filepath.Join(c.Folder, "server.key"), "key_file": filepath.Join(c.Folder, "server.key"),
		"ca_file": filepath.Join(c.Folder, "ca.pem"), "verify": true, "timeout": tlsTimeout,
	}
	out := object{
		"server_name": c.Name, "port": c.Port, "ping_interval": "5s", "ping_max": 2, "tls": security,
		"jetstream": object{"store_dir": c.Store, "sync_interval": "always"},
		"accounts": object{
			Account: object{"jetstream": "enabled", "users": users}, "SYS": object{"users": warden}, "NOBODY": object{"users": []any{object{"nkey": nobody}}},
		},
		"system_account": "SYS",
		"authorization": object{
			"timeout": loginWait,
			// nats-server reloads everything but this. So it names neither anybody's
			// key nor an account that somebody is in: only who is in none is asked about.
			"auth_callout": object{"issuer": c.Issuer, "account": Account, "auth_users": []string{nobody}, "allowed_accounts": []string{"NOBODY"}},
		},
	}
	if c.Host != "" {
		out["host"] = c.Host
	}
	if c.Cluster != "" {
		routes := make([]string, 0, len(c.Routes))
		for _, r := range c.Routes {
			routes = append(routes, "nats-route://"+r)
		}
		cluster := object{"name": c.Cluster, "port": c.Route, "routes": routes, "tls": security}
		if c.Host != "" {
			cluster["host"] = c.Host
		}
		out["cluster"] = cluster
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("cannot encode the bus's configuration: %w", err)
	}
	return append([]byte("# Written by `microbosh init` and `microbosh rotate`, which write it again.\n"), b.Bytes()...), nil
}

// nobodysKey is a public key whose seed does not exist: the callout has to name a
// user that it leaves alone.
func nobodysKey() (string, error) {
	sum := sha256.Sum256([]byte("microbosh: nobody"))
	key, err := nkeys.Encode(nkeys.PrefixByteUser, sum[:])
	if err != nil {
		return "", fmt.Errorf("cannot encode the bus's configuration: %w", err)
	}
	return string(key), nil
}

// CheckConfig reads a configuration file as nats-server does.
func CheckConfig(path string) error {
	if _, err := server.ProcessConfigFile(path); err != nil {
		return messages.Errorf(messages.CodeStateInvalid, "nats-server cannot read %s: %w", path, err).
			WithHint("`microbosh rotate tls` writes it anew")
	}
	return nil
}
