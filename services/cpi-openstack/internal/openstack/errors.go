package openstack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/microbosh/microbosh/pkg/messages"
)

const quotaHint = "free something in the project or have its quota raised, then run the same command again"

const fullHint = "the cloud's image store is full: delete images that nobody needs or ask its operator for room, then run the same command again"

const unguardedHint = "the network has port security off, so its ports take neither security groups nor allowed_address_pairs: leave them out (default_security_groups, too), or have it on: openstack network set --enable-port-security NETWORK"

// effect says whether a request that got no clear answer may have changed
// something.
type effect bool

const (
	reads  effect = false
	writes effect = true
)

var (
	quotaPattern = regexp.MustCompile(`(?i)quota|exceed|limit`)

	// Glance answers 413 with "Image storage media is full" (its
	// api/v2/image_data.py), which no repeat changes.
	fullPattern = regexp.MustCompile(`(?i)storage media|disk space`)

	// Neutron's AddressPairAndPortSecurityRequired (a 409) and
	// PortSecurityAndIPRequiredForSecurityGroups (a 400) say this.
	unguardedPattern = regexp.MustCompile(`(?i)port security must be enabled`)

	// Nova and Octavia refuse this way while something else is being done to a
	// server or a load balancer.
	busyPattern = regexp.MustCompile(`(?i)while it is in (task_state|vm_state building)|load balancer .* is immutable`)
)

// classify turns an error of the cloud into one with a code. doing is what was
// tried: "list servers".
func classify(doing string, e effect, err error) error {
	if err == nil {
		return nil
	}
	var already *messages.Error
	if errors.As(err, &already) {
		return fmt.Errorf("cannot %s: %w", doing, err)
	}
	var failedAuth *gophercloud.ErrUnableToReauthenticate
	if errors.As(err, &failedAuth) {
		return classify(doing, reads, failedAuth.ErrReauth) // the request itself was refused
	}
	var answer gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &answer) {
		return classifyAnswer(doing, e, answer)
	}
	var missing *gophercloud.ErrEndpointNotFound
	if errors.As(err, &missing) {
		return messages.Errorf(messages.CodeCloudInvalid, "cannot %s: the catalog has no such service", doing).
			WithHint("check region and endpoint_type in cloud.properties.openstack")
	}
	return classifyTransport(doing, e, err)
}

func classifyAnswer(doing string, e effect, answer gophercloud.ErrUnexpectedResponseCode) error {
	if answer.Actual < http.StatusBadRequest {
		return classifyTransport(doing, e, fmt.Errorf("the cloud answered %d, which means nothing here", answer.Actual))
	}
	why := reason(answer)
	fail := func(code messages.Code, hint string) error {
		out := messages.Errorf(code, "cannot %s: the cloud answered %d: %s", doing, answer.Actual, why)
		if hint != "" {
			out = out.WithHint("%s", hint)
		}
		if after := retryAfter(answer.ResponseHeader); after > 0 {
			return &delayed{out, after}
		}
		return out
	}
	if unguardedPattern.MatchString(why) {
		return fail(messages.CodeCloudInvalid, unguardedHint)
	}
	switch answer.Actual {
	case http.StatusUnauthorized:
		return fail(messages.CodeCloudAuth, "check username, api_key, tenant and domain in cloud.properties.openstack")
	case http.StatusForbidden, http.StatusRequestEntityTooLarge:
		if quotaPattern.MatchString(why) {
			return fail(messages.CodeCloudQuota, quotaHint)
		}
		if fullPattern.MatchString(why) {
			return fail(messages.CodeCloudQuota, fullHint)
		}
		if answer.Actual == http.StatusForbidden {
			return fail(messages.CodeCloudAuth, "the user lacks the role for this; ask the cloud's operator")
		}
		return fail(messages.CodeCloudTransient, "")
	case http.StatusNotFound:
		return fail(messages.CodeCloudNotFound, "")
	case http.StatusConflict:
		if strings.Contains(strings.ToLower(why), "quota") {
			return fail(messages.CodeCloudQuota, quotaHint)
		}
		if busyPattern.MatchString(why) {
			return fail(messages.CodeCloudTransient, "")
		}
		return fail(messages.CodeCloudConflict, "")
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return fail(messages.CodeCloudTransient, "")
	}
	switch {
	case answer.Actual >= 500 && e == writes:
		return fail(messages.CodeCloudAmbiguous, "")
	case answer.Actual >= 500:
		return fail(messages.CodeCloudTransient, "")
	}
	return fail(messages.CodeCloudInvalid, "")
}

// classifyTransport is for answers that did not come, or came in pieces. Only
// when nobody listened is it sure that nothing happened.
func classifyTransport(doing string, e effect, err error) error {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return messages.Errorf(messages.CodeCloudInvalid, "cannot %s: %w", doing, err).
			WithHint("put the certificate of the cloud's authority into connection_options.ca_cert in cloud.properties.openstack")
	}
	if nobody(err) {
		return messages.Errorf(messages.CodeCloudUnreachable, "cannot %s: %w", doing, err).
			WithHint("see that auth_url in cloud.properties.openstack is right, and that the machine of the CPI reaches the cloud's API: curl -i URL")
	}
	var op *net.OpError
	if e == reads || (errors.As(err, &op) && op.Op == "dial") {
		return messages.Errorf(messages.CodeCloudTransient, "cannot %s: %w", doing, err).
			WithHint("see that the cloud's API answers from here")
	}
	return messages.Errorf(messages.CodeCloudAmbiguous, "cannot %s: no whole answer came: %w", doing, err)
}

// nobody tells whether there is no such host, or nobody who listens there.
func nobody(err error) bool {
	var op *net.OpError
	var name *net.DNSError
	if !errors.As(err, &op) || op.Op != "dial" {
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &name) && name.IsNotFound
}

func hasCode(err error, code messages.Code) bool { return messages.CodeOf(err) == code }

func notFound(err error) bool { return hasCode(err, messages.CodeCloudNotFound) }
