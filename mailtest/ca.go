package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// CA is a certificate authority for tests.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// DefaultCA returns the authority that servers use when they are given none. It is made once per process.
func DefaultCA() *CA { return defaultCA() }

var defaultCA = sync.OnceValue(NewCA)

// NewCA makes an authority. It panics when the system has no randomness.
func NewCA() *CA {
	ca := &CA{key: newKey()}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "mailtest CA"},
		NotBefore: certStart, NotAfter: certEnd,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key))
	ca.cert = must(x509.ParseCertificate(der))
	ca.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return ca
}

// Certificates are valid for every plausible clock, also that of a testing/synctest bubble.
var (
	certStart = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	certEnd   = time.Date(2190, 1, 1, 0, 0, 0, 0, time.UTC)
)

// PEM is the authority's certificate.
func (ca *CA) PEM() []byte { return ca.pem }

// Pool trusts this authority alone.
func (ca *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.cert)
	return p
}

// ClientConfig is a TLS configuration that trusts this authority alone.
func (ca *CA) ClientConfig() *tls.Config { return &tls.Config{RootCAs: ca.Pool()} }

// Certificate makes a certificate for host names and addresses.
func (ca *CA) Certificate(names ...string) tls.Certificate {
	return ca.issue(certStart, certEnd, names)
}

// ExpiredCertificate makes one whose time is over.
func (ca *CA) ExpiredCertificate(names ...string) tls.Certificate {
	return ca.issue(certStart, certStart.AddDate(1, 0, 0), names)
}

func (ca *CA) issue(start, end time.Time, names []string) tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: serial(), NotBefore: start, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	if len(names) > 0 {
		template.Subject.CommonName = names[0]
	}
	der := must(x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func serial() *big.Int { return must(rand.Int(rand.Reader, big.NewInt(1<<62))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
