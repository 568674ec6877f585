//! What the source of an entry says, or why it says nothing.

use tokio::time::Instant;

use crate::config::Entry;
use crate::observation::LookError;
use crate::scan::locate;
use crate::source::{Failed, Loaded};

use super::engine::Engine;

/// A source may take this many times what a look may, and so may each certificate of a whole account.
const SOURCE_PATIENCE: u32 = 3;

/// Asks the source of an entry for everything, or for one certificate.
pub(super) async fn ask(
    entry: &Entry,
    only: Option<&str>,
    engine: &Engine,
) -> Vec<Result<Loaded, Failed>> {
    let (scanner, patience) = (&engine.scanner, engine.manner.timeout * SOURCE_PATIENCE);
    let sources = &scanner.sources;
    if let Some(cn) = only {
        return vec![sources.load_certificate(entry, cn, patience).await];
    }
    let mut said = Vec::new();
    let deadline = Instant::now() + patience;
    for (entry, failure) in locate(entry, &scanner.resolver, deadline).await {
        match failure {
            None => said.extend(sources.load(&entry, patience).await),
            Some(error) => said.push(Err(unlocated(&entry, &error))),
        }
    }
    said
}

/// The mail hosts of a domain that are not known: they stay what they were, and the domain stands for them
/// where they never were known.
fn unlocated(entry: &Entry, error: &LookError) -> Failed {
    let hostnames = entry.hostnames.clone();
    let domain = hostnames.first().map(ToString::to_string);
    Failed {
        name: entry.name.clone().or(domain).unwrap_or_default(),
        error: format!("the mail hosts are not known: {error}"),
        hostnames,
        may_pass: true,
    }
}
