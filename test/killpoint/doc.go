// Package killpoint ends a program at its n-th change of the machine, for tests
// that want to see it come back from every point where a power cut may meet it.
//
// There is no crash point in the program: the kernel (seccomp's user
// notification) asks the test before every system call that makes, renames,
// removes, mounts or starts something, of the program and of what it starts.
// The test lets it go on, or kills the program before the call has happened.
//
// A test's TestMain calls Launch first, for the program is started by a copy of
// the test itself, which asks to be watched and then becomes the program.
package killpoint
