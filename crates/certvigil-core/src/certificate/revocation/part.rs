//! Names of a part of a revocation list, and of the part that a certificate is in (RFC 5280,
//! sections 4.2.1.13, 5.2.5 and 6.3.3 (b)(2)(i)).

use super::super::{Certificate, der};
use super::is_same_name;

/// id-ce-cRLDistributionPoints, 2.5.29.31.
const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
/// `distributionPoint` of a DistributionPoint.
const NAME: u8 = 0xa0;
const REASONS: u8 = 0x81;
const ISSUER: u8 = 0xa2;
/// The choices of DistributionPointName.
const FULL_NAME: u8 = 0xa0;
const RELATIVE_NAME: u8 = 0xa1;
/// `directoryName` of GeneralName.
const DIRECTORY_NAME: u8 = 0xa4;

/// The reasons for revocation that a list covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    All,
    /// A certificate that is revoked for another reason is in another list.
    Some,
}

/// Returns the reasons for which a certificate is in the part with this name (the content of a
/// DistributionPointName), or `None` if it is in other parts. `issuer` is the name of the issuer of
/// the certificate and of the list.
pub(super) fn reasons_of(certificate: &Certificate, part: &[u8], issuer: &[u8]) -> Option<Reasons> {
    let mut extensions = der::outline(certificate.der()).ok()?.extensions;
    let mut points = loop {
        let extension = der::extension(&mut extensions)?;
        if extension.oid == DISTRIBUTION_POINTS {
            break der::contents(extension.value)?;
        }
    };
    let part = Name::read(part, issuer)?;
    let mut found = None;
    while let Some(point) = der::optional(&mut points, der::SEQUENCE) {
        match reasons_at(point.content, &part, issuer) {
            Some(Reasons::All) => return Some(Reasons::All),
            Some(Reasons::Some) => found = Some(Reasons::Some),
            None => {}
        }
    }
    found
}

/// Returns the reasons of a DistributionPoint, or `None` if it has another name or another issuer.
fn reasons_at(mut point: &[u8], part: &Name<'_>, issuer: &[u8]) -> Option<Reasons> {
    let name = der::optional(&mut point, NAME);
    let reasons = der::optional(&mut point, REASONS);
    let signer = der::optional(&mut point, ISSUER);
    let is_by_issuer = signer.is_none_or(|names| {
        general_names(names.content).any(|name| is_directory_name(name, issuer))
    });
    // A point without a name has the parts of its issuer, as OpenSSL reads it.
    let is_named = match name {
        Some(name) => Name::read(name.content, issuer)?.has_one_of(part),
        None => true,
    };
    (is_by_issuer && is_named).then_some(match reasons {
        Some(_) => Reasons::Some,
        None => Reasons::All,
    })
}

/// A DistributionPointName.
enum Name<'a> {
    /// The content of GeneralNames.
    Full(&'a [u8]),
    /// A whole Name: the issuer's with one more RelativeDistinguishedName.
    Relative(Vec<u8>),
}

impl<'a> Name<'a> {
    fn read(mut content: &'a [u8], issuer: &[u8]) -> Option<Self> {
        let choice = der::split(&mut content)?;
        match choice.tag {
            FULL_NAME => Some(Self::Full(choice.content)),
            RELATIVE_NAME => {
                let last = der::encode(der::SET, choice.content);
                let whole = [der::contents(issuer)?, &last].concat();
                Some(Self::Relative(der::sequence(&whole)))
            }
            _ => None,
        }
    }

    /// Returns true if both have a name in common.
    fn has_one_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Relative(own), Self::Relative(other)) => is_same_name(own, other),
            (Self::Relative(own), Self::Full(names)) | (Self::Full(names), Self::Relative(own)) => {
                general_names(names).any(|name| is_directory_name(name, own))
            }
            (Self::Full(own), Self::Full(other)) => {
                general_names(own).any(|one| general_names(other).any(|two| is_same(one, two)))
            }
        }
    }
}

fn general_names<'a>(mut content: &'a [u8]) -> impl Iterator<Item = der::Tlv<'a>> {
    std::iter::from_fn(move || der::split(&mut content))
}

/// Returns true if a GeneralName is this directory name (a whole SEQUENCE).
fn is_directory_name(name: der::Tlv<'_>, wanted: &[u8]) -> bool {
    name.tag == DIRECTORY_NAME && is_same_name(name.content, wanted)
}

fn is_same(one: der::Tlv<'_>, other: der::Tlv<'_>) -> bool {
    one.whole == other.whole || other.tag == DIRECTORY_NAME && is_directory_name(one, other.content)
}
