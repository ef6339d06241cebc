package steps

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// maxReply bounds an agent's answer over HTTPS.
const maxReply = 16 << 20

// httpsAgent speaks BOSH's mbus over HTTPS: the orchestrator calls the VM.
type httpsAgent struct {
	url      string
	user     *url.Userinfo
	director string
	client   *http.Client
	tell     func(why string) // that the VM is not reached; nil: nobody is told
}

func newHTTPS(mbus, ip, director string) (*httpsAgent, error) {
	u, err := url.Parse(mbus)
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "cloud.properties.agent.mbus is no URL")
	}
	port := u.Port()
	if port == "" {
		port = "6868"
	}
	return &httpsAgent{
		url: "https://" + net.JoinHostPort(ip, port) + "/agent", user: u.User, director: director,
		client: insecureClient(),
	}, nil
}

// insecureClient does not verify certificates: an agent and a Director make
// their own at first boot, and the original did not either.
func insecureClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 10 * time.Second,
			DialContext:         (&net.Dialer{Timeout: dialWait}).DialContext,
		},
		Timeout: taskWait + 2*patience,
	}
}

func (h *httpsAgent) close() { h.client.CloseIdleConnections() }

// send repeats the request while nobody listens there.
func (h *httpsAgent) send(ctx context.Context, request messages.AgentRequest) (messages.AgentReply, error) {
	request.ReplyTo = h.director
	body, err := json.Marshal(request)
	if err != nil {
		return messages.AgentReply{}, err
	}
	began, why, told := time.Now(), "", ""
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		reply, err := h.post(ctx, body)
		var denied *messages.Error
		if err == nil || errors.As(err, &denied) {
			return reply, err
		}
		if now := reason(err); now != "" && ctx.Err() == nil {
			why = now
		}
		if why != told && time.Since(began) > quiet && h.tell != nil {
			h.tell(why)
			told = why
		}
		if err := poll.Pause(ctx, pause); err != nil {
			return messages.AgentReply{}, unreached{err, why}
		}
	}
}

func (h *httpsAgent) post(ctx context.Context, body []byte) (messages.AgentReply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return messages.AgentReply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if h.user != nil {
		password, _ := h.user.Password()
		req.SetBasicAuth(h.user.Username(), password)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return messages.AgentReply{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return messages.AgentReply{}, messages.Errorf(messages.CodeAgentFailed, "Authentication failed").
			WithHint("the user and password of cloud.properties.agent.mbus are not the VM's")
	}
	if resp.StatusCode != http.StatusOK {
		return messages.AgentReply{}, fmt.Errorf("Agent HTTP %d", resp.StatusCode)
	}
	var reply messages.AgentReply
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&reply); err != nil {
		return messages.AgentReply{}, fmt.Errorf("cannot read the agent's reply: %w", err)
	}
	return reply, nil
}
