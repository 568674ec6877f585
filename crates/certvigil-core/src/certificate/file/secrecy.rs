//! Whether a file may have a private key, so that it must not be overwritten.

use std::borrow::Cow;

use base64::Engine as _;
use memchr::{memchr, memmem};

use super::blocks::{BASE64, blocks};
use super::{Foreign, SEQUENCE, ber, text};

/// Ends of the boundaries of private keys: PEM, SSH2 (RFC 4716) and OpenPGP (RFC 9580, section 6.2).
const BOUNDARIES: [&[u8]; 3] = [
    b"PRIVATE KEY-----",
    b"PRIVATE KEY ----",
    b"PRIVATE KEY BLOCK-----",
];
/// Labels of files of PuTTY, and of PKCS #12 in PEM.
const LABELS: [&[u8]; 2] = [b"PuTTY-User-Key-File-", b"-----BEGIN PKCS12-----"];
/// First bytes of a private key of Windows' tools (PVK).
const PVK: &[u8] = &[0x1e, 0xf1, 0xb5, 0xb0];
/// Beginning of the base64 of PEM, as in a Secret of Kubernetes.
const BASE64_OF_PEM: &[u8] = b"LS0tLS1CRUdJTi";

/// Returns true if a file has a private key, or may have one: PEM and DER, encrypted or not, PKCS #12 and Java keystores,
/// in UTF-8 and UTF-16, and base64 of these. A file of another kind, or that is damaged, has none unless it has the
/// boundary of a key.
pub fn may_have_private_key(bytes: &[u8]) -> bool {
    if has_binary_key(bytes) || bytes.starts_with(PVK) {
        return true;
    }
    let text = text::decode(bytes);
    if Foreign::of_file(&text) == Some(Foreign::JavaKeystore) {
        return true;
    }
    // UTF-16 without a byte order mark, or of one part of the file only.
    let text = match memchr(0, &text) {
        Some(_) => Cow::Owned(text.iter().copied().filter(|byte| *byte != 0).collect()),
        None => text,
    };
    if has_boundary(&text) {
        return true;
    }
    // The label of a block may be wrong.
    let mut contents = blocks(&text).into_iter().flatten();
    if contents.any(|block| block.decode().is_ok_and(|der| has_binary_key(&der))) {
        return true;
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let mut words = memmem::find_iter(&text, BASE64_OF_PEM).filter_map(|at| {
        let (before, rest) = text.split_at_checked(at)?;
        let begins = !before.last().is_some_and(is_base64);
        begins.then(|| rest.split(|byte| !is_base64(byte)).next())?
    });
    if words.any(|word| has_boundary(&decoded(word))) {
        return true;
    }
    let is_one_value = |byte: &u8| is_base64(byte) || byte.is_ascii_whitespace();
    text.iter().all(is_one_value) && {
        let content = decoded(&text);
        has_binary_key(&content) || has_boundary(&content)
    }
}

/// Returns true if one of the values of DER or BER is a private key or PKCS #12.
fn has_binary_key(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(value) = ber::expect(&mut rest, SEQUENCE) {
        if let Some(Foreign::PrivateKey | Foreign::EncryptedPrivateKey | Foreign::Pkcs12) =
            Foreign::of_der(value.whole)
        {
            return true;
        }
    }
    false
}

fn has_boundary(text: &[u8]) -> bool {
    let has = |wanted: &&[u8]| memmem::find(text, wanted).is_some();
    BOUNDARIES.iter().chain(&LABELS).any(has)
}

/// Returns the bytes of base64, with or without its padding.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digits = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let text: Vec<u8> = text.iter().copied().filter(digits).collect();
    BASE64.decode(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const LEAF: &str = include_str!("../../judge/testdata/leaf.pem");

    fn key() -> (Vec<u8>, String) {
        let pem = crate::authority::Key::generate().unwrap().to_pem();
        let der = blocks(pem.as_bytes()).unwrap()[0].decode().unwrap();
        (der, pem)
    }

    #[test]
    fn every_kind_of_private_key_is_recognised() {
        let (der, pem) = key();
        let utf16 = |mark: &[u8]| {
            [
                mark,
                &pem.encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect::<Vec<u8>>(),
            ]
            .concat()
        };
        let leaf = blocks(LEAF.as_bytes()).unwrap()[0].decode().unwrap();
        let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes).into_bytes();
        // SEQUENCE { SEQUENCE { OID PBES2, SEQUENCE }, OCTET STRING }
        let encrypted =
            b"\x30\x14\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d\x30\x00\x04\x03abc";
        for (what, bytes) in [
            ("PEM", pem.clone().into_bytes()),
            (
                "PEM beside a certificate",
                format!("{LEAF}{pem}").into_bytes(),
            ),
            ("cut PEM", pem.as_bytes()[..60].to_vec()),
            ("UTF-16", utf16(&[0xff, 0xfe])),
            ("UTF-16 without a mark", utf16(&[])),
            ("DER", der.clone()),
            ("DER after a certificate", [leaf.as_slice(), &der].concat()),
            ("encrypted DER", encrypted.to_vec()),
            (
                "wrong label",
                pem.replace("PRIVATE KEY", "CERTIFICATE").into_bytes(),
            ),
            ("base64 of DER", base64(&der)),
            ("base64 of PEM", base64(pem.as_bytes())),
            (
                "Secret",
                [
                    b"data:\n  tls.key: ".as_slice(),
                    &base64(pem.as_bytes()),
                    b"\n",
                ]
                .concat(),
            ),
            (
                "JSON",
                serde_json::json!({ "private_key": pem })
                    .to_string()
                    .into_bytes(),
            ),
            ("JKS", vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]),
            ("JCEKS", vec![0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2]),
            ("PVK", vec![0x1e, 0xf1, 0xb5, 0xb0, 0]),
            (
                "OpenSSH",
                b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl".to_vec(),
            ),
        ] {
            assert!(may_have_private_key(&bytes), "{what}");
        }
    }

    #[test]
    fn certificates_results_and_other_text_have_no_private_key() {
        let leaf = blocks(LEAF.as_bytes()).unwrap()[0].decode().unwrap();
        for bytes in [
            LEAF.as_bytes(),
            &leaf,
            b"",
            b"SEVERITY  HOST\nok  www.example.com\n",
            b"{\"findings\": [\"the private key is another\"]}",
            BASE64_STANDARD.encode(&leaf).as_bytes(),
            BASE64_STANDARD.encode(LEAF).as_bytes(),
        ] {
            assert!(
                !may_have_private_key(bytes),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
