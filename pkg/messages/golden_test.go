package messages_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// examples are one message of each kind, as the wire has it.
func examples() map[string]any {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	sealed := &messages.Sealed{To: "XTO", From: "XFROM", Box: []byte("box")}
	tags := messages.Tags{Deployment: "micro", UID: "k3v9q2m1xa", Step: "k3v9q2m1xa-create_vm-1"}
	network := map[string]messages.Network{"bosh": {Type: "dynamic", Default: []string{"dns", "gateway"}}}
	failure := messages.Errorf(messages.CodeCloudQuota, "no more cores").WithHint("ask for more").WithDetail("server", "vm-1")
	job, index := "bosh", 0
	return map[string]any{
		"command": messages.Command{
			Verb: messages.VerbCreate, RequestedBy: "op@host", Manifest: json.RawMessage(`{"name":"micro"}`), ConfigSHA1: "c1",
			Stemcell: &messages.StemcellRef{Path: "/s.tgz", Host: "h1", Size: 9, Name: "s", Version: "1", SHA1: "s1"}, Secrets: sealed,
		},
		"step_command": messages.StepCommand{Method: messages.MethodCreateVM, Args: json.RawMessage(`{}`), Secrets: sealed, Deadline: at},
		"create_vm": messages.CreateVMArgs{
			AgentID: "bm-1", Name: "vm-1", StemcellCID: "image-1", CloudProperties: json.RawMessage(`{"instance_type":"m1.small"}`),
			Networks: network, Tags: tags,
		},
		"result_posting": messages.Result{Status: messages.ResultPosting, Method: messages.MethodCreateVM, By: "cpi/h-1", Attempt: 1, Deadline: at},
		"result_failed":  messages.Result{Status: messages.ResultFailed, Method: messages.MethodCreateVM, By: "cpi/h-1", Error: failure},
		"run_claimed":    messages.RunClaimed{Owner: "orchestrator/h-1-aa", Verb: messages.VerbCreate, InstanceUUID: "bm-1", Cloud: "openstack", Claim: 1, Time: at},
		"step_intended": messages.StepIntended{
			Step: "create_vm", StepID: tags.Step, N: 1, Deadline: at,
			Inputs: messages.StepInputs{AgentID: "bm-1", VMName: "vm-1", StemcellCID: "image-1", ConfigSHA1: "c1", StemcellSHA1: "s1"},
		},
		"step_done": messages.StepDone{Step: "create_vm", StepID: tags.Step, N: 1, Outputs: json.RawMessage(`{"cid":"server-1"}`), Millis: 12},
		"run_done":  messages.RunDone{Outcome: messages.OutcomeFailed, Verb: messages.VerbCreate, Step: "create_vm", Error: failure, Time: at, Millis: 40},
		"snapshot": messages.Snapshot{
			Deployment: "micro", UID: tags.UID, InstanceUUID: "bm-1", Cloud: "openstack",
			Stemcell:   &messages.Stemcell{CID: "image-1", Name: "s", SHA1: "s1", Uploaded: true, Step: "k3v9q2m1xa-create_stemcell-1"},
			VM:         &messages.VM{CID: "server-1", Name: "vm-1", AgentID: "bm-1", Step: tags.Step, IP: "192.0.2.10", ServiceIP: "10.0.0.5"},
			Disk:       &messages.Disk{CID: "volume-1", SizeMiB: 4096, WantedMiB: 4096, Step: "k3v9q2m1xa-create_disk-1", AttachedTo: "server-1", Hint: "/dev/sdb", Mounted: true},
			ConfigSHA1: "c1", StemcellSHA1: "s1", Target: &messages.Target{URL: "https://192.0.2.10:25555", Name: "micro"}, Uses: map[string]int{"create_vm": 1},
		},
		"progress":      messages.Progress{Step: "create_stemcell", StepID: "k3v9q2m1xa-create_stemcell-1", Done: 1, Total: 2},
		"service_reply": messages.ServiceReply{Error: failure},
		"agent_request": messages.AgentRequest{
			Protocol: 3, Method: "apply", Arguments: []json.RawMessage{json.RawMessage(`{"job":{}}`)}, ReplyTo: messages.ReplySubject("d", "bm-1", "r"), StepID: tags.Step,
		},
		"agent_exception": messages.AgentReply{Exception: &messages.AgentException{Message: "unknown message x"}},
		"heartbeat":       messages.Heartbeat{Deployment: "micro", Job: &job, Index: &index, JobState: "running", NodeID: "bm-1"},
		"settings": messages.Settings{
			AgentID: "bm-1", VM: messages.SettingsVM{Name: "vm-1"}, Mbus: "nats://bus", NTP: []string{}, Networks: network,
			Blobstore: messages.Blobstore{Provider: "local", Options: map[string]any{"blobstore_path": "/var/vcap/micro_bosh/data/cache"}},
			Disks:     messages.Disks{System: "/dev/sda", Persistent: map[string]json.RawMessage{"volume-1": json.RawMessage(`"/dev/sdb"`)}},
		},
	}
}

func TestEncodingsStay(t *testing.T) {
	t.Parallel()
	for name, v := range examples() {
		got, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(append(got, '\n'), want) {
			t.Errorf("%s is on the wire as\n%s\nnot as before\n%s", name, got, want)
		}
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	e := messages.Envelope{ID: "1", Type: messages.Type(messages.ClassFact, messages.FactStepDone), Source: "orchestrator/h-1", Deployment: "micro", Run: "r"}
	body, err := e.Encode(messages.StepDone{Step: "stop"})
	if err != nil {
		t.Fatal(err)
	}
	var done messages.StepDone
	back, err := messages.Decode(body, &done)
	if err != nil || done.Step != "stop" || back.TypeName(messages.ClassFact) != messages.FactStepDone || back.Subject != "deployment/micro" {
		t.Errorf("came back as %+v %+v %v", back, done, err)
	}
	if _, err := e.Encode(bytes.Repeat([]byte("x"), messages.MaxMessage)); messages.CodeOf(err) != messages.CodeTooLarge {
		t.Errorf("an oversized message: %v", err)
	}
	for _, bad := range []string{"", "hello", "[]", "{}", `{"specversion":"1.0","id":"1"}`} {
		if _, err := messages.Decode([]byte(bad), nil); messages.CodeOf(err) != messages.CodeMalformed {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestExceptionShapes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"exception":{"message":"no"}}`:          "no",
		`{"exception":"#<RuntimeError: no>: []"}`: "#<RuntimeError: no>: []",
	} {
		var reply messages.AgentReply
		if err := json.Unmarshal([]byte(body), &reply); err != nil || reply.Exception == nil || reply.Exception.Message != want {
			t.Errorf("%s: %+v %v", body, reply.Exception, err)
		}
	}
}
