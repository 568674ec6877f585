//! What to look at and what is expected there: the entries of an inventory become jobs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::config::{Entry, SourceSettings};
use crate::judge::{Rules, TrustStore};
use crate::look::{Reach, Reaches};
use crate::model::{Families, Hostname, KeyTypes, Target};
use crate::observation::LookError;
use crate::resolve::{Resolution, Resolver};
use crate::source::{Failed, Loaded, Sources};

use super::{caught, names};

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
    /// The addresses of the last successful lookup of the targets' one name, which a DNS failure leaves in place.
    pub known: Vec<IpAddr>,
    /// The address families to probe, where they differ from those of the scanner.
    pub families: Option<Families>,
    /// What the targets' name resolves to, where that has been asked before.
    pub resolved: Option<Resolution>,
    /// The kinds of keys to ask for, a look for each.
    pub key_types: KeyTypes,
    /// What is particular about reaching the servers.
    pub reach: Arc<Reach>,
    /// The targets are not of the inventory: URLs in their certificates lead only where the guard lets through.
    pub is_stranger: bool,
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
                let located = locate(&entry, &MailHosts::new(), &resolver, deadline).await;
                for (entry, failure) in located.entries {
                    let resolved = failure.map(Resolution::failed);
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

/// The hosts of the last successful MX lookup, by domain.
pub type MailHosts = BTreeMap<Hostname, Vec<Hostname>>;

/// Where an entry is served.
pub struct Located {
    /// The entry with the mail hosts of its domains among its hosts; and one for each domain whose lookup failed, with the
    /// domain in their place and why.
    pub entries: Vec<(Entry, Option<LookError>)>,
    /// The mail hosts in it.
    pub mail_hosts: MailHosts,
}

/// Looks up the mail hosts of an entry's domains. Where DNS fails (SERVFAIL, timeout), the known ones stay.
pub async fn locate(
    entry: &Entry,
    known: &MailHosts,
    resolver: &Resolver,
    deadline: Instant,
) -> Located {
    #[cfg(test)]
    super::tests::break_down_asking(entry);
    let mut found = entry.clone();
    found.mx.clear();
    if found.name.is_none() && found.hostnames.is_empty() && !has_names(entry) {
        found.name = entry.mx.first().map(ToString::to_string);
    }
    let (mut failed, mut mail_hosts) = (Vec::new(), MailHosts::new());
    for domain in &entry.mx {
        let hosts = match resolver.mail_hosts(domain, deadline).await {
            Ok(hosts) => hosts,
            Err(error) => {
                let kept = known.get(domain).filter(|_| !error.is_dns_answer());
                // The domain that is its own mail host has the same failure in its row.
                if !kept.is_some_and(|hosts| hosts.contains(domain)) {
                    let mut alone = found.clone();
                    alone.hostnames = vec![domain.clone()];
                    failed.push((alone, Some(error)));
                }
                let Some(kept) = kept else { continue };
                kept.clone()
            }
        };
        let new = hosts.iter().filter(|h| !entry.hostnames.contains(h));
        found.hostnames.extend(new.cloned());
        mail_hosts.insert(domain.clone(), hosts);
    }
    let has_places = entry.mx.is_empty() || !found.hostnames.is_empty();
    let found = has_places.then_some((found, None));
    Located {
        entries: found.into_iter().chain(failed).collect(),
        mail_hosts,
    }
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
        known: Vec::new(),
        families: entry.families,
        resolved: None,
        key_types: entry.key_types,
        reach: manner.reaches.of(&entry.reach),
        is_stranger: false,
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
