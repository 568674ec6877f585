//! DER encoding and decoding for the revocation services.

/// Tag of a SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// Tag of an INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// Tag of an OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// Tag of an OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;

/// Encodes a tag-length-value.
pub(super) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len();
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        der.push(short);
    } else {
        let octets: Vec<u8> = length
            .to_be_bytes()
            .into_iter()
            .skip_while(|b| *b == 0)
            .collect();
        der.push(0x80 | u8::try_from(octets.len()).unwrap_or(0));
        der.extend(octets);
    }
    der.extend(content);
    der
}

/// Encodes a SEQUENCE.
pub(super) fn sequence(content: &[u8]) -> Vec<u8> {
    encode(SEQUENCE, content)
}

/// Encodes an OBJECT IDENTIFIER with these content octets.
pub(super) fn oid(content: &[u8]) -> Vec<u8> {
    encode(OBJECT_IDENTIFIER, content)
}

/// Splits the first tag-length-value with this tag off the input. Returns it whole and its content.
pub(super) fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<(&'a [u8], &'a [u8])> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, header) = match first {
        0..=0x7f => (usize::from(first), 2),
        0x81..=0x84 => {
            let octets = usize::from(first & 0x7f);
            let length = rest.get(..octets)?.iter();
            let length = length.fold(0usize, |sum, &octet| sum << 8 | usize::from(octet));
            (length, 2 + octets)
        }
        _ => return None,
    };
    let whole = input.get(..header.checked_add(length)?)?;
    let content = whole.get(header..)?;
    *input = input.get(whole.len()..)?;
    Some((whole, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_split_off() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let whole = sequence(&content);
            let mut input = whole.as_slice();
            let split = expect(&mut input, SEQUENCE);
            assert_eq!(split, Some((whole.as_slice(), content.as_slice())));
            assert!(input.is_empty());
            assert_eq!(expect(&mut whole.as_slice(), INTEGER), None);
        }
    }
}
