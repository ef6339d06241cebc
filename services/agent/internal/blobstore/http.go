package blobstore

import (
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // names a folder, as BOSH's DAV blobstore does
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// transferLimit bounds one transfer.
const transferLimit = time.Hour

// What asking again does not heal.
var (
	errNone   = errors.New("it is not in the blobstore")
	errDenied = errors.New("the blobstore refuses")
)

// dav is BOSH's own blobstore: ENDPOINT/<first two hex digits of SHA1(id)>/<id>.
type dav struct {
	endpoint       string
	user, password string
	client         *http.Client
}

func newDAV(settings messages.Blobstore) (*dav, error) {
	text := func(key string) string { s, _ := settings.Options[key].(string); return s }
	u, err := url.Parse(text("endpoint"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("cannot use the blobstore: its endpoint is no http or https URL") // the cause would show a password
	}
	d := &dav{user: text("user"), password: text("password")}
	if u.User != nil {
		d.user = u.User.Username()
		d.password, _ = u.User.Password()
		u.User = nil
	}
	d.endpoint = strings.TrimSuffix(u.String(), "/")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := authority(settings.Options); ca != "" {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("cannot use the blobstore: its tls.cert.ca is no certificate")
		}
	}
	d.client = &http.Client{Timeout: transferLimit, Transport: transport}
	return d, nil
}

// authority is options.tls.cert.ca.
func authority(options map[string]any) string {
	at, _ := options["tls"].(map[string]any)
	at, _ = at["cert"].(map[string]any)
	ca, _ := at["ca"].(string)
	return ca
}

func (d *dav) request(ctx context.Context, method, id string, body io.Reader) (*http.Response, error) {
	if !blobID.MatchString(id) {
		return nil, fmt.Errorf("%q is no blob id", id)
	}
	sum := sha1.Sum([]byte(id)) //nolint:gosec // see above
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s/%x/%s", d.endpoint, sum[:1], id), body)
	if err != nil {
		return nil, err
	}
	if d.user != "" {
		req.SetBasicAuth(d.user, d.password)
	}
	if f, ok := body.(*os.File); ok {
		if err := sized(req, f); err != nil {
			return nil, err
		}
	}
	return d.client.Do(req)
}

func (d *dav) get(ctx context.Context, id string) (io.ReadCloser, error) {
	resp, err := d.request(ctx, http.MethodGet, id, nil)
	if err == nil {
		err = status(resp)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot fetch blob %s: %w", id, err)
	}
	return resp.Body, nil
}

func (d *dav) put(ctx context.Context, id string, file *os.File) error {
	resp, err := d.request(ctx, http.MethodPut, id, file)
	if err == nil {
		err = status(resp)
	}
	if err != nil {
		return fmt.Errorf("cannot store blob %s: %w", id, err)
	}
	return resp.Body.Close()
}

// download reads a blob at its signed URL, which is told to nobody.
func (b *Blobs) download(ctx context.Context, from Source) (io.ReadCloser, error) {
	resp, err := b.exchange(ctx, http.MethodGet, from.URL, from.Headers, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch the blob at its signed URL: %w", err)
	}
	return resp.Body, nil
}

// Upload writes a file to a signed URL.
func (b *Blobs) Upload(ctx context.Context, to string, headers map[string]string, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read what is to be stored: %w", err)
	}
	defer file.Close()
	resp, err := b.exchange(ctx, http.MethodPut, to, headers, file)
	if err != nil {
		return fmt.Errorf("cannot store the blob at its signed URL: %w", err)
	}
	return resp.Body.Close()
}

func (b *Blobs) exchange(ctx context.Context, method, to string, headers map[string]string, file *os.File) (*http.Response, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%w: it is no http or https URL", errDenied)
	}
	var body io.Reader
	if file != nil {
		body = io.NopCloser(file)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, errDenied
	}
	for key, value := range headers {
		req.Header.Set(key, value)
	}
	if file != nil {
		if err := sized(req, file); err != nil {
			return nil, err
		}
	}
	resp, err := b.signed.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the URL
	}
	if err != nil {
		return nil, err
	}
	return resp, status(resp)
}

func sized(req *http.Request, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	req.Body, req.ContentLength = io.NopCloser(file), info.Size()
	if info.Size() == 0 {
		req.Body = http.NoBody
	}
	return nil
}

// status closes the body of what is no success.
func status(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return nil
	}
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotFound:
		return errNone
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %s", errDenied, resp.Status)
	}
	return errors.New(resp.Status)
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program first
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
