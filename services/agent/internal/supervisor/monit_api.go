package supervisor

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// monitAPI is monit's HTTP port.
type monitAPI struct {
	url            string
	user, password string
	client         *http.Client
}

func newMonitAPI(port int, user, password string) *monitAPI {
	const limit = 10 * time.Second
	return &monitAPI{
		url: fmt.Sprintf("http://127.0.0.1:%d", port), user: user, password: password,
		client: &http.Client{
			Timeout:       limit,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{DisableKeepAlives: true},
		},
	}
}

// monitStatus is what monit says of everything.
type monitStatus struct {
	Incarnation string         `xml:"incarnation,attr"`
	Version     string         `xml:"version,attr"`
	Services    []monitService `xml:"services>service"`
	Groups      []struct {
		Name     string   `xml:"name,attr"`
		Services []string `xml:"service"`
	} `xml:"servicegroups>servicegroup"`
}

type monitService struct {
	Name    string `xml:"name,attr"`
	Type    int    `xml:"type"`
	Status  int    `xml:"status"`  // 0 is well
	Monitor int    `xml:"monitor"` // 0 no, 1 yes, 2 not looked at yet
	Pending int    `xml:"pendingaction"`
	PID     int    `xml:"pid"`
	Uptime  int64  `xml:"uptime"`
}

// vcap are the services of BOSH's group, by name.
func (s monitStatus) vcap() map[string]monitService {
	in := map[string]bool{}
	for _, g := range s.Groups {
		if g.Name == "vcap" {
			for _, name := range g.Services {
				in[name] = true
			}
		}
	}
	all := map[string]monitService{}
	for _, service := range s.Services {
		if in[service.Name] {
			all[service.Name] = service
		}
	}
	return all
}

// maxStatus bounds an answer.
const maxStatus = 8 << 20

// parseStatus reads the XML of _status2, which says that it is Latin-1 and has
// ASCII names in it.
func parseStatus(from io.Reader) (monitStatus, error) {
	var s monitStatus
	d := xml.NewDecoder(io.LimitReader(from, maxStatus))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) {
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		runes := make([]rune, len(text))
		for i, b := range text {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), nil
	}
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("cannot read monit's status: %w", err)
	}
	if s.Incarnation == "" {
		return s, errors.New("cannot read monit's status: it names no incarnation")
	}
	return s, nil
}

func (a *monitAPI) status(ctx context.Context) (monitStatus, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/_status2?format=xml", nil)
	if err != nil {
		return monitStatus{}, err
	}
	resp, err := a.do(req)
	if err != nil {
		return monitStatus{}, fmt.Errorf("cannot ask monit for its status: %w", err)
	}
	defer resp.Body.Close()
	return parseStatus(resp.Body)
}

// act tells monit what to do with a service. Today's monit wants a token that a
// foreign page would not know, older ones ignore it.
func (a *monitAPI) act(ctx context.Context, service, action string) error {
	const token = "microbosh"
	body := url.Values{"action": {action}, "securitytoken": {token}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/"+url.PathEscape(service), bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.AddCookie(&http.Cookie{Name: "securitytoken", Value: token})
	resp, err := a.do(req)
	if err != nil {
		return fmt.Errorf("cannot tell monit to %s %s: %w", action, service, err)
	}
	return resp.Body.Close()
}

func (a *monitAPI) do(req *http.Request) (*http.Response, error) {
	req.SetBasicAuth(a.user, a.password)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusFound {
		_ = resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp, nil
}
