#!/bin/sh
# Writes the files of this folder anew, with openssl (3.0 with its legacy provider) and keytool (Java 17).
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
password=pass:geheim-ü
openssl ecparam -name prime256v1 -genkey -noout -out "$folder/key.pem"
openssl req -x509 -new -key "$folder/key.pem" -subj /CN=p12.example -days 36500 -out "$folder/leaf.pem"
cat "$folder/leaf.pem" ../../../judge/testdata/intermediate.pem >chain.pem
pkcs12() {
    openssl pkcs12 -export -inkey "$folder/key.pem" -in chain.pem "$@"
}
pkcs12 -passout "$password" -out aes.p12
pkcs12 -legacy -certpbe PBE-SHA1-3DES -macalg sha1 -passout "$password" -out triple-des.p12
pkcs12 -legacy -certpbe PBE-SHA1-RC2-40 -passout "$password" -out rc2.p12
pkcs12 -certpbe NONE -keypbe NONE -nomac -passout pass: -out plain.p12
pkcs12 -passout pass: -out empty-password.p12
openssl crl2pkcs7 -nocrl -certfile chain.pem -outform DER -out chain.p7b
openssl crl2pkcs7 -nocrl -certfile chain.pem -out chain.p7c
rm -f java.p12
keytool -genkeypair -alias a -keyalg EC -keystore java.p12 -storetype PKCS12 -storepass changeit \
    -dname CN=java.example -validity 36500
