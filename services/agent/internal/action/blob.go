package action

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// uploadBlob keeps a blob that came inside the request.
func uploadBlob(_ context.Context, d *Dispatcher, c call) (any, error) {
	var request struct {
		ID       string `json:"blob_id"`
		Checksum string `json:"checksum"`
		Payload  string `json:"payload"`
	}
	if err := c.arg(0, &request); err != nil {
		return nil, err
	}
	decoded := base64.NewDecoder(base64.StdEncoding, strings.NewReader(request.Payload))
	if err := d.o.Blobs.Keep(request.ID, request.Checksum, decoded); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return nil, err
		}
		return nil, fmt.Errorf("Payload corrupted. Checksum mismatch. Expected '%s': %w", clip(request.Checksum), err) //nolint:staticcheck // BOSH's text
	}
	return request.ID, nil
}
