//! General names (RFC 5280, section 4.2.1.6), and the extensions that list names and URLs.

use std::net::IpAddr;

use super::super::{San, der, printable};
use super::Kind;
use super::decode::{only, whole};

/// Maximum CRL URLs read from a certificate. One is usual.
const MAX_CRL_URLS: usize = 8;

/// The values of extensions that the program uses outside path validation.
#[derive(Debug, Default)]
pub(in crate::certificate) struct Values {
    /// subjectAltName (section 4.2.1.6).
    pub(in crate::certificate) sans: Vec<San>,
    /// The URL of the issuer's certificate (section 4.2.2.1).
    pub(in crate::certificate) issuer_url: Option<String>,
    /// The URL of an OCSP responder (RFC 6960, section 4.2.2.2).
    pub(in crate::certificate) ocsp_url: Option<String>,
    /// The URLs of complete revocation lists (section 4.2.1.13).
    pub(in crate::certificate) crl_urls: Vec<String>,
    /// True if an otherName or a registeredID has a malformed value.
    pub(in crate::certificate) has_malformed_other_name: bool,
    /// True if a distribution point has neither a name nor an issuer.
    pub(in crate::certificate) has_unnamed_point: bool,
    /// True if a length in an extension that clients read has more octets than it needs.
    pub(in crate::certificate) has_long_length: bool,
    /// True if unused bits of keyUsage are set.
    pub(in crate::certificate) has_unused_bits: bool,
    /// True if the pathLenConstraint has superfluous leading octets.
    pub(in crate::certificate) has_long_path_length: bool,
    /// True if the TLS feature extension requires a stapled OCSP response (RFC 7633).
    pub(in crate::certificate) must_staple: bool,
}

impl Values {
    /// Reads every name up to the first unreadable one, including malformed names.
    pub(super) fn names(&mut self, value: &[u8]) -> Option<()> {
        let mut names = only(value, der::SEQUENCE)?;
        let mut is_sound = !names.is_empty();
        while !names.is_empty() {
            let name = der::split(&mut names)?;
            let (san, is_well_formed) = general_name(name);
            self.has_malformed_other_name |= !has_sound_value(name);
            is_sound &= is_well_formed;
            self.sans.push(san);
        }
        is_sound.then_some(())
    }

    /// Notes the encodings in an extension that strict parsers refuse. Values of other extensions are
    /// not read by clients.
    pub(super) fn note_encoding(&mut self, kind: &Kind, value: &[u8]) {
        let is_read = matches!(
            kind,
            Kind::BasicConstraints
                | Kind::KeyUsage
                | Kind::ExtendedKeyUsage
                | Kind::SubjectAltName
                | Kind::SubjectKeyIdentifier
                | Kind::AuthorityKeyIdentifier
                | Kind::NameConstraints
                | Kind::CertificatePolicies
                | Kind::AuthorityInfoAccess
                | Kind::CrlDistributionPoints
        );
        self.has_long_length |= is_read && der::has_long_length(value);
        match kind {
            Kind::KeyUsage => {
                self.has_unused_bits |= match only(value, der::BIT_STRING) {
                    Some(&[unused @ 1..=7, .., last]) => last & !(u8::MAX << unused) != 0,
                    _ => false,
                }
            }
            Kind::BasicConstraints => {
                let path_length = whole(value, |input| {
                    let mut fields = der::expect(input, der::SEQUENCE)?.content;
                    der::optional(&mut fields, der::BOOLEAN);
                    der::optional(&mut fields, der::INTEGER)
                });
                self.has_long_path_length |=
                    matches!(path_length.map(|n| n.content), Some(&[0, 0..=0x7f, ..]));
            }
            _ => {}
        }
    }

    pub(super) fn access(&mut self, value: &[u8]) -> Option<()> {
        const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
        const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
        let mut descriptions = only(value, der::SEQUENCE)?;
        let is_empty = descriptions.is_empty();
        while !descriptions.is_empty() {
            let mut one = der::expect(&mut descriptions, der::SEQUENCE)?.content;
            let method = der::expect(&mut one, der::OBJECT_IDENTIFIER)?.content;
            let location = der::split(&mut one)?;
            if location.tag != URI {
                continue;
            }
            let url = text(location.content);
            let is_new = |known: &Option<String>| known.as_deref().is_none_or(|k| !is_http(k));
            // Some certificates name a directory (LDAP) first, which few clients can query.
            if method == CA_ISSUERS && is_new(&self.issuer_url) {
                if self.issuer_url.is_none() || is_http(&url) {
                    self.issuer_url = Some(url);
                }
            } else if method == OCSP && self.ocsp_url.is_none() && is_http(&url) {
                self.ocsp_url = Some(url);
            }
        }
        (!is_empty).then_some(())
    }

    /// Reads the URLs of complete lists: issued by the certificate's issuer, for all reasons.
    pub(super) fn distribution_points(&mut self, value: &[u8]) -> Option<()> {
        const NAME: u8 = 0xa0;
        const FULL_NAME: u8 = 0xa0;
        const ISSUER: u8 = 0xa2;
        let mut points = only(value, der::SEQUENCE)?;
        while !points.is_empty() {
            let mut point = der::expect(&mut points, der::SEQUENCE)?.content;
            let all = point;
            let name = der::optional(&mut point, NAME);
            if name.is_none() {
                let mut fields = all;
                let mut fields = std::iter::from_fn(|| der::split(&mut fields));
                self.has_unnamed_point |= !fields.any(|field| field.tag == ISSUER);
            }
            // The rest is a list of reasons or another issuer.
            let (Some(name), true) = (name, point.is_empty()) else {
                continue;
            };
            let mut name = name.content;
            let mut names = match der::optional(&mut name, FULL_NAME) {
                Some(names) => names.content,
                None => continue,
            };
            while !names.is_empty() {
                let name = der::split(&mut names)?;
                let url = text(name.content);
                if name.tag == URI && is_http(&url) && self.crl_urls.len() < MAX_CRL_URLS {
                    self.crl_urls.push(url);
                }
            }
        }
        Some(())
    }
}

const OTHER_NAME: u8 = 0xa0;
pub(super) const RFC822_NAME: u8 = 0x81;
pub(super) const DNS_NAME: u8 = 0x82;
pub(super) const DIRECTORY_NAME: u8 = 0xa4;
pub(super) const URI: u8 = 0x86;
pub(super) const IP_ADDRESS: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;

/// Reads a GeneralName (RFC 5280, section 4.2.1.6). The second value is true if it has the form of
/// its kind.
fn general_name(name: der::Tlv<'_>) -> (San, bool) {
    let is_ia5 = name.content.is_ascii();
    match name.tag {
        DNS_NAME => (
            San::Dns(text(name.content)),
            is_ia5 && !name.content.is_empty(),
        ),
        IP_ADDRESS => match address(name.content) {
            Some(ip) => (San::Ip(ip), true),
            None => (San::Other("an unreadable address".into()), false),
        },
        RFC822_NAME => (San::Email(text(name.content)), is_ia5),
        URI => (San::Uri(text(name.content)), is_ia5),
        DIRECTORY_NAME => {
            let is_name = whole(name.content, |input| {
                der::expect(input, der::SEQUENCE).map(|_| ())
            });
            (San::Directory(name.content.to_vec()), is_name.is_some())
        }
        OTHER_NAME => {
            let mut content = name.content;
            let kind = der::expect(&mut content, der::OBJECT_IDENTIFIER);
            let oid = kind.map(|k| k.content).unwrap_or_default();
            (San::OtherName(oid.into()), kind.is_some())
        }
        REGISTERED_ID => (San::Registered(name.content.into()), true),
        tag => (
            San::Other(format!("a name of the kind {}", tag & 0x1f)),
            true,
        ),
    }
}

/// Returns false for an otherName without a value, or with one that is not a single
/// tag-length-value, and for an empty registeredID.
fn has_sound_value(name: der::Tlv<'_>) -> bool {
    const VALUE: u8 = 0xa0;
    match name.tag {
        OTHER_NAME => whole(name.content, |input| {
            der::expect(input, der::OBJECT_IDENTIFIER)?;
            let value = der::expect(input, VALUE)?.content;
            whole(value, |input| der::split(input).map(|_| ()))
        })
        .is_some(),
        REGISTERED_ID => !name.content.is_empty(),
        _ => true,
    }
}

pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn text(octets: &[u8]) -> String {
    printable(&String::from_utf8_lossy(octets))
}

fn is_http(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"))
}
