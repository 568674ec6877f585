//! Names to addresses: every address of a name, A and AAAA side by side. And TLSA records, where they
//! are asked for.

mod direct;
mod dns;
mod mail;
mod overrides;
mod tlsa;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::Instant;

use crate::model::Hostname;
use crate::observation::{ErrorKind, LookError};
use crate::tlsa::Tlsa;

use dns::{Dns, settings};
pub use mail::MAX_MAIL_HOSTS;
pub use overrides::Override;
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
    /// No address, for this reason.
    pub fn failed(failure: LookError) -> Self {
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
        let asked = Box::pin(self.ask(name, deadline)).await;
        let mut resolution = asked.unwrap_or_else(Resolution::failed);
        resolution.took = Some(start.elapsed());
        resolution
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
            let (config, options) = settings(&self.name_servers)?;
            Vouching::new(&config, &options)
        });
        match vouching {
            Ok(vouching) => Box::pin(vouching.tlsa(name, port, deadline))
                .await
                .map(Some),
            Err(error) => Err(LookError::new(ErrorKind::Internal, error)),
        }
    }

    async fn ask(&self, text: &str, deadline: Instant) -> Result<Resolution, LookError> {
        let mut name = dns::name(text)?;
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
            return Ok(Resolution::of(from_hosts, self.families));
        }

        let dns = self.dns()?;
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
        Ok(combine(text, self.families, [v4, v6]))
    }

    fn dns(&self) -> Result<&Dns, LookError> {
        let dns = self.dns.get_or_init(|| {
            let (config, options) = settings(&self.name_servers)?;
            Dns::new(&config, &options)
        });
        dns.as_ref()
            .map_err(|error| LookError::new(ErrorKind::Internal, error))
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
