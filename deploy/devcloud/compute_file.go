package devcloud

import (
	"encoding/base64"
	"net/http"
)

// Limits on the files that a server is created with.
const (
	maxFiles    = 5
	maxFileSize = 10 << 10
	maxFilePath = 255
)

// personality is what Nova calls such files; it knew them up to 2.56.
type personality struct {
	Path     string `json:"path"`
	Contents string `json:"contents"`
}

func wantedFiles(list []personality, minor int) ([]File, error) {
	if list == nil {
		return nil, nil
	}
	if minor >= 57 {
		return nil, novaError(http.StatusBadRequest, "Additional properties are not allowed ('personality' was unexpected)")
	}
	if len(list) > maxFiles {
		return nil, novaError(http.StatusForbidden, "Personality file limit exceeded")
	}
	var out []File
	for _, p := range list {
		data, err := base64.StdEncoding.DecodeString(p.Contents)
		switch {
		case err != nil:
			return nil, novaError(http.StatusBadRequest, "Personality content for %s cannot be decoded", p.Path)
		case len(data) > maxFileSize:
			return nil, novaError(http.StatusForbidden, "Personality file content too long")
		case p.Path == "" || len(p.Path) > maxFilePath:
			return nil, novaError(http.StatusForbidden, "Personality file path is empty or too long")
		}
		out = append(out, File{Path: p.Path, Data: data})
	}
	return out, nil
}
