//! User names and passwords that users write into targets and URLs by mistake. They are never shown.

use std::borrow::Cow;

/// Text that replaces a user name and a password.
const HIDDEN: &str = "***";

/// Returns the user name and password in a target or URL: the text before the last `@`, without a
/// scheme. A password may contain every character.
pub fn userinfo(text: &str) -> Option<&str> {
    let (before, _) = text.rsplit_once('@')?;
    let is_scheme = |text: &str| {
        let name = text.trim_end_matches(':');
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '='))
    };
    let info = match before.split_once("//") {
        Some((scheme, info)) if is_scheme(scheme) => info,
        _ => before,
    };
    (!info.is_empty()).then_some(info)
}

/// Returns a target or URL with the user name and password replaced.
pub fn without_userinfo(text: &str) -> Cow<'_, str> {
    match userinfo(text) {
        Some(info) => Cow::Owned(text.replacen(info, HIDDEN, 1)),
        None => Cow::Borrowed(text),
    }
}

/// Returns a message in which the user names and passwords of all quoted URLs are replaced: of each
/// word with an `@` that has a colon or `//` before it. A mail address stays.
pub fn redacted(message: &str) -> Cow<'_, str> {
    if !message.contains('@') {
        return Cow::Borrowed(message);
    }
    let is_end = |c: char| c.is_whitespace() || matches!(c, '`' | '\'' | '"' | '<' | '>');
    let words = message.split_inclusive(is_end);
    let mut out = String::with_capacity(message.len());
    for word in words {
        match userinfo(word) {
            Some(info) if info.contains(':') || word.contains("//") => {
                out.push_str(&word.replacen(info, HIDDEN, 1));
            }
            _ => out.push_str(word),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_whatever_it_contains() {
        for (text, shown) in [
            ("https://u:secret@a.example/", "https://***@a.example/"),
            ("https://secret@a.example", "https://***@a.example"),
            ("https://u:se/cr@et@a.example", "https://***@a.example"),
            ("https//u:secret@a.example", "https//***@a.example"),
            ("u:secret@a.example:443", "***@a.example:443"),
            ("u:sec//ret@a.example", "***@a.example"),
            ("a.example:443", "a.example:443"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }

    #[test]
    fn passwords_in_messages_are_hidden_and_mail_addresses_are_not() {
        for (message, shown) in [
            (
                "invalid value 'https://u:p@a' for '--x'",
                "invalid value 'https://***@a' for '--x'",
            ),
            ("`u:p@a.example`: wrong", "`***@a.example`: wrong"),
            ("write to me@a.example", "write to me@a.example"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redacted(message), shown);
        }
    }
}
