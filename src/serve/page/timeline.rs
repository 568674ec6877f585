//! The lifetime of a certificate as an SVG image: issued, now, warning, critical, expiry.

use crate::certificate::Facts;
use crate::finding::Severity;
use crate::model::{Threshold, Timestamp};

use super::frame::{facts, moment, relative, time};
use super::html::Html;

/// Times in the life of a certificate, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) issued: Timestamp,
    pub(super) warning: Timestamp,
    pub(super) critical: Timestamp,
    pub(super) expiry: Timestamp,
}

impl Lifetime {
    /// Returns the lifetime; `None` if the expiry is before the start of validity.
    pub(super) fn of(read: &Facts, warn: Threshold, crit: Threshold) -> Option<Self> {
        let lifetime = read.lifetime();
        let before = |threshold: Threshold| {
            let ahead = threshold.seconds_of(lifetime);
            Timestamp(
                read.not_after
                    .0
                    .saturating_sub(ahead)
                    .max(read.not_before.0),
            )
        };
        let critical = before(crit);
        (lifetime > 0).then(|| Self {
            issued: read.not_before,
            warning: before(warn).min(critical),
            critical,
            expiry: read.not_after,
        })
    }

    /// Returns the position of a time on the line, in hundredths of a percent.
    fn position(&self, at: Timestamp) -> i64 {
        let whole = i128::from(self.expiry.0) - i128::from(self.issued.0);
        let part = i128::from(at.0) - i128::from(self.issued.0);
        let share = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
        i64::try_from(share.clamp(0, 10_000)).unwrap_or(0)
    }

    /// Returns the severity that follows from the remaining lifetime.
    pub(super) fn severity(&self, now: Timestamp) -> Severity {
        match now {
            now if now < self.issued || now > self.critical => Severity::Critical,
            now if now > self.warning => Severity::Warning,
            _ => Severity::Ok,
        }
    }

    fn describe(&self, now: Timestamp) -> String {
        let (issued, expiry) = (relative(self.issued, now), relative(self.expiry, now));
        if now < self.issued {
            return format!("Not valid yet: validity starts {issued}, expires {expiry}.");
        }
        if now > self.expiry {
            return format!("Issued {issued}, expired {expiry}. Clients refuse it.");
        }
        let then = match self.severity(now) {
            Severity::Critical => "Past the critical threshold.".into(),
            Severity::Warning => format!(
                "Past the warning threshold; critical {}.",
                relative(self.critical, now)
            ),
            _ => format!("Warnings start {}.", relative(self.warning, now)),
        };
        format!("Issued {issued}, expires {expiry}. {then}")
    }
}

fn percent(hundredths: i64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Writes the image, and the same as text below it.
pub(super) fn write(html: &mut Html, lifetime: &Lifetime, now: Timestamp) {
    html.element("figure", &[("class", "timeline")], |html| {
        draw(html, lifetime, now);
        html.line("figcaption", &[], &lifetime.describe(now));
    });
    facts(html, |facts| {
        facts.fact("Issued", |html| time(html, lifetime.issued, now));
        facts.fact("Warning from", |html| time(html, lifetime.warning, now));
        facts.fact("Critical from", |html| time(html, lifetime.critical, now));
        facts.fact("Expires", |html| time(html, lifetime.expiry, now));
    });
}

fn draw(html: &mut Html, lifetime: &Lifetime, now: Timestamp) {
    let label = lifetime.describe(now);
    let svg = [
        ("class", "life"),
        ("width", "100%"),
        ("height", "76"),
        ("role", "img"),
        ("aria-label", &*label),
    ];
    html.element("svg", &svg, |html| {
        let (warning, critical) = (
            lifetime.position(lifetime.warning),
            lifetime.position(lifetime.critical),
        );
        // A zone is taller the nearer it is to the expiry, so that zones can be distinguished
        // without colours.
        for (class, from, to, y, height) in [
            ("zone-ok", 0, warning, "34", "12"),
            ("zone-warning", warning, critical, "28", "18"),
            ("zone-critical", critical, 10_000, "22", "24"),
        ] {
            let (x, width) = (percent(from), percent(to - from));
            let zone = [
                ("class", class),
                ("x", &*x),
                ("width", &*width),
                ("y", y),
                ("height", height),
            ];
            html.element("rect", &zone, |_| {});
        }
        let at = lifetime.position(now);
        let x = percent(at);
        let line = [
            ("class", "now"),
            ("x1", &*x),
            ("x2", &*x),
            ("y1", "18"),
            ("y2", "52"),
        ];
        html.element("line", &line, |_| {});
        text(html, at, "13", "now", "now-label");
        let date = |at: Timestamp| at.date();
        text(html, 0, "68", &date(lifetime.issued), "");
        text(html, 10_000, "68", &date(lifetime.expiry), "");
    });
}

/// Writes a label above or below a position on the line. Near an end of the line the label is
/// aligned so that it stays within the image.
fn text(html: &mut Html, at: i64, y: &str, words: &str, class: &str) {
    let anchor = match at {
        ..600 => "start",
        9_401.. => "end",
        _ => "middle",
    };
    let x = percent(at);
    let place = [
        ("x", &*x),
        ("y", y),
        ("text-anchor", anchor),
        ("class", class),
    ];
    html.line("text", &place, words);
}

/// Writes the same as a narrow bar, which is hidden from screen readers because the text beside it
/// is complete.
pub(super) fn bar(html: &mut Html, lifetime: &Lifetime, now: Timestamp) {
    let svg = [
        ("class", "bar"),
        ("width", "100%"),
        ("height", "8"),
        ("aria-hidden", "true"),
    ];
    html.element("svg", &svg, |html| {
        let whole = [
            ("class", "bar-whole"),
            ("width", "100%"),
            ("height", "8"),
            ("rx", "2"),
        ];
        html.element("rect", &whole, |_| {});
        let gone = percent(lifetime.position(now));
        let class = format!("bar-{}", lifetime.severity(now));
        let gone = [
            ("class", &*class),
            ("width", &*gone),
            ("height", "8"),
            ("rx", "2"),
        ];
        html.element("rect", &gone, |_| {});
    });
}

/// Writes the expiry of a certificate, with its bar if the lifetime is known.
pub(super) fn end(html: &mut Html, read: &Facts, lifetime: Option<&Lifetime>, now: Timestamp) {
    html.element("div", &[("class", "expiry")], |html| {
        html.line(
            "span",
            &[("class", "strong")],
            &relative(read.not_after, now),
        );
        html.text(" ");
        html.element("span", &[("class", "relative")], |html| {
            moment(html, read.not_after)
        });
        if let Some(lifetime) = lifetime {
            bar(html, lifetime, now);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn ninety_days() -> Lifetime {
        Lifetime {
            issued: Timestamp(0),
            warning: Timestamp(68 * DAY),
            critical: Timestamp(83 * DAY),
            expiry: Timestamp(90 * DAY),
        }
    }

    #[test]
    fn certificate_lifetime_is_described_at_each_stage() {
        let life = ninety_days();
        let words = |day: i64| life.describe(Timestamp(day * DAY));
        insta::assert_snapshot!(words(30), @"Issued 30 days ago, expires in 60 days. Warnings start in 38 days.");
        insta::assert_snapshot!(words(70), @"Issued 70 days ago, expires in 20 days. Past the warning threshold; critical in 13 days.");
        insta::assert_snapshot!(words(85), @"Issued 85 days ago, expires in 5 days. Past the critical threshold.");
        insta::assert_snapshot!(words(95), @"Issued 95 days ago, expired 5 days ago. Clients refuse it.");
        insta::assert_snapshot!(words(-5), @"Not valid yet: validity starts in 5 days, expires in 95 days.");
    }

    #[test]
    fn timeline_shows_zones_and_the_current_time() {
        let mut html = Html::default();
        draw(&mut html, &ninety_days(), Timestamp(45 * DAY));
        insta::assert_snapshot!(html.finish().replace("><", ">\n<"), @r#"
        <svg class="life" width="100%" height="76" role="img" aria-label="Issued 45 days ago, expires in 45 days. Warnings start in 23 days.">
        <rect class="zone-ok" x="0.00%" width="75.55%" y="34" height="12">
        </rect>
        <rect class="zone-warning" x="75.55%" width="16.67%" y="28" height="18">
        </rect>
        <rect class="zone-critical" x="92.22%" width="7.78%" y="22" height="24">
        </rect>
        <line class="now" x1="50.00%" x2="50.00%" y1="18" y2="52">
        </line>
        <text x="50.00%" y="13" text-anchor="middle" class="now-label">now</text>
        <text x="0.00%" y="68" text-anchor="start" class="">1970-01-01</text>
        <text x="100.00%" y="68" text-anchor="end" class="">1970-04-01</text>
        </svg>
        "#);
    }

    proptest! {
        #[test]
        fn timeline_position_is_bounded_for_any_times(issued in any::<i64>(), lifetime in 1_i64.., now in any::<i64>()) {
            let expiry = Timestamp(issued.saturating_add(lifetime));
            let life = Lifetime { issued: Timestamp(issued), warning: expiry, critical: expiry, expiry };
            let at = life.position(Timestamp(now));
            prop_assert!((0..=10_000).contains(&at));
            let mut html = Html::default();
            write(&mut html, &life, Timestamp(now));
        }
    }
}
