//! Whether a certificate has been revoked, as its issuer says in a list (RFC 5280, section 5) or in an OCSP
//! response (RFC 6960). Everything here is signed, and nothing is believed before the signature is verified.
//!
//! The two are read by the reader that knows where each part of a certificate begins: it never allocates, and a
//! list of a million entries costs one walk.

mod crl;
mod ocsp;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use crate::model::Timestamp;

use super::{Certificate, Link, PublicKeyHash, der, key_signed};

pub use crl::Crl;
pub use ocsp::{MAX_OCSP_BYTES, ocsp_url, read_ocsp};

/// So far the clock of whoever signed may be off, in seconds.
const CLOCK_SKEW: i64 = 5 * 60;
/// So long an OCSP response that does not say when the next one comes is taken as fresh, in seconds.
const LIFE_WITHOUT_END: i64 = 24 * 60 * 60;

/// Who issued a certificate, as far as revocation goes: a name and a key. A trusted root is no more than that.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The name as DER.
    name: Vec<u8>,
    /// The SubjectPublicKeyInfo as DER.
    spki: Vec<u8>,
}

impl Issuer {
    /// The issuer of a certificate, by its key (SubjectPublicKeyInfo as DER); `None` where it is not verified that
    /// that key signed it: a certificate that anybody made must not have an issuer asked about it.
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

/// What an issuer says of a certificate, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it has been revoked.
    pub status: Status,
    /// Until when this holds.
    pub until: Timestamp,
}

/// Whether a certificate has been revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has not.
    Good,
    /// It has.
    Revoked(Revoked),
}

/// A certificate's revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Since when.
    pub at: Timestamp,
    /// Why, as RFC 5280, section 5.3.1 calls it, where it is told.
    pub reason: Option<&'static str>,
}

impl fmt::Display for Revoked {
    /// `revoked on 2027-01-31 (keyCompromise)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revoked on {}", self.at.date())?;
        match self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Why a list or a response says nothing about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Unusable {
    /// It cannot be read: which part.
    Unreadable(&'static str),
    /// It has more bytes than are read.
    TooLarge,
    /// The responder answered with an error (RFC 6960, section 4.2.1).
    Refused(&'static str),
    /// It is about another certificate.
    OtherCertificate,
    /// It is signed with another key than the issuer's.
    WrongSignature,
    /// Its signature is of a kind that cannot be verified here (Ed448, brainpool curves).
    Unverifiable,
    /// Who signed it may not speak for the issuer: why.
    NotAuthorised(String),
    /// It holds only from then on.
    NotYetValid(Timestamp),
    /// It held until then.
    Outdated(Timestamp),
    /// The responder does not know the certificate.
    Unknown,
    /// It does not speak of all that matters here: why.
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

/// Whether something said at a time, which may say until when it holds, holds now: until when.
fn fresh(from: Timestamp, until: Timestamp, now: Timestamp) -> Result<(), Unusable> {
    if from.seconds_since(now) > CLOCK_SKEW {
        return Err(Unusable::NotYetValid(from));
    }
    if now.seconds_since(until) > CLOCK_SKEW {
        return Err(Unusable::Outdated(until));
    }
    Ok(())
}

fn verified(link: Link) -> Result<(), Unusable> {
    match link {
        Link::Verified => Ok(()),
        Link::Unverifiable => Err(Unusable::Unverifiable),
        Link::No => Err(Unusable::WrongSignature),
    }
}

/// The serial number's content octets.
fn serial(certificate: &Certificate) -> Option<&[u8]> {
    Some(der::outline(certificate.der()).ok()?.serial)
}

/// The name of a reason (RFC 5280, section 5.3.1).
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
