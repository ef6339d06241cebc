package openstack_test

import (
	"testing"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
)

// Whatever a create meets, it ends with exactly one resource, the one that its
// result names.
func TestCreateMakesExactlyOne(t *testing.T) {
	t.Parallel()
	faults := []struct {
		name  string
		fault devcloud.Fault
	}{
		{"none", devcloud.Fault{Mode: devcloud.ModeDelay, Count: 1}},
		{"dropped after the effect", devcloud.Fault{Mode: devcloud.ModeDrop, Count: 1}},
		{"503 after the effect", devcloud.Fault{Mode: devcloud.ModeLate503, Count: 1}},
		{"half an answer", devcloud.Fault{Mode: devcloud.ModeTruncate, Count: 1}},
		{"twice", devcloud.Fault{Mode: devcloud.ModeDuplicate, Count: 1}},
		{"hidden", devcloud.Fault{Mode: devcloud.ModeHide, Count: 1, Lists: 3}},
		{"503 before the effect", devcloud.Fault{Mode: devcloud.ModeFail, Count: 1, Status: 503}},
		{"cut before the effect", devcloud.Fault{Mode: devcloud.ModeCut, Count: 2}},
		{"too many requests", devcloud.Fault{Mode: devcloud.ModeFail, Count: 2, Status: 429}},
		{"tokens expire", devcloud.Fault{Mode: devcloud.ModeExpire, Count: 1}},
	}
	for _, create := range creates {
		for _, f := range faults {
			t.Run(create.name+" "+f.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				args := w.args(create)
				f.fault.Method, f.fault.Path = "POST", create.path
				w.faults(f.fault)
				w.one(create, w.do(create.method, 1, args))
			})
		}
	}
}

// A token that expires while the stemcell is on its way must not cut the image.
func TestUploadSurvives(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]devcloud.Fault{
		"a token that expires": {Mode: devcloud.ModeExpire, Count: 1},
		"a lost answer":        {Mode: devcloud.ModeDrop, Count: 1},
		"a cut connection":     {Mode: devcloud.ModeCut, Count: 1},
		"503":                  {Mode: devcloud.ModeFail, Status: 503, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			fault.Method, fault.Path = "PUT", "/file$"
			w.faults(fault)
			var image messages.CreateStemcellOutputs
			w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
			if inv := w.cloud.Inventory(); len(inv.Images) != 1 || inv.Images[0].Status != "active" {
				t.Errorf("the cloud holds %+v", inv.Images)
			}
			// The root image is whole: a server boots from it.
			w.must(messages.MethodCreateVM, 1, w.vm(image.CID), nil)
		})
	}
}
