package steps

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// dialWait is how long a connection to a VM may take. One whose packets are lost
// while the VM boots is begun anew: the kernel's own repeats come ever later.
const dialWait = 5 * time.Second

// reason is why a VM was not reached, in words that stay the same from one try
// to the next; "" is nothing that a person could act on.
func reason(err error) string {
	var number syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "nothing comes back"
	}
	return ""
}

// unreached is a VM that was not reached in time, with the last reason.
type unreached struct {
	error
	why string
}

func (u unreached) Unwrap() error { return u.error }
