// Package supervisor keeps the jobs' processes running. Supervisor is what the
// agent asks of it; the driver Builtin reads the part of monit's files that
// jobs use and does without monit.
//
// A process is watched by its pid file and a pidfd: its end is an event, there
// is no cycle. A process that ends though it should run is started again, later
// each time it happens. What should run is kept in <base>/bosh/supervisor.json,
// of which Builtin is the only writer, so that an agent started again takes up
// the processes that are there, starts those that are not, and leaves stopped
// ones alone. Processes are not the agent's children in the end and outlive it.
package supervisor
