//! `/`: the overview, with faults first, then all certificates and addresses.

use std::rc::Rc;

use crate::finding::Severity;
use crate::model::Timestamp;

use super::condition;
use super::faults::{self, Fault};
use super::filter::{Filter, Wanted};
use super::form;
use super::frame::{
    Page, Paging, badge, counted, fold, pager, relative, section, sorted_table, time, word,
};
use super::headline::Headline;
use super::html::{Address, Html};
use super::problems::{self, Scope};
use super::recent;
use super::served;
use super::sort::{By, Sort, part};
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
    let counts = Counts::of(&endpoints);
    let shown = match filter.is_active() {
        true => {
            let shown = endpoints.into_iter().filter(|e| filter.takes(e));
            shown.collect::<Vec<_>>()
        }
        false => endpoints,
    };
    let page = Page {
        title: &headline.title,
        severity: headline.severity,
        is_live: true,
        now: view.now,
        base: &view.base,
    };
    page.document(|html| {
        let class = format!("headline {}", headline.severity);
        html.element("div", &[("class", &class)], |html| {
            html.element("div", &[("class", "summary")], |html| {
                html.line("h1", &[("id", "headline")], &headline.title);
                counts.write(html, filter);
                html.line("p", &[], &headline.rest);
            });
            form::write(html, filter, &certificates);
        });
        condition::notices(html, view, &sources);
        if filter.is_active() {
            let text = format!(
                "{} of {} match the filter. ",
                shown.len(),
                counted(all, "address")
            );
            html.element("p", &[("class", "filtered")], |html| {
                html.text(&text);
                html.link(&filter.cleared().address(), "Clear the filter");
            });
        }
        wrong(html, view, filter, &shown, all);
        section(html, "certificates", "Certificates", |html| {
            certificate_list(html, view, filter, &certificates, &shown);
        });
        html.element("div", &[("class", "folds")], |html| {
            let heading = format!("Addresses: {}", shown.len());
            let is_wanted =
                filter.is_active() || filter.page > 1 || filter.addresses_sort != Sort::default();
            fold(html, "addresses", &heading, is_wanted, |html| {
                addresses(html, view, filter, &shown, all);
            });
            let notes = faults::notes(&shown);
            if !notes.is_empty() {
                let heading = format!("Information, no fix needed: {}", notes.len());
                fold(html, "notes", &heading, false, |html| {
                    problem_table(html, view, filter, &notes);
                });
            }
            fold(html, "sources", "Sources", false, |html| {
                condition::sources(html, view.now, &sources)
            });
            fold(html, "monitor", "Monitor", false, |html| {
                condition::monitor(html, view)
            });
        });
    })
}

/// Number of addresses of each severity.
struct Counts([(Severity, usize); 5]);

impl Counts {
    fn of(endpoints: &[Rc<Endpoint<'_>>]) -> Self {
        let mut counts = [
            Severity::Critical,
            Severity::Unknown,
            Severity::Warning,
            Severity::Info,
            Severity::Ok,
        ]
        .map(|severity| (severity, 0));
        for endpoint in endpoints {
            let of_it = counts
                .iter_mut()
                .find(|(severity, _)| *severity == endpoint.severity);
            if let Some((_, count)) = of_it {
                *count += 1;
            }
        }
        Self(counts)
    }

    /// Writes the numbers as links to the filter.
    fn write(&self, html: &mut Html, filter: &Filter) {
        html.element("p", &[("class", "counts")], |html| {
            for (severity, count) in self.0.iter().filter(|(_, count)| *count > 0) {
                let wanted = Wanted::One(*severity);
                let address = Filter {
                    wanted,
                    ..filter.cleared()
                };
                let class = format!("count {severity}");
                let (text, address) = (format!("{count} {}", word(*severity)), address.address());
                let mut link = vec![("href", address.as_str()), ("class", &*class)];
                if filter.wanted == wanted {
                    link.push(("aria-current", "true"));
                }
                html.line("a", &link, &text);
                html.text(" ");
            }
        });
    }
}

fn wrong(html: &mut Html, view: &View, filter: &Filter, shown: &[Rc<Endpoint<'_>>], all: usize) {
    if all == 0 {
        return;
    }
    let found = faults::faults(shown);
    section(html, "wrong", "Problems", |html| {
        match (found.is_empty(), filter.is_active()) {
            (true, true) => html.line("p", &[], "None match the filter."),
            (true, false) => html.line("p", &[], "None."),
            (false, _) => problem_table(html, view, filter, &found),
        }
    });
}

fn problem_table(html: &mut Html, view: &View, filter: &Filter, found: &[Fault<'_>]) {
    let resort = |problems_sort| {
        let sorted = Filter {
            problems_sort,
            ..filter.clone()
        };
        sorted.address()
    };
    let order = (filter.problems_sort, resort);
    problems::write(
        html,
        found,
        Scope::Everything,
        view.now,
        order,
        addresses_with,
    );
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
    shown: &[Rc<Endpoint<'_>>],
) {
    let is_shown = |c: &&Certificate<'_>| match c.endpoints.is_empty() {
        true => filter.takes_certificate(c.name) && filter.takes_severity(c.severity()),
        // Both are sorted by the names of certificates.
        false => {
            let before = shown.partition_point(|e| *e.target.certificate < *c.name);
            shown
                .get(before)
                .is_some_and(|e| *e.target.certificate == *c.name)
        }
    };
    let list: Vec<&Certificate<'_>> = match filter.is_active() {
        true => certificates.iter().filter(is_shown).collect(),
        false => certificates.iter().collect(),
    };
    if list.is_empty() {
        let text = match certificates.is_empty() {
            true if view.monitor.is_ready => "The sources have no certificates.",
            true => "No source has responded yet.",
            false => "None match the filter.",
        };
        return html.line("p", &[], text);
    }
    let sort = filter.certificates_sort.among(&CERTIFICATE_SORTS);
    let resort = |certificates_sort| {
        let sorted = Filter {
            certificates_sort,
            certificates_page: 1,
            ..filter.clone()
        };
        sorted.address().at("certificates")
    };
    let columns = [
        sort.column("Certificate", By::Certificate, resort),
        sort.column("State", By::State, resort),
        "Last 24 hours".into(),
        sort.column("Addresses", By::Addresses, resort),
        sort.column("Expires", By::Expires, resort),
    ];
    let paging = Paging::new(list.len(), CERTIFICATES_PER_PAGE, filter.certificates_page);
    let caption = match paging.pages {
        1 => counted(list.len(), "certificate"),
        _ => format!(
            "{} of {}",
            CERTIFICATES_PER_PAGE.min(list.len()),
            counted(list.len(), "certificate")
        ),
    };
    let part = part(&list, paging.skipped, CERTIFICATES_PER_PAGE, |a, b| {
        let not_ok = |c: &Certificate<'_>| c.endpoints.len() - c.ok_count();
        match sort.by {
            By::Certificate => sort.directed(a.name.cmp(b.name)),
            By::Addresses => sort.directed(not_ok(a).cmp(&not_ok(b))),
            By::Expires => sort.times(a.expiry(), b.expiry()),
            _ => sort.directed(a.severity().cmp(&b.severity())),
        }
    });
    sorted_table(html, "dense", &caption, &columns, |rows| {
        for certificate in part {
            rows.row("", |cells| {
                cells.head(|html| html.link(&certificate.address(), certificate.name));
                cells.cell(|html| badge(html, certificate.severity()));
                cells.cell(|html| {
                    recent::write(html, view, certificate.endpoints.iter().map(|e| &**e));
                });
                cells.cell(|html| addresses_of(html, certificate));
                cells.cell(|html| expiry(html, certificate, view.now));
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

/// Writes how many addresses are ok, and the progress of a rollout.
fn addresses_of(html: &mut Html, certificate: &Certificate<'_>) {
    html.text(&match (certificate.endpoints.len(), certificate.targets) {
        (0, 0) => "no hosts".into(),
        (0, _) => "not probed yet".into(),
        (all, _) => format!("{} of {all} ok", certificate.ok_count()),
    });
    if let Some(rollout) = certificate.rollout().filter(|r| !r.is_complete()) {
        let (new, total) = (rollout.new.len(), rollout.total());
        let verb = if new == 1 { "serves" } else { "serve" };
        let text = match total {
            1 => "; it does not serve the new certificate yet".into(),
            _ => format!("; {new} of {total} addresses {verb} the new certificate"),
        };
        html.text(&text);
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

fn addresses(
    html: &mut Html,
    view: &View,
    filter: &Filter,
    shown: &[Rc<Endpoint<'_>>],
    all: usize,
) {
    if shown.is_empty() {
        let text = if all == 0 {
            "None has been probed yet."
        } else {
            "None match the filter."
        };
        return html.line("p", &[], text);
    }
    let to = |page, addresses_sort| {
        let other = Filter {
            page,
            addresses_sort,
            ..filter.clone()
        };
        other.address().at("addresses")
    };
    address_table(html, view, filter, shown, true, to);
}

/// Columns by which certificates can be sorted.
const CERTIFICATE_SORTS: [By; 4] = [By::State, By::Certificate, By::Addresses, By::Expires];
/// Columns by which addresses can be sorted.
const ADDRESS_SORTS: [By; 5] = [
    By::State,
    By::Host,
    By::Expires,
    By::Probed,
    By::Certificate,
];

/// Writes a table with a row for each endpoint on a page of them; `to` returns the address of
/// another page, or of one with another order.
pub(super) fn address_table(
    html: &mut Html,
    view: &View,
    filter: &Filter,
    endpoints: &[Rc<Endpoint<'_>>],
    with_certificate: bool,
    to: impl Fn(usize, Sort) -> Address,
) {
    let now = view.now;
    let sort = filter.addresses_sort.among(&ADDRESS_SORTS);
    let resort = |sort| to(1, sort);
    let mut columns = vec![
        sort.column("Host and address", By::Host, resort),
        sort.column("State", By::State, resort),
        "Last 24 hours".into(),
        "Result".into(),
        sort.column("Expires", By::Expires, resort),
        sort.column("Last probe", By::Probed, resort),
    ];
    if with_certificate {
        columns.push(sort.column("Certificate", By::Certificate, resort));
    }
    let paging = Paging::new(endpoints.len(), ADDRESSES_PER_PAGE, filter.page);
    let caption = match paging.pages {
        1 => counted(endpoints.len(), "address"),
        _ => format!(
            "Addresses {} to {} of {}",
            paging.skipped + 1,
            (paging.skipped + ADDRESSES_PER_PAGE).min(endpoints.len()),
            endpoints.len()
        ),
    };
    let probed = |e: &Endpoint<'_>| e.results.first().map(|result| result.at);
    let part = part(
        endpoints,
        paging.skipped,
        ADDRESSES_PER_PAGE,
        |a, b| match sort.by {
            By::Host => sort.directed((&a.target.hostname, a.ip).cmp(&(&b.target.hostname, b.ip))),
            By::Expires => sort.times(a.expiry(), b.expiry()),
            By::Probed => sort.times(probed(a), probed(b)),
            By::Certificate => sort.directed(a.target.certificate.cmp(&b.target.certificate)),
            _ => sort.directed(a.severity.cmp(&b.severity)),
        },
    );
    sorted_table(html, "dense", &caption, &columns, |rows| {
        for endpoint in part {
            rows.row("", |cells| {
                cells.head(|html| {
                    let host = endpoint.target.hostname.to_string();
                    html.link(&endpoint.address(), &format!("{host} {}", endpoint.place()));
                });
                cells.cell(|html| badge(html, endpoint.severity));
                cells.cell(|html| recent::write(html, view, std::iter::once(&**endpoint)));
                cells.cell(|html| {
                    if let Some(at) = endpoint.stale {
                        html.line("strong", &[], &stale_text(at, now));
                        html.text(": ");
                    }
                    seen(html, endpoint, now);
                });
                cells.cell(|html| match endpoint.expiry() {
                    Some(expiry) => html.text(&relative(expiry, now)),
                    None => html.text("not known"),
                });
                cells.cell(|html| {
                    if let Some(at) = probed(endpoint) {
                        html.element("span", &[("class", "relative")], |html| time(html, at, now));
                    }
                });
                if with_certificate {
                    let name = &endpoint.target.certificate;
                    cells.cell(|html| html.link(&certificate_address(name), name));
                }
            });
        }
    });
    pager(html, "addresses", paging, |page| to(page, sort));
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
