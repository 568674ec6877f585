//! How the sources and the monitor itself are.

use crate::finding::Severity;
use crate::model::Timestamp;

use super::faults;
use super::frame::{badge, counted, facts, moment, span, table, time};
use super::html::Html;
use super::view::{Monitor, Source, View};

/// Sources that are shown; those in trouble come first.
const MAX_SOURCES: usize = 25;

/// What is wrong with the monitor or with what it goes by.
pub(super) fn notices(html: &mut Html, view: &View, sources: &[Source<'_>]) {
    let now = view.now;
    for source in sources
        .iter()
        .filter(|s| s.trouble.is_some())
        .take(MAX_SOURCES)
    {
        let Some(trouble) = source.trouble else {
            continue;
        };
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                html.line(
                    "strong",
                    &[],
                    &format!(" The source {} does not answer", source.name),
                );
                html.text(" since ");
                time(html, trouble.since, now);
                html.text(". ");
                match source.last_success {
                    Some(at) => {
                        html.text(
                            "What it said last goes on being expected; the oldest of it is of ",
                        );
                        time(html, at, now);
                        html.text(".");
                    }
                    None => html.text(
                        "It has never said what is expected, so nothing of it can be judged.",
                    ),
                }
            });
            faults::message(html, &trouble.error);
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
                html.text(". It is asked less often until it answers; probes from here go on. certvigil's log has the reason.");
            });
        });
    }
    if let Some(error) = &view.monitor.reload.error {
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                html.line("strong", &[], " The new configuration was refused");
                html.text("; the one of ");
                time(html, view.monitor.reload.succeeded, now);
                html.text(" is in force. Mend the file and reload it.");
            });
            faults::message(html, error);
        });
    }
    if is_late(&view.monitor) {
        html.element("div", &[("class", "notice warning")], |html| {
            html.element("p", &[], |html| {
                badge(html, Severity::Warning);
                let late = span(i64::try_from(view.monitor.lag.as_secs()).unwrap_or(i64::MAX));
                html.line("strong", &[], &format!(" Looks are {late} late"));
                html.text(": there are more than fit into the interval. Raise the interval or --concurrency.");
            });
        });
    }
}

/// Whether the monitor falls behind by a whole interval.
fn is_late(monitor: &Monitor) -> bool {
    monitor.lag > monitor.interval
}

/// The sources, those in trouble first.
pub(super) fn sources(html: &mut Html, now: Timestamp, sources: &[Source<'_>]) {
    if sources.is_empty() {
        return html.line(
            "p",
            &[],
            "Nobody has to be asked: all that is expected stands in the configuration.",
        );
    }
    let columns = [
        "Source",
        "State",
        "Certificates",
        "Last answer",
        "What is wrong",
    ];
    let caption = match sources.len() {
        n if n > MAX_SOURCES => format!("{MAX_SOURCES} of {n} sources, those in trouble first"),
        n => counted(n, "source"),
    };
    table(html, &caption, &columns, |rows| {
        for source in sources.iter().take(MAX_SOURCES) {
            rows.row("", |cells| {
                cells.head(|html| html.text(&source.name));
                cells.cell(|html| match source.trouble {
                    Some(_) => badge(html, Severity::Warning),
                    None if source.was_asked => badge(html, Severity::Ok),
                    None => html.text("not asked yet"),
                });
                cells.cell(|html| html.text(&source.certificates.to_string()));
                cells.cell(|html| match source.last_success {
                    Some(at) => time(html, at, now),
                    None => html.text("none yet"),
                });
                cells.cell(|html| match source.trouble {
                    Some(trouble) => {
                        html.text("Since ");
                        moment(html, trouble.since);
                        html.text(": ");
                        html.prose(&faults::sentence(&trouble.error));
                    }
                    None => html.text("nothing"),
                });
            });
        }
    });
}

/// What the monitor says of itself.
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
            "yes, everything has been looked at"
        } else {
            "no: not everything has been looked at yet"
        };
        facts.text("Ready", ready);
        facts.text(
            "Looks",
            &format!("every {}; {under_way} under way", seconds(interval)),
        );
        let cycle = cycle
            .as_ref()
            .map_or_else(|| "not yet".to_owned(), |c| format!("in {}", seconds(c)));
        facts.text("Everything was looked at once", &cycle);
        let late = match is_late(&view.monitor) {
            true => format!("{}: more than fits into the interval", seconds(lag)),
            false => "no".into(),
        };
        facts.text("Late", &late);
        facts.fact("Configuration", |html| {
            html.text("of ");
            time(html, reload.succeeded, view.now);
            html.text(match reload.error {
                Some(_) => "; a newer one was refused, see above",
                None => "",
            });
        });
        facts.text(
            "History",
            match view.state {
                Some(_) => "kept in the folder of --state-dir",
                None => "not kept: start certvigil with --state-dir to know who switched when, over a restart too",
            },
        );
    });
}
