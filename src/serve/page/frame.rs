//! What all pages have in common: the document around them, and how times, severities and tables are written.

use crate::finding::Severity;
use crate::model::Timestamp;

use super::assets;
use super::html::{Address, Html};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A page before it is a document.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// The worst that it tells of; it gives the tab its icon.
    pub(super) severity: Severity,
    /// Whether it is worth reading again after a while.
    pub(super) is_live: bool,
    pub(super) now: Timestamp,
}

impl Page<'_> {
    /// The whole document.
    pub(super) fn document(&self, main: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
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
        // The other one is for a page that cannot be refreshed, of which nobody knows whether it is still true.
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
                        (Address::path(["docs", "findings"]), "Findings"),
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
                    // Without the script there is nothing to stop, and the button stays hidden.
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
        // What changes by itself is said to those who do not see it.
        html.element(
            "div",
            &[("id", "announce"), ("role", "status"), ("class", "unseen")],
            |_| {},
        );
    }
}

/// A point in time, absolute alone.
pub(super) fn moment(html: &mut Html, at: Timestamp) {
    let text = at.to_string();
    let short = text.get(..16).unwrap_or(&text).replace('T', " ");
    html.line("time", &[("datetime", &text)], &format!("{short} UTC"));
}

/// A point in time, absolute and as people count.
pub(super) fn time(html: &mut Html, at: Timestamp, now: Timestamp) {
    moment(html, at);
    html.text(" ");
    html.line(
        "span",
        &[("class", "relative")],
        &format!("({})", relative(at, now)),
    );
}

/// `3 minutes ago`, `in 27 days`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.seconds_since(now);
    match seconds {
        0 => "now".into(),
        1.. => format!("in {}", span(seconds)),
        _ => format!("{} ago", span(seconds.saturating_neg())),
    }
}

/// A length of time in its greatest unit; two of a unit at least, so that no half is lost.
pub(super) fn span(seconds: i64) -> String {
    let (count, unit) = match seconds {
        s if s >= 2 * DAY => (s / DAY, "day"),
        s if s >= 2 * HOUR => (s / HOUR, "hour"),
        s if s >= 2 * MINUTE => (s / MINUTE, "minute"),
        s => (s, "second"),
    };
    counted(usize::try_from(count).unwrap_or(usize::MAX), unit)
}

/// `1 address`, `3 addresses`.
pub(super) fn counted(count: usize, unit: &str) -> String {
    let end = match unit {
        _ if count == 1 => "",
        unit if unit.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {unit}{end}")
}

/// A severity as a word with its sign; the colour says nothing that they do not.
pub(super) fn badge(html: &mut Html, severity: Severity) {
    html.element("span", &[("class", &format!("badge {severity}"))], |html| {
        html.line("span", &[("aria-hidden", "true")], sign(severity));
        html.text(" ");
        html.text(word(severity));
    });
}

/// A severity as people say it.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Unknown => "unknown",
        other => other.name(),
    }
}

fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "✓",
        Severity::Info => "i",
        Severity::Warning => "▲",
        Severity::Unknown => "?",
        Severity::Critical => "✕",
    }
}

/// A section with its heading; `id` is what links lead to.
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

/// A table. On a narrow screen its rows become blocks; the roles keep it a table there for who does not see it.
pub(super) fn table(
    html: &mut Html,
    caption: &str,
    columns: &[&str],
    rows: impl FnOnce(&mut Rows<'_>),
) {
    html.element("table", &[("role", "table")], |html| {
        html.line("caption", &[], caption);
        html.element("thead", &[("role", "rowgroup")], |html| {
            html.element("tr", &[("role", "row")], |html| {
                for column in columns {
                    html.line("th", &[("role", "columnheader"), ("scope", "col")], column);
                }
            });
        });
        html.element("tbody", &[("role", "rowgroup")], |html| {
            rows(&mut Rows { html, columns });
        });
    });
}

/// The rows of a table.
pub(super) struct Rows<'a> {
    html: &'a mut Html,
    columns: &'a [&'a str],
}

impl Rows<'_> {
    /// A row. Each of its cells has to be written, in the order of the columns.
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

/// The cells of a row.
pub(super) struct Cells<'a> {
    html: &'a mut Html,
    columns: std::slice::Iter<'a, &'a str>,
}

impl Cells<'_> {
    /// What the row is about.
    pub(super) fn head(&mut self, inside: impl FnOnce(&mut Html)) {
        let label = self.columns.next().copied().unwrap_or_default();
        let attributes = [
            ("role", "rowheader"),
            ("scope", "row"),
            ("data-label", label),
        ];
        self.html.element("th", &attributes, inside);
    }

    pub(super) fn cell(&mut self, inside: impl FnOnce(&mut Html)) {
        let label = self.columns.next().copied().unwrap_or_default();
        let attributes = [("role", "cell"), ("data-label", label)];
        self.html.element("td", &attributes, |html| {
            // One thing beside the label where the row is a block.
            html.element("div", &[], inside);
        });
    }
}

/// Terms with what there is to say of each.
pub(super) fn facts(html: &mut Html, inside: impl FnOnce(&mut Facts<'_>)) {
    html.element("dl", &[("class", "facts")], |html| inside(&mut Facts(html)));
}

/// The terms of a list.
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

    /// What is copied rather than read.
    pub(super) fn code(&mut self, term: &str, text: &str) {
        self.fact(term, |html| html.line("code", &[], text));
    }
}

/// The way back, and where one is.
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

/// Links to the other pages of a list of which one is shown.
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

/// Which part of a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: usize,
    pub(super) pages: usize,
    /// Items before those that are shown.
    pub(super) skipped: usize,
}

impl Paging {
    /// That page of so many items; the last one where there are not so many pages.
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
    fn times_are_as_people_count_them() {
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
    fn a_page_beyond_the_end_is_the_last() {
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
