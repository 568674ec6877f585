//! The one path from a target to a judged result: resolve, look, tell older instances apart, judge.
//! Every face goes through it, and its bounds live here.

mod caught;
pub(crate) mod names;
#[cfg(test)]
pub(crate) mod tests;
mod turns;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::certificate::Certificate;
use crate::config::{Entry, SourceSettings};
use crate::instance::{Expectation, Expected};
use crate::judge::{Judged, Rules, TrustStore, dane, issuer_to_ask, judge, together};
use crate::look::{Look, Looker, Reach, Reaches};
use crate::model::{
    Hostname, KeyType, KeyTypes, RevocationCheck, Target, Timestamp, Timings, Vantage,
};
use crate::observation::{ErrorKind, LookError, Observation, Outcome, Served};
use crate::remote::Remote;
use crate::resolve::{Resolution, Resolver};
use crate::revocation::Revocations;
use crate::source::{Failed, Loaded, Sources};
use crate::tlsa::Tlsa;

pub(crate) use caught::caught;
pub use turns::Turns;

/// Names that are resolved or waited for at a time, for each look that may be under way.
const TARGETS_PER_LOOK: usize = 4;
/// The share of the time for one look that resolving its name may take.
const RESOLVE_SHARE: u32 = 2;
/// A remote test may take this many times what a look may: it is many looks, taken elsewhere.
const REMOTE_PATIENCE: u32 = 3;
/// Host names in one remote test: they stand in its URL, which may not be of any length.
const HOSTS_PER_TEST: usize = 50;
/// Sources that are asked at a time.
const MAX_SOURCES: usize = 8;

/// How the looks of a job are taken and judged, beside what is expected.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The total for one look, name resolution included.
    pub timeout: Duration,
    /// The roots that clients hold.
    pub trust: Arc<TrustStore>,
    /// What is particular about reaching servers.
    pub reaches: Arc<Reaches>,
}

/// One certificate and where to look for it.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is expected.
    pub expectation: Result<Arc<Loaded>, String>,
    /// What to look at.
    pub targets: Vec<Target>,
    /// The addresses to look at, whatever DNS says; empty means DNS.
    pub addresses: Vec<IpAddr>,
    /// What the targets' name resolves to, where that has been asked before.
    pub resolved: Option<Resolution>,
    /// The kinds of keys to ask for, a look for each.
    pub key_types: KeyTypes,
    /// What is particular about reaching the servers.
    pub reach: Arc<Reach>,
    /// Whether to judge by the targets' TLSA records too.
    pub dane: bool,
    /// When its end is worth telling.
    pub rules: Rules,
    /// How to look and whom to trust.
    pub manner: Manner,
}

/// Asks the sources of these entries what is expected; each certificate may take so long. A source that fails is a job of
/// its own, so that its targets are told of as not judged.
pub async fn prepare(
    sources: &Arc<Sources>,
    resolver: &Arc<Resolver>,
    entries: &[Entry],
    manner: &Manner,
    patience: Duration,
) -> Vec<Job> {
    let permits = Arc::new(Semaphore::new(MAX_SOURCES));
    let mut tasks = JoinSet::new();
    let mut jobs = Vec::new();
    let asked = |done: Result<_, JoinError>| {
        done.inspect_err(|error| tracing::error!("a source could not be asked: {error}"))
            .ok()
    };
    for (position, entry) in entries.iter().cloned().enumerate() {
        // Before there is a task: of ten thousand entries, few are held at a time.
        let Ok(permit) = permits.clone().acquire_owned().await else {
            break;
        };
        let (sources, manner, resolver) = (sources.clone(), manner.clone(), resolver.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let asked = caught(async {
                let mut jobs = Vec::new();
                let deadline = Instant::now() + patience;
                for (entry, failure) in locate(&entry, &resolver, deadline).await {
                    let resolved = failure.map(|failure| Resolution {
                        failure: Some(failure),
                        ..Resolution::default()
                    });
                    for one in sources.load(&entry, patience).await {
                        jobs.push(Job {
                            resolved: resolved.clone(),
                            ..job(&entry, one, &manner)
                        });
                    }
                }
                jobs
            });
            let own_fault = || vec![job(&entry, Err(Failed::by_own_fault(&entry)), &manner)];
            (position, asked.await.unwrap_or_else(own_fault))
        });
        while let Some(done) = tasks.try_join_next() {
            jobs.extend(asked(done));
        }
    }
    while let Some(done) = tasks.join_next().await {
        jobs.extend(asked(done));
    }
    jobs.sort_by_key(|(position, _)| *position);
    let each = jobs.into_iter();
    let each = each.flat_map(|(position, jobs)| jobs.into_iter().map(move |job| (position, job)));
    let mut jobs: Vec<(usize, Job)> = each.collect();
    names::tell_apart(entries, &mut jobs);
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// An entry with the mail hosts of its domains among its hosts; and one for each domain of which they could not
/// be found out, with the domain in their place and why.
pub async fn locate(
    entry: &Entry,
    resolver: &Resolver,
    deadline: Instant,
) -> Vec<(Entry, Option<LookError>)> {
    #[cfg(test)]
    tests::break_down_asking(entry);
    let mut found = entry.clone();
    found.mx.clear();
    if found.name.is_none() && found.hostnames.is_empty() && !has_names(entry) {
        found.name = entry.mx.first().map(ToString::to_string);
    }
    let mut failed = Vec::new();
    for domain in &entry.mx {
        match resolver.mail_hosts(domain, deadline).await {
            Ok(hosts) => {
                let new = hosts.into_iter().filter(|h| !entry.hostnames.contains(h));
                found.hostnames.extend(new);
            }
            Err(error) => {
                let mut alone = found.clone();
                alone.hostnames = vec![domain.clone()];
                failed.push((alone, Some(error)));
            }
        }
    }
    let has_places = entry.mx.is_empty() || !found.hostnames.is_empty();
    let found = has_places.then_some((found, None));
    found.into_iter().chain(failed).collect()
}

/// Whether the source of an entry gives its certificates their names.
fn has_names(entry: &Entry) -> bool {
    !matches!(
        entry.source,
        SourceSettings::Fingerprints(_)
            | SourceSettings::PublicKeys(_)
            | SourceSettings::TrustOnly
            | SourceSettings::Download(_)
    )
}

fn job(entry: &Entry, loaded: Result<Loaded, Failed>, manner: &Manner) -> Job {
    let (targets, expectation) = match loaded {
        Ok(loaded) => (
            targets(entry, &loaded.name, &loaded.hostnames),
            Ok(Arc::new(loaded)),
        ),
        Err(failed) => (targets_of_failed(entry, &failed), Err(failed.error)),
    };
    Job {
        expectation,
        targets,
        addresses: entry.addresses.clone(),
        resolved: None,
        key_types: entry.key_types,
        reach: manner.reaches.of(&entry.reach),
        dane: entry.dane,
        rules: Rules {
            warn: entry.warn,
            crit: entry.crit,
            revocation: entry.revocation,
            ..Rules::default()
        },
        manner: manner.clone(),
    }
}

/// What to look at: each host at each of the entry's ports.
pub fn targets(entry: &Entry, certificate: &str, hostnames: &[Hostname]) -> Vec<Target> {
    let mut targets = Vec::with_capacity(hostnames.len() * entry.ports.len());
    for hostname in hostnames {
        for &port in &entry.ports {
            targets.push(Target {
                certificate: certificate.to_owned(),
                hostname: hostname.clone(),
                port,
                protocol: entry.protocol,
            });
        }
    }
    targets
}

/// What stands for that which cannot be judged, since its source failed.
pub fn targets_of_failed(entry: &Entry, failed: &Failed) -> Vec<Target> {
    let by_name: Vec<Hostname> = failed.name.parse().into_iter().collect();
    let hostnames = match failed.hostnames.as_slice() {
        [] => &by_name,
        configured => configured,
    };
    targets(entry, &failed.name, hostnames)
}

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
    /// What bounds this scan and all others that share it.
    pub turns: Arc<Turns>,
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
    /// What a name resolves to for a port, in the share of a look's time that this may take.
    pub async fn resolve(
        &self,
        hostname: &Hostname,
        port: u16,
        fixed: &[IpAddr],
        timeout: Duration,
    ) -> Resolution {
        let deadline = Instant::now() + timeout / RESOLVE_SHARE;
        self.resolver.resolve(hostname, port, fixed, deadline).await
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
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let round = Arc::new(Round {
            scanner: self.clone(),
            now,
            sender,
        });
        let mut walk = JoinSet::new();
        walk.spawn(round.walk(jobs));
        tokio::pin!(stop);
        let mut results = Vec::new();
        let complete = loop {
            tokio::select! {
                event = receiver.recv() => match event {
                    Some(Event::Judged(judged)) => {
                        progress(Progress::Judged(&judged));
                        results.push(*judged);
                    }
                    Some(Event::TargetDone) => {
                        done += 1;
                        progress(Progress::Targets { done, targets });
                    }
                    None => break true,
                },
                () = &mut stop => break false,
            }
        };
        walk.abort_all();
        while let Ok(event) = receiver.try_recv() {
            if let Event::Judged(judged) = event {
                results.push(*judged);
            }
        }
        results.sort_by(|a, b| order(a).cmp(&order(b)));
        together(&mut results);
        // A monitor keeps them until the next look.
        results.shrink_to_fit();
        Scan { results, complete }
    }
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

enum Event {
    Judged(Box<Judged>),
    TargetDone,
}

/// What stands for looks of ours that came to no address.
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

/// What is known of a target before it is looked at.
struct Found {
    addresses: Vec<IpAddr>,
    tlsa: Option<Arc<Tlsa>>,
    /// How long resolving its name took.
    took: Option<Duration>,
    /// The time that each look has.
    left: Duration,
}

/// One scan under way.
struct Round {
    scanner: Scanner,
    now: Timestamp,
    sender: mpsc::UnboundedSender<Event>,
}

impl Round {
    async fn walk(self: Arc<Self>, jobs: Vec<Job>) {
        let permits = Arc::new(Semaphore::new(
            self.scanner
                .turns
                .concurrency
                .saturating_mul(TARGETS_PER_LOOK)
                .min(Semaphore::MAX_PERMITS),
        ));
        let mut tasks = JoinSet::new();
        for mut job in jobs {
            let targets = std::mem::take(&mut job.targets);
            let job = Arc::new(job);
            self.ask_remotes(&job, &targets, &mut tasks);
            for target in targets {
                let Ok(permit) = permits.clone().acquire_owned().await else {
                    return;
                };
                let (round, job) = (self.clone(), job.clone());
                tasks.spawn(async move {
                    match caught(round.find(&job, &target)).await {
                        Some(Some(found)) => round.look_at_all(&job, target, found).await,
                        Some(None) => {}
                        None => {
                            for &key_type in job.key_types.each() {
                                round
                                    .tell_own_fault(|outcome| unplaced(&target, key_type, outcome));
                            }
                        }
                    }
                    drop(permit);
                    let _ = round.sender.send(Event::TargetDone);
                });
                // What has ended is let go of along the way.
                while tasks.try_join_next().is_some() {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    fn ask_remotes(self: &Arc<Self>, job: &Arc<Job>, targets: &[Target], tasks: &mut JoinSet<()>) {
        let Ok(loaded) = &job.expectation else { return };
        let mut by_port: HashMap<u16, Vec<Target>> = HashMap::new();
        // A remote test knows TCP only.
        for target in targets.iter().filter(|t| !t.protocol.is_quic()) {
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
                    let _turn = round.scanner.turns.take_remote().await;
                    let deadline = Instant::now() + job.manner.timeout * REMOTE_PATIENCE;
                    let judged = caught(async {
                        for observation in remote.test(&loaded, &targets, deadline).await {
                            round.judge(&job, observation, None).await;
                        }
                    });
                    if judged.await.is_none() {
                        for target in &targets {
                            round.tell_own_fault(|outcome| Observation {
                                vantage: remote.vantage().clone(),
                                ..unplaced(target, KeyType::Any, outcome)
                            });
                        }
                    }
                });
            }
        }
    }

    /// Where to look for a target. What comes to no look is judged here.
    async fn find(&self, job: &Job, target: &Target) -> Option<Found> {
        #[cfg(test)]
        tests::break_down_at(target);
        let no_look = |timings, error| {
            let key_types = job.key_types.each().iter();
            key_types
                .map(|kind| Observation {
                    timings,
                    ..unplaced(target, *kind, Outcome::Failed(LookError::clone(&error)))
                })
                .collect::<Vec<_>>()
        };
        if let Err(error) = &job.expectation {
            let error = LookError::new(ErrorKind::Internal, error);
            self.judge_all(job, no_look(Timings::default(), error))
                .await;
            return None;
        }
        if !self.scanner.local {
            return None;
        }
        let timeout = job.manner.timeout;
        let (hostname, port) = (&target.hostname, target.port);
        let before = job.resolved.as_ref().and_then(|resolved| resolved.took);
        let start = Instant::now();
        let resolve = async {
            match &job.resolved {
                Some(resolved) => resolved.clone(),
                None => {
                    let fixed = &job.addresses;
                    self.scanner.resolve(hostname, port, fixed, timeout).await
                }
            }
        };
        let tlsa = async {
            // Those of a UDP port stand at another name.
            if job.dane && !target.protocol.is_quic() {
                self.scanner.tlsa(hostname, port, timeout).await
            } else {
                Ok(None)
            }
        };
        let (resolution, tlsa) = tokio::join!(resolve, tlsa);
        let Resolution {
            addresses,
            failure,
            took,
        } = resolution;
        let timings = Timings {
            resolve: took,
            ..Timings::default()
        };
        let left = timeout.saturating_sub(before.unwrap_or_default() + start.elapsed());
        let (tlsa, unknown) = match tlsa {
            Ok(tlsa) => (tlsa, None),
            Err(error) => (None, Some(error)),
        };
        // There is one row without an address: whose addresses fail is told of that first.
        if let Some(error) = failure.or(unknown) {
            self.judge_all(job, no_look(timings, error)).await;
        }
        Some(Found {
            addresses,
            tlsa,
            took,
            left,
        })
    }

    async fn look_at_all(self: &Arc<Self>, job: &Arc<Job>, target: Target, found: Found) {
        // Most targets have one look, and that needs no task beside its target's.
        if let ([ip], [key_type]) = (found.addresses.as_slice(), job.key_types.each()) {
            return self.look_at(job, &target, &found, *ip, *key_type).await;
        }
        let (target, found) = (Arc::new(target), Arc::new(found));
        let mut looks = JoinSet::new();
        for &ip in &found.addresses {
            for &key_type in job.key_types.each() {
                let (round, job) = (self.clone(), job.clone());
                let (target, found) = (target.clone(), found.clone());
                looks
                    .spawn(async move { round.look_at(&job, &target, &found, ip, key_type).await });
            }
        }
        while looks.join_next().await.is_some() {}
    }

    async fn look_at(
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
            let look = Look {
                target,
                address: SocketAddr::new(ip, target.port),
                key_type,
                reach: &job.reach,
            };
            let (outcome, timings) = self.look(look, found.left).await;
            let observation = seen(timings, outcome);
            self.judge(job, observation, found.tlsa.as_ref()).await;
        });
        if judged.await.is_none() {
            self.tell_own_fault(|outcome| seen(Timings::default(), outcome));
        }
    }

    /// A panic in one look is the fault of that look and of nothing else.
    fn tell_own_fault(&self, seen: impl FnOnce(Outcome) -> Observation) {
        let error = LookError::new(
            ErrorKind::Internal,
            "the look failed for a fault of certvigil's own: please report it",
        );
        let failed = Judged::failed(seen(Outcome::Failed(error.clone())), error);
        let _ = self.sender.send(Event::Judged(Box::new(failed)));
    }

    /// Waits for its turn, and only then does time run.
    async fn look(&self, look: Look<'_>, timeout: Duration) -> (Outcome, Timings) {
        let _turn = self.scanner.turns.take(look.address).await;
        #[cfg(test)]
        tests::break_down_before(&look);
        let deadline = Instant::now() + timeout;
        self.scanner.looker.look(look, deadline).await
    }

    async fn judge_all(&self, job: &Job, observations: Vec<Observation>) {
        for observation in observations {
            self.judge(job, observation, None).await;
        }
    }

    async fn judge(&self, job: &Job, mut observation: Observation, tlsa: Option<&Arc<Tlsa>>) {
        let expected = match (&job.expectation, &observation.outcome) {
            (Ok(loaded), Outcome::Served(served)) => {
                let deadline = Instant::now() + job.manner.timeout;
                Some(self.with_previous(loaded, &served.leaf, deadline).await)
            }
            (Ok(loaded), _) => Some(loaded.expected.clone()),
            (Err(_), _) => None,
        };
        if let (Some(expected), Outcome::Served(served)) = (&expected, &mut observation.outcome) {
            self.ask_issuer(job, expected, served).await;
        }
        let trust = &job.manner.trust;
        let mut judged = judge(expected.as_ref(), observation, trust, &job.rules, self.now);
        if let Some(tlsa) = tlsa {
            dane(&mut judged, tlsa, trust, self.now);
        }
        let told = tracing::enabled!(tracing::Level::DEBUG).then(|| {
            let Observation { target, ip, .. } = &judged.observation;
            let ip = ip.map_or("no address".into(), |ip| ip.to_string());
            format!("{} at {ip}: {}", target.hostname, judged.severity())
        });
        let _ = self.sender.send(Event::Judged(Box::new(judged)));
        // Told after, so that whoever reads of it finds the result.
        if let Some(told) = told {
            tracing::debug!("{told}");
        }
    }

    /// Adds to what was served what its issuer says of it, where it is to be asked.
    async fn ask_issuer(&self, job: &Job, expected: &Expected, served: &mut Served) {
        let check = job.rules.revocation;
        if check < RevocationCheck::Crl {
            return;
        }
        let Some(issuer) = issuer_to_ask(expected, served, &job.manner.trust) else {
            return;
        };
        let deadline = Instant::now() + job.manner.timeout;
        let revocations = &self.scanner.revocations;
        let answer = revocations.ask(&served.leaf, &issuer, check, self.now, deadline);
        served.revocation.fetched = Box::pin(answer).await;
    }

    /// The expectation, with the older instance that the leaf may be.
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
