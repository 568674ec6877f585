//! The page of a certificate: the expected certificate, its lifetime, the progress of its rollout,
//! and its endpoints.

use std::rc::Rc;

use crate::instance::{Expectation, SourceKind};
use crate::model::Timestamp;

use super::faults;
use super::filter::Filter;
use super::frame::{Page, badge, counted, crumbs, facts, moment, section, time};
use super::history::History;
use super::html::{Address, Html};
use super::overview::{address_table, addresses_with};
use super::problems::{self, Scope};
use super::recent;
use super::rollout::Rollout;
use super::selection::Rows;
use super::served;
use super::sort::Sort;
use super::timeline::{self, Lifetime};
use super::view::{Certificate, Endpoint, View};

/// Maximum addresses in each list of a rollout.
const MAX_PLACES: usize = 30;

pub(super) fn page(view: &View, certificate: &Certificate<'_>, filter: &Filter) -> String {
    let severity = certificate.severity();
    let page = Page {
        title: certificate.name,
        severity,
        is_live: true,
        now: view.now,
        base: &view.base,
    };
    let history = History::read(view, certificate.name);
    page.document(|html| {
        crumbs(html, &[(Address::front(), "Overview")]);
        html.element(
            "div",
            &[("class", &format!("headline {severity}"))],
            |html| {
                html.line("h1", &[("id", "headline")], certificate.name);
                html.element("p", &[("class", "state")], |html| {
                    badge(html, severity);
                    html.text(" ");
                    html.text(&summary(certificate));
                    html.text(" ");
                    recent::write(html, view, certificate.endpoints.iter().map(|e| &**e));
                });
            },
        );
        let to = |page, problems_sort, addresses_sort| {
            let shown = Filter {
                page,
                problems_sort,
                addresses_sort,
                ..Filter::default()
            };
            certificate.address().with_query_of(&shown.address())
        };
        let resort = |sort| to(filter.page, sort, filter.addresses_sort);
        let found = faults::faults(&certificate.endpoints);
        if !found.is_empty() {
            section(html, "wrong", "Problems", |html| {
                let order = (filter.problems_sort, resort);
                problems::write(
                    html,
                    &found,
                    Scope::Certificate,
                    view.now,
                    order,
                    addresses_with,
                );
            });
        }
        if let Some(rollout) = certificate.rollout() {
            section(html, "rollout", "Rollout", |html| {
                rolled_out(html, view, &rollout, &history)
            });
        }
        section(html, "expected", "Expected certificate", |html| {
            expected(html, certificate, view.now)
        });
        section(html, "addresses", "Monitored hosts", |html| {
            addresses(html, view, certificate, filter, |page, sort| {
                to(page, filter.problems_sort, sort).at("addresses")
            });
        });
        let notes = faults::notes(&certificate.endpoints);
        if !notes.is_empty() {
            section(html, "notes", "Information, no fix needed", |html| {
                let order = (filter.problems_sort, resort);
                problems::write(html, &notes, Scope::Certificate, view.now, order, |_| {
                    certificate.address().at("addresses")
                });
            });
        }
        section(html, "history", "Changes", |html| {
            history.of_certificate(html, view, certificate)
        });
    })
}

/// Returns a sentence about the state of the certificate's addresses.
fn summary(certificate: &Certificate<'_>) -> String {
    let (all, ok_count) = (certificate.endpoints.len(), certificate.ok_count());
    match (all, certificate.targets) {
        (0, 0) => "It has no hosts.".into(),
        (0, _) => "Not probed yet.".into(),
        _ if ok_count == all && all == 1 => "Its only address is ok.".into(),
        _ if all == 1 => "Its only address is not ok.".into(),
        _ if ok_count == all => format!("All {all} addresses are ok."),
        _ if ok_count == 0 => format!("None of its {all} addresses is ok."),
        _ => format!(
            "{ok_count} of its {all} addresses {} ok.",
            if ok_count == 1 { "is" } else { "are" }
        ),
    }
}

fn expected(html: &mut Html, certificate: &Certificate<'_>, now: Timestamp) {
    let kept = match certificate.kept {
        Ok(kept) => kept,
        Err(error) => {
            faults::message(html, &format!("unknown: {error}"));
            return;
        }
    };
    let expected = &kept.loaded.expected;
    let instance = certificate.instance();
    if let Some(read) = instance.and_then(|i| i.leaf.facts().ok()) {
        let entry = &certificate.watch.entry;
        match Lifetime::of(read, entry.warn, entry.crit) {
            Some(lifetime) => timeline::write(html, &lifetime, now),
            None => html.line(
                "p",
                &[("class", "message")],
                "Its expiry is before its start of validity.",
            ),
        }
    }
    facts(html, |list| {
        list.text(
            "Source",
            describe_source(certificate, expected.source).as_str(),
        );
        list.fact("Last fetched", |html| time(html, kept.fetched, now));
        if let Some(changed) = kept.changed {
            list.fact("Expected since", |html| time(html, changed, now));
        }
        if let Some(instance) = instance
            && let Some(id) = instance.id
        {
            list.text("Instance", &format!("{id}, {}", instance.state.name()));
        }
        let labels = &certificate.watch.entry.notes.labels;
        if !labels.is_empty() {
            let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
            list.text("Labels", &pairs.collect::<Vec<_>>().join(", "));
        }
        served::pins(list, expected);
        if expected.what == Expectation::TrustOnly {
            list.text(
                "Expected",
                "any valid, trusted certificate for the host name",
            );
        }
    });
    if let Some(instance) = instance {
        html.element("details", &[("id", "instance")], |html| {
            html.line("summary", &[], "Details of the expected certificate");
            served::details(html, &instance.leaf, now);
        });
        let others = expected
            .instances()
            .map(|i| i.also_accepted.len())
            .unwrap_or_default();
        if others > 0 {
            html.line(
                "p",
                &[("class", "note")],
                &format!(
                    "{} accepted too.",
                    match others {
                        1 => "Another instance is".into(),
                        n => format!("{n} other instances are"),
                    }
                ),
            );
        }
    }
}

fn describe_source(certificate: &Certificate<'_>, kind: SourceKind) -> String {
    match (kind, certificate.watch.source()) {
        (SourceKind::Sslmate, _) => "the SSLMate account".into(),
        (_, Some(name)) => name,
        (_, None) => "the configuration".into(),
    }
}

/// Writes the addresses that serve the new instance, and those that serve the previous one.
fn rolled_out(html: &mut Html, view: &View, rollout: &Rollout<'_, '_>, history: &History) {
    let (new, total) = (rollout.new.len(), rollout.total());
    html.element("p", &[], |html| {
        html.line(
            "strong",
            &[],
            &format!("{new} of {}", counted(total, "address")),
        );
        html.text(" serve the new instance, which is expected since ");
        time(html, rollout.changed, view.now);
        html.text(".");
        if !rollout.is_complete() {
            let grace = i64::try_from(view.monitor.grace.as_secs()).unwrap_or(i64::MAX);
            let until = Timestamp(rollout.changed.0.saturating_add(grace));
            html.text(if until > view.now {
                " An address with the previous instance is a warning, and critical from "
            } else {
                " The grace period of the previous instance ended at "
            });
            time(html, until, view.now);
            html.text(".");
        }
    });
    let (value, max) = (new.to_string(), total.max(1).to_string());
    let progress = [
        ("value", &*value),
        ("max", &*max),
        ("aria-label", "Addresses that serve the new instance"),
    ];
    html.line("progress", &progress, &format!("{new} of {total}"));
    html.element("div", &[("class", "sides")], |html| {
        side(html, history, "Previous instance", &rollout.old);
        side(
            html,
            history,
            "Other certificate or no result",
            &rollout.other,
        );
        side(html, history, "New instance", &rollout.new);
    });
}

fn side(html: &mut Html, history: &History, heading: &str, endpoints: &[&Rc<Endpoint<'_>>]) {
    if endpoints.is_empty() {
        return;
    }
    html.element("div", &[], |html| {
        html.line("h3", &[], &format!("{heading}: {}", endpoints.len()));
        html.element("ul", &[], |html| {
            for endpoint in endpoints.iter().take(MAX_PLACES) {
                html.element("li", &[], |html| {
                    let text = format!("{} at {}", endpoint.target.hostname, endpoint.place());
                    html.link(&endpoint.address(), &text);
                    if let Some(result) = endpoint.results.first() {
                        let since = history.since(endpoint, result);
                        html.text(if since.is_change {
                            " since "
                        } else {
                            " at least since "
                        });
                        moment(html, since.at);
                    }
                });
            }
        });
        let more = endpoints.len().saturating_sub(MAX_PLACES);
        if more > 0 {
            html.line(
                "p",
                &[("class", "more")],
                &format!("and {more} more, in the table below"),
            );
        }
    });
}

fn addresses(
    html: &mut Html,
    view: &View,
    certificate: &Certificate<'_>,
    filter: &Filter,
    to: impl Fn(usize, Sort) -> Address,
) {
    let all = &certificate.endpoints;
    if all.is_empty() {
        let text = match certificate.targets {
            0 => "It has no hosts; add `hostnames` in the configuration.",
            _ => "Its hosts have not been probed yet.",
        };
        return html.line("p", &[], text);
    }
    let rows = Rows::of_addresses(all, filter);
    address_table(html, view, filter, &rows, false, to);
}
