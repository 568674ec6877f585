//! Hosts of a service, by its SRV records (RFC 2782).

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::Instant;

use crate::model::Hostname;
use crate::observation::{ErrorKind, LookError};

use super::{Resolver, dns};

/// Maximum hosts of one service that are probed.
pub const MAX_SERVICE_HOSTS: usize = 50;

/// A host and a port at which a service is available.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceHost {
    /// The target of the SRV record.
    pub hostname: Hostname,
    /// The port of the SRV record.
    pub port: u16,
}

impl Resolver {
    /// Returns the hosts of a service such as `_xmpp-client._tcp.example.com`, without duplicates,
    /// by priority and then by weight, the largest first. The list is empty if the SRV record has
    /// the target `.`: the domain does not offer the service.
    ///
    /// # Errors
    /// If there is no SRV record ([`LookError::is_dns_answer`] is true then), or the lookup fails.
    pub async fn service_hosts(
        &self,
        service: &Hostname,
        deadline: Instant,
    ) -> Result<Vec<ServiceHost>, LookError> {
        let Hostname::Dns(text) = service else {
            return Err(LookError::new(
                ErrorKind::DnsNoAddress,
                format!("{service} is an address, which has no SRV record"),
            ));
        };
        let mut name = dns::name(text)?;
        name.set_fqdn(true);
        let servers = self.servers()?;
        let records = servers
            .dns
            .records(text, name, RecordType::SRV, deadline)
            .await?;
        hosts(service, &records)
    }
}

/// Returns the hosts in the SRV records of a service. Records whose target is not a host name or
/// whose port is 0 are skipped, as are aliases on the way to the records.
fn hosts(service: &Hostname, records: &[RData]) -> Result<Vec<ServiceHost>, LookError> {
    let none = |what: &str| {
        let message = format!("{service} {what}");
        Err(LookError::new(ErrorKind::DnsNoAddress, message))
    };
    let mut ranked: Vec<(u16, u16, String, u16)> = records
        .iter()
        .filter_map(|data| match data {
            RData::SRV(srv) => {
                let weight = u16::MAX - srv.weight;
                Some((srv.priority, weight, srv.target.to_ascii(), srv.port))
            }
            _ => None,
        })
        .collect();
    if ranked.is_empty() {
        return none("has no SRV record");
    }
    if ranked.iter().all(|(.., target, _)| target == ".") {
        return Ok(Vec::new());
    }
    ranked.sort();
    let mut hosts: Vec<ServiceHost> = Vec::new();
    for (.., target, port) in ranked {
        let Some(hostname) = target.parse().ok().filter(|_| port > 0) else {
            continue;
        };
        let host = ServiceHost { hostname, port };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return none("has no SRV record with a host name and a port");
    }
    if hosts.len() > MAX_SERVICE_HOSTS {
        tracing::warn!(
            "{service} has {} hosts: only the first {MAX_SERVICE_HOSTS} are probed",
            hosts.len()
        );
        hosts.truncate(MAX_SERVICE_HOSTS);
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::SRV;

    use super::*;

    fn found(records: &[(u16, u16, u16, &str)]) -> Result<String, String> {
        let service: Hostname = "_xmpp-client._tcp.example.com".parse().unwrap();
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
            let target = Name::from_ascii(target).unwrap();
            RData::SRV(SRV::new(*priority, *weight, *port, target))
        };
        let records: Vec<RData> = records.iter().map(record).collect();
        let hosts = hosts(&service, &records).map_err(|error| {
            assert!(error.is_dns_answer());
            error.message
        })?;
        let hosts: Vec<String> = hosts
            .iter()
            .map(|host| format!("{}:{}", host.hostname, host.port))
            .collect();
        Ok(hosts.join(" "))
    }

    #[test]
    fn srv_records_are_sorted_by_priority_and_weight() {
        let records = [
            (20, 0, 5222, "c.example."),
            (10, 1, 5222, "B.example."),
            (10, 9, 443, "a.example."),
            (30, 0, 5222, "b.example."),
            (30, 0, 0, "zero.example."),
        ];
        let sorted = "a.example:443 b.example:5222 c.example:5222";
        assert_eq!(found(&records).as_deref(), Ok(sorted));
        let many: Vec<String> = (0..100).map(|n| format!("h{n}.example.")).collect();
        let many: Vec<_> = many.iter().map(|host| (1, 1, 1, host.as_str())).collect();
        let found = found(&many).unwrap();
        assert_eq!(found.split(' ').count(), MAX_SERVICE_HOSTS);
    }

    #[test]
    fn missing_service_is_a_dns_answer() {
        assert!(found(&[]).unwrap_err().contains("has no SRV record"));
        assert_eq!(found(&[(0, 0, 0, ".")]).as_deref(), Ok(""));
        let invalid = found(&[(0, 0, 0, "a.example.")]).unwrap_err();
        assert!(invalid.contains("host name and a port"), "{invalid}");
    }
}
