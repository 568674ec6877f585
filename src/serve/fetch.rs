//! Requests to the source of an entry.

use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Entry;
use crate::observation::ProbeError;
use crate::scan::{KnownPlaces, LocateTime, locate};
use crate::source::{Failed, FetchError, KnownInstances, Loaded};

use super::runtime::Runtime;
use super::state::Fetched;

/// Maximum duration of a request, in probe timeouts. For an account, each certificate has this
/// limit.
const TIMEOUTS: u32 = 3;

impl Fetched {
    /// Returns a result without the mail hosts.
    pub(super) fn alone(answer: Result<Loaded, Failed>) -> Self {
        Self {
            answers: vec![answer],
            known_places: None,
        }
    }
}

/// Fetches all certificates of an entry's source, or one; `known` are the mail hosts of its
/// domains, and `instances` the last results of an account.
pub(super) async fn fetch(
    entry: &Entry,
    only: Option<&str>,
    known: &KnownPlaces,
    instances: &Arc<KnownInstances>,
    runtime: &Runtime,
) -> Fetched {
    let (scanner, patience) = (&runtime.scanner, runtime.options.timeout * TIMEOUTS);
    let sources = &scanner.sources;
    if let Some(cn) = only {
        let one = sources.load_certificate(entry, cn, instances, patience);
        return Fetched::alone(one.await);
    }
    let mut answers = Vec::new();
    let time = LocateTime {
        lookup: runtime.options.of(entry).timeout,
        deadline: Instant::now() + patience,
    };
    let located = locate(entry, known, &scanner.resolver, sources, time).await;
    for (entry, failure) in located.entries {
        match failure {
            None => answers.extend(sources.load_knowing(&entry, instances, patience).await),
            Some(error) => answers.push(Err(unlocated(&entry, error))),
        }
    }
    Fetched {
        answers,
        known_places: Some(located.known),
    }
}

/// Returns the failure that stands for the hosts of a domain or service if their lookup failed.
fn unlocated(entry: &Entry, error: ProbeError) -> Failed {
    let hostnames = entry.hostnames.clone();
    let domain = hostnames.first().map(ToString::to_string);
    Failed {
        name: entry.name.clone().or(domain).unwrap_or_default(),
        found: entry.found.clone(),
        hostnames,
        may_pass: true,
        is_gone: error.is_dns_answer(),
        error: Arc::new(FetchError::Hosts(error)),
    }
}
