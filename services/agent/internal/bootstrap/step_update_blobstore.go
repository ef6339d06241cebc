package bootstrap

import (
	"context"
	"maps"
)

func updateBlobstore(_ context.Context, b *boot) error {
	u, err := b.updated()
	if err != nil {
		return err
	}
	store := b.DefaultBlobstore
	options := maps.Clone(store.Options)
	if options == nil {
		options = map[string]any{}
	}
	from := b.Settings.Blobstore
	if len(b.env.Bosh.Blobstores) > 0 {
		from = b.env.Bosh.Blobstores[0]
	}
	if len(u.Blobstores) > 0 {
		from = u.Blobstores[0]
	}
	if from.Provider != "" {
		store.Provider = from.Provider
	}
	maps.Copy(options, from.Options)
	store.Options = options
	b.Blobstore = store
	return nil
}
