package linux_test

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

func TestFirewall(t *testing.T) {
	t.Parallel()
	inVM(t, []string{"iptables", "ip6tables", "iptables-save"}, func(v *vm) {
		v.sh("iptables -A OUTPUT -d 10.9.9.9 -j ACCEPT") // somebody else's
		first := []platform.Drop{{To: "10.0.0.9"}, {To: "10.1.0.0/16"}, {To: "10.0.0.5", Port: 4222}, {To: "fe80::a9fe:a9fe"}}
		for range 3 {
			v.must(v.Drop(v.ctx, first))
		}
		v.is("iptables -S OUTPUT", "-P OUTPUT ACCEPT\n-A OUTPUT -d 10.9.9.9/32 -j ACCEPT\n-A OUTPUT -j agent-filter")
		v.is("iptables -S agent-filter", `-N agent-filter
-A agent-filter -d 10.0.0.9/32 -m owner ! --uid-owner 0 -j DROP
-A agent-filter -d 10.1.0.0/16 -m owner ! --uid-owner 0 -j DROP
-A agent-filter -d 10.0.0.5/32 -p tcp -m tcp --dport 4222 -m owner ! --uid-owner 0 -j DROP`)
		v.is("ip6tables -S agent-filter", "-N agent-filter\n-A agent-filter -d fe80::a9fe:a9fe/128 -m owner ! --uid-owner 0 -j DROP")
		v.must(v.Drop(v.ctx, first[:1])) // an update takes rules away
		v.sh("iptables -F agent-filter") // as a kill in between leaves it
		v.must(v.Drop(v.ctx, first[:1]))
		v.is("iptables -S agent-filter", "-N agent-filter\n-A agent-filter -d 10.0.0.9/32 -m owner ! --uid-owner 0 -j DROP")
		v.is("ip6tables -S agent-filter", "-N agent-filter")
		v.refused(v.Drop(v.ctx, []platform.Drop{{To: "no.such.name.invalid", Must: true}}), "cannot keep no.such.name.invalid to root")
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	inVM(t, []string{"chpasswd", "useradd"}, func(v *vm) {
		const hash = "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g."
		for range 2 {
			v.must(v.SetPassword(v.ctx, hash, "root", "vcap"))
			v.must(v.AuthorizeKeys(v.ctx, []string{"ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"}))
		}
		v.is("getent shadow root vcap | cut -d: -f1,2", "root:"+hash+"\nvcap:"+hash)
		v.is("cat /home/vcap/.ssh/authorized_keys", "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b")
		v.is("stat -c '%a %U:%G' /home/vcap/.ssh /home/vcap/.ssh/authorized_keys", "700 vcap:vcap\n644 vcap:vcap")
		v.must(v.SetPassword(v.ctx, "$6$other", "vcap"))
		v.is("getent shadow root vcap | cut -d: -f2", hash+"\n$6$other")
		v.refused(v.SetPassword(v.ctx, "x\nroot:y", "vcap"), "no hash")
		v.refused(v.AuthorizeKeys(v.ctx, []string{"a\nb"}), "more than one line")
	})
}

func TestHostname(t *testing.T) {
	t.Parallel()
	inVM(t, nil, func(v *vm) {
		for range 2 {
			v.must(v.SetHostname(v.ctx, "bm-1"))
		}
		v.is("hostname; cat /etc/hostname", "bm-1\nbm-1")
		v.is("cat /etc/hosts", strings.TrimSpace(platform.Hosts("bm-1")))
	})
}

func TestNetworking(t *testing.T) {
	t.Parallel()
	inVM(t, []string{"ip"}, func(v *vm) {
		v.sh("ip link add eth0 type veth peer name out; ip link set out up; mkdir -p /etc/network /etc/dhcp; rm -f /etc/resolv.conf")
		mac := v.sh("cat /sys/class/net/eth0/address")
		static := false
		networks := map[string]messages.Network{
			"a": {Type: "manual", IP: "172.30.40.115", Netmask: "255.255.248.0", Gateway: "172.30.40.1", MAC: mac,
				Default: []string{"dns", "gateway"}, DNS: []string{"10.0.0.2", "10.0.0.3"}, UseDHCP: &static},
			"vip": {Type: "vip", IP: "203.0.113.10"},
		}
		for range 2 {
			v.must(v.SetupNetworking(v.ctx, networks))
		}
		v.is("cat /etc/network/interfaces", `auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address 172.30.40.115
    network 172.30.40.0
    netmask 255.255.248.0
    broadcast 172.30.47.255
    gateway 172.30.40.1`)
		v.is("cat /etc/resolv.conf", "nameserver 10.0.0.2\nnameserver 10.0.0.3")
		v.is("ip -4 -o addr show dev eth0 | awk '{print $4}'", "172.30.40.115/21")
		v.is("ip route show default | awk '{print $3, $5}'", "172.30.40.1 eth0")
		got, err := v.DefaultNetwork(v.ctx)
		if err != nil || got.IP != "172.30.40.115" || got.Netmask != "255.255.248.0" || got.Gateway != "172.30.40.1" {
			v.Errorf("got %+v %v", got, err)
		}
		v.must(v.SetupNetworking(v.ctx, map[string]messages.Network{"a": {Type: "dynamic", Default: []string{"dns"}, DNS: []string{"10.0.0.4", "10.0.0.5"}}}))
		v.is("grep prepend /etc/dhcp/dhclient.conf", "prepend domain-name-servers 10.0.0.5;\nprepend domain-name-servers 10.0.0.4;")
		v.refused(v.SetupNetworking(v.ctx, map[string]messages.Network{"a": {Type: "manual", IP: "10.0.0.1", Netmask: "255.0.0.0", MAC: "02:00:00:00:00:01", UseDHCP: &static}}),
			"MAC from settings not present in instance")
	})
}

func TestTimeOfAContainerIsRecorded(t *testing.T) {
	t.Parallel()
	inVM(t, nil, func(v *vm) {
		v.must(v.SetTime(v.ctx, []string{"0.pool.ntp.org", "10.0.0.1"}))
		v.is("cat /var/vcap/bosh/etc/ntpserver", "0.pool.ntp.org 10.0.0.1")
		var got platform.Recorded
		v.must(home.ReadJSON(v.dir.Bosh("recorded", "update_time.json"), &got))
		if len(got.Changes) != 1 {
			v.Errorf("got %+v", got)
		}
		v.refused(v.SetTime(v.ctx, []string{"a b"}), "is no host")
	})
}

func TestFoldersAndPermissions(t *testing.T) {
	t.Parallel()
	inVM(t, []string{"mke2fs", "mount"}, func(v *vm) {
		v.sh("mkdir -p /var/vcap/store && chmod 755 /var/vcap/store && touch /dev/log")
		v.must(v.SetupDataDisk(v.ctx, "")) // none
		for range 2 {
			v.must(v.SetupDataSys(v.ctx))
			v.must(v.SetupTmp(v.ctx))
			v.must(v.HardenPermissions(v.ctx))
			v.must(v.SetupLogrotate(v.ctx, "50M"))
		}
		v.is("stat -c '%a %U:%G' /var/vcap/data/sys/log /var/vcap/data/sys/run /tmp /var/tmp /etc/cron.allow /etc/at.allow /dev/log /dev/shm /var/lock/",
			"750 root:vcap\n750 root:vcap\n770 root:vcap\n700 root:root\n640 root:vcap\n640 root:vcap\n660 root:vcap\n770 root:vcap\n770 root:vcap")
		v.is("stat -c %a /var/vcap/data /var/vcap/store", "751\n751")
		v.is("readlink /var/vcap/sys; cat /etc/cron.allow", "data/sys\nvcap")
		v.is("findmnt -n -o FSTYPE /tmp", "ext4")
		v.is("findmnt -n -o TARGET /tmp | wc -l", "1")
		v.is("stat -c '%a %s' /var/vcap/data/root_tmp", "700 134217728")
		v.is("grep -c copytruncate /etc/logrotate.d/vcap", "1")
		v.sh("mkdir -p /var/vcap/data/jobs/a/bin && touch /var/vcap/data/jobs/a/bin/run /etc/not && ln -s /etc/not /var/vcap/data/jobs/a/link && chmod 750 /var/vcap/data/jobs/a/bin")
		v.must(v.GiveToJobs(v.ctx, "/var/vcap/data/jobs/a"))
		v.is("cd /var/vcap/data/jobs && stat -c '%U:%G' a a/bin a/bin/run a/link /etc/not", "root:vcap\nroot:vcap\nroot:vcap\nroot:vcap\nroot:root")
		v.is("stat -c %a /var/vcap/data/jobs/a/bin", "750")
	})
}

// The tool is gone from the machine, not from the host.
func TestAMissingToolIsNamed(t *testing.T) {
	t.Parallel()
	inVM(t, diskTools(), func(v *vm) {
		v.sh("rm -f $(command -v sfdisk) $(command -v iptables) /sbin/iptables /sbin/sfdisk /usr/sbin/sfdisk")
		v.disk("/dev/sdb", 128)
		v.refused(v.SetupDataDisk(v.ctx, "/dev/sdb"), "cannot run sfdisk: it is not installed; install the package fdisk")
		v.refused(v.Drop(v.ctx, []platform.Drop{{To: "10.0.0.9"}}), "cannot run iptables: it is not installed; install the package iptables")
	})
}

func TestAConfigDriveIsRead(t *testing.T) {
	t.Parallel()
	inVM(t, diskTools(), func(v *vm) {
		v.disk("/dev/sr1", 16)
		v.sh("mke2fs -q -t ext4 -F -L config-2 /dev/sr1; mount /dev/sr1 /mnt; mkdir -p /mnt/ec2/latest; echo '{}' > /mnt/ec2/latest/user-data; ln -s /etc/shadow /mnt/ec2/latest/meta-data.json; umount /mnt")
		got, err := v.ReadMedium(v.ctx, "/dev/sr1", "ec2/latest/user-data", "none")
		if err != nil || len(got) != 1 || string(got["ec2/latest/user-data"]) != "{}\n" {
			v.Errorf("got %q %v", got, err)
		}
		if got, err := v.ReadMedium(v.ctx, "/dev/sr1", "ec2/latest/meta-data.json"); err == nil {
			v.Errorf("a link led out of the drive: %q", got)
		}
		v.is("grep -c medium- /proc/self/mountinfo || true", "0")
	})
}
