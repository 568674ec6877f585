//! The results of the last day as a narrow image.

use super::super::snapshot::{EndpointResult, PERIODS, Period, RecentDay};
use super::html::Html;
use super::view::{Endpoint, View};

/// Height of the image.
const HEIGHT: u32 = 12;

/// Returns the results of the last day of these endpoints, each from every vantage.
fn day<'e>(view: &View, endpoints: impl Iterator<Item = &'e Endpoint<'e>>) -> RecentDay {
    let mut day = RecentDay::default();
    for result in endpoints.flat_map(|endpoint| &endpoint.results) {
        let EndpointResult { recent, judged, .. } = result.last;
        let interval = judged.notes.interval.unwrap_or(view.monitor.interval);
        let is_stale = result.last.is_stale(view.now, view.monitor.interval);
        let current = (!is_stale).then(|| judged.severity());
        day.add(*recent, view.now, interval, current);
    }
    day
}

/// Consecutive periods with the same result.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    period: Period,
    from: u32,
    length: u32,
}

fn runs(day: &RecentDay) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (from, period) in (0..PERIODS).zip(day.periods()) {
        match runs.last_mut() {
            Some(run) if run.period == period => run.length += 1,
            _ => runs.push(Run {
                period,
                from,
                length: 1,
            }),
        }
    }
    runs
}

/// Returns the same as text: the half hours of each result, and the present one.
fn describe(runs: &[Run]) -> String {
    let all = [
        (Period::Critical, "critical"),
        (Period::Unknown, "unknown"),
        (Period::Warning, "warning"),
        (Period::Ok, "ok"),
        (Period::NotKnown, "without a complete result"),
    ];
    let parts = all.iter().filter_map(|(period, word)| {
        let of_it = runs.iter().filter(|run| run.period == *period);
        let count: u32 = of_it.map(|run| run.length).sum();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let parts: Vec<String> = parts.collect();
    format!("Last 24 hours, {PERIODS} half hours: {}", parts.join(", "))
}

/// Writes the image. A fault is taller than ok, and a time without a result is a thin line, so that
/// they can be distinguished without colours.
pub(super) fn write<'e>(
    html: &mut Html,
    view: &View,
    endpoints: impl Iterator<Item = &'e Endpoint<'e>>,
) {
    draw(html, &day(view, endpoints));
}

fn draw(html: &mut Html, day: &RecentDay) {
    let runs = runs(day);
    let view_box = format!("0 0 {PERIODS} {HEIGHT}");
    let svg = [
        ("class", "recent"),
        ("viewBox", &*view_box),
        ("preserveAspectRatio", "none"),
        ("role", "img"),
    ];
    html.element("svg", &svg, |html| {
        html.line("title", &[], &describe(&runs));
        for run in &runs {
            let (class, height) = match run.period {
                Period::NotKnown => ("recent-none", 2),
                Period::Ok => ("recent-ok", 6),
                Period::Warning => ("recent-warning", 9),
                Period::Unknown => ("recent-unknown", 9),
                Period::Critical => ("recent-critical", HEIGHT),
            };
            let (x, width) = (run.from.to_string(), run.length.to_string());
            let (y, height) = ((HEIGHT - height).to_string(), height.to_string());
            let rect = [
                ("class", class),
                ("x", &*x),
                ("width", &*width),
                ("y", &*y),
                ("height", &*height),
            ];
            html.element("rect", &rect, |_| {});
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::finding::Severity;
    use crate::model::Timestamp;
    use crate::serve::snapshot::Recent;

    #[test]
    fn image_shows_each_result_and_the_time_without_one() {
        let now = Timestamp(1_795_000_000);
        let at = |minutes: i64| Timestamp(now.0 - minutes * 60);
        let mut recent = Recent::default();
        for (minutes, severity) in [
            (200, Severity::Ok),
            (170, Severity::Critical),
            (140, Severity::Warning),
            (50, Severity::Ok),
            (5, Severity::Ok),
        ] {
            recent = recent.with(at(minutes), severity);
        }
        let mut day = RecentDay::default();
        day.add(recent, now, Duration::from_secs(300), Some(Severity::Ok));
        let mut html = Html::default();
        draw(&mut html, &day);
        insta::assert_snapshot!(html.finish().replace("></rect><", ">\n<"), @r#"
        <svg class="recent" viewBox="0 0 48 12" preserveAspectRatio="none" role="img"><title>Last 24 hours, 48 half hours: 1 critical, 1 warning, 3 ok, 43 without a complete result</title><rect class="recent-none" x="0" width="40" y="10" height="2">
        <rect class="recent-ok" x="40" width="1" y="6" height="6">
        <rect class="recent-critical" x="41" width="1" y="0" height="12">
        <rect class="recent-warning" x="42" width="1" y="3" height="9">
        <rect class="recent-none" x="43" width="2" y="10" height="2">
        <rect class="recent-ok" x="45" width="1" y="6" height="6">
        <rect class="recent-none" x="46" width="1" y="10" height="2">
        <rect class="recent-ok" x="47" width="1" y="6" height="6">
        </svg>
        "#);
    }
}
