//! Writer of HTML. Tags and attribute names are static. All other text is escaped, and characters
//! that could reorder or hide the text around them are replaced with their code points.

use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::certificate::is_unseen;

/// Maximum characters of one external text that are shown. Servers choose the subjects of their
/// certificates, and may choose long ones.
pub(super) const MAX_TEXT_CHARS: usize = 600;

/// Characters that are not encoded in a path segment (RFC 3986, section 2.3), and `:`, which IPv6
/// addresses contain.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// Attributes whose values are URLs.
const URLS: [&str; 4] = ["action", "data-stale", "href", "src"];

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html {
    text: String,
    /// Path under which a proxy serves the pages, without the final slash. It precedes the paths of
    /// all links.
    base: Arc<str>,
}

/// Name of an attribute, which is static, and its value, which may be external.
pub(super) type Attribute<'a> = (&'static str, &'a str);

/// Target of a link: a page of this server, or another one over HTTPS. No external text can become
/// a URL scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(String);

impl Address {
    /// Returns the path of these segments, which may contain any characters.
    pub(super) fn path<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            // A segment of dots would be removed as relative (RFC 3986, section 5.2.4), even if it
            // were encoded.
            match segment {
                "" | "." | ".." => path.push('~'),
                _ => path.extend(utf8_percent_encode(segment, SEGMENT)),
            }
        }
        Self(path)
    }

    /// Returns the address of the overview.
    pub(super) fn front() -> Self {
        Self("/".into())
    }

    /// Returns the address of an anchor on the same page.
    pub(super) fn here(id: &str) -> Self {
        Self(format!("#{}", utf8_percent_encode(id, SEGMENT)))
    }

    /// Adds query parameters; empty ones are omitted.
    pub(super) fn with<'a>(
        mut self,
        query: impl IntoIterator<Item = (&'static str, &'a str)>,
    ) -> Self {
        let mut separator = '?';
        for (name, value) in query.into_iter().filter(|(_, value)| !value.is_empty()) {
            let value = url::form_urlencoded::byte_serialize(value.as_bytes());
            self.0.push(separator);
            self.0.push_str(name);
            self.0.push('=');
            self.0.extend(value);
            separator = '&';
        }
        self
    }

    /// Adds the query parameters of another address.
    pub(super) fn with_query_of(mut self, other: &Self) -> Self {
        if let Some((_, query)) = other.0.split_once('?') {
            self.0.push('?');
            self.0.push_str(query);
        }
        self
    }

    /// Adds a fragment.
    pub(super) fn at(mut self, id: &str) -> Self {
        let _ = write!(self.0, "#{}", utf8_percent_encode(id, SEGMENT));
        self
    }

    /// Returns the address of an external page; `None` if the URL is not HTTPS.
    pub(super) fn elsewhere(url: &str) -> Option<Self> {
        url.starts_with("https://").then(|| Self(url.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Html {
    /// Creates an empty document, whose links are under a path.
    pub(super) fn under(base: &Arc<str>) -> Self {
        Self {
            text: String::new(),
            base: base.clone(),
        }
    }

    /// Writes an element with its content.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: &[Attribute<'_>],
        inside: impl FnOnce(&mut Self),
    ) {
        self.begin(tag, attributes);
        inside(self);
        let _ = write!(self.text, "</{tag}>");
    }

    /// Writes an element that contains only text.
    pub(super) fn line(&mut self, tag: &'static str, attributes: &[Attribute<'_>], text: &str) {
        self.element(tag, attributes, |html| html.text(text));
    }

    /// Writes an element without an end tag, such as `input`.
    pub(super) fn void(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.begin(tag, attributes);
    }

    /// Writes a link.
    pub(super) fn link(&mut self, to: &Address, text: &str) {
        self.line("a", &[("href", &to.0)], text);
    }

    /// Writes external text. Text beyond [`MAX_TEXT_CHARS`] is cut, with a note of the number of
    /// omitted characters.
    pub(super) fn text(&mut self, text: &str) {
        let mut chars = text.chars();
        for c in chars.by_ref().take(MAX_TEXT_CHARS) {
            self.push(c);
        }
        let more = chars.count();
        if more > 0 {
            let _ = write!(self.text, "… ({more} more characters)");
        }
    }

    /// Writes external text in which parts between backquotes are code, as in messages.
    pub(super) fn prose(&mut self, text: &str) {
        let end = text.char_indices().nth(MAX_TEXT_CHARS).map(|(end, _)| end);
        let Some(whole) = text.get(..end.unwrap_or(text.len())) else {
            return;
        };
        // A text that was cut may have lost its closing backquote.
        if end.is_some() || whole.matches('`').count() % 2 == 1 {
            return self.text(text);
        }
        for (index, part) in whole.split('`').enumerate() {
            match index % 2 {
                0 => self.text(part),
                _ => self.line("code", &[], part),
            }
        }
    }

    /// Writes certvigil's own text, of any length.
    pub(super) fn own_text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => self.text.push(c),
                c => self.push(c),
            }
        }
    }

    /// Returns the written HTML.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Writes the document type.
    pub(super) fn doctype(&mut self) {
        self.text.push_str("<!doctype html>\n");
    }

    fn begin(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        let _ = write!(self.text, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}=\"");
            if value.starts_with('/') && URLS.contains(name) {
                for c in self.base.clone().chars() {
                    self.push(c);
                }
            }
            for c in value.chars() {
                self.push(c);
            }
            self.text.push('"');
        }
        self.text.push('>');
    }

    fn push(&mut self, c: char) {
        match c {
            '&' => self.text.push_str("&amp;"),
            '<' => self.text.push_str("&lt;"),
            '>' => self.text.push_str("&gt;"),
            '"' => self.text.push_str("&quot;"),
            '\'' => self.text.push_str("&#39;"),
            c if is_unseen(c) => {
                let _ = write!(self.text, "⟨U+{:04X}⟩", u32::from(c));
            }
            c => self.text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the text that a browser shows for HTML without tags.
    fn unescaped(text: &str) -> String {
        assert!(!text.contains(['<', '>', '"', '\'']), "{text:?}");
        let entities = [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#39;", "'"),
        ];
        let plain = entities
            .iter()
            .fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c));
        plain.replace("&amp;", "&")
    }

    /// Returns the expected visible text.
    fn shown(text: &str) -> String {
        let show = |c: char| match is_unseen(c) {
            true => format!("⟨U+{:04X}⟩", u32::from(c)),
            false => c.to_string(),
        };
        text.chars().map(show).collect()
    }

    proptest! {
        #[test]
        fn any_text_is_escaped_in_html_text_and_attributes(
            text in prop_oneof![any::<String>(), "[<>&\"'a/=;\u{202e}\u{0} -]{0,40}"]
        ) {
            let mut html = Html::default();
            html.line("p", &[("title", &text)], &text);
            let html = html.finish();
            let rest = html.strip_prefix("<p title=\"").unwrap().strip_suffix("</p>").unwrap();
            let (attribute, inside) = rest.split_once("\">").unwrap();
            prop_assert_eq!(unescaped(attribute), shown(&text));
            prop_assert_eq!(unescaped(inside), shown(&text));
        }

        #[test]
        fn path_segments_are_encoded_and_stay_on_the_host(segments in prop::collection::vec(any::<String>(), 1..4)) {
            let path = Address::path(segments.iter().map(String::as_str));
            let base = url::Url::parse("http://here/").unwrap();
            let url = base.join(path.as_str()).unwrap();
            prop_assert_eq!(url.host_str(), Some("here"));
            prop_assert!(url.query().is_none() && url.fragment().is_none());
            let read = url.path_segments().unwrap().map(|segment| {
                percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned()
            });
            let wanted = segments.iter().map(|s| match s.as_str() {
                "" | "." | ".." => "~".to_owned(),
                s => s.to_owned(),
            });
            prop_assert_eq!(read.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        }
    }

    #[test]
    fn invisible_characters_are_named_and_long_text_is_truncated() {
        let mut html = Html::default();
        html.text("a\u{202e}b\u{0}c\n");
        assert_eq!(html.finish(), "a⟨U+202E⟩b⟨U+0000⟩c⟨U+000A⟩");
        let mut html = Html::default();
        html.text(&"x".repeat(60_000));
        let text = html.finish();
        assert!(text.ends_with("x… (59400 more characters)"), "{text}");
    }

    #[test]
    fn backquoted_message_text_becomes_a_code_element() {
        let prose = |text: &str| {
            let mut html = Html::default();
            html.prose(text);
            html.finish()
        };
        assert_eq!(
            prose("append `<b>` to it"),
            "append <code>&lt;b&gt;</code> to it"
        );
        assert_eq!(prose("an odd ` of `three`"), "an odd ` of `three`");
        assert!(!prose(&"`x` ".repeat(1000)).contains("<code>"));
    }

    #[test]
    fn link_is_a_local_path_or_an_https_url() {
        assert_eq!(Address::elsewhere("javascript:alert(1)"), None);
        assert_eq!(Address::elsewhere("data:text/html,x"), None);
        let link = Address::path(["certificates", "a/b?c#d"]).with([("q", "x y&z"), ("page", "")]);
        assert_eq!(link.as_str(), "/certificates/a%2Fb%3Fc%23d?q=x+y%26z");
    }
}
