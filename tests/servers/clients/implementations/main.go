// Connects to each server that standard input names, and reports the answer of crypto/tls.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Println(runtime.Version())
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		answer := strings.Join(strings.Fields(ask(fields[1], fields[2], fields[3])), " ")
		fmt.Printf("%s\t%s\n", fields[0], answer)
	}
}

func ask(host, port, file string) string {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	pool := x509.NewCertPool()
	unread := ""
	for {
		var block *pem.Block
		block, bytes = pem.Decode(bytes)
		if block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			unread += "roots: " + err.Error() + "; "
			continue
		}
		pool.AddCert(certificate)
	}
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	config := &tls.Config{RootCAs: pool, ServerName: host}
	connection, err := tls.DialWithDialer(dialer, "tcp", "127.0.0.1:"+port, config)
	if err != nil {
		return unread + err.Error()
	}
	connection.Close()
	return unread + "ok"
}
