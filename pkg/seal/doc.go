// Package seal keeps secrets from everybody but the role they are meant for.
//
// Each role has one curve key, kept in <dir>/<role>.xk (0600), its public half
// in <dir>/<role>.xpub. A sealed value names the key it is for and the key that
// sealed it, so an old key, <role>.<n>.xk, can be kept while something names
// it. Boxes are NATS's xkeys (nkeys curve keys, XSalsa20-Poly1305 under X25519).
package seal
