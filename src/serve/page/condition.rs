//! Health of the sources and of the monitor.

use crate::finding::Severity;
use crate::model::Timestamp;

use super::super::plan::{MAX_SOURCES, Source};
use super::faults;
use super::frame::{badge, counted, facts, moment, span, table, time};
use super::html::Html;
use super::view::{Monitor, View};

/// Writes the failures of the sources, of the vantages and of the monitor itself.
pub(super) fn notices(html: &mut Html, view: &View, sources: &[Source]) {
    let now = view.now;
    for source in sources {
        let Some(failure) = &source.failure else {
            continue;
        };
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                html.line(
                    "strong",
                    &[],
                    &format!(" Source {} is unavailable", source.name),
                );
                html.text(" since ");
                time(html, failure.since, now);
                html.text(". ");
                match source.last_success {
                    Some(at) => {
                        html.text("Its last result stays in use; the oldest part is of ");
                        time(html, at, now);
                        html.text(".");
                    }
                    None => html.text("It has never responded, so its certificates are unknown."),
                }
            });
            faults::message(html, &failure.error);
        });
    }
    let vantages = view.monitor.vantages.iter();
    for vantage in vantages.filter(|vantage| vantage.is_up == Some(false)) {
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                html.line("strong", &[], &format!(" The vantage {} is down", vantage.vantage));
                if let Some(since) = vantage.failing_since {
                    html.text(" since ");
                    time(html, since, now);
                }
                html.text(". It is used less often until it responds; local probes continue. certvigil's log has the reason.");
            });
        });
    }
    if let Some(error) = &view.monitor.reload.error {
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                html.line("strong", &[], " The new configuration was rejected");
                html.text("; the one of ");
                time(html, view.monitor.reload.succeeded, now);
                html.text(" is in force. Correct the file and reload it.");
            });
            faults::message(html, error);
        });
    }
    if let Some(error) = &view.monitor.reload.file_error {
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                html.line("strong", &[], " A changed file of the configuration cannot be used");
                html.text("; its earlier content is in force. Correct the file: it is read again when it changes.");
            });
            faults::message(html, error);
        });
    }
    if is_late(&view.monitor) {
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                let late = span(i64::try_from(view.monitor.lag.as_secs()).unwrap_or(i64::MAX));
                html.line("strong", &[], &format!(" Probes are {late} late"));
                html.text("; the interval is too short. Raise it or --concurrency.");
            });
        });
    }
}

/// Returns true if the lag is longer than an interval.
fn is_late(monitor: &Monitor) -> bool {
    monitor.lag > monitor.interval
}

/// Writes the sources, failing ones first; `count` is the number of all.
pub(super) fn sources(html: &mut Html, now: Timestamp, sources: &[Source], count: usize) {
    if sources.is_empty() {
        return html.line(
            "p",
            &[],
            "No external sources: everything is in the configuration.",
        );
    }
    let columns = [
        "Source",
        "State",
        "Certificates",
        "Last response",
        "Problems",
    ];
    let caption = match count {
        n if n > MAX_SOURCES => format!("{MAX_SOURCES} of {n} sources, failing ones first"),
        n => counted(n, "source"),
    };
    table(html, &caption, &columns, |rows| {
        for source in sources {
            rows.row("", |cells| {
                cells.head(|html| html.text(&source.name));
                cells.cell(|html| match &source.failure {
                    Some(_) => badge(html, Severity::Warning),
                    None if source.was_asked => badge(html, Severity::Ok),
                    None => html.text("not queried yet"),
                });
                cells.cell(|html| html.text(&source.certificates.to_string()));
                cells.cell(|html| match source.last_success {
                    Some(at) => time(html, at, now),
                    None => html.text("none yet"),
                });
                cells.cell(|html| match &source.failure {
                    Some(failure) => {
                        html.text("Since ");
                        moment(html, failure.since);
                        html.text(": ");
                        html.prose(&faults::sentence(&failure.error));
                    }
                    None => html.text("nothing"),
                });
            });
        }
    });
}

/// Writes the state of the monitor.
pub(super) fn monitor(html: &mut Html, view: &View) {
    let Monitor {
        is_ready,
        reload,
        cycle,
        lag,
        under_way,
        uptime,
        interval,
        ..
    } = &view.monitor;
    let seconds = |d: &std::time::Duration| span(i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    facts(html, |facts| {
        facts.text("Started", &format!("{} ago", seconds(uptime)));
        let ready = if *is_ready {
            "yes, everything has been probed"
        } else {
            "no, not everything has been probed yet"
        };
        facts.text("Ready", ready);
        facts.text(
            "Probes",
            &format!("every {}; {under_way} in flight", seconds(interval)),
        );
        let cycle = cycle
            .as_ref()
            .map_or_else(|| "not yet".to_owned(), |c| format!("in {}", seconds(c)));
        facts.text("All endpoints probed", &cycle);
        let late = match is_late(&view.monitor) {
            true => format!("{}: the interval is too short", seconds(lag)),
            false => "no".into(),
        };
        facts.text("Late", &late);
        facts.fact("Configuration", |html| {
            html.text("of ");
            time(html, reload.succeeded, view.now);
            html.text(match reload.error {
                Some(_) => "; a newer one was rejected, see above",
                None => "",
            });
        });
        facts.text(
            "History",
            match view.state {
                Some(_) => "stored in the directory of --state-dir",
                None => {
                    "not stored: start certvigil with --state-dir to keep changes across restarts"
                }
            },
        );
    });
}
