// Package docs carries the pages of this folder that programs show.
package docs

import _ "embed"

// Errors is errors.md: a section for each error code.
//
//go:embed errors.md
var Errors string
