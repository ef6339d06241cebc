package killpoint

import "golang.org/x/sys/unix"

// older are the calls that only this architecture still has.
func older() map[uint32]string {
	return map[uint32]string{
		unix.SYS_RENAME: "rename", unix.SYS_SYMLINK: "symlink", unix.SYS_LINK: "link", unix.SYS_UNLINK: "unlink", unix.SYS_RMDIR: "rmdir",
		unix.SYS_MKDIR: "mkdir", unix.SYS_MKNOD: "mknod", unix.SYS_CHMOD: "chmod", unix.SYS_CHOWN: "chown", unix.SYS_LCHOWN: "lchown",
		unix.SYS_CREAT: "creat",
	}
}
