//! Jobs: the targets of an inventory's entries and the certificates expected there.

use std::collections::{BTreeMap, HashMap, HashSet};
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
use crate::mail::MailDomain;
use crate::model::{Families, Hostname, KeyTypes, Service, Target};
use crate::observation::ProbeError;
use crate::probe::{Reach, Reaches};
use crate::resolve::{Resolution, Resolver};
use crate::source::{Failed, FetchError, Loaded, Sources, files_of};
use crate::tlsa::DaneCheck;
use crate::trust::{self, TrustError};

use super::{Reread, caught, names, xmpp};

/// Maximum concurrent source requests.
const MAX_SOURCES: usize = 8;
/// Maximum files that the patterns of one entry name.
const MAX_FILES_OF_ENTRY: usize = 10_000;

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

/// One certificate and its targets.
#[derive(Clone, Debug)]
pub struct Job {
    /// Expected certificate, or the error of its source.
    pub expectation: Result<Arc<Loaded>, Arc<FetchError>>,
    /// Targets to probe.
    pub targets: Vec<Arc<Target>>,
    /// Addresses to probe instead of those in DNS. If empty, DNS is used.
    pub addresses: Vec<IpAddr>,
    /// Addresses of the last successful lookup of the targets' one name. They are kept if DNS
    /// fails.
    pub known: Vec<IpAddr>,
    /// Address families to probe, if they differ from those of the scanner.
    pub families: Option<Families>,
    /// Resolution of the targets' name, if it has been looked up already.
    pub resolved: Option<Resolution>,
    /// Key types to request, with one probe each.
    pub key_types: KeyTypes,
    /// Settings for reaching the servers.
    pub reach: Arc<Reach>,
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

/// Fetches the expected certificates of these entries. `patience` limits each certificate. A failed
/// source becomes a job of its own, so that its targets are reported as unknown.
pub async fn prepare(
    sources: &Arc<Sources>,
    resolver: &Arc<Resolver>,
    entries: &[Entry],
    options: &ProbeOptions,
    patience: Duration,
) -> Vec<Job> {
    let permits = Arc::new(Semaphore::new(MAX_SOURCES));
    let mut tasks = JoinSet::new();
    let mut jobs = Vec::new();
    let asked = |done: Result<_, JoinError>| {
        done.inspect_err(|error| tracing::error!("cannot query a source: {error}"))
            .ok()
    };
    for (position, entry) in entries.iter().cloned().enumerate() {
        // The permit is acquired before the task is spawned, so that only a few of ten thousand
        // entries have tasks.
        let Ok(permit) = permits.clone().acquire_owned().await else {
            break;
        };
        let (sources, options, resolver) = (sources.clone(), options.clone(), resolver.clone());
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
                for (entry, failure) in located.entries {
                    let resolved = failure.map(Resolution::failed);
                    for one in sources.load(&entry, patience).await {
                        jobs.push(Job {
                            resolved: resolved.clone(),
                            places: places.clone(),
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
            (position, asked.await.unwrap_or_else(internal_error))
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
    names::disambiguate(entries, &mut jobs);
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// Results of the last successful MX lookup, by domain.
pub(super) type MailHosts = BTreeMap<Hostname, Arc<MailDomain>>;

/// Returns the domains with this mail host.
pub(super) fn mail_domains(mail_hosts: &MailHosts, host: &Hostname) -> Arc<[Arc<MailDomain>]> {
    let domains = mail_hosts.values().filter(|mail| mail.hosts.contains(host));
    domains.cloned().collect()
}

/// Places of the last successful lookups of an entry, which are kept if DNS fails.
#[derive(Clone, Debug, Default)]
pub struct KnownPlaces {
    /// Mail hosts of its domains.
    pub mail: MailHosts,
    /// Hosts of its services.
    pub services: BTreeMap<Service, Vec<FoundPlace>>,
}

/// Hosts of an entry.
pub struct Located {
    /// The entry, with the mail servers of its domains among its hosts. For each domain whose
    /// lookup failed, there is another entry with the domain as host, and the error.
    pub entries: Vec<(Entry, Option<ProbeError>)>,
    /// Mail servers and hosts of services in the entries.
    pub known: KnownPlaces,
}

/// Time for finding the hosts of an entry.
#[derive(Clone, Copy, Debug)]
pub struct LocateTime {
    /// Maximum duration of one DNS lookup.
    pub lookup: Duration,
    /// End of all lookups, and of requests to policy hosts.
    pub deadline: Instant,
}

impl LocateTime {
    /// Returns the end of a DNS lookup that begins now.
    pub(super) fn end_of_lookup(&self) -> Instant {
        self.deadline.min(Instant::now() + self.lookup)
    }
}

/// Resolves the mail servers of an entry's domains and the hosts of its services, and finds its
/// files. If DNS fails (SERVFAIL, timeout), known hosts are kept. Also finds the
/// MTA-STS policies of the domains.
pub async fn locate(
    entry: &Entry,
    known: &KnownPlaces,
    resolver: &Arc<Resolver>,
    sources: &Sources,
    time: LocateTime,
) -> Located {
    #[cfg(test)]
    super::tests::panic_on_bad_source(entry);
    if let (true, Some(domain)) = (entry.finds_xmpp_hosts, &entry.reach.xmpp_domain) {
        return xmpp::locate(entry, domain, known, resolver, time.end_of_lookup()).await;
    }
    let mut found = entry.clone();
    found.mx.clear();
    locate_files(entry, &mut found);
    found.srv.clear();
    if found.name.is_none() && found.hostnames.is_empty() && !has_names(entry) {
        let service = || entry.srv.first().map(ToString::to_string);
        found.name = entry.mx.first().map(ToString::to_string).or_else(service);
    }
    let (mut failed, mut current) = (Vec::new(), KnownPlaces::default());
    for domain in &entry.mx {
        let mail = match mail_domain(entry, domain, resolver, sources, time).await {
            Ok(mail) => Arc::new(mail),
            Err(error) => {
                let kept = known.mail.get(domain).filter(|_| !error.is_dns_answer());
                // A domain that is its own mail server has the same failure in its row.
                if !kept.is_some_and(|mail| mail.hosts.contains(domain)) {
                    let mut alone = found.clone();
                    alone.found.clear();
                    alone.hostnames = vec![domain.clone()];
                    failed.push((alone, Some(error)));
                }
                let Some(kept) = kept else { continue };
                kept.clone()
            }
        };
        let is_new = |h: &&Hostname| !entry.hostnames.contains(h);
        let new = mail.hosts.iter().filter(is_new);
        found.hostnames.extend(new.cloned());
        current.mail.insert(domain.clone(), mail);
    }
    for service in &entry.srv {
        let places = match resolver.service(service, time.end_of_lookup()).await {
            Ok(targets) => places_of(service, targets),
            Err(error) => {
                let kept = known.services.get(service);
                let kept = kept.filter(|_| !error.is_dns_answer()).cloned();
                failed.extend(alone_of_service(&found, service).map(|alone| (alone, Some(error))));
                let Some(kept) = kept else { continue };
                kept
            }
        };
        current.services.insert(service.clone(), places.clone());
        for place in places {
            if !found.found.contains(&place) {
                found.found.push(place);
            }
        }
    }
    let is_looked_up = !entry.mx.is_empty() || !entry.srv.is_empty();
    let has_places = !is_looked_up || !found.hostnames.is_empty() || !found.found.is_empty();
    let found = has_places.then_some((found, None));
    Located {
        entries: found.into_iter().chain(failed).collect(),
        known: current,
    }
}

/// Divisor of the time for a mail domain. The quotient is the maximum duration of the lookups that
/// its mail hosts do not depend on.
const MAIL_SHARE: u32 = 2;

/// Finds the mail hosts of a domain, and in parallel what else DNS and its policy host report.
async fn mail_domain(
    entry: &Entry,
    domain: &Hostname,
    resolver: &Arc<Resolver>,
    sources: &Sources,
    time: LocateTime,
) -> Result<MailDomain, ProbeError> {
    let now = Instant::now();
    let share = now + time.deadline.saturating_duration_since(now) / MAIL_SHARE;
    let lookup = time.end_of_lookup();
    let security = async {
        match entry.dane {
            DaneCheck::Off => None,
            DaneCheck::On | DaneCheck::Required => {
                Some(resolver.is_mx_secure(domain, lookup.min(share)).await)
            }
        }
    };
    let (hosts, is_authenticated, sts) = tokio::join!(
        resolver.mail_hosts(domain, lookup),
        security,
        sources
            .policies(resolver)
            .of(domain, lookup.min(share), share),
    );
    Ok(MailDomain {
        domain: domain.clone(),
        hosts: hosts?,
        is_authenticated,
        sts,
    })
}

pub(super) fn places_of(service: &Service, targets: Vec<(Hostname, u16)>) -> Vec<FoundPlace> {
    let places = targets.into_iter().map(|(hostname, port)| FoundPlace {
        hostname,
        port,
        protocol: service.protocol,
        names: service.names_to_match(),
    });
    places.collect()
}

/// Returns the entry of a service that could not be looked up. Its only place has the name of the
/// service.
fn alone_of_service(found: &Entry, service: &Service) -> Option<Entry> {
    let mut alone = found.clone();
    alone.found.clear();
    alone.hostnames = vec![service.owner().parse().ok()?];
    alone.protocol = service.protocol;
    alone.ports = vec![service.protocol.default_port()];
    Some(alone)
}

/// Replaces the patterns of files with the files that they name. The entry's host names are the
/// names that each file must match.
fn locate_files(entry: &Entry, found: &mut Entry) {
    if entry.files.is_empty() {
        return;
    }
    found.files.clear();
    let names = std::mem::take(&mut found.hostnames);
    if found.name.is_none() && !has_names(entry) {
        found.name = entry.files.first().cloned();
    }
    let files = entry.files.iter().flat_map(|pattern| files_of(pattern));
    let mut seen = HashSet::new();
    let files = files.filter(|file| seen.insert(file.clone()));
    let files = files.take(MAX_FILES_OF_ENTRY);
    found
        .found
        .extend(files.map(|file| FoundPlace::file(file, &names)));
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
        known: Vec::new(),
        families: entry.families,
        resolved: None,
        key_types: entry.key_types,
        reach: options.reaches.of(&entry.reach),
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
pub fn targets_at(entry: &Entry, certificate: &str, hostnames: &[Hostname]) -> Vec<Arc<Target>> {
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

#[cfg(test)]
mod tests;
