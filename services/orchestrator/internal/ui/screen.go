package ui

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// screen is a terminal with a block of lines at its end that is drawn anew.
// What is written to it meanwhile comes above the block, so logs and messages of
// other goroutines may. The cursor rests at the beginning of the block's last
// line, where an echoed ^C does no harm.
type screen struct {
	out  io.Writer
	size func() (columns, rows int)

	mu    sync.Mutex
	block []string // guarded by mu; what is on the screen
	width int      // guarded by mu; of the terminal when it was drawn
	open  bool     // guarded by mu; the last thing written has no newline yet
}

var _ io.Writer = (*screen)(nil)

// Write puts text above the block.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	block := s.block
	var b bytes.Buffer
	s.erase(&b)
	b.Write(p)
	s.open = p[len(p)-1] != '\n'
	if !s.open {
		s.draw(&b, block)
	}
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// show replaces the block. Nothing is written when it would look the same.
func (s *screen) show(block []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if width, _ := s.size(); width == s.width && slices.Equal(block, s.block) {
		return
	}
	var b bytes.Buffer
	s.erase(&b)
	if !s.open {
		s.draw(&b, block)
	}
	_, _ = s.out.Write(b.Bytes()) // a terminal that is gone shows nothing
}

// forget takes the block for gone: something else has written to the terminal.
func (s *screen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block = nil
}

// erase removes the block. Lines that were drawn before the terminal became
// narrower have been wrapped by it.
func (s *screen) erase(b *bytes.Buffer) {
	if len(s.block) == 0 {
		return
	}
	width, _ := s.size()
	up := 0
	for _, line := range s.block[:len(s.block)-1] {
		up += max(1, (columns(line)+width-1)/max(1, width))
	}
	b.WriteByte('\r')
	if up > 0 {
		fmt.Fprintf(b, "\x1b[%dA", up)
	}
	b.WriteString("\x1b[J")
	s.block = nil
}

func (s *screen) draw(b *bytes.Buffer, block []string) {
	width, rows := s.size()
	if rows > 0 && len(block) >= rows {
		block = block[:max(0, rows-1)] // a block that scrolls cannot be erased
	}
	if len(block) == 0 {
		return
	}
	b.WriteString(strings.Join(block, "\n") + "\r")
	s.block, s.width = block, width
}
