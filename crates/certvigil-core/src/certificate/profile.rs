//! Rules of RFC 5280's profile and of the CA/Browser Forum's requirements for a single certificate.
//!
//! A deviation for which a common client refuses the certificate is an oddity; any other is a
//! remark.

use std::net::IpAddr;

use super::name::Notes;
use super::oid::dotted;
use super::{Facts, Key, Oddity, San, der, printable};

/// An extension whose value is read here (RFC 5280, sections 4.2.1 and 4.2.2): the content octets
/// of the object identifier, and the name.
type Known = (&'static [u8], &'static str);

const AUTHORITY_KEY_ID: Known = (b"\x55\x1d\x23", "authorityKeyIdentifier");
const SUBJECT_KEY_ID: Known = (b"\x55\x1d\x0e", "subjectKeyIdentifier");
const KEY_USAGE: Known = (b"\x55\x1d\x0f", "keyUsage");
const SUBJECT_ALT_NAME: Known = (b"\x55\x1d\x11", "subjectAltName");
const BASIC_CONSTRAINTS: Known = (b"\x55\x1d\x13", "basicConstraints");
const NAME_CONSTRAINTS: Known = (b"\x55\x1d\x1e", "nameConstraints");
const POLICY_CONSTRAINTS: Known = (b"\x55\x1d\x24", "policyConstraints");
const EXTENDED_KEY_USAGE: Known = (b"\x55\x1d\x25", "extKeyUsage");
const FRESHEST_CRL: Known = (b"\x55\x1d\x2e", "freshestCRL");
const INHIBIT_ANY_POLICY: Known = (b"\x55\x1d\x36", "inhibitAnyPolicy");
const AUTHORITY_INFO_ACCESS: Known = (b"\x2b\x06\x01\x05\x05\x07\x01\x01", "authorityInfoAccess");
const SUBJECT_INFO_ACCESS: Known = (b"\x2b\x06\x01\x05\x05\x07\x01\x0b", "subjectInfoAccess");

/// Extensions that must not be critical. OpenSSL and Java refuse a certificate with a critical one.
const NEVER_CRITICAL: [Known; 5] = [
    AUTHORITY_KEY_ID,
    SUBJECT_KEY_ID,
    AUTHORITY_INFO_ACCESS,
    SUBJECT_INFO_ACCESS,
    FRESHEST_CRL,
];
/// Extensions that must be critical in CA certificates.
const ALWAYS_CRITICAL: [Known; 4] = [
    BASIC_CONSTRAINTS,
    NAME_CONSTRAINTS,
    POLICY_CONSTRAINTS,
    INHIBIT_ANY_POLICY,
];
/// anyExtendedKeyUsage.
const ANY_USAGE: &[u8] = b"\x55\x1d\x25\x00";
const KEY_CERT_SIGN: u8 = 0x04;
/// Maximum extensions that are examined.
const MAX_EXTENSIONS: usize = 256;
/// Maximum oddities, and maximum remarks, kept for one certificate.
pub(super) const MAX_NOTES: usize = 64;

/// Adds the deviations of the certificate as a whole, of its extensions and of its names.
pub(super) fn examine(outline: &der::Outline<'_>, facts: &Facts, notes: &mut Notes<'_>) {
    let mut list = outline.extensions;
    let extensions: Vec<_> = std::iter::from_fn(|| der::extension(&mut list))
        .take(MAX_EXTENSIONS)
        .collect();
    let find = |(oid, _): Known| extensions.iter().find(|e| e.oid == oid);
    examine_outline(outline, facts, notes);
    examine_duplicates(&extensions, notes);
    if extensions.iter().any(|e| e.is_critical_odd && !e.critical) {
        notes.oddity(Oddity::EncodedDefault("critical"));
    }
    if extensions.iter().any(|e| e.is_critical_odd && e.critical)
        || find(BASIC_CONSTRAINTS).is_some_and(|e| has_odd_boolean(e.value))
    {
        notes.oddity(Oddity::NonDerBoolean);
    }

    for known in NEVER_CRITICAL {
        if find(known).is_some_and(|e| e.critical) {
            notes.oddity(Oddity::Critical(known.1));
        }
    }
    for known in ALWAYS_CRITICAL {
        let is_due = known != BASIC_CONSTRAINTS || facts.is_ca;
        if is_due && find(known).is_some_and(|e| !e.critical) {
            notes.remark(Oddity::NotCritical(known.1));
        }
    }
    if let Some(names) = find(SUBJECT_ALT_NAME) {
        match (is_empty_name(outline.subject), names.critical) {
            // Java refuses it.
            (true, false) => notes.oddity(Oddity::SanNotCriticalWithEmptySubject),
            (false, true) => notes.remark(Oddity::SanCriticalWithSubject),
            _ => {}
        }
        examine_names(names.value, facts, notes);
    }
    if facts.version < 3 {
        return;
    }
    match find(AUTHORITY_KEY_ID) {
        Some(id) => {
            let subject_key_id = find(SUBJECT_KEY_ID).map(|e| e.value);
            examine_authority_key_id(id.value, subject_key_id, facts, notes);
        }
        None if !facts.is_self_issued() => notes.remark(Oddity::Missing(AUTHORITY_KEY_ID.1)),
        None => {}
    }
    if facts.is_ca {
        if find(SUBJECT_KEY_ID).is_none() {
            notes.remark(Oddity::Missing(SUBJECT_KEY_ID.1));
        }
        // OpenSSL's X509_STRICT refuses it, and so does Python since 3.13.
        if find(KEY_USAGE).is_none() {
            notes.remark(Oddity::Missing(KEY_USAGE.1));
        }
        if facts.is_self_issued() && find(EXTENDED_KEY_USAGE).is_some() {
            notes.remark(Oddity::ExtendedKeyUsageInRoot);
        }
        return;
    }
    if find(NAME_CONSTRAINTS).is_some() {
        notes.remark(Oddity::NotAllowed(NAME_CONSTRAINTS.1));
    }
    if find(KEY_USAGE).is_some_and(|e| has_key_cert_sign(e.value)) {
        notes.remark(Oddity::CertSignWithoutCa);
    }
    match find(EXTENDED_KEY_USAGE) {
        None => notes.remark(Oddity::Missing(EXTENDED_KEY_USAGE.1)),
        Some(usages) => {
            if usages.critical {
                notes.remark(Oddity::Critical(EXTENDED_KEY_USAGE.1));
            }
            if usages
                .value
                .windows(ANY_USAGE.len())
                .any(|w| w == ANY_USAGE)
            {
                notes.remark(Oddity::AnyExtendedKeyUsage);
            }
        }
    }
}

fn examine_outline(outline: &der::Outline<'_>, facts: &Facts, notes: &mut Notes<'_>) {
    let has_extensions = !outline.extensions.is_empty() || outline.has_unreadable_extensions;
    if has_extensions && matches!(facts.version, 1 | 2) {
        notes.oddity(Oddity::ExtensionsBeforeVersion3(facts.version));
    }
    if is_empty_name(outline.issuer) {
        notes.oddity(Oddity::EmptyIssuer);
    }
    if facts.is_ca && facts.version >= 3 && is_empty_name(outline.subject) {
        notes.oddity(Oddity::EmptyCaSubject);
    }
    if let Key::Rsa(bits) | Key::RsaPss(bits) = facts.key
        && bits % 8 != 0
    {
        notes.remark(Oddity::OddModulusSize(bits));
    }
}

fn examine_duplicates(extensions: &[der::Extension<'_>], notes: &mut Notes<'_>) {
    let mut oids: Vec<&[u8]> = extensions.iter().map(|e| e.oid).collect();
    oids.sort_unstable();
    let pairs = oids.iter().zip(oids.iter().skip(1));
    for (_, oid) in pairs.filter(|(one, next)| one == next) {
        notes.oddity(Oddity::DuplicateExtension(dotted(oid)));
    }
}

/// Examines an authorityKeyIdentifier (RFC 5280, section 4.2.1.1).
fn examine_authority_key_id(
    mut value: &[u8],
    subject_key_id: Option<&[u8]>,
    facts: &Facts,
    notes: &mut Notes<'_>,
) {
    const KEY_ID: u8 = 0x80;
    const ISSUER: u8 = 0xa1;
    const SERIAL: u8 = 0x82;
    let Some(id) = der::expect(&mut value, der::SEQUENCE) else {
        return;
    };
    let mut fields = id.content;
    let key_id = der::optional(&mut fields, KEY_ID).map(|id| id.content);
    let issuer = der::optional(&mut fields, ISSUER);
    if key_id.is_none() {
        notes.remark(Oddity::AuthorityKeyIdWithoutKey);
    }
    if issuer.is_some() || der::optional(&mut fields, SERIAL).is_some() {
        notes.remark(Oddity::AuthorityKeyIdWithIssuer);
    }
    let own = subject_key_id
        .and_then(|mut value| der::expect(&mut value, der::OCTET_STRING))
        .map(|id| id.content);
    // They also differ if a new key is signed with the previous one, so this is not an oddity.
    if facts.is_self_issued() && facts.is_ca && key_id.is_some() && own.is_some() && key_id != own {
        notes.remark(Oddity::KeyIdsDiffer);
    }
}

/// Examines each dNSName and iPAddress of a subjectAltName.
fn examine_names(mut value: &[u8], facts: &Facts, notes: &mut Notes<'_>) {
    const RFC822_NAME: u8 = 0x81;
    const DNS_NAME: u8 = 0x82;
    const URI: u8 = 0x86;
    const IP_ADDRESS: u8 = 0x87;
    let names = der::expect(&mut value, der::SEQUENCE);
    let mut names = names.map(|names| names.content).unwrap_or_default();
    let is_for_no_host =
        !facts.is_ca && !facts.sans.is_empty() && !facts.sans.iter().any(may_be_a_host);
    if is_for_no_host {
        notes.oddity(Oddity::NoHostInSan(listed(&facts.sans)));
    }
    while let Some(name) = der::split(&mut names) {
        match name.tag {
            // Clients that accept a malformed name beside a good one are of no use here.
            DNS_NAME if is_for_no_host && is_ascii_text(name.content) => {}
            DNS_NAME => examine_dns_name(name.content, notes),
            IP_ADDRESS if !matches!(name.content.len(), 4 | 16) => {
                notes.oddity(Oddity::MalformedAddress);
            }
            RFC822_NAME | URI if !name.content.is_ascii() => {
                notes.oddity(Oddity::NonAsciiName(text(name.content)));
            }
            _ => {}
        }
    }
    if let Some(name) = &facts.common_name
        && !facts.is_ca
        && !is_for_no_host
        && !facts.sans.iter().any(|san| san.to_string() == *name)
    {
        notes.remark(Oddity::CommonNameNotInSan(name.clone()));
    }
}

/// Returns true for a name that some client compares with a host (RFC 9525, section 6.2). A dNSName
/// may be malformed in a way that not every client refuses.
fn may_be_a_host(san: &San) -> bool {
    let is_of_host = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'*');
    match san {
        San::Ip(_) => true,
        San::Dns(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.bytes().all(is_of_host) && name.split('.').all(|label| !label.is_empty())
        }
        _ => false,
    }
}

/// Returns the first names, for messages.
fn listed(sans: &[San]) -> String {
    const MAX_LISTED: usize = 3;
    let first: Vec<String> = sans.iter().take(MAX_LISTED).map(San::to_string).collect();
    let more = if sans.len() > MAX_LISTED { ", ..." } else { "" };
    format!("`{}`{more}", first.join("`, `"))
}

fn is_ascii_text(content: &[u8]) -> bool {
    content.is_ascii() && !content.is_empty()
}

fn examine_dns_name(content: &[u8], notes: &mut Notes<'_>) {
    // Most names are plain.
    let is_plain = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-');
    let text = || text(content);
    let name = content.strip_prefix(b"*.").unwrap_or(content);
    let mut labels = name.split(|c| *c == b'.');
    let is_label = |label: &[u8]| {
        let ends = [label.first(), label.last()];
        (1..=63).contains(&label.len()) && !ends.contains(&Some(&b'-'))
    };
    if name.iter().all(is_plain) && content.len() <= 253 && labels.clone().all(is_label) {
        let last = labels.next_back().unwrap_or_default();
        if last.iter().all(u8::is_ascii_digit) && text().parse::<IpAddr>().is_ok() {
            notes.remark(Oddity::AddressInDnsName(text()));
        }
        if name.len() < content.len() && last.len() == name.len() {
            notes.remark(Oddity::WildcardBelowTopLevel(text()));
        }
        return;
    }
    let has_only = |extra: u8| name.iter().all(|c| is_plain(c) || *c == extra);
    if text().parse::<IpAddr>().is_ok() {
        notes.remark(Oddity::AddressInDnsName(text()));
    } else if !is_ascii_text(content) {
        // Go refuses the first form, GnuTLS the second.
        notes.oddity(Oddity::MalformedDnsName(text()));
    } else if name.contains(&b'*') && has_only(b'*') {
        notes.remark(Oddity::MisplacedWildcard(text()));
    } else if name.contains(&b'_') && has_only(b'_') && labels.all(is_label) {
        notes.remark(Oddity::UnderscoreInDnsName(text()));
    } else {
        notes.remark(Oddity::MalformedDnsName(text()));
    }
}

fn text(content: &[u8]) -> String {
    printable(&String::from_utf8_lossy(content))
}

/// Returns true for a Name (DER) without attributes.
fn is_empty_name(mut name: &[u8]) -> bool {
    der::expect(&mut name, der::SEQUENCE).is_some_and(|name| name.content.is_empty())
}

/// Returns true if `cA` of a basicConstraints extension is neither FALSE nor TRUE in DER.
fn has_odd_boolean(mut value: &[u8]) -> bool {
    let Some(constraints) = der::expect(&mut value, der::SEQUENCE) else {
        return false;
    };
    let mut fields = constraints.content;
    let is_ca = der::optional(&mut fields, der::BOOLEAN);
    is_ca.is_some_and(|b| !matches!(b.content, [0 | 0xff]))
}

fn has_key_cert_sign(mut value: &[u8]) -> bool {
    let bits = der::expect(&mut value, der::BIT_STRING);
    let first = bits.and_then(|bits| bits.content.get(1));
    first.is_some_and(|octet| octet & KEY_CERT_SIGN != 0)
}
