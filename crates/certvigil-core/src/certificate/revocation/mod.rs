//! Revocation status of a certificate, from its issuer's revocation list (RFC 5280, section 5) or
//! OCSP response (RFC 6960). Both are signed, and no part is used before the signature is verified.
//!
//! The reader of certificate outlines reads both. It never allocates, and a list of a million
//! entries is read in one pass.

mod crl;
mod ocsp;
mod part;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use serde::Serialize;

use crate::model::Timestamp;

use super::name::normal_name;
use super::{Certificate, Link, PublicKeyHash, der, key_signed};

pub use crl::Crl;
pub use ocsp::{
    MAX_OCSP_BYTES, StapleFaults, ocsp_outdated_from, ocsp_request, ocsp_url, read_ocsp,
    staple_faults,
};

/// Maximum clock skew of the signer, in seconds.
const CLOCK_SKEW: i64 = 5 * 60;
/// Lifetime of an OCSP response without nextUpdate, in seconds.
const LIFE_WITHOUT_END: i64 = 24 * 60 * 60;

/// An issuer as revocation needs it: a name and a key. A trusted root is no more than that.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The name as DER.
    name: Vec<u8>,
    /// The SubjectPublicKeyInfo as DER.
    spki: Vec<u8>,
}

impl Issuer {
    /// Returns the issuer of a certificate with this key (SubjectPublicKeyInfo as DER). Returns
    /// `None` if it is not verified that this key signed the certificate: a certificate that anyone
    /// can make must not cause requests to an issuer.
    pub fn of(certificate: &Certificate, spki: &[u8]) -> Option<Self> {
        let facts = certificate.facts().ok()?;
        let link = key_signed(spki, PublicKeyHash::of(spki), certificate);
        (link == Link::Verified).then(|| Self {
            name: facts.issuer_der.clone(),
            spki: spki.to_vec(),
        })
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({})", PublicKeyHash::of(&self.spki))
    }
}

/// A verified response of an issuer about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The revocation status.
    pub status: Status,
    /// End of validity of this response; the latest time for a list without nextUpdate.
    pub until: Timestamp,
}

/// Revocation status of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked(Revoked),
}

impl Status {
    /// Returns true if the certificate has been revoked and can never be valid again: for every
    /// reason but certificateHold (RFC 5280, section 5.3.1).
    fn is_permanent(self) -> bool {
        match self {
            Self::Good => false,
            Self::Revoked(revoked) => revoked.reason != Some(HOLD),
        }
    }
}

/// The only reason that is not permanent.
const HOLD: &str = "certificateHold";

/// Revocation of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Time of revocation.
    pub at: Timestamp,
    /// Reason as RFC 5280, section 5.3.1, names it, if it is given.
    pub reason: Option<&'static str>,
}

impl fmt::Display for Revoked {
    /// Writes a text such as `revoked on 2027-01-31 (keyCompromise)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revoked on {}", self.at.date())?;
        match self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// The reason for which a list or a response does not give the status of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Unusable {
    /// It cannot be read: the part.
    Unreadable(&'static str),
    /// It exceeds the maximum size.
    TooLarge,
    /// The responder returned an error (RFC 6960, section 4.2.1).
    Refused(&'static str),
    /// It is about another certificate.
    OtherCertificate,
    /// It is signed with a key other than the issuer's.
    WrongSignature,
    /// It has an unsupported kind of signature (Ed448, brainpool curves).
    Unverifiable,
    /// The signer is not authorised by the issuer: the reason.
    NotAuthorised(String),
    /// It is valid only from this time.
    NotYetValid(Timestamp),
    /// It was valid until this time.
    Outdated(Timestamp),
    /// The responder does not know the certificate.
    Unknown,
    /// It does not cover the certificate: the reason.
    OutOfScope(&'static str),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(what) => write!(f, "it cannot be read: {what}"),
            Self::TooLarge => write!(f, "it is larger than {MAX_OCSP_BYTES} bytes"),
            Self::Refused(error) => write!(f, "it is no answer, but the error `{error}`"),
            Self::OtherCertificate => f.write_str("it is about another certificate"),
            Self::WrongSignature => f.write_str("its signature is wrong"),
            Self::Unverifiable => {
                f.write_str("its signature is of a kind that cannot be verified here")
            }
            Self::NotAuthorised(why) => {
                write!(f, "who signed it may not speak for the issuer: {why}")
            }
            Self::NotYetValid(from) => write!(f, "it is not valid before {from}"),
            Self::Outdated(until) => write!(f, "it ended at {until}"),
            Self::Unknown => f.write_str("it says that the certificate is not known"),
            Self::OutOfScope(why) => write!(f, "it does not tell of this certificate: {why}"),
        }
    }
}

/// Returns until when a response is valid, or an error if it is not valid now.
fn fresh(from: Timestamp, until: Timestamp, now: Timestamp) -> Result<(), Unusable> {
    if from.seconds_since(now) > CLOCK_SKEW {
        return Err(Unusable::NotYetValid(from));
    }
    if now.seconds_since(until) > CLOCK_SKEW {
        return Err(Unusable::Outdated(until));
    }
    Ok(())
}

/// Compares names (DER) by RFC 5280, section 7.1: an authority may sign under its name in another
/// string type or letter case.
fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    one == other || normal_name(one) == normal_name(other)
}

fn verified(link: Link) -> Result<(), Unusable> {
    match link {
        Link::Verified => Ok(()),
        Link::Unverifiable => Err(Unusable::Unverifiable),
        Link::No => Err(Unusable::WrongSignature),
    }
}

/// Returns the serial number's content octets.
fn serial(certificate: &Certificate) -> Option<&[u8]> {
    Some(der::outline(certificate.der()).ok()?.serial)
}

/// Returns the name of a reason (RFC 5280, section 5.3.1).
fn reason(code: &[u8]) -> Option<&'static str> {
    Some(match code {
        [0] => "unspecified",
        [1] => "keyCompromise",
        [2] => "cACompromise",
        [3] => "affiliationChanged",
        [4] => "superseded",
        [5] => "cessationOfOperation",
        [6] => "certificateHold",
        [8] => "removeFromCRL",
        [9] => "privilegeWithdrawn",
        [10] => "aACompromise",
        _ => return None,
    })
}
