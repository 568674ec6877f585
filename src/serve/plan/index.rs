//! Certificates and sources of a plan, in the order in which the status page shows them. The plan
//! has them from its creation, so that no page reads all entries.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Target, Timestamp};
use crate::scan::targets_of_failed;
use crate::source::{FetchError, SourceFailure};

use super::super::expectations::{Kept, Watch};
use super::Planned;

/// Maximum sources in the index; failing ones come first.
pub(in crate::serve) const MAX_SOURCES: usize = 25;

/// Certificates and sources of a plan.
#[derive(Debug, Default)]
pub(in crate::serve) struct Index {
    /// Certificates by name. Each name occurs once.
    certificates: Vec<Place>,
    /// Indices of the certificates without a host.
    without_targets: Vec<usize>,
    /// The first [`MAX_SOURCES`] sources.
    pub(in crate::serve) sources: Vec<Source>,
    /// Number of all sources.
    pub(in crate::serve) source_count: usize,
    /// Number of entries whose source has never returned a result, and which have no target.
    pub(in crate::serve) unknown_entries: usize,
}

/// Place of a certificate in the entries.
#[derive(Debug)]
struct Place {
    /// Key of the entry.
    key: Arc<str>,
    /// Index in the results of its source, or in the failures.
    position: usize,
    is_known: bool,
    /// Number of hosts and ports to probe.
    targets: usize,
}

/// Certificate of the inventory.
#[derive(Clone, Copy)]
pub(in crate::serve) struct Named<'a> {
    pub(in crate::serve) name: &'a str,
    /// The entry.
    pub(in crate::serve) watch: &'a Watch,
    /// Expected certificate, or the reason why it is unknown.
    pub(in crate::serve) kept: Result<&'a Kept, &'a FetchError>,
    /// Number of hosts and ports to probe.
    pub(in crate::serve) targets: usize,
}

/// Source of expected certificates. A source of several entries fails if it fails for one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Source {
    pub(in crate::serve) name: String,
    pub(in crate::serve) was_asked: bool,
    pub(in crate::serve) failure: Option<SourceFailure>,
    /// Time of its oldest result in use.
    pub(in crate::serve) last_success: Option<Timestamp>,
    /// Number of certificates that it has returned; of targets in a file of targets.
    pub(in crate::serve) certificates: usize,
}

type Watches = BTreeMap<Arc<str>, Arc<Watch>>;

impl Index {
    /// Returns the index of a plan.
    pub(super) fn new(watches: &Watches, targets: &BTreeMap<Arc<Target>, Planned>) -> Self {
        let certificates = certificates(watches, targets);
        let numbered = certificates.iter().enumerate();
        let without_targets = numbered.filter(|(_, place)| place.targets == 0);
        let (sources, source_count) = sources(watches);
        Self {
            without_targets: without_targets.map(|(at, _)| at).collect(),
            certificates,
            sources,
            source_count,
            unknown_entries: watches.values().filter(|w| is_unknown(w)).count(),
        }
    }

    /// Returns the number of certificates.
    pub(in crate::serve) fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Returns the certificates, in the order of their names.
    pub(in crate::serve) fn iter<'a>(
        &'a self,
        watches: &'a Watches,
    ) -> impl Iterator<Item = Named<'a>> {
        let places = self.certificates.iter();
        places.filter_map(|place| place.named(watches))
    }

    /// Returns the certificate with a name.
    pub(in crate::serve) fn get<'a>(
        &'a self,
        name: &str,
        watches: &'a Watches,
    ) -> Option<Named<'a>> {
        let is_before = |place: &Place| place.named(watches).is_some_and(|n| n.name < name);
        let at = self.certificates.partition_point(is_before);
        let named = self.certificates.get(at)?.named(watches)?;
        (named.name == name).then_some(named)
    }

    /// Returns the number of certificates without a host.
    pub(in crate::serve) fn without_targets_count(&self) -> usize {
        self.without_targets.len()
    }

    /// Returns the names of the certificates without a host, in their order.
    pub(in crate::serve) fn without_targets<'a>(
        &'a self,
        watches: &'a Watches,
    ) -> impl Iterator<Item = &'a str> {
        let places = self.without_targets.iter();
        let places = places.filter_map(|at| self.certificates.get(*at));
        places.filter_map(|place| Some(place.named(watches)?.name))
    }
}

impl Place {
    fn named<'a>(&self, watches: &'a Watches) -> Option<Named<'a>> {
        let watch = watches.get(&self.key)?;
        let (name, kept) = match self.is_known {
            true => {
                let kept = watch.kept.get(self.position)?;
                (&*kept.loaded.name, Ok(kept))
            }
            false => {
                let failed = watch.failures.get(self.position)?;
                (&*failed.name, Err(&*failed.error))
            }
        };
        Some(Named {
            name,
            watch,
            kept,
            targets: self.targets,
        })
    }
}

fn certificates(watches: &Watches, targets: &BTreeMap<Arc<Target>, Planned>) -> Vec<Place> {
    let mut all: Vec<(&str, Place)> = Vec::new();
    for (key, watch) in watches {
        let place = |position, is_known| Place {
            key: key.clone(),
            position,
            is_known,
            targets: 0,
        };
        let kept = watch.kept.iter().enumerate();
        all.extend(kept.map(|(at, kept)| (&*kept.loaded.name, place(at, true))));
        let failures = watch.failures.iter().enumerate();
        all.extend(failures.map(|(at, failed)| (&*failed.name, place(at, false))));
    }
    // The sort is stable: of equal names, the first is of the first entry.
    all.sort_by(|a, b| a.0.cmp(b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    let mut targets = targets.keys().peekable();
    for (name, place) in &mut all {
        while targets.next_if(|t| *t.certificate < **name).is_some() {}
        while targets.next_if(|t| *t.certificate == **name).is_some() {
            place.targets += 1;
        }
    }
    all.into_iter().map(|(_, place)| place).collect()
}

/// Returns the first sources, failing ones first, and the number of all.
fn sources(watches: &Watches) -> (Vec<Source>, usize) {
    let mut all: BTreeMap<String, Source> = BTreeMap::new();
    for watch in watches.values() {
        let Some(name) = watch.source() else {
            continue;
        };
        let source = all.entry(name.clone()).or_insert_with(|| Source {
            name,
            was_asked: false,
            failure: None,
            last_success: None,
            certificates: 0,
        });
        source.was_asked |= watch.up.is_some();
        source.certificates += watch.kept.len();
        source.last_success = match (source.last_success, watch.last_success()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        if let Some(failure) = &watch.failure
            && (source.failure.as_ref()).is_none_or(|first| failure.since < first.since)
        {
            source.failure = Some(failure.clone());
        }
    }
    let count = all.len();
    let all = all.into_values().collect();
    (first_sources(all), count)
}

/// Returns the first of these sources, failing ones first.
pub(in crate::serve) fn first_sources(mut all: Vec<Source>) -> Vec<Source> {
    all.sort_by(|a, b| {
        let order = |source: &Source| Reverse(source.failure.is_some());
        order(a).cmp(&order(b)).then_with(|| a.name.cmp(&b.name))
    });
    all.truncate(MAX_SOURCES);
    all
}

fn is_unknown(watch: &Watch) -> bool {
    let mut failures = watch.failures.iter();
    failures.any(|failed| targets_of_failed(&watch.entry, failed).is_empty())
}

#[cfg(test)]
mod tests {
    use certvigil_probe::io::SourceError;
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Entry, SourceSettings};
    use crate::instance::{Expectation, Expected, SourceKind};
    use crate::source::{Failed, Loaded};

    /// Entry: its source, the names of its certificates, those of its failures, and the age of its
    /// failure.
    type Drawn = (u8, Vec<u8>, Vec<u8>, Option<u8>);

    fn away(text: String) -> Arc<FetchError> {
        Arc::new(FetchError::File(SourceError::Unusable(text)))
    }

    fn watch((source, kept, failures, failure): &Drawn) -> Watch {
        let mut watch = Watch::new(Entry::new(match source % 40 {
            0 => SourceSettings::TrustOnly,
            1 => SourceSettings::Sslmate("a.example".into()),
            number => SourceSettings::Pem(vec![format!("/{number}.pem").into()]),
        }));
        let expected = Arc::new(Expected {
            source: SourceKind::Pem,
            what: Expectation::TrustOnly,
        });
        watch.kept.extend(kept.iter().map(|name| Kept {
            loaded: Arc::new(Loaded {
                name: format!("c{name}"),
                common_name: None,
                expected: expected.clone(),
                hostnames: Vec::new(),
                found: Vec::new(),
                awaited: None,
            }),
            fetched: Timestamp(i64::from(*name)),
            changed: None,
        }));
        watch.failures.extend(failures.iter().map(|name| Failed {
            name: format!("c{name}"),
            hostnames: Vec::new(),
            found: Vec::new(),
            error: away(name.to_string()),
            may_pass: true,
            is_gone: false,
        }));
        watch.failure = failure.map(|since| SourceFailure {
            since: Timestamp(since.into()),
            error: "away".into(),
        });
        watch
    }

    proptest! {
        /// The index has each certificate and each source once, as a search of all entries finds
        /// them.
        #[test]
        fn index_has_what_a_search_of_all_entries_finds(
            drawn in prop::collection::vec((any::<u8>(), prop::collection::vec(0_u8..40, 0..3), prop::collection::vec(0_u8..40, 0..2), prop::option::weighted(0.3, any::<u8>())), 0..60),
            targets in prop::collection::btree_set((0_u8..40, 0_u8..4), 0..40),
        ) {
            let watches = drawn.iter().enumerate();
            let watches: Watches = watches.map(|(at, one)| (format!("{at:03}").into(), Arc::new(watch(one)))).collect();
            let targets = targets.iter().map(|(name, host)| {
                let host = format!("h{host}.example").parse().unwrap();
                let target = Target::new(format!("c{name}"), host, 443, crate::model::Protocol::Https);
                let expectation = Err(away("not asked yet".to_owned()));
                (Arc::new(target), Planned { key: "one".into(), expectation })
            });
            let targets: BTreeMap<Arc<Target>, Planned> = targets.collect();
            let index = Index::new(&watches, &targets);
            let mut names: Vec<String> = (0..40).map(|name| format!("c{name}")).collect();
            names.sort();
            let mut found = index.iter(&watches);
            let mut without_targets = Vec::new();
            for name in &names {
                let mut all = watches.values();
                let first = all.find_map(|watch| {
                    let kept = watch.kept.iter().find(|kept| kept.loaded.name == *name);
                    let failed = || watch.failures.iter().find(|failed| failed.name == *name);
                    kept.map(Ok).or_else(|| Some(Err(&*failed()?.error)))
                });
                let fetched = |kept: Result<&Kept, &FetchError>| match kept {
                    Ok(kept) => Ok(kept.fetched),
                    Err(error) => Err(error.clone()),
                };
                let by_name = index.get(name, &watches).map(|named| (named.name, fetched(named.kept)));
                prop_assert_eq!(by_name, first.map(|kept| (&**name, fetched(kept))));
                if first.is_some() {
                    let named = found.next().unwrap();
                    let count = targets.keys().filter(|t| t.certificate == *name).count();
                    prop_assert_eq!((named.name, named.targets), (&**name, count));
                    without_targets.extend((count == 0).then_some(&**name));
                }
            }
            prop_assert!(found.next().is_none());
            prop_assert!(index.get("none", &watches).is_none());
            prop_assert_eq!(index.without_targets_count(), without_targets.len());
            prop_assert_eq!(index.without_targets(&watches).collect::<Vec<_>>(), without_targets);

            let mut sources: Vec<String> = watches.values().filter_map(|watch| watch.source()).collect();
            sources.sort();
            sources.dedup();
            prop_assert_eq!(index.source_count, sources.len());
            let of = |name: &str| watches.values().filter(move |w| w.source().as_deref() == Some(name)).collect::<Vec<_>>();
            let since = |name: &str| of(name).iter().filter_map(|w| Some(w.failure.as_ref()?.since)).min();
            sources.sort_by_key(|name| since(name).is_none());
            sources.truncate(MAX_SOURCES);
            prop_assert_eq!(index.sources.len(), sources.len());
            for (source, name) in index.sources.iter().zip(&sources) {
                prop_assert_eq!(&source.name, name);
                prop_assert_eq!(source.failure.as_ref().map(|f| f.since), since(name));
                let kept = of(name).iter().map(|w| w.kept.len()).sum::<usize>();
                prop_assert_eq!(source.certificates, kept);
                let last = of(name).iter().filter_map(|w| w.last_success()).min();
                prop_assert_eq!(source.last_success, last);
            }
        }
    }
}
