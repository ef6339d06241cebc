// Package blobstore is where jobs and packages come from: blobs by id, always
// verified against their digest before anything is done with them, and
// unpacked so that no archive can write outside its folder or fill the disk.
package blobstore
