package mbus

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // OpenSSL's way from a password to a key, which the 2014 agents speak
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Credentials are env.bosh.credentials: with them every message is encrypted.
type Credentials struct {
	CryptKey string `json:"crypt_key"`
	SignKey  string `json:"sign_key"`
}

// Crypt is one end of the 2014 agents' encrypted conversations. It hides what
// is said and keeps a message from being said again; TLS does it better.
type Crypt struct {
	keys     Credentials
	clientID string

	mu       sync.Mutex // guards sessions
	sessions map[string]*session
	order    []string // of sessions, the oldest first
}

// session is one counterpart's, which chose its id.
type session struct {
	id    string
	heard uint64 // the last sequence number of the other side
	said  uint64 // the last one of ours
}

// maxSessions bounds what is remembered of counterparts; the oldest go.
const maxSessions = 1024

// NewCrypt makes an end; clientID is how it calls itself.
func NewCrypt(keys Credentials, clientID string) (*Crypt, error) {
	if keys.CryptKey == "" || keys.SignKey == "" {
		return nil, errors.New("cannot encrypt messages: env.bosh.credentials needs crypt_key and sign_key")
	}
	return &Crypt{keys: keys, clientID: clientID, sessions: map[string]*session{}}, nil
}

// envelope is what travels.
type envelope struct {
	ReplyTo   string `json:"reply_to,omitempty"`
	SessionID string `json:"session_id"`
	Data      string `json:"encrypted_data"`
}

// signed is what is encrypted.
type signed struct {
	HMAC string `json:"hmac"`
	Data string `json:"json_data"`
}

// marks are what both sides add to a message.
type marks struct {
	Sequence  uint64 `json:"sequence_number"`
	ClientID  string `json:"client_id"`
	SessionID string `json:"session_id"`
}

// Open reads a request and remembers its session. The reply_to is the one
// outside: the original answers there.
func (c *Crypt) Open(body []byte) (message []byte, sessionID string, err error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, "", fmt.Errorf("the envelope cannot be read: %w", err)
	}
	if e.SessionID == "" || e.Data == "" {
		return nil, "", errors.New("the envelope has no session_id or no encrypted_data")
	}
	data, m, err := c.read(e)
	if err != nil {
		return nil, "", err
	}
	var request map[string]json.RawMessage
	if err := json.Unmarshal(data, &request); err != nil {
		return nil, "", fmt.Errorf("what was encrypted is no message: %w", err)
	}
	if request["reply_to"], err = json.Marshal(e.ReplyTo); err != nil {
		return nil, "", err
	}
	if message, err = json.Marshal(request); err != nil {
		return nil, "", err
	}
	return message, e.SessionID, c.accept(e.SessionID, m.Sequence)
}

// accept takes a sequence number, which must grow.
func (c *Crypt) accept(id string, sequence uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sessions[id]
	if !ok {
		s = &session{id: id, said: firstSequence()}
		c.sessions[id] = s
		c.order = append(c.order, id)
		if len(c.order) > maxSessions {
			delete(c.sessions, c.order[0])
			c.order = c.order[1:]
		}
	}
	if sequence <= s.heard {
		return errors.New("invalid sequence number")
	}
	s.heard = sequence
	return nil
}

// Seal encrypts a reply of the session.
func (c *Crypt) Seal(sessionID string, message []byte) ([]byte, error) {
	c.mu.Lock()
	s, ok := c.sessions[sessionID]
	if !ok { // forgotten meanwhile, as so many others came
		s = &session{id: sessionID, said: firstSequence()}
	}
	s.said++
	sequence := s.said
	c.mu.Unlock()
	return c.write("", sessionID, sequence, message)
}

func (c *Crypt) write(replyTo, sessionID string, sequence uint64, message []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(message, &all); err != nil {
		return nil, fmt.Errorf("cannot encrypt what is no message: %w", err)
	}
	added, err := json.Marshal(marks{Sequence: sequence, ClientID: c.clientID, SessionID: sessionID})
	if err == nil {
		err = json.Unmarshal(added, &all)
	}
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(signed{HMAC: hex.EncodeToString(c.sign(data)), Data: string(data)})
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{ReplyTo: replyTo, SessionID: sessionID, Data: encrypt(c.keys.CryptKey, plain)})
}

func (c *Crypt) read(e envelope) ([]byte, marks, error) {
	var m marks
	plain, err := decrypt(c.keys.CryptKey, e.Data)
	if err != nil {
		return nil, m, err
	}
	var s signed
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, m, errors.New("it does not decrypt to a signed message")
	}
	want, err := hex.DecodeString(s.HMAC)
	if err != nil || !hmac.Equal(want, c.sign([]byte(s.Data))) {
		return nil, m, errors.New("the hmac is not the expected one")
	}
	if err := json.Unmarshal([]byte(s.Data), &m); err != nil {
		return nil, m, fmt.Errorf("what was signed is no message: %w", err)
	}
	switch m.SessionID {
	case e.SessionID:
		return []byte(s.Data), m, nil
	case "":
		return nil, m, errors.New("no session_id")
	default:
		return nil, m, errors.New("session_id mismatch")
	}
}

func (c *Crypt) sign(data []byte) []byte {
	h := hmac.New(sha256.New, []byte(c.keys.SignKey))
	h.Write(data)
	return h.Sum(nil)
}

// firstSequence is later than any of an earlier process.
func firstSequence() uint64 {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails: the runtime ends the program first
	return uint64(time.Now().Unix()) + uint64(binary.BigEndian.Uint32(random[:]))
}

// What `openssl enc -aes-256-cbc -md md5 -a` writes.
const (
	salted  = "Salted__"
	saltLen = 8
	keyLen  = 32
)

func stretch(password string, salt []byte) (key, iv []byte) {
	var all, last []byte
	for len(all) < keyLen+aes.BlockSize {
		h := md5.New() //nolint:gosec // see above
		h.Write(last)
		h.Write([]byte(password))
		h.Write(salt)
		last = h.Sum(nil)
		all = append(all, last...)
	}
	return all[:keyLen], all[keyLen : keyLen+aes.BlockSize]
}

func encrypt(password string, plain []byte) string {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails: the runtime ends the program first
	key, iv := stretch(password, salt)
	block, _ := aes.NewCipher(key) // never fails: the key's length is right
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	padded := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	text := base64.StdEncoding.EncodeToString(append(append([]byte(salted), salt...), padded...))
	const width = 60 // Ruby's Base64.encode64
	var lines strings.Builder
	for len(text) > width {
		lines.WriteString(text[:width] + "\n")
		text = text[width:]
	}
	return lines.String() + text + "\n"
}

var errDecrypt = errors.New("it cannot be decrypted")

func decrypt(password, text string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, text))
	if err != nil || len(raw) < len(salted)+saltLen+aes.BlockSize || string(raw[:len(salted)]) != salted {
		return nil, errDecrypt
	}
	salt, data := raw[len(salted):len(salted)+saltLen], raw[len(salted)+saltLen:]
	if len(data)%aes.BlockSize != 0 {
		return nil, errDecrypt
	}
	key, iv := stretch(password, salt)
	block, _ := aes.NewCipher(key) // never fails: the key's length is right
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(data[len(data)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errDecrypt
	}
	return data[:len(data)-pad], nil
}

// Peer is the Director's side of a conversation.
type Peer struct {
	crypt *Crypt
	s     session
}

// NewPeer begins a conversation under a session id.
func NewPeer(keys Credentials, clientID, sessionID string) (*Peer, error) {
	c, err := NewCrypt(keys, clientID)
	return &Peer{c, session{id: sessionID, said: firstSequence()}}, err
}

// Seal encrypts a request that is answered at replyTo.
func (p *Peer) Seal(replyTo string, message []byte) ([]byte, error) {
	p.s.said++
	return p.crypt.write(replyTo, p.s.id, p.s.said, message)
}

// Open reads a reply.
func (p *Peer) Open(body []byte) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	if e.SessionID != p.s.id {
		return nil, errors.New("session_id mismatch")
	}
	data, m, err := p.crypt.read(e)
	if err != nil {
		return nil, err
	}
	if m.Sequence <= p.s.heard {
		return nil, errors.New("invalid sequence number")
	}
	p.s.heard = m.Sequence
	return data, nil
}
