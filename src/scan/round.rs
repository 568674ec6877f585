//! A running scan: finds the addresses of each target, probes each address, and judges each probe.

mod addresses;
mod judge;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ech::EchParameter;
use crate::judge::Judged;
use crate::model::{Hostname, KeyType, Target, Timestamp, Timings, Vantage};
use crate::observation::{Ech, ErrorKind, Observation, Outcome, ProbeError, Status};
use crate::probe::Request;
use crate::source::Loaded;

use super::stopped::repeat_if_stopped;
use super::{Job, Scanner, TARGETS_PER_SLOT, caught, is_single_target};
use addresses::Found;

/// Timeout of a remote test as a multiple of the probe timeout. A remote test runs many probes.
const REMOTE_PATIENCE: u32 = 3;
/// Maximum hostnames in one remote test. They are in its URL, whose length is limited.
const HOSTS_PER_TEST: usize = 50;

/// A running scan.
pub(super) struct Round {
    pub(super) scanner: Scanner,
    pub(super) now: Timestamp,
    pub(super) sender: mpsc::UnboundedSender<Event>,
}

/// Targets whose probes have not started.
struct Queue {
    jobs: std::vec::IntoIter<Job>,
    /// The job that has started, and the rest of its targets.
    current: Option<(Arc<Job>, std::vec::IntoIter<Arc<Target>>)>,
    /// Tests of the started jobs by remote vantages.
    remote_tests: JoinSet<()>,
}

impl Queue {
    fn new(jobs: Vec<Job>) -> Self {
        Self {
            jobs: jobs.into_iter(),
            current: None,
            remote_tests: JoinSet::new(),
        }
    }

    /// Returns the next target. Remote tests of its job start with its first target.
    fn next(&mut self, round: &Arc<Round>) -> Option<(Arc<Job>, Arc<Target>)> {
        loop {
            if let Some((job, targets)) = &mut self.current
                && let Some(target) = targets.next()
            {
                return Some((job.clone(), target));
            }
            let mut job = self.jobs.next()?;
            let targets = std::mem::take(&mut job.targets);
            let job = Arc::new(job);
            round.ask_remotes(&job, &targets, &mut self.remote_tests);
            self.current = Some((job, targets.into_iter()));
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Event of a running scan.
pub(super) enum Event {
    /// A probe was judged.
    Judged(Box<Judged>),
    /// All probes of one more target were judged.
    TargetDone,
}

impl Round {
    /// Probes every target of the jobs.
    pub(super) async fn walk(self: Arc<Self>, jobs: Vec<Job>) {
        let is_single = is_single_target(&jobs);
        let targets: usize = jobs.iter().map(|job| job.targets.len()).sum();
        let queue = Arc::new(Mutex::new(Queue::new(jobs)));
        if is_single {
            self.probe_targets(&queue).await;
        } else {
            // Tasks for all targets would each have memory of their own.
            let slots = self.scanner.permits.slots();
            let mut tasks = JoinSet::new();
            for _ in 0..targets.min(slots.saturating_mul(TARGETS_PER_SLOT)) {
                let (round, queue) = (self.clone(), queue.clone());
                tasks.spawn(async move { round.probe_targets(&queue).await });
            }
            while tasks.join_next().await.is_some() {}
        }
        let mut remote_tests = std::mem::take(&mut lock(&queue).remote_tests);
        while remote_tests.join_next().await.is_some() {}
    }

    /// Probes targets until the queue is empty.
    async fn probe_targets(self: &Arc<Self>, queue: &Mutex<Queue>) {
        loop {
            let next = lock(queue).next(self);
            let Some((job, target)) = next else { return };
            self.probe_target(&job, target).await;
        }
    }

    /// Probes one target at all of its addresses.
    async fn probe_target(self: &Arc<Self>, job: &Arc<Job>, target: Arc<Target>) {
        if let Hostname::File(path) = &target.hostname {
            self.probe_file(job, &target, path).await;
            let _ = self.sender.send(Event::TargetDone);
            return;
        }
        match caught(self.find(job, &target)).await {
            Some(Some(found)) => self.probe_all(job, target, found).await,
            Some(None) => {}
            None => {
                for &key_type in job.key_types.each() {
                    self.report_internal_error(job, |outcome| unplaced(&target, key_type, outcome));
                }
            }
        }
        let _ = self.sender.send(Event::TargetDone);
    }

    /// Reads the certificates of a file, and judges them as those of a server.
    async fn probe_file(&self, job: &Job, target: &Arc<Target>, path: &Path) {
        if !self.scanner.local {
            return;
        }
        let seen = |outcome| unplaced(target, KeyType::Any, outcome);
        let judged = caught(async {
            let outcome = match &job.expectation {
                Err(error) => {
                    Outcome::Failed(ProbeError::new(ErrorKind::Internal, error.to_string()))
                }
                Ok(_) => {
                    let _permit = self.scanner.permits.name().await;
                    let patience = job.options.timeout;
                    self.scanner.sources.probe_file(path, patience).await
                }
            };
            self.judge(job, seen(outcome), None).await;
        });
        if judged.await.is_none() {
            self.report_internal_error(job, seen);
        }
    }

    fn ask_remotes(
        self: &Arc<Self>,
        job: &Arc<Job>,
        targets: &[Arc<Target>],
        tasks: &mut JoinSet<()>,
    ) {
        if self.scanner.remotes.is_empty() {
            return;
        }
        let Ok(loaded) = &job.expectation else { return };
        let mut by_port: HashMap<u16, Vec<Arc<Target>>> = HashMap::new();
        for target in targets.iter().filter(|t| is_for_remotes(t)) {
            by_port.entry(target.port).or_default().push(target.clone());
        }
        for at in 0..self.scanner.remotes.len() {
            let requests = by_port.values().flat_map(|t| t.chunks(HOSTS_PER_TEST));
            for targets in requests {
                let (round, job, targets) = (self.clone(), job.clone(), targets.to_vec());
                let loaded = loaded.clone();
                tasks.spawn(async move {
                    let Some(remote) = round.scanner.remotes.get(at) else {
                        return;
                    };
                    let vantage = remote.vantage();
                    let _permit = round.scanner.permits.remote_test(vantage).await;
                    let patience = job.options.timeout * REMOTE_PATIENCE;
                    let test = async |loaded: &Loaded| {
                        let deadline = Instant::now() + patience;
                        remote.test(loaded, &targets, deadline).await
                    };
                    let judged = caught(async {
                        let mut observations = test(&loaded).await;
                        // A vantage compares with the certificate that its request has.
                        let mut readings = observations.iter();
                        let current = match readings.find_map(|o| job.reread_for(o)) {
                            Some(reading) => job.refreshed(reading.await),
                            None => None,
                        };
                        if let Some(job) = &current
                            && let Ok(loaded) = &job.expectation
                        {
                            observations = test(loaded).await;
                        }
                        let job = current.as_deref().unwrap_or(&job);
                        for observation in observations {
                            round.judge_alone(job, observation, None).await;
                        }
                    });
                    if judged.await.is_none() {
                        for target in &targets {
                            round.report_internal_error(&job, |outcome| Observation {
                                vantage: remote.vantage().clone(),
                                ..unplaced(target, KeyType::Any, outcome)
                            });
                        }
                    }
                });
            }
        }
    }

    async fn probe_all(self: &Arc<Self>, job: &Arc<Job>, target: Arc<Target>, found: Found) {
        // Most targets have one probe, which needs no task beside its target's.
        if let ([ip], [key_type]) = (found.addresses.as_slice(), job.key_types.each()) {
            return self
                .probe_address(job, &target, &found, *ip, *key_type)
                .await;
        }
        let found = Arc::new(found);
        let mut probes = JoinSet::new();
        // A name with many unresponsive addresses must leave connection slots to other targets.
        let permits = Arc::new(Semaphore::new(self.scanner.permits.slots_of_target()));
        for &ip in &found.addresses {
            for &key_type in job.key_types.each() {
                let wait = self.scanner.permits.wait(job.due);
                let Ok(permit) = permits.clone().acquire_owned().await else {
                    return;
                };
                drop(wait);
                let (round, job) = (self.clone(), job.clone());
                let (target, found) = (target.clone(), found.clone());
                probes.spawn(async move {
                    round
                        .probe_address(&job, &target, &found, ip, key_type)
                        .await;
                    drop(permit);
                });
                while probes.try_join_next().is_some() {}
            }
        }
        while probes.join_next().await.is_some() {}
    }

    async fn probe_address(
        &self,
        job: &Job,
        target: &Arc<Target>,
        found: &Found,
        ip: IpAddr,
        key_type: KeyType,
    ) {
        let seen = |timings, outcome| Observation {
            target: target.clone(),
            ip: Some(ip),
            key_type,
            vantage: Vantage::local(),
            timings: Timings {
                resolve: found.took,
                ..timings
            },
            outcome,
        };
        let judged = caught(async {
            let request = Request {
                target,
                address: SocketAddr::new(ip, target.port),
                key_type,
                reach: &job.reach,
            };
            let (outcome, timings) = self.probe(job, request, found.ech_at(ip), found.left).await;
            if let Outcome::Failed(error) = &outcome
                && found.hinted.contains(&ip)
                && error.kind.status() == Status::ConnectError
            {
                // Clients go on with the next address (RFC 9460, section 7.3).
                tracing::warn!(
                    "an address of the HTTPS record does not respond: hostname={} ip={ip} error=\"{error}\"",
                    target.hostname
                );
                return;
            }
            let observation = seen(timings, outcome);
            self.judge(job, observation, Some(&found.tlsa)).await;
        });
        if judged.await.is_none() {
            self.report_internal_error(job, |outcome| seen(Timings::default(), outcome));
        }
    }

    /// Reports a panic in one probe as a failure of that probe only.
    fn report_internal_error(&self, job: &Job, seen: impl FnOnce(Outcome) -> Observation) {
        let error = ProbeError::new(
            ErrorKind::Internal,
            "the probe failed because of a bug in certvigil; please report it",
        );
        let mut failed = Judged::failed(seen(Outcome::Failed(error.clone())), error);
        failed.annotate(&job.notes, self.now);
        let _ = self.sender.send(Event::Judged(Box::new(failed)));
    }

    /// Waits for the permits, and probes. Offers Encrypted Client Hello too if there is a parameter for
    /// it. The timeout begins after the permits.
    async fn probe(
        &self,
        job: &Job,
        request: Request<'_>,
        ech: Option<&Arc<EchParameter>>,
        timeout: Duration,
    ) -> (Outcome, Timings) {
        let permits = &self.scanner.permits;
        let wait = permits.wait(job.due);
        let _of_entry = match &job.shared_by {
            Some(key) => permits.entry(key).await,
            None => None,
        };
        let _permit = permits.probe(request.address).await;
        drop(wait);
        #[cfg(test)]
        super::tests::panic_on_bad_address(&request);
        let probe = || async {
            let deadline = Instant::now() + timeout;
            let prober = &self.scanner.prober;
            let (mut outcome, timings) = prober.probe(request, deadline).await;
            if let (Outcome::Served(served), Some(parameter)) = (&mut outcome, ech)
                && served.failure.is_none()
            {
                // Boxed, because few probes need it.
                let offered = Box::pin(prober.offer_ech(parameter, request, deadline)).await;
                served.ech = offered.map(Box::new);
            }
            (outcome, timings)
        };
        // A served certificate is a result whenever it arrived.
        let is_in_doubt = |(outcome, _): &(Outcome, Timings)| match outcome {
            Outcome::Failed(_) => true,
            Outcome::Served(served) => matches!(served.ech.as_deref(), Some(Ech::Failed { .. })),
            Outcome::Reported(_) => false,
        };
        repeat_if_stopped(probe, is_in_doubt).await
    }
}

/// Returns true if a remote vantage can probe the target. A remote test supports TCP only, and
/// matches the host name.
fn is_for_remotes(target: &Target) -> bool {
    !target.protocol.is_quic() && !target.is_file() && target.names.is_empty()
}

/// Returns the observation of a local probe that has no address.
fn unplaced(target: &Arc<Target>, key_type: KeyType, outcome: Outcome) -> Observation {
    Observation {
        target: target.clone(),
        ip: None,
        key_type,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome,
    }
}
