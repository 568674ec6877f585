//! Hosts of entries: those that DNS gives for mail domains and services, and files.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Entry, FoundPlace};
use crate::mail::MailDomain;
use crate::model::{Hostname, Service};
use crate::mta_sts::{Sts, StsFault};
use crate::observation::ProbeError;
use crate::resolve::Resolver;
use crate::source::{Sources, files_of};
use crate::tlsa::DaneCheck;

use super::host_limits::limit_hosts;
use super::job::has_names;
use super::xmpp;

/// Maximum files that the patterns of one entry name.
const MAX_FILES_OF_ENTRY: usize = 10_000;

/// Results of the last successful MX lookup, by domain.
pub(super) type MailHosts = BTreeMap<Hostname, Arc<MailDomain>>;

/// Returns the domains with this mail host.
pub(super) fn mail_domains(mail_hosts: &MailHosts, host: &Hostname) -> Arc<[Arc<MailDomain>]> {
    let domains = mail_hosts.values().filter(|mail| mail.hosts.contains(host));
    domains.cloned().collect()
}

/// Results of the last successful lookups of an entry, which are kept if DNS fails.
#[derive(Clone, Debug, Default)]
pub struct KnownPlaces {
    /// Mail hosts of its domains.
    pub mail: MailHosts,
    /// Hosts of its services.
    pub services: BTreeMap<Service, Vec<FoundPlace>>,
    /// Services of which it is not known whether DNSSEC authenticates the SRV records.
    pub unvouched: BTreeMap<Service, ProbeError>,
    /// MTA-STS policies of its domains.
    pub policies: BTreeMap<Hostname, KnownPolicy>,
}

/// An MTA-STS policy that senders have in their cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPolicy {
    /// The policy.
    pub sts: Sts,
    /// End of its `max_age`.
    pub until: Instant,
}

/// Returns the policy that senders apply to a domain: the one that was read now, or else `known`
/// until its `max_age` (RFC 8461, section 5.1). Only the domain's next policy ends it earlier, so
/// neither a failed lookup nor the absence of a record does.
fn applied(
    read: Option<&Result<Sts, StsFault>>,
    known: Option<&KnownPolicy>,
    now: Instant,
) -> Option<KnownPolicy> {
    match read {
        Some(Ok(sts)) => Some(KnownPolicy {
            until: now + Duration::from_secs(sts.policy.max_age),
            sts: sts.clone(),
        }),
        Some(Err(_)) | None => known.filter(|known| now < known.until).cloned(),
    }
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
        let mail = match mail_domain(entry, domain, known, resolver, sources, time).await {
            Ok((mail, policy, errors)) => {
                let policy = policy.map(|policy| (domain.clone(), policy));
                current.policies.extend(policy);
                let errors = errors.into_iter();
                failed.extend(errors.map(|error| (alone_of_domain(&found, domain), Some(error))));
                Arc::new(mail)
            }
            Err(error) => {
                let kept = known.mail.get(domain).filter(|_| !error.is_dns_answer());
                // A domain that is its own mail server has the same failure in its row.
                if !kept.is_some_and(|mail| mail.hosts.contains(domain)) {
                    failed.push((alone_of_domain(&found, domain), Some(error)));
                }
                let Some(kept) = kept else { continue };
                let policy = known.policies.get_key_value(domain);
                let policy = policy.map(|(domain, policy)| (domain.clone(), policy.clone()));
                current.policies.extend(policy);
                kept.clone()
            }
        };
        let is_new = |h: &&Hostname| !entry.hostnames.contains(h);
        let new = mail.hosts.iter().filter(is_new);
        found.hostnames.extend(new.cloned());
        current.mail.insert(domain.clone(), mail);
    }
    for service in &entry.srv {
        let deadline = time.end_of_lookup();
        let (targets, unsigned) = tokio::join!(
            resolver.service(service, deadline),
            unsigned_srv(entry, service, resolver, deadline),
        );
        let unsigned = settled(service, unsigned, known, &mut current);
        let places = match targets {
            Ok(mut targets) => {
                let left_out = limit_hosts(service.owner(), &mut targets);
                let doubt = current.unvouched.get(service).cloned();
                for error in left_out.into_iter().chain(doubt) {
                    let alone = alone_of_service(&found, service);
                    failed.extend(alone.map(|alone| (alone, Some(error))));
                }
                places_of(service, targets, unsigned.as_ref())
            }
            Err(error) => {
                let kept = known.services.get(service);
                let kept = kept.filter(|_| !error.is_dns_answer()).cloned();
                failed.extend(alone_of_service(&found, service).map(|alone| (alone, Some(error))));
                let Some(kept) = kept else { continue };
                kept
            }
        };
        current.services.insert(service.clone(), places.clone());
        add_places(&mut found.found, places);
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

/// Finds the mail hosts of a domain, and in parallel what else DNS and its policy host report. Also
/// returns its MTA-STS policy, and the errors about hosts beyond the maximum and about DNSSEC.
async fn mail_domain(
    entry: &Entry,
    domain: &Hostname,
    known: &KnownPlaces,
    resolver: &Arc<Resolver>,
    sources: &Sources,
    time: LocateTime,
) -> Result<(MailDomain, Option<KnownPolicy>, Vec<ProbeError>), ProbeError> {
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
    let (hosts, security, sts) = tokio::join!(
        resolver.mail_hosts(domain, lookup),
        security,
        sources
            .policies(resolver)
            .of(domain, lookup.min(share), share),
    );
    let mut hosts = hosts?;
    let left_out = limit_hosts(domain, &mut hosts);
    let known_security = known
        .mail
        .get(domain)
        .and_then(|mail| mail.is_authenticated);
    let (is_authenticated, doubt) = match security {
        Some(Err(error)) => {
            tracing::info!("DNSSEC validation of MX records failed: domain={domain} error={error}");
            (known_security, known_security.is_none().then_some(error))
        }
        Some(Ok(is_authenticated)) => (Some(is_authenticated), None),
        None => (None, None),
    };
    let policy = applied(sts.as_ref(), known.policies.get(domain), Instant::now());
    let mail = MailDomain {
        domain: domain.clone(),
        hosts,
        is_authenticated,
        sts: policy.as_ref().map(|policy| policy.sts.clone()),
        sts_fault: sts.and_then(Result::err),
    };
    Ok((mail, policy, left_out.into_iter().chain(doubt).collect()))
}

/// Returns the entry of a mail domain for which an error is reported. Its only host is the domain.
fn alone_of_domain(found: &Entry, domain: &Hostname) -> Entry {
    Entry {
        found: Vec::new(),
        hostnames: vec![domain.clone()],
        ..found.clone()
    }
}

/// Adds places that are not there yet. Of the same place of two services, DNSSEC authenticates the SRV
/// records only if that is true for both.
fn add_places(found: &mut Vec<FoundPlace>, places: Vec<FoundPlace>) {
    for place in places {
        let target = |place: &FoundPlace| {
            let place = place.clone();
            (place.hostname, place.port, place.protocol, place.names)
        };
        let known = found
            .iter_mut()
            .find(|known| target(known) == target(&place));
        match known {
            Some(known) => known.unsigned_srv = known.unsigned_srv.take().or(place.unsigned_srv),
            None => found.push(place),
        }
    }
}

/// Returns the owner of a service's SRV records if DNSSEC does not authenticate them. After a failed
/// lookup, this is what was known before. If nothing was, the failure is added to `current`.
pub(super) fn settled(
    service: &Service,
    unsigned: Result<Option<String>, ProbeError>,
    known: &KnownPlaces,
    current: &mut KnownPlaces,
) -> Option<String> {
    let error = match unsigned {
        Ok(unsigned) => return unsigned,
        Err(error) => error,
    };
    tracing::info!("DNSSEC validation of SRV records failed: service={service} error={error}");
    match known.services.get(service) {
        Some(places) if !known.unvouched.contains_key(service) => {
            places.first().and_then(|place| place.unsigned_srv.clone())
        }
        _ => {
            current.unvouched.insert(service.clone(), error);
            None
        }
    }
}

/// Returns the owner of a service's SRV records if DANE is checked and DNSSEC does not authenticate
/// them.
///
/// # Errors
/// If that is not known.
pub(super) async fn unsigned_srv(
    entry: &Entry,
    service: &Service,
    resolver: &Resolver,
    deadline: Instant,
) -> Result<Option<String>, ProbeError> {
    match entry.dane {
        DaneCheck::Off => Ok(None),
        DaneCheck::On | DaneCheck::Required => {
            let is_secure = resolver.is_srv_secure(service, deadline).await?;
            Ok((!is_secure).then(|| service.owner()))
        }
    }
}

/// Returns the places of a service. `unsigned` is the owner of its SRV records if DNSSEC does not
/// authenticate them.
pub(super) fn places_of(
    service: &Service,
    targets: Vec<(Hostname, u16)>,
    unsigned: Option<&String>,
) -> Vec<FoundPlace> {
    let places = targets.into_iter().map(|(hostname, port)| FoundPlace {
        hostname,
        port,
        protocol: service.protocol,
        names: service.names_to_match(),
        unsigned_srv: unsigned.cloned(),
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

#[cfg(test)]
mod tests;
