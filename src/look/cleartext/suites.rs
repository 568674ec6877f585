//! The cipher suites of TLS 1.2 and before that are offered for a look in the clear.
//!
//! None without authentication or encryption, and none of the export ones: nothing that is in use has only those.
//! The suites of rustls come first. A server that speaks one of them takes it, and then nothing is read.

use rustls::CipherSuite as S;
use rustls::crypto::aws_lc_rs;

use crate::model::KeyType;

/// Which key the certificate has that goes with a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// RSA, bound to PSS or not.
    Rsa,
    /// A point of an elliptic curve, of ECDSA or EdDSA.
    Curve,
    /// DSA, which TLS calls DSS.
    Dsa,
}

impl Key {
    /// Whether a look for this kind of key takes it.
    pub(super) fn is_of(self, key_type: KeyType) -> bool {
        match key_type {
            KeyType::Any => true,
            KeyType::Rsa => self == Self::Rsa,
            KeyType::Ecdsa => self == Self::Curve,
        }
    }
}

/// How the two come to a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// With the certificate's key alone: there is no ServerKeyExchange, and no signature.
    Static,
    /// Over a finite field; signed.
    Dhe,
    /// Over an elliptic curve; signed.
    Ecdhe,
}

/// A suite, with what it means for the messages that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// Its number and IANA name.
    pub(super) id: S,
    pub(super) key: Key,
    pub(super) exchange: Exchange,
}

impl Suite {
    /// The suite of this number, if it is one of those that are offered.
    pub(super) fn find(id: u16, key_type: KeyType) -> Option<Self> {
        offered(key_type).find(|suite| u16::from(suite.id) == id)
    }

    /// Whether rustls speaks it.
    pub(super) fn is_of_rustls(self) -> bool {
        let spoken = aws_lc_rs::DEFAULT_CIPHER_SUITES;
        spoken.iter().any(|suite| suite.suite() == self.id)
    }
}

/// What is offered, the best first.
pub(super) fn offered(key_type: KeyType) -> impl Iterator<Item = Suite> {
    let groups = GROUPS.iter().filter(move |(key, ..)| key.is_of(key_type));
    groups.flat_map(|(key, exchange, suites)| {
        suites.iter().map(|id| Suite {
            id: *id,
            key: *key,
            exchange: *exchange,
        })
    })
}

const GROUPS: [(Key, Exchange, &[S]); 6] = [
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
            S::TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,
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
            S::TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDHE_RSA_WITH_RC4_128_SHA,
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
            S::TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_DHE_RSA_WITH_DES_CBC_SHA,
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
            S::TLS_ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDH_ECDSA_WITH_RC4_128_SHA,
            // The name tells who signed the certificate: the key is a curve's here, too.
            S::TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256,
            S::TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384,
            S::TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256,
            S::TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384,
            S::TLS_ECDH_RSA_WITH_AES_128_CBC_SHA,
            S::TLS_ECDH_RSA_WITH_AES_256_CBC_SHA,
            S::TLS_ECDH_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_ECDH_RSA_WITH_RC4_128_SHA,
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
            S::TLS_RSA_WITH_IDEA_CBC_SHA,
            S::TLS_RSA_WITH_3DES_EDE_CBC_SHA,
            S::TLS_RSA_WITH_RC4_128_SHA,
            S::TLS_RSA_WITH_RC4_128_MD5,
            S::TLS_RSA_WITH_DES_CBC_SHA,
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
            S::TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA,
            S::TLS_DHE_DSS_WITH_DES_CBC_SHA,
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_s_name_says_what_the_table_says() {
        let mut seen = Vec::new();
        for suite in offered(KeyType::Any) {
            let name = suite.id.as_str().unwrap();
            let (exchange, _) = name.split_once("_WITH_").unwrap();
            let wanted = match (suite.key, suite.exchange) {
                (Key::Rsa, Exchange::Static) => &["TLS_RSA"][..],
                (Key::Rsa, Exchange::Dhe) => &["TLS_DHE_RSA"],
                (Key::Rsa, Exchange::Ecdhe) => &["TLS_ECDHE_RSA"],
                (Key::Curve, Exchange::Static) => &["TLS_ECDH_ECDSA", "TLS_ECDH_RSA"],
                (Key::Curve, Exchange::Ecdhe) => &["TLS_ECDHE_ECDSA"],
                (Key::Dsa, Exchange::Dhe) => &["TLS_DHE_DSS"],
                other => panic!("{other:?}: {name}"),
            };
            assert!(wanted.contains(&exchange), "{name}");
            assert!(!seen.contains(&name), "{name} twice");
            seen.push(name);
        }
        assert!(seen.len() > 90, "{}", seen.len());
    }

    #[test]
    fn what_rustls_speaks_is_offered_first_and_known_for_it() {
        let spoken = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter();
        let spoken: Vec<_> = spoken
            .map(|s| s.suite())
            .filter(|s| !s.as_str().unwrap().starts_with("TLS13"))
            .collect();
        for id in &spoken {
            let suite = Suite::find(u16::from(*id), KeyType::Any).unwrap();
            assert!(suite.is_of_rustls());
        }
        let known = offered(KeyType::Any).filter(|s| s.is_of_rustls()).count();
        assert_eq!(known, spoken.len());
        for key_type in [KeyType::Rsa, KeyType::Ecdsa] {
            assert!(offered(key_type).next().unwrap().is_of_rustls());
            assert!(offered(key_type).all(|s| s.key.is_of(key_type)));
        }
        let rsa = u16::from(S::TLS_RSA_WITH_AES_128_CBC_SHA);
        assert_eq!(Suite::find(rsa, KeyType::Ecdsa), None);
        assert_eq!(Suite::find(0x1301, KeyType::Any), None);
    }
}
