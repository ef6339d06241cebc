// Package jobset switches a machine from one set of jobs and packages to the
// next: the links jobs/<job>, packages/<package> and <job>/packages/<package>,
// the folder monit/job, and the applied spec with what jobs read of it in
// <base>/instance.
//
// The set is the old one until Commit and the new one afterwards, whatever is
// killed in between: <base>/bosh/switch.json remembers what was there before
// the first change, Recover puts that back at the agent's next start, and the
// rename that marks the journal done is the moment of the switch.
//
// What links lead to was unpacked before and never changes, so the package
// itself writes nothing but links, monit files, the spec, who the instance is,
// and its journal. Only one switch may be under way.
package jobset
