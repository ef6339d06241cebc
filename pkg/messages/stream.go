package messages

import "time"

// Names of the streams and buckets.
const (
	StreamCommand  = "BOSH_CMD"
	StreamJournal  = "BOSH_JOURNAL"
	StreamStep     = "BOSH_STEP"
	StreamResult   = "BOSH_RESULT"
	StreamEvent    = "BOSH_EVENT"
	BucketSettings = "bosh_settings"
	BucketIdentity = "bosh_identities"
	BucketStemcell = "bosh_stemcells" // object store
)

// StreamStemcell holds the chunks and descriptions of BucketStemcell.
const StreamStemcell = "OBJ_" + BucketStemcell

// Measures of a stemcell on its way through the object store. The bound is one
// of messages, for the server sets bytes aside that a bound of them names, and a
// small disk would not have them.
const (
	ObjectChunk  = 256 << 10      // bytes of an object in one message
	ObjectPart   = 32 << 20       // bytes of one object; a larger thing is several
	StemcellAge  = 24 * time.Hour // after it they go, whoever forgot them
	stemcellRoom = 4 << 30        // bytes of all
)

// AckWait is how long a worker may be silent before its message goes to
// another.
const AckWait = 3 * time.Second

// Stream is a JetStream stream as data. Storage is always file; the number of
// replicas is the installation's.
type Stream struct {
	Name        string
	Description string
	Subjects    []string
	WorkQueue   bool          // else limits
	PerSubject  int64         // most messages kept per subject, 0 = any
	Most        int64         // messages kept in all, 0 = any
	Rollup      bool          // a message may take the place of all before it on its subject
	RefuseNew   bool          // at the limit refuse the new one instead of dropping the old
	MaxAge      time.Duration // 0 = for ever
	DenyDelete  bool          // no message can be deleted or purged by clients
	AllowDirect bool          // reads from any replica, which may lag
}

// Streams lists every stream that the system needs.
func Streams() []Stream {
	return []Stream{
		{
			Name: StreamCommand, Description: "deploy requests, one open per deployment",
			Subjects: []string{Root + ".cmd.*"}, WorkQueue: true, PerSubject: 1, RefuseNew: true,
		},
		{
			Name: StreamJournal, Description: "what happened to each deployment, the truth",
			Subjects: []string{Root + ".journal.*.*"}, DenyDelete: true,
		},
		{
			Name: StreamStep, Description: "step commands for the CPIs",
			Subjects: []string{Root + ".step.*.*.*"}, WorkQueue: true,
		},
		{
			Name: StreamResult, Description: "the CPIs' ledgers: the last message per step is its result",
			Subjects: []string{Root + ".result.*.*.*.*"}, PerSubject: 1,
		},
		{
			Name: StreamEvent, Description: "progress and exchanges, for people",
			Subjects: []string{Root + ".event.>"}, MaxAge: 7 * 24 * time.Hour,
		},
		{
			Name: "KV_" + BucketSettings, Description: "settings of VMs, sealed to the registry",
			Subjects: []string{"$KV." + BucketSettings + ".>"}, PerSubject: 1, RefuseNew: false,
		},
		{
			Name: "KV_" + BucketIdentity, Description: "the agents' identities, sealed to the registry",
			Subjects: []string{"$KV." + BucketIdentity + ".>"}, PerSubject: 1, RefuseNew: false,
		},
		{
			Name: StreamStemcell, Description: "object store: stemcells on their way to a CPI on another host",
			Subjects: []string{ObjectSubject(BucketStemcell, ">"), ObjectInfoSubject(BucketStemcell, ">")},
			Most:     stemcellRoom / ObjectChunk, Rollup: true, RefuseNew: true, MaxAge: StemcellAge,
		},
	}
}

// Consumer is a durable pull consumer of a work queue, shared by all replicas.
type Consumer struct {
	Stream  string
	Durable string
	Filter  string
}

// CommandConsumer is the durable of all orchestrators.
func CommandConsumer() Consumer {
	return Consumer{Stream: StreamCommand, Durable: ServiceOrchestrator, Filter: Root + ".cmd.*"}
}

// StepConsumer is the durable of all CPIs of a cloud.
func StepConsumer(cloud string) Consumer {
	return Consumer{Stream: StreamStep, Durable: CPIService(cloud), Filter: StepFilter(cloud)}
}
