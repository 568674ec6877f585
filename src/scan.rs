//! The one path from a target to a judged result: resolve, look, tell older instances apart, judge.
//! Every face goes through it, and its bounds live here.

mod caught;
mod job;
mod judging;
pub(crate) mod names;
mod permits;
mod round;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::judge::{Judged, together};
use crate::look::Looker;
use crate::model::{Hostname, KeyType, Target, Timestamp, Vantage};
use crate::observation::{LookError, Observation};
use crate::remote::Remote;
use crate::resolve::{AddressQuery, Resolution, Resolver};
use crate::revocation::Revocations;
use crate::source::Sources;
use crate::tlsa::Tlsa;

pub(crate) use caught::caught;
pub use job::{Job, Located, MailHosts, Manner, locate, prepare, targets, targets_of_failed};
pub use permits::{
    MAX_NAMES, MAX_ON_DEMAND_ADDRESSES, MAX_REMOTE_TESTS, Permits, TARGETS_PER_SLOT,
};
use round::{Event, Round};

/// The share of the time for one look that resolving its name may take.
const RESOLVE_SHARE: u32 = 2;

/// Everything that a scan needs beside its jobs. Cheap to clone.
#[derive(Clone)]
pub struct Scanner {
    /// Asked for older instances.
    pub sources: Arc<Sources>,
    /// Names to addresses.
    pub resolver: Arc<Resolver>,
    /// Takes the looks.
    pub looker: Arc<Looker>,
    /// Whether to look ourselves.
    pub local: bool,
    /// Further places to look from.
    pub remotes: Arc<[Remote]>,
    /// Asks whether what is served has been revoked.
    pub revocations: Arc<Revocations>,
    /// Limits of concurrent work, which all scans that share them keep together.
    pub permits: Arc<Permits>,
}

/// What happens along a scan.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// How far it is.
    Targets {
        /// Targets that are done.
        done: usize,
        /// Targets in all.
        targets: usize,
    },
    /// A look was judged on its own; what needs several looks is judged at the end.
    Judged(&'a Judged),
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Every look, judged, in a stable order.
    pub results: Vec<Judged>,
    /// Whether it went through, or was stopped before its end.
    pub complete: bool,
}

impl Scanner {
    /// The addresses of a host, in the share of a look's time that this may take.
    pub async fn resolve(&self, query: &AddressQuery<'_>, timeout: Duration) -> Resolution {
        let deadline = Instant::now() + timeout / RESOLVE_SHARE;
        self.resolver.resolve(query, deadline).await
    }

    /// The TLSA records of a name for a port, in the same share of the time.
    async fn tlsa(
        &self,
        hostname: &Hostname,
        port: u16,
        timeout: Duration,
    ) -> Result<Option<Arc<Tlsa>>, LookError> {
        let deadline = Instant::now() + timeout / RESOLVE_SHARE;
        let found = self.resolver.tlsa(hostname, port, deadline).await?;
        Ok(found.map(|tlsa| {
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
            Arc::new(tlsa)
        }))
    }

    /// Looks at every target of the jobs and judges what is seen, as of `now`, until all is done or
    /// `stop` is. What is known by then is the result.
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
        let mut results = Vec::new();
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
        results.sort_by(|a, b| order(a).cmp(&order(b)));
        together(&mut results);
        Scan { results, complete }
    }

    /// Probes the targets of a job, and hands over each result when it is there. It compares no results. Returns true if
    /// the probe is complete.
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

    /// Probes every target until all is done or `stop` is. Returns true if all is done, and the results that were not
    /// handed over.
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

/// Returns true if there is one target. It is probed by the task of the caller: more tasks would wake more threads.
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
