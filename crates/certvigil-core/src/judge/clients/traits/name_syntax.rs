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

/// Returns false for a URI that Go cannot parse (`url.Parse` and `domainToReverseLabels` in
/// `crypto/x509`).
pub(super) fn go_parses_uri(uri: &str) -> bool {
    let (rest, fragment) = uri.split_once('#').unwrap_or((uri, ""));
    // `Values::names` replaces control characters.
    let has_control = rest.contains(char::REPLACEMENT_CHARACTER);
    if has_control || !has_sound_escapes(fragment) {
        return false;
    }
    let Some((scheme, rest)) = go_scheme(rest) else {
        return false;
    };
    let rest = rest.split('?').next().unwrap_or_default();
    if !rest.starts_with('/') {
        if scheme {
            return true;
        }
        // The first segment of a relative path has no colon.
        let first = rest.split('/').next().unwrap_or_default();
        return !first.contains(':') && has_sound_escapes(rest);
    }
    let is_with_host = scheme || !rest.starts_with("///");
    let Some(after) = rest.strip_prefix("//").filter(|_| is_with_host) else {
        return has_sound_escapes(rest);
    };
    let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
    has_sound_escapes(path) && is_authority_of_go(authority)
}

/// Splits the scheme off a URI, and returns true if there is one. `None` if the URI begins with a
/// colon.
fn go_scheme(uri: &str) -> Option<(bool, &str)> {
    let is_of_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let end = uri.bytes().position(|b| !is_of_scheme(b));
    match end {
        Some(0) if uri.starts_with(':') => None,
        Some(end) if uri.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            let rest = uri.get(end..).unwrap_or_default();
            Some(
                rest.strip_prefix(':')
                    .map_or((false, uri), |rest| (true, rest)),
            )
        }
        _ => Some((false, uri)),
    }
}

fn is_authority_of_go(authority: &str) -> bool {
    let is_of_user = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if !user.bytes().all(is_of_user) || !has_sound_escapes(user) {
        return false;
    }
    let port = match host.strip_prefix('[') {
        Some(inside) => match inside.rsplit_once(']') {
            Some((_, port)) => port,
            None => return false,
        },
        None => host.find(':').map_or("", |_| {
            let at = host.rfind(':').unwrap_or(host.len());
            host.get(at..).unwrap_or_default()
        }),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    // Escapes in a host are for bytes beyond ASCII, and for zones.
    let is_of_host =
        |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&b) || b >= 0x80;
    is_port
        && host.bytes().all(is_of_host)
        && has_sound_escapes(host)
        && (host.is_empty() || is_domain_of_go(host))
}

/// Returns false if a percent sign is not followed by two hexadecimal digits.
fn has_sound_escapes(text: &str) -> bool {
    let mut escapes = text.split('%').skip(1);
    escapes.all(|rest| {
        let digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() == 2
    })
}
