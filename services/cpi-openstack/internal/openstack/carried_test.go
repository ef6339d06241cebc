package openstack_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// abroad puts a stemcell on the bus as a command on another host does, spoilt.
func (w *world) abroad(spoil func(packed []byte) []byte) messages.CreateStemcellArgs {
	w.t.Helper()
	args := w.stemcell()
	ref := &args.Stemcell
	sc, err := stemcell.Open(ref.Path)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := sc.Packed(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	packed, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if spoil != nil {
		packed = spoil(packed)
	}
	ref.Host, ref.Object, ref.ObjectSize = "elsewhere", messages.StemcellObject("micro", ref.SHA1), int64(len(packed))
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	if err := w.conn.Object(messages.BucketStemcell, ref.Object, ref.ObjectSize).Put(w.t.Context(), open, func(int64) {}); err != nil {
		w.t.Fatal(err)
	}
	return args
}

// A stemcell that another host put on the bus becomes the image that it would
// be from here.
func TestStemcellFromTheBus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := w.abroad(nil)
	var made messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, args, &made)
	if images := w.cloud.Inventory().Images; len(images) != 1 || images[0].ID != made.CID || images[0].Status != "active" {
		t.Errorf("the cloud has %+v, made is %+v", images, made)
	}
}

// What is not the stemcell, or not all of it, makes no image and says why.
func TestSpoiltStemcellFromTheBus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func([]byte) []byte
		change func(*world, *messages.StemcellRef)
		code   messages.Code
		says   string
	}{
		"cut": {func(b []byte) []byte { return b[:len(b)/2] }, nil, messages.CodeStemcellInvalid, "too early"},
		"another digest": {nil, func(w *world, ref *messages.StemcellRef) {
			ref.SHA1 = strings.Repeat("0", 40)
			w.rename(ref, messages.StemcellObject("micro", ref.SHA1))
		}, messages.CodeStemcellInvalid, "has the sha1"},
		"bytes after it": {func(b []byte) []byte { return append(b, "more"...) }, nil, messages.CodeStemcellInvalid, "has the sha1"},
		"no archive":     {func([]byte) []byte { return []byte("nothing of the kind") }, nil, messages.CodeStemcellInvalid, "no tar.gz"},
		"gone": {nil, func(w *world, ref *messages.StemcellRef) {
			if err := w.conn.Object(messages.BucketStemcell, ref.Object, ref.ObjectSize).Delete(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}, messages.CodeStemcellMissing, "is not there"},
		"more than there is": {nil, func(_ *world, ref *messages.StemcellRef) { ref.ObjectSize++ }, messages.CodeStemcellMissing, "other bytes"},
		"another deployment's": {nil, func(_ *world, ref *messages.StemcellRef) {
			ref.Object = messages.StemcellObject("other", ref.SHA1)
		}, messages.CodeMalformed, "names no object"},
		"none": {nil, func(_ *world, ref *messages.StemcellRef) { ref.Object = "" }, messages.CodeStemcellMissing, "another host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			args := w.abroad(c.spoil)
			if c.change != nil {
				c.change(w, &args.Stemcell)
			}
			r := w.do(messages.MethodCreateStemcell, 1, args)
			if r.Status != messages.ResultFailed || r.Error == nil || r.Error.Code != c.code || !strings.Contains(r.Error.Message, c.says) || r.Error.Hint == "" && c.code != messages.CodeMalformed {
				t.Errorf("%s: %+v", r.Status, r.Error)
			}
			if images := w.cloud.Inventory().Images; len(images) != 0 {
				t.Errorf("the cloud holds %+v", images)
			}
		})
	}
}

// rename puts what an object holds under another name.
func (w *world) rename(ref *messages.StemcellRef, name string) {
	w.t.Helper()
	packed, err := io.ReadAll(w.conn.Object(messages.BucketStemcell, ref.Object, ref.ObjectSize).Open(w.t.Context()))
	if err != nil {
		w.t.Fatal(err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	if err := w.conn.Object(messages.BucketStemcell, name, ref.ObjectSize).Put(w.t.Context(), open, func(int64) {}); err != nil {
		w.t.Fatal(err)
	}
	ref.Object = name
}
