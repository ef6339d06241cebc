// Package mbus carries BOSH's agent protocol: one Dispatcher, two transports,
// NATS and HTTPS.
//
// What arrives is untrusted: a body that is no request is logged and dropped,
// and an answer over NATS goes to the body's reply_to only when that is
// director.*.<this agent>.*. Requests are handed to the dispatcher in the order
// they arrive, and each is answered on its own, so that a slow one keeps nobody
// else waiting.
package mbus
