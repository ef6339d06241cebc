// Package statefile is what the deployer remembers on disk beside a manifest:
// the uid of each deployment (in the state folder .microbosh), the deployment
// chosen by `microbosh deployment` (in the user's config folder), and
// bosh-deployments.yml, the readable projection of the journal.
//
// Every file is written atomically. The uid is on disk before the first request
// that carries it, so that a request never gets lost with its sender; the
// projection may be deleted at any time.
package statefile
