//! Rounds of probes: one, or several until all targets are healthy.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::error::Error;
use crate::cli::plan;
use crate::cli::progress::{Reporter, is_ok};
use crate::cli::{now, output};
use crate::model::{Hostname, Timestamp, and_more, did_you_mean};
use crate::report::Gap;
use crate::resolve::Override;
use crate::scan::{Job, Scan, prepare};
use crate::source::FetchError;

use super::Args;
use super::setup::Plan;

/// Source timeout as a multiple of the probe timeout. A source is fetched only once and may need
/// several requests.
const SOURCE_PATIENCE: u32 = 3;

/// Probes once, or repeats until all targets are healthy or `give_up` is reached.
pub(super) async fn until_ok(
    args: &Args,
    plan: &Plan,
    give_up: Option<Instant>,
    reporter: &mut Reporter,
) -> Result<Seen, Error> {
    let stop = plan::stop();
    tokio::pin!(stop);
    let over = || give_up.is_none_or(|end| Instant::now() >= end);
    let (mut known, mut is_clock_told) = (None, false);
    loop {
        let now = args.at.map_or_else(now, |at| at.from(now()));
        let last = over();
        let round = match plan.round(now, last, &mut stop, reporter).await {
            Err(error) if known.is_some() => {
                output::note(&error.to_string());
                return Ok(what_is_known(known, now));
            }
            round => round?,
        };
        if let Some(warning) = plan.scanner.sources.clock_warning(crate::cli::now())
            && !std::mem::replace(&mut is_clock_told, true)
        {
            tracing::warn!("{warning}");
        }
        match round {
            Round::Probed(seen) => {
                let results = &seen.scan.results;
                let all_ok = !results.is_empty() && results.iter().all(is_ok);
                // A round may take longer than the time that was left when it began.
                if all_ok && seen.failures.is_empty() || !seen.scan.complete || last || over() {
                    return Ok(seen);
                }
                match all_ok {
                    true => reporter.wait_for_source(Instant::now()),
                    false => reporter.wait_for(&seen.scan.results, Instant::now()),
                }
                known = Some(seen);
            }
            Round::NotYet => reporter.wait_for_source(Instant::now()),
            Round::Stopped => return Ok(what_is_known(known, now)),
        }
        // The last attempt is at the end of the time, even if less is left than the pause.
        let left = give_up.map(|end| end.saturating_duration_since(Instant::now()));
        let every = left.map_or(args.every, |left| left.min(args.every));
        if !pause(every, &mut stop).await {
            return Ok(what_is_known(known, now));
        }
    }
}

/// Outcome of one attempt.
enum Round {
    /// All targets were probed, or those that were probed before the user interrupted.
    Probed(Seen),
    /// The only source failed to return the expected certificate, and there is time to retry.
    NotYet,
    /// The user interrupted before any target was probed.
    Stopped,
}

/// Results of one round of probes.
pub(super) struct Seen {
    pub(super) scan: Scan,
    /// Time as of which the results were judged.
    pub(super) now: Timestamp,
    /// Errors of the sources that failed and name no host. They have no row in the result, so the
    /// rows alone do not show that something is unknown.
    pub(super) failures: Vec<Arc<FetchError>>,
}

impl Seen {
    /// Returns the reason why results are missing, if they are.
    pub(super) fn gap(&self) -> Option<Gap> {
        if !self.scan.complete {
            return Some(Gap::Interrupted);
        }
        let first = output::without_secrets(&self.failures.first()?.to_string());
        Some(Gap::Source(and_more([first], self.failures.len())))
    }
}

/// Returns the previous round, or an empty one, marked as incomplete, if the run ends between two
/// rounds.
fn what_is_known(known: Option<Seen>, now: Timestamp) -> Seen {
    let mut seen = known.unwrap_or_else(|| Seen {
        scan: Scan {
            results: Vec::new(),
            complete: false,
        },
        now,
        failures: Vec::new(),
    });
    seen.scan.complete = false;
    seen
}

/// Waits for the next attempt. Returns false if the user interrupts.
async fn pause(duration: Duration, stop: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the user requests the pause")]
    let slept = tokio::time::sleep(duration);
    tokio::select! {
        () = slept => true,
        () = stop => false,
    }
}

impl Plan {
    /// Fetches from the sources, probes all targets and judges the results, once.
    async fn round(
        &self,
        now: Timestamp,
        last: bool,
        stop: &mut (impl Future<Output = ()> + Unpin),
        reporter: &mut Reporter,
    ) -> Result<Round, Error> {
        let entries: Vec<_> = self
            .inventory
            .certificates
            .iter()
            .filter(|e| self.selection.may_want(e))
            .collect();
        let patience = self.options.timeout * SOURCE_PATIENCE;
        let mut jobs = tokio::select! {
            jobs = prepare(
                &self.scanner.sources,
                &self.scanner.resolver,
                &entries,
                &self.options,
                patience,
            ) => jobs,
            () = &mut *stop => return Ok(Round::Stopped),
        };
        let failed = jobs.iter().find_map(|job| job.expectation.as_ref().err());
        // A failed source also ends the run if there is no other target.
        let alone = self.alone || jobs.iter().all(|job| job.targets.is_empty());
        if let (true, Some(error)) = (alone, failed) {
            return if last {
                Err(Error::Fetch(error.clone()))
            } else {
                Ok(Round::NotYet)
            };
        }
        for error in jobs.iter().filter_map(|job| job.expectation.as_ref().err()) {
            tracing::error!("{error}");
        }
        let targets = jobs.iter().flat_map(|job| &job.targets);
        if let Some(text) = self.selection.not_found(targets) {
            return Err(self.not_in_the_inventory(text, &jobs));
        }
        // With TARGETs, `not_found` has already checked that each exists.
        let is_everything = self.selection.is_everything();
        let failures = jobs
            .iter()
            .filter(|job| is_everything && job.targets.is_empty())
            .filter_map(|job| job.expectation.as_ref().err().cloned())
            .collect();
        for job in &mut jobs {
            job.targets.retain(|target| self.selection.wants(target));
        }
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            report_what_is_not_probed(&self.overrides, &jobs);
        }
        reporter.begin();
        let scan = self
            .scanner
            .scan(jobs, now, stop, |step| reporter.step(step, now));
        let scan = scan.await;
        Ok(Round::Probed(Seen {
            scan,
            now,
            failures,
        }))
    }

    fn not_in_the_inventory(&self, text: &str, jobs: &[Job]) -> Error {
        // Entries whose source was not fetched are named in the configuration file.
        let entries = &self.inventory.certificates;
        let mut known: Vec<String> = entries.iter().filter_map(|e| e.name.clone()).collect();
        let hostnames = entries.iter().flat_map(|e| &e.hostnames);
        known.extend(hostnames.map(ToString::to_string));
        for target in jobs.iter().flat_map(|job| &job.targets) {
            known.extend([target.certificate.clone(), target.hostname.to_string()]);
        }
        Error::NotInInventory {
            text: text.to_owned(),
            near: did_you_mean(text, known.iter().map(String::as_str)),
        }
    }
}

/// Logs the names of certificates that are no hosts, and the `--resolve` entries that no target has.
fn report_what_is_not_probed(overrides: &[Override], jobs: &[Job]) {
    for loaded in jobs.iter().filter_map(|job| job.expectation.as_ref().ok()) {
        let instances = loaded.expected.instances();
        let leaf = instances.and_then(|i| i.expected.leaf.facts().ok());
        let names = leaf.into_iter().flat_map(|facts| &facts.sans);
        let skipped = names
            .map(ToString::to_string)
            .filter(|name| name.parse::<Hostname>().is_err());
        for name in skipped {
            let why = match name.starts_with("*.") {
                true => "a wildcard is not a host",
                false => "it is not a host name",
            };
            tracing::info!("name of the certificate not probed: {why}: `{name}`");
        }
    }
    let is_unused = |one: &&Override| {
        let mut targets = jobs.iter().flat_map(|job| &job.targets);
        !targets.any(|target| {
            target.port == one.port && one.hostname.as_ref().is_none_or(|h| *h == target.hostname)
        })
    };
    for unused in overrides.iter().filter(is_unused) {
        tracing::info!("--resolve entry not used, no target has its host and port: `{unused}`");
    }
}
