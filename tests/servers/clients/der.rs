//! DER writer: tag, length, content (X.690).

/// One tag-length-value with the shortest length.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let significant = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

pub(crate) fn boolean(value: bool) -> Vec<u8> {
    tlv(0x01, &[if value { 0xff } else { 0 }])
}

pub(crate) fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

/// A non-negative INTEGER.
pub(crate) fn integer(value: u64) -> Vec<u8> {
    unsigned(&value.to_be_bytes())
}

/// A non-negative INTEGER of big-endian bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let significant = &bytes[zeros.min(bytes.len() - 1)..];
    let mut content = Vec::new();
    if significant[0] & 0x80 != 0 {
        content.push(0);
    }
    content.extend_from_slice(significant);
    tlv(0x02, &content)
}

/// A BIT STRING without unused bits.
pub(crate) fn bits(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(content);
    tlv(0x03, &out)
}

/// A BIT STRING of named bits (X.680 section 22.7): trailing zero bits are omitted.
pub(crate) fn named_bits(numbers: &[u8]) -> Vec<u8> {
    let Some(last) = numbers.iter().max() else {
        return tlv(0x03, &[0]);
    };
    let mut content = vec![0; usize::from(last / 8) + 2];
    content[0] = 7 - last % 8;
    for number in numbers {
        content[usize::from(number / 8) + 1] |= 0x80 >> (number % 8);
    }
    tlv(0x03, &content)
}

/// An OBJECT IDENTIFIER from dotted decimals.
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|a| a.parse().unwrap()).collect();
    let mut content = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        content.extend(groups.iter().rev());
    }
    tlv(0x06, &content)
}

/// Context-specific tag, primitive.
pub(crate) fn implicit(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x80 | number, content)
}

/// Context-specific tag, constructed.
pub(crate) fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, content)
}

/// The content of a tag-length-value.
pub(crate) fn content(whole: &[u8]) -> &[u8] {
    let header = match whole[1] {
        short if short < 0x80 => 2,
        long => 2 + usize::from(long & 0x7f),
    };
    &whole[header..]
}

/// The bytes after the first tag-length-value.
pub(crate) fn skip(fields: &[u8]) -> &[u8] {
    let (length, header) = match fields[1] {
        short if short < 0x80 => (usize::from(short), 2),
        long => {
            let bytes = usize::from(long & 0x7f);
            let length = fields[2..2 + bytes]
                .iter()
                .fold(0, |n, b| n << 8 | usize::from(*b));
            (length, 2 + bytes)
        }
    };
    &fields[header + length..]
}

/// The same tag-length-value with a length of four octets more than its first, which only BER allows.
pub(crate) fn with_long_length(whole: &[u8]) -> Vec<u8> {
    let content = content(whole);
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[whole[0], 0x84], &length[..], content].concat()
}
