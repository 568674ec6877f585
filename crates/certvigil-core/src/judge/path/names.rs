//! Name constraints (RFC 5280, sections 4.2.1.10 and 6.1.3 (b), (c)).

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::certificate::{
    Certificate, Facts, Fingerprint, NameConstraints, San, Subtree, email_attributes, name_text,
    normal_rdns,
};
use crate::finding::FaultKind;

use super::comparisons::Comparisons;

/// Maximum characters of a name that a fault names.
const MAX_NAMED_CHARS: usize = 256;

/// The names of certificates, each prepared once for comparisons.
#[derive(Default)]
pub(super) struct Names<'a>(RefCell<HashMap<Fingerprint, Rc<[Name<'a>]>>>);

impl<'a> Names<'a> {
    /// Returns the fault of an authority whose constraints do not allow the names of a certificate
    /// below it, for the first such name. The result for each `authority` is computed once.
    pub(super) fn violation(
        &self,
        constraints: &NameConstraints,
        authority: Option<Fingerprint>,
        (below, facts): (&'a Certificate, &'a Facts),
        comparisons: &Comparisons,
    ) -> Option<FaultKind> {
        let compare = || violation(constraints, || self.of(below, facts), comparisons);
        match authority {
            Some(authority) => comparisons.once(authority, below.sha256(), compare),
            None => compare(),
        }
    }

    fn of(&self, certificate: &'a Certificate, facts: &'a Facts) -> Rc<[Name<'a>]> {
        let mut known = self.0.borrow_mut();
        let names = known.entry(certificate.sha256());
        names.or_insert_with(|| names_of(facts).into()).clone()
    }
}

/// Returns the names of a certificate to which name constraints apply: its subject, and its
/// alternative names or else the mailboxes in its subject.
fn names_of(facts: &Facts) -> Vec<Name<'_>> {
    let subject = (!is_empty_name(&facts.subject_der)).then_some(&facts.subject_der);
    let subject = subject.map(|der| Name::directory(der));
    let sans = facts.sans.iter().map(Name::of);
    let emails = if facts.sans.is_empty() {
        subject_emails(facts)
    } else {
        Vec::new()
    };
    subject.into_iter().chain(sans).chain(emails).collect()
}

fn violation<'a>(
    constraints: &NameConstraints,
    names: impl FnOnce() -> Rc<[Name<'a>]>,
    comparisons: &Comparisons,
) -> Option<FaultKind> {
    if constraints.has_distance || constraints.has_bad_address {
        return Some(FaultKind::NameConstraintMalformed);
    }
    if constraints.permitted.is_empty() && constraints.excluded.is_empty() {
        return None;
    }
    if comparisons.is_exhausted() {
        return Some(FaultKind::TooManyNames);
    }
    let names = names();
    names
        .iter()
        .find_map(|name| of_name(constraints, name, comparisons))
}

/// Returns the fault for the common name of a leaf without a dNSName that the constraints on
/// dNSName do not allow. RFC 5280 does not require this check; some clients make it, each for other
/// forms of text.
pub(in crate::judge) fn of_common_name(
    constraints: &NameConstraints,
    leaf: &Facts,
    comparisons: &Comparisons,
) -> Option<FaultKind> {
    if leaf.sans.iter().any(|san| matches!(san, San::Dns(_))) {
        return None;
    }
    let text = leaf.common_name.as_deref()?;
    let name = Name::Dns {
        text,
        lower: Some(text.to_ascii_lowercase()),
    };
    of_name(constraints, &name, comparisons)
}

/// Returns the fault for an emailAddress in the subject of a leaf with alternative names that the
/// constraints do not allow. RFC 5280 requires this check only without alternative names; some
/// clients always make it.
pub(in crate::judge) fn of_subject_email(
    constraints: &NameConstraints,
    leaf: &Facts,
    comparisons: &Comparisons,
) -> Option<FaultKind> {
    let mut subtrees = constraints.permitted.iter().chain(&constraints.excluded);
    if leaf.sans.is_empty() || !subtrees.any(|s| matches!(s, Subtree::Email(_))) {
        return None;
    }
    if !comparisons.take(leaf.subject_der.len()) {
        return Some(FaultKind::TooManyNames);
    }
    let emails = subject_emails(leaf);
    let mut emails = emails.iter();
    emails.find_map(|email| of_name(constraints, email, comparisons))
}

fn of_name(
    constraints: &NameConstraints,
    name: &Name<'_>,
    comparisons: &Comparisons,
) -> Option<FaultKind> {
    let mut is_constrained = false;
    let mut is_permitted = false;
    for (subtree, is_excluding) in (constraints.permitted.iter().map(|s| (s, false)))
        .chain(constraints.excluded.iter().map(|s| (s, true)))
    {
        if !comparisons.take(size(subtree)) {
            return Some(FaultKind::TooManyNames);
        }
        if let (Name::Dns { text, .. }, Subtree::Dns(domain), true) = (name, subtree, is_excluding)
            && wildcard_covers(text, domain)
            && !matches!(fits(name, subtree), Fit::Inside)
        {
            return Some(FaultKind::NameConstraint {
                kind: WILDCARD,
                subject: name.text(),
                is_excluded: true,
            });
        }
        match fits(name, subtree) {
            Fit::OtherKind => {}
            Fit::Malformed => return Some(FaultKind::NameConstraintMalformed),
            Fit::Unsupported => {
                return Some(FaultKind::NameConstraintUnsupported(name.kind().into()));
            }
            Fit::Inside if is_excluding => {
                return Some(FaultKind::NameConstraint {
                    kind: name.kind(),
                    subject: name.text(),
                    is_excluded: true,
                });
            }
            Fit::Inside => {
                is_constrained = true;
                is_permitted = true;
            }
            Fit::Outside => is_constrained |= !is_excluding,
        }
    }
    (is_constrained && !is_permitted).then(|| FaultKind::NameConstraint {
        kind: name.kind(),
        subject: name.text(),
        is_excluded: false,
    })
}

/// The kind of name in a fault about a wildcard that covers an excluded domain.
pub(in crate::judge) const WILDCARD: &str = "wildcard";

/// A name of a certificate, prepared once for comparisons with many subtrees.
enum Name<'a> {
    Dns {
        text: &'a str,
        /// The domain in lower case. `None` if it is not a domain.
        lower: Option<String>,
    },
    Ip(IpAddr),
    Email {
        text: Cow<'a, str>,
        /// The host in lower case. `None` if the mailbox has none.
        host: Option<String>,
    },
    Uri {
        text: &'a str,
        /// The host in lower case. `None` if it is not a name.
        host: Option<String>,
    },
    Directory {
        der: &'a [u8],
        /// The relative distinguished names in normal form. `None` if the name cannot be read.
        rdns: Option<Box<[u8]>>,
    },
    Other(&'a [u8]),
    Registered(&'a [u8]),
    Unreadable(&'a str),
}

impl<'a> Name<'a> {
    fn of(san: &'a San) -> Self {
        match san {
            San::Dns(name) => Self::dns(name),
            San::Ip(ip) => Self::Ip(*ip),
            San::Email(mail) => Self::email(mail.into()),
            San::Uri(uri) => Self::Uri {
                text: uri,
                host: uri_host(uri),
            },
            San::Directory(der) => Self::directory(der),
            San::OtherName(oid) => Self::Other(oid),
            San::Registered(oid) => Self::Registered(oid),
            San::Other(text) => Self::Unreadable(text),
        }
    }

    fn dns(text: &'a str) -> Self {
        let lower = text.to_ascii_lowercase();
        let lower = is_dns_name(&lower).then_some(lower);
        Self::Dns { text, lower }
    }

    fn email(text: Cow<'a, str>) -> Self {
        let host = text.rsplit_once('@');
        let host = host.map(|(_, host)| host.to_ascii_lowercase());
        Self::Email { text, host }
    }

    fn directory(der: &'a [u8]) -> Self {
        Self::Directory {
            der,
            rdns: normal_rdns(der),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Dns { .. } => "dNSName",
            Self::Ip(_) => "iPAddress",
            Self::Email { .. } => "rfc822Name",
            Self::Uri { .. } => "uniformResourceIdentifier",
            Self::Directory { .. } => "directoryName",
            Self::Other(_) => "otherName",
            Self::Registered(_) => "registeredID",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Returns the name, shortened to `MAX_NAMED_CHARS`.
    fn text(&self) -> String {
        let mut text = match self {
            Self::Dns { text, .. } | Self::Uri { text, .. } | Self::Unreadable(text) => {
                (*text).to_owned()
            }
            Self::Email { text, .. } => text.clone().into_owned(),
            Self::Ip(ip) => ip.to_string(),
            Self::Directory { der, .. } => name_text(der),
            Self::Other(oid) | Self::Registered(oid) => crate::certificate::dotted(oid),
        };
        if let Some((end, _)) = text.char_indices().nth(MAX_NAMED_CHARS) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

/// Returns the octets of a subtree's base, which a comparison reads.
fn size(subtree: &Subtree) -> usize {
    match subtree {
        Subtree::Dns(text) | Subtree::Email(text) | Subtree::Uri(text) => text.len(),
        Subtree::Directory(rdns) => rdns.as_ref().map_or(0, |rdns| rdns.len()),
        Subtree::Other(_, oid) => oid.len(),
        Subtree::Ip(..) | Subtree::BadIp => 0,
    }
}

/// The tags of otherName, x400Address, ediPartyName and registeredID, in a GeneralName.
const KNOWN_TAGS: [u8; 4] = [0xa0, 0xa3, 0xa5, 0x88];

enum Fit {
    /// The constraint applies to another kind of name.
    OtherKind,
    Inside,
    Outside,
    /// The constraint, or the name, cannot be read.
    Malformed,
    /// The two cannot be compared.
    Unsupported,
}

impl From<bool> for Fit {
    fn from(is_inside: bool) -> Self {
        if is_inside {
            Self::Inside
        } else {
            Self::Outside
        }
    }
}

fn fits(name: &Name<'_>, subtree: &Subtree) -> Fit {
    match (name, subtree) {
        (Name::Dns { .. }, Subtree::Dns(domain)) if has_trailing_dot(domain) => Fit::Malformed,
        (Name::Dns { lower: None, .. }, Subtree::Dns(_)) => Fit::Malformed,
        (
            Name::Dns {
                lower: Some(name), ..
            },
            Subtree::Dns(domain),
        ) => is_within(name, domain).into(),
        (Name::Ip(ip), Subtree::Ip(network, mask)) => address(*ip, *network, *mask),
        (Name::Ip(_), Subtree::BadIp) => Fit::Malformed,
        (Name::Email { text, host }, Subtree::Email(constraint)) => match host {
            Some(host) => mailbox(text, host, constraint).into(),
            None => Fit::Malformed,
        },
        (Name::Uri { host, .. }, Subtree::Uri(constraint)) => match host {
            Some(host) => host_within(host, constraint).into(),
            None => Fit::Malformed,
        },
        (Name::Directory { rdns, .. }, Subtree::Directory(base)) => match (rdns, base) {
            (Some(rdns), Some(base)) => rdns.starts_with(base).into(),
            _ => Fit::Malformed,
        },
        (Name::Other(kind), Subtree::Other(0xa0, of)) if **kind == **of => Fit::Unsupported,
        (Name::Registered(_), Subtree::Other(0x88, _)) => Fit::Unsupported,
        // An iPAddress of an invalid length might be any address.
        (Name::Unreadable(_), Subtree::Ip(..) | Subtree::BadIp) => Fit::Malformed,
        (_, Subtree::Other(tag, _)) if !KNOWN_TAGS.contains(tag) => Fit::Malformed,
        _ => Fit::OtherKind,
    }
}

/// Compares domains in lower case: one is inside another if it adds labels at the left (section
/// 4.2.1.10). A leading dot, which some authorities write, requires at least one more label.
fn is_within(name: &str, domain: &str) -> bool {
    match domain.strip_prefix('.') {
        _ if domain.is_empty() => true,
        Some(parent) => name
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => name
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// Returns true for a domain with a trailing dot. No dNSName may have one, and clients disagree
/// about it.
pub(in crate::judge) fn has_trailing_dot(domain: &str) -> bool {
    domain.len() > 1 && domain.ends_with('.')
}

/// Returns true if a wildcard, such as `*.example.com`, may match a domain that is not above it,
/// such as `www.example.com`. RFC 5280 does not mention wildcards. Three of the six clients refuse
/// one that covers an excluded domain, because it may be used for the excluded name.
fn wildcard_covers(name: &str, domain: &str) -> bool {
    let parent = name
        .split_once('.')
        .filter(|(first, _)| first.contains('*'));
    parent
        .map(|(_, parent)| parent)
        .zip(parent_of_domain(domain))
        .is_some_and(|(parent, of_domain)| parent.eq_ignore_ascii_case(of_domain))
}

/// Returns a domain without its first label: the domain below which a wildcard covers it.
pub(in crate::judge) fn parent_of_domain(domain: &str) -> Option<&str> {
    let bare = domain.strip_prefix('.').unwrap_or(domain);
    bare.split_once('.').map(|(_, parent)| parent)
}

/// Returns true for letters, digits, hyphens and underscores between dots.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.split('.').all(label)
}

/// Returns true for a domain, with wildcards in any label, or with a leading dot. Clients compare such
/// a dNSName as any other, whether or not it is a valid one.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or(name);
    is_domain(&name.replace('*', "a"))
}

fn address(ip: IpAddr, network: IpAddr, mask: IpAddr) -> Fit {
    match (ip, network, mask) {
        (IpAddr::V4(ip), IpAddr::V4(network), IpAddr::V4(mask)) => {
            let mask = mask.to_bits();
            if mask.leading_ones() + mask.trailing_zeros() < u32::BITS {
                return Fit::Malformed;
            }
            (ip.to_bits() & mask == network.to_bits() & mask).into()
        }
        (IpAddr::V6(ip), IpAddr::V6(network), IpAddr::V6(mask)) => {
            let mask = mask.to_bits();
            if mask.leading_ones() + mask.trailing_zeros() < u128::BITS {
                return Fit::Malformed;
            }
            (ip.to_bits() & mask == network.to_bits() & mask).into()
        }
        // Both families are one kind of name: a permitted IPv4 network permits no IPv6 address.
        _ => Fit::Outside,
    }
}

/// Compares with a mailbox, all mailboxes of a host, or with a leading dot those of all hosts in a
/// domain. `host` is that of the mailbox in lower case.
fn mailbox(mail: &str, host: &str, constraint: &str) -> bool {
    match constraint.rsplit_once('@') {
        Some((wanted, at)) => {
            let local = mail.get(..wanted.len());
            let is_local = mail.len() == wanted.len() + 1 + host.len() && local == Some(wanted);
            is_local && host.eq_ignore_ascii_case(at)
        }
        None => host_within(host, &constraint.to_ascii_lowercase()),
    }
}

/// Compares with a host, or with a leading dot every host in the domain. Both are in lower case.
fn host_within(host: &str, constraint: &str) -> bool {
    match constraint.strip_prefix('.') {
        Some(_) => host.len() > constraint.len() && host.ends_with(constraint),
        None => constraint.is_empty() || host == constraint,
    }
}

/// Returns the host of a URI in lower case. Returns `None` if the host is not a name, as section
/// 4.2.1.10 requires.
fn uri_host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?.to_ascii_lowercase();
    (is_domain(&host) && host.parse::<IpAddr>().is_err()).then_some(host)
}

fn is_empty_name(der: &[u8]) -> bool {
    matches!(der, [0x30, 0])
}

/// Returns the emailAddress attributes of a subject. rfc822Name constraints apply to them if there
/// are no alternative names.
fn subject_emails(facts: &Facts) -> Vec<Name<'_>> {
    let emails = email_attributes(&facts.subject_der).into_iter();
    emails.map(|mail| Name::email(mail.into())).collect()
}
