//! Redaction of certvigil's own secrets in API responses. Some APIs repeat parts of a request, and
//! their texts are shown in logs, on pages and in results.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::{memchr, memmem};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::auth::BasicAuth;

/// Text that replaces a secret.
const HIDDEN: &str = "[secret]";
/// Minimum length of a secret that is replaced, in bytes. Shorter ones also occur in ordinary
/// words.
const MIN_BYTES: usize = 6;
/// Beginning and end of a PEM block.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_END: &[u8] = b"-----END ";

/// Secrets, each in every form in which a response may contain it. It is cheap to clone, and clones
/// share their secrets.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Vec<SecretString>>>);

impl Secrets {
    /// Adds a secret to be replaced.
    pub fn add(&self, secret: &SecretString) {
        let plain = secret.expose_secret();
        let encoded = utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string();
        self.add_forms([plain.to_owned(), encoded]);
    }

    /// Adds the password of credentials and the value of their header to be replaced.
    pub fn add_auth(&self, auth: &BasicAuth) {
        let password = auth.password.clone().unwrap_or_default();
        self.add(&password);
        let both = format!(
            "{}:{}",
            auth.username.expose_secret(),
            password.expose_secret()
        );
        self.add_forms([STANDARD_NO_PAD.encode(both)]);
    }

    fn add_forms(&self, forms: impl IntoIterator<Item = String>) {
        let mut all = self.lock();
        for form in forms.into_iter().filter(|form| form.len() >= MIN_BYTES) {
            if all.iter().all(|known| known.expose_secret() != form) {
                all.push(form.into());
            }
        }
    }

    /// Replaces the secrets in a body, also where JSON escapes some of their characters. PEM in the
    /// body is unchanged, because certificates are public.
    pub(super) fn hide_in_body(&self, body: Vec<u8>) -> Vec<u8> {
        self.hidden(&body).unwrap_or(body)
    }

    /// Replaces the secrets in a text.
    pub(super) fn hide(&self, text: String) -> String {
        match self.hidden(text.as_bytes()) {
            Some(hidden) => String::from_utf8_lossy(&hidden).into_owned(),
            None => text,
        }
    }

    /// Returns the text without secrets. `None` if it contains none.
    fn hidden(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut found = self.found(text);
        if text.contains(&b'\\') && !self.lock().is_empty() {
            found.extend(self.found_escaped(text));
        }
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|range| (range.start, Reverse(range.end)));
        let mut out = Vec::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            if range.start >= end {
                out.extend(text.get(end..range.start).unwrap_or_default());
                out.extend(HIDDEN.as_bytes());
            }
            // A secret may be a part of another one, or overlap it.
            end = end.max(range.end);
        }
        out.extend(text.get(end..).unwrap_or_default());
        Some(out)
    }

    /// Returns the places of the secrets in a text that JSON may have escaped.
    fn found_escaped(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut plain = Vec::with_capacity(text.len());
        unescape(text, |_, meaning, _| plain.extend(meaning));
        let mut found = self.found(&plain);
        if !found.is_empty() {
            // The list is larger than the text, and rarely needed.
            let mut starts = Vec::with_capacity(plain.len());
            unescape(text, |at, meaning, is_escape| {
                starts.extend((0..meaning.len()).map(|i| if is_escape { at } else { at + i }));
            });
            let start = |at: usize| starts.get(at).copied().unwrap_or(text.len());
            for range in &mut found {
                *range = start(range.start)..start(range.end);
            }
        }
        found
    }

    /// Returns the places of the secrets in a text, except for those inside of PEM.
    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        let forms = self.lock();
        let mut found = Vec::new();
        for form in forms.iter().map(|form| form.expose_secret().as_bytes()) {
            let starts = memmem::find_iter(text, form);
            found.extend(starts.map(|start| start..start + form.len()));
        }
        if found.is_empty() {
            return found;
        }
        let mut blocks = Vec::new();
        let mut begin = memmem::find(text, PEM_BEGIN);
        while let Some(start) = begin {
            let rest = text.get(start..).unwrap_or_default();
            let Some(length) = memmem::find(rest, PEM_END) else {
                break;
            };
            blocks.push(start..start + length);
            let rest = rest.get(length..).unwrap_or_default();
            begin = memmem::find(rest, PEM_BEGIN).map(|at| start + length + at);
        }
        found.retain(|range| !blocks.iter().any(|block| block.contains(&range.start)));
        found
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SecretString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `put` for each JSON escape of a text (RFC 8259, section 7), and for the bytes between them,
/// with the position, the meaning, and true for an escape.
fn unescape(text: &[u8], mut put: impl FnMut(usize, &[u8], bool)) {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((length, character)) = escape(rest) {
            put(at, character.encode_utf8(&mut [0; 4]).as_bytes(), true);
            at += length;
            continue;
        }
        // A backslash that begins no escape means itself.
        let others = rest.get(1..).unwrap_or_default();
        let length = memchr(b'\\', others).map_or(rest.len(), |next| 1 + next);
        put(at, rest.get(..length).unwrap_or(rest), false);
        at += length;
    }
}

/// Returns the length and the meaning of the escape with which a text begins, if it does.
fn escape(text: &[u8]) -> Option<(usize, char)> {
    let character = match text.strip_prefix(b"\\")?.first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other @ (b'"' | b'\\' | b'/') => char::from(*other),
        b'u' => {
            let first = code_unit(text)?;
            let second = text.get(UNIT_BYTES..).and_then(code_unit);
            let mut both = char::decode_utf16([first].into_iter().chain(second));
            let character = both.next()?.unwrap_or(char::REPLACEMENT_CHARACTER);
            return Some((UNIT_BYTES * character.len_utf16(), character));
        }
        _ => return None,
    };
    Some((2, character))
}

/// Length of `\u` and its four digits, in bytes.
const UNIT_BYTES: usize = 6;

/// Returns the UTF-16 code unit of the `\u` escape with which a text begins, if it does.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.get(..UNIT_BYTES)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets_of(secret: &str) -> Secrets {
        secrets(&[secret])
    }

    fn secrets(all: &[&str]) -> Secrets {
        let secrets = Secrets::default();
        for secret in all {
            secrets.add(&SecretString::from(*secret));
        }
        secrets
    }

    #[test]
    fn a_secret_is_replaced_in_every_form() {
        let secrets = secrets(&["k\"ey/1", "k\"ey/1-long", "abc"]);
        secrets.add_auth(&BasicAuth {
            username: "user".into(),
            password: Some("password".into()),
        });
        for (text, wanted) in [
            ("no k\"ey/1!", "no [secret]!"),
            (r#"{"m":"k\"ey/1"}"#, r#"{"m":"[secret]"}"#),
            ("?k=k%22ey%2F1&", "?k=[secret]&"),
            ("k\"ey/1-long k\"ey/1", "[secret] [secret]"),
            ("Basic dXNlcjpwYXNzd29yZA==", "Basic [secret]=="),
            ("user: password", "user: [secret]"),
            ("abc and nothing else", "abc and nothing else"),
        ] {
            assert_eq!(secrets.hide(text.into()), wanted);
            assert_eq!(secrets.hide_in_body(text.into()), wanted.as_bytes());
        }
        let binary = b"\xff password \\".to_vec();
        assert_eq!(secrets.hide_in_body(binary), b"\xff [secret] \\");
    }

    #[test]
    fn a_secret_is_replaced_however_json_escapes_it() {
        let secrets = secrets(&["p/w\u{f6}rt\u{1f511}\"\\", "C:\\new"]);
        for (text, wanted) in [
            (r#"{"m":"no p/wört🔑\"\\!"}"#, r#"{"m":"no [secret]!"}"#),
            (r#"no p\/w\u00f6rt\ud83d\udd11\"\\!"#, "no [secret]!"),
            (
                r"\u0070\u002F\u0077\u00F6\u0072\u0074\uD83D\uDD11\u0022\u005c",
                "[secret]",
            ),
            (r"a C:\\new and a C:\new", "a [secret] and a [secret]"),
            (r"\ud83d \u00g0 \x and \", r"\ud83d \u00g0 \x and \"),
        ] {
            assert_eq!(secrets.hide(text.into()), wanted);
        }
    }

    proptest! {
        /// Whatever the way in which JSON writes a secret, the value that is read does not have it.
        #[test]
        fn no_escape_shows_a_secret(secret in ".{6,12}", around in any::<String>(), ways in prop::collection::vec(0_u8..3, 12)) {
            let mut body = serde_json::to_string(&around).unwrap();
            body.pop();
            for (character, way) in secret.chars().zip(&ways) {
                match (way, character) {
                    (0, _) => {
                        let mut units = [0; 2];
                        for unit in character.encode_utf16(&mut units) {
                            body += &format!("\\u{unit:04x}");
                        }
                    }
                    (1, '/') => body += "\\/",
                    _ => body += serde_json::to_string(&character).unwrap().trim_matches('"'),
                }
            }
            body += "\"";
            if !secret.contains('"') {
                let read: String = serde_json::from_str(&body).unwrap();
                prop_assert!(read.contains(&secret));
            }
            let hidden = secrets_of(&secret).hide_in_body(body.into_bytes());
            let hidden: String = serde_json::from_slice(&hidden).unwrap_or_default();
            prop_assert!(!hidden.contains(&secret));
        }
    }

    #[test]
    fn secret_inside_a_pem_block_is_not_replaced() {
        let pem = "-----BEGIN X-----\nMIIBIj\n-----END X-----\n";
        let text = format!("MIIBIj {pem} MIIBIj {pem}");
        let hidden = secrets(&["MIIBIj"]).hide(text);
        assert_eq!(hidden, format!("[secret] {pem} [secret] {pem}"));
        let cut = "MIIBIj -----BEGIN MIIBIj".to_owned();
        assert_eq!(
            secrets(&["MIIBIj"]).hide(cut),
            "[secret] -----BEGIN [secret]"
        );
    }
}
