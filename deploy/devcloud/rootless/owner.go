package rootless

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// nobody owns a connection of which the kernel tells nothing. An IPv6 socket
// that was connected to an IPv4 address is one.
const nobody = -1

// owner is the user of a local program's end of a connection, as the kernel
// tells.
func owner(from, to net.Addr) int {
	local, remote := kernelAddress(from), kernelAddress(to)
	f, err := os.Open("/proc/net/tcp")
	if err != nil || local == "" {
		return nobody
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 7 && fields[1] == local && fields[2] == remote {
			uid, err := strconv.Atoi(fields[7])
			if err != nil {
				return nobody
			}
			return uid
		}
	}
	return nobody
}

// kernelAddress writes an IPv4 address as /proc/net/tcp does.
func kernelAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp.IP.To4() == nil {
		return ""
	}
	b := tcp.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", b[3], b[2], b[1], b[0], tcp.Port)
}
