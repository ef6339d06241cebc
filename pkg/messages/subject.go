package messages

import (
	"fmt"
	"regexp"
	"strings"
)

// Root is the first two tokens of every subject of microbosh's own.
const Root = "bosh.v1"

var (
	deploymentPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	uidPattern        = regexp.MustCompile(`^[a-z0-9]{8,32}$`)
	tokenPattern      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	stepIDPattern     = regexp.MustCompile(`^([a-z0-9]{8,32})-([a-z][a-z0-9_]{0,40})-([1-9][0-9]{0,8})$`)
)

// ParseDeployment checks a deployment's name: a letter or digit, then letters,
// digits, - and _, 63 at most. It is a subject token and is never escaped.
func ParseDeployment(name string) (string, error) {
	if !deploymentPattern.MatchString(name) {
		return "", Errorf(CodeInvalidName, "the deployment name %q is not usable", clip(name, 40)).
			WithHint("use 1 to 63 letters, digits, '-' and '_', beginning with a letter or digit")
	}
	return name, nil
}

// ParseUID checks a deployment's uid: 8 to 32 of a-z and 0-9.
func ParseUID(uid string) (string, error) {
	if !uidPattern.MatchString(uid) {
		return "", Errorf(CodeInvalidName, "the deployment uid %q is not usable", clip(uid, 40))
	}
	return uid, nil
}

// ParseToken checks any other single subject token (cloud, service, agent id).
func ParseToken(what, token string) (string, error) {
	if !tokenPattern.MatchString(token) {
		return "", Errorf(CodeInvalidName, "the %s %q is not usable as a subject token", what, clip(token, 40))
	}
	return token, nil
}

// StepID names one use of a step in a deployment's life:
// <deployment uid>-<step>-<n>, one subject token. n counts from 1.
func StepID(uid, step string, n int) string { return fmt.Sprintf("%s-%s-%d", uid, step, n) }

// ParseStepID takes a step id apart.
func ParseStepID(id string) (uid, step string, n int, err error) {
	m := stepIDPattern.FindStringSubmatch(id)
	if m == nil {
		return "", "", 0, Errorf(CodeInvalidName, "%q is no step id", clip(id, 80))
	}
	if _, err := fmt.Sscanf(m[3], "%d", &n); err != nil {
		return "", "", 0, Errorf(CodeInvalidName, "%q is no step id", clip(id, 80))
	}
	return m[1], m[2], n, nil
}

// CommandSubject carries the deploy requests of one deployment.
func CommandSubject(deployment string) string { return Root + ".cmd." + deployment }

// JournalSubject carries one kind of fact of one deployment.
func JournalSubject(deployment, fact string) string {
	return Root + ".journal." + deployment + "." + fact
}

// JournalFilter matches all facts of one deployment: the scope of its
// compare-and-set.
func JournalFilter(deployment string) string { return Root + ".journal." + deployment + ".>" }

// StepSubject carries step commands to the CPI of a cloud.
func StepSubject(cloud, method, deployment string) string {
	return Root + ".step." + cloud + "." + method + "." + deployment
}

// StepFilter matches all step commands for one cloud.
func StepFilter(cloud string) string { return Root + ".step." + cloud + ".>" }

// ResultSubject carries the results of one step: the CPI's ledger entry.
func ResultSubject(cloud, method, deployment, stepID string) string {
	return Root + ".result." + cloud + "." + method + "." + deployment + "." + stepID
}

// ResultFilter matches all results of one deployment on any cloud.
func ResultFilter(deployment string) string { return Root + ".result.*.*." + deployment + ".>" }

// EventSubject carries what happened: progress, log lines, the end of runs.
// source is orchestrator, cpi-<cloud> or registry.
func EventSubject(deployment, source, fact string) string {
	return Root + ".event." + deployment + "." + source + "." + fact
}

// EventFilter matches all events of one deployment.
func EventFilter(deployment string) string { return Root + ".event." + deployment + ".>" }

// ServiceSubject is the endpoint of a micro service's method.
func ServiceSubject(service, method string) string { return Root + ".svc." + service + "." + method }

// CPIService is the micro service name of the CPI of a cloud.
func CPIService(cloud string) string { return "cpi-" + cloud }

// Micro service names.
const (
	ServiceOrchestrator = "orchestrator"
	ServiceRegistry     = "registry"
)

// Tokens splits a subject.
func Tokens(subject string) []string { return strings.Split(subject, ".") }

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}

// ObjectSubject is where the chunks of an object lie that has that id.
func ObjectSubject(bucket, id string) string { return "$O." + bucket + ".C." + id }

// ObjectInfoSubject is where an object store describes an object, by its name in
// base64.
func ObjectInfoSubject(bucket, name string) string { return "$O." + bucket + ".M." + name }

// StemcellObject names the image of a stemcell in the object store, on its way
// to a deployment: no other one's end takes it away.
func StemcellObject(deployment, sha1 string) string { return deployment + "." + sha1 }
