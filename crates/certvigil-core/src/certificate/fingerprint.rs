//! Hashes that identify a certificate or a key.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

/// The SHA-256 of a certificate's DER. It identifies the certificate.
///
/// ```
/// use certvigil_core::certificate::{Fingerprint, FingerprintError};
///
/// let fingerprint = Fingerprint::of(b"DER of a certificate");
/// // The output of `openssl x509 -noout -fingerprint -sha256` is accepted too.
/// let printed = format!("sha256 Fingerprint={}", fingerprint.to_string().to_uppercase());
/// assert_eq!(printed.parse::<Fingerprint>()?, fingerprint);
/// # Ok::<(), FingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// The SHA-256 of a DER-encoded SubjectPublicKeyInfo. It identifies the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKeyHash([u8; 32]);

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Returns the SHA-1 of a certificate's DER, in lower-case hexadecimal. It is for people and
/// databases that still identify certificates by SHA-1; certvigil never compares it.
pub fn sha1_hex(der: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    // The formatting traits would take longer than the hash: a report has five of these for each
    // certificate.
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 0xf)]);
    }
    text
}

/// Reason for which text is not a SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// The label names another algorithm.
    #[error(
        "`{text}` is a fingerprint of {algorithm}, not SHA-256: write what `openssl x509 -noout -fingerprint -sha256` prints"
    )]
    Algorithm {
        /// The text.
        text: String,
        /// The name of the algorithm.
        algorithm: &'static str,
    },
    /// A character is not a hexadecimal digit.
    #[error(
        "`{text}` contains {character:?}: write the SHA-256 as 64 hexadecimal digits, colons allowed"
    )]
    Character {
        /// The text.
        text: String,
        /// The first such character.
        character: char,
    },
    /// There are not 64 digits.
    #[error(
        "`{text}` has {digits} hexadecimal digits{}: write the SHA-256 as 64 hexadecimal digits, colons allowed",
        if *.digits == 40 { " (this is the length of a SHA-1)" } else { "" }
    )]
    Length {
        /// The text.
        text: String,
        /// The number of digits.
        digits: usize,
    },
}

/// Removes the label of a line of `openssl x509 -fingerprint`: `sha256 Fingerprint=`, or `SHA256:` as
/// other tools write it.
fn without_label(text: &str) -> Result<&str, FingerprintError> {
    const ALGORITHMS: [&str; 6] = ["sha256", "sha1", "md5", "sha384", "sha512", "sha224"];
    let Some((label, rest)) = text.split_once('=').or_else(|| {
        let (label, rest) = text.split_once(':')?;
        label
            .trim()
            .to_ascii_lowercase()
            .starts_with("sha")
            .then_some((label, rest))
    }) else {
        return Ok(text);
    };
    let label = label.trim().to_ascii_lowercase().replace('-', "");
    let algorithm = label.trim_end_matches("fingerprint").trim();
    match ALGORITHMS.iter().find(|known| **known == algorithm) {
        Some(&"sha256") => Ok(rest),
        Some(other) => Err(FingerprintError::Algorithm {
            text: text.to_owned(),
            algorithm: other,
        }),
        None => Ok(text),
    }
}

/// Parses 64 hexadecimal digits in either case, after an optional label. Colons and white space between them are ignored.
fn parse_sha256(text: &str) -> Result<[u8; 32], FingerprintError> {
    let digits_of = without_label(text)?;
    let mut out = [0; 32];
    let mut digits = 0;
    for c in digits_of.chars() {
        let Some(digit) = c.to_digit(16).and_then(|d| u8::try_from(d).ok()) else {
            if c == ':' || c.is_whitespace() {
                continue;
            }
            return Err(FingerprintError::Character {
                text: text.to_owned(),
                character: c,
            });
        };
        // Digits beyond the length are only counted.
        if let Some(byte) = out.get_mut(digits / 2) {
            *byte = *byte << 4 | digit;
        }
        digits += 1;
    }
    if digits != 64 {
        return Err(FingerprintError::Length {
            text: text.to_owned(),
            digits,
        });
    }
    Ok(out)
}

macro_rules! sha256_newtype {
    ($name:ident, $of:literal) => {
        impl $name {
            #[doc = concat!("Hashes ", $of, ".")]
            pub fn of(der: &[u8]) -> Self {
                Self(sha256(der))
            }

            /// Returns the 32 bytes of the hash.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// Writes lower-case hexadecimal.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = FingerprintError;

            fn from_str(text: &str) -> Result<Self, FingerprintError> {
                parse_sha256(text).map(Self)
            }
        }
    };
}

sha256_newtype!(Fingerprint, "the DER of a certificate");
sha256_newtype!(PublicKeyHash, "a DER-encoded SubjectPublicKeyInfo");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_read_with_colons_and_in_either_case() {
        let plain = Fingerprint::of(b"x");
        let text = plain.to_string();
        assert_eq!(text.parse(), Ok(plain));
        assert_eq!(text.to_uppercase().parse(), Ok(plain));
        let pairs: Vec<_> = text
            .as_bytes()
            .chunks(2)
            .map(|p| std::str::from_utf8(p).unwrap())
            .collect();
        assert_eq!(pairs.join(":").parse(), Ok(plain));
        let openssl = pairs.join(":").to_uppercase();
        for label in [
            "sha256 Fingerprint=",
            "SHA256 Fingerprint=",
            "SHA-256: ",
            "sha256=",
            " sha256:",
        ] {
            assert_eq!(format!("{label}{openssl}\n").parse(), Ok(plain), "{label}");
        }
    }

    #[test]
    fn error_explains_an_invalid_fingerprint() {
        let error = "ab"
            .repeat(31)
            .parse::<Fingerprint>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("has 62 hexadecimal digits"), "{error}");
        let error = "a"
            .repeat(63)
            .parse::<Fingerprint>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("has 63 hexadecimal digits"), "{error}");
        let error = "ab"
            .repeat(20)
            .parse::<Fingerprint>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("SHA-1"), "{error}");
        let error = "SHA1 Fingerprint=AB:CD"
            .parse::<Fingerprint>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("of sha1, not SHA-256"), "{error}");
        let error = "xy"
            .repeat(32)
            .parse::<Fingerprint>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("contains 'x'"), "{error}");
    }
}
