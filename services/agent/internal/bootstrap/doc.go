// Package bootstrap makes a machine out of its settings: it loads them and runs
// the steps of Steps, in BOSH's order, one file a step.
//
// Every step may be run again at each boot. None is retried: an error ends the
// agent, whoever supervises it starts it again. What a step changes on the
// machine it asks of the platform; this package itself writes only
// <base>/bosh/settings.json, and reads update_settings.json.
package bootstrap
