package cli

import (
	"context"
	"io"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

const (
	transferTask = "Putting the stemcell on the bus"

	// tellEvery is how often a transfer says how far it is.
	tellEvery = 200 * time.Millisecond
)

// transfer puts a stemcell on the bus when the CPI that answers cannot read this
// host's files, and the deployment has not got its image yet. A CPI that does
// not answer may be anywhere. It is put before the request is sent, so a CPI that
// has the request has the stemcell.
func (a *app) transfer(ctx context.Context, s *session, d chosen, x sight, load stemcellLoad) error {
	ref := load.ref
	if load.file == nil || s.stack != nil || x.state.Stemcell != nil && x.state.Stemcell.SHA1 == ref.SHA1 {
		return nil
	}
	var info messages.CPIInfo
	subject := messages.ServiceSubject(messages.CPIService(d.manifest.Cloud.Plugin), messages.SvcInfo)
	err := s.call(ctx, subject, messages.CallRequest{}, &info)
	if err != nil && messages.CodeOf(err) != messages.CodeNoService {
		return interruptedOr(ctx, err)
	}
	if err == nil && info.Host == ref.Host {
		return nil
	}
	ref.Object, ref.ObjectSize = messages.StemcellObject(d.manifest.Name, ref.SHA1), load.file.ImageSize
	object := s.conn.Object(messages.BucketStemcell, ref.Object, ref.ObjectSize)
	open := func() (io.ReadCloser, error) { return load.file.Packed(ctx) }

	show := a.ui.Renderer("Ctrl-C stops; the same command goes on from there")
	defer show.Close()
	began := time.Now()
	line := ui.Line{Kind: ui.KindStarted, Time: began, Task: transferTask}
	show.Show(line)
	told := began
	err = object.Put(ctx, open, func(done int64) {
		now := time.Now()
		if now.Sub(told) < tellEvery {
			return
		}
		told = now
		line.Kind, line.Time, line.Text, line.Done, line.Total = ui.KindProgress, now, "uploading", done, ref.ObjectSize
		line.Took = now.Sub(began)
		line.Millis = line.Took.Milliseconds()
		show.Show(line)
		show.Tick(now)
	})
	if err != nil {
		return interruptedOr(ctx, err)
	}
	took := time.Since(began)
	show.Show(ui.Line{Kind: ui.KindFinished, Time: time.Now(), Task: transferTask, Took: took, Millis: took.Milliseconds()})
	return nil
}
