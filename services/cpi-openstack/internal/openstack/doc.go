// Package openstack is the CPI's methods for OpenStack: Keystone v3, Glance v2,
// Nova v2.1, Neutron v2 and Cinder v3. It is the only package that knows
// gophercloud, and it never lets that library repeat a request: what may be
// repeated is decided here and in package cpi.
//
// Every resource carries its deployment's name and uid and the step id of its
// create, inside the create request itself: servers as tags and metadata,
// volumes as metadata, images as tags, ports in their name. Nothing is deleted
// that does not carry the step id of its owner.
//
// A Cloud is safe for concurrent use.
package openstack
