// Package watch waits for something in the file system by inotify: a device
// that appears, a pid file that is written. Nothing here wakes up by the clock.
package watch
