package openstack

import (
	"net/http"
	"strconv"
	"time"
)

// longestDelay is how far a cloud's wish for a pause is followed.
const longestDelay = time.Minute

// delayed is an error of a cloud that said when to ask again.
type delayed struct {
	error
	after time.Duration
}

func (d *delayed) Unwrap() error { return d.error }

// RetryAfter is when the cloud wants to be asked again.
func (d *delayed) RetryAfter() time.Duration { return d.after }

// retryAfter reads the header of that name, in seconds; 0 = there is none.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 3600))*time.Second, longestDelay)
}
