//! Name resolution: all addresses of a name, with concurrent queries for A and AAAA, and TLSA
//! records on request.

mod direct;
mod dns;
mod dns_error;
mod error;
pub(crate) mod https;
mod mail;
mod order;
mod overrides;
mod reread;
mod routes;
mod service;
mod tlsa;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::Instant;

use crate::model::Hostname;
pub use crate::model::{Families, Family};
use crate::observation::{ErrorKind, ProbeError};
use crate::tlsa::TlsaLookup;

use dns::{Dns, Settings, settings};
use error::ResolverError;
use https::HttpsRecords;
pub use mail::MAX_MAIL_HOSTS;
pub use overrides::{Override, OverrideError};
use reread::Reread;
use routes::Routes;
pub use service::MAX_SERVICE_TARGETS;
use tlsa::Vouching;

/// Result of resolving a name.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Addresses without duplicates, IPv4 first, sorted.
    pub addresses: Vec<IpAddr>,
    /// Reason why there is no address, or why those of one family are unknown.
    pub failure: Option<ProbeError>,
    /// Families for which no name server returned addresses: SERVFAIL, no response, or no name
    /// server to query.
    pub unanswered: Option<Families>,
    /// Further addresses, which only the HTTPS records of the host give (RFC 9460). Clients without
    /// support for these records do not use them.
    pub hinted: Vec<IpAddr>,
    /// Duration of the lookup. `None` if no query was sent.
    pub took: Option<Duration>,
}

/// Query for the addresses of a host.
#[derive(Clone, Copy, Debug)]
pub struct AddressQuery<'a> {
    /// Host.
    pub hostname: &'a Hostname,
    /// Port, which `--resolve` matches.
    pub port: u16,
    /// Addresses in the inventory, which replace those of DNS. Empty means DNS.
    pub fixed: &'a [IpAddr],
    /// Addresses of the last successful lookup, which stay in use after a DNS failure.
    pub known: &'a [IpAddr],
    /// Families to probe, if they differ from the resolver's.
    pub families: Option<Families>,
    /// True to query the HTTPS records too.
    pub is_https: bool,
}

impl<'a> AddressQuery<'a> {
    /// Creates a query for all addresses that DNS returns for a host.
    pub fn new(hostname: &'a Hostname, port: u16) -> Self {
        Self {
            hostname,
            port,
            fixed: &[],
            known: &[],
            families: None,
            is_https: false,
        }
    }
}

impl Resolution {
    /// Creates a result without addresses, for this reason.
    pub fn failed(failure: ProbeError) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    fn of(addresses: impl IntoIterator<Item = IpAddr>, families: Families) -> Self {
        let all: BTreeSet<IpAddr> = addresses.into_iter().collect();
        let addresses: Vec<IpAddr> = all
            .iter()
            .copied()
            .filter(|ip| families.has(Family::of(*ip)))
            .collect();
        let failure = addresses.is_empty().then(|| {
            ProbeError::new(
                ErrorKind::DnsNoAddress,
                format!(
                    "there is no {} address among those that were given",
                    families.name()
                ),
            )
        });
        Self {
            addresses,
            failure,
            ..Self::default()
        }
    }

    /// Creates a result without addresses of these families, for this reason. It is certain that
    /// there are none only if a name server reported it.
    fn without_addresses(failure: ProbeError, families: Families) -> Self {
        Self {
            unanswered: (!failure.is_dns_answer()).then_some(families),
            ..Self::failed(failure)
        }
    }

    /// Adds the known addresses of the families that no name server returned.
    fn keep(&mut self, known: &[IpAddr]) {
        let Some(families) = self.unanswered else {
            return;
        };
        let kept = known
            .iter()
            .copied()
            .filter(|ip| families.has(Family::of(*ip)) && !self.addresses.contains(ip));
        let kept: Vec<IpAddr> = kept.collect();
        if kept.is_empty() {
            return;
        }
        self.addresses.extend(kept);
        self.addresses.sort();
        self.addresses.dedup();
        if let Some(failure) = &mut self.failure {
            failure.message.push_str(KEPT);
        }
    }
}

/// Suffix of the message of a DNS failure that leaves known addresses in use.
const KEPT: &str = "; the addresses of the last successful lookup are still probed";

/// Resolver of names: by the user's overrides, then `/etc/hosts`, then DNS.
pub struct Resolver {
    families: Families,
    routes: Routes,
    overrides: HashMap<(Option<Hostname>, u16), Vec<IpAddr>>,
    name_servers: Vec<SocketAddr>,
    https: HttpsRecords,
    hosts: Option<Reread<Hosts>>,
    /// Created at the first query, because a run with only fixed addresses needs no
    /// `/etc/resolv.conf`.
    servers: Reread<Servers>,
}

/// System file, which is read again when it changes.
const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// Name servers, and the clients that query them.
struct Servers {
    dns: Dns,
    config: ResolverConfig,
    options: ResolverOpts,
    /// AAAA records are queried only if the user asks for IPv6.
    no_aaaa: bool,
    /// Created at the first query for TLSA records.
    vouching: OnceLock<Result<Vouching, ResolverError>>,
}

impl Servers {
    fn new(name_servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        let Settings {
            config,
            options,
            no_aaaa,
        } = settings(name_servers)?;
        Ok(Self {
            dns: Dns::new(&config, &options)?,
            config,
            options,
            no_aaaa,
            vouching: OnceLock::new(),
        })
    }

    fn vouching(&self) -> Result<&Vouching, ProbeError> {
        let made = self
            .vouching
            .get_or_init(|| Vouching::new(&self.config, &self.options));
        let failed =
            |error: &ResolverError| ProbeError::new(ErrorKind::Internal, error.to_string());
        made.as_ref().map_err(failed)
    }
}

impl Resolver {
    /// Creates a resolver that queries these name servers, or the system's if the list is empty.
    pub fn new(
        families: Families,
        overrides: Vec<Override>,
        name_servers: Vec<SocketAddr>,
    ) -> Self {
        let mut map: HashMap<_, Vec<IpAddr>> = HashMap::new();
        for one in overrides {
            map.entry((one.hostname, one.port))
                .or_default()
                .extend(one.addresses);
        }
        let is_system = name_servers.is_empty();
        Self {
            families,
            https: HttpsRecords::default(),
            routes: Routes::default(),
            overrides: map,
            // A user who specifies a name server expects its responses, not those of a local file.
            hosts: is_system.then(|| Reread::new(Some(Path::new(HOSTS)))),
            servers: Reread::new(is_system.then_some(Path::new(RESOLV_CONF))),
            name_servers,
        }
    }

    /// Returns the same resolver, which does not repeat the notices that `other` has logged.
    pub fn sharing_notices_of(mut self, other: &Self) -> Self {
        self.routes = other.routes.clone();
        self
    }

    /// Returns the addresses of a host without duplicates, within the deadline.
    pub async fn resolve(&self, query: &AddressQuery<'_>, deadline: Instant) -> Resolution {
        let families = query.families.unwrap_or(self.families);
        let mut resolution = self.find(query, families, deadline).await;
        resolution.keep(query.known);
        if families == Families::Available {
            self.routes.skip_unavailable(&mut resolution.addresses);
            self.routes.skip_unavailable(&mut resolution.hinted);
        }
        resolution
    }

    /// Returns true if the user gave the addresses of a host and port.
    pub fn has_override(&self, hostname: &Hostname, port: u16) -> bool {
        let mut hosts = [Some(hostname.clone()), None].into_iter();
        hosts.any(|host| self.overrides.contains_key(&(host, port)))
    }

    async fn find(
        &self,
        query: &AddressQuery<'_>,
        families: Families,
        deadline: Instant,
    ) -> Resolution {
        let AddressQuery {
            hostname,
            port,
            fixed,
            ..
        } = *query;
        let overridden = [Some(hostname.clone()), None]
            .into_iter()
            .find_map(|host| self.overrides.get(&(host, port)));
        if let Some(addresses) = overridden {
            return Resolution::of(addresses.iter().copied(), families);
        }
        if !fixed.is_empty() {
            return Resolution::of(fixed.iter().copied(), families);
        }
        let name = match hostname {
            Hostname::Ip(ip) => return Resolution::of([*ip], families),
            Hostname::File(_) => return Resolution::of([], families),
            Hostname::Dns(name) => name,
        };
        let start = Instant::now();
        // Boxed: the state of a query is large, and a probe spends most of its time on other steps.
        let https = query.is_https.then_some(port);
        let asked = Box::pin(self.ask(name, families, https, deadline)).await;
        let mut resolution =
            asked.unwrap_or_else(|error| Resolution::without_addresses(error, families));
        resolution.took = Some(start.elapsed());
        resolution
    }

    /// Returns the TLSA records of a host for a TCP port (RFC 6698, section 3), within the
    /// deadline; `is_mail` applies the rules for mail between servers (RFC 7672). Not applicable to
    /// hosts without a name in DNS: IP addresses and localhost.
    ///
    /// # Errors
    /// If the records are unknown. Their proven absence is not an error.
    pub async fn tlsa(
        &self,
        hostname: &Hostname,
        port: u16,
        is_mail: bool,
        deadline: Instant,
    ) -> Result<TlsaLookup, ProbeError> {
        let name = match hostname {
            Hostname::Dns(name) if !is_localhost(name) => name,
            Hostname::Dns(_) | Hostname::Ip(_) | Hostname::File(_) => {
                return Ok(TlsaLookup::NotApplicable);
            }
        };
        let servers = self.servers()?;
        let vouching = servers.vouching()?;
        Box::pin(vouching.tlsa(name, port, is_mail, deadline))
            .await
            .map(|tlsa| TlsaLookup::Known(Arc::new(tlsa)))
    }

    async fn ask(
        &self,
        text: &str,
        families: Families,
        https: Option<u16>,
        deadline: Instant,
    ) -> Result<Resolution, ProbeError> {
        let name = dns::name(text)?;

        // As the system's resolver does: a name with an entry of either family in the hosts file is
        // not sent to DNS.
        let hosts = self
            .hosts
            .as_ref()
            .and_then(|hosts| hosts.get(read_hosts).ok());
        let from_hosts: Vec<IpAddr> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| {
                let lookup = hosts
                    .as_ref()?
                    .lookup_static_host(&Query::query(name.clone(), kind))?;
                Some(
                    lookup
                        .answers()
                        .iter()
                        .filter_map(|r| address(&r.data))
                        .collect::<Vec<_>>(),
                )
            })
            .flatten()
            .collect();
        if !from_hosts.is_empty() {
            return Ok(Resolution::of(from_hosts, families));
        }

        let servers = self.servers()?;
        let dns = &servers.dns;
        // `Available` is the default. All other families are the user's choice.
        let is_v6_wanted =
            families.has(Family::V6) && !(servers.no_aaaa && families == Families::Available);
        let mut failed: Option<Resolution> = None;
        for name in dns.candidates(text)? {
            let lookup = |kind: RecordType, wanted: bool| {
                let name = name.clone();
                async move {
                    if wanted {
                        let records = dns.records(text, name, kind, deadline).await?;
                        Ok(records.iter().filter_map(address).collect())
                    } else {
                        Ok(Vec::new())
                    }
                }
            };
            // Both families of one name, before the next name: their addresses must not mix.
            let hints = async {
                match https {
                    Some(port) => {
                        let https = &self.https;
                        https.addresses(dns, &name, port, families, deadline).await
                    }
                    None => Vec::new(),
                }
            };
            let (v4, v6, mut hinted) = tokio::join!(
                lookup(RecordType::A, families.has(Family::V4)),
                lookup(RecordType::AAAA, is_v6_wanted),
                hints,
            );
            let mut resolution = combine(text, families, [v4, v6]);
            hinted.retain(|ip| !resolution.addresses.contains(ip));
            hinted.sort();
            resolution.hinted = hinted;
            let severity = failure_rank(&resolution);
            if severity.is_none() || severity == Some(SILENT_RANK) {
                return Ok(resolution);
            }
            if failed.as_ref().is_none_or(|f| failure_rank(f) < severity) {
                failed = Some(resolution);
            }
        }
        Ok(failed.unwrap_or_default())
    }

    /// Returns the name servers that the system currently configures, or those that the user
    /// specified.
    fn servers(&self) -> Result<Arc<Servers>, ProbeError> {
        let servers = self.servers.get(|| Servers::new(&self.name_servers));
        servers.map_err(|error| ProbeError::new(ErrorKind::Internal, error.to_string()))
    }
}

/// Reads the system's hosts file. An absent file is treated as empty.
fn read_hosts() -> Result<Hosts, ResolverError> {
    match std::fs::read(HOSTS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Hosts::default()),
        Err(error) => Err(ResolverError::Hosts(error)),
        Ok(bytes) => hosts_of(&bytes).map_err(ResolverError::Hosts),
    }
}

/// Parses a hosts file. Bytes that are not UTF-8, such as a comment in Latin-1, do not lose lines.
fn hosts_of(bytes: &[u8]) -> io::Result<Hosts> {
    let mut hosts = Hosts::default();
    hosts.read_hosts_conf(String::from_utf8_lossy(bytes).as_bytes())?;
    Ok(hosts)
}

/// Returns true for names of this machine, which are not sent to DNS (RFC 6761, section 6.3).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

/// The rank of a lookup without a response.
const SILENT_RANK: u8 = 3;

/// Returns the rank of a lookup's failure, which is the result if no name of the search list has an address; `None` if
/// there is an address. That a name server fails ranks above that a name has no address: whether it has one is
/// unknown.
fn failure_rank(resolution: &Resolution) -> Option<u8> {
    if !resolution.addresses.is_empty() {
        return None;
    }
    let kind = resolution.failure.as_ref().map(|failure| failure.kind);
    Some(match kind {
        Some(ErrorKind::DnsTimeout) => SILENT_RANK,
        Some(ErrorKind::DnsServfail) => 2,
        Some(ErrorKind::DnsNxdomain) => 0,
        _ => 1,
    })
}

/// Combines the results of both families. A family without records, or whose response reports that
/// the name does not exist, is not reported if the other family has addresses.
fn combine(
    name: &str,
    families: Families,
    answers: [Result<Vec<IpAddr>, ProbeError>; 2],
) -> Resolution {
    let mut addresses = BTreeSet::new();
    let (mut failures, mut unanswered) = (Vec::new(), Vec::new());
    for (answer, family) in answers.into_iter().zip([Family::V4, Family::V6]) {
        match answer {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                if !error.is_dns_answer() {
                    unanswered.push(family);
                }
                failures.push(error);
            }
        }
    }
    let rank = |error: &ProbeError| match error.kind {
        ErrorKind::DnsServfail => 3,
        ErrorKind::DnsTimeout => 2,
        ErrorKind::DnsNxdomain => 1,
        _ => 0,
    };
    let worst = failures.into_iter().max_by_key(rank);
    let failure = if addresses.is_empty() {
        Some(worst.unwrap_or_else(|| {
            ProbeError::new(
                ErrorKind::DnsNoAddress,
                format!("{name} has no {} address", families.name()),
            )
        }))
    } else {
        worst.filter(|error| rank(error) > 1)
    };
    Resolution {
        addresses: addresses.into_iter().collect(),
        failure,
        unanswered: Families::listed(&unanswered),
        hinted: Vec::new(),
        took: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(families: Families, overrides: &[&str]) -> Resolver {
        let overrides = overrides.iter().map(|o| o.parse().unwrap()).collect();
        Resolver::new(families, overrides, vec!["127.0.0.1:1".parse().unwrap()])
    }

    async fn addresses(resolver: &Resolver, host: &str, port: u16) -> Vec<String> {
        let hostname: Hostname = host.parse().unwrap();
        let query = AddressQuery::new(&hostname, port);
        let resolution = resolver.resolve(&query, Instant::now()).await;
        resolution
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn bytes_that_are_not_utf8_lose_no_line_of_the_hosts_file() {
        let hosts =
            hosts_of(b"# B\xfcro\n192.0.2.1 a.example b\xfcro # \xfc\n192.0.2.2 b.example\n");
        let hosts = hosts.unwrap();
        for name in ["a.example.", "b.example."] {
            let query = Query::query(dns::name(name).unwrap(), RecordType::A);
            assert!(hosts.lookup_static_host(&query).is_some(), "{name}");
        }
    }

    #[tokio::test]
    async fn resolve_overrides_work_as_in_curl() {
        let r = resolver(
            Families::Both,
            &[
                "a.example:443:127.0.0.2,[::1],127.0.0.2",
                "*:8443:127.0.0.3",
                "192.0.2.1:443:127.0.0.4",
                "[2001:db8::1]:443:::1",
            ],
        );
        assert_eq!(addresses(&r, "a.example", 443).await, ["127.0.0.2", "::1"]);
        assert_eq!(addresses(&r, "b.example", 8443).await, ["127.0.0.3"]);
        assert_eq!(addresses(&r, "192.0.2.1", 443).await, ["127.0.0.4"]);
        assert_eq!(addresses(&r, "2001:db8::1", 443).await, ["::1"]);
        assert_eq!(addresses(&r, "192.0.2.1", 444).await, ["192.0.2.1"]);
    }

    #[tokio::test]
    async fn address_family_applies_to_overrides() {
        let r = resolver(
            Families::V6,
            &["a.example:443:127.0.0.2,::1", "b.example:443:127.0.0.2"],
        );
        assert_eq!(addresses(&r, "a.example", 443).await, ["::1"]);
        let hostname: Hostname = "b.example".parse().unwrap();
        let query = AddressQuery::new(&hostname, 443);
        let resolution = r.resolve(&query, Instant::now()).await;
        assert_eq!(resolution.failure.unwrap().kind, ErrorKind::DnsNoAddress);
    }

    #[tokio::test]
    async fn address_and_localhost_have_no_tlsa_records() {
        let r = resolver(Families::Both, &[]);
        let ask = |host: String| {
            let hostname: Hostname = host.parse().unwrap();
            let r = &r;
            async move { r.tlsa(&hostname, 65535, false, Instant::now()).await }
        };
        for host in ["192.0.2.1", "::1", "localhost", "a.localhost"] {
            let found = ask(host.into()).await;
            assert_eq!(found, Ok(TlsaLookup::NotApplicable), "{host}");
        }
        let unanswered = ask("localhost.example".into()).await.unwrap_err();
        assert_eq!(unanswered.kind, ErrorKind::DnsTimeout);
    }

    #[test]
    fn a_dns_failure_keeps_the_known_addresses_of_the_families_that_failed() {
        let ips = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let failed = |kind| Err(ProbeError::new(kind, "x"));
        let (servfail, timeout) = (ErrorKind::DnsServfail, ErrorKind::DnsTimeout);
        let (nxdomain, none) = (ErrorKind::DnsNxdomain, ErrorKind::DnsNoAddress);
        let (v4, new, v6) = ("192.0.2.1", "192.0.2.2", "2001:db8::1");
        let kept = |families, answers| {
            let mut resolution = combine("n", families, answers);
            resolution.keep(&ips(&[v6, v4]));
            let says = resolution
                .failure
                .map(|f| f.message.contains("still probed"));
            (resolution.addresses, says)
        };
        let both = Families::Available;
        for kind in [servfail, timeout] {
            let all = kept(both, [failed(kind), failed(kind)]);
            assert_eq!(all, (ips(&[v4, v6]), Some(true)));
        }
        // A returned family replaces its known addresses.
        let changed = kept(both, [Ok(ips(&[new])), failed(servfail)]);
        assert_eq!(changed, (ips(&[new, v6]), Some(true)));
        for gone in [nxdomain, none] {
            let left = kept(both, [failed(gone), failed(timeout)]);
            assert_eq!(left, (ips(&[v6]), Some(true)));
            let (left, says) = kept(both, [failed(gone), failed(gone)]);
            assert_eq!((left, says), (vec![], Some(false)));
        }
        let of_v4 = kept(Families::V4, [failed(servfail), Ok(vec![])]);
        assert_eq!(of_v4, (ips(&[v4]), Some(true)));
        let (recovered, says) = kept(both, [Ok(ips(&[new])), Ok(vec![])]);
        assert_eq!((recovered, says), (ips(&[new]), None));
        // Without known addresses.
        let mut unknown = combine("n", both, [failed(servfail), failed(servfail)]);
        unknown.keep(&[]);
        assert_eq!(unknown.failure.unwrap().message, "x");
    }

    #[test]
    fn known_addresses_stay_after_an_internal_lookup_error() {
        let known: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
        for (kind, is_kept) in [(ErrorKind::Internal, true), (ErrorKind::DnsNxdomain, false)] {
            let failure = ProbeError::new(kind, "x");
            let mut resolution = Resolution::without_addresses(failure, Families::Available);
            resolution.keep(&known);
            assert_eq!(resolution.addresses == known, is_kept, "{kind}");
        }
    }

    #[test]
    fn failure_of_one_family_is_reported_with_the_other_familys_addresses() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let broken = || Err(ProbeError::new(ErrorKind::DnsServfail, "x"));
        let none = |kind| Err(ProbeError::new(kind, "x"));
        let kind = |answers| {
            combine("n", Families::Both, answers)
                .failure
                .map(|f| f.kind)
        };
        assert_eq!(kind([Ok(vec![ip]), broken()]), Some(ErrorKind::DnsServfail));
        assert_eq!(kind([Ok(vec![ip]), none(ErrorKind::DnsNoAddress)]), None);
        assert_eq!(kind([Ok(vec![ip]), none(ErrorKind::DnsNxdomain)]), None);
        assert_eq!(
            kind([none(ErrorKind::DnsNxdomain), broken()]),
            Some(ErrorKind::DnsServfail)
        );
        assert_eq!(
            kind([Ok(vec![]), Ok(vec![])]),
            Some(ErrorKind::DnsNoAddress)
        );
    }
}
