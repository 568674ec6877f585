//! The rows of faults: host, problem, age, expiry and fix of each, with folded details.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::model::{Hostname, Timestamp, Vantage};

use super::super::snapshot::Since;
use super::faults::{Fault, Variant, from, message, write_hint};
use super::frame::{Cells, badge, counted, relative, sorted_table, span};
use super::html::{Address, Html};
use super::sort::{By, Sort, part};
use super::view::certificate_address;

/// Maximum faults that are shown.
const MAX_FAULTS: usize = 40;
/// Maximum variants of one fault that are shown, each with its own message.
const MAX_VARIANTS: usize = 3;
/// Maximum hosts, and maximum certificates, that the row of a fault names.
const MAX_HOSTS: usize = 3;
/// Maximum addresses that are listed with one variant.
const MAX_OCCURRENCES: usize = 12;

/// Scope of the page. A fault does not repeat the subject of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Everything,
    Certificate,
}

/// Columns by which the faults can be sorted.
const SORTS: [By; 5] = [By::State, By::Host, By::Problem, By::Since, By::Expires];

/// Returns the faults that are shown. By default, those that clients suffer from now come first, and
/// of these and of the others the most severe.
fn shown<'f, 'a>(faults: &'f [Fault<'a>], sort: Sort) -> Vec<&'f Fault<'a>> {
    part(faults, 0, MAX_FAULTS, |a, b| {
        let urgency = |fault: &Fault<'_>| {
            let (severity, about) = (fault.severity, fault.about);
            let is_urgent = severity >= Severity::Unknown && about.is_suffered();
            let count = Reverse(fault.occurrences());
            (
                !is_urgent,
                Reverse(severity),
                !about.is_suffered(),
                about,
                count,
            )
        };
        let by_urgency = || urgency(a).cmp(&urgency(b));
        match sort.by {
            By::Host => sort.directed(a.first_host().cmp(&b.first_host())),
            By::Problem => sort.directed(a.about.meaning().cmp(b.about.meaning())),
            By::Since => sort.times(a.since().map(|s| s.at), b.since().map(|s| s.at)),
            By::Expires => sort.times(a.expiry(), b.expiry()),
            // The default, the descending state, has the most urgent first.
            _ => sort.directed(by_urgency()).reverse(),
        }
        .then_with(by_urgency)
    })
}

/// Writes the faults as a table; `resort` returns the page with another order, and `more` that with
/// all endpoints with a fault.
pub(super) fn write(
    html: &mut Html,
    faults: &[Fault<'_>],
    scope: Scope,
    now: Timestamp,
    (sort, resort): (Sort, impl Fn(Sort) -> Address),
    more: impl Fn(&Fault<'_>) -> Address,
) {
    let sort = sort.among(&SORTS);
    let columns = [
        sort.column("State", By::State, &resort),
        sort.column("Host", By::Host, &resort),
        sort.column("Problem", By::Problem, &resort),
        sort.column("Since", By::Since, &resort),
        sort.column("Expires", By::Expires, &resort),
        "Fix".into(),
    ];
    let caption = counted(faults.len(), "finding");
    sorted_table(html, "dense faults", &caption, &columns, |rows| {
        for fault in shown(faults, sort) {
            rows.row(&format!("fault {}", fault.severity), |cells| {
                write_one(cells, fault, scope, now, &more(fault));
            });
        }
    });
    let hidden = faults.len().saturating_sub(MAX_FAULTS);
    if hidden > 0 {
        let text = format!(
            "{} not shown: fix these first, or use the filter.",
            match hidden {
                1 => "1 more finding is".into(),
                more => format!("{more} more findings are"),
            }
        );
        html.line("p", &[("class", "more")], &text);
    }
}

fn write_one(
    cells: &mut Cells<'_>,
    fault: &Fault<'_>,
    scope: Scope,
    now: Timestamp,
    more: &Address,
) {
    cells.cell(|html| badge(html, fault.severity));
    cells.head(|html| {
        hosts(html, fault);
        html.element("span", &[("class", "where")], |html| {
            if scope == Scope::Everything {
                certificates(html, fault);
                html.text(", ");
            }
            html.text(&counted(fault.occurrences(), "address"));
        });
    });
    cells.cell(|html| html.line("span", &[("class", "problem")], fault.about.meaning()));
    cells.cell(|html| {
        if let Some(since) = fault.since() {
            html.line("span", &[("class", "relative")], &age(since, now));
        }
    });
    cells.cell(|html| match fault.expiry() {
        Some(expiry) => html.line("span", &[("class", "relative")], &relative(expiry, now)),
        None => html.text("not known"),
    });
    cells.cell(|html| {
        let hints = fault.variants.iter().map(|v| v.text.hint.as_str());
        let mut hints = hints.filter(|hint| !hint.is_empty());
        let first = hints.next().unwrap_or_default();
        let is_shared = hints.all(|hint| hint == first);
        if is_shared {
            write_hint(html, first);
        }
        html.element("details", &[("class", "fault-details")], |html| {
            html.line("summary", &[], "Details");
            details(html, fault, is_shared, more);
        });
    });
}

/// Returns the time since which a fault exists. A monitor does not know when a fault began that its
/// first probe found.
fn age(since: Since, now: Timestamp) -> String {
    match since.is_change {
        true => relative(since.at, now),
        false => format!("at least {} ago", span(now.seconds_since(since.at).max(0))),
    }
}

/// Writes the names of the certificates with a fault.
fn certificates(html: &mut Html, fault: &Fault<'_>) {
    for (index, certificate) in fault.certificates.iter().take(MAX_HOSTS).enumerate() {
        if index > 0 {
            html.text(", ");
        }
        html.link(&certificate_address(certificate), certificate);
    }
    let hidden = fault.certificates.len().saturating_sub(MAX_HOSTS);
    if hidden > 0 {
        html.text(&format!(" and {hidden} more"));
    }
}

/// Writes what a fault's row does not show: messages, addresses and explanation.
fn details(html: &mut Html, fault: &Fault<'_>, is_shared: bool, more: &Address) {
    for variant in fault.variants.iter().take(MAX_VARIANTS) {
        message(html, &variant.text.message);
        if !is_shared {
            write_hint(html, &variant.text.hint);
        }
        occurrences(html, variant, more);
    }
    let hidden = fault.variants.len().saturating_sub(MAX_VARIANTS);
    if hidden > 0 {
        html.element("p", &[("class", "more")], |html| {
            html.text(&format!("It causes {} more: ", counted(hidden, "way")));
            html.link(more, "all addresses with this finding");
        });
    }
    html.element("p", &[("class", "explain")], |html| {
        html.link(
            &fault.about.address(),
            &format!("What {} means, and how to fix it", fault.about.name()),
        );
    });
}

/// Writes the names of the hosts with a fault.
fn hosts(html: &mut Html, fault: &Fault<'_>) {
    let hosts: BTreeSet<&Hostname> = fault.endpoints().map(|e| &e.target.hostname).collect();
    for host in hosts.iter().take(MAX_HOSTS) {
        html.line("strong", &[("class", "host")], &host.to_string());
        html.text(" ");
    }
    let hidden = hosts.len().saturating_sub(MAX_HOSTS);
    if hidden > 0 {
        html.text(&format!("and {} ", counted(hidden, "host")));
    }
}

fn occurrences(html: &mut Html, variant: &Variant<'_>, more: &Address) {
    html.element("ul", &[("class", "places")], |html| {
        for place in variant.occurrences.iter().take(MAX_OCCURRENCES) {
            html.element("li", &[], |html| {
                let endpoint = &place.endpoint;
                let text = format!("{} at {}", endpoint.target.hostname, endpoint.place());
                html.link(&endpoint.address(), &text);
                if place.vantages != [Vantage::LOCAL] {
                    let vantages: Vec<&str> = place.vantages.iter().map(|v| from(v)).collect();
                    html.text(&format!(", from {}", vantages.join(" and ")));
                }
            });
        }
        let hidden = variant.occurrences.len().saturating_sub(MAX_OCCURRENCES);
        if hidden > 0 {
            html.element("li", &[], |html| {
                html.link(more, &format!("and at {hidden} more"))
            });
        }
    });
}
