//! The page of an endpoint: the result of each vantage, including the served chain.

use super::super::snapshot::Since;
use super::faults::{About, message, sentence, write_hint};
use super::frame::{Page, badge, crumbs, facts, section, span, time};
use super::history::History;
use super::html::{Address, Html};
use super::overview::stale_words;
use super::served;
use super::view::{Endpoint, Look, View, certificate_address};

pub(super) fn page(view: &View, endpoint: &Endpoint<'_>) -> String {
    let target = endpoint.target;
    let title = format!("{} at {}", target.hostname, endpoint.place());
    let page = Page {
        title: &title,
        severity: endpoint.severity,
        is_live: true,
        now: view.now,
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
                html.element("p", &[], |html| {
                    badge(html, endpoint.severity);
                    html.text(&format!(" over {}", target.protocol.name()));
                });
                if let Some(at) = endpoint.stale {
                    let words = stale_words(at, view.now);
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
        section(html, "looks", "Result", |html| {
            html.element("div", &[("class", "vantages")], |html| {
                for look in &endpoint.looks {
                    html.element("article", &[("class", "vantage")], |html| {
                        look_at(html, view, look, history.since(endpoint, look));
                    });
                }
            });
        });
        section(html, "verdict", "Verdict", |html| {
            served::verdicts(html, &endpoint.looks);
        });
        for look in &endpoint.looks {
            served::difference(html, look);
        }
        if let Some((look, served)) = endpoint.looks.iter().find_map(|l| Some((l, l.served()?))) {
            section(html, "chain", "Served chain", |html| {
                served::chain(html, served, look.judged.expected.as_deref(), view.now);
            });
        }
        let is_own = |look: &&Look<'_>| look.judged.observation.vantage.is_local();
        if let Some(look) = endpoint.looks.iter().find(is_own) {
            section(html, "handshake", "Local handshake", |html| {
                served::handshake(html, look);
            });
        }
        section(html, "history", "Changes", |html| {
            history.of_endpoint(html, view, endpoint);
        });
    })
}

fn look_at(html: &mut Html, view: &View, look: &Look<'_>, since: Since) {
    let name = match look.judged.observation.vantage.is_local() {
        true => "Local".to_owned(),
        false => format!("From {}", look.vantage()),
    };
    html.line("h3", &[], &name);
    html.element("p", &[], |html| {
        badge(html, look.judged.severity());
        html.text(" ");
        html.prose(&sentence(&served::in_words(look, view.now)));
    });
    findings(html, look);
    facts(html, |list| {
        list.fact("Last look", |html| time(html, look.at, view.now));
        list.fact(
            if since.is_change {
                "So since"
            } else {
                "At least since"
            },
            |html| {
                time(html, since.at, view.now);
            },
        );
        if let Some(next) = look.next {
            list.fact("Next probe about", |html| time(html, next, view.now));
        }
    });
}

fn findings(html: &mut Html, look: &Look<'_>) {
    if let Some(error) = look.untold_error() {
        html.element("div", &[("class", "fault unknown")], |html| {
            message(html, &error.message);
            html.element("p", &[("class", "explain")], |html| {
                let about = About::Error(error.kind);
                html.link(&about.address(), &format!("What {} means", error.kind));
            });
        });
    }
    if look.findings().is_empty() {
        return;
    }
    html.element("ul", &[("class", "faults")], |html| {
        for finding in look.findings() {
            let class = format!("fault {}", finding.severity);
            let text = finding.text();
            html.element("li", &[("class", &class)], |html| {
                html.element("p", &[("class", "message")], |html| {
                    badge(html, finding.severity);
                    html.text(" ");
                    html.prose(&sentence(&text.message));
                });
                write_hint(html, &text.hint);
                html.element("p", &[("class", "explain")], |html| {
                    let about = About::Finding(finding.code());
                    html.link(
                        &about.address(),
                        &format!("What {} means, and how to fix it", finding.code()),
                    );
                });
            });
        }
    });
}
