//! Distinguished names: the text form (RFC 4514), and the normal form for comparison (RFC 5280,
//! section 7.1).

use super::oid::dotted;
use super::profile::MAX_NOTES;
use super::{NameOf, Oddity, der, fingerprint, printable_char};

const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

const COMMON_NAME: &[u8] = b"\x55\x04\x03";
const ORGANIZATION: &[u8] = b"\x55\x04\x0a";

/// Attribute types and their short names (RFC 4514, section 3; RFC 4519; for the others OpenSSL's).
const ATTRIBUTES: [(&[u8], &str); 28] = [
    (COMMON_NAME, "CN"),
    (ORGANIZATION, "O"),
    (b"\x55\x04\x0b", "OU"),
    (b"\x55\x04\x06", "C"),
    (b"\x55\x04\x08", "ST"),
    (b"\x55\x04\x07", "L"),
    (b"\x55\x04\x04", "SN"),
    (b"\x55\x04\x05", "serialNumber"),
    (b"\x55\x04\x09", "STREET"),
    (b"\x55\x04\x0c", "title"),
    (b"\x55\x04\x0d", "description"),
    (b"\x55\x04\x0f", "businessCategory"),
    (b"\x55\x04\x11", "postalCode"),
    (b"\x55\x04\x14", "telephoneNumber"),
    (b"\x55\x04\x29", "name"),
    (b"\x55\x04\x2a", "GN"),
    (b"\x55\x04\x2b", "initials"),
    (b"\x55\x04\x2c", "generationQualifier"),
    (b"\x55\x04\x2e", "dnQualifier"),
    (b"\x55\x04\x41", "pseudonym"),
    (b"\x55\x04\x61", "organizationIdentifier"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02", "unstructuredName"),
    (
        b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01",
        "jurisdictionL",
    ),
    (
        b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02",
        "jurisdictionST",
    ),
    (
        b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03",
        "jurisdictionC",
    ),
];

/// A distinguished name in text form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// The attributes in the order of the certificate, escaped by RFC 4514, section 2.4: `O=Acme\,
    /// Inc.`
    pub(super) text: String,
    /// The last common name.
    pub(super) common_name: Option<String>,
    /// The last organization.
    pub(super) organization: Option<String>,
}

/// Deviations of a name: oddities, which some client refuses, and remarks.
pub(super) struct Notes<'a> {
    pub(super) oddities: &'a mut Vec<Oddity>,
    pub(super) remarks: &'a mut Vec<Oddity>,
}

impl Notes<'_> {
    pub(super) fn oddity(&mut self, oddity: Oddity) {
        note(self.oddities, oddity);
    }

    pub(super) fn remark(&mut self, remark: Oddity) {
        note(self.remarks, remark);
    }
}

/// Adds a deviation to a list, unless it is there or the list is full.
pub(super) fn note(list: &mut Vec<Oddity>, deviation: Oddity) {
    if list.len() < MAX_NOTES && !list.contains(&deviation) {
        list.push(deviation);
    }
}

/// Reads a name (DER) up to the first part that cannot be read.
pub(super) fn read_name(mut der: &[u8], of: NameOf, notes: &mut Notes<'_>) -> Name {
    let mut name = Name::default();
    let Some(sets) = der::expect(&mut der, der::SEQUENCE) else {
        notes.oddity(Oddity::UnreadableName(of));
        name.text.push_str("(unreadable)");
        return name;
    };
    if read_sets(sets.content, of, &mut name, notes).is_none() || !der.is_empty() {
        notes.oddity(Oddity::PartlyUnreadableName(of));
        if name.text.is_empty() {
            name.text.push_str("(unreadable)");
        }
    }
    name
}

fn read_sets(mut sets: &[u8], of: NameOf, name: &mut Name, notes: &mut Notes<'_>) -> Option<()> {
    while !sets.is_empty() {
        let mut pairs = der::expect(&mut sets, der::SET)?.content;
        if pairs.is_empty() {
            notes.oddity(Oddity::EmptyRdn(of));
        }
        let mut separator = ", ";
        while !pairs.is_empty() {
            let mut pair = der::expect(&mut pairs, der::SEQUENCE)?.content;
            let kind = der::expect(&mut pair, der::OBJECT_IDENTIFIER)?.content;
            let value = der::split(&mut pair)?;
            if !name.text.is_empty() {
                name.text.push_str(std::mem::replace(&mut separator, " + "));
            }
            read_value(kind, value, of, name, notes);
            if !pair.is_empty() {
                return None;
            }
            separator = " + ";
        }
    }
    Some(())
}

fn read_value(
    kind: &[u8],
    value: der::Tlv<'_>,
    of: NameOf,
    name: &mut Name,
    notes: &mut Notes<'_>,
) {
    match ATTRIBUTES.iter().find(|(known, _)| *known == kind) {
        Some((_, short)) => name.text.push_str(short),
        None => name.text.push_str(&dotted(kind)),
    }
    name.text.push('=');
    note_string_type(value, of, notes);
    let Some(text) = value_text(value) else {
        name.text.push('#');
        name.text.push_str(&fingerprint::hex(value.whole));
        return;
    };
    push_escaped(&text, &mut name.text);
    match kind {
        COMMON_NAME => name.common_name = Some(text),
        ORGANIZATION => name.organization = Some(text),
        _ => {}
    }
}

/// Returns a value as text. Returns `None` if it is not a string. Replaces octets that are not
/// allowed in a UTF8String.
fn value_text(value: der::Tlv<'_>) -> Option<String> {
    let mut text = String::with_capacity(value.content.len());
    if for_each_char(value, |c| text.push(printable_char(c))).is_some() {
        return Some(text);
    }
    (value.tag == UTF8_STRING).then(|| {
        String::from_utf8_lossy(value.content)
            .chars()
            .map(printable_char)
            .collect()
    })
}

fn note_string_type(value: der::Tlv<'_>, of: NameOf, notes: &mut Notes<'_>) {
    let is_sound = match value.tag {
        UTF8_STRING => std::str::from_utf8(value.content).is_ok(),
        // Clients allow two more characters than X.680.
        PRINTABLE_STRING => value
            .content
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(c)),
        IA5_STRING => value.content.is_ascii(),
        NUMERIC_STRING => value
            .content
            .iter()
            .all(|c| c.is_ascii_digit() || *c == b' '),
        TELETEX_STRING => {
            notes.remark(Oddity::ObsoleteString(of, "TeletexString"));
            true
        }
        BMP_STRING => {
            notes.remark(Oddity::ObsoleteString(of, "BMPString"));
            for_each_char(value, |_| ()).is_some()
        }
        UNIVERSAL_STRING => {
            notes.oddity(Oddity::ObsoleteString(of, "UniversalString"));
            for_each_char(value, |_| ()).is_some()
        }
        _ => {
            notes.oddity(Oddity::NoString(of));
            true
        }
    };
    if !is_sound {
        let kind = match value.tag {
            UTF8_STRING => "UTF8String",
            PRINTABLE_STRING => "PrintableString",
            IA5_STRING => "IA5String",
            NUMERIC_STRING => "NumericString",
            BMP_STRING => "BMPString",
            _ => "UniversalString",
        };
        notes.oddity(Oddity::InvalidString(of, kind));
    }
}

/// Appends a value, escaped by RFC 4514, section 2.4.
fn push_escaped(value: &str, out: &mut String) {
    let last = value.len().saturating_sub(1);
    for (at, c) in value.char_indices() {
        let is_special = match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            ' ' => at == 0 || at == last,
            '#' => at == 0,
            _ => false,
        };
        if is_special {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Returns the normal form of a distinguished name (DER). Names that are equal by RFC 5280, section
/// 7.1, have the same normal form, which is also a name (DER).
///
/// Each string is a UTF8String in lower case, without white space at its ends and with one space
/// for each run of white space. The attributes of a RelativeDistinguishedName are sorted. Other
/// values keep their DER. A name that cannot be read is its own normal form.
pub fn normal_name(der: &[u8]) -> Vec<u8> {
    write_name(der).unwrap_or_else(|| der.to_vec())
}

/// Returns the content octets of a name in normal form: its relative distinguished names as DER. A
/// name is within another if these octets begin with those of the other, because DER encodings are
/// never prefixes of each other. Returns `None` if the name cannot be read.
pub fn normal_rdns(der: &[u8]) -> Option<Box<[u8]>> {
    let normal = write_name(der)?;
    let mut input = normal.as_slice();
    Some(der::expect(&mut input, der::SEQUENCE)?.content.into())
}

/// pkcs-9-at-emailAddress (RFC 2985, section 5.2.1).
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

/// Returns the values of the emailAddress attributes, up to the first unreadable part of the name.
pub fn email_attributes(der: &[u8]) -> Vec<String> {
    attribute_values(der, EMAIL_ADDRESS)
}

/// Returns true if the value of an emailAddress attribute is no IA5String, which RFC 2985, section
/// 5.2.1, requires.
pub fn has_email_beyond_ia5(der: &[u8]) -> bool {
    let mut is_found = false;
    for_each_value(der, EMAIL_ADDRESS, |value| {
        is_found |= value.tag != IA5_STRING;
    });
    is_found
}

/// Returns the values of the attributes with this object identifier, up to the first unreadable
/// part of the name.
pub(super) fn attribute_values(der: &[u8], oid: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for_each_value(der, oid, |value| {
        let mut text = String::new();
        if for_each_char(value, |c| text.push(c)).is_some() {
            out.push(text);
        }
    });
    out
}

fn for_each_value(mut der: &[u8], oid: &[u8], mut take: impl FnMut(der::Tlv<'_>)) {
    let sets = der::expect(&mut der, der::SEQUENCE).map(|name| name.content);
    let mut sets = sets.unwrap_or_default();
    while let Some(set) = der::expect(&mut sets, der::SET) {
        let mut pairs = set.content;
        while let Some(pair) = der::expect(&mut pairs, der::SEQUENCE) {
            let mut pair = pair.content;
            let kind = der::expect(&mut pair, der::OBJECT_IDENTIFIER);
            if kind.is_some_and(|k| k.content == oid)
                && let Some(value) = der::split(&mut pair)
            {
                take(value);
            }
        }
    }
}

fn write_name(mut der: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(der.len());
    let mut sets = der::expect(&mut der, der::SEQUENCE)?.content;
    if !der.is_empty() {
        return None;
    }
    while !sets.is_empty() {
        let mut pairs = der::expect(&mut sets, der::SET)?.content;
        let start = out.len();
        write_pair_if_any(&mut pairs, &mut out)?;
        if pairs.is_empty() {
            wrap(der::SET, start, &mut out);
            continue;
        }
        let first = out.split_off(start);
        let mut sorted = vec![first];
        while !pairs.is_empty() {
            let mut one = Vec::new();
            write_pair_if_any(&mut pairs, &mut one)?;
            sorted.push(one);
        }
        sorted.sort_unstable();
        sorted.iter().for_each(|one| out.extend_from_slice(one));
        wrap(der::SET, start, &mut out);
    }
    wrap(der::SEQUENCE, 0, &mut out);
    Some(out)
}

/// Writes the first AttributeTypeAndValue. Does nothing if there is none.
fn write_pair_if_any(pairs: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    if pairs.is_empty() {
        return Some(());
    }
    let mut pair = der::expect(pairs, der::SEQUENCE)?.content;
    let kind = der::expect(&mut pair, der::OBJECT_IDENTIFIER)?;
    let value = der::split(&mut pair)?;
    if !pair.is_empty() {
        return None;
    }
    let start = out.len();
    out.extend_from_slice(kind.whole);
    let value_start = out.len();
    match write_string(value, out) {
        Some(()) => wrap(UTF8_STRING, value_start, out),
        None => {
            out.truncate(value_start);
            out.extend_from_slice(value.whole);
        }
    }
    wrap(der::SEQUENCE, start, out);
    Some(())
}

/// Writes the text of a string in lower case with white space collapsed. Returns `None` if the
/// value is not a string, or if its bytes are not allowed in its type.
fn write_string(value: der::Tlv<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut text = Folded::new(out);
    for_each_char(value, |c| text.push(c))
}

/// Calls `each` with each character of a string. Returns `None` if the value is not a string, or if
/// its bytes are not allowed in its type. Like OpenSSL, it reads PrintableString, IA5String and
/// TeletexString as Latin-1.
fn for_each_char(value: der::Tlv<'_>, mut each: impl FnMut(char)) -> Option<()> {
    match value.tag {
        UTF8_STRING => std::str::from_utf8(value.content)
            .ok()?
            .chars()
            .for_each(each),
        NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING | TELETEX_STRING => {
            value
                .content
                .iter()
                .for_each(|octet| each(char::from(*octet)));
        }
        BMP_STRING => {
            let (units, rest) = value.content.as_chunks::<2>();
            if !rest.is_empty() {
                return None;
            }
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            for c in char::decode_utf16(units) {
                each(c.ok()?);
            }
        }
        UNIVERSAL_STRING => {
            let (units, rest) = value.content.as_chunks::<4>();
            if !rest.is_empty() {
                return None;
            }
            for unit in units {
                each(char::from_u32(u32::from_be_bytes(*unit))?);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Text in lower case with white space collapsed.
struct Folded<'a> {
    out: &'a mut Vec<u8>,
    /// True if white space must be written before further text.
    space: bool,
    is_empty: bool,
}

impl<'a> Folded<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            space: false,
            is_empty: true,
        }
    }

    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.space = !self.is_empty;
            return;
        }
        if std::mem::take(&mut self.space) {
            self.out.push(b' ');
        }
        self.is_empty = false;
        if c.is_ascii() {
            // An ASCII character is one octet.
            self.out.push((c as u8).to_ascii_lowercase());
            return;
        }
        let mut octets = [0; 4];
        for c in c.to_lowercase() {
            self.out
                .extend_from_slice(c.encode_utf8(&mut octets).as_bytes());
        }
    }
}

/// Wraps everything from `start` on in a tag-length-value.
fn wrap(tag: u8, start: usize, out: &mut Vec<u8>) {
    let header = der::header(tag, out.len().saturating_sub(start));
    out.splice(start..start, header);
}

#[cfg(test)]
mod tests;
