//! The syntax of names, as clients read it below name constraints.

use std::net::IpAddr;

use crate::certificate::San;
use crate::finding::Property;

/// Returns the property of a common name that name constraints do not allow. Each client compares
/// other forms of text: GnuTLS any, OpenSSL and Java what they take for a host name.
pub(super) fn of_common_name_form(name: &str) -> Property {
    match (is_host_of_openssl(name), is_host_of_java(name)) {
        (true, true) => Property::CommonNameNotAllowed,
        (true, false) => Property::CommonNameHostNotAllowed,
        (false, true) => Property::CommonNameLabelNotAllowed,
        (false, false) => Property::CommonNameTextNotAllowed,
    }
}

/// Returns true for a common name that OpenSSL compares (`cn2dnsid`): at least two labels of
/// letters, digits, underscores and inner hyphens.
fn is_host_of_openssl(name: &str) -> bool {
    let label = |label: &str| {
        let is_inner = !label.starts_with('-') && !label.ends_with('-');
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !label.is_empty() && is_inner && label.bytes().all(is_allowed)
    };
    name.contains('.') && name.split('.').all(label)
}

/// Returns true for a common name that Java compares: what its DNSName accepts, without addresses.
fn is_host_of_java(name: &str) -> bool {
    let label = |label: &str| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        label.starts_with(|c: char| c.is_ascii_alphanumeric()) && label.bytes().all(is_allowed)
    };
    name.parse::<IpAddr>().is_err() && name.split('.').all(label)
}

/// Returns false for a dNSName or rfc822Name that Go cannot parse (`forEachSAN` in
/// `crypto/x509`). Go parses them if an authority has name constraints of any kind that it knows.
pub(super) fn go_parses(san: &San) -> bool {
    match san {
        San::Dns(name) => is_domain_of_go(name),
        San::Email(mail) => is_mailbox_of_go(mail),
        _ => true,
    }
}

/// Returns true for labels of visible ASCII (`domainToReverseLabels`). A single leading dot is
/// accepted.
fn is_domain_of_go(name: &str) -> bool {
    let labels = name.strip_prefix('.').unwrap_or(name);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_graphic());
    name.is_empty() || labels.split('.').all(is_label)
}

/// Returns true for a Mailbox of RFC 2821 (`parseRFC2821Mailbox`). Quoted local parts are not read,
/// and count as valid.
fn is_mailbox_of_go(mail: &str) -> bool {
    if mail.starts_with('"') {
        return true;
    }
    let Some((local, domain)) = mail.split_once('@') else {
        return false;
    };
    let is_atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.\\".contains(&b);
    let has_dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    !local.is_empty() && local.bytes().all(is_atom) && !has_dots && is_domain_of_go(domain)
}
