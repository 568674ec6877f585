//! TLSA records: the certificates that a TLS server may serve, published in DNS (DANE, RFC 6698).

use std::fmt;
use std::str::FromStr;

use crate::model::UnknownValue;
use crate::observation::ProbeError;

/// The TLSA records of an endpoint, as a name server returned them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// The name of the records, with its final dot: `_25._tcp.mail.example.com.`
    pub name: String,
    /// The distinct records, in order. Empty if there are none.
    pub records: Vec<TlsaRecord>,
    /// True if the name server reports that DNSSEC authenticates the records (the AD bit, RFC 4035,
    /// section 3.2.3), and for mail between servers also the addresses of the host (RFC 7672,
    /// section 2.2.2). The report is only as trustworthy as the connection to the name server.
    pub authenticated: bool,
}

/// The check of TLSA records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DaneCheck {
    /// No check.
    #[default]
    Off,
    /// Records that exist are compared.
    On,
    /// The absence of authenticated records is reported too.
    Required,
}

impl FromStr for DaneCheck {
    type Err = UnknownValue;

    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text {
            "false" => Ok(Self::Off),
            "true" => Ok(Self::On),
            "required" => Ok(Self::Required),
            other => Err(UnknownValue::new(
                other,
                "a DANE check",
                "true, false or required",
            )),
        }
    }
}

/// The result of a lookup of TLSA records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsaLookup {
    /// The records were not requested.
    #[default]
    Unknown,
    /// The lookup failed, in a zone whose other records DNSSEC authenticates. Clients that use DANE
    /// do not connect (RFC 7672, section 2.1).
    Failed(ProbeError),
    /// The endpoint cannot have records: an IP address, a local name, or QUIC.
    NotApplicable,
    /// Clients do not use the records of the endpoint, because DNSSEC does not authenticate the SRV
    /// records that name it (RFC 7673, section 3.1).
    UnsignedSrv {
        /// The owner of the SRV records.
        service: String,
    },
    /// The records, if any.
    Known(std::sync::Arc<Tlsa>),
}

/// A record as received, usable or not (RFC 6698, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsaRecord {
    /// The certificate usage.
    pub usage: u8,
    /// The selector.
    pub selector: u8,
    /// The matching type.
    pub matching_type: u8,
    /// The certificate association data.
    pub data: Vec<u8>,
}

/// The requirement of a usable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Association<'a> {
    /// The certificate to which it applies, and further requirements on that certificate.
    pub usage: Usage,
    /// The part of the certificate that is compared.
    pub selector: Selector,
    /// The method of comparison.
    pub matching: Matching,
    /// The record, with the data for comparison.
    pub record: &'a TlsaRecord,
}

/// Certificate usages, by their acronyms (RFC 7218, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// 0: an authority on the path to a trusted root.
    PkixTa,
    /// 1: the leaf, which must also be trusted.
    PkixEe,
    /// 2: an authority that becomes a trust anchor, and must be served (RFC 7671, section 5.2.2).
    DaneTa,
    /// 3: the leaf; its names and its expiry are ignored (RFC 7671, section 5.1).
    DaneEe,
}

/// Selectors (RFC 7218, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// 0: the whole certificate.
    Cert,
    /// 1: its SubjectPublicKeyInfo.
    Spki,
}

/// Matching types (RFC 7218, section 2.3), the weaker digest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Matching {
    /// 0: byte for byte.
    Full,
    /// 1: by SHA-256.
    Sha256,
    /// 2: by SHA-512.
    Sha512,
}

/// Reason for which clients ignore a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The usage is not assigned.
    #[error("its usage is unknown")]
    Usage,
    /// The selector is not assigned.
    #[error("its selector is unknown")]
    Selector,
    /// The matching type is not assigned.
    #[error("its matching type is unknown")]
    MatchingType,
    /// The data is empty, or does not have the length of the digest.
    #[error("its data has the wrong length")]
    Length,
}

impl TlsaRecord {
    /// Returns the requirement of the record. Clients ignore an unusable record (RFC 7671, sections
    /// 5 and 10).
    ///
    /// # Errors
    /// Returns the reason if the record is unusable.
    pub fn association(&self) -> Result<Association<'_>, Unusable> {
        let usage = match self.usage {
            0 => Usage::PkixTa,
            1 => Usage::PkixEe,
            2 => Usage::DaneTa,
            3 => Usage::DaneEe,
            _ => return Err(Unusable::Usage),
        };
        let selector = match self.selector {
            0 => Selector::Cert,
            1 => Selector::Spki,
            _ => return Err(Unusable::Selector),
        };
        let (matching, length) = match self.matching_type {
            0 => (Matching::Full, None),
            1 => (Matching::Sha256, Some(32)),
            2 => (Matching::Sha512, Some(64)),
            _ => return Err(Unusable::MatchingType),
        };
        if self.data.is_empty() || length.is_some_and(|length| self.data.len() != length) {
            return Err(Unusable::Length);
        }
        Ok(Association {
            usage,
            selector,
            matching,
            record: self,
        })
    }

    /// Returns the data in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.data.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Display for TlsaRecord {
    /// Writes the form of a zone file (RFC 6698, section 2.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            usage,
            selector,
            matching_type,
            ..
        } = self;
        write!(f, "{usage} {selector} {matching_type} {}", self.hex())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(usage: u8, selector: u8, matching_type: u8, length: usize) -> TlsaRecord {
        TlsaRecord {
            usage,
            selector,
            matching_type,
            data: vec![0xab; length],
        }
    }

    #[test]
    fn tlsa_record_with_unknown_number_or_wrong_length_is_unusable() {
        for (usage, selector, matching_type, length, word) in [
            (4, 0, 1, 32, "usage"),
            (255, 0, 1, 32, "usage"),
            (3, 2, 1, 32, "selector"),
            (3, 255, 1, 32, "selector"),
            (3, 1, 3, 32, "matching type"),
            (3, 1, 255, 32, "matching type"),
            (3, 1, 0, 0, "length"),
            (3, 1, 1, 31, "length"),
            (3, 1, 1, 64, "length"),
            (3, 1, 2, 32, "length"),
            (3, 1, 2, 65, "length"),
        ] {
            let record = record(usage, selector, matching_type, length);
            let why = record.association().unwrap_err().to_string();
            assert!(why.contains(word), "{record}: {why}");
        }
    }

    #[test]
    fn tlsa_record_is_formatted_as_in_a_zone_file() {
        assert_eq!(record(3, 1, 1, 3).to_string(), "3 1 1 ababab");
    }

    proptest! {
        #[test]
        fn tlsa_record_usability_depends_on_its_numbers_and_length(
            usage: u8, selector: u8, matching_type: u8, length in 0_usize..70,
        ) {
            let record = record(usage, selector, matching_type, length);
            let right_length = match matching_type {
                1 => length == 32,
                2 => length == 64,
                _ => length > 0,
            };
            let usable = usage < 4 && selector < 2 && matching_type < 3 && right_length;
            prop_assert_eq!(record.association().is_ok(), usable);
        }
    }
}
