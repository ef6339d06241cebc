package runner

import (
	"context"

	"github.com/microbosh/microbosh/pkg/messages"
)

// unload takes the request's stemcell off the bus once its image is made, or
// the run has succeeded without. After any other end the same command, run again,
// needs it. What cannot be removed goes when it is old.
func (r *run) unload(ctx context.Context, succeeded bool) {
	ref := r.command.Stemcell
	if ref == nil || ref.Object == "" || ref.Object != messages.StemcellObject(r.envelope.Deployment, ref.SHA1) {
		return
	}
	if made := r.journal.State.Stemcell; !succeeded && (made == nil || made.SHA1 != ref.SHA1) {
		return
	}
	if err := r.Conn.Object(messages.BucketStemcell, ref.Object, ref.ObjectSize).Delete(ctx); err != nil {
		r.log.Warn().Err(err).Str("object", ref.Object).Msg("the stemcell stays on the bus until it is old")
	}
}
