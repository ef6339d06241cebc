package steps

import (
	"context"

	"github.com/microbosh/microbosh/pkg/messages"
)

func (x *Session) adoptStemcell(ctx context.Context, c Call) (any, error) {
	if x.Command.Import != nil && x.Command.Import.Preserve {
		return messages.AdoptOutputs{Exists: true}, nil // it was there before: used, never deleted
	}
	return x.adopt(ctx, c, messages.KindStemcell, c.Intent.Inputs.StemcellCID)
}

func (x *Session) adoptVM(ctx context.Context, c Call) (any, error) {
	return x.adopt(ctx, c, messages.KindVM, c.Intent.Inputs.VMCID)
}

// adoptDisk does not go on without the disk, for that would mean to deploy with
// an empty one.
func (x *Session) adoptDisk(ctx context.Context, c Call) (any, error) {
	cid := c.Intent.Inputs.DiskCID
	out, err := x.adopt(ctx, c, messages.KindDisk, cid)
	if err == nil && !out.Exists {
		return nil, messages.Errorf(messages.CodeCloudNotFound, "the cloud has no disk `%s'", cid).
			WithHint("see that the manifest names the project that it is in; when the disk and its data are gone for good, take it out of the file and import again").
			WithDetail("cid", cid)
	}
	return out, err
}

func (x *Session) adopt(ctx context.Context, c Call, kind, cid string) (messages.AdoptOutputs, error) {
	var out messages.AdoptOutputs
	args := messages.AdoptArgs{Kind: kind, CID: cid, Tags: x.tags(c)}
	if x.Command.Import != nil {
		args.From = x.Command.Import.From
	}
	err := x.command(ctx, c, messages.MethodAdopt, args, &out)
	if err == nil && !out.Exists {
		x.progress(c.Intent.StepID, c.Intent.Step, "the cloud has no %s %s any more: left out", kind, cid)
	}
	return out, err
}
