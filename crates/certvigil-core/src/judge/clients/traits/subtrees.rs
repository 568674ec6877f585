//! The properties of name constraints.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use crate::certificate::{Certificate, Facts, Fingerprint, Kind, NameConstraints, San, Subtree};
use crate::finding::{FaultKind, Property};

use super::name_syntax::{go_parses, of_common_name_form};

use super::super::super::path::{
    Comparisons, has_trailing_dot, of_common_name, of_subject_email, parent_of_domain,
};

/// The properties of the name constraints of each authority above one leaf. They do not depend on
/// the path, and are computed once.
pub(in crate::judge) struct Constraints<'a> {
    leaf: Option<&'a Facts>,
    comparisons: &'a Comparisons,
    names: OnceCell<LeafNames>,
    known: RefCell<HashMap<Fingerprint, Rc<[Property]>>>,
}

impl<'a> Constraints<'a> {
    pub(in crate::judge) fn new(leaf: &'a Certificate, comparisons: &'a Comparisons) -> Self {
        Self {
            leaf: leaf.facts().ok(),
            comparisons,
            names: OnceCell::new(),
            known: RefCell::default(),
        }
    }

    /// Returns the properties of an authority's name constraints, in the order of the subtrees.
    pub(super) fn of(&self, authority: &Certificate, facts: &Facts) -> Rc<[Property]> {
        let (Some(constraints), Some(leaf)) = (&facts.extensions.name_constraints, self.leaf)
        else {
            return Rc::default();
        };
        let mut known = self.known.borrow_mut();
        let properties = known.entry(authority.sha256());
        let is_critical = facts.extensions.is_critical(&Kind::NameConstraints);
        let compute = || self.properties(constraints, is_critical, leaf);
        properties.or_insert_with(|| compute().into()).clone()
    }

    fn properties(
        &self,
        constraints: &NameConstraints,
        is_critical: bool,
        leaf: &Facts,
    ) -> Vec<Property> {
        let mut out = Vec::new();
        if constraints.has_distance {
            out.push(Property::ConstraintDistance);
        }
        if constraints.has_encoded_minimum {
            out.push(Property::EncodedMinimum);
        }
        if constraints.is_empty
            && constraints.permitted.is_empty()
            && constraints.excluded.is_empty()
        {
            out.push(Property::EmptyNameConstraints);
        }
        let names = self.names.get_or_init(|| LeafNames::of(leaf));
        let permitted = constraints.permitted.iter().map(|s| (s, false));
        let excluded = constraints.excluded.iter().map(|s| (s, true));
        for (subtree, is_excluded) in permitted.chain(excluded) {
            if let Some(property) = of_subtree(subtree, is_excluded, is_critical, names)
                && !out.contains(&property)
            {
                out.push(property);
            }
        }
        if permits_or_excludes_uris(constraints) {
            let uris = [
                (names.has_hostless_uri, Property::HostlessUriConstrained),
                (names.has_address_uri, Property::AddressUriConstrained),
            ];
            out.extend(uris.into_iter().filter(|(is, _)| *is).map(|(_, p)| p));
        }
        // Go ignores constraints on other kinds of names.
        let mut subtrees = constraints.permitted.iter().chain(&constraints.excluded);
        let is_of_go = |s: &Subtree| !matches!(s, Subtree::Directory(_) | Subtree::Other(..));
        if names.has_invalid_syntax && subtrees.any(is_of_go) {
            out.push(Property::NameSyntaxConstrained);
        }
        for (fault, property) in [
            (
                of_common_name(constraints, leaf, self.comparisons),
                of_common_name_form(leaf.common_name.as_deref().unwrap_or_default()),
            ),
            (
                of_subject_email(constraints, leaf, self.comparisons),
                Property::EmailInSubjectNotAllowed,
            ),
        ] {
            match fault {
                None => {}
                Some(FaultKind::TooManyNames) => out.push(Property::NameConstraintUnclear),
                Some(_) => out.push(property),
            }
        }
        out
    }
}

/// The names of a leaf, as far as the properties of subtrees depend on them.
struct LeafNames {
    has_address: bool,
    has_uri: bool,
    has_malformed_dns: bool,
    /// True if a URI has no host.
    has_hostless_uri: bool,
    /// True if the host of a URI is an address.
    has_address_uri: bool,
    /// True if Go cannot parse a dNSName or rfc822Name.
    has_invalid_syntax: bool,
    /// The domains in lower case below which a wildcard covers every name.
    wildcards: HashSet<String>,
}

impl LeafNames {
    fn of(leaf: &Facts) -> Self {
        let sans = || leaf.sans.iter();
        let uris = || {
            sans().filter_map(|san| match san {
                San::Uri(uri) => Some(uri.as_str()),
                _ => None,
            })
        };
        let wildcards = sans().filter_map(|san| match san {
            San::Dns(name) => name.strip_prefix("*.").map(str::to_ascii_lowercase),
            _ => None,
        });
        Self {
            has_address: sans().any(|san| matches!(san, San::Ip(_))),
            has_uri: sans().any(|san| matches!(san, San::Uri(_))),
            has_malformed_dns: sans().any(is_malformed_dns),
            has_hostless_uri: uris().any(|uri| uri_host(uri).is_none()),
            has_address_uri: uris()
                .filter_map(uri_host)
                .any(|host| host.starts_with('[') || host.parse::<IpAddr>().is_ok()),
            has_invalid_syntax: !sans().all(go_parses),
            wildcards: wildcards.collect(),
        }
    }

    /// Returns true if a wildcard may match this domain.
    fn wildcard_covers(&self, domain: &str) -> bool {
        parent_of_domain(domain).is_some_and(|parent| self.wildcards.contains(parent))
    }
}

fn permits_or_excludes_uris(constraints: &NameConstraints) -> bool {
    let mut subtrees = constraints.permitted.iter().chain(&constraints.excluded);
    subtrees.any(|subtree| matches!(subtree, Subtree::Uri(_)))
}

/// Returns the host of a URI, with the brackets of an IPv6 address.
fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.starts_with('[') {
        true => host,
        false => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn is_malformed_dns(san: &San) -> bool {
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'*');
    matches!(san, San::Dns(name) if !name.bytes().all(is_host))
}

fn of_subtree(
    subtree: &Subtree,
    is_excluded: bool,
    is_critical: bool,
    leaf: &LeafNames,
) -> Option<Property> {
    const X400_ADDRESS: u8 = 0xa3;
    const EDI_PARTY_NAME: u8 = 0xa5;
    const REGISTERED_ID: u8 = 0x88;
    const OTHER_NAME: u8 = 0xa0;
    let property = match subtree {
        Subtree::Dns(domain) if has_trailing_dot(domain) && is_excluded => {
            Property::DomainExcludedWithDot
        }
        Subtree::Dns(domain) if has_trailing_dot(domain) => Property::DomainPermittedWithDot,
        Subtree::Dns(domain) if domain.is_empty() && !is_excluded => Property::EmptyDomainPermitted,
        Subtree::Dns(domain) if is_excluded && leaf.wildcard_covers(domain) => {
            Property::WildcardCoversExcluded
        }
        Subtree::Dns(_) if leaf.has_malformed_dns => Property::MalformedDnsNameConstrained,
        Subtree::Dns(_) | Subtree::Email(_) => return None,
        Subtree::Ip(network, mask) => return of_network(*network, *mask),
        Subtree::BadIp if leaf.has_address => Property::BadAddressConstraintOfAddress,
        Subtree::BadIp => Property::BadAddressConstraint,
        Subtree::Uri(host) if host.contains("://") => Property::UrlConstraint,
        Subtree::Uri(_) if !leaf.has_uri => return None,
        Subtree::Uri(_) if is_excluded => Property::UriExcluded,
        Subtree::Uri(_) => Property::UriConstraint,
        Subtree::Directory(base) if is_excluded && base.as_deref() != Some(&[]) => {
            Property::DirectoryExcluded
        }
        Subtree::Directory(_) if is_critical => Property::DirectoryConstraint,
        Subtree::Directory(_) => return None,
        Subtree::Other(OTHER_NAME, _) if is_critical => Property::OtherNameConstraint,
        Subtree::Other(OTHER_NAME, _) => return None,
        Subtree::Other(X400_ADDRESS | EDI_PARTY_NAME | REGISTERED_ID, _) if is_critical => {
            Property::RareConstraint
        }
        Subtree::Other(X400_ADDRESS | EDI_PARTY_NAME | REGISTERED_ID, _) => return None,
        Subtree::Other(..) => Property::UnknownConstraint,
    };
    Some(property)
}

fn of_network(network: IpAddr, mask: IpAddr) -> Option<Property> {
    use IpAddr::{V4, V6};
    let (network, mask, width) = match (network, mask) {
        (V4(network), V4(mask)) => {
            let widen = |ip: std::net::Ipv4Addr| u128::from(ip.to_bits());
            (widen(network), widen(mask), u32::BITS)
        }
        (V6(network), V6(mask)) => (network.to_bits(), mask.to_bits(), u128::BITS),
        _ => return None,
    };
    let has_gap = mask.trailing_zeros().min(width) + mask.count_ones() < width;
    if has_gap {
        Some(Property::MaskWithGap)
    } else {
        (network & !mask != 0).then_some(Property::AddressOutsideMask)
    }
}
