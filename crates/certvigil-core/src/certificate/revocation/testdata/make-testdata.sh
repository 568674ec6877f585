#!/bin/sh
# Makes the certificates, revocation lists and OCSP responses of the tests, which are judged as of the day that they
# were made: afterwards, put that day into `NOW` of ../tests.rs and src/judge/tests/revocation.rs.
set -eu
cd "$(dirname "$0")"
out=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > openssl.cnf <<'END'
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = the
[the]
database = index.txt
default_md = sha256
crlnumber = number
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
basicConstraints = CA:FALSE
subjectAltName = DNS:www.example.com
crlDistributionPoints = URI:http://crl.example.com/part1.crl
authorityInfoAccess = OCSP;URI:http://ocsp.example.com/
[muststaple]
basicConstraints = CA:FALSE
subjectAltName = DNS:www.example.com
tlsfeature = status_request
[responder]
basicConstraints = CA:FALSE
extendedKeyUsage = OCSPSigning
[noeku]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
[part1]
issuingDistributionPoint = critical,@point1
[point1]
fullname = URI:http://crl.example.com/part1.crl
onlyuser = TRUE
[part2]
issuingDistributionPoint = critical,@point2
[point2]
fullname = URI:http://crl.example.com/part2.crl
[authorities]
issuingDistributionPoint = critical,@pointca
[pointca]
onlyCA = TRUE
[indirect]
issuingDistributionPoint = critical,@pointindirect
[pointindirect]
indirectCRL = TRUE
[reasons]
issuingDistributionPoint = critical,@pointreasons
[pointreasons]
onlysomereasons = keyCompromise
[delta]
2.5.29.27 = critical,ASN1:INTEGER:1
[odd]
1.2.3.4 = critical,ASN1:NULL
END

authority() { # name
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 -subj "/CN=$2" \
        -config openssl.cnf -extensions root -keyout "$1.key" -out "$1.pem" 2>/dev/null
}
below() { # name, authority, extensions, serial, common name
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$5" -config openssl.cnf \
        -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "$4" -days 7000 \
        -extfile openssl.cnf -extensions "$3" -out "$1.pem" 2>/dev/null
}
authority ca "Test CA"
authority namesake "Test CA"
below leaf ca leaf 0x00a1b2c3d4 www.example.com
below other ca leaf 0x77 www.example.com
below muststaple ca muststaple 0x78 www.example.com
below responder ca responder 0x79 "Responder"
below noeku ca noeku 0x7a "Web Server"
below foreign namesake responder 0x7b "Responder"

valid() { printf 'V\t400101000000Z\t\t%s\tunknown\t/CN=%s\n' "$1" "$1"; }
revoked() { printf 'R\t400101000000Z\t261101120000Z,keyCompromise\t%s\tunknown\t/CN=%s\n' "$1" "$1"; }
{ valid A1B2C3D4; valid 77; valid 78; } > index.txt
{ valid 77; revoked A1B2C3D4; } > revoked.txt
valid 99 > empty.txt

respond() { # file, index, signer, certificate, options
    file=$1 index=$2 signer=$3 certificate=$4
    shift 4
    openssl ocsp -index "$index" -CA ca.pem -rsigner "$signer.pem" -rkey "$signer.key" -issuer ca.pem \
        -cert "$certificate.pem" -no_nonce -respout "$out/$file.ocsp" "$@" >/dev/null 2>&1 || true
    test -s "$out/$file.ocsp"
}
respond good index.txt ca leaf -ndays 7 -resp_no_certs
respond revoked revoked.txt ca leaf -ndays 7 -resp_no_certs
respond unknown empty.txt ca leaf -ndays 7
respond no-end index.txt ca leaf
respond by-key index.txt ca leaf -ndays 7 -resp_key_id
openssl ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -sha256 -issuer ca.pem -cert leaf.pem \
    -no_nonce -ndays 7 -respout "$out/sha256.ocsp" >/dev/null 2>&1
respond other index.txt ca other -ndays 7
respond muststaple index.txt ca muststaple -ndays 7
respond delegated index.txt responder leaf -ndays 7
respond delegated-no-certs index.txt responder leaf -ndays 7 -resp_no_certs
respond no-eku index.txt noeku leaf -ndays 7
respond foreign index.txt foreign leaf -ndays 7
respond namesake index.txt namesake leaf -ndays 7 -resp_no_certs
respond sha1 index.txt ca leaf -ndays 7 -rmd sha1
printf '\060\003\012\001\003' > "$out/try-later.ocsp"

list() { # file, index, authority, options
    file=$1 index=$2 authority=$3
    shift 3
    cp "$index" database.txt
    sed "s/^database = .*/database = database.txt/" openssl.cnf > list.cnf
    echo 01 > number
    openssl ca -config list.cnf -gencrl -keyfile "$authority.key" -cert "$authority.pem" "$@" -out list.pem 2>/dev/null
    openssl crl -in list.pem -outform DER -out "$out/$file.crl"
}
list good index.txt ca -crldays 7
list revoked revoked.txt ca -crldays 7
list namesake index.txt namesake -crldays 7
authority stranger "Stranger"
list stranger index.txt stranger -crldays 7
for kind in part1 part2 authorities indirect reasons delta odd; do
    list "$kind" revoked.txt ca -crldays 7 -crlexts "$kind"
done
for certificate in ca leaf muststaple; do
    openssl x509 -in "$certificate.pem" -out "$out/$certificate.pem"
done
