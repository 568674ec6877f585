//! Blocks of PEM files (RFC 7468), read as leniently as OpenSSL reads them and without losing one.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;

use super::FileError;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Longest label that is taken for one. The longest in use is `PRIVACY-ENHANCED MESSAGE`.
const MAX_LABEL_BYTES: usize = 64;

/// Padding may be missing: some configuration tools drop the trailing `=`.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One block of a PEM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// Text between `BEGIN` and the dashes.
    pub(super) label: &'a str,
    /// Line of its first boundary, from 1.
    pub(super) line: usize,
    /// Text between the boundaries.
    pub(super) body: &'a [u8],
    /// Text of the file before and after the block.
    around: [&'a [u8]; 2],
}

impl Block<'_> {
    /// Returns the decoded content.
    ///
    /// # Errors
    /// Returns an error if the text between the boundaries is not base64.
    pub(super) fn decode(&self) -> Result<Vec<u8>, FileError> {
        let text: Vec<u8> = base64_text(self.body);
        BASE64.decode(text).map_err(|_| FileError::NotBase64 {
            line: self.line,
            label: self.label.to_owned(),
        })
    }

    /// Returns true if each boundary is at the beginning of a line, and only white space follows it there.
    pub(super) fn is_on_own_lines(&self) -> bool {
        let [before, after] = self.around;
        begins_line(before) && ends_line(self.body) && begins_line(self.body) && ends_line(after)
    }

    /// Returns the name that OpenSSL reads in the first boundary: the text of its line between `BEGIN`
    /// and five dashes at the line's end. The name is another one than the label if more follows the
    /// label's dashes. Returns `None` if OpenSSL does not see the boundary (`PEM_read_bio_ex`).
    pub(super) fn openssl_name(&self) -> Option<Vec<u8>> {
        let line = [self.label.as_bytes(), DASHES, first_line(self.body)].concat();
        // Where its `char` is signed, OpenSSL trims bytes from 0x80 too.
        let end = line.iter().rposition(|byte| (0x21..0x80).contains(byte))?;
        let name = line.get(..=end)?.strip_suffix(DASHES)?;
        begins_line(self.around[0]).then(|| name.to_vec())
    }

    /// Returns true if OpenSSL takes the second boundary for the end of a block with this name.
    pub(super) fn ends_with_name(&self, name: &[u8]) -> bool {
        let line = [self.label.as_bytes(), DASHES, first_line(self.around[1])].concat();
        begins_line(self.body) && trim_control_end(&line).strip_suffix(DASHES) == Some(name)
    }

    /// Returns true if the content is encrypted: its headers say so (RFC 1421, section 4.6.1.1).
    pub(super) fn is_encrypted(&self) -> bool {
        self.label.starts_with("ENCRYPTED ") || memmem::find(self.body, b"ENCRYPTED").is_some()
    }
}

/// Returns the text up to its first line feed.
fn first_line(text: &[u8]) -> &[u8] {
    let length = text.iter().position(|byte| *byte == b'\n');
    length.and_then(|at| text.get(..at)).unwrap_or(text)
}

/// Returns the line without the white space and control characters at its end, as OpenSSL reads it.
pub(super) fn trim_control_end(mut line: &[u8]) -> &[u8] {
    while let Some((0..=b' ', before)) = line.split_last() {
        line = before;
    }
    line
}

/// Returns true if a line begins after the text.
fn begins_line(before: &[u8]) -> bool {
    before.last().is_none_or(|byte| *byte == b'\n')
}

/// Returns true if a line ends before the text.
fn ends_line(after: &[u8]) -> bool {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
    let mut rest = after.iter().skip_while(is_space);
    rest.next().is_none_or(|byte| *byte == b'\n')
}

/// Returns the base64 characters of a block: without white space, line breaks that were written as `\n`, and headers.
fn base64_text(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after.first()) {
            (b'\\', Some(b'n' | b'r' | b't')) => after.get(1..).unwrap_or_default(),
            _ => {
                if !byte.is_ascii_whitespace() {
                    text.push(byte);
                }
                after
            }
        };
    }
    text
}

/// Returns the blocks of a text in order. A boundary may be anywhere in a line, so that a block directly after another
/// one, in the same line, is found.
///
/// # Errors
/// Returns an error if a block has no end, an end has no beginning, or a line resembles the boundary
/// of a certificate.
pub(super) fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, FileError> {
    let mut blocks = Vec::new();
    let mut at = 0;
    // Lines are counted once along the way: a bundle has thousands of blocks.
    let mut line = 1;
    while let Some(begin) = find_from(text, at, BEGIN) {
        check_between(text, at, begin, line)?;
        line += line_breaks(text, at, begin);
        let after = begin + BEGIN.len();
        let Some((label, body)) = label(text, after) else {
            return Err(FileError::NotABoundary {
                line,
                text: excerpt(text, begin),
            });
        };
        let closing = format!("-----END {label}-----");
        let end = find_from(text, body, closing.as_bytes());
        let next = find_from(text, body, BEGIN);
        let end = match (end, next) {
            (Some(end), Some(next)) if next < end => None,
            (end, _) => end,
        };
        let Some(end) = end else {
            return Err(FileError::MissingEnd {
                line,
                label: label.to_owned(),
            });
        };
        let body_text = text.get(body..end).unwrap_or_default();
        blocks.push(Block {
            label,
            line,
            body: body_text,
            around: [
                text.get(..begin).unwrap_or_default(),
                text.get(end + closing.len()..).unwrap_or_default(),
            ],
        });
        at = end + closing.len();
        line += line_breaks(text, begin, at);
    }
    check_between(text, at, text.len(), line)?;
    Ok(blocks)
}

/// Refuses lines between blocks that have the words of a certificate's boundary: such a block must not be lost.
/// `line` is the number of the line that `from` is in.
fn check_between(text: &[u8], from: usize, to: usize, line: usize) -> Result<(), FileError> {
    let between = text.get(from..to).unwrap_or_default();
    let end = memmem::find(between, END);
    let mut offset = 0;
    for (number, content) in between.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let start = offset;
        offset += content.len();
        if end.is_some_and(|end| end < offset) {
            break;
        }
        if looks_like_boundary(content) {
            return Err(FileError::NotABoundary {
                line: line + number,
                text: excerpt(text, from + start),
            });
        }
    }
    let Some(end) = end.map(|end| from + end) else {
        return Ok(());
    };
    Err(FileError::MissingBegin {
        line: line + line_breaks(text, from, end),
        label: label(text, end + END.len())
            .map_or("", |(label, _)| label)
            .to_owned(),
    })
}

/// Returns true if a line begins as a boundary of a certificate might: dashes of some kind, then `BEGIN … CERTIFICATE`.
fn looks_like_boundary(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_dash = |c: char| matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    if !line.starts_with(is_dash) {
        return false;
    }
    let words = line.trim_start_matches(|c: char| is_dash(c) || c == ' ');
    let words = words.to_uppercase();
    (words.starts_with("BEGIN") || words.starts_with("END"))
        && words.contains("CERTIFICATE")
        && !words.contains("REQUEST")
}

/// Splits the label off, which ends with dashes, and returns where the body begins.
fn label(text: &[u8], from: usize) -> Option<(&str, usize)> {
    let rest = text.get(from..)?;
    let rest = rest.get(..MAX_LABEL_BYTES + DASHES.len()).unwrap_or(rest);
    let length = memmem::find(rest, DASHES)?;
    let label = std::str::from_utf8(rest.get(..length)?).ok()?;
    let is_label = |c: char| c.is_ascii_graphic() || c == ' ';
    label
        .chars()
        .all(is_label)
        .then_some((label, from + length + DASHES.len()))
}

fn find_from(text: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    memmem::find(text.get(from..)?, wanted).map(|at| from + at)
}

fn line_breaks(text: &[u8], from: usize, to: usize) -> usize {
    let between = text.get(from..to).unwrap_or_default();
    between.iter().filter(|byte| **byte == b'\n').count()
}

/// Returns the beginning of a line for an error.
fn excerpt(text: &[u8], at: usize) -> String {
    const LONGEST: usize = 60;
    let rest = text.get(at..).unwrap_or_default();
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: String = String::from_utf8_lossy(line)
        .chars()
        .take(LONGEST)
        .collect();
    crate::certificate::printable(line.trim())
}
