// Go's own verifier, as every Go client has it: reads lines of "address name roots.pem", and says for each whether a TLS handshake there is
// accepted. lab-tools builds it.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func probe(address, name, roots string) string {
	pem, err := os.ReadFile(roots)
	if err != nil {
		return "broken " + err.Error()
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return "broken no roots"
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{RootCAs: pool, ServerName: name})
	if err != nil {
		return "refuse " + err.Error()
	}
	conn.Close()
	return "accept"
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			fmt.Println(probe(f[0], f[1], f[2]))
		}
	}
}
