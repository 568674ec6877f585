//! Scans: resolve targets, probe them, recognize previous instances, and judge the results. All
//! commands and pages use this code, and its limits are defined here.

mod caught;
mod host_limits;
mod job;
mod judging;
mod locate;
pub(crate) mod names;
mod permits;
mod reread;
mod round;
mod stopped;
#[cfg(test)]
pub(crate) mod tests;
mod xmpp;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::judge::{Judged, together};
use crate::model::{KeyType, Target, Timestamp, Vantage};
use crate::observation::{Observation, ProbeError};
use crate::probe::Prober;
use crate::remote::Remote;
use crate::resolve::{AddressQuery, Resolution, Resolver};
use crate::revocation::Revocations;
use crate::source::Sources;
use crate::tlsa::TlsaLookup;

pub(crate) use caught::caught;
pub use host_limits::{MAX_DOMAIN_ADDRESSES, MAX_FOUND_HOSTS, MAX_HOST_ADDRESSES};
pub use job::{
    Job, KnownDns, OwnTrust, ProbeOptions, own_trust, prepare, targets, targets_of_failed,
};
pub use locate::{KnownPlaces, KnownPolicy, LocateTime, Located, locate};
pub use permits::{
    MAX_NAMES, MAX_ON_DEMAND_ADDRESSES, MAX_REMOTE_TESTS, Permits, TARGET_SHARE, TARGETS_PER_SLOT,
};
pub use reread::{Refreshed, Reread};
use round::{Event, Round};

/// Divisor of the probe timeout. The quotient is the maximum duration of name resolution.
const RESOLVE_SHARE: u32 = 2;

/// Dependencies of a scan other than its jobs. Cheap to clone.
#[derive(Clone)]
pub struct Scanner {
    /// Sources in which previous instances are looked up.
    pub sources: Arc<Sources>,
    /// Resolver of hostnames.
    pub resolver: Arc<Resolver>,
    /// Sender of the probes.
    pub prober: Arc<Prober>,
    /// True if the local vantage probes too.
    pub local: bool,
    /// Remote vantages.
    pub remotes: Arc<[Remote]>,
    /// Revocation checks of served certificates.
    pub revocations: Arc<Revocations>,
    /// Limits of concurrent work, shared by all scans that hold them.
    pub permits: Arc<Permits>,
}

/// Progress of a scan.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Number of targets that are done.
    Targets {
        /// Targets that are done.
        done: usize,
        /// All targets.
        targets: usize,
    },
    /// A probe was judged on its own. Comparisons between probes follow at the end.
    Judged(&'a Judged),
}

/// Results of a scan.
#[derive(Debug, Default)]
pub struct Scan {
    /// All judged probes, in a stable order.
    pub results: Vec<Judged>,
    /// True if the scan completed, false if it was stopped.
    pub complete: bool,
}

impl Scanner {
    /// Resolves the addresses of a host, in the share of the probe timeout for name resolution.
    pub async fn resolve(&self, query: &AddressQuery<'_>, timeout: Duration) -> Resolution {
        let deadline = Instant::now() + timeout / RESOLVE_SHARE;
        self.resolver.resolve(query, deadline).await
    }

    /// Queries the TLSA records of a target, in the same share of the timeout.
    async fn tlsa(&self, target: &Target, timeout: Duration) -> Result<TlsaLookup, ProbeError> {
        let deadline = Instant::now() + timeout / RESOLVE_SHARE;
        let (hostname, is_mail) = (&target.hostname, target.protocol.is_mail_transfer());
        let found = self.resolver.tlsa(hostname, target.port, is_mail, deadline);
        let found = found.await?;
        if let TlsaLookup::Known(tlsa) = &found {
            let count = tlsa.records.len();
            let word = if tlsa.authenticated {
                "says"
            } else {
                "does not say"
            };
            tracing::debug!(
                "{}: {count} TLSA records; the name server {word} that DNSSEC vouches for them",
                tlsa.name
            );
        }
        Ok(found)
    }

    /// Probes every target of the jobs and judges the results as of `now`, until all probes are
    /// done or `stop` completes. Returns the results so far.
    pub async fn scan(
        &self,
        jobs: Vec<Job>,
        now: Timestamp,
        stop: impl Future<Output = ()>,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Scan {
        let mut done = 0;
        let targets = jobs.iter().map(|job| job.targets.len()).sum();
        progress(Progress::Targets { done, targets });
        // Most targets have one result. A vector that grows would be copied several times.
        let mut results = Vec::with_capacity(targets);
        let on_event = |event| match event {
            Event::Judged(judged) => {
                progress(Progress::Judged(&judged));
                results.push(*judged);
            }
            Event::TargetDone => {
                done += 1;
                progress(Progress::Targets { done, targets });
            }
        };
        let (complete, rest) = self.run(jobs, now, stop, on_event).await;
        results.extend(rest);
        results.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        together(&mut results);
        Scan { results, complete }
    }

    /// Probes the targets of a job, and passes on each result as it arrives. It does not compare
    /// results. Returns true if the probe is complete.
    #[cfg(feature = "serve")]
    pub(crate) async fn probe(
        &self,
        job: Job,
        now: Timestamp,
        mut report: impl FnMut(Judged),
    ) -> bool {
        let on_event = |event| match event {
            Event::Judged(judged) => report(*judged),
            Event::TargetDone => {}
        };
        let never = std::future::pending();
        let (complete, _) = self.run(vec![job], now, never, on_event).await;
        complete
    }

    /// Probes every target until all are done or `stop` completes. Returns true if all are done,
    /// and the results that were not passed on.
    async fn run(
        &self,
        jobs: Vec<Job>,
        now: Timestamp,
        stop: impl Future<Output = ()>,
        mut on_event: impl FnMut(Event),
    ) -> (bool, Vec<Judged>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let round = Arc::new(Round {
            scanner: self.clone(),
            now,
            sender,
        });
        let is_single = is_single_target(&jobs);
        let mut tasks = JoinSet::new();
        let walk = caught(async {
            let walk = round.walk(jobs);
            match is_single {
                true => walk.await,
                false => {
                    tasks.spawn(walk);
                    while tasks.join_next().await.is_some() {}
                }
            }
        });
        tokio::pin!(walk, stop);
        let mut is_walking = true;
        let complete = loop {
            tokio::select! {
                event = receiver.recv() => match event {
                    Some(event) => on_event(event),
                    None => break true,
                },
                _ = &mut walk, if is_walking => is_walking = false,
                () = &mut stop => break false,
            }
        };
        let mut rest = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            if let Event::Judged(judged) = event {
                rest.push(*judged);
            }
        }
        (complete, rest)
    }
}

/// Returns true if there is one target. The caller's task probes it, because more tasks would wake
/// more threads.
fn is_single_target(jobs: &[Job]) -> bool {
    matches!(jobs, [job] if job.targets.len() == 1)
}

fn order(judged: &Judged) -> (&Target, Option<IpAddr>, KeyType, &Vantage) {
    let Observation {
        target,
        ip,
        key_type,
        vantage,
        ..
    } = &judged.observation;
    (target, *ip, *key_type, vantage)
}
