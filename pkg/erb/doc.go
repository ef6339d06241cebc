// Package erb renders the templates of BOSH jobs that hold ERB, through the
// program ruby when it is there. A template without tags needs none.
//
// The templates are programs of the release: they run as the caller's user.
// Properties go to ruby on its stdin and are in no error.
package erb
