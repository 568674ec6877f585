//! Redaction of certvigil's own secrets in API responses. Some APIs repeat parts of a request, and
//! their texts are shown in logs, on pages and in results.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::auth::BasicAuth;

/// Text that replaces a secret.
const HIDDEN: &str = "[secret]";
/// Minimum length of a secret that is replaced, in bytes. Shorter ones also occur in ordinary
/// words.
const MIN_BYTES: usize = 6;

/// Secrets, each in every form in which a response may contain it. It is cheap to clone, and clones
/// share their secrets.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Vec<SecretString>>>);

impl Secrets {
    /// Adds a secret to be replaced.
    pub fn add(&self, secret: &SecretString) {
        let plain = secret.expose_secret();
        let escaped = serde_json::Value::from(plain).to_string();
        let escaped = escaped.trim_matches('"').to_owned();
        let encoded = utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string();
        self.add_forms([plain.to_owned(), escaped, encoded]);
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
        // A secret may be a part of another one, so the longest is replaced first.
        all.sort_by_key(|form| std::cmp::Reverse(form.expose_secret().len()));
    }

    /// Replaces the secrets in a body. PEM in the body is unchanged, because certificates are
    /// public.
    pub(super) fn hide_in_body(&self, body: Vec<u8>) -> Vec<u8> {
        match std::str::from_utf8(&body)
            .ok()
            .and_then(|text| self.hidden(text))
        {
            Some(hidden) => hidden.into_bytes(),
            None => body,
        }
    }

    /// Replaces the secrets in a text.
    pub(super) fn hide(&self, text: String) -> String {
        self.hidden(&text).unwrap_or(text)
    }

    /// Returns the text without secrets. `None` if it contains none.
    fn hidden(&self, text: &str) -> Option<String> {
        let forms = self.lock();
        let forms = || forms.iter().map(|form| form.expose_secret());
        if !forms().any(|form| text.contains(form)) {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        loop {
            let (before, pem) = rest.split_at(rest.find("-----BEGIN ").unwrap_or(rest.len()));
            let replaced = forms().fold(before.to_owned(), |text, form| text.replace(form, HIDDEN));
            out.push_str(&replaced);
            if pem.is_empty() {
                return Some(out);
            }
            let (pem, after) = pem.split_at(pem.find("-----END ").unwrap_or(0).max(1));
            out.push_str(pem);
            rest = after;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SecretString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let binary = b"\xff password".to_vec();
        assert_eq!(secrets.hide_in_body(binary.clone()), binary);
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
