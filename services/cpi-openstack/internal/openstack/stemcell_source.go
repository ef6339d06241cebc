package openstack

import (
	"context"
	"io"
	"maps"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// open verifies the archive once. One that does not lie on this host, on the web
// or on the bus, is verified while it streams through, and described by the
// command.
func (u *upload) open(context.Context) error {
	if u.stemcell != nil {
		return nil
	}
	ref := u.args.Stemcell
	here := ref.Path != "" && ref.Host == daemon.HostID()
	var found *stemcell.Stemcell
	var err error
	switch {
	case ref.URL != "":
		found, err = stemcell.At(ref.URL, ref.SHA1)
	case !here && ref.Object != "":
		found, err = u.carried(ref)
	case !here:
		return messages.Errorf(messages.CodeStemcellMissing, "the stemcell lies on another host than the CPI").
			WithHint("run the same command again: it carries the stemcell to the CPI's host; one that was asked there a moment ago may have ended")
	default:
		return u.read(ref)
	}
	if err != nil {
		return err
	}
	u.stemcell = found
	return u.describe(nil)
}

// carried is a stemcell that the command line put on the bus.
func (u *upload) carried(ref messages.StemcellRef) (*stemcell.Stemcell, error) {
	if u.bus == nil || ref.ObjectSize <= 0 || ref.Object != messages.StemcellObject(u.step.Deployment(), ref.SHA1) {
		return nil, messages.Errorf(messages.CodeMalformed, "the command names no object that can be the stemcell of %s: %.80q", u.step.Deployment(), ref.Object)
	}
	object := u.bus.Object(messages.BucketStemcell, ref.Object, ref.ObjectSize)
	return stemcell.Carried(ref.Object, ref.SHA1, func(ctx context.Context) io.ReadCloser { return object.Open(ctx) })
}

// read verifies an archive on this host.
func (u *upload) read(ref messages.StemcellRef) error {
	u.step.Progress("verifying the stemcell", 0, ref.Size)
	read := stemcell.Open
	if u.session.trusting {
		read = stemcell.OpenImage
	}
	found, err := read(ref.Path)
	if err != nil {
		return err
	}
	if ref.SHA1 != "" && found.SHA1 != ref.SHA1 {
		return messages.Errorf(messages.CodeStemcellInvalid, "the stemcell %s is not the one that the command means", ref.Path).
			WithHint("the file was replaced meanwhile; deploy again")
	}
	u.stemcell = found
	return u.describe(found.CloudProperties)
}

// describe says what the image is: the archive, overridden by the command, which
// is overridden by the manifest. A stemcell that is made for another cloud is
// refused: where its disk boots at all, its agent looks for settings in vain.
func (u *upload) describe(archive map[string]any) error {
	about := map[string]any{}
	for _, says := range []map[string]any{archive, u.about, u.session.Stemcell} {
		maps.Copy(about, says)
	}
	u.about = about
	made := text(about["infrastructure"])
	if made == "" || made == "openstack" {
		return nil
	}
	return messages.Errorf(messages.CodeStemcellInvalid, "the stemcell is made for %s, not for openstack", made).
		WithHint("take the stemcell of the same name for openstack; cloud.properties.stemcell.infrastructure overrides what it says of itself")
}
