//! Text as the input of the parser.

use saphyr_parser::Input;

/// Number of characters for which the parser reserves space at a time. With the ones of
/// `saphyr_parser::StrInput`, it would allocate each short value twice.
const RESERVED: usize = 16;
/// Maximum bytes of a character in UTF-8.
const MAX_CHARACTER: usize = 4;

/// Text, as `saphyr_parser::StrInput` but with a short way for ASCII.
pub(super) struct Text<'t> {
    /// Bytes that have not been read.
    rest: &'t [u8],
    /// Maximum number of characters that the parser has asked for. All of them are available.
    ahead: usize,
}

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            rest: text.as_bytes(),
            ahead: 0,
        }
    }

    /// Returns the first character of some bytes of the text.
    #[cold]
    fn decoded(bytes: &[u8]) -> Option<char> {
        let first = bytes.get(..MAX_CHARACTER).unwrap_or(bytes);
        first.utf8_chunks().next()?.valid().chars().next()
    }

    #[cold]
    fn decoded_nth(&self, n: usize) -> char {
        let mut rest = self.rest;
        for _ in 0..n {
            let Some(character) = Self::decoded(rest) else {
                return '\0';
            };
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
        Self::decoded(rest).unwrap_or_default()
    }

    #[cold]
    fn skip_decoded(&mut self) {
        let length = Self::decoded(self.rest).map_or(0, char::len_utf8);
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

fn is_flow(c: char) -> bool {
    matches!(c, ',' | '[' | ']' | '{' | '}')
}

/// Beyond the end of the text, all characters are NUL.
impl Input for Text<'_> {
    #[inline]
    fn lookahead(&mut self, count: usize) {
        self.ahead = self.ahead.max(count);
    }

    #[inline]
    fn buflen(&self) -> usize {
        self.ahead
    }

    #[inline]
    fn bufmaxlen(&self) -> usize {
        RESERVED
    }

    #[inline]
    fn raw_read_ch(&mut self) -> char {
        let character = self.peek();
        self.skip();
        character
    }

    #[inline]
    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        let character = self.peek_opt()?;
        if matches!(character, '\n' | '\r' | '\0' | '\u{feff}') {
            return None;
        }
        self.skip();
        Some(character)
    }

    #[inline]
    fn skip(&mut self) {
        match self.rest {
            [first, rest @ ..] if first.is_ascii() => self.rest = rest,
            _ => self.skip_decoded(),
        }
    }

    #[inline]
    fn skip_n(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    #[inline]
    fn peek(&self) -> char {
        match self.rest {
            [first, ..] if first.is_ascii() => char::from(*first),
            [] => '\0',
            _ => self.decoded_nth(0),
        }
    }

    #[inline]
    fn peek_nth(&self, n: usize) -> char {
        match (n, self.rest) {
            (1, [first, second, ..]) if first.is_ascii() && second.is_ascii() => {
                char::from(*second)
            }
            _ => self.decoded_nth(n),
        }
    }

    #[inline]
    fn peek_opt(&self) -> Option<char> {
        (!self.rest.is_empty()).then(|| self.peek())
    }

    #[inline]
    fn next_is_blank_or_breakz(&self) -> bool {
        matches!(self.rest, [] | [b' ' | b'\t' | b'\n' | b'\r' | 0, ..])
    }

    /// Returns true if the next character continues a plain value (YAML 1.2.2, section 7.3.3).
    #[inline]
    fn next_can_be_plain_scalar(&self, in_flow: bool) -> bool {
        match self.peek() {
            ':' => match self.peek_nth(1) {
                ' ' | '\t' | '\n' | '\r' | '\0' => false,
                next => !(in_flow && is_flow(next)),
            },
            '\u{feff}' => false,
            character => !(in_flow && is_flow(character)),
        }
    }
}
