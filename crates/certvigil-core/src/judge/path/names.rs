//! Name constraints (RFC 5280, sections 4.2.1.10 and 6.1.3 (b), (c)).

use std::cell::Cell;
use std::net::IpAddr;

use crate::certificate::{Facts, NameConstraints, San, Subtree, name_parts, name_text};

use crate::finding::FaultKind;

/// Maximum comparisons of a name with a subtree for one probe. A certificate with a thousand names
/// below an authority with a hundred constraints needs far fewer.
pub(super) const MAX_COMPARISONS: usize = 250_000;

/// Comparisons left for a probe.
pub(super) struct Comparisons(Cell<usize>);

impl Comparisons {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_COMPARISONS))
    }

    fn left(&self) -> usize {
        self.0.get()
    }

    fn take(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

/// Returns the first name of a certificate that the constraints of an issuer above it do not allow.
pub(super) fn violation(
    constraints: &NameConstraints,
    facts: &Facts,
    comparisons: &Comparisons,
) -> Option<FaultKind> {
    let subtrees = constraints.permitted.iter().chain(&constraints.excluded);
    let mut subtrees = subtrees.take(comparisons.left());
    if constraints.has_distance || subtrees.any(|s| *s == Subtree::BadIp) {
        return Some(FaultKind::NameConstraintMalformed);
    }
    let subject = (!is_empty_name(&facts.subject_der)).then_some(&facts.subject_der);
    let subject = subject.map(|der| Name::Directory(der));
    let sans = facts.sans.iter().map(Name::of);
    let emails = if facts.sans.is_empty() {
        subject_emails(facts)
    } else {
        Vec::new()
    };
    let emails = emails.iter().map(|email| Name::Email(email));
    let mut names = subject.into_iter().chain(sans).chain(emails);
    names.find_map(|name| of_name(constraints, name, comparisons))
}

/// Returns true if the constraints do not allow the common name of a leaf without alternative
/// names. RFC 5280 does not require this check; some clients make it.
pub(in crate::judge) fn is_name_outside(constraints: &NameConstraints, leaf: &Facts) -> bool {
    let name = leaf.common_name.as_deref().filter(|_| leaf.sans.is_empty());
    let name = name.filter(|name| is_domain(&name.to_ascii_lowercase()));
    name.is_some_and(|name| of_name(constraints, Name::Dns(name), &Comparisons::new()).is_some())
}

/// Returns true if the constraints do not allow an emailAddress in the subject of a leaf with
/// alternative names. RFC 5280 requires this check only without alternative names; some clients
/// always make it.
pub(in crate::judge) fn email_is_outside(constraints: &NameConstraints, leaf: &Facts) -> bool {
    let subtrees = constraints.permitted.iter().chain(&constraints.excluded);
    let has_email = subtrees
        .take(MAX_COMPARISONS)
        .any(|s| matches!(s, Subtree::Email(_)));
    has_email
        && !leaf.sans.is_empty()
        && subject_emails(leaf)
            .iter()
            .any(|email| of_name(constraints, Name::Email(email), &Comparisons::new()).is_some())
}

fn of_name(
    constraints: &NameConstraints,
    name: Name<'_>,
    comparisons: &Comparisons,
) -> Option<FaultKind> {
    let mut is_constrained = false;
    let mut is_permitted = false;
    for (subtree, is_excluding) in (constraints.permitted.iter().map(|s| (s, false)))
        .chain(constraints.excluded.iter().map(|s| (s, true)))
    {
        if !comparisons.take() {
            return Some(FaultKind::TooManyNames);
        }
        if let (Name::Dns(wildcard), Subtree::Dns(domain), true) = (name, subtree, is_excluding)
            && wildcard_covers(wildcard, domain)
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

/// A name of a certificate.
#[derive(Clone, Copy)]
enum Name<'a> {
    Dns(&'a str),
    Ip(IpAddr),
    Email(&'a str),
    Uri(&'a str),
    Directory(&'a [u8]),
    Other(&'a [u8]),
    Registered(&'a [u8]),
    Unreadable(&'a str),
}

impl<'a> Name<'a> {
    fn of(san: &'a San) -> Self {
        match san {
            San::Dns(name) => Self::Dns(name),
            San::Ip(ip) => Self::Ip(*ip),
            San::Email(mail) => Self::Email(mail),
            San::Uri(uri) => Self::Uri(uri),
            San::Directory(der) => Self::Directory(der),
            San::OtherName(oid) => Self::Other(oid),
            San::Registered(oid) => Self::Registered(oid),
            San::Other(text) => Self::Unreadable(text),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Dns(_) => "dNSName",
            Self::Ip(_) => "iPAddress",
            Self::Email(_) => "rfc822Name",
            Self::Uri(_) => "uniformResourceIdentifier",
            Self::Directory(_) => "directoryName",
            Self::Other(_) => "otherName",
            Self::Registered(_) => "registeredID",
            Self::Unreadable(_) => "unreadable",
        }
    }

    fn text(self) -> String {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::Uri(text) | Self::Unreadable(text) => {
                text.to_owned()
            }
            Self::Ip(ip) => ip.to_string(),
            Self::Directory(der) => name_text(der),
            Self::Other(oid) | Self::Registered(oid) => crate::certificate::dotted(oid),
        }
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

fn fits(name: Name<'_>, subtree: &Subtree) -> Fit {
    match (name, subtree) {
        (Name::Dns(_), Subtree::Dns(domain)) if has_trailing_dot(domain) => Fit::Malformed,
        (Name::Dns(name), Subtree::Dns(_)) if !is_domain(&name.to_ascii_lowercase()) => {
            Fit::Malformed
        }
        (Name::Dns(name), Subtree::Dns(domain)) => dns(name, domain),
        (Name::Ip(ip), Subtree::Ip(network, mask)) => address(ip, *network, *mask),
        (Name::Ip(_), Subtree::BadIp) => Fit::Malformed,
        (Name::Email(mail), Subtree::Email(constraint)) => email(mail, constraint),
        (Name::Uri(uri), Subtree::Uri(host)) => match uri_host(uri) {
            Some(name) => host_within(name, host).into(),
            None => Fit::Malformed,
        },
        (Name::Directory(name), Subtree::Directory(base)) => directory(name, base),
        (Name::Other(kind), Subtree::Other(0xa0, of)) if *kind == **of => Fit::Unsupported,
        (Name::Registered(_), Subtree::Other(0x88, _)) => Fit::Unsupported,
        // An iPAddress of an invalid length might be any address.
        (Name::Unreadable(_), Subtree::Ip(..) | Subtree::BadIp) => Fit::Malformed,
        (_, Subtree::Other(tag, _)) if !KNOWN_TAGS.contains(tag) => Fit::Malformed,
        _ => Fit::OtherKind,
    }
}

/// Compares domains: one is inside another if it adds labels at the left (section 4.2.1.10). A
/// leading dot, which some authorities write, requires at least one more label.
fn dns(name: &str, domain: &str) -> Fit {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_within = |name: &str, domain: &str| match domain.strip_prefix('.') {
        _ if domain.is_empty() => true,
        Some(parent) => name
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => {
            name == domain
                || name
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
        }
    };
    is_within(&name, domain).into()
}

/// Returns true for a domain with a trailing dot. No dNSName may have one, and clients disagree
/// about it.
pub(in crate::judge) fn has_trailing_dot(domain: &str) -> bool {
    domain.len() > 1 && domain.ends_with('.')
}

/// Returns true if a wildcard, such as `*.example.com`, may match a domain that is not above it,
/// such as `www.example.com`. RFC 5280 does not mention wildcards. Three of the six clients refuse
/// one that covers an excluded domain, because it may be used for the excluded name.
pub(in crate::judge) fn wildcard_covers(name: &str, domain: &str) -> bool {
    let bare = domain.strip_prefix('.').unwrap_or(domain);
    let parent = name.strip_prefix("*.");
    parent
        .zip(bare.split_once('.'))
        .is_some_and(|(parent, (_, parent_of_domain))| {
            parent.eq_ignore_ascii_case(parent_of_domain)
        })
}

/// Returns true for letters, digits, hyphens and underscores between dots, with an optional
/// wildcard as the first label.
fn is_domain(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.split('.').all(label)
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
/// domain.
fn email(mail: &str, constraint: &str) -> Fit {
    let Some((local, host)) = mail.rsplit_once('@') else {
        return Fit::Malformed;
    };
    match constraint.rsplit_once('@') {
        Some((wanted, at)) => (local == wanted && host.eq_ignore_ascii_case(at)).into(),
        None => host_within(host, &constraint.to_ascii_lowercase()).into(),
    }
}

/// Compares with a host, or with a leading dot every host in the domain.
fn host_within(host: &str, constraint: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match constraint.strip_prefix('.') {
        Some(_) => host.len() > constraint.len() && host.ends_with(constraint),
        None => constraint.is_empty() || host == constraint,
    }
}

/// Returns the host of a URI whose host is a name, as section 4.2.1.10 requires.
fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    (is_domain(&host.to_ascii_lowercase()) && host.parse::<IpAddr>().is_err()).then_some(host)
}

/// Compares directory names: one is inside another if that is a prefix of it, by relative
/// distinguished names.
fn directory(name: &[u8], base: &[u8]) -> Fit {
    match (name_parts(name), name_parts(base)) {
        (Some(name), Some(base)) => name.starts_with(&base).into(),
        _ => Fit::Malformed,
    }
}

fn is_empty_name(der: &[u8]) -> bool {
    matches!(der, [0x30, 0])
}

/// Returns the emailAddress attributes of a subject. rfc822Name constraints apply to them if there
/// are no alternative names.
fn subject_emails(facts: &Facts) -> Vec<String> {
    crate::certificate::email_attributes(&facts.subject_der)
}
