package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"regexp"

	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// maxRecords bounds a blob of DNS records.
const maxRecords = home.MaxFile

// records are the names of all instances.
type records struct {
	Version uint64      `json:"version"`
	Records [][2]string `json:"records"` // address, name
}

func syncDNS(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var from blobstore.Source
	var version uint64
	for i, into := range []any{&from.ID, &from.Digest, &version} {
		if err := c.arg(i, into); err != nil {
			return nil, err
		}
	}
	return d.syncDNS(ctx, from, version)
}

func syncDNSWithSignedURL(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var request struct {
		URL     string            `json:"signed_url"`
		Digest  string            `json:"multi_digest"`
		Version uint64            `json:"version"`
		Headers map[string]string `json:"blobstore_headers"`
	}
	if err := c.arg(0, &request); err != nil {
		return nil, err
	}
	return d.syncDNS(ctx, blobstore.Source{URL: request.URL, Digest: request.Digest, Headers: request.Headers}, request.Version)
}

func (d *Dispatcher) recordsFile() string { return d.o.Home.Join("instance", "dns", "records.json") }

// syncDNS writes the names when they are newer than those that are known.
func (d *Dispatcher) syncDNS(ctx context.Context, from blobstore.Source, version uint64) (any, error) {
	d.machine.Lock()
	defer d.machine.Unlock()
	const done = "synced"
	var known records
	err := home.ReadJSON(d.recordsFile(), &known)
	if err == nil && known.Version >= version {
		return done, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.o.Log.Warn().AnErr("err", err).Msg("the known DNS records cannot be read and are replaced")
	}
	file, err := d.o.Blobs.Fetch(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("getting %s from blobstore: %w", from, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxRecords+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxRecords {
		return nil, fmt.Errorf("the DNS records have more than %d bytes", maxRecords)
	}
	var fresh records
	if err := json.Unmarshal(content, &fresh); err != nil {
		return nil, fmt.Errorf("unmarshalling DNS records: %w", err)
	}
	if fresh.Version != version {
		return nil, errors.New("version from unpacked dns blob does not match version supplied by director")
	}
	lines, err := fresh.hosts()
	if err != nil {
		return nil, err
	}
	if err := d.o.Served.SetHosts(ctx, lines); err != nil {
		return nil, fmt.Errorf("saving DNS records: %w", err)
	}
	const forJobs = 0o644 // bosh-dns reads it as another user
	if err := home.WriteFile(d.recordsFile(), content, forJobs); err != nil {
		return nil, fmt.Errorf("saving local DNS state: %w", err)
	}
	return done, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_*]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?$`)

// hosts are the lines of /etc/hosts. What is no address or name could be a line
// of somebody else's.
func (r records) hosts() ([]string, error) {
	lines := make([]string, 0, len(r.Records))
	for _, record := range r.Records {
		if _, err := netip.ParseAddr(record[0]); err != nil || !hostName.MatchString(record[1]) {
			return nil, fmt.Errorf("the DNS record %q of %q is not usable", clip(record[1]), clip(record[0]))
		}
		lines = append(lines, record[0]+" "+record[1])
	}
	return lines, nil
}
