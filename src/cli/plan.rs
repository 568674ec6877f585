//! Builds the inventory from flags and files: expected certificates and their servers.

mod entries;
mod forms;
mod include;
mod selection;
mod zone;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::config::Inventory;
use crate::model::{RevocationCheck, Timestamp};
use crate::probe::{Prober, Reaches};
use crate::resolve::Resolver;
use crate::revocation::Revocations;
use crate::scan::{Permits, ProbeOptions, Scan, Scanner, own_trust, prepare};
use crate::source::{Environment, Sources, TargetFiles};
use crate::trust;

use super::error::{Error, FlagsError, InventoryError};
use super::{limits, output};

#[cfg(feature = "serve")]
pub(super) use entries::add_trust_only;
pub(super) use entries::{Wanted, entries, entries_of, entries_of_files, narrowed};
pub(super) use forms::{Mail, Targets};
pub(super) use selection::Selection;
pub(super) use zone::report_zones;

/// Maximum size of a configuration file, in bytes.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Reads and validates a configuration file and the files that it includes. The error has one line
/// for each problem.
pub(super) fn read_inventory(file: &Path) -> Result<Inventory, InventoryError> {
    let parsed = crate::config::parse(&read_text(file)?, file);
    let mut inventory = parsed.map_err(|e| InventoryError::Invalid(e.to_string().into()))?;
    include::add_included(&mut inventory, file)?;
    for warning in crate::config::warnings(&inventory) {
        tracing::warn!("{}: {warning}", file.display());
    }
    Ok(inventory)
}

/// Reads an inventory and its files of targets. Returns an error if one of the files cannot be read.
pub(super) fn read_inventory_and_targets(file: &Path) -> Result<Inventory, InventoryError> {
    let mut inventory = read_inventory(file)?;
    let defaults = &inventory.defaults;
    let targets = TargetFiles::read(&inventory.file_sd, defaults, None, super::now());
    let errors = targets.errors();
    if !errors.is_empty() {
        return Err(InventoryError::Files(errors));
    }
    inventory.certificates.extend(targets.entries().cloned());
    Ok(inventory)
}

/// Reads the text of a configuration file.
fn read_text(file: &Path) -> Result<String, InventoryError> {
    let unreadable = |error| InventoryError::Unreadable {
        file: file.to_owned(),
        error,
    };
    let bytes = certvigil_probe::io::read_up_to(file, MAX_CONFIG_BYTES).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(InventoryError::TooLarge {
            file: file.to_owned(),
            limit: MAX_CONFIG_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|e| InventoryError::NotUtf8 {
        file: file.to_owned(),
        byte: e.utf8_error().valid_up_to() + 1,
    })
}

/// Creates the scanner of the local vantage. The limit of concurrent probes is reduced if there are
/// too few file descriptors.
pub(super) fn scanner(
    sources: Sources,
    resolver: Resolver,
    inventory: &Inventory,
    concurrency: usize,
) -> Result<Scanner, Error> {
    let mut entries = inventory.certificates.iter();
    let asks_issuers = entries.any(|e| e.revocation >= RevocationCheck::Crl);
    let concurrency = limits::concurrency_of_check(concurrency, asks_issuers);
    Ok(Scanner {
        revocations: Arc::new(Revocations::new(sources.http_for_others())),
        sources: Arc::new(sources),
        resolver: Arc::new(resolver),
        prober: Arc::new(Prober::new().map_err(Error::resource)?),
        local: true,
        remotes: Arc::default(),
        permits: Arc::new(Permits::new(concurrency, inventory.defaults.per_address)),
    })
}

/// Returns how the inventory's targets are probed and judged.
pub(super) fn options(inventory: &Inventory) -> Result<ProbeOptions, Error> {
    let reaches = Reaches::load(inventory.certificates.iter().map(|entry| &*entry.reach));
    Ok(ProbeOptions {
        timeout: inventory.defaults.timeout,
        trust: Arc::new(trust::load(&inventory.trust).map_err(Error::resource)?),
        reaches: Arc::new(reaches.map_err(Error::resource)?),
        own_trust: own_trust(&inventory.trust, &inventory.certificates).map_err(Error::resource)?,
    })
}

/// Fetches from the sources and probes all targets of the inventory once.
///
/// # Errors
/// If a source failed, or the user interrupted before any target was probed.
pub(super) async fn probe_once(
    scanner: &Scanner,
    inventory: &Inventory,
    options: &ProbeOptions,
    now: Timestamp,
) -> Result<Scan, Error> {
    let entries: Vec<_> = inventory.certificates.iter().collect();
    let jobs = prepare(
        &scanner.sources,
        &scanner.resolver,
        &entries,
        options,
        options.timeout,
    );
    let stop = stop();
    tokio::pin!(stop);
    let jobs = tokio::select! {
        jobs = jobs => jobs,
        () = &mut stop => return Err(Error::Interrupted),
    };
    if let Some(error) = jobs.iter().find_map(|job| job.expectation.as_ref().err()) {
        return Err(Error::Fetch(error.clone()));
    }
    let scan = scanner.scan(jobs, now, &mut stop, |_| {}).await;
    if !scan.complete {
        output::note("interrupted: the result is incomplete");
    }
    Ok(scan)
}

/// Returns a future that completes when the user interrupts: SIGINT or SIGTERM. From this call on, they
/// do not end the process.
#[cfg(unix)]
pub(super) fn stop() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async move {
        let [interrupted, terminated] = signals.map(async |signal| match signal {
            Ok(mut signal) => drop(signal.recv().await),
            // Without a handler, there is nothing to wait for.
            Err(_) => std::future::pending().await,
        });
        tokio::select! {
            () = interrupted => {}
            () = terminated => {}
        }
    }
}

/// Returns a future that completes when the user interrupts.
#[cfg(not(unix))]
pub(super) async fn stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Parses a comma-separated list of vantage names.
pub(super) fn vantage_names(text: &str) -> Result<BTreeSet<String>, FlagsError> {
    let names: BTreeSet<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(FlagsError::EmptyVantage(text.to_owned()));
    }
    Ok(names)
}

/// Returns the process environment, for reading credentials.
pub(super) fn environment() -> Environment<'static> {
    Environment {
        variable: &|name| std::env::var(name).ok(),
        home: std::env::home_dir(),
    }
}
