package openstack

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
)

// maxReason bounds what is quoted of an error answer.
const maxReason = 300

var (
	// Who validates a request quotes what it was sent, user data and passwords
	// among it. The field's name must do.
	fieldPattern  = regexp.MustCompile(`(?is)(invalid input for field\S* \S+?)[.:]*\s.*`)
	quotedPattern = regexp.MustCompile(`(?is)[.:]?\s*(value:|failed validating|on instance\b).*`)

	// What is this long and has no space is encoded data.
	encodedPattern = regexp.MustCompile(`[A-Za-z0-9+/_=-]{65,}`)
)

// reason finds the words in an error answer, whichever service's shape it has,
// without what it repeats of the request.
func reason(answer gophercloud.ErrUnexpectedResponseCode) string {
	var tree any
	text := strings.TrimSpace(string(answer.Body))
	if json.Unmarshal(answer.Body, &tree) == nil {
		if found := message(tree, 4); found != "" {
			text = found
		}
	}
	if answer.Actual == http.StatusBadRequest {
		text = quotedPattern.ReplaceAllString(fieldPattern.ReplaceAllString(text, "$1"), "")
	}
	text = encodedPattern.ReplaceAllString(text, "...")
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		text = http.StatusText(answer.Actual)
	}
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "..."
	}
	return text
}

func message(tree any, depth int) string {
	node, ok := tree.(map[string]any)
	if !ok || depth == 0 {
		return ""
	}
	for _, key := range []string{"message", "faultstring"} { // Octavia has the latter
		if text, ok := node[key].(string); ok {
			return text
		}
	}
	for _, child := range node {
		if text := message(child, depth-1); text != "" {
			return text
		}
	}
	return ""
}
