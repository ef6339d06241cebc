package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/microbosh/microbosh/pkg/messages"
)

func (x *Session) tags(c Call) messages.Tags {
	return messages.Tags{Deployment: x.Deployment, UID: x.UID, Step: c.Intent.StepID}
}

func (x *Session) createStemcell(ctx context.Context, c Call) (any, error) {
	if x.Command.Stemcell == nil {
		return nil, messages.Errorf(messages.CodeStemcellMissing, "No stemcell provided")
	}
	if x.Command.Stemcell.CID != "" {
		return messages.CreateStemcellOutputs{CID: x.Command.Stemcell.CID}, nil
	}
	var out messages.CreateStemcellOutputs
	err := x.command(ctx, c, messages.MethodCreateStemcell, messages.CreateStemcellArgs{Stemcell: *x.Command.Stemcell, Tags: x.tags(c)}, &out)
	return out, err
}

func (x *Session) deleteStemcell(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	if in.Owner == "" {
		return nil, nil // it was there before us: preserved
	}
	return nil, x.command(ctx, c, messages.MethodDeleteStemcell, messages.DeleteStemcellArgs{CID: in.StemcellCID, Owner: in.Owner}, nil)
}

func (x *Session) createVM(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	properties, err := json.Marshal(x.Manifest.Resources.CloudProperties)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the VM's cloud_properties: %w", err)
	}
	args := messages.CreateVMArgs{
		AgentID: in.AgentID, Name: in.VMName, StemcellCID: in.StemcellCID, StemcellAPI: in.StemcellAPI,
		CloudProperties: properties, Networks: x.Manifest.Networks(), Tags: x.tags(c),
	}
	if x.Tunnelled() {
		t, _ := x.Manifest.Tunnel()
		args.RegistryPort = t.Registry
	}
	if d := c.State.Disk; d != nil {
		args.DiskCIDs = []string{d.CID}
	}
	var out messages.CreateVMOutputs
	err = x.command(ctx, c, messages.MethodCreateVM, args, &out)
	if errors.As(err, new(refusal)) { // there will never be this VM
		if gone := x.revoke(ctx, in.AgentID); gone != nil {
			return nil, fmt.Errorf("%w; and %w", err, gone)
		}
		return nil, err
	}
	return out, err
}

func (x *Session) deleteVM(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	err := x.command(ctx, c, messages.MethodDeleteVM, messages.DeleteVMArgs{VMCID: in.VMCID, Name: in.VMName, Owner: in.Owner}, nil)
	if err != nil {
		return nil, err
	}
	return nil, x.revoke(ctx, in.AgentID)
}

func (x *Session) setVMMetadata(ctx context.Context, c Call) (any, error) {
	args := messages.SetVMMetadataArgs{VMCID: c.Intent.Inputs.VMCID, Metadata: map[string]string{
		"Name": x.Deployment, "deployment": x.Deployment, "director": "microbosh", "job": "bosh", "index": "0",
	}}
	return nil, x.command(ctx, c, messages.MethodSetVMMetadata, args, nil)
}

func (x *Session) discoverIP(ctx context.Context, c Call) (any, error) {
	var out messages.DiscoverIPOutputs
	err := x.command(ctx, c, messages.MethodDiscoverIP, messages.VMArgs{VMCID: c.Intent.Inputs.VMCID}, &out)
	return out, err
}

func (x *Session) createDisk(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	properties, err := x.diskProperties(in.Properties)
	if err != nil {
		return nil, err
	}
	var out messages.CreateDiskOutputs
	err = x.command(ctx, c, messages.MethodCreateDisk, messages.CreateDiskArgs{
		SizeMiB: in.SizeMiB, CloudProperties: properties, VMCID: in.VMCID, Tags: x.tags(c),
	}, &out)
	return out, err
}

// diskProperties puts back what the intent may not hold.
func (x *Session) diskProperties(open string) (json.RawMessage, error) {
	whole, err := json.Marshal(x.Manifest.Resources.DiskProperties)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the disk's cloud_properties: %w", err)
	}
	_, closed, err := messages.Part(whole)
	if err != nil {
		return nil, fmt.Errorf("cannot part the disk's cloud_properties: %w", err)
	}
	return messages.Overlay(rawOrNil(open), closed)
}

func (x *Session) deleteDisk(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	return nil, x.command(ctx, c, messages.MethodDeleteDisk, messages.DeleteDiskArgs{DiskCID: in.DiskCID, Owner: in.Owner}, nil)
}

func (x *Session) deletePort(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	return nil, x.command(ctx, c, messages.MethodDeletePort, messages.DeletePortArgs{PortCID: in.PortCID, Owner: in.Owner}, nil)
}

func (x *Session) attachDisk(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	var out messages.AttachDiskOutputs
	err := x.command(ctx, c, messages.MethodAttachDisk, messages.DiskArgs{VMCID: in.VMCID, DiskCID: in.DiskCID, VMName: in.VMName}, &out)
	return out, err
}

func (x *Session) detachDisk(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	return nil, x.command(ctx, c, messages.MethodDetachDisk, messages.DiskArgs{VMCID: in.VMCID, DiskCID: in.DiskCID, VMName: in.VMName}, nil)
}

// checkVM asks the IaaS first; only a VM that exists is asked itself.
func (x *Session) checkVM(ctx context.Context, c Call) (any, error) {
	sealed, err := x.sealToCPI(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	args, err := json.Marshal(messages.VMArgs{VMCID: c.Intent.Inputs.VMCID})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the arguments of has_vm: %w", err)
	}
	var out messages.CheckVMOutputs
	service := messages.CPIService(x.Manifest.Cloud.Plugin)
	err = c.waiting(ctx, func(ctx context.Context) error {
		call := messages.CallRequest{Args: args, Secrets: sealed}
		if err := x.Conn.Call(ctx, messages.ServiceSubject(service, messages.SvcHasVM), call, &out.Exists); err != nil {
			return fmt.Errorf("cannot ask the cloud for the VM: %w", err)
		}
		if !out.Exists {
			return nil
		}
		short, cancel := context.WithTimeout(ctx, x.Silence)
		defer cancel()
		out.Answers = x.awaitPong(short, c) == nil
		return ctx.Err()
	})
	return out, err
}

// rawOrNil keeps an empty text out of the message: it would be no JSON.
func rawOrNil(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
