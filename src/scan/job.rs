//! Jobs: the targets of an inventory's entries and the certificates expected there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::config::{Entry, FoundPlace, SourceSettings, TrustSettings};
use crate::finding::EntryNotes;
use crate::judge::{Rules, TrustStore};
use crate::model::{Families, Hostname, KeyTypes, Target};
use crate::observation::ProbeError;
use crate::probe::{Reach, Reaches};
use crate::resolve::{Resolution, Resolver};
use crate::source::{Failed, FetchError, Loaded, Sources, pinned};
use crate::tlsa::{DaneCheck, Tlsa};
use crate::trust::{self, TrustError};

use super::{KnownPlaces, LocateTime, Reread, caught, locate, names};

/// Maximum concurrent source requests.
const MAX_SOURCES: usize = 8;

/// Settings for probing and judging a job, other than the expected certificate.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Maximum duration of one probe, including name resolution.
    pub timeout: Duration,
    /// Roots that clients trust.
    pub trust: Arc<TrustStore>,
    /// Settings for reaching servers.
    pub reaches: Arc<Reaches>,
    /// Trusted roots of entries with CA files of their own, by these files.
    pub own_trust: Arc<OwnTrust>,
}

/// Trusted roots by the CA files of an entry.
pub type OwnTrust = HashMap<Vec<PathBuf>, Arc<TrustStore>>;

impl ProbeOptions {
    /// Returns the settings for an entry, which may have a timeout and CA files of its own.
    pub fn of(&self, entry: &Entry) -> Self {
        let mut options = self.clone();
        if let Some(timeout) = entry.timeout {
            options.timeout = timeout;
        }
        if let Some(trust) = self.own_trust.get(&entry.ca_files) {
            options.trust = trust.clone();
        }
        options
    }
}

/// Loads the trusted roots of the entries with CA files of their own, which are trusted beside
/// those of the inventory, `trust`.
///
/// # Errors
/// If a file cannot be read, or contains something other than a root.
pub fn own_trust<'a>(
    trust: &TrustSettings,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Arc<OwnTrust>, TrustError> {
    let mut all = OwnTrust::new();
    for entry in entries {
        if entry.ca_files.is_empty() || all.contains_key(&entry.ca_files) {
            continue;
        }
        let mut settings = trust.clone();
        settings.ca_files.extend(entry.ca_files.iter().cloned());
        all.insert(entry.ca_files.clone(), Arc::new(trust::load(&settings)?));
    }
    Ok(Arc::new(all))
}

/// Results of the last successful DNS lookups for a target.
#[derive(Clone, Debug, Default)]
pub struct KnownDns {
    /// Addresses of its host.
    pub addresses: Vec<IpAddr>,
    /// Its TLSA records. `None` if they were not looked up.
    pub tlsa: Option<Arc<Tlsa>>,
}

/// One certificate and its targets.
#[derive(Clone, Debug)]
pub struct Job {
    /// Expected certificate, or the error of its source.
    pub expectation: Result<Arc<Loaded>, Arc<FetchError>>,
    /// Targets to probe.
    pub targets: Vec<Arc<Target>>,
    /// Addresses to probe instead of those in DNS. If empty, DNS is used.
    pub addresses: Vec<IpAddr>,
    /// Results of the last successful lookups for the one target. They are kept if DNS fails.
    pub known: KnownDns,
    /// Address families to probe, if they differ from those of the scanner.
    pub families: Option<Families>,
    /// Resolution of the targets' name, if it has been looked up already.
    pub resolved: Option<Resolution>,
    /// Key types to request, with one probe each.
    pub key_types: KeyTypes,
    /// Settings for reaching the servers.
    pub reach: Arc<Reach>,
    /// Time at which the probe was due; `None` for now.
    pub due: Option<Instant>,
    /// Key of the entry whose hosts share connection slots, because DNS decides on their number.
    pub shared_by: Option<Arc<str>>,
    /// True if the targets are not in the inventory. URLs in their certificates are then fetched
    /// only if the guard allows it.
    pub is_stranger: bool,
    /// Check of the targets' TLSA records.
    pub dane: DaneCheck,
    /// Places that DNS gives for the entry, with the mail domains of its mail hosts.
    pub places: Arc<KnownPlaces>,
    /// Thresholds for reporting expiry.
    pub rules: Rules,
    /// Reads the source again if another leaf than expected is served; `None` for a job that is
    /// probed only once.
    pub reread: Option<Reread>,
    /// Labels and accepted findings of the entry.
    pub notes: Arc<EntryNotes>,
    /// Probe settings and trusted roots.
    pub options: ProbeOptions,
}

impl Job {
    /// Returns the owner of the SRV records that name a target, if DNSSEC does not authenticate them.
    pub(super) fn unsigned_srv(&self, target: &Target) -> Option<&String> {
        let found = &self.expectation.as_ref().ok()?.found;
        let mut places = found.iter().filter(|place| is_at(place, target));
        places.find_map(|place| place.unsigned_srv.as_ref())
    }

    /// Returns the error of the lookup that asked whether DNSSEC authenticates the SRV records that
    /// name a target.
    pub(super) fn unvouched_srv(&self, target: &Target) -> Option<&ProbeError> {
        let mut services = self.places.unvouched.iter();
        services.find_map(|(service, error)| {
            let mut places = self.places.services.get(service)?.iter();
            places.any(|place| is_at(place, target)).then_some(error)
        })
    }
}

fn is_at(place: &FoundPlace, target: &Target) -> bool {
    (&place.hostname, place.port, place.protocol)
        == (&target.hostname, target.port, target.protocol)
}

/// Fetches the expected certificates of these entries. `patience` limits each certificate. A failed
/// source becomes a job of its own, so that its targets are reported as unknown.
pub async fn prepare(
    sources: &Arc<Sources>,
    resolver: &Arc<Resolver>,
    entries: &[&Entry],
    options: &ProbeOptions,
    patience: Duration,
) -> Vec<Job> {
    let permits = Arc::new(Semaphore::new(MAX_SOURCES));
    let mut tasks = JoinSet::new();
    let mut jobs: Vec<(usize, Job)> = Vec::with_capacity(entries.len());
    let asked = |done: Result<_, JoinError>| {
        done.inspect_err(|error| tracing::error!("cannot query a source: {error}"))
            .ok()
    };
    for (position, &entry) in entries.iter().enumerate() {
        if let Some(job) = job_at_once(entry, options) {
            jobs.push((position, job));
            continue;
        }
        // The permit is acquired before the task is spawned, so that only a few of ten thousand
        // entries have tasks.
        let Ok(permit) = permits.clone().acquire_owned().await else {
            break;
        };
        let (sources, options, resolver) = (sources.clone(), options.clone(), resolver.clone());
        let entry = entry.clone();
        tasks.spawn(async move {
            let _permit = permit;
            let asked = caught(async {
                let mut jobs = Vec::new();
                let time = LocateTime {
                    lookup: options.of(&entry).timeout,
                    deadline: Instant::now() + patience,
                };
                let none = KnownPlaces::default();
                let located = locate(&entry, &none, &resolver, &sources, time).await;
                let places = Arc::new(located.known);
                let shared_by = entry.finds_hosts().then(|| Arc::from(position.to_string()));
                for (entry, failure) in located.entries {
                    let resolved = failure.map(Resolution::failed);
                    for one in sources.load(&entry, patience).await {
                        jobs.push(Job {
                            resolved: resolved.clone(),
                            places: places.clone(),
                            shared_by: shared_by.clone(),
                            ..job(&entry, one, &options)
                        });
                    }
                }
                jobs
            });
            let internal_error = || {
                vec![job(
                    &entry,
                    Err(Failed::by_internal_error(&entry)),
                    &options,
                )]
            };
            let jobs = asked.await.unwrap_or_else(internal_error).into_iter();
            jobs.map(|job| (position, job)).collect::<Vec<_>>()
        });
        while let Some(done) = tasks.try_join_next() {
            jobs.extend(asked(done).into_iter().flatten());
        }
    }
    while let Some(done) = tasks.join_next().await {
        jobs.extend(asked(done).into_iter().flatten());
    }
    jobs.sort_by_key(|(position, _)| *position);
    names::disambiguate(entries, &mut jobs);
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// Returns the job of an entry that contains the expectation and the hosts.
fn job_at_once(entry: &Entry, options: &ProbeOptions) -> Option<Job> {
    let has_hosts = !entry.hostnames.is_empty() || !entry.found.is_empty();
    let is_located = has_hosts && !entry.finds_hosts() && entry.files.is_empty();
    let loaded = is_located.then(|| pinned(entry))??;
    Some(job(entry, Ok(loaded), options))
}

/// Returns true if the source of an entry supplies the names of its certificates.
pub(super) fn has_names(entry: &Entry) -> bool {
    !matches!(
        entry.source,
        SourceSettings::Fingerprints(_)
            | SourceSettings::PublicKeys(_)
            | SourceSettings::TrustOnly
            | SourceSettings::Download(_)
    )
}

fn job(entry: &Entry, loaded: Result<Loaded, Failed>, options: &ProbeOptions) -> Job {
    let (targets, expectation) = match loaded {
        Ok(loaded) => (targets(entry, &loaded), Ok(Arc::new(loaded))),
        Err(failed) => (targets_of_failed(entry, &failed), Err(failed.error)),
    };
    Job {
        expectation,
        targets,
        addresses: entry.addresses.clone(),
        known: KnownDns::default(),
        families: entry.families,
        resolved: None,
        key_types: entry.key_types,
        reach: options.reaches.of(&entry.reach),
        due: None,
        shared_by: None,
        is_stranger: false,
        dane: entry.dane,
        places: Arc::default(),
        rules: Rules {
            warn: entry.warn,
            crit: entry.crit,
            revocation: entry.revocation,
            ..Rules::default()
        },
        reread: None,
        notes: entry.notes.clone(),
        options: options.of(entry),
    }
}

/// Returns the targets of an entry's certificate: each host at each port, and the places that were
/// found.
pub fn targets(entry: &Entry, loaded: &Loaded) -> Vec<Arc<Target>> {
    let Loaded {
        name,
        hostnames,
        found,
        ..
    } = loaded;
    let mut targets = targets_at(entry, name, hostnames);
    targets.extend(targets_found(name, found));
    targets
}

fn targets_found(certificate: &str, found: &[FoundPlace]) -> impl Iterator<Item = Arc<Target>> {
    found.iter().map(move |place| {
        Arc::new(Target {
            certificate: certificate.to_owned(),
            hostname: place.hostname.clone(),
            port: place.port,
            protocol: place.protocol,
            names: place.names.clone(),
        })
    })
}

/// Returns the targets of an entry at these hosts: each host at each port.
pub(super) fn targets_at(
    entry: &Entry,
    certificate: &str,
    hostnames: &[Hostname],
) -> Vec<Arc<Target>> {
    let mut targets = Vec::with_capacity(hostnames.len() * entry.ports.len());
    for hostname in hostnames {
        for &port in &entry.ports {
            targets.push(Arc::new(Target {
                certificate: certificate.to_owned(),
                hostname: hostname.clone(),
                port,
                protocol: entry.protocol,
                names: entry.names_to_match(),
            }));
        }
    }
    targets
}

/// Returns the targets that are reported as unknown because their source failed.
pub fn targets_of_failed(entry: &Entry, failed: &Failed) -> Vec<Arc<Target>> {
    let by_name: Vec<Hostname> = failed.name.parse().into_iter().collect();
    let hostnames = match failed.hostnames.as_slice() {
        [] if failed.found.is_empty() => &by_name,
        configured => configured,
    };
    let mut targets = targets_at(entry, &failed.name, hostnames);
    targets.extend(targets_found(&failed.name, &failed.found));
    targets
}
