//! ClientHello for servers that have nothing in common with rustls (RFC 5246, section 7.4.1.2; RFC
//! 8446, section 4.1.2).

use rustls::{CipherSuite, NamedGroup, SignatureScheme};

use crate::model::KeyType;

use super::super::key_proof::PSS_KEY_SCHEMES;
use super::groups;
use super::suites::{self, Key, Offer};

/// Random of a ClientHello. A ServerKeyExchange's signature covers it.
pub(super) type Random = [u8; 32];

/// Maximum content of a record, in bytes (RFC 5246, section 6.2.1).
pub(super) const MAX_RECORD: usize = 1 << 14;
/// Length of the header of a record, in bytes.
pub(super) const HEADER: usize = 5;

/// Type of a record with messages of the handshake.
pub(super) const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Version in the first record. Servers may not support a later one there (RFC 5246, appendix E.1).
const TLS_1_0: [u8; 2] = [3, 1];
pub(super) const TLS_1_2: [u8; 2] = [3, 3];

/// Sizes of a ClientHello on which some old load balancers hang. Padding makes it larger (RFC 7685,
/// section 4).
const HUNG: std::ops::Range<usize> = 256..512;

/// Signature schemes that old servers use for a ServerKeyExchange, in addition to the strong ones.
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
const CURVE_SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
    ECDSA_SHA1,
];
/// `dsa` with SHA-256 and SHA-1 (RFC 5246, section 7.4.1.4.1).
const DSA_SCHEMES: [SignatureScheme; 2] = [
    SignatureScheme::Unknown(0x0402),
    SignatureScheme::Unknown(0x0202),
];

/// Groups that rustls supports.
const GROUPS: [NamedGroup; 4] = [
    NamedGroup::X25519,
    NamedGroup::secp256r1,
    NamedGroup::secp384r1,
    NamedGroup::secp521r1,
];

/// Versions that an extension offers, newest first.
const VERSIONS: [[u8; 2]; 5] = [[3, 4], TLS_1_2, [3, 2], TLS_1_0, [3, 0]];

/// Signature algorithms of TLS 1.3 that rustls lacks: brainpool curves (RFC 8734), SM2 (RFC 8998),
/// GOST (RFC 9367) and ML-DSA.
pub(in crate::probe) const SCHEMES_OF_TLS13: [SignatureScheme; 14] = [
    SignatureScheme::Unknown(0x081a),
    SignatureScheme::Unknown(0x081b),
    SignatureScheme::Unknown(0x081c),
    SignatureScheme::Unknown(0x0708),
    SignatureScheme::Unknown(0x0709),
    SignatureScheme::Unknown(0x070a),
    SignatureScheme::Unknown(0x070b),
    SignatureScheme::Unknown(0x070c),
    SignatureScheme::Unknown(0x070d),
    SignatureScheme::Unknown(0x070e),
    SignatureScheme::Unknown(0x070f),
    SignatureScheme::Unknown(0x0904),
    SignatureScheme::Unknown(0x0905),
    SignatureScheme::Unknown(0x0906),
];

/// Returns true if Go or Chromium offers the scheme.
fn is_common(scheme: SignatureScheme) -> bool {
    ![RSA_SHA1, ECDSA_SHA1, SignatureScheme::ED448].contains(&scheme)
        && !PSS_KEY_SCHEMES.contains(&scheme)
        && !DSA_SCHEMES.contains(&scheme)
}

/// Returns true if Java accepts the scheme in a handshake of TLS 1.2.
fn is_of_java(scheme: SignatureScheme) -> bool {
    ![RSA_SHA1, ECDSA_SHA1].contains(&scheme) && !DSA_SCHEMES.contains(&scheme)
}

/// Returns the signature schemes to offer for a kind of key.
fn schemes(key: Key) -> impl Iterator<Item = SignatureScheme> {
    let (schemes, more) = match key {
        Key::Rsa => (&RSA_SCHEMES[..], &PSS_KEY_SCHEMES[..]),
        Key::Curve => (&CURVE_SCHEMES[..], &[][..]),
        Key::Dsa => (&DSA_SCHEMES[..], &[][..]),
    };
    schemes.iter().chain(more).copied()
}

/// Returns the record with the ClientHello. `None` if its content exceeds one record.
pub(super) fn write(
    random: &Random,
    sni: Option<&str>,
    alpn: &[Vec<u8>],
    key_type: KeyType,
    offer: Offer,
) -> Option<Vec<u8>> {
    let is_last = matches!(offer, Offer::LastResort | Offer::Everything);
    let mut extensions = Vec::new();
    if let Some(name) = sni {
        // One entry of type host name (RFC 6066, section 3).
        let entry = [&[0][..], &with_u16_length(name.as_bytes())?].concat();
        extensions.extend(extension(0, &with_u16_length(&entry)?)?);
    }
    // OCSP, with any responder and no request extensions (RFC 6066, section 8).
    extensions.extend(extension(5, &[1, 0, 0, 0, 0])?);
    let (rare, newer) = match offer {
        Offer::Common => (&[][..], &[][..]),
        // GnuTLS offers the same rare group.
        Offer::Java | Offer::Gnutls => (&groups::OF_JAVA[..], &[][..]),
        Offer::Current | Offer::Both => (&groups::OF_TLS12[..], &[][..]),
        Offer::LastResort | Offer::Everything => (&groups::OF_TLS12[..], &groups::OF_TLS13[..]),
    };
    let more = rare.iter().chain(newer);
    let groups = GROUPS.iter().filter(|group| {
        // Chromium does not offer secp521r1.
        offer != Offer::Common || **group != NamedGroup::secp521r1
    });
    let groups = groups.map(|group| u16::from(*group));
    let groups = groups.chain(more.map(|(group, _)| *group));
    let groups: Vec<u8> = groups.flat_map(u16::to_be_bytes).collect();
    extensions.extend(extension(10, &with_u16_length(&groups)?)?);
    // Uncompressed points.
    extensions.extend(extension(11, &[1, 0])?);
    let keys = [Key::Curve, Key::Rsa, Key::Dsa];
    let keys = keys.into_iter().filter(|key| key.is_of(key_type));
    let newer = if is_last { &SCHEMES_OF_TLS13[..] } else { &[] };
    let signatures = keys.flat_map(schemes).chain(newer.iter().copied());
    let signatures = signatures.filter(|scheme| match offer {
        Offer::Common => is_common(*scheme),
        Offer::Java => is_of_java(*scheme),
        Offer::Gnutls => !DSA_SCHEMES.contains(scheme),
        Offer::Current | Offer::LastResort | Offer::Both | Offer::Everything => true,
    });
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

    // Extended master secret. Some servers require it, and all current clients offer it (RFC 7627).
    extensions.extend(extension(23, &[])?);

    let (versions, newer) = match offer {
        Offer::Current | Offer::Java | Offer::Gnutls | Offer::Both => (&[][..], &[][..]),
        // A server with TLS 1.3 negotiates it, whatever it supports of TLS 1.2.
        Offer::Common => (VERSIONS.get(..2)?, suites::TLS13.get(..3)?),
        Offer::LastResort | Offer::Everything => (&VERSIONS[..], &suites::TLS13[..]),
    };
    if !versions.is_empty() {
        let versions = versions.as_flattened();
        let length = u8::try_from(versions.len()).ok()?;
        extensions.extend(extension(43, &[&[length], versions].concat())?);
        // If the ClientHello has no key share, the server requests one of its preferred group (RFC
        // 8446, section 4.2.8).
        extensions.extend(extension(51, &[0, 0])?);
    }

    let renegotiation = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
    let suites = suites::offered(offer, key_type).map(|suite| suite.id);
    let suites = suites.chain(suites::anonymous(offer));
    let suites = newer.iter().copied().chain(suites).chain([renegotiation]);
    let suites: Vec<u8> = suites.flat_map(|id| u16::from(id).to_be_bytes()).collect();

    let mut body = TLS_1_2.to_vec();
    body.extend(random);
    body.push(0); // no session to resume
    body.extend(with_u16_length(&suites)?);
    body.extend([1, 0]); // no compression
    /// Type and length of the message, and the length of the extensions, in bytes.
    const AROUND: usize = 4 + 2;
    /// Type and length of an extension, in bytes.
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

    /// Returns the ClientHello as a rustls server parses it.
    fn accepted(record: &[u8]) -> rustls::server::Accepted {
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &record[..]).unwrap();
        acceptor.accept().unwrap().unwrap()
    }

    #[test]
    fn rustls_parses_the_written_client_hello() {
        for key_type in [KeyType::Any, KeyType::Rsa, KeyType::Ecdsa] {
            for (sni, alpn, offer) in [
                (Some("www.example.com"), vec![], Offer::Current),
                (
                    None,
                    vec![b"h2".to_vec(), b"http/1.1".to_vec()],
                    Offer::LastResort,
                ),
            ] {
                let record = write(&[7; 32], sni, &alpn, key_type, offer).unwrap();
                let accepted = accepted(&record);
                let hello = accepted.client_hello();
                assert_eq!(hello.server_name(), sni);
                let names: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
                assert_eq!(names, alpn);
                let read: Vec<u16> = hello.cipher_suites().iter().map(|s| (*s).into()).collect();
                let written = suites::offered(offer, key_type).map(|s| u16::from(s.id));
                assert!(written.chain([0x00ff]).all(|id| read.contains(&id)));
                assert_eq!(read.contains(&0x1301), offer == Offer::LastResort);
                let rsa = hello.signature_schemes().contains(&RSA_SHA1);
                let curve = hello.signature_schemes().contains(&ECDSA_SHA1);
                assert_eq!(rsa, key_type != KeyType::Ecdsa);
                assert_eq!(curve, key_type != KeyType::Rsa);
            }
        }
    }

    #[test]
    fn client_hello_avoids_sizes_that_hang_old_load_balancers() {
        for length in 0..=253 {
            let name = "a".repeat(length);
            for key_type in [KeyType::Any, KeyType::Rsa, KeyType::Ecdsa] {
                for offer in [
                    Offer::Current,
                    Offer::Common,
                    Offer::Java,
                    Offer::Gnutls,
                    Offer::LastResort,
                    Offer::Both,
                    Offer::Everything,
                ] {
                    let record = write(&[0; 32], Some(&name), &[], key_type, offer).unwrap();
                    let message = record.len() - 5;
                    assert!(!HUNG.contains(&message), "{length}: {message}");
                }
            }
        }
    }

    #[test]
    fn oversized_client_hello_is_not_written() {
        let alpn = vec![vec![b'a'; 255]; 100];
        assert_eq!(
            write(&[0; 32], None, &alpn, KeyType::Any, Offer::Current),
            None
        );
        assert_eq!(
            write(
                &[0; 32],
                None,
                &[vec![0; 256]],
                KeyType::Any,
                Offer::Current
            ),
            None
        );
    }
}
