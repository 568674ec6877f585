//! HTTPS records (RFC 9460): addresses and ports of a host that its address records lack.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::SVCB;
use hickory_resolver::proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

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
    /// Addresses of the last complete lookup of each host and port that has some.
    remembered: Mutex<HashMap<(Name, u16), Vec<IpAddr>>>,
    noticed: Mutex<HashSet<String>>,
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
    /// True for AliasMode: the service is at the target, with the records there.
    is_alias: bool,
    /// The host of the service; `None` for the owner of the record.
    target: Option<Name>,
    /// The port, if the record has one.
    port: Option<u16>,
    /// Addresses of the target, in the order of the record.
    hints: Vec<IpAddr>,
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

/// Returns the usable records among these.
fn bindings(records: &[RData]) -> Vec<Binding> {
    let records = records.iter().filter_map(|data| match data {
        RData::HTTPS(record) => Binding::read(&record.0),
        _ => None,
    });
    records.collect()
}

impl HttpsRecords {
    /// Returns the addresses that the HTTPS records of a host give for this port. Other ports in
    /// them are logged. Every failure is logged, and returns no addresses: clients that use these
    /// records go on without them.
    pub(super) async fn addresses(
        &self,
        dns: &Dns,
        host: &Name,
        port: u16,
        families: Families,
        deadline: Instant,
    ) -> Vec<IpAddr> {
        let text = host.to_ascii();
        if is_localhost(text.trim_end_matches('.')) {
            return Vec::new();
        }
        if lock(&self.silence).is_paused(Instant::now()) {
            return self.remembered(host, port, families);
        }
        let deadline = deadline.min(Instant::now() + MAX_WAIT);
        let found = Box::pin(self.follow(dns, host, port, deadline)).await;
        let mut is_complete = found.is_complete;
        let mut addresses = found.hints;
        for target in found.targets.iter().take(MAX_TARGETS) {
            for (kind, family) in [(RecordType::A, Family::V4), (RecordType::AAAA, Family::V6)] {
                if !families.has(family) {
                    continue;
                }
                let text = target.to_ascii();
                let records = dns.records(&text, target.clone(), kind, deadline);
                match records.await {
                    Ok(records) => addresses.extend(records.iter().filter_map(address)),
                    Err(error) => is_complete &= error.is_dns_answer(),
                }
            }
        }
        // A failed lookup changes nothing: the addresses of the last one stay.
        match is_complete {
            true => self.remember(host, port, &addresses),
            false => addresses.extend(self.remembered(host, port, families)),
        }
        addresses.retain(|ip| families.has(Family::of(*ip)));
        let mut seen = BTreeSet::new();
        addresses.retain(|ip| seen.insert(*ip));
        addresses.truncate(MAX_ADDRESSES);
        addresses
    }

    fn remember(&self, host: &Name, port: u16, addresses: &[IpAddr]) {
        let mut remembered = lock(&self.remembered);
        let key = (host.clone(), port);
        if addresses.is_empty() {
            remembered.remove(&key);
        } else if remembered.len() < MAX_REMEMBERED || remembered.contains_key(&key) {
            remembered.insert(key, addresses.to_vec());
        }
    }

    fn remembered(&self, host: &Name, port: u16, families: Families) -> Vec<IpAddr> {
        let remembered = lock(&self.remembered);
        let all = remembered.get(&(host.clone(), port)).into_iter().flatten();
        all.filter(|ip| families.has(Family::of(**ip)))
            .copied()
            .collect()
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
                owner = target;
                continue;
            }
            if bindings.is_empty() {
                return found;
            }
            for binding in bindings {
                match binding.port.filter(|other| *other != port) {
                    Some(other) => self.notice(&host.to_ascii(), other),
                    None => {
                        found.hints.extend(binding.hints);
                        found
                            .targets
                            .extend(binding.target.filter(|target| target != host));
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

    /// Logs once that a host's HTTPS record names another port.
    fn notice(&self, host: &str, port: u16) {
        let host = host.trim_end_matches('.');
        let text = format!("{host}:{port}");
        let mut noticed = lock(&self.noticed);
        if noticed.len() < MAX_NOTICES && noticed.insert(text) {
            tracing::warn!(
                "the HTTPS record of {host} sends clients to port {port} too: probe https://{host}:{port} beside it"
            );
        }
    }
}

/// Places of a service, from its records.
#[derive(Debug, Default)]
struct Found {
    hints: Vec<IpAddr>,
    /// Names whose addresses are those of the service.
    targets: Vec<Name>,
    /// False if a lookup failed.
    is_complete: bool,
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

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::svcb::{Alpn, IpHint, Mandatory};
    use hickory_resolver::proto::rr::rdata::{A, AAAA};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn record(priority: u16, target: &str, params: Vec<(SvcParamKey, SvcParamValue)>) -> SVCB {
        SVCB::new(priority, name(target), params)
    }

    fn alpn(names: &[&str]) -> (SvcParamKey, SvcParamValue) {
        let names = names.iter().map(ToString::to_string).collect();
        (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(names)))
    }

    #[test]
    fn a_record_says_where_the_service_is() {
        let hints = vec![
            alpn(&["h2", "h3"]),
            (SvcParamKey::Port, SvcParamValue::Port(8443)),
            (
                SvcParamKey::Ipv4Hint,
                SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
            ),
            (
                SvcParamKey::Ipv6Hint,
                SvcParamValue::Ipv6Hint(IpHint(vec![AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)])),
            ),
        ];
        let read = Binding::read(&record(1, ".", hints)).unwrap();
        assert_eq!(
            (read.is_alias, read.target, read.port),
            (false, None, Some(8443))
        );
        assert_eq!(read.hints.len(), 2);
        let alias = Binding::read(&record(0, "cdn.example.", vec![])).unwrap();
        assert_eq!(
            (alias.is_alias, alias.target),
            (true, Some(name("cdn.example.")))
        );
    }

    #[test]
    fn records_that_clients_must_ignore_are_ignored() {
        let mandatory = |key| {
            let keys = Mandatory(vec![SvcParamKey::Port, key]);
            vec![(SvcParamKey::Mandatory, SvcParamValue::Mandatory(keys))]
        };
        let no_default = (SvcParamKey::NoDefaultAlpn, SvcParamValue::NoDefaultAlpn);
        for (record, is_used) in [
            (record(0, ".", vec![]), false),
            (record(1, ".", mandatory(SvcParamKey::Key(4711))), false),
            (record(1, ".", mandatory(SvcParamKey::Alpn)), true),
            // Only QUIC.
            (
                record(1, ".", vec![alpn(&["h3"]), no_default.clone()]),
                false,
            ),
            (record(1, ".", vec![alpn(&["h3"])]), true),
            (record(1, ".", vec![alpn(&["h3", "h2"]), no_default]), true),
        ] {
            assert_eq!(Binding::read(&record).is_some(), is_used, "{record}");
        }
    }

    #[test]
    fn other_ports_have_an_owner_name_of_their_own() {
        let host = name("www.example.");
        assert_eq!(owner_of(&host, 443), Some(host.clone()));
        assert_eq!(
            owner_of(&host, 8443),
            Some(name("_8443._https.www.example."))
        );
        let longest = name(&format!("{}.", vec!["a".repeat(60); 4].join(".")));
        assert_eq!(owner_of(&longest, 8443), None);
    }

    proptest! {
        #[test]
        fn any_record_has_bounded_places(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            fuzzing::https_record(&bytes);
        }

        #[test]
        fn hints_are_kept_in_their_order(octets in prop::collection::vec(any::<u8>(), 0..100), port in any::<u16>()) {
            let hints: Vec<A> = octets.iter().map(|octet| A::new(192, 0, 2, *octet)).collect();
            let wanted: Vec<IpAddr> = hints.iter().take(MAX_ADDRESSES).map(|a| IpAddr::V4(a.0)).collect();
            let read = Binding::read(&record(1, "a.example.", vec![
                (SvcParamKey::Port, SvcParamValue::Port(port)),
                (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(hints))),
            ])).unwrap();
            prop_assert_eq!(read.hints, wanted);
            prop_assert_eq!(read.port, (port > 0).then_some(port));
        }
    }
}
