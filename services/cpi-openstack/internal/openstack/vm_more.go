package openstack

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// consoleLines is how much of a console is shown.
const consoleLines = 200

// systemDisk is what an operating system takes of a root disk, in GiB.
const systemDisk = 3

// rebootVM asks once, unless an earlier try did and the server is at it.
func (c *Cloud) rebootVM(ctx context.Context, s *cpi.Step, o *session, args messages.VMArgs) (any, error) {
	if err := require("VM", args.VMCID); err != nil {
		return nil, err
	}
	server, err := o.getServer(ctx, args.VMCID)
	if notFound(err) {
		return nil, messages.Errorf(messages.CodeCloudNotFound, "Server `%s' not found", args.VMCID)
	}
	if err != nil {
		return nil, err
	}
	if server.Status != "REBOOT" && server.Status != "HARD_REBOOT" {
		how := servers.SoftReboot
		if server.Status != "ACTIVE" {
			how = servers.HardReboot // the only one that starts a server that stands
		}
		err := servers.Reboot(ctx, o.compute, args.VMCID, servers.RebootOpts{Type: how}).ExtractErr()
		if err := classify("reboot the server "+args.VMCID, reads, err); err != nil && !hasCode(err, messages.CodeCloudTransient) {
			return nil, err
		}
	}
	return nil, o.await(ctx, "Server `"+args.VMCID+"'", "active", func(ctx context.Context) (bool, error) {
		server, err := o.getServer(ctx, args.VMCID)
		if err != nil {
			return false, err
		}
		if server.Status == "ERROR" {
			return false, messages.Errorf(messages.CodeVMFailed, "Server `%s' state is error, expected active: %s", args.VMCID, server.Fault.Message).
				WithHint("openstack server show %s tells more; deploy with --recreate to replace it", args.VMCID)
		}
		s.Progress("server "+args.VMCID+" is "+server.Status, 0, 0)
		return server.Status == "ACTIVE" && server.TaskState == "", nil
	})
}

// query gives a read its arguments and its session.
func query[A any](c *Cloud, name string, run func(context.Context, *session, A) (any, error)) cpi.Query {
	return func(ctx context.Context, raw []byte, secrets messages.StepSecrets) (any, error) {
		var args A
		if len(raw) > 0 && json.Unmarshal(raw, &args) != nil {
			return nil, messages.Errorf(messages.CodeMalformed, "the arguments of %s cannot be read", name)
		}
		session, err := c.sessions.get(ctx, secrets.Properties)
		if err != nil {
			return nil, err
		}
		return run(ctx, session, args)
	}
}

func (c *Cloud) getDisks(ctx context.Context, o *session, args messages.VMArgs) (any, error) {
	if err := require("VM", args.VMCID); err != nil {
		return nil, err
	}
	if _, err := o.getServer(ctx, args.VMCID); err != nil {
		return nil, err
	}
	have, err := o.attachments(ctx, args.VMCID)
	if err != nil {
		return nil, err
	}
	cids := []string{}
	for _, a := range have {
		cids = append(cids, a.VolumeID)
	}
	slices.Sort(cids)
	return cids, nil
}

// console reads the end of what the server printed. A cloud without consoles
// says so with a code of its own.
func (c *Cloud) console(ctx context.Context, o *session, args messages.VMArgs) (any, error) {
	if err := require("VM", args.VMCID); err != nil {
		return nil, err
	}
	output, err := servers.ShowConsoleOutput(ctx, o.compute, args.VMCID, servers.ShowConsoleOutputOpts{Length: consoleLines}).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusNotImplemented) {
		return nil, messages.Errorf(messages.CodeNotSupported, "the cloud keeps no console log of %s", args.VMCID)
	}
	if err != nil {
		return nil, classify("read the console of "+args.VMCID, reads, err)
	}
	return messages.ConsoleReply{Output: output}, nil
}

// calculate picks the smallest flavor that is large enough: by cores, then by
// memory, then by disk.
func (c *Cloud) calculate(ctx context.Context, o *session, args messages.CalculateArgs) (any, error) {
	if args.CPU < 1 || args.RAM < 1 || args.EphemeralDisk < 0 {
		return nil, messages.Errorf(messages.CodeMalformed, "cpu and ram must be at least 1, ephemeral_disk_size at least 0")
	}
	list, err := all(ctx, "list flavors", flavors.ListDetail(o.compute, flavors.ListOpts{AccessType: flavors.AllAccess}), flavors.ExtractFlavors)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(f flavors.Flavor) bool { return !roomy(f, args, o.OpenStack.BootFromVolume) })
	if len(list) == 0 {
		return nil, messages.Errorf(messages.CodeCloudNotFound, "no flavor has %d cores, %d MiB of memory and %d MiB of disk", args.CPU, args.RAM, args.EphemeralDisk).
			WithHint("ask for less, or have the cloud's operator make a larger flavor")
	}
	slices.SortStableFunc(list, smaller)
	out := map[string]any{"instance_type": list[0].Name}
	if o.OpenStack.BootFromVolume {
		out["root_disk"] = map[string]int{"size": gibibytes(args.EphemeralDisk) + systemDisk}
	}
	return out, nil
}

func smaller(a, b flavors.Flavor) int {
	for _, d := range []int{a.VCPUs - b.VCPUs, a.RAM - b.RAM, a.Disk + a.Ephemeral - b.Disk - b.Ephemeral} {
		if d != 0 {
			return d
		}
	}
	return 0
}

// roomy tells whether a flavor has what is asked for. The agent puts its data
// beside the system when there is no ephemeral disk.
func roomy(f flavors.Flavor, want messages.CalculateArgs, volume bool) bool {
	if f.VCPUs < want.CPU || f.RAM < want.RAM {
		return false
	}
	disk := gibibytes(want.EphemeralDisk)
	if volume {
		return true // its size is the root_disk's
	}
	if f.Ephemeral > 0 {
		return f.Ephemeral >= disk && f.Disk >= systemDisk
	}
	return f.Disk >= disk+systemDisk
}

func gibibytes(mib int) int { return (mib + 1023) / 1024 }
