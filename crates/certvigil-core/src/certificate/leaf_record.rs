//! Record of a leaf that another certificate has replaced.

use crate::model::Timestamp;

use super::{Certificate, Facts, Fingerprint, Key, San};

/// Maximum length of all names in a record, in bytes. A certificate with longer names has a record
/// without names.
pub const MAX_RECORDED_NAMES_BYTES: usize = 16 << 10;

/// The fields of a leaf that stay known after another certificate has replaced it. They are much
/// smaller than the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeafRecord {
    /// SHA-256 of its DER.
    pub sha256: Fingerprint,
    /// The subject's distinguished name, for people.
    pub subject: String,
    /// The issuer's distinguished name, for people.
    pub issuer: String,
    /// The issuer's organization, where it has one.
    pub issuer_organization: Option<String>,
    /// The issuer's common name, where it has one.
    pub issuer_common_name: Option<String>,
    /// The serial number in lower-case hexadecimal.
    pub serial: String,
    /// Host names and IP addresses for which it is valid. `None` if they are longer than
    /// [`MAX_RECORDED_NAMES_BYTES`].
    pub names: Option<Vec<String>>,
    /// The public key's kind and size.
    pub key: Key,
    /// The first and the last moment of validity, if both can be read.
    pub validity: Option<(Timestamp, Timestamp)>,
}

impl LeafRecord {
    /// Returns the record of a certificate; `None` if it cannot be read.
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let facts = certificate.facts().ok()?;
        Some(Self {
            sha256: certificate.sha256(),
            subject: facts.subject.clone(),
            issuer: facts.issuer.clone(),
            issuer_organization: facts.issuer_organization.clone(),
            issuer_common_name: facts.issuer_common_name.clone(),
            serial: facts.serial.clone(),
            names: names(facts),
            key: facts.key.clone(),
            validity: facts.validity(),
        })
    }

    /// Returns true if subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Returns the issuer's name to display: its organization, else its common name, else its
    /// distinguished name.
    pub fn issuer_name(&self) -> &str {
        let name = self.issuer_organization.as_ref();
        name.or(self.issuer_common_name.as_ref())
            .unwrap_or(&self.issuer)
    }
}

fn names(facts: &Facts) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut length = 0_usize;
    for san in &facts.sans {
        if matches!(san, San::Dns(_) | San::Ip(_)) {
            let name = san.to_string();
            length += name.len();
            names.push(name);
            if length > MAX_RECORDED_NAMES_BYTES {
                return None;
            }
        }
    }
    Some(names)
}
