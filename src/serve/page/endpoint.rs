//! The page of an endpoint: the result of each vantage, including the served chain.

use std::rc::Rc;

use crate::model::Timestamp;
use crate::observation::Outcome;

use super::super::snapshot::Since;
use super::clients;
use super::faults::{About, message, sentence, write_hint};
use super::frame::{Page, badge, crumbs, facts, section, span, time};
use super::history::History;
use super::html::{Address, Html};
use super::overview::stale_text;
use super::recent;
use super::served;
use super::view::{Endpoint, VantageResult, View, certificate_address};

/// Returns the page; `others` are all endpoints of the same host and port.
pub(super) fn page(view: &View, endpoint: &Endpoint<'_>, others: &[Rc<Endpoint<'_>>]) -> String {
    let target = endpoint.target;
    let title = format!("{} at {}", target.hostname, endpoint.place());
    let page = Page {
        title: &title,
        severity: endpoint.severity,
        is_live: true,
        now: view.now,
        base: &view.base,
    };
    let history = History::read(view, &target.hostname.to_string());
    page.document(|html| {
        crumbs(
            html,
            &[
                (Address::front(), "Overview"),
                (
                    certificate_address(&target.certificate),
                    &target.certificate,
                ),
            ],
        );
        html.element(
            "div",
            &[("class", &format!("headline {}", endpoint.severity))],
            |html| {
                html.line("h1", &[("id", "headline")], &title);
                html.element("p", &[("class", "state")], |html| {
                    badge(html, endpoint.severity);
                    html.text(&format!(" over {} ", target.protocol.name()));
                    recent::write(html, view, std::iter::once(endpoint));
                });
                if let Some(at) = endpoint.stale {
                    let words = stale_text(at, view.now);
                    let interval = view.monitor.interval.as_secs();
                    let interval = span(i64::try_from(interval).unwrap_or(i64::MAX));
                    html.line(
                        "p",
                        &[],
                        &format!("This result is {words}: older than two intervals of {interval}. What is served now is not known."),
                    );
                }
            },
        );
        section(html, "results", "Result", |html| {
            html.element("div", &[("class", "vantages")], |html| {
                for result in &endpoint.results {
                    html.element("article", &[("class", "vantage")], |html| {
                        vantage_result(html, view, result, history.since(endpoint, result));
                    });
                }
            });
        });
        section(html, "verdict", "Verdict", |html| {
            served::verdicts(html, &endpoint.results);
        });
        clients::matrix(html, endpoint, others);
        for result in &endpoint.results {
            served::difference(html, result);
        }
        if let Some((result, served)) = endpoint.results.iter().find_map(|l| Some((l, l.served()?))) {
            section(html, "chain", "Served chain", |html| {
                served::chain(html, served, result.judged.expected.as_deref(), view.now);
            });
        }
        let is_own = |result: &&VantageResult<'_>| result.judged.observation.vantage.is_local();
        if let Some(result) = endpoint.results.iter().find(is_own) {
            section(html, "handshake", "Local handshake", |html| {
                served::handshake(html, result);
            });
        }
        section(html, "history", "Changes", |html| {
            history.of_endpoint(html, view, endpoint);
        });
    })
}

fn vantage_result(html: &mut Html, view: &View, result: &VantageResult<'_>, since: Since) {
    let name = match result.judged.observation.vantage.is_local() {
        true => "Local".to_owned(),
        false => format!("From {}", result.vantage()),
    };
    html.line("h3", &[], &name);
    html.element("p", &[], |html| {
        badge(html, result.judged.severity());
        html.text(" ");
        html.prose(&sentence(&served::describe(result, view.now)));
    });
    findings(html, result, view.now);
    facts(html, |list| {
        list.fact("Last probe", |html| time(html, result.at, view.now));
        let key = match (&result.judged.observation.outcome, since.is_change) {
            (Outcome::Served(_), true) => "This certificate since",
            (Outcome::Served(_), false) => "This certificate at least since",
            (Outcome::Reported(_), true) => "This result since",
            (Outcome::Reported(_), false) => "This result at least since",
            (Outcome::Failed(_), true) => "This error since",
            (Outcome::Failed(_), false) => "This error at least since",
        };
        list.fact(key, |html| time(html, since.at, view.now));
        if let Some(next) = result.next {
            list.fact("Next probe about", |html| time(html, next, view.now));
        }
    });
}

fn findings(html: &mut Html, result: &VantageResult<'_>, now: Timestamp) {
    if let Some(error) = result.unreported_error() {
        html.element("div", &[("class", "fault unknown")], |html| {
            message(html, &error.message);
            html.element("p", &[("class", "explain")], |html| {
                let about = About::Error(error.kind);
                html.link(&about.address(), &format!("What {} means", error.kind));
            });
        });
    }
    if result.findings().is_empty() {
        return;
    }
    html.element("ul", &[("class", "findings")], |html| {
        for finding in result.findings() {
            let class = format!("fault {}", finding.severity);
            let text = finding.text();
            html.element("li", &[("class", &class)], |html| {
                html.element("p", &[("class", "message")], |html| {
                    badge(html, finding.severity);
                    html.text(" ");
                    html.prose(&sentence(&text.message));
                });
                write_hint(html, &text.hint);
                let about = About::Finding(finding.code());
                if let Some(since) = about.since(result) {
                    html.element("p", &[("class", "explain")], |html| {
                        html.text(match since.is_change {
                            true => "Since ",
                            false => "At least since ",
                        });
                        time(html, since.at, now);
                    });
                }
                html.element("p", &[("class", "explain")], |html| {
                    html.link(
                        &about.address(),
                        &format!("What {} means, and how to fix it", finding.code()),
                    );
                });
            });
        }
    });
}
