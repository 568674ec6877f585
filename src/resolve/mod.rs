//! Names to addresses: every address of a name, A and AAAA side by side. And TLSA records, where they
//! are asked for.

mod direct;
mod tlsa;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::model::{Hostname, parse_port};
use crate::observation::{ErrorKind, LookError};
use crate::tlsa::Tlsa;

use direct::Direct;
use tlsa::Vouching;

/// Which address families are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Families {
    fn wants(self, ip: IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }

    /// The name of the wanted families, for messages.
    fn name(self) -> &'static str {
        match self {
            Self::Both => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// One `--resolve HOST:PORT:ADDR[,ADDR]`: these addresses instead of what DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The host, or any host (`*`).
    pub hostname: Option<Hostname>,
    /// The port.
    pub port: u16,
    /// The addresses, at least one.
    pub addresses: Vec<IpAddr>,
}

impl FromStr for Override {
    type Err = String;

    /// Reads curl's form: `HOST:PORT:ADDR[,ADDR]`, IPv6 addresses with or without brackets, `*`
    /// for any host.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is not HOST:PORT:ADDR[,ADDR], such as example.com:443:192.0.2.1,[2001:db8::1]"
            )
        };
        // curl's `+` asks for an entry that times out; ours never do.
        let text = text.strip_prefix('+').unwrap_or(text);
        let after_host = match text.strip_prefix('[') {
            Some(rest) => rest.find("]:").map(|at| at + 2).ok_or_else(form)?,
            None => text.find(':').ok_or_else(form)?,
        };
        let (host, rest) = text.split_at_checked(after_host).ok_or_else(form)?;
        let rest = rest.strip_prefix(':').ok_or_else(form)?;
        let (port, addresses) = rest.split_once(':').ok_or_else(form)?;
        let addresses: Vec<IpAddr> = addresses
            .split(',')
            .map(|a| {
                let inner = a.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
                inner
                    .unwrap_or(a)
                    .parse()
                    .map_err(|_| format!("`{a}` is not an IP address; {}", form()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            hostname: if host == "*" {
                None
            } else {
                Some(host.parse()?)
            },
            port: parse_port(port)?,
            addresses,
        })
    }
}

/// What a name resolved to.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Each address once, IPv4 first, in order.
    pub addresses: Vec<IpAddr>,
    /// What went wrong: why there is no address, or why those of one family are not known.
    pub failure: Option<LookError>,
    /// How long it took; `None` where nothing was asked.
    pub took: Option<Duration>,
}

impl Resolution {
    fn of(addresses: impl IntoIterator<Item = IpAddr>, families: Families) -> Self {
        let all: BTreeSet<IpAddr> = addresses.into_iter().collect();
        let addresses: Vec<IpAddr> = all
            .iter()
            .copied()
            .filter(|ip| families.wants(*ip))
            .collect();
        let failure = addresses.is_empty().then(|| {
            LookError::new(
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
            took: None,
        }
    }
}

/// Turns names into addresses: by what the user said, by `/etc/hosts`, by DNS.
pub struct Resolver {
    families: Families,
    overrides: HashMap<(Option<Hostname>, u16), Vec<IpAddr>>,
    name_servers: Vec<SocketAddr>,
    hosts: Option<Hosts>,
    /// Made at the first question: who gives every address needs no `/etc/resolv.conf`.
    dns: OnceLock<Result<Dns, String>>,
    vouching: OnceLock<Result<Vouching, String>>,
}

/// Questions under way at a time on one connection to a name server.
const MAX_QUESTIONS: usize = 4096;
/// How often a name server is asked again within the deadline.
const ATTEMPTS: usize = 2;
/// Name servers that are asked at a time: as many as `/etc/resolv.conf` may have, so that one that
/// works is found however many of the others are dead.
const MAX_SERVERS_AT_A_TIME: usize = 3;

/// The most hosts of one domain's mail that are looked at.
pub const MAX_MAIL_HOSTS: usize = 50;

impl Resolver {
    /// A resolver that asks these name servers, or the system's where there are none.
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
        Self {
            families,
            overrides: map,
            // Whoever names a name server wants its answers, not those of a local file.
            hosts: name_servers
                .is_empty()
                .then(|| Hosts::from_system().ok())
                .flatten(),
            name_servers,
            dns: OnceLock::new(),
            vouching: OnceLock::new(),
        }
    }

    /// Every address of a name for a port, each once, within the deadline. `fixed` are addresses
    /// from the inventory, which nothing else is asked beside.
    pub async fn resolve(
        &self,
        hostname: &Hostname,
        port: u16,
        fixed: &[IpAddr],
        deadline: Instant,
    ) -> Resolution {
        let overridden = [Some(hostname.clone()), None]
            .into_iter()
            .find_map(|host| self.overrides.get(&(host, port)));
        if let Some(addresses) = overridden {
            return Resolution::of(addresses.iter().copied(), self.families);
        }
        if !fixed.is_empty() {
            return Resolution::of(fixed.iter().copied(), self.families);
        }
        let name = match hostname {
            Hostname::Ip(ip) => return Resolution::of([*ip], self.families),
            Hostname::Dns(name) => name,
        };
        let start = Instant::now();
        // A question is much to hold, and most of the time of a look is spent on other things.
        let mut resolution = Box::pin(self.ask(name, deadline)).await;
        resolution.took = Some(start.elapsed());
        resolution
    }

    /// The hosts that take a domain's mail, the preferred ones first (RFC 5321, section 5.1): those of its MX
    /// records, or the domain itself where it has none.
    ///
    /// # Errors
    /// Where the domain does not exist, takes no mail (RFC 7505), or cannot be asked about.
    pub async fn mail_hosts(
        &self,
        domain: &Hostname,
        deadline: Instant,
    ) -> Result<Vec<Hostname>, LookError> {
        let Hostname::Dns(text) = domain else {
            return Ok(vec![domain.clone()]);
        };
        let mut name = Name::from_ascii(text).map_err(|error| {
            LookError::new(
                ErrorKind::DnsNxdomain,
                format!("{text} is no DNS name: {error}"),
            )
        })?;
        name.set_fqdn(true);
        let dns = self
            .dns
            .get_or_init(|| self.connect())
            .as_ref()
            .map_err(|error| LookError::new(ErrorKind::Internal, error))?;
        match dns.records(text, name, RecordType::MX, deadline).await {
            Ok(records) => exchanges(domain, &records),
            Err(error) if error.kind == ErrorKind::DnsNoAddress => Ok(vec![domain.clone()]),
            Err(error) => Err(error),
        }
    }

    /// The TLSA records of a host for a TCP port (RFC 6698, section 3), within the deadline; `None` for
    /// what DNS has no name for: an address, or this machine itself.
    ///
    /// # Errors
    /// Why it is not known which records there are. That there are none is no error.
    pub async fn tlsa(
        &self,
        hostname: &Hostname,
        port: u16,
        deadline: Instant,
    ) -> Result<Option<Tlsa>, LookError> {
        let name = match hostname {
            Hostname::Dns(name) if !is_localhost(name) => name,
            Hostname::Dns(_) | Hostname::Ip(_) => return Ok(None),
        };
        let vouching = self.vouching.get_or_init(|| {
            let (config, options) = self.settings()?;
            Vouching::new(&config, &options)
        });
        match vouching {
            Ok(vouching) => Box::pin(vouching.tlsa(name, port, deadline))
                .await
                .map(Some),
            Err(error) => Err(LookError::new(ErrorKind::Internal, error)),
        }
    }

    async fn ask(&self, text: &str, deadline: Instant) -> Resolution {
        let fail = |kind, message: String| Resolution {
            failure: Some(LookError::new(kind, message)),
            ..Resolution::default()
        };
        let mut name = match Name::from_ascii(text) {
            Ok(name) => name,
            Err(error) => {
                return fail(
                    ErrorKind::DnsNxdomain,
                    format!("{text} is no DNS name: {error}"),
                );
            }
        };
        // A name with a dot is meant as it stands; one without may be completed by the search list.
        name.set_fqdn(text.contains('.'));

        // As the system does: a name that the hosts file has in either family is not asked of DNS.
        let from_hosts: Vec<IpAddr> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| {
                let hosts = self.hosts.as_ref()?;
                let lookup = hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
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
            return Resolution::of(from_hosts, self.families);
        }

        let dns = match self.dns.get_or_init(|| self.connect()) {
            Ok(dns) => dns,
            Err(error) => return fail(ErrorKind::Internal, error.clone()),
        };
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
        let (v4, v6) = tokio::join!(
            lookup(RecordType::A, self.families != Families::V6),
            lookup(RecordType::AAAA, self.families != Families::V4),
        );
        combine(text, self.families, [v4, v6])
    }

    fn connect(&self) -> Result<Dns, String> {
        let (config, options) = self.settings()?;
        Dns::new(&config, &options)
    }

    /// Who is asked, and how.
    fn settings(&self) -> Result<(ResolverConfig, ResolverOpts), String> {
        let (config, mut options) = if self.name_servers.is_empty() {
            read_system_conf().map_err(|e| {
                format!("the system's name servers cannot be read from /etc/resolv.conf: {e}; give one with --dns")
            })?
        } else {
            let servers = self.name_servers.iter().map(|server| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let with_port = connections.map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                NameServerConfig::new(server.ip(), true, with_port.into())
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            (config, ResolverOpts::default())
        };
        options.cache_size = 0; // every scan asks anew
        options.use_hosts_file = ResolveHosts::Never; // done before, for both families at once
        options.attempts = ATTEMPTS;
        options.num_concurrent_reqs = MAX_SERVERS_AT_A_TIME;
        options.edns0 = true;
        options.max_active_requests = MAX_QUESTIONS;
        Ok((config, options))
    }
}

/// Who is asked: all name servers together, and each by itself.
struct Dns {
    /// Where there is only one.
    direct: Option<Direct>,
    all: TokioResolver,
    /// Empty where there is only one.
    each: Vec<TokioResolver>,
}

impl Dns {
    fn new(config: &ResolverConfig, options: &ResolverOpts) -> Result<Self, String> {
        let with = |servers: &[NameServerConfig]| {
            let config = ResolverConfig::from_parts(
                config.domain.clone(),
                config.search.clone(),
                servers.to_vec(),
            );
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options.clone())
                .build()
                .map_err(|e| format!("no name server can be asked: {e}"))
        };
        let servers = config.name_servers();
        let single = servers.chunks(1).filter(|_| servers.len() > 1);
        Ok(Self {
            direct: Direct::new(config, options),
            all: with(servers)?,
            each: single.map(with).collect::<Result<_, _>>()?,
        })
    }

    async fn records(
        &self,
        text: &str,
        name: Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Vec<RData>, LookError> {
        if let Some(direct) = &self.direct
            && let Some(answer) = direct.ask(text, &name, kind, deadline).await
        {
            return answer;
        }
        let failure = match ask_for(&self.all, text, name.clone(), kind, deadline).await {
            Err(error) if error.kind == ErrorKind::DnsServfail => error,
            answer => return answer,
        };
        // Asked together, the first that refuses speaks for all. As the system's resolver does, look
        // for one that does not.
        let mut others = JoinSet::new();
        for server in &self.each {
            let (server, text, name) = (server.clone(), text.to_owned(), name.clone());
            others.spawn(async move { ask_for(&server, &text, name, kind, deadline).await });
        }
        while let Some(answer) = others.join_next().await {
            match answer {
                Ok(Ok(records)) => return Ok(records),
                Ok(Err(error)) if is_an_answer(&error) => return Err(error),
                _ => {}
            }
        }
        Err(failure)
    }
}

/// Whether a name server has said so, as against having had nothing to say.
fn is_an_answer(error: &LookError) -> bool {
    matches!(error.kind, ErrorKind::DnsNxdomain | ErrorKind::DnsNoAddress)
}

async fn ask_for(
    dns: &TokioResolver,
    text: &str,
    name: Name,
    kind: RecordType,
    deadline: Instant,
) -> Result<Vec<RData>, LookError> {
    match timeout_at(deadline, dns.lookup(name, kind)).await {
        Ok(Ok(lookup)) => Ok(lookup.answers().iter().map(|r| r.data.clone()).collect()),
        Ok(Err(error)) => Err(explain(text, kind, &error)),
        Err(_) => Err(timed_out(text, kind)),
    }
}

/// Names of this machine are not asked of DNS (RFC 6761, section 6.3).
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

/// What a domain's MX records amount to. Those among them that are no host names are passed over, as are
/// aliases on the way to them.
fn exchanges(domain: &Hostname, records: &[RData]) -> Result<Vec<Hostname>, LookError> {
    let mut ranked: Vec<(u16, String)> = records
        .iter()
        .filter_map(|data| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii())),
            _ => None,
        })
        .collect();
    if ranked.is_empty() {
        return Ok(vec![domain.clone()]);
    }
    if ranked.iter().all(|(_, host)| host == ".") {
        return Err(LookError::new(
            ErrorKind::DnsNoAddress,
            format!("{domain} takes no mail: its MX record says so (RFC 7505)"),
        ));
    }
    ranked.sort();
    let mut hosts: Vec<Hostname> = Vec::new();
    for host in ranked.iter().filter_map(|(_, host)| host.parse().ok()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Err(LookError::new(
            ErrorKind::DnsNoAddress,
            format!("the MX records of {domain} name no host"),
        ));
    }
    if hosts.len() > MAX_MAIL_HOSTS {
        tracing::warn!(
            "{domain} has {} mail hosts: the first {MAX_MAIL_HOSTS} are looked at",
            hosts.len()
        );
        hosts.truncate(MAX_MAIL_HOSTS);
    }
    Ok(hosts)
}

/// What two families' answers amount to. A family that has no record, or whose question says that
/// the name does not exist, is nothing to tell of where the other has addresses.
fn combine(
    name: &str,
    families: Families,
    answers: [Result<Vec<IpAddr>, LookError>; 2],
) -> Resolution {
    let mut addresses = BTreeSet::new();
    let mut failures = Vec::new();
    for answer in answers {
        match answer {
            Ok(found) => addresses.extend(found),
            Err(error) => failures.push(error),
        }
    }
    let rank = |error: &LookError| match error.kind {
        ErrorKind::DnsServfail => 3,
        ErrorKind::DnsTimeout => 2,
        ErrorKind::DnsNxdomain => 1,
        _ => 0,
    };
    let worst = failures.into_iter().max_by_key(rank);
    let failure = if addresses.is_empty() {
        Some(worst.unwrap_or_else(|| {
            LookError::new(
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
        took: None,
    }
}

fn timed_out(name: &str, kind: RecordType) -> LookError {
    LookError::new(
        ErrorKind::DnsTimeout,
        format!("no name server answered for the {kind} records of {name} in time"),
    )
}

fn explain(name: &str, kind: RecordType, error: &NetError) -> LookError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => LookError::new(
                ErrorKind::DnsNxdomain,
                format!("the name {name} does not exist"),
            ),
            ResponseCode::NoError => LookError::new(
                ErrorKind::DnsNoAddress,
                format!("{name} has no {kind} records"),
            ),
            code => servfail(name, kind, code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => servfail(name, kind, *code),
        NetError::Timeout => timed_out(name, kind),
        NetError::NoConnections | NetError::Io(_) => LookError::new(
            ErrorKind::DnsTimeout,
            format!("no name server could be asked for the {kind} records of {name}: {error}"),
        ),
        other => LookError::new(
            ErrorKind::DnsServfail,
            format!("the {kind} records of {name} could not be found out: {other}"),
        ),
    }
}

fn servfail(name: &str, kind: RecordType, code: ResponseCode) -> LookError {
    LookError::new(
        ErrorKind::DnsServfail,
        format!(
            "the name server answered {} for the {kind} records of {name}",
            rcode_name(code)
        ),
    )
}

fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        other => other.to_string(),
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
        let resolution = resolver.resolve(&hostname, port, &[], Instant::now()).await;
        resolution
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[tokio::test]
    async fn overrides_are_curls() {
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
    async fn families_hold_for_what_is_given_too() {
        let r = resolver(
            Families::V6,
            &["a.example:443:127.0.0.2,::1", "b.example:443:127.0.0.2"],
        );
        assert_eq!(addresses(&r, "a.example", 443).await, ["::1"]);
        let hostname: Hostname = "b.example".parse().unwrap();
        let resolution = r.resolve(&hostname, 443, &[], Instant::now()).await;
        assert_eq!(resolution.failure.unwrap().kind, ErrorKind::DnsNoAddress);
    }

    #[tokio::test]
    async fn what_dns_has_no_name_for_has_no_tlsa_records() {
        let r = resolver(Families::Both, &[]);
        let ask = |host: String| {
            let hostname: Hostname = host.parse().unwrap();
            let r = &r;
            async move { r.tlsa(&hostname, 65535, Instant::now()).await }
        };
        for host in ["192.0.2.1", "::1", "localhost", "a.localhost"] {
            assert_eq!(ask(host.into()).await, Ok(None), "{host}");
        }
        let unanswered = ask("localhost.example".into()).await.unwrap_err();
        assert_eq!(unanswered.kind, ErrorKind::DnsTimeout);
    }

    #[test]
    fn wrong_overrides_are_refused() {
        for text in [
            "",
            "a",
            "a:443",
            "a:0:127.0.0.1",
            "a:443:",
            "a:443:x",
            "[::1:443:127.0.0.1",
            "a:443:127.0.0.1,",
        ] {
            assert!(text.parse::<Override>().is_err(), "{text}");
        }
    }

    #[test]
    fn mail_goes_where_the_mx_records_say() {
        use hickory_resolver::proto::rr::rdata::MX;
        let domain: Hostname = "example.com".parse().unwrap();
        let hosts = |records: &[(u16, &str)]| {
            let records: Vec<RData> = records
                .iter()
                .map(|(rank, host)| RData::MX(MX::new(*rank, Name::from_ascii(host).unwrap())))
                .collect();
            exchanges(&domain, &records).map(|hosts| {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                hosts.join(" ")
            })
        };
        let two = [(20, "b.example."), (10, "A.example."), (30, "a.example.")];
        assert_eq!(hosts(&two).unwrap(), "a.example b.example");
        assert_eq!(hosts(&[]).unwrap(), "example.com");
        let none = hosts(&[(0, ".")]).unwrap_err();
        assert!(none.message.contains("takes no mail"), "{none}");
        let many: Vec<String> = (0..100).map(|n| format!("mx{n}.example.")).collect();
        let many: Vec<(u16, &str)> = many.iter().map(|host| (1, host.as_str())).collect();
        assert_eq!(hosts(&many).unwrap().split(' ').count(), MAX_MAIL_HOSTS);
    }

    #[test]
    fn one_family_failing_is_told_beside_the_others_addresses() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let broken = || Err(LookError::new(ErrorKind::DnsServfail, "x"));
        let none = |kind| Err(LookError::new(kind, "x"));
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
