package linux

import "testing"

// What lies on a disk, and what the kernel lists, is read without a fall.
func FuzzSuperblock(f *testing.F) {
	f.Add(make([]byte, 2048))
	xfs := make([]byte, 2048)
	copy(xfs, "XFSB")
	f.Add(xfs)
	f.Fuzz(func(t *testing.T, head []byte) {
		if len(head) < 2048 {
			return // readSuperblock gives no less
		}
		if s := parseSuperblock(head); s.kind == "" && s.bytes != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

func FuzzMounts(f *testing.F) {
	f.Add("36 35 98:0 / /mnt1 rw,noatime master:1 - ext3 /dev/root rw\n")
	f.Add("37 35 259:3 / /var/a\\040b rw - ext4 /dev/sdb2 rw\nnonsense\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMounts(text) {
			if m.kind == "" || m.point == "" {
				t.Errorf("got %+v", m)
			}
		}
	})
}

func FuzzMountOptions(f *testing.F) {
	f.Add("noatime,nodev")
	f.Add("data=journal,,x y")
	f.Fuzz(func(t *testing.T, option string) { _, _, _ = mountOptions([]string{option}) })
}
