//! Certificate revocation lists (RFC 5280, section 5).

use std::sync::OnceLock;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;

use crate::model::Timestamp;

use super::super::file::{FileError, contents_of_blocks};
use super::super::read::read_time;
use super::super::signature::Signed;
use super::super::{Certificate, Link, PublicKeyHash, der};
use super::part::{self, Reasons};
use super::{
    Answer, Issuer, Revoked, Status, Unusable, fresh, is_same_name, reason, serial, verified,
};

const EXPLICIT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// End of validity of a list without nextUpdate. Only a permanent revocation counts in it.
const NO_END: Timestamp = Timestamp(i64::MAX);

/// id-ce-cRLReasons, 2.5.29.21.
const REASON: &[u8] = &[0x55, 0x1d, 21];
/// id-ce-issuingDistributionPoint, 2.5.29.28.
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
/// id-ce-deltaCRLIndicator, 2.5.29.27.
const DELTA: &[u8] = &[0x55, 0x1d, 27];

/// A certificate revocation list of one issuer.
#[derive(Debug)]
pub struct Crl {
    der: Vec<u8>,
    /// The first key that the signature was checked with, and the result. Hashing the list is the
    /// expensive part, and one list is checked for many certificates.
    signed: OnceLock<(PublicKeyHash, Link)>,
}

impl Crl {
    /// Creates a list from a file or a response: DER (RFC 5280, section 5), or PEM (RFC 7468, section 6), which some
    /// issuers publish. In PEM, text before the block is skipped (section 2), and the first list counts.
    ///
    /// # Errors
    /// Returns an error if the bytes are not a list.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Unusable> {
        const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
        // The first octet does not decide: DER begins with 0x30, and text may begin with `0`.
        let is_der = Outline::read(&bytes).is_ok();
        if is_der || !has(&bytes, b"-----BEGIN ") {
            return Self::from_der(bytes);
        }
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let list = CertificateRevocationListDer::from_pem_slice(text);
        let list = list.map_err(|_| Unusable::Unreadable("its PEM has no revocation list"))?;
        Self::from_der(list.to_vec())
    }

    /// Creates all lists of a file: DER, or any number of PEM blocks.
    ///
    /// # Errors
    /// Returns an error if there is no list, or if one of them cannot be read.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, Unusable> {
        // UTF-16 is text too.
        if !has(bytes, b"-----BEGIN ") && !has(bytes, b"-\0-\0-\0-\0-\0") {
            return Ok(vec![Self::from_der(bytes.to_vec())?]);
        }
        let blocks = contents_of_blocks(bytes, "X509 CRL");
        let blocks = blocks.map_err(|error| Unusable::Unreadable(fault_of(&error)))?;
        let lists = blocks.into_iter().map(Self::from_der);
        let lists = lists.collect::<Result<Vec<Self>, Unusable>>()?;
        match lists.is_empty() {
            true => Err(Unusable::Unreadable("its PEM has no revocation list")),
            false => Ok(lists),
        }
    }

    /// Creates a list from its DER.
    ///
    /// # Errors
    /// Returns an error if the bytes are not a list.
    pub fn from_der(der: Vec<u8>) -> Result<Self, Unusable> {
        Outline::read(&der)?;
        Ok(Self {
            der,
            signed: OnceLock::new(),
        })
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.der.len()
    }

    /// Returns the status of a certificate, after verifying that its issuer signed the list and
    /// that the list covers this kind of certificate.
    ///
    /// Only lists of the issuer itself are used: no indirect lists and no delta lists. A list that
    /// is one part of several must be the one that the certificate names (section 6.3.3 (b)).
    ///
    /// The entry of a revoked certificate also counts in a list that is expired or has no nextUpdate:
    /// revocation is permanent, but for the reason certificateHold. It counts in a list for some
    /// reasons only too. The absence of an entry in any of these proves nothing.
    ///
    /// # Errors
    /// Returns the reason if the list does not give the status of the certificate.
    pub fn status_of(
        &self,
        leaf: &Certificate,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Answer, Unusable> {
        let outline = Outline::read(&self.der)?;
        if !is_same_name(outline.issuer, &issuer.name) {
            return Err(Unusable::NotAuthorised("it is another one's list".into()));
        }
        let reasons = outline.check_scope(leaf)?;
        verified(self.signed_by(outline.signed, issuer))?;
        let until = outline.next_update.unwrap_or(NO_END);
        let validity = fresh(outline.this_update, until, now);
        if matches!(validity, Err(Unusable::NotYetValid(_))) {
            return Err(Unusable::NotYetValid(outline.this_update));
        }
        let validity = match outline.next_update {
            Some(_) => validity,
            None => Err(Unusable::Unreadable("it has no nextUpdate")),
        };
        let number = serial(leaf).ok_or(Unusable::OtherCertificate)?;
        let status = match outline.find(number)?.map(Status::Revoked) {
            Some(revoked) if validity.is_ok() || revoked.is_permanent() => revoked,
            _ => {
                validity?;
                reasons.check_absence()?;
                Status::Good
            }
        };
        Ok(Answer { status, until })
    }

    fn signed_by(&self, signed: Signed<'_>, issuer: &Issuer) -> Link {
        let key = PublicKeyHash::of(&issuer.spki);
        let check = || (key, signed.by(&issuer.spki));
        match *self.signed.get_or_init(check) {
            (known, link) if known == key => link,
            _ => check().1,
        }
    }
}

/// Returns what is wrong with the PEM of a file.
fn fault_of(error: &FileError) -> &'static str {
    match error {
        FileError::MissingEnd { .. } => {
            "one of its PEM blocks has no `-----END` line: the file was cut short"
        }
        FileError::MissingBegin { .. } => "one of its PEM blocks has no `-----BEGIN` line",
        FileError::NotBase64 { .. } => "one of its PEM blocks has characters that are not base64",
        _ => "the boundaries of its PEM blocks are damaged",
    }
}

/// Returns true if the bytes contain this text.
fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The parts of a list. Every slice is part of the input.
struct Outline<'a> {
    signed: Signed<'a>,
    /// The issuer's name, a whole SEQUENCE.
    issuer: &'a [u8],
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// The content of the list of entries.
    entries: &'a [u8],
    /// The content of the list of extensions.
    extensions: &'a [u8],
}

impl<'a> Outline<'a> {
    fn read(mut der: &'a [u8]) -> Result<Self, Unusable> {
        let mut list = der::expect(&mut der, der::SEQUENCE)
            .filter(|_| der.is_empty())
            .ok_or(Unusable::Unreadable(
                "it is not a DER sequence, or is cut short",
            ))?
            .content;
        let inner = |list: &mut &'a [u8]| {
            let tbs = der::expect(list, der::SEQUENCE)?;
            let algorithm = der::expect(list, der::SEQUENCE)?.content;
            let signature = der::bits(der::expect(list, der::BIT_STRING)?.content)?;
            let signed = Signed {
                message: tbs.whole,
                algorithm,
                inner_algorithm: inner_algorithm(tbs.content),
                signature,
            };
            Self::read_tbs(tbs.content, signed)
        };
        inner(&mut list).ok_or(Unusable::Unreadable("it is no revocation list"))
    }

    fn read_tbs(mut tbs: &'a [u8], signed: Signed<'a>) -> Option<Self> {
        der::optional(&mut tbs, der::INTEGER); // the version
        der::expect(&mut tbs, der::SEQUENCE)?; // the algorithm, repeated
        let issuer = der::expect(&mut tbs, der::SEQUENCE)?.whole;
        let this_update = read_time(der::split(&mut tbs)?)?;
        let next =
            der::optional(&mut tbs, UTC_TIME).or_else(|| der::optional(&mut tbs, GENERALIZED_TIME));
        let next_update = match next {
            None => None,
            Some(time) => Some(read_time(time)?),
        };
        let entries = der::optional(&mut tbs, der::SEQUENCE);
        let extensions = match der::explicit(&mut tbs, EXPLICIT_0, der::SEQUENCE) {
            None => &[][..],
            Some(list) => list?.content,
        };
        tbs.is_empty().then_some(Self {
            signed,
            issuer,
            this_update,
            next_update,
            entries: entries.map_or(&[][..], |list| list.content),
            extensions,
        })
    }

    /// Returns the reasons that the list covers, or an error if it does not cover this certificate.
    fn check_scope(&self, leaf: &Certificate) -> Result<Reasons, Unusable> {
        let mut extensions = self.extensions;
        let mut reasons = Reasons::All;
        while !extensions.is_empty() {
            let extension =
                der::extension(&mut extensions).ok_or(Unusable::Unreadable("its extensions"))?;
            match extension.oid {
                DELTA => {
                    let why = "it has only what is new since another list";
                    return Err(Unusable::OutOfScope(why));
                }
                ISSUING_DISTRIBUTION_POINT => {
                    let scope = Scope::read(extension.value)
                        .ok_or(Unusable::Unreadable("what it is about"))?;
                    reasons = scope.check(leaf, self.issuer)?;
                }
                _ if extension.critical => {
                    let what = "one of its extensions is critical and not known";
                    return Err(Unusable::Unreadable(what));
                }
                _ => {}
            }
        }
        Ok(reasons)
    }

    /// Returns the entry for a serial number.
    fn find(&self, serial: &[u8]) -> Result<Option<Revoked>, Unusable> {
        let mut entries = self.entries;
        while !entries.is_empty() {
            let mut fields = entry(&mut entries)?;
            let number = der::expect(&mut fields, der::INTEGER)
                .ok_or(Unusable::Unreadable("one of its entries"))?;
            if number.content == serial {
                let revoked = read_entry(fields);
                return revoked
                    .map(Some)
                    .ok_or(Unusable::Unreadable("its entry for the certificate"));
            }
        }
        Ok(None)
    }
}

/// Returns the content of the AlgorithmIdentifier in the signed part (RFC 5280, section 5.1.2.2).
fn inner_algorithm(mut tbs: &[u8]) -> Option<&[u8]> {
    der::optional(&mut tbs, der::INTEGER); // the version
    Some(der::expect(&mut tbs, der::SEQUENCE)?.content)
}

/// Splits off the next entry and returns its content.
fn entry<'a>(entries: &mut &'a [u8]) -> Result<&'a [u8], Unusable> {
    let entry = der::expect(entries, der::SEQUENCE);
    let entry = entry.ok_or(Unusable::Unreadable("one of its entries"))?;
    Ok(entry.content)
}

/// Reads the fields after the serial number in an entry. Returns `None` if there is an unknown
/// critical extension: it may name another issuer for the entry (section 5.3.3).
fn read_entry(mut fields: &[u8]) -> Option<Revoked> {
    let at = read_time(der::split(&mut fields)?)?;
    let mut revoked = Revoked { at, reason: None };
    if let Some(list) = der::optional(&mut fields, der::SEQUENCE) {
        let mut extensions = list.content;
        while !extensions.is_empty() {
            let extension = der::extension(&mut extensions)?;
            if extension.oid == REASON {
                let mut value = extension.value;
                revoked.reason = reason(der::expect(&mut value, der::ENUMERATED)?.content);
            } else if extension.critical {
                return None;
            }
        }
    }
    Some(revoked)
}

impl Reasons {
    /// Returns an error if a certificate that is not in the list may be revoked.
    fn check_absence(self) -> Result<(), Unusable> {
        match self {
            Self::All => Ok(()),
            Self::Some => Err(Unusable::OutOfScope("it is for some reasons only")),
        }
    }
}

/// The scope of a list: the certificates that it covers (RFC 5280, section 5.2.5).
struct Scope<'a> {
    /// The content of the DistributionPointName.
    point: Option<&'a [u8]>,
    only_user: bool,
    only_authorities: bool,
    only_some_reasons: bool,
    is_indirect: bool,
    only_attributes: bool,
}

impl<'a> Scope<'a> {
    fn read(mut value: &'a [u8]) -> Option<Self> {
        let mut fields = der::expect(&mut value, der::SEQUENCE)?.content;
        let point = der::optional(&mut fields, EXPLICIT_0).map(|tlv| tlv.content);
        let mut field = |tag| der::optional(&mut fields, tag).map(|tlv| tlv.content);
        let is_true = |flag: Option<&[u8]>| flag.is_some_and(|content| content != [0]);
        let scope = Self {
            point,
            only_user: is_true(field(0x81)),
            only_authorities: is_true(field(0x82)),
            // A BIT STRING: `[0]` has no bits, so that the list covers no reason.
            only_some_reasons: field(0x83).is_some(),
            is_indirect: is_true(field(0x84)),
            only_attributes: is_true(field(0x85)),
        };
        fields.is_empty().then_some(scope)
    }

    /// Returns the reasons that the list of this issuer covers, or an error if it does not cover this
    /// certificate.
    fn check(&self, leaf: &Certificate, issuer: &[u8]) -> Result<Reasons, Unusable> {
        let Ok(facts) = leaf.facts() else {
            return Err(Unusable::OtherCertificate);
        };
        let why = if self.is_indirect {
            "it is an indirect list, and those are not read"
        } else if self.only_attributes || self.only_authorities && !facts.is_ca {
            "it is not about servers' certificates"
        } else if self.only_user && facts.is_ca {
            "it is not about authorities' certificates"
        } else {
            let of_part = match self.point {
                Some(point) => part::reasons_of(leaf, point, issuer),
                None => Some(Reasons::All),
            };
            match of_part {
                Some(_) if self.only_some_reasons => return Ok(Reasons::Some),
                Some(reasons) => return Ok(reasons),
                None => "it is another part of the issuer's list",
            }
        };
        Err(Unusable::OutOfScope(why))
    }
}
