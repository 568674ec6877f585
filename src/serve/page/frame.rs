//! Common parts of all pages: the document, times, severities and tables.

use std::sync::Arc;

use crate::finding::Severity;
use crate::model::Timestamp;

use super::assets;
use super::html::{Address, Html};
use super::sort::Column;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Page, from which a document is written.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// Highest severity on the page, which determines the icon.
    pub(super) severity: Severity,
    /// True if the page refreshes itself.
    pub(super) is_live: bool,
    pub(super) now: Timestamp,
    /// Path under which a proxy serves the pages.
    pub(super) base: &'a Arc<str>,
}

impl Page<'_> {
    /// Returns the whole document.
    pub(super) fn document(&self, main: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::under(self.base);
        html.doctype();
        html.element("html", &[("lang", "en")], |html| {
            html.element("head", &[], |html| self.head(html));
            html.element("body", &[], |html| self.body(html, main));
        });
        html.finish()
    }

    fn head(&self, html: &mut Html) {
        html.void("meta", &[("charset", "utf-8")]);
        let viewport = "width=device-width, initial-scale=1";
        html.void("meta", &[("name", "viewport"), ("content", viewport)]);
        html.void(
            "meta",
            &[("name", "color-scheme"), ("content", "light dark")],
        );
        html.line("title", &[], &format!("{} · certvigil", self.title));
        // The script shows the second icon when the page cannot be refreshed, because its state is
        // then unknown.
        let old = assets::icon(self.severity.max(Severity::Unknown)).path();
        let icon = assets::icon(self.severity).path();
        html.void(
            "link",
            &[("rel", "icon"), ("href", icon), ("data-stale", old)],
        );
        let style = assets::style().path();
        html.void("link", &[("rel", "stylesheet"), ("href", style)]);
        let script = assets::script();
        html.element("script", &[("src", script.path()), ("defer", "")], |_| {});
    }

    fn body(&self, html: &mut Html, main: impl FnOnce(&mut Html)) {
        html.line(
            "a",
            &[("class", "skip"), ("href", "#main")],
            "Skip to content",
        );
        html.element("header", &[("class", "site")], |html| {
            html.line("a", &[("class", "brand"), ("href", "/")], "certvigil");
            html.element("nav", &[("aria-label", "Pages")], |html| {
                html.element("ul", &[], |html| {
                    for (to, text) in [
                        (Address::front(), "Overview"),
                        (Address::front().at("sources"), "Sources"),
                        (Address::path(["docs", "findings"]), "Help"),
                        (Address::path(["metrics"]), "Metrics"),
                    ] {
                        html.element("li", &[], |html| html.link(&to, text));
                    }
                });
            });
        });
        let live = if self.is_live { "yes" } else { "no" };
        html.element(
            "main",
            &[("id", "main"), ("tabindex", "-1"), ("data-live", live)],
            main,
        );
        html.element("footer", &[("class", "site")], |html| {
            html.element("p", &[], |html| {
                html.text("As of ");
                moment(html, self.now);
                html.text(". ");
                if self.is_live {
                    // Only the script refreshes the page, and it also shows the button.
                    let pause = [
                        ("type", "button"),
                        ("id", "pause"),
                        ("hidden", ""),
                        ("aria-pressed", "false"),
                    ];
                    html.line("button", &pause, "Pause refreshing");
                }
            });
            html.line(
                "p",
                &[],
                &format!("certvigil {}", env!("CARGO_PKG_VERSION")),
            );
        });
        // Live region: screen readers announce changes of the page.
        html.element(
            "div",
            &[("id", "announce"), ("role", "status"), ("class", "unseen")],
            |_| {},
        );
    }
}

/// Writes a time in absolute form.
pub(super) fn moment(html: &mut Html, at: Timestamp) {
    let text = at.to_string();
    let short = text.get(..16).unwrap_or(&text).replace('T', " ");
    html.line("time", &[("datetime", &text)], &format!("{short} UTC"));
}

/// Writes a time in absolute and relative form.
pub(super) fn time(html: &mut Html, at: Timestamp, now: Timestamp) {
    moment(html, at);
    html.text(" ");
    html.line(
        "span",
        &[("class", "relative")],
        &format!("({})", relative(at, now)),
    );
}

/// Returns a relative time: `3 minutes ago`, `in 27 days`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.seconds_since(now);
    match seconds {
        0 => "now".into(),
        1.. => format!("in {}", span(seconds)),
        _ => format!("{} ago", span(seconds.saturating_neg())),
    }
}

/// Returns a duration in its largest unit of which it has at least two, so that rounding loses less
/// than half of it.
pub(super) fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        s if s >= 2 * DAY => (s / DAY, "day"),
        s if s >= 2 * HOUR => (s / HOUR, "hour"),
        s if s >= 2 * MINUTE => (s / MINUTE, "minute"),
        s => (s, "second"),
    };
    counted(usize::try_from(count).unwrap_or(usize::MAX), unit)
}

/// Returns a count with its unit: `1 address`, `3 addresses`.
pub(super) fn counted(count: usize, unit: &str) -> String {
    let end = match unit {
        _ if count == 1 => "",
        unit if unit.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {unit}{end}")
}

/// Writes a severity as a word and a sign, which do not depend on the colour.
pub(super) fn badge(html: &mut Html, severity: Severity) {
    html.element("span", &[("class", &format!("badge {severity}"))], |html| {
        html.line("span", &[("aria-hidden", "true")], sign(severity));
        html.text(" ");
        html.text(word(severity));
    });
}

/// Returns the word for a severity.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Unknown => "unknown",
        other => other.name(),
    }
}

/// Returns the sign for a severity.
pub(super) fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "✓",
        Severity::Info => "i",
        Severity::Warning => "▲",
        Severity::Unknown => "?",
        Severity::Critical => "✕",
    }
}

/// Writes a section with its heading; `id` is the anchor for links.
pub(super) fn section(html: &mut Html, id: &str, heading: &str, inside: impl FnOnce(&mut Html)) {
    let title = format!("{id}-heading");
    html.element(
        "section",
        &[("id", id), ("aria-labelledby", &title)],
        |html| {
            html.line("h2", &[("id", &title)], heading);
            inside(html);
        },
    );
}

/// Writes a table. On a narrow screen its rows become blocks. The explicit roles keep it a table
/// for screen readers then.
pub(super) fn table(
    html: &mut Html,
    caption: &str,
    columns: &[&str],
    rows: impl FnOnce(&mut Rows<'_>),
) {
    let columns: Vec<Column<'_>> = columns.iter().map(|name| Column::from(*name)).collect();
    sorted_table(html, "", caption, &columns, rows);
}

/// Writes a table of a class, whose columns may have links that sort it.
pub(super) fn sorted_table(
    html: &mut Html,
    class: &str,
    caption: &str,
    columns: &[Column<'_>],
    rows: impl FnOnce(&mut Rows<'_>),
) {
    html.element("table", &[("role", "table"), ("class", class)], |html| {
        html.line("caption", &[], caption);
        html.element("thead", &[("role", "rowgroup")], |html| {
            html.element("tr", &[("role", "row")], |html| {
                for column in columns {
                    head(html, column);
                }
            });
        });
        html.element("tbody", &[("role", "rowgroup")], |html| {
            rows(&mut Rows { html, columns });
        });
    });
}

fn head(html: &mut Html, column: &Column<'_>) {
    let mut attributes = vec![("role", "columnheader"), ("scope", "col")];
    attributes.extend(column.direction.map(|direction| ("aria-sort", direction)));
    html.element("th", &attributes, |html| {
        let Some(link) = &column.link else {
            return html.text(column.name);
        };
        html.element("a", &[("href", link.as_str())], |html| {
            html.text(column.name);
            if let Some(direction) = column.direction {
                let sign = if direction == "ascending" {
                    " ▲"
                } else {
                    " ▼"
                };
                html.line("span", &[("aria-hidden", "true")], sign);
            }
        });
    });
}

/// Rows of a table.
pub(super) struct Rows<'a> {
    html: &'a mut Html,
    columns: &'a [Column<'a>],
}

impl Rows<'_> {
    /// Writes a row. `cells` must write every cell, in the order of the columns.
    pub(super) fn row(&mut self, class: &str, cells: impl FnOnce(&mut Cells<'_>)) {
        let columns = self.columns;
        self.html
            .element("tr", &[("role", "row"), ("class", class)], |html| {
                cells(&mut Cells {
                    html,
                    columns: columns.iter(),
                });
            });
    }
}

/// Cells of a row.
pub(super) struct Cells<'a> {
    html: &'a mut Html,
    columns: std::slice::Iter<'a, Column<'a>>,
}

impl<'a> Cells<'a> {
    fn label(&mut self) -> &'a str {
        self.columns.next().map_or("", |column| column.name)
    }

    /// Writes the header cell of the row.
    pub(super) fn head(&mut self, inside: impl FnOnce(&mut Html)) {
        let label = self.label();
        let attributes = [
            ("role", "rowheader"),
            ("scope", "row"),
            ("data-label", label),
        ];
        self.html.element("th", &attributes, inside);
    }

    pub(super) fn cell(&mut self, inside: impl FnOnce(&mut Html)) {
        let label = self.label();
        let attributes = [("role", "cell"), ("data-label", label)];
        self.html.element("td", &attributes, |html| {
            // The `div` keeps the content together beside the label if the row is a block.
            html.element("div", &[], inside);
        });
    }
}

/// Writes a folded section with its heading; `id` is the anchor of its content for links.
pub(super) fn fold(
    html: &mut Html,
    id: &str,
    heading: &str,
    is_open: bool,
    inside: impl FnOnce(&mut Html),
) {
    let fold = format!("{id}-fold");
    let mut attributes = vec![("class", "fold"), ("id", &*fold)];
    if is_open {
        attributes.push(("open", ""));
    }
    html.element("details", &attributes, |html| {
        html.element("summary", &[], |html| html.line("h2", &[], heading));
        html.element("div", &[("id", id)], inside);
    });
}

/// Writes a description list.
pub(super) fn facts(html: &mut Html, inside: impl FnOnce(&mut Facts<'_>)) {
    html.element("dl", &[("class", "facts")], |html| inside(&mut Facts(html)));
}

/// Entries of a description list.
pub(super) struct Facts<'a>(&'a mut Html);

impl Facts<'_> {
    pub(super) fn fact(&mut self, term: &str, inside: impl FnOnce(&mut Html)) {
        self.0.element("div", &[], |html| {
            html.line("dt", &[], term);
            html.element("dd", &[], inside);
        });
    }

    pub(super) fn text(&mut self, term: &str, text: &str) {
        self.fact(term, |html| html.text(text));
    }

    /// Writes an entry with a text to copy.
    pub(super) fn code(&mut self, term: &str, text: &str) {
        self.fact(term, |html| html.line("code", &[], text));
    }
}

/// Writes the breadcrumb navigation.
pub(super) fn crumbs(html: &mut Html, above: &[(Address, &str)]) {
    html.element(
        "nav",
        &[("aria-label", "Breadcrumb"), ("class", "crumbs")],
        |html| {
            html.element("ol", &[], |html| {
                for (to, text) in above {
                    html.element("li", &[], |html| html.link(to, text));
                }
            });
        },
    );
}

/// Writes links to the previous and the next page of a list.
pub(super) fn pager(
    html: &mut Html,
    what: &str,
    paging: Paging,
    address: impl Fn(usize) -> Address,
) {
    if paging.pages < 2 {
        return;
    }
    html.element(
        "nav",
        &[
            ("class", "pager"),
            ("aria-label", &format!("Pages of {what}")),
        ],
        |html| {
            if paging.page > 1 {
                html.link(&address(paging.page - 1), "← Before");
            }
            html.line(
                "span",
                &[],
                &format!("Page {} of {}", paging.page, paging.pages),
            );
            if paging.page < paging.pages {
                html.link(&address(paging.page + 1), "Next →");
            }
        },
    );
}

/// Part of a list that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: usize,
    pub(super) pages: usize,
    /// Number of items before the ones that are shown.
    pub(super) skipped: usize,
}

impl Paging {
    /// Returns the page with this number; the last one if there are fewer pages.
    pub(super) fn new(items: usize, per_page: usize, page: usize) -> Self {
        let pages = items.div_ceil(per_page).max(1);
        let page = page.clamp(1, pages);
        Self {
            page,
            pages,
            skipped: (page - 1) * per_page,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_are_shown_in_readable_units() {
        let now = Timestamp(1_795_000_000);
        let at = |seconds| relative(Timestamp(now.0 + seconds), now);
        assert_eq!(at(0), "now");
        assert_eq!(at(1), "in 1 second");
        assert_eq!(at(-119), "119 seconds ago");
        assert_eq!(at(-120), "2 minutes ago");
        assert_eq!(at(47 * HOUR), "in 47 hours");
        assert_eq!(at(27 * DAY + HOUR), "in 27 days");
        assert_eq!(
            relative(Timestamp(i64::MIN), Timestamp(i64::MAX)),
            "106751991167300 days ago"
        );
        let mut html = Html::default();
        time(&mut html, now, Timestamp(now.0 + 180));
        insta::assert_snapshot!(html.finish(), @r#"
        <time datetime="2026-11-18T11:06:40Z">2026-11-18 11:06 UTC</time> <span class="relative">(3 minutes ago)</span>
        "#);
    }

    #[test]
    fn page_number_beyond_the_end_selects_the_last_page() {
        let first = Paging {
            page: 1,
            pages: 1,
            skipped: 0,
        };
        assert_eq!(Paging::new(0, 100, 1), first);
        assert_eq!(Paging::new(100, 100, 9), first);
        assert_eq!(
            Paging::new(101, 100, 9),
            Paging {
                page: 2,
                pages: 2,
                skipped: 100
            }
        );
    }
}
