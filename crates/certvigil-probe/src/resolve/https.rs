//! HTTPS records (RFC 9460): addresses and ports of a host that its address records lack, and the
//! configurations of Encrypted Client Hello.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::SVCB;
use hickory_resolver::proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use crate::ech::{EchParameter, EchPlace, EchPlaces};
use crate::model::{Families, Family};

use super::dns::{self, Dns};
use super::{address, is_localhost};

/// Port whose records are at the name of the host itself (RFC 9460, section 9.1).
const DEFAULT_PORT: u16 = 443;
/// Maximum aliases that are followed from one name (RFC 9460, section 3.1).
const MAX_ALIASES: usize = 8;
/// Maximum names other than the host whose addresses are looked up.
const MAX_TARGETS: usize = 4;
/// Maximum addresses of one host from its HTTPS records.
const MAX_ADDRESSES: usize = 32;
/// Maximum duration of the lookups. Some name servers and firewalls drop queries for record types
/// that they do not know.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Consecutive lookups without a response after which the records are not queried for [`PAUSE`].
const MAX_SILENT: u8 = 3;
/// Pause after [`MAX_SILENT`] lookups without a response.
const PAUSE: Duration = Duration::from_secs(60);
/// Maximum hosts whose addresses are remembered for failing lookups.
const MAX_REMEMBERED: usize = 10_000;
/// Maximum notices that are remembered, so that each is logged once.
const MAX_NOTICES: usize = 1000;

/// State of the lookups of one resolver.
#[derive(Debug, Default)]
pub(super) struct HttpsRecords {
    silence: Mutex<Silence>,
    /// Result of the last complete lookup of each host and port that has some.
    remembered: Mutex<HashMap<(Name, u16), Hints>>,
    noticed: Mutex<HashSet<String>>,
}

/// Result of the lookup of a host and port.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// Addresses of the service.
    pub(super) addresses: Vec<IpAddr>,
    /// Parameters `ech`.
    pub(super) ech: EchPlaces,
}

/// Lookups without a response.
#[derive(Debug, Default)]
struct Silence {
    consecutive: u8,
    paused_until: Option<Instant>,
}

impl Silence {
    fn add(&mut self, now: Instant) {
        self.consecutive = self.consecutive.saturating_add(1);
        if self.consecutive >= MAX_SILENT {
            self.paused_until = now.checked_add(PAUSE);
        }
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

/// One usable HTTPS record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Binding {
    /// The priority; 0 for AliasMode.
    priority: u16,
    /// True for AliasMode: the service is at the target, with the records there.
    is_alias: bool,
    /// The host of the service; `None` for the owner of the record.
    target: Option<Name>,
    /// The port, if the record has one.
    port: Option<u16>,
    /// Addresses of the target, in the order of the record.
    hints: Vec<IpAddr>,
    /// The parameter `ech`, if the record has one.
    ech: Option<Arc<EchParameter>>,
}

impl Binding {
    /// Returns the meaning of a record; `None` if a client that speaks HTTP over TCP must ignore
    /// it.
    fn read(record: &SVCB) -> Option<Self> {
        let target = (!record.target_name.is_root()).then(|| record.target_name.clone());
        if record.svc_priority == 0 {
            // `.` in AliasMode: the service does not exist (section 2.5.1).
            return Some(Self {
                is_alias: true,
                target: Some(target?),
                ..Self::default()
            });
        }
        let mut binding = Self {
            priority: record.svc_priority,
            target,
            ..Self::default()
        };
        let (mut is_default_alpn, mut has_tcp_alpn) = (true, false);
        for (_, value) in &record.svc_params {
            match value {
                SvcParamValue::Mandatory(keys) if !keys.0.iter().all(is_known) => return None,
                SvcParamValue::Alpn(alpn) => {
                    has_tcp_alpn |= alpn.0.iter().any(|name| name == "h2" || name == "http/1.1");
                }
                SvcParamValue::NoDefaultAlpn => is_default_alpn = false,
                SvcParamValue::Port(port) => binding.port = Some(*port).filter(|port| *port > 0),
                SvcParamValue::Ipv4Hint(hints) => {
                    binding
                        .hints
                        .extend(hints.0.iter().map(|a| IpAddr::V4(a.0)));
                }
                SvcParamValue::Ipv6Hint(hints) => {
                    binding
                        .hints
                        .extend(hints.0.iter().map(|a| IpAddr::V6(a.0)));
                }
                SvcParamValue::EchConfigList(list) => {
                    binding.ech = Some(Arc::new(EchParameter::decode(&list.0)));
                }
                _ => {}
            }
        }
        binding.hints.truncate(MAX_ADDRESSES);
        (is_default_alpn || has_tcp_alpn).then_some(binding)
    }
}

/// Returns true for a parameter that has a meaning here, or none for a probe.
fn is_known(key: &SvcParamKey) -> bool {
    matches!(
        key,
        SvcParamKey::Mandatory
            | SvcParamKey::Alpn
            | SvcParamKey::NoDefaultAlpn
            | SvcParamKey::Port
            | SvcParamKey::Ipv4Hint
            | SvcParamKey::Ipv6Hint
            | SvcParamKey::EchConfigList
    )
}

/// Returns the usable records among these, in the order in which clients prefer them.
fn bindings(records: &[RData]) -> Vec<Binding> {
    let records = records.iter().filter_map(|data| match data {
        RData::HTTPS(record) => Binding::read(&record.0),
        _ => None,
    });
    let mut records: Vec<Binding> = records.collect();
    records.sort_by_key(|binding| binding.priority);
    records
}

impl HttpsRecords {
    /// Returns what the HTTPS records of a host give for this port. Other ports in them are logged.
    /// Every failure is logged, and returns nothing: clients that use these records go on without
    /// them.
    pub(super) async fn look_up(
        &self,
        dns: &Dns,
        host: &Name,
        port: u16,
        families: Families,
        deadline: Instant,
    ) -> Hints {
        let text = host.to_ascii();
        if is_localhost(text.trim_end_matches('.')) {
            return Hints::default();
        }
        if lock(&self.silence).is_paused(Instant::now()) {
            return self.remembered(host, port, families);
        }
        let deadline = deadline.min(Instant::now() + MAX_WAIT);
        let found = Box::pin(self.follow(dns, host, port, deadline)).await;
        let mut is_complete = found.is_complete;
        let hints = found.services.iter().flat_map(|service| &service.hints);
        let mut addresses: Vec<IpAddr> = hints.copied().collect();
        let mut by_target: HashMap<&Name, Vec<IpAddr>> = HashMap::new();
        for target in found.targets.iter().take(MAX_TARGETS) {
            for (kind, family) in [(RecordType::A, Family::V4), (RecordType::AAAA, Family::V6)] {
                if !families.has(family) {
                    continue;
                }
                let text = target.to_ascii();
                let records = dns.records(&text, target.clone(), kind, deadline);
                match records.await {
                    Ok(records) => {
                        let found = by_target.entry(target).or_default();
                        found.extend(records.iter().filter_map(address));
                    }
                    Err(error) => is_complete &= error.is_dns_answer(),
                }
            }
        }
        for target in &found.targets {
            addresses.extend(by_target.get(target).into_iter().flatten());
        }
        let places = found
            .services
            .iter()
            .map(|service| service.place(&by_target));
        let mut ech = EchPlaces::new(places.collect());
        // A failed lookup changes nothing: the result of the last one stays.
        if is_complete {
            self.remember(host, port, &addresses, &ech);
        } else {
            let remembered = self.remembered(host, port, families);
            addresses.extend(remembered.addresses);
            if ech.is_empty() {
                ech = remembered.ech;
            }
        }
        addresses.retain(|ip| families.has(Family::of(*ip)));
        let mut seen = BTreeSet::new();
        addresses.retain(|ip| seen.insert(*ip));
        addresses.truncate(MAX_ADDRESSES);
        Hints { addresses, ech }
    }

    fn remember(&self, host: &Name, port: u16, addresses: &[IpAddr], ech: &EchPlaces) {
        let mut remembered = lock(&self.remembered);
        let key = (host.clone(), port);
        if addresses.is_empty() && ech.is_empty() {
            remembered.remove(&key);
        } else if remembered.len() < MAX_REMEMBERED || remembered.contains_key(&key) {
            let hints = Hints {
                addresses: addresses.to_vec(),
                ech: ech.clone(),
            };
            remembered.insert(key, hints);
        }
    }

    fn remembered(&self, host: &Name, port: u16, families: Families) -> Hints {
        let remembered = lock(&self.remembered);
        let key = (host.clone(), port);
        let mut hints = remembered.get(&key).cloned().unwrap_or_default();
        hints.addresses.retain(|ip| families.has(Family::of(*ip)));
        hints
    }

    /// Follows the aliases from a host to the records of its service.
    async fn follow(&self, dns: &Dns, host: &Name, port: u16, deadline: Instant) -> Found {
        let mut found = Found {
            is_complete: true,
            ..Found::default()
        };
        let Some(mut owner) = owner_of(host, port) else {
            return found;
        };
        let mut alias = None;
        for _ in 0..=MAX_ALIASES {
            let text = owner.to_ascii();
            let records = dns
                .records(&text, owner.clone(), RecordType::HTTPS, deadline)
                .await;
            match &records {
                Err(error) if !error.is_dns_answer() => {
                    lock(&self.silence).add(Instant::now());
                    tracing::debug!("HTTPS records unknown: name={text} error=\"{error}\"");
                    found.is_complete = false;
                    return found;
                }
                _ => *lock(&self.silence) = Silence::default(),
            }
            let bindings = records
                .map(|records| bindings(&records))
                .unwrap_or_default();
            if let Some(target) = bindings
                .iter()
                .find(|b| b.is_alias)
                .and_then(|b| b.target.clone())
            {
                // Without records at the target, the service is at its addresses (section 3).
                found.targets = vec![target.clone()];
                alias = Some(target.clone());
                owner = target;
                continue;
            }
            if bindings.is_empty() {
                return found;
            }
            for binding in bindings {
                match binding.port.filter(|other| *other != port) {
                    Some(other) => self.notice_port(&host.to_ascii(), other),
                    None => {
                        if binding.ech.as_deref() == Some(&EchParameter::Unsupported) {
                            self.notice_unsupported(&host.to_ascii());
                        }
                        let is_other = |target: &Name| target != host;
                        let target = binding.target.filter(is_other);
                        found.targets.extend(target.clone());
                        found.services.push(Service {
                            target: target.or_else(|| alias.clone().filter(is_other)),
                            hints: binding.hints,
                            ech: binding.ech,
                        });
                    }
                }
            }
            found.targets.dedup();
            return found;
        }
        tracing::debug!("too many aliases in HTTPS records: name={host} maximum={MAX_ALIASES}");
        Found {
            is_complete: true,
            ..Found::default()
        }
    }

    /// Returns true if a notice has not been logged.
    fn is_new(&self, notice: String) -> bool {
        let mut noticed = lock(&self.noticed);
        noticed.len() < MAX_NOTICES && noticed.insert(notice)
    }

    /// Logs once that browsers do not use the parameter `ech` of a host.
    fn notice_unsupported(&self, host: &str) {
        let host = host.trim_end_matches('.');
        if self.is_new(format!("{host} ech")) {
            tracing::info!(
                "no configuration for Encrypted Client Hello that browsers support: browsers connect without it: hostname={host}"
            );
        }
    }

    /// Logs once that a host's HTTPS record names another port.
    fn notice_port(&self, host: &str, port: u16) {
        let host = host.trim_end_matches('.');
        if self.is_new(format!("{host}:{port}")) {
            tracing::warn!(
                "the HTTPS record of {host} sends clients to port {port} too: probe https://{host}:{port} beside it"
            );
        }
    }
}

/// Places of a service, from its records.
#[derive(Debug, Default)]
struct Found {
    /// Services in the order in which clients prefer them.
    services: Vec<Service>,
    /// Names whose addresses are those of the service.
    targets: Vec<Name>,
    /// False if a lookup failed.
    is_complete: bool,
}

/// A service of the host, from one record.
#[derive(Debug)]
struct Service {
    /// The name whose addresses are those of the service; `None` for the host.
    target: Option<Name>,
    hints: Vec<IpAddr>,
    ech: Option<Arc<EchParameter>>,
}

impl Service {
    /// Returns the addresses of the service, with its parameter `ech`.
    fn place(&self, by_target: &HashMap<&Name, Vec<IpAddr>>) -> EchPlace {
        let target = self.target.as_ref();
        let of_target = target.and_then(|target| by_target.get(target));
        let of_target = of_target.into_iter().flatten();
        EchPlace {
            is_host: target.is_none(),
            addresses: self.hints.iter().chain(of_target).copied().collect(),
            parameter: self.ech.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the owner name of the HTTPS records of a host and port (RFC 9460, section 9.1).
fn owner_of(host: &Name, port: u16) -> Option<Name> {
    if port == DEFAULT_PORT {
        return Some(host.clone());
    }
    let mut owner = dns::name(&format!("_{port}._https.{}", host.to_ascii())).ok()?;
    owner.set_fqdn(true);
    Some(owner)
}
