package devcloud

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// maxConsole is how much of a console Nova shows.
const maxConsole = 100 << 10

// serverAction is POST /servers/{id}/action: one key names the action.
func (c *Cloud) serverAction(s *server, r *http.Request) (int, any, error) {
	var req map[string]json.RawMessage
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	if len(req) != 1 {
		return 0, nil, novaError(http.StatusBadRequest, "Malformed request body")
	}
	for name, body := range req {
		switch name {
		case "os-getConsoleOutput":
			return c.console(s, body)
		case "reboot":
			return c.reboot(s, body)
		case "os-stop":
			if err := refuseUnless(s, "stop", "ACTIVE", "ERROR"); err != nil {
				return 0, nil, err
			}
			s.Task = "powering-off"
			c.operate(s, stop(true), c.settle(s, "SHUTOFF"))
		case "os-start":
			if err := refuseUnless(s, "start", "SHUTOFF"); err != nil {
				return 0, nil, err
			}
			s.Task = "powering-on"
			c.operate(s, c.boot, c.settle(s, "ACTIVE"))
		default:
			return 0, nil, novaError(http.StatusBadRequest, "There is no such action: %s", name)
		}
	}
	return http.StatusAccepted, nil, nil
}

func (c *Cloud) reboot(s *server, body json.RawMessage) (int, any, error) {
	var req struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &req); err != nil || (req.Type != "SOFT" && req.Type != "HARD") {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute type. Value: %s. '%s' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']", req.Type, req.Type)
	}
	gentle, status, task, from := true, "REBOOT", "rebooting", []string{"ACTIVE"}
	if req.Type == "HARD" {
		gentle, status, task, from = false, "HARD_REBOOT", "rebooting_hard", []string{"ACTIVE", "SHUTOFF", "ERROR"}
	}
	if err := refuseUnless(s, "reboot", from...); err != nil {
		return 0, nil, err
	}
	s.Status, s.Task = status, task
	c.operate(s, func(ctx context.Context, has Machine, g Guest) (Machine, error) {
		if _, err := stop(gentle)(ctx, has, g); err != nil {
			return has, err
		}
		return c.boot(ctx, nil, g)
	}, c.settle(s, "ACTIVE"))
	return http.StatusAccepted, nil, nil
}

// console answers with the last lines of what the server printed.
func (c *Cloud) console(s *server, body json.RawMessage) (int, any, error) {
	var req struct {
		Length any `json:"length"`
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return 0, nil, novaError(http.StatusBadRequest, "Malformed request body")
	}
	out := tail(filepath.Join(c.serverDir(s.ID), Console))
	if n, ok := natural(req.Length); ok {
		out = lastLines(out, n)
	}
	return http.StatusOK, m{"output": string(out)}, nil
}

func tail(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil // nothing was printed yet
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxConsole {
		if _, err := f.Seek(-maxConsole, io.SeekEnd); err != nil {
			return nil
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConsole))
	if err != nil {
		return nil
	}
	return bytes.ToValidUTF8(b, []byte("?"))
}

func lastLines(b []byte, n int) []byte {
	at := len(bytes.TrimSuffix(b, []byte("\n")))
	for ; n > 0 && at >= 0; n-- {
		at = bytes.LastIndexByte(b[:at], '\n')
	}
	if n > 0 || at < 0 {
		return b
	}
	return b[at+1:]
}
