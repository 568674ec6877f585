//! Pages of the documentation that faults link to, embedded in the binary: the network may be down
//! when they are needed.

use std::sync::Arc;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::embedded::DOCS;
use crate::finding::Severity;
use crate::model::Timestamp;

use super::frame::{Page, crumbs};
use super::html::{Address, Html};

/// Returns the names of all pages: their paths in the folder `docs` without the extension.
fn names() -> impl Iterator<Item = &'static str> {
    DOCS.paths().filter_map(|path| path.strip_suffix(".md"))
}

/// Returns the page at a path of these segments, of which the first is `docs`.
pub(super) fn page(now: Timestamp, base: &Arc<str>, segments: &[String]) -> Option<String> {
    let name = segments.get(1..)?.join("/");
    let text = DOCS.text(&format!("{name}.md"))?;
    let title = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ");
    let page = Page {
        title,
        severity: Severity::Ok,
        is_live: false,
        now,
        base,
    };
    Some(page.document(|html| {
        crumbs(
            html,
            &[
                (Address::front(), "Overview"),
                (Address::path(["docs", "findings"]), "Help"),
            ],
        );
        html.element("article", &[("class", "docs")], |html| {
            Writer { name: &name }.write(html, &text)
        });
    }))
}

/// Converter of an embedded page to HTML.
struct Writer<'a> {
    /// Name of the page, which its relative links refer to.
    name: &'a str,
}

impl Writer<'_> {
    fn write(&self, html: &mut Html, text: &str) {
        let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
        let mut events = events.into_iter().peekable();
        self.inside(html, &mut events, None, false);
    }

    /// Writes the content of an element, up to its end.
    fn inside<'e>(
        &self,
        html: &mut Html,
        events: &mut std::iter::Peekable<impl Iterator<Item = Event<'e>>>,
        end: Option<TagEnd>,
        is_head: bool,
    ) {
        while let Some(event) = events.next() {
            match event {
                Event::End(this) if Some(this) == end => return,
                Event::End(_) | Event::Rule | Event::Html(_) | Event::InlineHtml(_) => {}
                Event::Text(text) => html.own_text(&text),
                Event::Code(text) => html.element("code", &[], |html| html.own_text(&text)),
                Event::SoftBreak | Event::HardBreak => html.own_text("\n"),
                Event::Start(tag) => self.element(html, events, tag, is_head),
                _ => {}
            }
        }
    }

    fn element<'e>(
        &self,
        html: &mut Html,
        events: &mut std::iter::Peekable<impl Iterator<Item = Event<'e>>>,
        tag: Tag<'e>,
        is_head: bool,
    ) {
        let end = Some(tag.to_end());
        let (name, attributes): (&'static str, Vec<(&'static str, String)>) = match &tag {
            Tag::Heading { level, .. } => {
                let name = match level {
                    HeadingLevel::H1 => "h1",
                    HeadingLevel::H2 => "h2",
                    HeadingLevel::H3 => "h3",
                    _ => "h4",
                };
                let id = match events.peek() {
                    Some(Event::Text(text) | Event::Code(text)) => slug(text),
                    _ => String::new(),
                };
                (name, vec![("id", id)])
            }
            Tag::Paragraph => ("p", vec![]),
            Tag::BlockQuote(_) => ("blockquote", vec![]),
            // A wide block scrolls, and `tabindex` makes that possible with the keyboard.
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                ("pre", vec![("tabindex", "0".into())])
            }
            Tag::List(Some(_)) => ("ol", vec![]),
            Tag::List(None) => ("ul", vec![]),
            Tag::Item => ("li", vec![]),
            Tag::Emphasis => ("em", vec![]),
            Tag::Strong => ("strong", vec![]),
            Tag::Link { dest_url, .. } => match self.address(dest_url) {
                Some(address) => ("a", vec![("href", address.as_str().to_owned())]),
                None => ("span", vec![]),
            },
            Tag::Table(_) => ("table", vec![]),
            Tag::TableHead => {
                return html.element("thead", &[], |html| {
                    html.element("tr", &[], |html| self.inside(html, events, end, true));
                });
            }
            Tag::TableRow => ("tr", vec![]),
            Tag::TableCell if is_head => ("th", vec![("scope", "col".into())]),
            Tag::TableCell => ("td", vec![]),
            _ => ("span", vec![]),
        };
        let attributes: Vec<(&'static str, &str)> =
            attributes.iter().map(|(k, v)| (*k, &**v)).collect();
        html.element(name, &attributes, |html| {
            self.inside(html, events, end, is_head)
        });
    }

    /// Returns the target of a link in the page; `None` if that page is not embedded.
    fn address(&self, url: &str) -> Option<Address> {
        if let Some(elsewhere) = Address::elsewhere(url) {
            return Some(elsewhere);
        }
        let (path, fragment) = url.split_once('#').unwrap_or((url, ""));
        if path.is_empty() {
            return Some(Address::here(fragment));
        }
        let mut segments: Vec<&str> = self.name.split('/').collect();
        segments.pop();
        for part in path.trim_end_matches(".md").split('/') {
            match part {
                ".." => drop(segments.pop()),
                part => segments.push(part),
            }
        }
        if !names().any(|name| name == segments.join("/")) {
            return None;
        }
        let address = Address::path(std::iter::once("docs").chain(segments));
        Some(if fragment.is_empty() {
            address
        } else {
            address.at(fragment)
        })
    }
}

/// Returns the anchor of a heading, as GitHub generates it.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;

    const NOW: Timestamp = Timestamp(1_795_000_000);

    fn of(name: &str) -> Option<String> {
        let segments: Vec<String> = std::iter::once("docs")
            .chain(name.split('/'))
            .map(str::to_owned)
            .collect();
        page(NOW, &Arc::from(""), &segments)
    }

    #[test]
    fn status_page_serves_a_document_for_every_finding() {
        for code in Code::ALL {
            let page = of(&format!("findings/{code}")).unwrap_or_else(|| panic!("{code}"));
            assert!(
                page.contains(&format!("<h1 id=\"{code}\">{code}</h1>")),
                "{code}"
            );
        }
        assert_eq!(names().count(), Code::ALL.len() + 3);
        assert!(of("alerts").is_some_and(|page| page.contains("id=\"certvigilexpired\"")));
        assert_eq!(of("findings/none"), None);
        assert_eq!(of("../Cargo.toml"), None);
    }

    #[test]
    fn links_between_embedded_documents_resolve() {
        let ids_of = |page: &str, id: &str| page.contains(&format!("id=\"{id}\""));
        let mut count = 0;
        for name in names() {
            let page = of(name).unwrap();
            let (_, main) = page.split_once("<main").unwrap();
            let (main, _) = main.split_once("</main>").unwrap();
            for part in main.split("href=\"").skip(1) {
                let (link, _) = part.split_once('"').unwrap();
                if link.starts_with("https://") || link == "/" {
                    continue;
                }
                count += 1;
                let (path, id) = link.split_once('#').unwrap_or((link, ""));
                let there = match path.strip_prefix("/docs/") {
                    Some(path) => of(path).unwrap_or_else(|| panic!("{name}: {link}")),
                    None => page.clone(),
                };
                assert!(id.is_empty() || ids_of(&there, id), "{name}: {link}");
            }
        }
        assert!(count > 60, "{count}");
    }

    #[test]
    fn markdown_is_converted_to_html() {
        let mut html = Html::default();
        let text = "# A `b`\n\ntext **bold** [to](https://x.example/) [gone](chain.md)\n\n```sh\na <b>\n```\n\n| a | b |\n| - | - |\n| 1 | `2` |\n";
        Writer { name: "errors" }.write(&mut html, text);
        insta::assert_snapshot!(html.finish(), @r#"
        <h1 id="a-">A <code>b</code></h1><p>text <strong>bold</strong> <a href="https://x.example/">to</a> <span>gone</span></p><pre tabindex="0">a &lt;b&gt;
        </pre><table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead><tr><td>1</td><td><code>2</code></td></tr></table>
        "#);
    }
}
