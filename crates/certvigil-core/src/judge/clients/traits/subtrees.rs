//! The properties of the subtrees of name constraints.

use crate::certificate::{Facts, San, Subtree};
use crate::finding::Property;

use super::super::super::path::{has_trailing_dot, wildcard_covers};
use super::is_malformed_dns;

/// Octets of an empty Name.
const EMPTY_NAME: usize = 2;

pub(super) fn of_subtree(
    subtree: &Subtree,
    is_excluded: bool,
    is_critical: bool,
    leaf: &Facts,
) -> Option<Property> {
    const X400_ADDRESS: u8 = 0xa3;
    const EDI_PARTY_NAME: u8 = 0xa5;
    const REGISTERED_ID: u8 = 0x88;
    const OTHER_NAME: u8 = 0xa0;
    let has = |is: fn(&San) -> bool| leaf.sans.iter().any(is);
    let property = match subtree {
        Subtree::Dns(domain) if has_trailing_dot(domain) && is_excluded => {
            Property::DomainExcludedWithDot
        }
        Subtree::Dns(domain) if has_trailing_dot(domain) => Property::DomainPermittedWithDot,
        Subtree::Dns(domain) if domain.is_empty() && !is_excluded => Property::EmptyDomainPermitted,
        Subtree::Dns(domain)
            if is_excluded
                && leaf
                    .sans
                    .iter()
                    .any(|san| matches!(san, San::Dns(name) if wildcard_covers(name, domain))) =>
        {
            Property::WildcardCoversExcluded
        }
        Subtree::Dns(_) if leaf.sans.iter().any(is_malformed_dns) => {
            Property::MalformedDnsNameConstrained
        }
        Subtree::Dns(_) | Subtree::Email(_) => return None,
        Subtree::Ip(network, mask) => return of_network(*network, *mask),
        Subtree::BadIp if has(|san| matches!(san, San::Ip(_))) => {
            Property::BadAddressConstraintOfAddress
        }
        Subtree::BadIp => Property::BadAddressConstraint,
        Subtree::Uri(host) if host.contains("://") => Property::UrlConstraint,
        Subtree::Uri(_) if !has(|san| matches!(san, San::Uri(_))) => return None,
        Subtree::Uri(_) if is_excluded => Property::UriExcluded,
        Subtree::Uri(_) => Property::UriConstraint,
        Subtree::Directory(base) if is_excluded && base.len() > EMPTY_NAME => {
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

fn of_network(network: std::net::IpAddr, mask: std::net::IpAddr) -> Option<Property> {
    use std::net::IpAddr::{V4, V6};
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
