#!/bin/sh
# Makes certificates signed with every algorithm, with OpenSSL 3: `./make-testdata.sh` in this folder. Each file has
# an issuer, then one certificate for each of its signature algorithms. Private keys are not kept.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
legacy="-provider default -provider legacy"

openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/leaf.key" 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/leaf.key" 2>/dev/null
openssl req -new -key "$work/leaf.key" -subj /CN=www.example.com -out "$work/leaf.csr"
printf 'subjectAltName=DNS:www.example.com' > "$work/leaf.ext"
printf 'basicConstraints=critical,CA:TRUE' > "$work/ca.ext"
serial=1

issuer() { # NAME OPTION...: the options make the key
    name=$1; shift
    openssl genpkey "$@" -out "$work/$name.key" 2>/dev/null
    self=
    case $name in
        rsa512) self=-sha256 ;;
    esac
    openssl req -new -key "$work/$name.key" -subj "/CN=Issuer $name" $self -out "$work/csr"
    openssl x509 -req -in "$work/csr" -signkey "$work/$name.key" -days 7300 -extfile "$work/ca.ext" \
        -set_serial "$serial" $self -out "$work/$name.pem" 2>/dev/null
    openssl x509 -in "$work/$name.pem" > "$name.pem"
}
leaf() { # ISSUER OPTION...: the options choose the algorithm
    name=$1; shift
    serial=$((serial + 1))
    openssl x509 -req -in "$work/leaf.csr" -CA "$work/$name.pem" -CAkey "$work/$name.key" -days 7300 \
        -extfile "$work/leaf.ext" -set_serial "$serial" $legacy "$@" -out "$work/out.pem" 2>/dev/null
    openssl x509 -in "$work/out.pem" >> "$name.pem"
}
leaves() { # ISSUER HASH...
    of=$1; shift
    for hash; do leaf "$of" "-$hash"; done
}
pss() { # ISSUER HASH SALT [MASK-HASH]
    leaf "$1" "-$2" -sigopt rsa_padding_mode:pss -sigopt "rsa_pss_saltlen:$3" -sigopt "rsa_mgf1_md:${4:-$2}"
}
rsa() { # NAME BITS OPTION...
    name=$1 bits=$2; shift 2
    issuer "$name" -algorithm RSA -pkeyopt "rsa_keygen_bits:$bits" "$@"
}
sha2="sha1 sha224 sha256 sha384 sha512"

rsa rsa512 512;    leaves rsa512 md5 sha1 sha224 sha256; pss rsa512 sha1 20
rsa rsa1024 1024;  leaves rsa1024 md5 $sha2; pss rsa1024 sha256 32; pss rsa1024 sha384 48
rsa rsa1025 1025;  leaves rsa1025 sha1 sha256; pss rsa1025 sha256 32
rsa rsa2047 2047;  leaves rsa2047 sha1 sha256; pss rsa2047 sha256 32
rsa rsa2048 2048
leaves rsa2048 md5 $sha2 sha512-256 sha3-256 sha3-384 sha3-512
for hash in $sha2; do pss rsa2048 $hash digest; done
for salt in 0 20 222; do pss rsa2048 sha256 $salt; done
pss rsa2048 sha256 32 sha1
pss rsa2048 sha1 20 sha512
rsa rsa2049 2049;  leaves rsa2049 $sha2; pss rsa2049 sha256 32; pss rsa2049 sha512 0
rsa rsa2050 2050;  leaves rsa2050 $sha2; pss rsa2050 sha384 48
rsa rsa-e3 2048 -pkeyopt rsa_keygen_pubexp:3; leaves rsa-e3 sha224 sha256; pss rsa-e3 sha1 20
rsa rsa-e33 2048 -pkeyopt rsa_keygen_pubexp:4294967297; leaves rsa-e33 sha224 sha256; pss rsa-e33 sha256 32
rsa rsa-e65 2048 -pkeyopt rsa_keygen_pubexp:36893488147419103363; leaves rsa-e65 sha1 sha256
# Several primes are found sooner.
rsa rsa4096 4096;  leaves rsa4096 sha224 sha256; pss rsa4096 sha512 64
rsa rsa8192 8192 -pkeyopt rsa_keygen_primes:4; leaves rsa8192 sha224 sha256
rsa rsa8200 8200 -pkeyopt rsa_keygen_primes:4; leaves rsa8200 sha256; pss rsa8200 sha256 32
rsa rsa16384 16384 -pkeyopt rsa_keygen_primes:5; leaves rsa16384 sha256; pss rsa16384 sha256 32

issuer pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048
for hash in $sha2; do pss pss $hash digest; done
issuer pss-sha256 -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 \
    -pkeyopt rsa_pss_keygen_mgf1_md:sha256 -pkeyopt rsa_pss_keygen_saltlen:32
pss pss-sha256 sha256 32; pss pss-sha256 sha256 64

for curve in P-256 P-384 P-521 secp256k1; do
    issuer $curve -algorithm EC -pkeyopt ec_paramgen_curve:$curve
    leaves $curve $sha2 sha3-256
done
issuer ed25519 -algorithm ED25519; leaf ed25519

# What cannot be verified.
for curve in P-224 brainpoolP256r1 brainpoolP384r1; do
    issuer $curve -algorithm EC -pkeyopt ec_paramgen_curve:$curve; leaves $curve sha256
done
issuer explicit -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit; leaves explicit sha256
issuer ed448 -algorithm ED448; leaf ed448
openssl dsaparam -out "$work/dsa" 2048 2>/dev/null
issuer dsa -paramfile "$work/dsa"; leaves dsa sha1 sha256
