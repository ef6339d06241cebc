package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Registry reads settings over the HTTP API of a BOSH registry.
type Registry struct {
	Client *http.Client
}

func (r Registry) fetch(ctx context.Context, user messages.UserData) (Found, error) {
	if user.Registry.Endpoint == "" {
		return Found{}, permanent{errors.New("Cannot get Bosh registry endpoint from user data")} //nolint:staticcheck // BOSH's text
	}
	if user.Server.Name == "" {
		return Found{}, permanent{errors.New("Cannot get OpenStack server name from user data")} //nolint:staticcheck // BOSH's text
	}
	endpoint, err := url.Parse(user.Registry.Endpoint)
	if err != nil || endpoint.Host == "" || (endpoint.Scheme != "http" && endpoint.Scheme != "https") {
		// The cause would show the URL, and with it the password.
		return Found{}, permanent{errors.New("the registry endpoint of the user data is no http or https URL")}
	}
	credentials := endpoint.User
	endpoint.User = nil
	client := r.Client
	if len(user.DNS.Nameserver) > 0 {
		client = resolving(client, user.DNS.Nameserver)
	}
	address := strings.TrimSuffix(endpoint.String(), "/") + "/instances/" + url.PathEscape(user.Server.Name) + "/settings"
	body, err := get(ctx, client, address, credentials)
	if err != nil {
		var missing permanent
		if errors.As(err, &missing) {
			err = temporary{err} // settings may still be on their way
		}
		return Found{}, err
	}
	var reply struct {
		Settings *string `json:"settings"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return Found{}, fmt.Errorf("Invalid response received from Bosh registry: %w", err) //nolint:staticcheck // BOSH's text
	}
	if reply.Settings == nil {
		return Found{}, errors.New("Invalid settings received from Bosh registry: no settings in it") //nolint:staticcheck // BOSH's text
	}
	return parseSettings([]byte(*reply.Settings))
}

// resolving is client with the user data's name servers. Unlike the original,
// credentials in the endpoint do not confuse it.
func resolving(client *http.Client, servers []string) *http.Client {
	const limit = 3 * time.Second
	dialer := &net.Dialer{Timeout: limit}
	var next atomic.Uint32
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		server := servers[int(next.Add(1)-1)%len(servers)]
		return dialer.DialContext(ctx, network, net.JoinHostPort(server, "53"))
	}}
	through := &net.Dialer{Timeout: limit, Resolver: resolver}
	out := *client
	out.Transport = &http.Transport{Proxy: nil, DialContext: through.DialContext, DisableKeepAlives: true}
	return &out
}
