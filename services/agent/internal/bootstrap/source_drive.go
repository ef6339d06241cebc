package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Media reads files of a device.
type Media interface {
	Present(path string) (string, bool)
	ReadMedium(ctx context.Context, device string, files ...string) (map[string][]byte, error)
}

// DriveSource reads a config drive.
type DriveSource struct {
	Devices  []string // default: by the labels config-2 and CONFIG-2
	UserData string   // default ec2/latest/user-data
	MetaData string   // default ec2/latest/meta-data.json
	Media    Media
	Registry Registry
}

// Name says which.
func (s DriveSource) Name() string { return "config drive" }

// Fetch reads user data and keys. A machine without a drive has no other
// moment to get one than its boot.
func (s DriveSource) Fetch(ctx context.Context) (Found, error) {
	devices, user, meta := s.Devices, s.UserData, s.MetaData
	if len(devices) == 0 {
		devices = []string{"/dev/disk/by-label/config-2", "/dev/disk/by-label/CONFIG-2"}
	}
	if user == "" {
		user = "ec2/latest/user-data"
	}
	if meta == "" {
		meta = "ec2/latest/meta-data.json"
	}
	for _, device := range devices {
		path, ok := s.Media.Present(device)
		if !ok {
			continue
		}
		files, err := s.Media.ReadMedium(ctx, path, user, meta)
		if err != nil {
			return Found{}, err
		}
		if files[user] == nil {
			return Found{}, permanent{fmt.Errorf("%s has no file %s", device, user)}
		}
		found, err := fromUserData(ctx, decode(files[user]), s.Registry)
		if err != nil {
			return Found{}, err
		}
		found.Keys = append(found.Keys, driveKeys(files[meta])...)
		return found, nil
	}
	return Found{}, permanent{errors.New("there is none")}
}

// driveKeys reads the public keys of EC2's metadata; a drive without any is
// fine.
func driveKeys(data []byte) []string {
	var meta struct {
		Keys map[string]map[string]string `json:"public-keys"`
	}
	if json.Unmarshal(data, &meta) != nil {
		return nil
	}
	var keys []string
	for _, formats := range meta.Keys {
		if key := strings.TrimSpace(formats["openssh-key"]); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}
