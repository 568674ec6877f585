//! Our own ClientHello of TLS 1.2, for servers that share nothing with rustls (RFC 5246, section 7.4.1.2).

use rustls::{CipherSuite, NamedGroup, SignatureScheme};

use crate::model::KeyType;

use super::super::key_proof::PSS_KEY_SCHEMES;
use super::suites::{self, Key};

/// The random of a hello: part of what a ServerKeyExchange signs.
pub(super) type Random = [u8; 32];

/// The most that a record may carry (RFC 5246, section 6.2.1).
pub(super) const MAX_RECORD: usize = 1 << 14;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// What a first record says: servers may know no later one (RFC 5246, appendix E.1).
const TLS_1_0: [u8; 2] = [3, 1];
const TLS_1_2: [u8; 2] = [3, 3];

/// Hellos of these sizes hang up on some old load balancers, so they are padded to beyond (RFC 7685, section 4).
const HUNG: std::ops::Range<usize> = 256..512;

/// What a ServerKeyExchange may be signed with, beside the strong schemes, by servers that are old.
pub(super) const RSA_SHA1: SignatureScheme = SignatureScheme::RSA_PKCS1_SHA1;
pub(super) const ECDSA_SHA1: SignatureScheme = SignatureScheme::ECDSA_SHA1_Legacy;

const RSA_SCHEMES: [SignatureScheme; 7] = [
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
    RSA_SHA1,
];
const CURVE_SCHEMES: [SignatureScheme; 5] = [
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    ECDSA_SHA1,
];
/// `dsa` with SHA-256 and SHA-1 (RFC 5246, section 7.4.1.4.1).
const DSA_SCHEMES: [SignatureScheme; 2] = [
    SignatureScheme::Unknown(0x0402),
    SignatureScheme::Unknown(0x0202),
];

/// With the curves that old servers and their certificates have, too: a server may hold back a certificate whose
/// curve was not offered (RFC 8422, section 2.2.2).
const GROUPS: [NamedGroup; 7] = [
    NamedGroup::X25519,
    NamedGroup::secp256r1,
    NamedGroup::secp384r1,
    NamedGroup::secp521r1,
    NamedGroup::Unknown(0x0016), // secp256k1
    NamedGroup::Unknown(0x0015), // secp224r1
    NamedGroup::Unknown(0x0013), // secp192r1
];

/// What is offered for signatures by a key.
fn schemes(key: Key) -> impl Iterator<Item = SignatureScheme> {
    let (schemes, more) = match key {
        Key::Rsa => (&RSA_SCHEMES[..], &PSS_KEY_SCHEMES[..]),
        Key::Curve => (&CURVE_SCHEMES[..], &[][..]),
        Key::Dsa => (&DSA_SCHEMES[..], &[][..]),
    };
    schemes.iter().chain(more).copied()
}

/// The record with the ClientHello. `None` where what it has to say does not fit into one.
pub(super) fn write(
    random: &Random,
    sni: Option<&str>,
    alpn: &[Vec<u8>],
    key_type: KeyType,
) -> Option<Vec<u8>> {
    let mut extensions = Vec::new();
    if let Some(name) = sni {
        // One entry: a host name (RFC 6066, section 3).
        let entry = [&[0][..], &with_u16_length(name.as_bytes())?].concat();
        extensions.extend(extension(0, &with_u16_length(&entry)?)?);
    }
    // OCSP, of any responder, without extensions of its own (RFC 6066, section 8).
    extensions.extend(extension(5, &[1, 0, 0, 0, 0])?);
    let groups = GROUPS.iter().flat_map(|g| u16::from(*g).to_be_bytes());
    extensions.extend(extension(
        10,
        &with_u16_length(&groups.collect::<Vec<_>>())?,
    )?);
    // Points that are not compressed.
    extensions.extend(extension(11, &[1, 0])?);
    let keys = [Key::Curve, Key::Rsa, Key::Dsa];
    let keys = keys.into_iter().filter(|key| key.is_of(key_type));
    let signatures = keys.flat_map(schemes);
    let signatures = signatures.flat_map(|s| u16::from(s).to_be_bytes());
    extensions.extend(extension(
        13,
        &with_u16_length(&signatures.collect::<Vec<_>>())?,
    )?);
    if !alpn.is_empty() {
        let mut names = Vec::new();
        for name in alpn {
            names.push(u8::try_from(name.len()).ok()?);
            names.extend(name);
        }
        extensions.extend(extension(16, &with_u16_length(&names)?)?);
    }

    let renegotiation = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
    let suites = suites::offered(key_type).map(|suite| suite.id);
    let suites = suites.chain([renegotiation]);
    let suites: Vec<u8> = suites.flat_map(|id| u16::from(id).to_be_bytes()).collect();

    let mut body = TLS_1_2.to_vec();
    body.extend(random);
    body.push(0); // no session to resume
    body.extend(with_u16_length(&suites)?);
    body.extend([1, 0]); // no compression
    /// Type and length of the message, and the length of the extensions.
    const AROUND: usize = 4 + 2;
    /// Type and length of an extension.
    const EXTENSION: usize = 4;
    let length = body.len() + extensions.len() + AROUND;
    if HUNG.contains(&length) {
        let padding = HUNG.end.saturating_sub(length + EXTENSION);
        extensions.extend(extension(21, &vec![0; padding])?);
    }
    body.extend(with_u16_length(&extensions)?);

    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    let message = [&[CLIENT_HELLO], length.get(1..)?, &body].concat();
    let mut record = vec![HANDSHAKE];
    record.extend(TLS_1_0);
    record.extend(with_u16_length(&message)?);
    (message.len() <= MAX_RECORD).then_some(record)
}

fn extension(kind: u16, content: &[u8]) -> Option<Vec<u8>> {
    Some([&kind.to_be_bytes()[..], &with_u16_length(content)?].concat())
}

fn with_u16_length(content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?.to_be_bytes();
    Some([&length, content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    use rustls::server::Acceptor;

    /// What a server of rustls reads.
    fn accepted(record: &[u8]) -> rustls::server::Accepted {
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &record[..]).unwrap();
        acceptor.accept().unwrap().unwrap()
    }

    #[test]
    fn another_implementation_reads_what_was_written() {
        for key_type in [KeyType::Any, KeyType::Rsa, KeyType::Ecdsa] {
            for (sni, alpn) in [
                (Some("www.example.com"), vec![]),
                (None, vec![b"h2".to_vec(), b"http/1.1".to_vec()]),
            ] {
                let record = write(&[7; 32], sni, &alpn, key_type).unwrap();
                let accepted = accepted(&record);
                let hello = accepted.client_hello();
                assert_eq!(hello.server_name(), sni);
                let names: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
                assert_eq!(names, alpn);
                let read: Vec<u16> = hello.cipher_suites().iter().map(|s| (*s).into()).collect();
                let written = suites::offered(key_type).map(|s| u16::from(s.id));
                assert_eq!(read, written.chain([0x00ff]).collect::<Vec<_>>());
                let rsa = hello.signature_schemes().contains(&RSA_SHA1);
                let curve = hello.signature_schemes().contains(&ECDSA_SHA1);
                assert_eq!(rsa, key_type != KeyType::Ecdsa);
                assert_eq!(curve, key_type != KeyType::Rsa);
            }
        }
    }

    #[test]
    fn no_hello_has_a_size_at_which_old_load_balancers_hang() {
        for length in 0..=253 {
            let name = "a".repeat(length);
            for key_type in [KeyType::Any, KeyType::Rsa, KeyType::Ecdsa] {
                let record = write(&[0; 32], Some(&name), &[], key_type).unwrap();
                let message = record.len() - 5;
                assert!(!HUNG.contains(&message), "{length}: {message}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let alpn = vec![vec![b'a'; 255]; 100];
        assert_eq!(write(&[0; 32], None, &alpn, KeyType::Any), None);
        assert_eq!(write(&[0; 32], None, &[vec![0; 256]], KeyType::Any), None);
    }
}
