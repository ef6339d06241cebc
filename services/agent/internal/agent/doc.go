// Package agent puts the agent together: flags, bootstrap, then supervisor,
// tasks and mbus until it is told to stop.
//
// Jobs are supervised whether or not the bus can be reached. Nothing here ends
// because the bus is away; a bus that refuses is asked again.
package agent
