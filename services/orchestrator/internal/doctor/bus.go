package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	mebi = 1 << 20

	// fullAt is the share of the streams' room, in percent, that is worth a word.
	fullAt = 80
)

// Bus tells where it is. That it answered at all was the look.
func Bus(h bus.Health) Check {
	c := Check{Name: "bus", About: fmt.Sprintf("nats-server %s at %s, %s away", h.Version, h.URL, h.RoundTrip.Round(10*time.Microsecond))}
	if h.MaxPayload < messages.MaxMessage {
		c.add(fmt.Sprintf("it takes messages of %d KiB at most, %d KiB are needed", h.MaxPayload>>10, messages.MaxMessage>>10),
			fmt.Sprintf("set max_payload to %d or more in the server's configuration", messages.MaxMessage))
	}
	return c
}

// JetStream looks at the room and at the servers that keep the streams.
func JetStream(h bus.Health) Check {
	c := Check{Name: "jetstream", About: fmt.Sprintf("%d MiB on disk", h.Storage/mebi)}
	if h.MaxStorage > 0 {
		c.About += fmt.Sprintf(" of %d", h.MaxStorage/mebi)
		if h.Storage*100 >= h.MaxStorage*fullAt {
			c.add(fmt.Sprintf("the streams take %d of the %d MiB that they may", h.Storage/mebi, h.MaxStorage/mebi),
				"give the account more with max_file: the journal is kept for ever and refuses facts when its room is full")
		}
	}
	for _, s := range h.Streams {
		switch {
		case !s.Leader:
			c.add("the stream "+s.Name+" has no leader", "bring back the servers of the cluster: more than half of them must run")
		case len(s.Behind) > 0:
			c.add(fmt.Sprintf("the stream %s is not whole on %s", s.Name, strings.Join(s.Behind, ", ")),
				"see that these servers run, and wait until they have caught up before another one is taken down")
		case h.Cluster != "" && s.Replicas < 3:
			c.add(fmt.Sprintf("the stream %s is kept by %d of the cluster's servers only", s.Name, s.Replicas),
				fmt.Sprintf("`nats stream edit %s --replicas 3`: else the loss of one server loses it", s.Name))
		}
	}
	return c
}

// Streams tells what is not as it was provisioned.
func Streams(drift []string) Check {
	c := Check{Name: "streams", About: fmt.Sprintf("%d, as provisioned", len(messages.Streams()))}
	for _, text := range drift {
		c.add(text, "the bus that microbosh runs itself puts it right at its next start; another one is provisioned again by its admin")
	}
	return c
}

// Workers tells which services are missing, and whether their queues are as
// they make them. missing and drift are in words.
func Workers(names, missing, drift []string) Check {
	c := Check{Name: "services", About: strings.Join(names, ", ")}
	for _, name := range missing {
		c.add("nobody answers for "+name, "start it, or look into its log why it ended; `nats service ls` shows who is there")
	}
	for _, text := range drift {
		c.add(text, "start the service again: it makes its queue's consumer as it should be")
	}
	return c
}
