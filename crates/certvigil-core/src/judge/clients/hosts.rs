//! Comparison of the host name with a certificate, for clients that differ from RFC 9525.

mod suffixes;

use std::net::IpAddr;

use crate::certificate::{Facts, San};
use crate::model::Hostname;

use crate::finding::{Client, Property};

/// Returns the property for which some client judges the name differently from the others. Returns
/// `None` if all clients accept it.
pub(super) fn property(leaf: &Facts, hostname: &Hostname, is_match: bool) -> Option<Property> {
    match hostname {
        Hostname::Dns(name) if is_match => of_match(leaf, name),
        Hostname::Ip(_) if is_match => None,
        Hostname::File(_) => None,
        Hostname::Dns(name) => Some(of_mismatch(leaf, name)),
        Hostname::Ip(ip) => Some(of_address(leaf, *ip)),
    }
}

fn dns_names(leaf: &Facts) -> impl Iterator<Item = &str> {
    leaf.sans.iter().filter_map(|san| match san {
        San::Dns(name) => Some(name.as_str()),
        _ => None,
    })
}

fn of_match(leaf: &Facts, host: &str) -> Option<Property> {
    let is_exact = dns_names(leaf).any(|name| name.eq_ignore_ascii_case(host));
    let has_underscore = host.contains('_');
    let has_hyphen_at_end = host.split('.').any(|label| label.ends_with('-'));
    if is_exact {
        let of_hyphen = has_hyphen_at_end.then_some(Property::HyphenAtEnd);
        return has_underscore.then_some(Property::Underscore).or(of_hyphen);
    }
    if has_underscore {
        return Some(Property::UnderscoreBelowWildcard);
    }
    if has_hyphen_at_end {
        return Some(Property::HyphenAtEnd);
    }
    let (_, parent) = host.split_once('.')?;
    let is_suffix = suffixes::is_public_suffix(parent) == Some(true);
    is_suffix.then_some(Property::PublicSuffixWildcard)
}

/// Returns the clients of which it is not known whether they accept the first name, which is sent to
/// the server, and the others.
///
/// Java sends no SNI for a name without a dot (`sun.security.ssl.Utilities.rawToSNIHostName`), so a
/// server may have another certificate for it. Chromium refuses a wildcard directly below a public
/// suffix, and not every suffix is known here.
pub(in crate::judge) fn unknown_for(leaf: &Facts, names: &[Hostname]) -> Vec<Client> {
    let is_single_label =
        |name: &Hostname| matches!(name, Hostname::Dns(name) if !name.contains('.'));
    let of_java = names.first().is_some_and(is_single_label);
    let of_chromium = names.iter().any(|name| match name {
        Hostname::Dns(host) => leaf.matches(name) && is_perhaps_below_suffix(leaf, host),
        Hostname::Ip(_) | Hostname::File(_) => false,
    });
    let all = [(Client::Java, of_java), (Client::Chromium, of_chromium)];
    all.into_iter()
        .filter_map(|(client, is_unknown)| is_unknown.then_some(client))
        .collect()
}

/// Returns true if only a wildcard matches, and it may be one for a public suffix.
fn is_perhaps_below_suffix(leaf: &Facts, host: &str) -> bool {
    let is_exact = dns_names(leaf).any(|name| name.eq_ignore_ascii_case(host));
    let parent = host.split_once('.').map(|(_, parent)| parent);
    !is_exact && parent.is_some_and(|parent| suffixes::is_public_suffix(parent).is_none())
}

fn of_mismatch(leaf: &Facts, host: &str) -> Property {
    for name in dns_names(leaf) {
        let undotted = name.strip_suffix('.').unwrap_or(name);
        if undotted != name && wildcard_matches(undotted, host) == Some(None) {
            return Property::NameWithDot;
        }
        if let Some(Some(property)) = wildcard_matches(name, host) {
            return property;
        }
    }
    if leaf.sans.is_empty() || dns_names(leaf).next().is_none() {
        return of_common_name(leaf, host);
    }
    Property::NameMismatch
}

/// Returns `None` if the pattern does not match, `Some(None)` if it matches by RFC 9525, and
/// otherwise the way in which it may match.
fn wildcard_matches(pattern: &str, host: &str) -> Option<Option<Property>> {
    if pattern.eq_ignore_ascii_case(host) {
        return Some(None);
    }
    if pattern == "*" {
        return Some(Some(Property::BareWildcard));
    }
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    let patterns: Vec<&str> = pattern.split('.').collect();
    let labels: Vec<&str> = host.split('.').collect();
    if patterns.len() != labels.len() || !pattern.contains('*') {
        return None;
    }
    let fits = patterns.iter().zip(&labels).all(|(p, l)| label_fits(p, l));
    if !fits {
        return None;
    }
    let (first, others) = patterns.split_first()?;
    if others.iter().any(|p| p.contains('*')) {
        return Some(Some(Property::WildcardElsewhere));
    }
    if first.starts_with("xn--") {
        return None;
    }
    Some(match first.split_once('*')? {
        ("", "") if others.len() == 1 => Some(Property::TopLevelWildcard),
        ("", "") => None,
        ("", _) => Some(Property::WildcardBeforeText),
        (_, "") => Some(Property::WildcardAfterText),
        _ => Some(Property::WildcardElsewhere),
    })
}

fn label_fits(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((start, end)) => {
            label.len() > start.len() + end.len()
                && label.starts_with(start)
                && label.ends_with(end)
        }
    }
}

fn of_common_name(leaf: &Facts, host: &str) -> Property {
    let Some(name) = &leaf.common_name else {
        return Property::NameMismatch;
    };
    if wildcard_matches(name, host) != Some(None) {
        return Property::NameMismatch;
    }
    let is_other = |san: &San| !matches!(san, San::Email(_));
    if leaf.sans.iter().any(is_other) || leaf.subject.matches("CN=").count() > 1 {
        Property::CommonNameBesideOther
    } else {
        Property::CommonName
    }
}

fn of_address(leaf: &Facts, wanted: IpAddr) -> Property {
    let is_mapped = |san: &San| match (san, wanted) {
        (San::Ip(IpAddr::V6(ip)), IpAddr::V4(wanted)) => ip.to_ipv4_mapped() == Some(wanted),
        _ => false,
    };
    if leaf.sans.iter().any(is_mapped) {
        Property::MappedAddress
    } else {
        Property::NameMismatch
    }
}
