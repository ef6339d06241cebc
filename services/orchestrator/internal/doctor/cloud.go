package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Cloud tells what a deploy would not find. Where there is a VM its successor
// takes its room, so that a full quota is none of its business.
func Cloud(plugin string, reply messages.PreflightReply, hasVM bool) Check {
	c := Check{Name: "cloud"}
	names := make([]string, 0, len(reply.Checks))
	for _, look := range reply.Checks {
		names = append(names, look.Name)
		if look.Error == nil || hasVM && look.Error.Code == messages.CodeCloudQuota {
			continue
		}
		f := found(look.Error)
		f.Text = look.Name + ": " + f.Text
		c.Findings = append(c.Findings, f)
	}
	c.About = plugin + ": " + strings.Join(names, ", ")
	return c
}

// Journal tells what the last run left open.
func Journal(s messages.Snapshot, running bool) Check {
	c := Check{Name: "journal", About: "nothing deployed"}
	if s.VM != nil {
		c.About = "VM " + s.VM.CID
	}
	if running {
		c.About = "a run is under way"
		return c
	}
	for _, id := range slices.Sorted(maps.Keys(s.Open)) {
		c.add(fmt.Sprintf("the step %s was asked for, and nobody knows what became of it", id),
			"deploy or delete: either looks for it first, and nothing is made twice")
	}
	return c
}
