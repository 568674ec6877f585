//! Cipher suites of TLS 1.2 and before, for offers in cleartext.
//!
//! Suites that current clients refuse are in a separate offer, which is sent only after a server
//! has refused the first one. A server that selects one of them therefore supports nothing better.

use rustls::CipherSuite as S;
use rustls::crypto::aws_lc_rs;

use crate::model::KeyType;

/// Kind of certificate key that a suite requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// RSA, restricted to PSS or not.
    Rsa,
    /// Elliptic curve, for ECDSA or EdDSA.
    Curve,
    /// DSA, which TLS calls DSS.
    Dsa,
}

impl Key {
    /// Returns true if a probe for `key_type` accepts this kind of key.
    pub(super) fn is_of(self, key_type: KeyType) -> bool {
        match key_type {
            KeyType::Any => true,
            KeyType::Rsa => self == Self::Rsa,
            KeyType::Ecdsa => self == Self::Curve,
        }
    }
}

/// Key exchange method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Static RSA or ECDH with the certificate's key. There is no ServerKeyExchange and no
    /// signature.
    Static,
    /// Diffie-Hellman over a finite field, signed.
    Dhe,
    /// Diffie-Hellman over an elliptic curve, signed.
    Ecdhe,
    /// Temporary RSA key of 512 or 1024 bits, signed. It is sent only if the certificate's key is
    /// longer (RFC 2246, section 7.4.3).
    RsaExport,
}

/// Offer of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Offer {
    /// TLS 1.2, with suites at least as strong as AES in CBC mode.
    Current,
    /// Everything that Go and Chromium offer for TLS 1.2 and 1.3 except P-521, which only Go
    /// offers.
    Common,
    /// Everything that Java offers for TLS 1.2: key exchanges with a signature, and AES or
    /// ChaCha20.
    Java,
    /// Everything that GnuTLS offers for TLS 1.2: AES-GCM, AES-CCM, ChaCha20, and AES-CBC with SHA-1.
    Gnutls,
    /// Suites that current clients refuse, and TLS 1.3 suites that rustls lacks.
    LastResort,
    /// Suites of [`Offer::Current`], and those of [`Offer::LastResort`] for TLS 1.2 and before.
    /// Used by a probe that requests one kind of key, which most servers refuse.
    Both,
    /// Suites of [`Offer::Both`], and all of TLS 1.3. Only a server that aborts at a ClientHello of
    /// TLS 1.3 refuses it.
    Everything,
}

/// Cipher suite, with its properties that affect the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// Number and IANA name.
    pub(super) id: S,
    pub(super) key: Key,
    pub(super) exchange: Exchange,
}

impl Suite {
    /// Returns the suite with this number, if the offer contains it.
    pub(super) fn find(id: u16, offer: Offer, key_type: KeyType) -> Option<Self> {
        offered(offer, key_type).find(|suite| u16::from(suite.id) == id)
    }

    /// Returns true if rustls supports the suite.
    pub(super) fn is_of_rustls(self) -> bool {
        is_of_rustls(self.id)
    }

    /// Returns true if Go or Chromium offers the suite: those of rustls, AES in CBC mode with
    /// SHA-1, and RSA key exchange with AES, which Go has disabled since 1.22.
    pub(super) fn is_common(self) -> bool {
        self.is_of_rustls() || COMMON.contains(&self.id)
    }

    /// Returns true if Java offers the suite with its defaults (`jdk.tls.disabledAlgorithms`).
    fn is_of_java(self) -> bool {
        const LACKS: [&str; 3] = ["_CCM", "_CAMELLIA_", "_ARIA_"];
        let name = self.id.as_str().unwrap_or_default();
        matches!(self.exchange, Exchange::Dhe | Exchange::Ecdhe)
            && self.key != Key::Dsa
            && !LACKS.iter().any(|part| name.contains(part))
    }

    /// Returns true if GnuTLS offers the suite with its priority NORMAL (`gnutls-cli --list`): of
    /// CBC only that with SHA-1, and no CCM with a tag of 8 octets.
    fn is_of_gnutls(self) -> bool {
        const LACKS: [&str; 6] = [
            "_CBC_SHA256",
            "_CBC_SHA384",
            "_CCM_8",
            "_CAMELLIA_",
            "_ARIA_",
            "_SEED_",
        ];
        let name = self.id.as_str().unwrap_or_default();
        let is_of_exchange = match self.exchange {
            Exchange::Dhe | Exchange::Ecdhe => self.key != Key::Dsa,
            Exchange::Static => self.key == Key::Rsa,
            Exchange::RsaExport => false,
        };
        is_of_exchange && !LACKS.iter().any(|part| name.contains(part))
    }
}

/// Returns true if rustls supports this suite.
pub(super) fn is_of_rustls(suite: S) -> bool {
    let spoken = aws_lc_rs::DEFAULT_CIPHER_SUITES;
    spoken.iter().any(|spoken| spoken.suite() == suite)
}

/// Returns the suites of an offer that have a certificate, in order of preference.
pub(super) fn offered(offer: Offer, key_type: KeyType) -> impl Iterator<Item = Suite> {
    let (current, legacy) = match offer {
        Offer::Current | Offer::Common | Offer::Java | Offer::Gnutls => (&CURRENT[..], &[][..]),
        Offer::LastResort => (&[][..], &LEGACY[..]),
        Offer::Both | Offer::Everything => (&CURRENT[..], &LEGACY[..]),
    };
    let groups = current.iter().chain(legacy);
    let groups = groups.filter(move |(key, ..)| key.is_of(key_type));
    let suites = groups.flat_map(|(key, exchange, suites)| {
        suites.iter().map(|id| Suite {
            id: *id,
            key: *key,
            exchange: *exchange,
        })
    });
    suites.filter(move |suite| match offer {
        Offer::Common => suite.is_common(),
        Offer::Java => suite.is_of_java(),
        Offer::Gnutls => suite.is_of_gnutls(),
        Offer::Current | Offer::LastResort | Offer::Both | Offer::Everything => true,
    })
}

/// Returns the anonymous suites of an offer.
pub(super) fn anonymous(offer: Offer) -> impl Iterator<Item = S> {
    let suites = match offer {
        Offer::Current | Offer::Common | Offer::Java | Offer::Gnutls | Offer::Everything => &[][..],
        Offer::LastResort | Offer::Both => &ANONYMOUS[..],
    };
    suites.iter().copied()
}

/// Returns the IANA name of a suite, or its number. rustls spells TLS 1.3 suites differently from
/// IANA.
pub(super) fn name(id: u16) -> String {
    let suite = S::from(id);
    match (suite.as_str(), id) {
        (_, 0x00c6) => "TLS_SM4_GCM_SM3".into(),
        (_, 0x00c7) => "TLS_SM4_CCM_SM3".into(),
        (Some(name), _) => name.replacen("TLS13_", "TLS_", 1),
        (None, _) => format!("0x{id:04X}"),
    }
}

const COMMON: [S; 8] = [
    S::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
    S::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
    S::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
    S::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
    S::TLS_RSA_WITH_AES_128_GCM_SHA256,
    S::TLS_RSA_WITH_AES_256_GCM_SHA384,
    S::TLS_RSA_WITH_AES_128_CBC_SHA,
    S::TLS_RSA_WITH_AES_256_CBC_SHA,
];

const CURRENT: [(Key, Exchange, &[S]); 6] = [
    (
        Key::Curve,
        Exchange::Ecdhe,
        &[
            S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            S::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
            S::TLS_ECDHE_ECDSA_WITH_AES_256_CCM,
            S::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
            S::TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8,
            S::TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256,
            S::TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384,
            S::TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256,
            S::TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384,
            S::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
            S::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
            S::TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256,
            S::TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384,
            S::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
            S::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Ecdhe,
        &[
            S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            S::TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256,
            S::TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384,
            S::TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256,
            S::TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384,
            S::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
            S::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
            S::TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256,
            S::TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384,
            S::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
            S::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Dhe,
        &[
            S::TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,
            S::TLS_DHE_RSA_WITH_AES_256_GCM_SHA384,
            S::TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            S::TLS_DHE_RSA_WITH_AES_128_CCM,
            S::TLS_DHE_RSA_WITH_AES_256_CCM,
            S::TLS_DHE_RSA_WITH_AES_128_CCM_8,
            S::TLS_DHE_RSA_WITH_AES_256_CCM_8,
            S::TLS_DHE_RSA_WITH_ARIA_128_GCM_SHA256,
            S::TLS_DHE_RSA_WITH_ARIA_256_GCM_SHA384,
            S::TLS_DHE_RSA_WITH_CAMELLIA_128_GCM_SHA256,
            S::TLS_DHE_RSA_WITH_CAMELLIA_256_GCM_SHA384,
            S::TLS_DHE_RSA_WITH_AES_128_CBC_SHA256,
            S::TLS_DHE_RSA_WITH_AES_256_CBC_SHA256,
            S::TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256,
            S::TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256,
            S::TLS_DHE_RSA_WITH_AES_128_CBC_SHA,
            S::TLS_DHE_RSA_WITH_AES_256_CBC_SHA,
            S::TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA,
            S::TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA,
            S::TLS_DHE_RSA_WITH_SEED_CBC_SHA,
        ],
    ),
    (
        Key::Curve,
        Exchange::Static,
        &[
            S::TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256,
            S::TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384,
            S::TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256,
            S::TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384,
            S::TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA,
            S::TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA,
            // RSA in these names is the issuer's key. The certificate's own key is on a curve, as
            // above.
            S::TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256,
            S::TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384,
            S::TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256,
            S::TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384,
            S::TLS_ECDH_RSA_WITH_AES_128_CBC_SHA,
            S::TLS_ECDH_RSA_WITH_AES_256_CBC_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Static,
        &[
            S::TLS_RSA_WITH_AES_128_GCM_SHA256,
            S::TLS_RSA_WITH_AES_256_GCM_SHA384,
            S::TLS_RSA_WITH_AES_128_CCM,
            S::TLS_RSA_WITH_AES_256_CCM,
            S::TLS_RSA_WITH_AES_128_CCM_8,
            S::TLS_RSA_WITH_AES_256_CCM_8,
            S::TLS_RSA_WITH_ARIA_128_GCM_SHA256,
            S::TLS_RSA_WITH_ARIA_256_GCM_SHA384,
            S::TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256,
            S::TLS_RSA_WITH_CAMELLIA_256_GCM_SHA384,
            S::TLS_RSA_WITH_AES_128_CBC_SHA256,
            S::TLS_RSA_WITH_AES_256_CBC_SHA256,
            S::TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256,
            S::TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256,
            S::TLS_RSA_WITH_AES_128_CBC_SHA,
            S::TLS_RSA_WITH_AES_256_CBC_SHA,
            S::TLS_RSA_WITH_CAMELLIA_128_CBC_SHA,
            S::TLS_RSA_WITH_CAMELLIA_256_CBC_SHA,
            S::TLS_RSA_WITH_SEED_CBC_SHA,
        ],
    ),
    (
        Key::Dsa,
        Exchange::Dhe,
        &[
            S::TLS_DHE_DSS_WITH_AES_128_GCM_SHA256,
            S::TLS_DHE_DSS_WITH_AES_256_GCM_SHA384,
            S::TLS_DHE_DSS_WITH_AES_128_CBC_SHA256,
            S::TLS_DHE_DSS_WITH_AES_256_CBC_SHA256,
            S::TLS_DHE_DSS_WITH_AES_128_CBC_SHA,
            S::TLS_DHE_DSS_WITH_AES_256_CBC_SHA,
        ],
    ),
];

/// Suites that current clients refuse: 3DES, RC4, DES and IDEA, then export suites, then those
/// without encryption.
const LEGACY: [(Key, Exchange, &[S]); 15] = [
    (
        Key::Curve,
        Exchange::Ecdhe,
        &[
            S::TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Ecdhe,
        &[
            S::TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDHE_RSA_WITH_RC4_128_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Dhe,
        &[
            S::TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_DHE_RSA_WITH_DES_CBC_SHA,
        ],
    ),
    (
        Key::Curve,
        Exchange::Static,
        &[
            S::TLS_ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDH_ECDSA_WITH_RC4_128_SHA,
            S::TLS_ECDH_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDH_RSA_WITH_RC4_128_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Static,
        &[
            S::TLS_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_RSA_WITH_RC4_128_SHA,
            S::TLS_RSA_WITH_RC4_128_MD5,
            S::TLS_RSA_WITH_IDEA_CBC_SHA,
            S::TLS_RSA_WITH_DES_CBC_SHA,
        ],
    ),
    (
        Key::Dsa,
        Exchange::Dhe,
        &[
            S::TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA,
            S::TLS_DHE_DSS_WITH_DES_CBC_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Dhe,
        &[S::TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA],
    ),
    (
        Key::Rsa,
        Exchange::RsaExport,
        &[
            S::TLS_RSA_EXPORT1024_WITH_RC4_56_SHA,
            S::TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA,
            S::TLS_RSA_EXPORT_WITH_DES40_CBC_SHA,
            S::TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5,
            S::TLS_RSA_EXPORT_WITH_RC4_40_MD5,
        ],
    ),
    (
        Key::Dsa,
        Exchange::Dhe,
        &[S::TLS_DHE_DSS_EXPORT_WITH_DES40_CBC_SHA],
    ),
    (
        Key::Curve,
        Exchange::Ecdhe,
        &[S::TLS_ECDHE_ECDSA_WITH_NULL_SHA],
    ),
    (Key::Rsa, Exchange::Ecdhe, &[S::TLS_ECDHE_RSA_WITH_NULL_SHA]),
    (
        Key::Curve,
        Exchange::Static,
        &[
            S::TLS_ECDH_ECDSA_WITH_NULL_SHA,
            S::TLS_ECDH_RSA_WITH_NULL_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Static,
        &[
            S::TLS_RSA_WITH_NULL_SHA256,
            S::TLS_RSA_WITH_NULL_SHA,
            S::TLS_RSA_WITH_NULL_MD5,
        ],
    ),
    (
        Key::Dsa,
        Exchange::Dhe,
        &[
            S::TLS_DHE_DSS_EXPORT1024_WITH_RC4_56_SHA,
            S::TLS_DHE_DSS_EXPORT1024_WITH_DES_CBC_SHA,
        ],
    ),
    (
        Key::Rsa,
        Exchange::Static,
        // Number that SSL 3.0 with FIPS 140 uses for the DES suite.
        &[S::SSL_RSA_FIPS_WITH_DES_CBC_SHA],
    ),
];

/// Suites without authentication. A server that selects one sends no certificate.
const ANONYMOUS: [S; 14] = [
    S::TLS_ECDH_anon_WITH_AES_256_CBC_SHA,
    S::TLS_ECDH_anon_WITH_AES_128_CBC_SHA,
    S::TLS_DH_anon_WITH_AES_256_GCM_SHA384,
    S::TLS_DH_anon_WITH_AES_128_GCM_SHA256,
    S::TLS_DH_anon_WITH_AES_256_CBC_SHA256,
    S::TLS_DH_anon_WITH_AES_128_CBC_SHA256,
    S::TLS_DH_anon_WITH_AES_256_CBC_SHA,
    S::TLS_DH_anon_WITH_AES_128_CBC_SHA,
    S::TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA,
    S::TLS_DH_anon_WITH_3DES_EDE_CBC_SHA,
    S::TLS_ECDH_anon_WITH_RC4_128_SHA,
    S::TLS_DH_anon_WITH_RC4_128_MD5,
    S::TLS_DH_anon_WITH_DES_CBC_SHA,
    S::TLS_ECDH_anon_WITH_NULL_SHA,
];

/// TLS 1.3 suites: those of rustls, then AES-CCM (RFC 8446, appendix B.4), the Chinese ones (RFC
/// 8998), the Russian ones (RFC 9367), AEGIS, and those without encryption (RFC 9150).
pub(super) const TLS13: [S; 15] = [
    S::TLS13_AES_128_GCM_SHA256,
    S::TLS13_AES_256_GCM_SHA384,
    S::TLS13_CHACHA20_POLY1305_SHA256,
    S::TLS13_AES_128_CCM_SHA256,
    S::TLS13_AES_128_CCM_8_SHA256,
    S::Unknown(0x00c6),
    S::Unknown(0x00c7),
    S::Unknown(0xc103),
    S::Unknown(0xc104),
    S::Unknown(0xc105),
    S::Unknown(0xc106),
    S::Unknown(0x1306),
    S::Unknown(0x1307),
    S::Unknown(0xc0b4),
    S::Unknown(0xc0b5),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_suite_name_matches_key_type_and_key_exchange() {
        let mut seen = Vec::new();
        let offers = [Offer::Current, Offer::LastResort];
        for suite in offers.into_iter().flat_map(|o| offered(o, KeyType::Any)) {
            let name = suite.id.as_str().unwrap();
            let (exchange, _) = name.split_once("_WITH_").unwrap();
            let wanted = match (suite.key, suite.exchange) {
                (Key::Rsa, Exchange::Static) => &["TLS_RSA", "SSL_RSA_FIPS"][..],
                (Key::Rsa, Exchange::RsaExport) => &["TLS_RSA_EXPORT", "TLS_RSA_EXPORT1024"],
                (Key::Rsa, Exchange::Dhe) => &["TLS_DHE_RSA", "TLS_DHE_RSA_EXPORT"],
                (Key::Rsa, Exchange::Ecdhe) => &["TLS_ECDHE_RSA"],
                (Key::Curve, Exchange::Static) => &["TLS_ECDH_ECDSA", "TLS_ECDH_RSA"],
                (Key::Curve, Exchange::Ecdhe) => &["TLS_ECDHE_ECDSA"],
                (Key::Dsa, Exchange::Dhe) => &[
                    "TLS_DHE_DSS",
                    "TLS_DHE_DSS_EXPORT",
                    "TLS_DHE_DSS_EXPORT1024",
                ],
                other => panic!("{other:?}: {name}"),
            };
            assert!(wanted.contains(&exchange), "{name}");
            assert!(!seen.contains(&name), "{name} twice");
            seen.push(name);
        }
        assert!(seen.len() > 90, "{}", seen.len());
    }

    #[test]
    fn rustls_cipher_suites_are_marked_and_offered_first() {
        let spoken = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter();
        let spoken: Vec<_> = spoken
            .map(|s| s.suite())
            .filter(|s| !s.as_str().unwrap().starts_with("TLS13"))
            .collect();
        for id in &spoken {
            let suite = Suite::find(u16::from(*id), Offer::Current, KeyType::Any).unwrap();
            assert!(suite.is_of_rustls());
        }
        let known = offered(Offer::Current, KeyType::Any)
            .filter(|s| s.is_of_rustls())
            .count();
        assert_eq!(known, spoken.len());
        for key_type in [KeyType::Rsa, KeyType::Ecdsa] {
            let first = offered(Offer::Current, key_type).next().unwrap();
            assert!(first.is_of_rustls());
            for offer in [Offer::Current, Offer::LastResort] {
                assert!(offered(offer, key_type).all(|s| s.key.is_of(key_type)));
            }
        }
        let rsa = u16::from(S::TLS_RSA_WITH_AES_128_CBC_SHA);
        assert_eq!(Suite::find(rsa, Offer::Current, KeyType::Ecdsa), None);
        assert_eq!(Suite::find(0x1301, Offer::LastResort, KeyType::Any), None);
    }

    #[test]
    fn last_offer_has_only_cipher_suites_refused_by_clients() {
        let is_refused = |name: &str| {
            let ciphers = [
                "_3DES_", "_RC4_", "_DES_", "_DES40_", "_RC2_", "_IDEA_", "_NULL_",
            ];
            ciphers.iter().any(|cipher| name.contains(cipher))
        };
        for (offer, refused) in [(Offer::Current, false), (Offer::LastResort, true)] {
            for suite in offered(offer, KeyType::Any) {
                let name = suite.id.as_str().unwrap();
                assert_eq!(is_refused(name), refused, "{name}");
            }
        }
        assert!(anonymous(Offer::LastResort).all(|s| s.as_str().unwrap().contains("_anon_")));
        assert_eq!(anonymous(Offer::Current).count(), 0);
    }

    #[test]
    fn suites_have_their_registered_names() {
        assert_eq!(name(0x1304), "TLS_AES_128_CCM_SHA256");
        assert_eq!(name(0x00c6), "TLS_SM4_GCM_SM3");
        assert_eq!(name(0xc02b), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(name(0xfafa), "0xFAFA");
    }
}
