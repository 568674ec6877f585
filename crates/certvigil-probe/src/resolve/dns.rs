//! Queries to name servers as `resolv.conf(5)` describes them, and the meaning of their responses.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, timeout_at};

use crate::observation::{ErrorKind, ProbeError};

use super::direct::Direct;
use super::dns_error::{explain, rejects_edns, timed_out};
use super::error::ResolverError;
use super::is_localhost;
use super::order::{NextQuery, Order};

/// Maximum concurrent queries on one connection to a name server.
const MAX_QUESTIONS: usize = 4096;
/// Limits of the options `attempts` and `timeout` of resolv.conf. The maxima are those of
/// `resolv.conf(5)`.
const ATTEMPTS: RangeInclusive<usize> = 1..=5;
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// Name servers and the options of queries.
pub(super) struct Settings {
    pub(super) config: ResolverConfig,
    pub(super) options: ResolverOpts,
    /// The option `no-aaaa` of resolv.conf: AAAA records are not queried.
    pub(super) no_aaaa: bool,
}

/// Returns the name servers and their options: these, or the system's if there are none.
pub(super) fn settings(name_servers: &[SocketAddr]) -> Result<Settings, ResolverError> {
    let (config, mut options, no_aaaa) = if name_servers.is_empty() {
        system()?
    } else {
        let servers = name_servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let with_port = connections.map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, with_port.into())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        (config, ResolverOpts::default(), false)
    };
    options.cache_size = 0; // every scan queries again
    options.use_hosts_file = ResolveHosts::Never; // the caller reads it, for both families at once
    options.attempts = options.attempts.clamp(*ATTEMPTS.start(), *ATTEMPTS.end());
    options.timeout = options.timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT);
    options.num_concurrent_reqs = 1;
    options.edns0 = true;
    options.max_active_requests = MAX_QUESTIONS;
    Ok(Settings {
        config,
        options,
        no_aaaa,
    })
}

/// Reads the system's settings. On Android and Apple's systems, they are not those of
/// `/etc/resolv.conf`.
#[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
fn system() -> Result<(ResolverConfig, ResolverOpts, bool), ResolverError> {
    let bytes = std::fs::read(super::RESOLV_CONF).map_err(ResolverError::Read)?;
    let (config, options, no_aaaa) = parse(&bytes)?;
    if no_aaaa {
        tracing::info!(
            "AAAA records are not queried, because of `options no-aaaa` in {}; -6 or `families` overrides it",
            super::RESOLV_CONF
        );
    }
    Ok((config, options, no_aaaa))
}

/// Parses resolv.conf. The last value is true if it has the option `no-aaaa`.
#[cfg(any(
    test,
    all(unix, not(any(target_os = "android", target_vendor = "apple")))
))]
fn parse(bytes: &[u8]) -> Result<(ResolverConfig, ResolverOpts, bool), ResolverError> {
    let (text, own) = readable(bytes);
    let (mut config, options) =
        hickory_resolver::system_conf::parse_resolv_conf(text).map_err(ResolverError::syntax)?;
    if own.use_vc {
        for server in &mut config.name_servers {
            let connections = &mut server.connections;
            connections.retain(|connection| !matches!(connection.protocol, ProtocolConfig::Udp));
        }
    }
    Ok((config, options, own.no_aaaa))
}

/// Options of resolv.conf that hickory does not implement.
#[cfg(any(
    test,
    all(unix, not(any(target_os = "android", target_vendor = "apple")))
))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OwnOptions {
    /// `no-aaaa`: AAAA records are not queried.
    no_aaaa: bool,
    /// `use-vc`: all queries use TCP.
    use_vc: bool,
}

#[cfg(not(all(unix, not(any(target_os = "android", target_vendor = "apple")))))]
fn system() -> Result<(ResolverConfig, ResolverOpts, bool), ResolverError> {
    let (config, options) =
        hickory_resolver::system_conf::read_system_conf().map_err(ResolverError::syntax)?;
    Ok((config, options, false))
}

/// Returns the text of resolv.conf without comments, and its options that hickory does not
/// implement. A word that is not UTF-8, such as a comment in Latin-1, does not lose its line.
#[cfg(any(
    test,
    all(unix, not(any(target_os = "android", target_vendor = "apple")))
))]
fn readable(bytes: &[u8]) -> (String, OwnOptions) {
    let text = String::from_utf8_lossy(bytes);
    let mut own = OwnOptions::default();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let content = line.split(['#', ';']).next().unwrap_or_default();
        let is_options = content.split_whitespace().next() == Some("options");
        for word in content.split_whitespace() {
            match word {
                "no-aaaa" if is_options => own.no_aaaa = true,
                "use-vc" if is_options => own.use_vc = true,
                _ if word.contains(char::REPLACEMENT_CHARACTER) => {}
                _ => {
                    out.push_str(word);
                    out.push(' ');
                }
            }
        }
        out.push('\n');
    }
    (out, own)
}

/// The name servers in their order, which is the order of queries.
pub(super) struct Dns {
    servers: Vec<Server>,
    search: Vec<Name>,
    ndots: usize,
    order: Order,
}

/// A name server.
struct Server {
    with_edns: Client,
    without_edns: Client,
    /// It responds to queries without EDNS only (RFC 6891, section 7).
    lacks_edns: AtomicBool,
}

/// The means to query one name server in one way.
struct Client {
    address: IpAddr,
    direct: Option<Direct>,
    resolver: TokioResolver,
}

/// A failed query.
struct Failure {
    error: ProbeError,
    /// The name server rejects EDNS.
    rejects_edns: bool,
}

impl Dns {
    pub(super) fn new(
        config: &ResolverConfig,
        options: &ResolverOpts,
    ) -> Result<Self, ResolverError> {
        let servers = config.name_servers().iter();
        let search = match (config.search(), config.domain()) {
            ([], Some(domain)) if !domain.is_root() => vec![domain.clone()],
            (search, _) => search.to_vec(),
        };
        let servers: Vec<Server> = servers
            .map(|server| Server::new(server, options))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            order: Order::new(servers.len(), options.attempts, options.timeout),
            servers,
            search,
            ndots: options.ndots,
        })
    }

    /// Returns the fully qualified names to query for a name, in order: the name itself, and the name below
    /// each domain of the search list. The name itself is the first one if it has `ndots` dots, and the last
    /// one otherwise.
    ///
    /// # Errors
    /// The text is not a DNS name.
    pub(super) fn candidates(&self, text: &str) -> Result<Vec<Name>, ProbeError> {
        let mut own = name(text)?;
        if own.is_fqdn() || is_localhost(text) {
            own.set_fqdn(true);
            return Ok(vec![own]);
        }
        let searched = self.search.iter();
        let searched = searched.filter_map(|domain| own.clone().append_domain(domain).ok());
        let mut names: Vec<Name> = searched.collect();
        own.set_fqdn(true);
        let dots = text.matches('.').count();
        let position = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(position, own);
        for name in &mut names {
            name.set_fqdn(true);
        }
        names.dedup();
        Ok(names)
    }

    /// Returns the records of a fully qualified name. The name servers are queried in their order. The
    /// next one is queried if one does not respond or returns an error; that a name or a record does not exist
    /// is a response, not an error.
    pub(super) async fn records(
        &self,
        text: &str,
        name: Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Vec<RData>, ProbeError> {
        let mut queries = self.order.queries(deadline);
        while let Some(query) = queries.next() {
            let Some(server) = self.servers.get(query.index) else {
                break;
            };
            let answer = server.records(text, &name, kind, query).await;
            if let Some(answer) = queries.record(query, answer) {
                return answer;
            }
        }
        Err(queries.failure().unwrap_or_else(|| timed_out(text, kind)))
    }
}

impl Server {
    fn new(config: &NameServerConfig, options: &ResolverOpts) -> Result<Self, ResolverError> {
        let client = |edns0: bool| {
            let mut options = options.clone();
            options.edns0 = edns0;
            Client::new(config, options)
        };
        Ok(Self {
            with_edns: client(true)?,
            without_edns: client(false)?,
            lacks_edns: AtomicBool::new(false),
        })
    }

    /// Queries the name server. Without a response to the first query with EDNS, later ones have
    /// none: some firewalls drop queries with EDNS.
    async fn records(
        &self,
        text: &str,
        name: &Name,
        kind: RecordType,
        query: NextQuery,
    ) -> Result<Vec<RData>, ProbeError> {
        let end = query.end;
        let mut answer = Err(Failure {
            error: timed_out(text, kind),
            rejects_edns: true,
        });
        let has_edns = query.is_first && !self.lacks_edns.load(Ordering::Relaxed);
        if has_edns {
            answer = self.with_edns.records(text, name, kind, end).await;
        }
        if matches!(&answer, Err(failure) if failure.rejects_edns) {
            answer = self.without_edns.records(text, name, kind, end).await;
            let is_response = match &answer {
                Ok(_) => true,
                Err(failure) => failure.error.is_dns_answer(),
            };
            if is_response {
                self.lacks_edns.store(true, Ordering::Relaxed);
            }
        }
        answer.map_err(|failure| failure.error)
    }
}

impl Client {
    fn new(server: &NameServerConfig, mut options: ResolverOpts) -> Result<Self, ResolverError> {
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server.clone()]);
        let direct = Direct::new(&config, &options);
        options.attempts = 0; // the caller queries again
        let provider = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(config, provider)
            .with_options(options)
            .build()
            .map_err(ResolverError::Client)?;
        Ok(Self {
            address: server.ip,
            direct,
            resolver,
        })
    }

    async fn records(
        &self,
        text: &str,
        name: &Name,
        kind: RecordType,
        end: Instant,
    ) -> Result<Vec<RData>, Failure> {
        let mut alias = None;
        if let Some(direct) = &self.direct {
            let (answer, target) = direct.ask(text, name, kind, end).await;
            if let Some(answer) = answer {
                return answer.map_err(Failure::of);
            }
            alias = target;
        }
        match timeout_at(end, self.resolver.lookup(name.clone(), kind)).await {
            Ok(Ok(lookup)) => Ok(lookup.answers().iter().map(|r| r.data.clone()).collect()),
            Ok(Err(error)) => {
                let error = Failure::explained(text, alias.as_deref(), kind, self.address, &error);
                Err(error)
            }
            Err(_) => Err(Failure::of(timed_out(text, kind))),
        }
    }
}

impl Failure {
    fn of(error: ProbeError) -> Self {
        Self {
            error,
            rejects_edns: false,
        }
    }

    fn explained(
        text: &str,
        alias: Option<&str>,
        kind: RecordType,
        server: IpAddr,
        error: &NetError,
    ) -> Self {
        Self {
            error: explain(text, alias, kind, Some(server), error),
            rejects_edns: rejects_edns(error),
        }
    }
}

/// Returns a text as a DNS name. It is fully qualified if it ends with a dot.
pub(super) fn name(text: &str) -> Result<Name, ProbeError> {
    Name::from_ascii(text).map_err(|error| {
        ProbeError::new(
            ErrorKind::DnsNxdomain,
            format!("{text} is no DNS name: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(search: &[&str], ndots: usize) -> Dns {
        Dns {
            servers: Vec::new(),
            search: search.iter().map(|s| name(s).unwrap()).collect(),
            ndots,
            order: Order::new(0, 1, MIN_TIMEOUT),
        }
    }

    fn candidates(dns: &Dns, text: &str) -> Vec<String> {
        let names = dns.candidates(text).unwrap();
        names.iter().map(Name::to_ascii).collect()
    }

    #[test]
    fn bytes_that_are_not_utf8_lose_no_line_of_resolv_conf() {
        let text = b"# B\xfcro\nnameserver 192.0.2.1 # B\xfcro\nsearch b\xfcro.example example.com\noptions ndots:2 no-aaaa\n";
        let (config, options, no_aaaa) = parse(text).unwrap();
        assert!(no_aaaa);
        assert_eq!(config.name_servers().len(), 1);
        let search: Vec<String> = config.search().iter().map(Name::to_ascii).collect();
        assert_eq!(search, ["example.com"]);
        assert_eq!(options.ndots, 2);
        let text = b"# options no-aaaa use-vc\nsearch no-aaaa use-vc\n";
        assert_eq!(readable(text).1, OwnOptions::default());
    }

    #[test]
    fn option_use_vc_leaves_no_queries_over_udp() {
        for (option, has_udp) in [("use-vc", false), ("rotate", true)] {
            let text = format!("nameserver 192.0.2.1\nnameserver ::1\noptions {option}\n");
            let (config, options, _) = parse(text.as_bytes()).unwrap();
            for server in &config.name_servers {
                let all = server.connections.iter();
                let udp = all.filter(|c| matches!(c.protocol, ProtocolConfig::Udp));
                assert_eq!(udp.count() > 0, has_udp, "{option}");
                let all = server.connections.iter();
                let tcp = all.filter(|c| matches!(c.protocol, ProtocolConfig::Tcp));
                assert_eq!(tcp.count(), 1, "{option}");
                let client = Client::new(server, options.clone()).unwrap();
                assert_eq!(client.direct.is_some(), has_udp, "{option}");
            }
        }
    }

    #[test]
    fn search_list_follows_resolv_conf() {
        let cluster = dns(&["prod.svc.example", "svc.example"], 5);
        assert_eq!(
            candidates(&cluster, "web.prod"),
            [
                "web.prod.prod.svc.example.",
                "web.prod.svc.example.",
                "web.prod."
            ]
        );
        assert_eq!(candidates(&cluster, "a.b.c.d.e.f")[0], "a.b.c.d.e.f.");
        assert_eq!(candidates(&cluster, "web.prod."), ["web.prod."]);
        assert_eq!(candidates(&cluster, "a.localhost"), ["a.localhost."]);
        let office = dns(&["example.com"], 1);
        assert_eq!(
            candidates(&office, "web.corp"),
            ["web.corp.", "web.corp.example.com."]
        );
        assert_eq!(candidates(&office, "web"), ["web.example.com.", "web."]);
        assert_eq!(candidates(&dns(&[], 1), "web"), ["web."]);
    }
}
