// Package blobstore reads and writes blobs: of the agent's own store
// (<base>/data/blobs, filled by /blobs and upload_blob), of the one that the
// settings name (local or dav), and at signed URLs.
//
// Nothing is used before its digest was verified, and what is unpacked comes to
// be whole or not at all. Signed URLs and passwords are in no error.
package blobstore
