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
mod resolution;
mod routes;
mod service;
mod tlsa;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

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
use https::{Hints, HttpsRecords};
pub use overrides::{Override, OverrideError};
use reread::Reread;
pub use resolution::Resolution;
use resolution::combine;
use routes::Routes;
use tlsa::Vouching;

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
        self.overridden(hostname, port).is_some()
    }

    fn overridden(&self, hostname: &Hostname, port: u16) -> Option<&Vec<IpAddr>> {
        // Usually there are none, and a lookup needs a copy of the name.
        if self.overrides.is_empty() {
            return None;
        }
        let mut hosts = [Some(hostname.clone()), None].into_iter();
        hosts.find_map(|host| self.overrides.get(&(host, port)))
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
        if let Some(addresses) = self.overridden(hostname, port) {
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
            return Ok(Resolution::of_hosts_file(text, from_hosts, families));
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
                        https.look_up(dns, &name, port, families, deadline).await
                    }
                    None => Hints::default(),
                }
            };
            // The addresses are asked for first: some name servers answer one question at a time.
            let (v4, v6, hints) = tokio::join!(
                biased;
                lookup(RecordType::A, families.has(Family::V4)),
                lookup(RecordType::AAAA, is_v6_wanted),
                hints,
            );
            let mut resolution = combine(text, families, [v4, v6]);
            let Hints {
                addresses: mut hinted,
                ech,
            } = hints;
            hinted.retain(|ip| !resolution.addresses.contains(ip));
            hinted.sort();
            resolution.hinted = hinted;
            resolution.ech = ech;
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

#[cfg(test)]
mod tests;
