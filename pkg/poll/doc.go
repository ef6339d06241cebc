// Package poll has the pause between two looks, or two tries, for what tells
// nobody when it changes. Who can wait for an event does not need it; the polls
// that remain are named in ARCHITECTURE.md.
package poll
