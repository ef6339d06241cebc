// Package director is the door of a micro BOSH as its deployer and the bosh CLI
// know it: GET /info over https. It owns its data folder: the uuid, made once,
// and the key of its self-signed certificate. Everything else that runs in the
// VM is behind it, on the bus.
package director
