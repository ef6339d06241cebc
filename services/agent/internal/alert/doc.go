// Package alert turns what befalls a job's process into BOSH's alerts, with
// monit's events and severities, so that a health monitor understands them.
package alert
