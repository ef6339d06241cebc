// Package ui is everything a person reads in the terminal: the story of a run
// as lines, told from the messages on the bus, and the renderers that print it.
//
// Story is pure: messages in, lines out, time taken from the messages. A
// Renderer prints lines; there is one for people and pipes (plain) and one for
// programs (JSON). Terminal holds the streams and the rules in terminal.go.
package ui
