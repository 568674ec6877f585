//! `/`: the overview, with faults first, then all certificates and addresses.

use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::model::Timestamp;

use super::condition;
use super::faults::{self, Fault, Scope};
use super::filter::{Filter, Wanted};
use super::form;
use super::frame::{Page, Paging, badge, counted, pager, relative, section, table, time, word};
use super::headline::Headline;
use super::html::{Address, Html};
use super::served;
use super::timeline::{self, Lifetime};
use super::view::{Certificate, Endpoint, View, certificate_address};

/// Maximum addresses on a page.
const ADDRESSES_PER_PAGE: usize = 50;
/// Maximum certificates on a page.
const CERTIFICATES_PER_PAGE: usize = 25;

pub(super) fn page(view: &View, filter: &Filter) -> String {
    let endpoints = view.endpoints();
    let certificates = view.certificates(&endpoints);
    let headline = Headline::of(view, &endpoints);
    let sources = view.sources();
    let all = endpoints.len();
    let severities: Vec<Severity> = endpoints.iter().map(|e| e.severity).collect();
    let shown: Vec<Endpoint<'_>> = endpoints.into_iter().filter(|e| filter.takes(e)).collect();
    let page = Page {
        title: &headline.title,
        severity: headline.severity,
        is_live: true,
        now: view.now,
        base: &view.base,
    };
    page.document(|html| {
        html.element(
            "div",
            &[("class", &format!("headline {}", headline.severity))],
            |html| {
                html.line("h1", &[("id", "headline")], &headline.title);
                html.line("p", &[], &headline.rest);
                counts(html, &severities);
            },
        );
        condition::notices(html, view, &sources);
        form::write(html, filter, &certificates);
        if filter.is_active() {
            let text = format!(
                "{} of {} match the filter. ",
                shown.len(),
                counted(all, "address")
            );
            html.element("p", &[("class", "filtered")], |html| {
                html.text(&text);
                html.link(&Address::front(), "Clear the filter");
            });
        }
        wrong(html, view, filter, &shown, all);
        section(html, "certificates", "Certificates", |html| {
            certificate_list(html, view, filter, &certificates, &shown);
        });
        section(html, "addresses", "Addresses", |html| {
            addresses(html, view.now, filter, &shown, all);
        });
        section(html, "sources", "Sources", |html| {
            condition::sources(html, view.now, &sources)
        });
        section(html, "monitor", "Monitor", |html| {
            condition::monitor(html, view)
        });
    })
}

/// Writes the number of addresses of each severity, as links to the filter.
fn counts(html: &mut Html, severities: &[Severity]) {
    html.element("p", &[("class", "counts")], |html| {
        let all = [
            Severity::Critical,
            Severity::Unknown,
            Severity::Warning,
            Severity::Info,
            Severity::Ok,
        ];
        for severity in all {
            let count = severities.iter().filter(|s| **s == severity).count();
            if count > 0 {
                let filter = Filter {
                    wanted: Wanted::One(severity),
                    ..Filter::default()
                };
                html.link(&filter.address(), &format!("{count} {}", word(severity)));
                html.text(" ");
            }
        }
    });
}

fn wrong(html: &mut Html, view: &View, filter: &Filter, shown: &[Endpoint<'_>], all: usize) {
    let found = faults::faults(shown);
    if all > 0 {
        section(html, "wrong", "Problems", |html| {
            match (found.is_empty(), filter.is_active()) {
                (true, true) => {
                    html.line("p", &[], "None match the filter.");
                }
                (true, false) => html.line("p", &[], "None."),
                (false, _) => {
                    faults::write(html, &found, Scope::Everything, view.now, addresses_with)
                }
            }
        });
    }
    let notes = faults::notes(shown);
    if !notes.is_empty() {
        html.element("details", &[("class", "notes"), ("id", "notes")], |html| {
            let text = format!(
                "Information, no fix needed: {}",
                counted(notes.len(), "thing")
            );
            html.line("summary", &[], &text);
            html.line("h2", &[("class", "unseen")], "Information");
            faults::write(html, &notes, Scope::Everything, view.now, addresses_with);
        });
    }
}

/// Returns the address of the overview with all endpoints that have a fault.
pub(super) fn addresses_with(fault: &Fault<'_>) -> Address {
    let filter = Filter {
        text: fault.about.name().to_owned(),
        certificate: match fault.certificates.as_slice() {
            [certificate] => (*certificate).to_owned(),
            _ => String::new(),
        },
        ..Filter::default()
    };
    filter.address().at("addresses")
}

fn certificate_list(
    html: &mut Html,
    view: &View,
    filter: &Filter,
    certificates: &[Certificate<'_>],
    shown: &[Endpoint<'_>],
) {
    let with_addresses: BTreeSet<&str> = shown.iter().map(|e| &*e.target.certificate).collect();
    let list: Vec<&Certificate<'_>> = certificates
        .iter()
        .filter(|c| {
            with_addresses.contains(c.name)
                || (c.endpoints.is_empty()
                    && filter.takes_certificate(c.name)
                    && filter.takes_severity(c.severity()))
        })
        .collect();
    if list.is_empty() {
        let text = match certificates.is_empty() {
            true if view.monitor.is_ready => "The sources have no certificates.",
            true => "No source has responded yet.",
            false => "None match the filter.",
        };
        return html.line("p", &[], text);
    }
    let paging = Paging::new(list.len(), CERTIFICATES_PER_PAGE, filter.certificates_page);
    let caption = match paging.pages {
        1 => format!("{}, most severe first", counted(list.len(), "certificate")),
        _ => format!(
            "{} of {}, most severe first",
            CERTIFICATES_PER_PAGE.min(list.len()),
            counted(list.len(), "certificate")
        ),
    };
    let columns = [
        "Certificate",
        "State",
        "Addresses that are ok",
        "Expires",
        "Rollout",
    ];
    table(html, &caption, &columns, |rows| {
        for certificate in list.iter().skip(paging.skipped).take(CERTIFICATES_PER_PAGE) {
            rows.row("", |cells| {
                cells.head(|html| html.link(&certificate.address(), certificate.name));
                cells.cell(|html| badge(html, certificate.severity()));
                cells.cell(|html| html.text(&ok_of(certificate)));
                cells.cell(|html| expiry(html, certificate, view.now));
                cells.cell(|html| progress(html, certificate));
            });
        }
    });
    pager(html, "certificates", paging, |page| {
        Filter {
            certificates_page: page,
            ..filter.clone()
        }
        .address()
        .at("certificates")
    });
}

fn ok_of(certificate: &Certificate<'_>) -> String {
    match (certificate.endpoints.len(), certificate.targets) {
        (0, 0) => "no hosts".into(),
        (0, _) => "not probed yet".into(),
        (all, _) => format!("{} of {all}", certificate.ok_count()),
    }
}

fn expiry(html: &mut Html, certificate: &Certificate<'_>, now: Timestamp) {
    if let Some(read) = certificate.first_to_expire() {
        let entry = &certificate.watch.entry;
        let lifetime = Lifetime::of(read, entry.warn, entry.crit);
        return timeline::end(html, read, lifetime.as_ref(), now);
    }
    match certificate.instance().map(|instance| instance.leaf.facts()) {
        Some(Ok(read)) => {
            let entry = &certificate.watch.entry;
            let lifetime = Lifetime::of(read, entry.warn, entry.crit);
            timeline::end(html, read, lifetime.as_ref(), now);
        }
        Some(Err(_)) => html.text("unreadable"),
        None if certificate.kept.is_err() => html.text("not known"),
        None => html.text("not probed yet"),
    }
}

fn progress(html: &mut Html, certificate: &Certificate<'_>) {
    match certificate.rollout() {
        Some(rollout) if !rollout.is_complete() => {
            html.text(&format!(
                "{} of {} addresses",
                rollout.new.len(),
                rollout.total()
            ));
        }
        Some(_) => html.text("complete"),
        None => html.text("none"),
    }
}

fn addresses(html: &mut Html, now: Timestamp, filter: &Filter, shown: &[Endpoint<'_>], all: usize) {
    if shown.is_empty() {
        let text = if all == 0 {
            "None has been probed yet."
        } else {
            "None match the filter."
        };
        return html.line("p", &[], text);
    }
    let paging = Paging::new(shown.len(), ADDRESSES_PER_PAGE, filter.page);
    let caption = match paging.pages {
        1 => format!("{}, most severe first", counted(shown.len(), "address")),
        _ => format!(
            "Addresses {} to {} of {}, most severe first",
            paging.skipped + 1,
            (paging.skipped + ADDRESSES_PER_PAGE).min(shown.len()),
            shown.len()
        ),
    };
    let part: Vec<&Endpoint<'_>> = shown
        .iter()
        .skip(paging.skipped)
        .take(ADDRESSES_PER_PAGE)
        .collect();
    address_table(html, &caption, &part, now, true);
    pager(html, "addresses", paging, |page| {
        Filter {
            page,
            ..filter.clone()
        }
        .address()
        .at("addresses")
    });
}

/// Writes a table with a row for each endpoint.
pub(super) fn address_table(
    html: &mut Html,
    caption: &str,
    endpoints: &[&Endpoint<'_>],
    now: Timestamp,
    with_certificate: bool,
) {
    let mut columns = vec!["Host and address", "State", "Result", "Last probe"];
    if with_certificate {
        columns.push("Certificate");
    }
    table(html, caption, &columns, |rows| {
        for endpoint in endpoints {
            rows.row("", |cells| {
                cells.head(|html| {
                    let host = endpoint.target.hostname.to_string();
                    html.link(&endpoint.address(), &format!("{host} {}", endpoint.place()));
                });
                cells.cell(|html| badge(html, endpoint.severity));
                cells.cell(|html| {
                    if let Some(at) = endpoint.stale {
                        html.line("strong", &[], &stale_text(at, now));
                        html.text(": ");
                    }
                    seen(html, endpoint, now);
                });
                cells.cell(|html| {
                    if let Some(result) = endpoint.results.first() {
                        html.element("span", &[("class", "relative")], |html| {
                            time(html, result.at, now)
                        });
                    }
                });
                if with_certificate {
                    let name = &endpoint.target.certificate;
                    cells.cell(|html| html.link(&certificate_address(name), name));
                }
            });
        }
    });
}

/// Returns a text with the age of a stale result.
pub(super) fn stale_text(at: Timestamp, now: Timestamp) -> String {
    format!("stale, of {}", relative(at, now))
}

/// Writes a short result of an endpoint, by vantage if their results differ.
fn seen(html: &mut Html, endpoint: &Endpoint<'_>, now: Timestamp) {
    let distinct_results = endpoint.distinct_results();
    match distinct_results.as_slice() {
        [(result, _)] => html.text(&served::describe(result, now)),
        _ => html.element("ul", &[("class", "plain")], |html| {
            for (result, vantages) in &distinct_results {
                let vantages: Vec<&str> = vantages.iter().map(|v| faults::from(v)).collect();
                let words = served::describe(result, now);
                html.line(
                    "li",
                    &[],
                    &format!("from {}: {words}", vantages.join(" and ")),
                );
            }
        }),
    }
}
