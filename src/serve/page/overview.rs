//! `/`: the overview, with faults first, then all certificates and addresses.

use std::rc::Rc;

use crate::finding::Severity;
use crate::model::Timestamp;

use super::super::snapshot::SeverityCounts;
use super::condition;
use super::faults::{self, Fault};
use super::filter::{Filter, Wanted};
use super::form;
use super::frame::{
    Page, badge, counted, fold, pager, relative, section, sorted_table, time, word,
};
use super::headline::Headline;
use super::html::{Address, Html};
use super::problems::{self, Scope};
use super::recent;
use super::selection::{
    ADDRESSES_PER_PAGE, CERTIFICATES_PER_PAGE, MAX_NOTED, Rows, Selection, addresses_sort,
    certificates_sort,
};
use super::served;
use super::sort::{By, Sort};
use super::timeline::{self, Lifetime};
use super::view::{Certificate, Endpoint, View, certificate_address};

pub(super) fn page(view: &View, filter: &Filter) -> String {
    let (counts, stale) = view.counts();
    let selection = Selection::of(view, filter, &counts);
    write(view, filter, (&counts, stale), &selection)
}

/// Writes the page of what the filter selects; `counts` are the numbers of all endpoints, and of
/// those with a stale result.
pub(super) fn write(
    view: &View,
    filter: &Filter,
    (counts, stale): (&SeverityCounts, usize),
    selection: &Selection<'_>,
) -> String {
    let headline = Headline::of(view, counts, stale);
    let (sources, source_count) = view.sources();
    let all = counts.total();
    let shown = selection.addresses.total;
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
                write_counts(html, counts, filter);
                html.line("p", &[], &headline.rest);
            });
            form::write(html, filter, view);
        });
        condition::notices(html, view, &sources);
        if filter.is_active() {
            let text = format!("{shown} of {} match the filter. ", counted(all, "address"));
            html.element("p", &[("class", "filtered")], |html| {
                html.text(&text);
                html.link(&filter.cleared().address(), "Clear the filter");
            });
        }
        wrong(html, view, filter, &selection.problems, all);
        section(html, "certificates", "Certificates", |html| {
            certificate_list(html, view, filter, &selection.certificates);
        });
        html.element("div", &[("class", "folds")], |html| {
            let heading = format!("Addresses: {shown}");
            let is_wanted =
                filter.is_active() || filter.page > 1 || filter.addresses_sort != Sort::default();
            fold(html, "addresses", &heading, is_wanted, |html| {
                addresses(html, view, filter, &selection.addresses, all);
            });
            notes(html, view, filter, selection);
            fold(html, "sources", "Sources", false, |html| {
                condition::sources(html, view.now, &sources, source_count)
            });
            fold(html, "monitor", "Monitor", false, |html| {
                condition::monitor(html, view)
            });
        });
    })
}

/// Writes the numbers of addresses as links to the filter.
fn write_counts(html: &mut Html, counts: &SeverityCounts, filter: &Filter) {
    let all = [
        Severity::Critical,
        Severity::Unknown,
        Severity::Warning,
        Severity::Info,
        Severity::Ok,
    ];
    let all = all.map(|severity| (severity, counts.of(severity)));
    html.element("p", &[("class", "counts")], |html| {
        for (severity, count) in all.iter().filter(|(_, count)| *count > 0) {
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

/// Writes the findings that need no fix, folded.
fn notes(html: &mut Html, view: &View, filter: &Filter, selection: &Selection<'_>) {
    let notes = faults::notes(&selection.noted);
    if notes.is_empty() {
        return;
    }
    let heading = match selection.has_more_noted {
        true => format!("Information, no fix needed: at least {}", notes.len()),
        false => format!("Information, no fix needed: {}", notes.len()),
    };
    fold(html, "notes", &heading, false, |html| {
        problem_table(html, view, filter, &notes);
        if selection.has_more_noted {
            let text = format!(
                "Only the first {MAX_NOTED} addresses are counted here: use the filter for the others."
            );
            html.line("p", &[("class", "more")], &text);
        }
    });
}

fn wrong(html: &mut Html, view: &View, filter: &Filter, problems: &[Rc<Endpoint<'_>>], all: usize) {
    if all == 0 {
        return;
    }
    let found = faults::faults(problems);
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
    certificates: &Rows<Certificate<'_>>,
) {
    if certificates.total == 0 {
        let text = match view.plan.index.len() == 0 {
            true if view.monitor.is_ready => "The sources have no certificates.",
            true => "No source has responded yet.",
            false => "None match the filter.",
        };
        return html.line("p", &[], text);
    }
    let sort = certificates_sort(filter);
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
    let (total, paging) = (certificates.total, certificates.paging);
    let caption = match paging.pages {
        1 => counted(total, "certificate"),
        _ => format!(
            "{} of {}",
            CERTIFICATES_PER_PAGE.min(total),
            counted(total, "certificate")
        ),
    };
    sorted_table(html, "dense", &caption, &columns, |rows| {
        for certificate in &certificates.rows {
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
        None if certificate.kept.is_ok() && certificate.endpoints.is_empty() => {
            html.text("not probed yet");
        }
        None => html.text("not known"),
    }
}

fn addresses(
    html: &mut Html,
    view: &View,
    filter: &Filter,
    shown: &Rows<Rc<Endpoint<'_>>>,
    all: usize,
) {
    if shown.total == 0 {
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

/// Writes a table with a row for each endpoint on a page of them; `to` returns the address of
/// another page, or of one with another order.
pub(super) fn address_table(
    html: &mut Html,
    view: &View,
    filter: &Filter,
    endpoints: &Rows<Rc<Endpoint<'_>>>,
    with_certificate: bool,
    to: impl Fn(usize, Sort) -> Address,
) {
    let now = view.now;
    let sort = addresses_sort(filter);
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
    let (total, paging) = (endpoints.total, endpoints.paging);
    let caption = match paging.pages {
        1 => counted(total, "address"),
        _ => format!(
            "Addresses {} to {} of {total}",
            paging.skipped + 1,
            (paging.skipped + ADDRESSES_PER_PAGE).min(total)
        ),
    };
    sorted_table(html, "dense", &caption, &columns, |rows| {
        for endpoint in &endpoints.rows {
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
                    if let Some(at) = endpoint.results.first().map(|result| result.at) {
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
