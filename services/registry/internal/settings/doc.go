// Package settings is the registry: which VM boots from which settings.
//
// It is the only writer of the bucket bosh_settings. A value rests sealed to the
// registry's own key together with its name, so that neither the bus's disk nor
// a value moved to another name tells or changes anything. Every write is a
// compare-and-set; any number of registries may run at once. What was read stays
// in memory, up to 16 MB, and is given out only after the stream's leader has
// said that nothing changed since: a read never gives less than a write that
// ended before it, through whichever registry. Reads at the same time share the
// question (cache.go, fence.go).
//
// On the bus it serves settings_get, settings_put and settings_delete, with
// settings sealed to whoever reads them. Over HTTP it serves the API of BOSH's
// registry: writers need the credential of registry.http, readers need it or
// the address that settings_put recorded for the instance. The address is the
// connection's own; headers about forwarding are not looked at. Nothing is
// listed, and no settings are logged.
package settings
