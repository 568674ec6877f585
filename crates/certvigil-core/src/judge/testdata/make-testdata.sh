#!/bin/sh
# Makes certificates that the lab's own authority cannot make, with OpenSSL 3: `./make-testdata.sh` in this folder.
# They are kept, not made anew with each test, and the tests judge them as of 2030. Private keys are not kept.
set -eu
cd "$(dirname "$0")"
keys=$(mktemp -d)
trap 'rm -r "$keys"' EXIT
legacy="-provider default -provider legacy"

key() { # NAME OPTION...
    name=$1; shift
    openssl genpkey -quiet "$@" -out "$keys/$name" 2>/dev/null || openssl genpkey "$@" -out "$keys/$name" 2>/dev/null
}
# NAME SUBJECT ISSUER EXTENSIONS OPTION...: ISSUER `-` is self-signed; EXTENSIONS empty is version 1.
make() {
    name=$1 subject=$2 issuer=$3 extensions=$4; shift 4
    openssl req -new -key "$keys/$name" -subj "$subject" -out "$keys/csr" 2>/dev/null
    printf "%b" "$extensions" > "$keys/ext"
    [ -z "$extensions" ] || set -- -extfile "$keys/ext" "$@"
    if [ "$issuer" = - ]; then set -- -signkey "$keys/$name" "$@"
    else set -- -CA "$issuer.pem" -CAkey "$keys/$issuer" "$@"; fi
    openssl x509 -req -in "$keys/csr" -days 7300 $legacy "$@" -out "$name.pem" 2>/dev/null
}
ca="basicConstraints=critical,CA:TRUE"
san="subjectAltName=DNS:www.example.com"
p256="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"

key root $p256;         make root "/CN=Example Root" - "$ca" -set_serial 1
key intermediate $p256; make intermediate "/CN=Example Intermediate" root "$ca" -set_serial 2
key leaf $p256;         make leaf "/CN=www.example.com" intermediate "$san" -set_serial 3

key v1 $p256;           make v1 "/CN=www.example.com" root "" -set_serial 4
key v1-intermediate $p256; make v1-intermediate "/CN=Old Intermediate" root "" -set_serial 5
key below-v1 $p256;     make below-v1 "/CN=www.example.com" v1-intermediate "$san" -set_serial 6
key rsa1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024; make rsa1024 "/CN=www.example.com" root "$san" -set_serial 7
key negative-serial $p256; make negative-serial "/CN=www.example.com" root "$san" -set_serial -8
key no-san $p256;       make no-san "/CN=www.example.com" root "keyUsage=digitalSignature" -set_serial 9
key critical-extension $p256
make critical-extension "/CN=www.example.com" root "$san\n1.3.6.1.4.1.55555.1=critical,DER:0500" -set_serial 10
# dNSName "www.example.com\0.evil.example"
key nul-in-name $p256
make nul-in-name "/CN=nul" root "subjectAltName=DER:301f821d7777772e6578616d706c652e636f6d002e6576696c2e6578616d706c65" -set_serial 11
key two-faults $p256;   make two-faults "/CN=www.example.com" root "1.3.6.1.4.1.55555.1=critical,DER:0500" -set_serial -12
key selfsigned-ca $p256; make selfsigned-ca "/CN=www.example.com" - "$ca\n$san" -set_serial 13

key rsa-root -algorithm RSA -pkeyopt rsa_keygen_bits:2048; make rsa-root "/CN=Old Root" - "$ca" -set_serial 14
key sha1 $p256;         make sha1 "/CN=www.example.com" rsa-root "$san" -sha1 -set_serial 15
key md5 $p256;          make md5 "/CN=www.example.com" rsa-root "$san" -md5 -set_serial 16
key sha1-intermediate $p256; make sha1-intermediate "/CN=SHA-1 Intermediate" rsa-root "$ca" -sha1 -set_serial 17
# Leaves with the name of the authority that signed them.
key namesake-root -algorithm RSA -pkeyopt rsa_keygen_bits:2048; make namesake-root "/CN=www.example.com" - "$ca" -set_serial 31
key namesake-sha1 $p256; make namesake-sha1 "/CN=www.example.com" namesake-root "$san" -sha1 -set_serial 32
key namesake-md5 $p256; make namesake-md5 "/CN=www.example.com" namesake-root "$san" -md5 -set_serial 33
key self-sha1 $p256;    make self-sha1 "/CN=www.example.com" - "$san" -sha1 -set_serial 34
key below-sha1 $p256;   make below-sha1 "/CN=www.example.com" sha1-intermediate "$san" -set_serial 18
key rsa1024-root -algorithm RSA -pkeyopt rsa_keygen_bits:1024; make rsa1024-root "/CN=Short Root" - "$ca" -set_serial 19
key below-rsa1024 $p256; make below-rsa1024 "/CN=www.example.com" rsa1024-root "$san" -set_serial 20
key brainpool-root -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1; make brainpool-root "/CN=Brainpool Root" - "$ca" -set_serial 21
key below-brainpool $p256; make below-brainpool "/CN=www.example.com" brainpool-root "$san" -set_serial 22
key pss-root -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048; make pss-root "/CN=PSS Root" - "$ca" -set_serial 23
key below-pss $p256;    make below-pss "/CN=www.example.com" pss-root "$san" -set_serial 24
key p192 -algorithm EC -pkeyopt ec_paramgen_curve:P-192; make p192 "/CN=www.example.com" root "$san" -set_serial 25
key sha512-on-p256 $p256; make sha512-on-p256 "/CN=www.example.com" root "$san" -sha512 -set_serial 26

# An issuer without a common name, and an address in a dNSName.
key acme-root $p256;    make acme-root "/O=Acme, Inc." - "$ca" -set_serial 27
key ip-in-dns $p256;    make ip-in-dns "/CN=192.0.2.1" acme-root "subjectAltName=DNS:192.0.2.1" -set_serial 28
key explicit-curve $p256 -pkeyopt ec_param_enc:explicit; make explicit-curve "/CN=www.example.com" acme-root "$san" -set_serial 29
key pss-leaf -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:1024; make pss-leaf "/CN=www.example.com" acme-root "$san" -set_serial 30
