//! Object identifiers in dotted form.

use std::fmt::Write as _;

/// Returns the dotted form of an object identifier's content octets (X.690, section 8.19). Content
/// that is not an object identifier is written in hexadecimal.
pub(crate) fn dotted(content: &[u8]) -> String {
    parse(content).unwrap_or_else(|| format!("0x{}", super::fingerprint::hex(content)))
}

fn parse(content: &[u8]) -> Option<String> {
    // Most identifiers take at most three characters for each octet.
    let mut text = String::with_capacity(content.len().saturating_mul(3));
    let mut arc: u128 = 0;
    let mut is_within = false;
    for &octet in content {
        // An arc has at most 128 bits, enough for a UUID.
        if arc.leading_zeros() < 7 {
            return None;
        }
        arc = arc << 7 | u128::from(octet & 0x7f);
        is_within = octet & 0x80 != 0;
        if is_within {
            continue;
        }
        if text.is_empty() {
            let root = (arc / 40).min(2);
            let _ = write!(text, "{root}.{}", arc.saturating_sub(root * 40));
        } else {
            let _ = write!(text, ".{arc}");
        }
        arc = 0;
    }
    (!is_within && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_identifier_is_written_in_dotted_form() {
        for (content, text) in [
            (&[0x55, 4, 3][..], "2.5.4.3"),
            (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1],
                "1.2.840.113549.1.1.1",
            ),
            (
                &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
                "0.9.2342.19200300.100.1.25",
            ),
            (&[0x88, 0x37, 3], "2.999.3"),
            (&[0], "0.0"),
            (&[], "0x"),
            (&[0x2a, 0x86], "0x2a86"),
            (&[0xff; 20], "0xffffffffffffffffffffffffffffffffffffffff"),
        ] {
            assert_eq!(dotted(content), text);
        }
    }
}
