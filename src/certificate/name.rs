//! Distinguished names: the normal form that comparison uses (RFC 5280, section 7.1).

use super::der;

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

/// The normal form of a distinguished name (DER): a name (DER) that has the same bytes for each name that is equal by
/// RFC 5280, section 7.1.
///
/// Each string is a UTF8String in lower case, without white space at its ends and with one space for each run of white
/// space. The attributes of a RelativeDistinguishedName are sorted. Other values keep their DER. A name that cannot be
/// read is its own normal form.
pub fn normal_name(der: &[u8]) -> Vec<u8> {
    write_name(der).unwrap_or_else(|| der.to_vec())
}

/// The relative names of a name, each in normal form and as DER. `None` if the name cannot be read.
pub fn name_parts(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let normal = write_name(der)?;
    let mut input = normal.as_slice();
    let mut parts = der::expect(&mut input, der::SEQUENCE)?.content;
    let mut out = Vec::new();
    while !parts.is_empty() {
        out.push(der::expect(&mut parts, der::SET)?.whole.to_vec());
    }
    Some(out)
}

/// The values of the emailAddress attributes of a name, as far as it can be read.
pub fn email_attributes(mut der: &[u8]) -> Vec<String> {
    /// pkcs-9-at-emailAddress (RFC 2985, section 5.2.1).
    const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
    let mut out = Vec::new();
    let sets = der::expect(&mut der, der::SEQUENCE).map(|name| name.content);
    let mut sets = sets.unwrap_or_default();
    while let Some(set) = der::expect(&mut sets, der::SET) {
        let mut pairs = set.content;
        while let Some(pair) = der::expect(&mut pairs, der::SEQUENCE) {
            let mut pair = pair.content;
            let kind = der::expect(&mut pair, der::OBJECT_IDENTIFIER);
            if kind.is_some_and(|k| k.content == EMAIL_ADDRESS)
                && let Some(value) = der::split(&mut pair)
            {
                let mut text = String::new();
                if for_each_char(value, |c| text.push(c)).is_some() {
                    out.push(text);
                }
            }
        }
    }
    out
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

/// Writes the first AttributeTypeAndValue; nothing where there is none.
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

/// Writes the text of a string in lower case with white space collapsed. `None` if it is no string, or if its bytes
/// are not allowed in its type.
fn write_string(value: der::Tlv<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut text = Folded::new(out);
    for_each_char(value, |c| text.push(c))
}

/// Calls `each` with each character of a string. `None` if the value is no string, or if its bytes are not allowed in
/// its type. PrintableString, IA5String and TeletexString are read as Latin-1, as OpenSSL does.
fn for_each_char(value: der::Tlv<'_>, mut each: impl FnMut(char)) -> Option<()> {
    match value.tag {
        UTF8_STRING => std::str::from_utf8(value.content)
            .ok()?
            .chars()
            .for_each(each),
        PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING | TELETEX_STRING => {
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
    /// White space that is written only if text follows.
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

/// Makes a tag-length-value of everything from `start` on.
fn wrap(tag: u8, start: usize, out: &mut Vec<u8>) {
    let header = der::header(tag, out.len().saturating_sub(start));
    out.splice(start..start, header);
}

#[cfg(test)]
mod tests;
