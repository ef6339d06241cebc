package rootless

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// reaper waits for every child of this process, adopted ones too.
type reaper struct {
	ended chan int      // pids that were waited for
	more  chan struct{} // a child was started
	none  chan struct{} // receives when no child is left
}

func newReaper() *reaper {
	r := &reaper{ended: make(chan int), more: make(chan struct{}, 1), none: make(chan struct{}, 1)}
	go r.run()
	return r
}

// expect tells of a new child.
func (r *reaper) expect() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *reaper) run() {
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case err == nil:
			r.ended <- pid
		case errors.Is(err, syscall.ECHILD):
			select {
			case r.none <- struct{}{}:
			default:
			}
			<-r.more
		}
	}
}

// end ends all descendants. What loses its parent becomes a child of this
// process, so each one that was reaped is a reason to look again, and no child
// left means that nothing is left.
func (r *reaper) end(gentle bool) error {
	drain(r.none)
	r.expect() // run looks again, should it have found none before
	signal, patience := syscall.SIGKILL, time.NewTimer(gentleWait)
	defer patience.Stop()
	if gentle {
		signal = syscall.SIGTERM
	}
	told := map[int]bool{} // a gentle word is said once
	for {
		for _, pid := range descendants(os.Getpid()) {
			if signal == syscall.SIGKILL || !told[pid] {
				kill(pid, signal, func() bool { return below(pid, os.Getpid()) })
				told[pid] = true
			}
		}
		select {
		case <-r.ended:
		case <-r.none:
			if len(descendants(os.Getpid())) == 0 {
				return nil
			}
			r.expect() // that there was none is old news
		case <-patience.C:
			if signal == syscall.SIGKILL {
				return errors.New("cannot end the server: some of its processes do not die")
			}
			signal = syscall.SIGKILL
			patience.Reset(gentleWait)
		}
	}
}

func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}
