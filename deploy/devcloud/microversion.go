package devcloud

import (
	"fmt"
	"net/http"
	"strings"
)

// maxMinor is the newest microversion of Nova, 2.90.
const maxMinor = 90

// microversion is the minor of Nova's 2.x that a request asks for.
func microversion(r *http.Request) (int, error) {
	v, ok := strings.CutPrefix(strings.ToLower(r.Header.Get("OpenStack-API-Version")), "compute ")
	if !ok {
		v = strings.ToLower(r.Header.Get("X-OpenStack-Nova-API-Version"))
	}
	switch v {
	case "":
		return 1, nil
	case "latest":
		return maxMinor, nil
	}
	var major, minor int
	if n, err := fmt.Sscanf(v, "%d.%d", &major, &minor); err != nil || n != 2 {
		return 0, novaError(http.StatusBadRequest, "API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", v)
	}
	if major != 2 || minor < 1 || minor > maxMinor {
		return 0, novaError(http.StatusNotAcceptable, "Version %s is not supported by the API. Minimum is 2.1 and maximum is 2.%d.", v, maxMinor)
	}
	return minor, nil
}

// version tells in Nova's answers which microversion they speak.
func version(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/compute/v2.1/") {
		return
	}
	if minor, err := microversion(r); err == nil {
		w.Header().Set("OpenStack-API-Version", fmt.Sprintf("compute 2.%d", minor))
		w.Header().Set("X-OpenStack-Nova-API-Version", fmt.Sprintf("2.%d", minor))
		w.Header().Add("Vary", "OpenStack-API-Version")
		w.Header().Add("Vary", "X-OpenStack-Nova-API-Version")
	}
}
