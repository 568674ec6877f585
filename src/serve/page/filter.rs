//! Filter of the status page. It is a query string, so that a filtered view is a link.

use crate::finding::Severity;
use crate::web::Query;

use super::html::Address;
use super::sort::Sort;
use super::view::Endpoint;

/// Maximum characters that are read of each parameter.
const MAX_CHARS: usize = 200;
/// Maximum words of the text that are searched for.
const MAX_WORDS: usize = 10;

/// Filter of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) wanted: Wanted,
    /// Name of a certificate; empty selects all.
    pub(super) certificate: String,
    /// Words that must occur.
    pub(super) text: String,
    /// Pages of the addresses and of the certificates, counted from 1.
    pub(super) page: usize,
    pub(super) certificates_page: usize,
    /// Orders of the problems, of the certificates and of the addresses.
    pub(super) problems_sort: Sort,
    pub(super) certificates_sort: Sort,
    pub(super) addresses_sort: Sort,
}

/// Severities that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    #[default]
    All,
    /// Results that must be fixed, or could not be judged.
    Problems,
    One(Severity),
}

impl Wanted {
    pub(super) const ALL: [Self; 7] = [
        Self::All,
        Self::Problems,
        Self::One(Severity::Critical),
        Self::One(Severity::Unknown),
        Self::One(Severity::Warning),
        Self::One(Severity::Info),
        Self::One(Severity::Ok),
    ];

    /// Returns the value of the parameter.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Problems => "problems",
            Self::One(severity) => severity.name(),
        }
    }

    fn takes(self, severity: Severity) -> bool {
        match self {
            Self::All => true,
            Self::Problems => severity >= Severity::Warning,
            Self::One(one) => severity == one,
        }
    }
}

impl Filter {
    /// Parses a query. Invalid parameters are ignored, so that a mistyped link shows too much
    /// instead of nothing.
    pub(super) fn read(query: &Query) -> Self {
        let text = |name| {
            let value = query.last(name).unwrap_or_default().trim();
            value.chars().take(MAX_CHARS).collect::<String>()
        };
        let page = |name| text(name).parse().unwrap_or(1).max(1);
        let severity = text("severity");
        let wanted = Wanted::ALL.into_iter().find(|w| w.name() == severity);
        Self {
            wanted: wanted.unwrap_or_default(),
            certificate: text("certificate"),
            text: text("q"),
            page: page("page"),
            certificates_page: page("certificates_page"),
            problems_sort: Sort::read(&text("problems_sort")),
            certificates_sort: Sort::read(&text("certificates_sort")),
            addresses_sort: Sort::read(&text("addresses_sort")),
        }
    }

    /// Returns a filter that hides nothing, with the orders of this one.
    pub(super) fn cleared(&self) -> Self {
        Self {
            problems_sort: self.problems_sort,
            certificates_sort: self.certificates_sort,
            addresses_sort: self.addresses_sort,
            ..Self::default()
        }
    }

    /// Returns the parameters of the orders.
    pub(super) fn sorts(&self) -> [(&'static str, String); 3] {
        [
            ("problems_sort", self.problems_sort.value()),
            ("certificates_sort", self.certificates_sort.value()),
            ("addresses_sort", self.addresses_sort.value()),
        ]
    }

    /// Returns true if the filter hides anything.
    pub(super) fn is_active(&self) -> bool {
        self.wanted != Wanted::All || !self.certificate.is_empty() || !self.text.is_empty()
    }

    /// Returns the address of the overview with this filter.
    pub(super) fn address(&self) -> Address {
        let number = |page: usize| {
            if page > 1 {
                page.to_string()
            } else {
                String::new()
            }
        };
        let (page, certificates_page) = (number(self.page), number(self.certificates_page));
        let sorts = self.sorts();
        let parameters = [
            ("q", &*self.text),
            ("severity", self.wanted.name()),
            ("certificate", &*self.certificate),
            ("page", &*page),
            ("certificates_page", &*certificates_page),
        ];
        let sorts = sorts.iter().map(|(name, value)| (*name, &**value));
        Address::front().with(parameters.into_iter().chain(sorts))
    }

    /// Returns true if the filter matches a certificate of this name, regardless of its endpoints.
    pub(super) fn takes_certificate(&self, name: &str) -> bool {
        (self.certificate.is_empty() || self.certificate == name)
            && words(&self.text).all(|word| name.to_lowercase().contains(&word))
    }

    pub(super) fn takes_severity(&self, severity: Severity) -> bool {
        self.wanted.takes(severity)
    }

    /// Returns true if the filter matches an endpoint.
    pub(super) fn takes(&self, endpoint: &Endpoint<'_>) -> bool {
        let target = endpoint.target;
        if !self.wanted.takes(endpoint.severity)
            || !(self.certificate.is_empty() || self.certificate == target.certificate)
        {
            return false;
        }
        self.text.is_empty() || {
            let haystack = haystack(endpoint);
            words(&self.text).all(|word| haystack.contains(&word))
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .take(MAX_WORDS)
        .map(str::to_lowercase)
}

/// Returns the text of an endpoint that is searched.
fn haystack(endpoint: &Endpoint<'_>) -> String {
    let target = endpoint.target;
    let mut all = vec![
        target.certificate.clone(),
        target.hostname.to_string(),
        endpoint.place(),
        target.protocol.name().to_owned(),
        endpoint.severity.name().to_owned(),
    ];
    for result in &endpoint.results {
        all.push(result.vantage().to_owned());
        for finding in result.findings() {
            all.push(finding.code().name().to_owned());
            all.push(finding.message());
        }
        if let Some(error) = result.unreported_error() {
            all.push(error.kind.name().to_owned());
            all.push(error.message.clone());
        }
        if let Some(served) = result.served() {
            all.push(served.leaf.sha256().to_string());
            if let Ok(facts) = served.leaf.facts() {
                all.push(facts.subject.clone());
                all.push(facts.issuer.clone());
                all.push(facts.serial.clone());
            }
        }
    }
    all.join("\n").to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sort::By;
    use super::*;

    fn read(query: &str) -> Filter {
        Filter::read(&Query::parse(Some(query)))
    }

    #[test]
    fn invalid_filter_parameters_are_ignored() {
        for query in ["", "severity=awful", "page=-1", "page=x&other=1", "q=%20"] {
            assert!(!read(query).is_active(), "{query}");
            assert_eq!(read(query).page, 1, "{query}");
        }
        assert!(read("severity=problems").is_active());
        assert_eq!(read("q=a&page=3").page, 3);
        assert_eq!(
            read(&format!("q={}", "x".repeat(5000))).text.len(),
            MAX_CHARS
        );
    }

    proptest! {
        #[test]
        fn filter_round_trips_through_its_url(
            text in ".{0,50}", certificate in ".{0,50}", which in 0..Wanted::ALL.len(), page in 1_usize..50,
            by in 0..By::ALL.len(), is_descending in any::<bool>(),
        ) {
            let filter = Filter {
                wanted: Wanted::ALL[which],
                certificate: certificate.trim().to_owned(),
                text: text.trim().to_owned(),
                page,
                certificates_page: 1,
                addresses_sort: Sort { by: By::ALL[by], is_descending },
                ..read("")
            };
            let address = filter.address();
            let query = address.as_str().split_once('?').map_or("", |(_, query)| query);
            prop_assert_eq!(read(query), filter);
        }
    }
}
