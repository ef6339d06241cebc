// Package ui is everything a person reads in the terminal: the story of a run
// as lines, told from the messages on the bus, and the renderers that print it.
//
// Story is pure: messages in, lines out, time taken from the messages. A
// Renderer shows lines: plainly for pipes and logs, as JSON for programs, and
// live on a terminal, where View (pure, too) says what is under way and screen
// draws it. Terminal holds the streams and the rules in terminal.go.
package ui
