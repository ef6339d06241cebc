// Package conformance is what a CPI must do, asked on its bus and looked up in
// the cloud: the same suite against devcloud and against a real OpenStack (see
// test/openstack), with the same results. The real one is used when
// MICROBOSH_OPENSTACK names its cloud.json.
//
// Between CPI and cloud sits a wire that notes every call, and can end the CPI
// before or after any of them.
package conformance
