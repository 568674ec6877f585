//! Character encodings of text files.

use std::borrow::Cow;

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_LE_MARK: &[u8] = &[0xff, 0xfe];
const UTF16_BE_MARK: &[u8] = &[0xfe, 0xff];

/// Returns the text as UTF-8 without a byte order mark. UTF-16, as Windows' editors and PowerShell write it, is
/// converted. Bytes that are neither are returned as they are.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Some(rest) = bytes.strip_prefix(UTF8_MARK) {
        return Cow::Borrowed(rest);
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_LE_MARK) {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_BE_MARK) {
        return utf16(rest, u16::from_be_bytes);
    }
    // UTF-16 without a mark: ASCII has a zero in every other byte.
    match bytes {
        [b'-', 0, b'-', 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, b'-', 0, b'-', ..] => utf16(bytes, u16::from_be_bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// Returns true if [`decode`] converts the text from UTF-16.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    matches!(decode(bytes), Cow::Owned(_))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'static, [u8]> {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Cow::Owned(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let units = text.encode_utf16().flat_map(bytes);
        mark.iter().copied().chain(units).collect()
    }

    #[test]
    fn utf8_and_utf16_text_is_decoded_to_utf8() {
        let text = "-----BEGIN CERTIFICATE-----\r\nMIIB\r\n# Zürich";
        for (mark, bytes) in [
            (UTF16_LE_MARK, u16::to_le_bytes as fn(u16) -> [u8; 2]),
            (UTF16_BE_MARK, u16::to_be_bytes),
            (&[], u16::to_le_bytes),
            (&[], u16::to_be_bytes),
        ] {
            assert_eq!(*decode(&encoded(text, mark, bytes)), *text.as_bytes());
        }
        assert_eq!(*decode(text.as_bytes()), *text.as_bytes());
        assert_eq!(
            *decode(&[UTF8_MARK, text.as_bytes()].concat()),
            *text.as_bytes()
        );
        // DER is not text.
        assert_eq!(*decode(&[0x30, 0x82, 1]), [0x30, 0x82, 1]);
    }
}
