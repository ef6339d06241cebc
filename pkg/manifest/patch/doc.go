// Package patch changes YAML before it is read: operations of an ops file, then
// values for variables, both in bosh-cli's syntax.
//
// It works on nodes and keeps their positions. What an operation brings in
// stands where the ops file has it; the value of a variable stands where
// ((variable)) stood, so that a complaint about either leads to the place that
// has to be mended. It reads no files.
//
// Paths are those of go-patch: /key, /0, /-1, /name=value, /-, a ? after the
// first part that may be missing, :before, :after, :prev and :next after a part
// that names an item of a list; ~1, ~0 and ~7 stand for /, ~ and :.
package patch
