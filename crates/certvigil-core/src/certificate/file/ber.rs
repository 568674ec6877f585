//! BER (X.690), as far as containers of certificates use it: lengths may be indefinite, strings in parts.

use std::borrow::Cow;

/// Deepest nesting of containers; those in use have about twelve levels.
const MAX_DEPTH: usize = 32;
const CONSTRUCTED: u8 = 0x20;
const INDEFINITE: u8 = 0x80;
const OCTET_STRING: u8 = 0x04;

/// One element: tag, length and content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// Splits the first element off the input.
pub(super) fn split<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let element = measure(input, 0)?;
    *input = input.get(element.whole.len()..)?;
    Some(element)
}

/// Splits off the first element, which must have this tag.
pub(super) fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<Element<'a>> {
    split(input).filter(|element| element.tag == tag)
}

/// Splits off the first element where it has this tag.
pub(super) fn optional<'a>(input: &mut &'a [u8], tag: u8) -> Option<Element<'a>> {
    if input.first() == Some(&tag) {
        split(input)
    } else {
        None
    }
}

/// Returns the elements of a content; `None` if one of them cannot be read.
pub(super) fn elements(mut content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut all = Vec::new();
    while !content.is_empty() {
        all.push(split(&mut content)?);
    }
    Some(all)
}

impl<'a> Element<'a> {
    /// Returns the octets of a string, joined where it is in parts (X.690, section 8.7). `tag` is the tag of the string
    /// in its primitive form.
    pub(super) fn octets(&self, tag: u8) -> Option<Cow<'a, [u8]>> {
        if self.tag == tag {
            return Some(Cow::Borrowed(self.content));
        }
        if self.tag != tag | CONSTRUCTED {
            return None;
        }
        let mut joined = Vec::new();
        for part in elements(self.content)? {
            joined.extend_from_slice(&part.octets(OCTET_STRING)?);
        }
        Some(Cow::Owned(joined))
    }

    /// Returns a small unsigned INTEGER.
    pub(super) fn number(&self) -> Option<u32> {
        const INTEGER: u8 = 0x02;
        if self.tag != INTEGER || self.content.len() > 5 || self.content.first()? & 0x80 != 0 {
            return None;
        }
        let number = self
            .content
            .iter()
            .fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
        u32::try_from(number).ok()
    }
}

fn measure(input: &[u8], depth: usize) -> Option<Element<'_>> {
    let (&tag, after_tag) = input.split_first()?;
    // No container has a tag number beyond 30.
    if tag & 0x1f == 0x1f || depth > MAX_DEPTH {
        return None;
    }
    let (&first, rest) = after_tag.split_first()?;
    if first == INDEFINITE {
        return (tag & CONSTRUCTED != 0).then(|| indefinite(input, tag, rest, depth))?;
    }
    let (length, header) = match first {
        0..=0x7f => (usize::from(first), 2),
        0x81..=0x84 => {
            let octets = usize::from(first & 0x7f);
            let length = rest.get(..octets)?.iter();
            let length = length.fold(0usize, |sum, octet| sum << 8 | usize::from(*octet));
            (length, 2 + octets)
        }
        _ => return None,
    };
    let whole = input.get(..header.checked_add(length)?)?;
    Some(Element {
        tag,
        content: whole.get(header..)?,
        whole,
    })
}

fn indefinite<'a>(
    input: &'a [u8],
    tag: u8,
    content: &'a [u8],
    depth: usize,
) -> Option<Element<'a>> {
    const END_OF_CONTENTS: &[u8] = &[0, 0];
    let mut rest = content;
    while !rest.starts_with(END_OF_CONTENTS) {
        let inner = measure(rest, depth + 1)?;
        rest = rest.get(inner.whole.len()..)?;
    }
    let length = content.len() - rest.len();
    Some(Element {
        tag,
        content: content.get(..length)?,
        whole: input.get(..2 + length + END_OF_CONTENTS.len())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_lengths_and_constructed_strings_are_read() {
        // SEQUENCE (indefinite) { OCTET STRING in two parts (indefinite), INTEGER 5 }, then one more octet.
        let ber = [
            0x30, 0x80, 0x24, 0x80, 4, 1, 7, 4, 2, 8, 9, 0, 0, 2, 1, 5, 0, 0, 0xaa,
        ];
        let mut input = ber.as_slice();
        let sequence = expect(&mut input, 0x30).unwrap();
        assert_eq!(input, [0xaa]);
        let inner = elements(sequence.content).unwrap();
        assert_eq!(*inner[0].octets(OCTET_STRING).unwrap(), [7, 8, 9]);
        assert_eq!(inner[1].number(), Some(5));
        assert!(inner[1].octets(OCTET_STRING).is_none());
    }

    #[test]
    fn truncated_or_deeply_nested_ber_is_refused() {
        for cut in [
            &[0x30][..],
            &[0x30, 0x82, 1],
            &[0x30, 0x80, 2, 1, 5],
            &[0x04, 0x80, 0, 0],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
        ] {
            let mut input = cut;
            assert!(split(&mut input).is_none(), "{cut:?}");
        }
        let deep = [0x30, 0x80].repeat(1000);
        assert!(split(&mut deep.as_slice()).is_none());
    }
}
