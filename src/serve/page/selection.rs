//! Part of the inventory that the overview shows. Its default orders and the filters of problems
//! come from the index of the results, and do not read all endpoints. Any other order or filter
//! does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::finding::Severity;

use super::super::snapshot::SeverityCounts;
use super::filter::{Filter, Wanted};
use super::frame::Paging;
use super::sort::{By, Sort, part};
use super::view::{Certificate, Endpoint, View};

/// Maximum addresses on a page.
pub(super) const ADDRESSES_PER_PAGE: usize = 50;
/// Maximum certificates on a page.
pub(super) const CERTIFICATES_PER_PAGE: usize = 25;
/// Maximum endpoints whose information is shown. A finding that needs no fix may be of all of them.
pub(super) const MAX_NOTED: usize = 1000;

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

/// Returns the order of the certificates.
pub(super) fn certificates_sort(filter: &Filter) -> Sort {
    filter.certificates_sort.among(&CERTIFICATE_SORTS)
}

/// Returns the order of the addresses.
pub(super) fn addresses_sort(filter: &Filter) -> Sort {
    filter.addresses_sort.among(&ADDRESS_SORTS)
}

/// Endpoints and certificates that the filter selects.
pub(super) struct Selection<'a> {
    /// Endpoints to fix, in the order of their targets.
    pub(super) problems: Vec<Rc<Endpoint<'a>>>,
    /// Endpoints that may have a finding that needs no fix, in the order of their targets.
    pub(super) noted: Vec<Rc<Endpoint<'a>>>,
    /// True if there are more of these than [`MAX_NOTED`].
    pub(super) has_more_noted: bool,
    pub(super) addresses: Rows<Rc<Endpoint<'a>>>,
    pub(super) certificates: Rows<Certificate<'a>>,
}

/// Rows of a table on one page.
pub(super) struct Rows<T> {
    /// Number of rows on all pages.
    pub(super) total: usize,
    pub(super) paging: Paging,
    pub(super) rows: Vec<T>,
}

impl<'a> Rows<Rc<Endpoint<'a>>> {
    /// Returns the rows of a page of these endpoints.
    pub(super) fn of_addresses(endpoints: &[Rc<Endpoint<'a>>], filter: &Filter) -> Self {
        let sort = addresses_sort(filter);
        let paging = Paging::new(endpoints.len(), ADDRESSES_PER_PAGE, filter.page);
        let probed = |e: &Endpoint<'_>| e.results.first().map(|result| result.at);
        let place = |e: &Rc<Endpoint<'a>>| (&e.target.hostname, e.ip);
        let rows = part(
            endpoints,
            paging.skipped,
            ADDRESSES_PER_PAGE,
            |a, b| match sort.by {
                By::Host => sort.directed(place(a).cmp(&place(b))),
                By::Expires => sort.times(a.expiry(), b.expiry()),
                By::Probed => sort.times(probed(a), probed(b)),
                By::Certificate => sort.directed(a.target.certificate.cmp(&b.target.certificate)),
                _ => sort.directed(a.severity.cmp(&b.severity)),
            },
        );
        Self {
            total: endpoints.len(),
            paging,
            rows: rows.into_iter().cloned().collect(),
        }
    }
}

impl<'a> Selection<'a> {
    /// Returns what the filter selects; `counts` are the numbers of all endpoints.
    pub(super) fn of(view: &'a View, filter: &Filter, counts: &SeverityCounts) -> Self {
        match is_indexed(filter) {
            true => Self::of_index(view, filter, counts),
            false => Self::of_all(view, filter),
        }
    }

    /// Returns the same from all endpoints.
    pub(super) fn of_all(view: &'a View, filter: &Filter) -> Self {
        let mut shown = view.endpoints();
        let mut certificates = view.certificates(&shown);
        if filter.is_active() {
            shown.retain(|endpoint| filter.takes(endpoint));
            let names: BTreeSet<&str> = shown.iter().map(|e| &*e.target.certificate).collect();
            certificates.retain(|c| match c.endpoints.is_empty() {
                true => filter.takes_certificate(c.name) && filter.takes_severity(c.severity()),
                false => names.contains(c.name),
            });
        }
        let from = |least| shown.iter().filter(move |e| e.severity >= least).cloned();
        let (noted, has_more_noted) = first_noted(from(Severity::Info));
        Self {
            problems: from(Severity::Warning).collect(),
            noted,
            has_more_noted,
            addresses: Rows::of_addresses(&shown, filter),
            certificates: certificate_rows(certificates, filter),
        }
    }

    fn of_index(view: &'a View, filter: &Filter, counts: &SeverityCounts) -> Self {
        let all: Vec<_> = view.at_least(Severity::Warning).collect();
        let certificates = indexed_certificates(view, filter, &all);
        if !filter.is_active() {
            let (noted, has_more_noted) = first_noted(view.at_least(Severity::Info));
            return Self {
                addresses: indexed_addresses(view, filter, counts, &all),
                problems: all,
                noted,
                has_more_noted,
                certificates,
            };
        }
        let shown = all
            .into_iter()
            .filter(|e| filter.takes_severity(e.severity));
        let shown: Vec<_> = shown.collect();
        let (noted, has_more_noted) = first_noted(shown.iter().cloned());
        Self {
            noted,
            has_more_noted,
            addresses: Rows::of_addresses(&shown, filter),
            problems: shown,
            certificates,
        }
    }
}

/// Returns true if the index has the order and the filter of a page. Further pages of certificates
/// need all of them in order.
pub(super) fn is_indexed(filter: &Filter) -> bool {
    let is_severity_indexed = match filter.wanted {
        Wanted::All | Wanted::Problems => true,
        Wanted::One(severity) => severity >= Severity::Warning,
    };
    is_severity_indexed
        && filter.text.is_empty()
        && filter.certificate.is_empty()
        && filter.certificates_page <= 1
        && certificates_sort(filter) == Sort::default()
        && addresses_sort(filter) == Sort::default()
}

fn first_noted<'a>(
    mut endpoints: impl Iterator<Item = Rc<Endpoint<'a>>>,
) -> (Vec<Rc<Endpoint<'a>>>, bool) {
    let noted = endpoints.by_ref().take(MAX_NOTED).collect();
    (noted, endpoints.next().is_some())
}

/// Returns the rows of a page of all addresses, the most severe first; `problems` are those of at
/// least a warning.
fn indexed_addresses<'a>(
    view: &'a View,
    filter: &Filter,
    counts: &SeverityCounts,
    problems: &[Rc<Endpoint<'a>>],
) -> Rows<Rc<Endpoint<'a>>> {
    let total = counts.total();
    let paging = Paging::new(total, ADDRESSES_PER_PAGE, filter.page);
    let most_severe = part(problems, paging.skipped, ADDRESSES_PER_PAGE, |a, b| {
        b.severity.cmp(&a.severity)
    });
    let mut rows: Vec<_> = most_severe.into_iter().cloned().collect();
    let mut skipped = paging.skipped.saturating_sub(problems.len());
    for severity in [Severity::Info, Severity::Ok] {
        let missing = ADDRESSES_PER_PAGE - rows.len();
        let count = counts.of(severity);
        if missing > 0 && skipped < count {
            rows.extend(view.with(severity).skip(skipped).take(missing));
        }
        skipped = skipped.saturating_sub(count);
    }
    Rows {
        total,
        paging,
        rows,
    }
}

/// Returns the rows of a page of certificates.
fn certificate_rows<'a>(
    certificates: Vec<Certificate<'a>>,
    filter: &Filter,
) -> Rows<Certificate<'a>> {
    let sort = certificates_sort(filter);
    let total = certificates.len();
    let paging = Paging::new(total, CERTIFICATES_PER_PAGE, filter.certificates_page);
    let not_ok = |c: &Certificate<'_>| c.endpoints.len() - c.ok_count();
    let rows = part(
        &certificates,
        paging.skipped,
        CERTIFICATES_PER_PAGE,
        |a, b| match sort.by {
            By::Certificate => sort.directed(a.name.cmp(b.name)),
            By::Addresses => sort.directed(not_ok(a).cmp(&not_ok(b))),
            By::Expires => sort.times(a.expiry(), b.expiry()),
            _ => sort.directed(a.severity().cmp(&b.severity())),
        },
    );
    Rows {
        total,
        paging,
        rows: rows.into_iter().cloned().collect(),
    }
}

/// Returns the rows of the first page of certificates, the most severe first; `problems` are all
/// endpoints of at least a warning.
fn indexed_certificates<'a>(
    view: &'a View,
    filter: &Filter,
    problems: &[Rc<Endpoint<'a>>],
) -> Rows<Certificate<'a>> {
    let mut ranked: BTreeMap<&'a str, Severity> = BTreeMap::new();
    let mut shown: BTreeSet<&'a str> = BTreeSet::new();
    for endpoint in problems {
        let name = &*endpoint.target.certificate;
        let severity = ranked.entry(name).or_insert(endpoint.severity);
        *severity = endpoint.severity.max(*severity);
        if filter.takes_severity(endpoint.severity) {
            shown.insert(name);
        }
    }
    ranked.retain(|name, _| shown.contains(name));
    let mut total = shown.len();
    if filter.takes_severity(Severity::Unknown) {
        let unprobed = view.unprobed(CERTIFICATES_PER_PAGE);
        total += unprobed.count;
        let unprobed = unprobed.first.into_iter();
        ranked.extend(unprobed.map(|name| (name, Severity::Unknown)));
    }
    if !filter.is_active() {
        total = view.plan.index.len();
        add_certificates_without_problems(view, &mut ranked);
    }
    let mut first: Vec<(&'a str, Severity)> = ranked.into_iter().collect();
    first.sort_by_key(|(_, severity)| Reverse(*severity));
    first.truncate(CERTIFICATES_PER_PAGE);
    let rows = first.iter().filter_map(|(name, _)| view.certificate(name));
    Rows {
        total,
        paging: Paging::new(total, CERTIFICATES_PER_PAGE, 1),
        rows: rows.collect(),
    }
}

/// Adds certificates until there are enough for a page: those with information, then those that are
/// ok. `ranked` has all others, if they do not fill the page.
fn add_certificates_without_problems<'a>(view: &'a View, ranked: &mut BTreeMap<&'a str, Severity>) {
    // An endpoint with a stale result is a problem, so that its certificate is there already.
    let with_information = view.results.with(Severity::Info);
    let with_information = with_information.map(|results| &*results.target.certificate);
    let ok = view.plan.certificates().map(|named| named.name);
    let all = with_information.map(|name| (name, Severity::Info));
    for (name, severity) in all.chain(ok.map(|name| (name, Severity::Ok))) {
        if ranked.len() >= CERTIFICATES_PER_PAGE {
            break;
        }
        ranked.entry(name).or_insert(severity);
    }
}
