//! Decoding of the values of extensions.

use super::super::{der, normal_rdns};
use super::names::{DIRECTORY_NAME, DNS_NAME, IP_ADDRESS, RFC822_NAME, URI, address};
use super::{
    AuthorityKeyId, BasicConstraints, ExtendedKeyUsage, KeyUsage, MAX_POLICIES, MAX_SUBTREES,
    NameConstraints, Oid, PolicyConstraints, Subtree,
};

/// Returns the content of a value that is exactly one element with this tag.
pub(super) fn only(value: &[u8], tag: u8) -> Option<&[u8]> {
    let mut input = value;
    let content = der::expect(&mut input, tag)?.content;
    input.is_empty().then_some(content)
}

/// Returns the first tag-length-value if bytes follow it.
pub(super) fn first_value(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value;
    let first = der::split(&mut rest)?.whole;
    (!rest.is_empty()).then_some(first)
}

/// Reads the entire input. Returns `None` if bytes remain.
pub(super) fn whole<'a, T>(
    value: &'a [u8],
    read: impl FnOnce(&mut &'a [u8]) -> Option<T>,
) -> Option<T> {
    let mut input = value;
    let read = read(&mut input)?;
    input.is_empty().then_some(read)
}

/// Reads a number that is not negative. A number of more than 32 bits is as good as unlimited.
fn unsigned(content: &[u8]) -> Option<u32> {
    let first = content.first()?;
    if first & 0x80 != 0 {
        return None;
    }
    let digits = content.iter().skip_while(|b| **b == 0);
    if digits.clone().count() > size_of::<u32>() {
        return Some(u32::MAX);
    }
    Some(digits.fold(0, |sum, &octet| sum << 8 | u32::from(octet)))
}

pub(super) fn number(input: &mut &[u8]) -> Option<u32> {
    unsigned(der::expect(input, der::INTEGER)?.content)
}

/// Reads as much as possible. The second value is false if the pathLenConstraint cannot be read.
pub(super) fn basic_constraints(value: &[u8]) -> Option<(BasicConstraints, bool)> {
    let mut content = only(value, der::SEQUENCE)?;
    let is_ca = match der::optional(&mut content, der::BOOLEAN) {
        Some(b) => *b.content.first()? != 0,
        None => false,
    };
    let path_len = whole(content, number);
    let is_sound = content.is_empty() || path_len.is_some();
    // Only a number at the end is a pathLenConstraint.
    let is_number =
        content.is_empty() || whole(content, |i| der::expect(i, der::INTEGER)).is_some();
    is_number.then_some((BasicConstraints { is_ca, path_len }, is_sound))
}

pub(super) fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    // Unused bits of the last octet do not count, whatever they are.
    let used = |octet: u8, unused: u8| octet & u8::MAX << unused;
    match *only(value, der::BIT_STRING)? {
        [0..=7] => Some(KeyUsage(0)),
        [unused @ 0..=7, first] => Some(KeyUsage(u16::from(used(first, unused)) << 8)),
        [unused @ 0..=7, first, second] => {
            let octets = [first, used(second, unused)];
            Some(KeyUsage(u16::from_be_bytes(octets)))
        }
        [0..=7, first, second, ..] => Some(KeyUsage(u16::from_be_bytes([first, second]))),
        _ => None,
    }
}

pub(super) fn extended_key_usage(value: &[u8]) -> Option<ExtendedKeyUsage> {
    let mut usages = only(value, der::SEQUENCE)?;
    let mut out = ExtendedKeyUsage {
        is_empty: usages.is_empty(),
        ..ExtendedKeyUsage::default()
    };
    while !usages.is_empty() {
        match der::expect(&mut usages, der::OBJECT_IDENTIFIER)?.content {
            [0x2b, 6, 1, 5, 5, 7, 3, 1] => out.server_auth = true,
            [0x2b, 6, 1, 5, 5, 7, 3, 2] => out.client_auth = true,
            [0x2b, 6, 1, 5, 5, 7, 3, 9] => out.ocsp_signing = true,
            [0x55, 0x1d, 37, 0] => out.any = true,
            [0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1]
            | [0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3] => out.server_gated = true,
            _ => {}
        }
    }
    Some(out)
}

/// Reads the value of a nameConstraints extension. Returns `None` if it is malformed.
pub(crate) fn name_constraints(value: &[u8]) -> Option<NameConstraints> {
    const PERMITTED: u8 = 0xa0;
    const EXCLUDED: u8 = 0xa1;
    let mut content = only(value, der::SEQUENCE)?;
    let mut out = NameConstraints {
        is_empty: content.is_empty(),
        ..NameConstraints::default()
    };
    for (tag, is_permitted) in [(PERMITTED, true), (EXCLUDED, false)] {
        let Some(list) = der::optional(&mut content, tag) else {
            continue;
        };
        let mut list = list.content;
        out.is_empty |= list.is_empty();
        while !list.is_empty() {
            let mut one = der::expect(&mut list, der::SEQUENCE)?.content;
            let base = subtree(der::split(&mut one)?);
            out.has_bad_address |= base == Subtree::BadIp;
            // A minimum of 0 is the default, which some issuers encode.
            out.has_distance |= !matches!(one, [] | [0x80, 1, 0]);
            out.has_encoded_minimum |= matches!(one, [0x80, 1, 0]);
            let list = if is_permitted {
                &mut out.permitted
            } else {
                &mut out.excluded
            };
            list.push(base);
            if list.len() > MAX_SUBTREES {
                return None;
            }
        }
    }
    content.is_empty().then_some(out)
}

fn subtree(base: der::Tlv<'_>) -> Subtree {
    let lower = || String::from_utf8_lossy(base.content).to_ascii_lowercase();
    match base.tag {
        DNS_NAME => Subtree::Dns(lower()),
        IP_ADDRESS => {
            let half = base.content.len() / 2;
            let (ip, mask) = base.content.split_at(half);
            match (address(ip), address(mask)) {
                (Some(ip), Some(mask)) => Subtree::Ip(ip, mask),
                _ => Subtree::BadIp,
            }
        }
        RFC822_NAME => Subtree::Email(String::from_utf8_lossy(base.content).into_owned()),
        URI => Subtree::Uri(lower()),
        DIRECTORY_NAME => Subtree::Directory(normal_rdns(base.content)),
        tag => {
            let mut content = base.content;
            let kind = der::optional(&mut content, der::OBJECT_IDENTIFIER);
            Subtree::Other(tag, kind.map(|k| k.content).unwrap_or_default().into())
        }
    }
}

pub(super) fn policies(value: &[u8]) -> Option<Vec<Oid>> {
    let mut list = only(value, der::SEQUENCE)?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut one = der::expect(&mut list, der::SEQUENCE)?.content;
        out.push(
            der::expect(&mut one, der::OBJECT_IDENTIFIER)?
                .content
                .into(),
        );
        if out.len() > MAX_POLICIES {
            return None;
        }
    }
    Some(out)
}

pub(super) fn policy_mappings(value: &[u8]) -> Option<Vec<(Oid, Oid)>> {
    let mut list = only(value, der::SEQUENCE)?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut one = der::expect(&mut list, der::SEQUENCE)?.content;
        let mut oid = || der::expect(&mut one, der::OBJECT_IDENTIFIER).map(|t| t.content.into());
        out.push((oid()?, oid()?));
        if out.len() > MAX_POLICIES {
            return None;
        }
    }
    (!out.is_empty()).then_some(out)
}

pub(super) fn policy_constraints(value: &[u8]) -> Option<PolicyConstraints> {
    const REQUIRE_EXPLICIT: u8 = 0x80;
    const INHIBIT_MAPPING: u8 = 0x81;
    let mut content = only(value, der::SEQUENCE)?;
    let mut field = |tag| match der::optional(&mut content, tag) {
        Some(field) => unsigned(field.content).map(Some),
        None => Some(None),
    };
    let out = PolicyConstraints {
        require_explicit: field(REQUIRE_EXPLICIT)?,
        inhibit_mapping: field(INHIBIT_MAPPING)?,
    };
    content.is_empty().then_some(out)
}

pub(super) fn authority_key_id(value: &[u8]) -> Option<AuthorityKeyId> {
    const KEY_ID: u8 = 0x80;
    const ISSUER: u8 = 0xa1;
    const SERIAL: u8 = 0x82;
    let mut content = only(value, der::SEQUENCE)?;
    let key_id = der::optional(&mut content, KEY_ID).map(|f| f.content.into());
    let issuer = der::optional(&mut content, ISSUER).and_then(|names| {
        let mut names = names.content;
        std::iter::from_fn(|| der::split(&mut names))
            .find(|name| name.tag == DIRECTORY_NAME)
            .map(|name| name.content.into())
    });
    let serial = der::optional(&mut content, SERIAL).map(|f| f.content.into());
    content.is_empty().then_some(AuthorityKeyId {
        key_id,
        issuer,
        serial,
    })
}

/// Maximum TLS features that are kept of one certificate. GnuTLS refuses more.
const MAX_FEATURES: usize = 64;

/// Returns the TLS features (RFC 7633, section 4): the content octets of the numbers of TLS
/// extensions.
pub(super) fn tls_features(value: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut features = only(value, der::SEQUENCE)?;
    let mut found: Vec<Box<[u8]>> = Vec::new();
    while !features.is_empty() {
        let feature = der::expect(&mut features, der::INTEGER)?.content;
        if found.len() < MAX_FEATURES {
            found.push(feature.into());
        }
    }
    Some(found)
}
