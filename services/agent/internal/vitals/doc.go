// Package vitals measures the machine from /proc: load, CPU, memory, swap,
// disks and uptime, in BOSH's shape, where numbers are strings.
package vitals
