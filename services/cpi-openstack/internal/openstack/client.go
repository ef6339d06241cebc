package openstack

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	osclient "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/microbosh/microbosh/pkg/seal"
)

const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 60 * time.Second
	stateTimeout  = 300 * time.Second
	longestPoll   = 2 * time.Second // pause between two looks at a resource
	maxSessions   = 64

	// tagVersion is Nova's first API version that takes tags when a server is
	// made (Queens).
	tagVersion = "2.52"
)

// session is one user's access to one cloud.
type session struct {
	properties
	trusting                                bool
	project                                 string // id of the user's own; "" = unknown
	compute, tagged, image, network, volume *gophercloud.ServiceClient
	where                                   gophercloud.EndpointOpts

	balancing sync.Mutex
	balancer  *gophercloud.ServiceClient // guarded by balancing; opened when it is needed
}

// sessions keeps a session, and its token, per properties.
type sessions struct {
	ring     *seal.Ring
	trusting bool

	mu   sync.Mutex
	open map[string]*slot // guarded by mu; by digest
}

// slot lets the first user log in while others wait for it.
type slot struct {
	turn    chan struct{} // holds a token
	session *session
}

func (s *sessions) get(ctx context.Context, raw json.RawMessage) (*session, error) {
	digest := s.ring.Digest(raw)
	s.mu.Lock()
	entry, ok := s.open[digest]
	if !ok {
		if len(s.open) >= maxSessions {
			clear(s.open)
		}
		entry = &slot{turn: make(chan struct{}, 1)}
		entry.turn <- struct{}{}
		s.open[digest] = entry
	}
	s.mu.Unlock()
	select {
	case <-entry.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { entry.turn <- struct{}{} }()
	if entry.session == nil {
		var err error
		if entry.session, err = login(ctx, raw); err != nil {
			return nil, err
		}
		entry.session.trusting = s.trusting
	}
	return entry.session, nil
}

func login(ctx context.Context, raw json.RawMessage) (*session, error) {
	p, err := parseProperties(raw)
	if err != nil {
		return nil, err
	}
	a := p.OpenStack
	provider, err := osclient.NewClient(a.identityURL())
	if err != nil {
		return nil, missing("auth_url")
	}
	provider.UserAgent.Prepend("microbosh")
	roots, err := a.roots()
	if err != nil {
		return nil, err
	}
	dial := seconds(a.Connection.Connect, dialTimeout)
	provider.HTTPClient = http.Client{Transport: bounded{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dial, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   dial,
		TLSClientConfig:       &tls.Config{RootCAs: roots, InsecureSkipVerify: a.Connection.VerifyPeer != nil && !*a.Connection.VerifyPeer}, //nolint:gosec // asked for in the manifest
		ResponseHeaderTimeout: seconds(a.Connection.Read, answerTimeout),
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
	}}}
	if err := osclient.AuthenticateV3(ctx, provider, new(a.authOptions()), gophercloud.EndpointOpts{}); err != nil {
		return nil, classify("log in at "+a.identityURL(), reads, err)
	}
	return services(p, provider)
}

func services(p properties, provider *gophercloud.ProviderClient) (*session, error) {
	where := gophercloud.EndpointOpts{Region: p.OpenStack.Region, Availability: p.OpenStack.availability()}
	s := &session{properties: p, project: projectOf(provider), where: where}
	for _, service := range []struct {
		name string
		open func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)
		into **gophercloud.ServiceClient
	}{
		{"compute", osclient.NewComputeV2, &s.compute},
		{"image", osclient.NewImageV2, &s.image},
		{"network", osclient.NewNetworkV2, &s.network},
		{"volume", osclient.NewBlockStorageV3, &s.volume},
	} {
		client, err := service.open(provider, where)
		if err != nil {
			return nil, classify("find the "+service.name+" service", reads, err)
		}
		*service.into = client
	}
	tagged := *s.compute
	tagged.Microversion = tagVersion
	s.tagged = &tagged
	return s, nil
}

// projectOf is the project that the token is for.
func projectOf(provider *gophercloud.ProviderClient) string {
	said, ok := provider.GetAuthResult().(interface {
		ExtractProject() (*tokens.Project, error)
	})
	if !ok {
		return ""
	}
	project, err := said.ExtractProject()
	if err != nil || project == nil {
		return ""
	}
	return project.ID
}
