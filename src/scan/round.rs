//! A running scan: finds the addresses of each target, probes each address, and judges each probe.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::certificate::Certificate;
use crate::instance::{Expectation, Expected};
use crate::judge::{DnsFacts, Judged, Signatures};
use crate::model::{
    Hostname, KeyType, Protocol, RevocationCheck, Target, Timestamp, Timings, Vantage,
};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError, Status};
use crate::probe::Request;
use crate::resolve::{AddressQuery, Resolution};
use crate::source::Loaded;
use crate::tlsa::{DaneCheck, TlsaLookup};

use super::job::mail_domains;
use super::judging::Judging;
use super::{Job, Scanner, TARGETS_PER_SLOT, caught, is_single_target};

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

/// Event of a running scan.
pub(super) enum Event {
    /// A probe was judged.
    Judged(Box<Judged>),
    /// All probes of one more target were judged.
    TargetDone,
}

/// Facts about a target that are needed before it is probed.
struct Found {
    addresses: Vec<IpAddr>,
    /// Those of the addresses that only HTTPS records give.
    hinted: Vec<IpAddr>,
    tlsa: TlsaLookup,
    /// Duration of the name resolution.
    took: Option<Duration>,
    /// Time that remains for each probe.
    left: Duration,
}

impl Round {
    /// Probes every target of the jobs.
    pub(super) async fn walk(self: Arc<Self>, jobs: Vec<Job>) {
        let permits = Arc::new(Semaphore::new(
            self.scanner
                .permits
                .slots()
                .saturating_mul(TARGETS_PER_SLOT)
                .min(Semaphore::MAX_PERMITS),
        ));
        let mut tasks = JoinSet::new();
        let is_single = is_single_target(&jobs);
        for mut job in jobs {
            let targets = std::mem::take(&mut job.targets);
            let job = Arc::new(job);
            self.ask_remotes(&job, &targets, &mut tasks);
            for target in targets {
                if is_single {
                    self.probe_target(&job, target).await;
                    continue;
                }
                let Ok(permit) = permits.clone().acquire_owned().await else {
                    return;
                };
                let (round, job) = (self.clone(), job.clone());
                tasks.spawn(async move {
                    round.probe_target(&job, target).await;
                    drop(permit);
                });
                // Frees finished tasks along the way.
                while tasks.try_join_next().is_some() {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Probes one target at all of its addresses.
    async fn probe_target(self: &Arc<Self>, job: &Arc<Job>, target: Target) {
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
    async fn probe_file(&self, job: &Job, target: &Target, path: &Path) {
        if !self.scanner.local {
            return;
        }
        let seen = |outcome| unplaced(target, KeyType::Any, outcome);
        let judged = caught(async {
            let outcome = match &job.expectation {
                Err(error) => Outcome::Failed(ProbeError::new(ErrorKind::Internal, error)),
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

    fn ask_remotes(self: &Arc<Self>, job: &Arc<Job>, targets: &[Target], tasks: &mut JoinSet<()>) {
        if self.scanner.remotes.is_empty() {
            return;
        }
        let Ok(loaded) = &job.expectation else { return };
        let mut by_port: HashMap<u16, Vec<Target>> = HashMap::new();
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
                    let deadline = Instant::now() + job.options.timeout * REMOTE_PATIENCE;
                    let judged = caught(async {
                        for observation in remote.test(&loaded, &targets, deadline).await {
                            round.judge(&job, observation, None).await;
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

    /// Finds the addresses of a target. Failures that prevent a probe are judged here.
    async fn find(&self, job: &Job, target: &Target) -> Option<Found> {
        #[cfg(test)]
        super::tests::panic_on_bad_host(target);
        let without_probe = |timings, error| {
            let key_types = job.key_types.each().iter();
            key_types
                .map(|kind| Observation {
                    timings,
                    ..unplaced(target, *kind, Outcome::Failed(ProbeError::clone(&error)))
                })
                .collect::<Vec<_>>()
        };
        if let Err(error) = &job.expectation {
            let error = ProbeError::new(ErrorKind::Internal, error);
            self.judge_all(job, without_probe(Timings::default(), error))
                .await;
            return None;
        }
        if !self.scanner.local {
            return None;
        }
        let timeout = job.options.timeout;
        let (hostname, port) = (&target.hostname, target.port);
        let before = job.resolved.as_ref().and_then(|resolved| resolved.took);
        // As with a probe, the timeout begins after the permit.
        let permit = self.scanner.permits.name().await;
        let start = Instant::now();
        let resolve = async {
            match &job.resolved {
                Some(resolved) => resolved.clone(),
                None => {
                    let query = AddressQuery {
                        hostname,
                        port,
                        fixed: &job.addresses,
                        known: &job.known,
                        families: job.families,
                        is_https: target.protocol == Protocol::Https && target.names.is_empty(),
                    };
                    self.scanner.resolve(&query, timeout).await
                }
            }
        };
        let tlsa = async {
            match job.dane {
                DaneCheck::Off => Ok(TlsaLookup::Unknown),
                // TLSA records of a UDP port are at another name.
                _ if target.protocol.is_quic() => Ok(TlsaLookup::NotApplicable),
                _ => self.scanner.tlsa(target, timeout).await,
            }
        };
        let (resolution, tlsa) = tokio::join!(resolve, tlsa);
        drop(permit);
        let Resolution {
            mut addresses,
            failure,
            hinted,
            took,
            ..
        } = resolution;
        addresses.extend(&hinted);
        let unprobed = self.limit_addresses(target, &mut addresses);
        let timings = Timings {
            resolve: took,
            ..Timings::default()
        };
        let left = timeout.saturating_sub(before.unwrap_or_default() + start.elapsed());
        let (tlsa, unknown) = match tlsa {
            Ok(tlsa) => (tlsa, None),
            Err(error) => (TlsaLookup::Unknown, Some(error)),
        };
        // Only one row has no address. The reason why there are no addresses takes precedence.
        if let Some(error) = failure.or(unprobed).or(unknown) {
            self.judge_all(job, without_probe(timings, error)).await;
        }
        Some(Found {
            addresses,
            hinted,
            tlsa,
            took,
            left,
        })
    }

    /// Removes the addresses beyond the maximum. Returns the error that is reported for them.
    fn limit_addresses(&self, target: &Target, addresses: &mut Vec<IpAddr>) -> Option<ProbeError> {
        let most = self.scanner.permits.max_addresses();
        let unprobed = addresses
            .len()
            .checked_sub(most)
            .filter(|count| *count > 0)?;
        addresses.truncate(most);
        let all = most + unprobed;
        tracing::debug!(
            "addresses not probed: hostname={} addresses={all} unprobed={unprobed}",
            target.hostname
        );
        Some(ProbeError::new(
            ErrorKind::Internal,
            format!(
                "{unprobed} of the {all} addresses of {} were not probed: on demand at most {most} are; add the host to the inventory to have all of them probed",
                target.hostname
            ),
        ))
    }

    async fn probe_all(self: &Arc<Self>, job: &Arc<Job>, target: Target, found: Found) {
        // Most targets have one probe, which needs no task beside its target's.
        if let ([ip], [key_type]) = (found.addresses.as_slice(), job.key_types.each()) {
            return self
                .probe_address(job, &target, &found, *ip, *key_type)
                .await;
        }
        let (target, found) = (Arc::new(target), Arc::new(found));
        let mut probes = JoinSet::new();
        // A name with many unresponsive addresses must leave connection slots to other targets.
        let permits = Arc::new(Semaphore::new(self.scanner.permits.slots_of_target()));
        for &ip in &found.addresses {
            for &key_type in job.key_types.each() {
                let Ok(permit) = permits.clone().acquire_owned().await else {
                    return;
                };
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
        target: &Target,
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
            let (outcome, timings) = self.probe(request, found.left).await;
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

    /// Waits for a permit. The timeout begins after that.
    async fn probe(&self, request: Request<'_>, timeout: Duration) -> (Outcome, Timings) {
        let _permit = self.scanner.permits.probe(request.address).await;
        #[cfg(test)]
        super::tests::panic_on_bad_address(&request);
        let deadline = Instant::now() + timeout;
        self.scanner.prober.probe(request, deadline).await
    }

    async fn judge_all(&self, job: &Job, observations: Vec<Observation>) {
        for observation in observations {
            self.judge(job, observation, None).await;
        }
    }

    /// Judges an observation. `tlsa` is known for local probes only.
    async fn judge(&self, job: &Job, observation: Observation, tlsa: Option<&TlsaLookup>) {
        let expected = match (&job.expectation, &observation.outcome) {
            (Ok(loaded), Outcome::Served(served)) => {
                let deadline = Instant::now() + job.options.timeout;
                Some(self.with_previous(loaded, &served.leaf, deadline).await)
            }
            (Ok(loaded), _) => Some(loaded.expected.clone()),
            (Err(_), _) => None,
        };
        let dns = tlsa.map(|tlsa| DnsFacts {
            dane: job.dane,
            tlsa: tlsa.clone(),
            mail: mail_domains(&job.places.mail, &observation.target.hostname),
        });
        let mut judging = Judging {
            observation,
            expected,
            dns: dns.unwrap_or_default(),
            trust: job.options.trust.clone(),
            rules: job.rules,
            notes: job.notes.clone(),
            now: self.now,
            signatures: Signatures::default(),
        };
        let has_files = self.scanner.revocations.has_files();
        let check = job.rules.revocation;
        if check >= RevocationCheck::Crl || check != RevocationCheck::Off && has_files {
            judging = Box::pin(self.ask_issuer(job, judging)).await;
        }
        let judged = judging.judge(&self.scanner.permits).await;
        let reported = tracing::enabled!(tracing::Level::DEBUG).then(|| {
            let Observation { target, ip, .. } = &judged.observation;
            let ip = ip.map_or("no address".into(), |ip| ip.to_string());
            format!("{} at {ip}: {}", target.hostname, judged.severity())
        });
        let _ = self.sender.send(Event::Judged(Box::new(judged)));
        // Logged after the result is sent, so that a reader of the log finds the result.
        if let Some(reported) = reported {
            tracing::debug!("{reported}");
        }
    }

    /// Adds the issuer's response about revocation to the served certificate.
    async fn ask_issuer(&self, job: &Job, judging: Judging) -> Judging {
        let (mut judging, issuer) = judging.issuer(&self.scanner.permits).await;
        let (Some(issuer), Outcome::Served(served)) = (issuer, &mut judging.observation.outcome)
        else {
            return judging;
        };
        let deadline = Instant::now() + job.options.timeout;
        let revocations = &self.scanner.revocations;
        let answer = revocations.ask(
            &served.leaf,
            &issuer,
            job.is_stranger,
            job.rules.revocation,
            self.now,
            deadline,
        );
        served.revocation.fetched = answer.await;
        judging
    }

    /// Returns the expectation, with the previous instance if the leaf is one.
    async fn with_previous(
        &self,
        loaded: &Loaded,
        leaf: &Certificate,
        deadline: Instant,
    ) -> Arc<Expected> {
        let expected = &loaded.expected;
        let known = expected.accepts(leaf) != Some(false);
        let Expectation::Instances(instances) = &expected.what else {
            return expected.clone();
        };
        if known || instances.previous.iter().any(|i| i.leaf == *leaf) {
            return expected.clone();
        }
        let sources = &self.scanner.sources;
        match Box::pin(sources.previous_instance(loaded, leaf, deadline)).await {
            Ok(Some(previous)) => {
                let mut instances = instances.clone();
                instances.previous.push(previous);
                Arc::new(Expected {
                    source: expected.source,
                    what: Expectation::Instances(instances),
                })
            }
            Ok(None) => expected.clone(),
            Err(error) => {
                tracing::warn!(
                    "{}: whether an older instance is served could not be found out: {error}",
                    loaded.name
                );
                expected.clone()
            }
        }
    }
}

/// Returns true if a remote vantage can probe the target. A remote test supports TCP only, and
/// matches the host name.
fn is_for_remotes(target: &Target) -> bool {
    !target.protocol.is_quic() && !target.is_file() && target.names.is_empty()
}

/// Returns the observation of a local probe that has no address.
fn unplaced(target: &Target, key_type: KeyType, outcome: Outcome) -> Observation {
    Observation {
        target: target.clone(),
        ip: None,
        key_type,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome,
    }
}
