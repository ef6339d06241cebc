package conformance_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
)

// target is a cloud to conform on.
type target struct {
	Name     string
	AuthURL  string `json:"auth_url"`
	Username string `json:"username"`
	Password string `json:"password"`
	Project  string `json:"project"`
	Tight    string `json:"tight_project"` // in which nothing fits; "" = there is none
	Admin    string `json:"admin"`
	Region   string `json:"region"`
	Private  subnet `json:"private"`
	Second   subnet `json:"second"`
	External subnet `json:"external"`

	settle time.Duration
	dev    *devcloud.Cloud // nil: the real one
}

type subnet struct {
	ID   string       `json:"id"`
	CIDR netip.Prefix `json:"cidr,omitzero"`
}

// real names the real OpenStack's cloud.json.
const real = "MICROBOSH_OPENSTACK"

// eachTarget runs a test on every cloud there is.
func eachTarget(t *testing.T, test func(*testing.T, target)) {
	t.Helper()
	t.Parallel()
	t.Run("devcloud", func(t *testing.T) {
		t.Parallel()
		test(t, small(t))
	})
	if os.Getenv(real) == "" {
		return // make test-openstack brings it up
	}
	t.Run("openstack", func(t *testing.T) { test(t, whole(t)) })
}

func small(t testing.TB) target {
	t.Helper()
	second := netip.MustParsePrefix("127.21.0.0/16")
	cloud := cloudtest.Start(t, func(o *devcloud.Options) { o.Second = second })
	return target{
		Name: "devcloud", AuthURL: cloud.AuthURL(), Username: devcloud.User, Password: cloud.Password(), Project: devcloud.Project,
		Admin: devcloud.User, Region: devcloud.Region, Private: subnet{cloud.NetworkID(), cloud.Subnet()}, Second: subnet{cloud.SecondID(), second},
		settle: time.Second, dev: cloud,
	}
}

// whole is the real one. It belongs to one test at a time.
func whole(t testing.TB) target {
	t.Helper()
	b, err := os.ReadFile(os.Getenv(real))
	if err != nil {
		t.Fatal(err)
	}
	o := target{Name: "openstack", settle: 8 * time.Second}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}
