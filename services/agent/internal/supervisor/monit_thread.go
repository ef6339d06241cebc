package supervisor

import "runtime"

// lockThread ties the goroutine to its thread, which ends with it.
func lockThread() { runtime.LockOSThread() }
