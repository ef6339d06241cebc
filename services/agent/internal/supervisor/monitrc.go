package supervisor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// service is a `check process` block.
type service struct {
	Name    string
	PIDFile string
	Start   command
	Stop    command
	Group   string
	Manual  bool
	Depends []string
}

// command is a program with its arguments; monit uses no shell.
type command struct {
	Args    []string
	Timeout time.Duration
}

// defaultTimeout is monit's for start and stop programs.
const defaultTimeout = 30 * time.Second

// token is a word or a quoted string.
type token struct {
	text   string
	quoted bool
	line   int
}

// parseMonitrc reads the services of a monit file. Statements that are not
// supported (tests, other kinds of check) are skipped and named.
func parseMonitrc(text string) (services []service, skipped []string, err error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{tokens: tokens}
	for p.more() {
		if err := p.statement(); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range p.services {
		if s.PIDFile == "" || len(s.Start.Args) == 0 {
			return nil, nil, fmt.Errorf("check process %s needs a pidfile and a start program", s.Name)
		}
	}
	return p.services, p.skipped, nil
}

func tokenize(text string) (tokens []token, err error) {
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\n':
			line++
			i++
		case unicode.IsSpace(rune(c)) || c == ',':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return nil, fmt.Errorf("line %d: the quotation has no end", line)
			}
			word := text[i+1 : i+1+end]
			tokens = append(tokens, token{word, true, line})
			line += strings.Count(word, "\n")
			i += end + 2
		default:
			begin := i
			for i < len(text) && !unicode.IsSpace(rune(text[i])) && !strings.ContainsRune(",#\"'", rune(text[i])) {
				i++
			}
			tokens = append(tokens, token{text[begin:i], false, line})
		}
	}
	return tokens, nil
}

type parser struct {
	tokens   []token
	at       int
	services []service
	skipped  []string
	foreign  bool // inside a check of another kind
}

func (p *parser) more() bool { return p.at < len(p.tokens) }

func (p *parser) is(words ...string) bool {
	for i, word := range words {
		if p.at+i >= len(p.tokens) || p.tokens[p.at+i].quoted || !strings.EqualFold(p.tokens[p.at+i].text, word) {
			return false
		}
	}
	return true
}

// take reads the words if they are next.
func (p *parser) take(words ...string) bool {
	if !p.is(words...) {
		return false
	}
	p.at += len(words)
	return true
}

func (p *parser) value(what string) (string, error) {
	for p.take("=") || p.take("is") {
	}
	if !p.more() {
		return "", fmt.Errorf("the file ends where a %s is expected", what)
	}
	t := p.tokens[p.at]
	p.at++
	if t.text == "" {
		return "", fmt.Errorf("line %d: the %s is empty", t.line, what)
	}
	return t.text, nil
}

func (p *parser) statement() (err error) {
	if p.take("check", "process") {
		name, err := p.value("name")
		if err == nil {
			p.foreign = false
			p.services = append(p.services, service{Name: name})
		}
		return err
	}
	if p.is("check") || p.is("set") || p.is("include") {
		p.foreign = p.is("check")
		p.skip()
		return nil
	}
	if len(p.services) == 0 || p.foreign {
		p.skip()
		return nil
	}
	s := &p.services[len(p.services)-1]
	switch {
	case p.take("with", "pidfile"), p.take("pidfile"):
		s.PIDFile, err = p.value("pid file")
	case p.take("start", "program"), p.take("start"):
		s.Start, err = p.program()
	case p.take("stop", "program"), p.take("stop"):
		s.Stop, err = p.program()
	case p.take("group"):
		s.Group, err = p.value("group")
	case p.take("mode"):
		var mode string
		mode, err = p.value("mode")
		s.Manual = strings.EqualFold(mode, "manual")
	case p.take("depends", "on"), p.take("depends"):
		err = p.depends(s)
	default:
		p.skip()
	}
	return err
}

// begins tells whether a statement begins here.
func (p *parser) begins() bool {
	for _, word := range []string{"check", "set", "include", "pidfile", "start", "stop", "restart", "group", "mode", "depends", "if", "alert", "every", "noalert"} {
		if p.is(word) {
			return true
		}
	}
	return p.is("with", "pidfile")
}

func (p *parser) depends(s *service) error {
	for p.more() && !p.begins() {
		s.Depends = append(s.Depends, p.tokens[p.at].text)
		p.at++
	}
	if len(s.Depends) == 0 {
		return fmt.Errorf("check process %s depends on nothing", s.Name)
	}
	return nil
}

// program reads "CMD ARGS" and its timeout; user and group are those of the
// agent.
func (p *parser) program() (command, error) {
	text, err := p.value("program")
	if err != nil {
		return command{}, err
	}
	c := command{Args: strings.Fields(text), Timeout: defaultTimeout}
	if len(c.Args) == 0 {
		return command{}, errors.New("a program is empty")
	}
	for {
		switch {
		case p.take("with"), p.take("using"), p.take("and"), p.take("as"):
		case p.take("uid"), p.take("gid"):
			if _, err := p.value("user"); err != nil {
				return command{}, err
			}
		case p.take("timeout"):
			n, err := p.value("timeout")
			if err != nil {
				return command{}, err
			}
			seconds, err := strconv.Atoi(n)
			const longest = 24 * 60 * 60
			if err != nil || seconds <= 0 || seconds > longest {
				return command{}, fmt.Errorf("the timeout %q is no number of seconds", n)
			}
			c.Timeout = time.Duration(seconds) * time.Second
			_ = p.take("seconds") || p.take("second")
		default:
			return c, nil
		}
	}
}

// skip passes one statement that is not supported. The actions of a test
// (restart, alert, stop...) look like statements and belong to it.
func (p *parser) skip() {
	first := p.tokens[p.at]
	isTest := p.is("if")
	p.at++
	for p.more() {
		if isTest && p.take("then") {
			p.at++ // its action
			if p.take("else") {
				_ = p.take("if")
				continue
			}
			continue
		}
		if p.begins() && p.tokens[p.at].line != first.line || p.is("if") {
			break
		}
		if p.begins() && !isTest {
			break
		}
		p.at++
	}
	p.at = min(p.at, len(p.tokens))
	p.skipped = append(p.skipped, fmt.Sprintf("line %d: %s", first.line, first.text))
}
