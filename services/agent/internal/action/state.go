package action

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/microbosh/microbosh/pkg/messages"
)

// getState is the applied spec and how the job is.
func getState(_ context.Context, d *Dispatcher, c call) (any, error) {
	s, err := d.current()
	if err != nil {
		return nil, err
	}
	state := map[string]any{"deployment": "", "networks": struct{}{}, "packages": struct{}{}, "resource_pool": struct{}{}}
	for key, value := range s.raw {
		if _, filled := state[key]; filled && string(value) == "null" {
			continue
		}
		state[key] = value
	}
	status := d.o.Supervisor.Status()
	maps.Copy(state, map[string]any{
		"agent_id": d.o.AgentID, "vm": d.o.Boot.VM, "bosh_protocol": "1",
		"job_state": status.JobState, "processes": status.Processes,
	})
	for i := range c.args {
		if c.text(i) == "full" {
			v := d.o.Vitals.Measure()
			state["vitals"] = v
		}
	}
	return state, nil
}

// JobState is the state of the job now.
func (d *Dispatcher) JobState() string { return d.o.Supervisor.Status().JobState }

// Heartbeat is what the agent says of itself now, with the job state that is
// told.
func (d *Dispatcher) Heartbeat(jobState string) messages.Heartbeat {
	beat := messages.Heartbeat{JobState: jobState, NumberOfProcesses: len(d.o.Supervisor.Status().Processes)}
	v := d.o.Vitals.Measure()
	beat.Vitals = &v
	s, err := d.current()
	if err != nil {
		d.o.Log.Warn().AnErr("err", err).Msg("the heartbeat names no job")
		return beat
	}
	beat.Deployment, beat.NodeID, beat.Index = s.Deployment, s.ID, s.Index
	switch {
	case s.Job.Name != "":
		beat.Job = &s.Job.Name
	case s.Name != "":
		beat.Job = &s.Name
	}
	return beat
}

// Addresses are the IPs of the applied spec, or else of the settings.
func (d *Dispatcher) Addresses() []string {
	var all []string
	s, err := d.current()
	if err == nil {
		for _, raw := range s.Networks {
			var n struct {
				IP string `json:"ip"`
			}
			if json.Unmarshal(raw, &n) == nil && n.IP != "" {
				all = append(all, n.IP)
			}
		}
	}
	if len(all) > 0 {
		return all
	}
	for _, n := range d.o.Boot.Networks {
		if n.IP != "" {
			all = append(all, n.IP)
		}
	}
	return all
}
