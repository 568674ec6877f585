//! Hosts of a service, from its SRV records (RFC 2782).

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::Instant;

use crate::model::{Hostname, Service};
use crate::observation::{ErrorKind, ProbeError};

use super::{Resolver, dns};

impl Resolver {
    /// Returns the hosts and ports of a service, in the order in which clients try them: by
    /// priority, then by weight. The size of a DNS message limits them to thousands.
    ///
    /// # Errors
    /// If there are no SRV records, if they say that the domain does not offer the service, or if
    /// they cannot be looked up.
    pub async fn service(
        &self,
        service: &Service,
        deadline: Instant,
    ) -> Result<Vec<(Hostname, u16)>, ProbeError> {
        match self.service_if_offered(service, deadline).await? {
            Some(targets) => Ok(targets),
            None => Err(ProbeError::new(
                ErrorKind::DnsNoAddress,
                format!(
                    "the service {} is not offered: its SRV record has the target `.` (RFC 2782)",
                    service.owner()
                ),
            )),
        }
    }

    /// Returns the hosts and ports of a service as [`Resolver::service`] does, or `None` if its
    /// records say that the domain does not offer it.
    ///
    /// # Errors
    /// If there are no SRV records, or if they cannot be looked up.
    pub async fn service_if_offered(
        &self,
        service: &Service,
        deadline: Instant,
    ) -> Result<Option<Vec<(Hostname, u16)>>, ProbeError> {
        let owner = service.owner();
        let mut name = dns::name(&owner)?;
        name.set_fqdn(true);
        let servers = self.servers()?;
        let records = servers
            .dns
            .records(&owner, name, RecordType::SRV, deadline)
            .await?;
        targets(&owner, &records)
    }

    /// Returns true if DNSSEC authenticates the SRV records of a service. Otherwise clients do not use
    /// the TLSA records of its hosts (RFC 7673, section 3.1).
    ///
    /// # Errors
    /// If that is not known.
    pub async fn is_srv_secure(
        &self,
        service: &Service,
        deadline: Instant,
    ) -> Result<bool, ProbeError> {
        let servers = self.servers()?;
        let vouching = servers.vouching()?;
        Box::pin(vouching.is_srv_secure(&service.owner(), deadline)).await
    }
}

/// Returns the targets in SRV records, or `None` if the only target is the root, so that the service
/// is not offered. Records whose target is not a host name, or whose port is 0, are reported in the
/// log.
fn targets(owner: &str, records: &[RData]) -> Result<Option<Vec<(Hostname, u16)>>, ProbeError> {
    let none = |message: String| ProbeError::new(ErrorKind::DnsNoAddress, message);
    let mut ranked: Vec<(u16, std::cmp::Reverse<u16>, String, u16)> = records
        .iter()
        .filter_map(|data| match data {
            RData::SRV(srv) => Some((
                srv.priority,
                std::cmp::Reverse(srv.weight),
                srv.target.to_ascii(),
                srv.port,
            )),
            _ => None,
        })
        .collect();
    if ranked.is_empty() {
        return Err(none(format!("{owner} has no SRV records")));
    }
    if ranked.iter().all(|(_, _, host, _)| host == ".") {
        return Ok(None);
    }
    ranked.sort();
    let mut targets: Vec<(Hostname, u16)> = Vec::new();
    for (_, _, host, port) in &ranked {
        match host.parse() {
            Ok(hostname) if *port > 0 => {
                if !targets.contains(&(Hostname::clone(&hostname), *port)) {
                    targets.push((hostname, *port));
                }
            }
            _ => tracing::warn!(
                "an SRV record names no host and port: owner={owner} target={host} port={port}"
            ),
        }
    }
    if targets.is_empty() {
        return Err(none(format!("the SRV records of {owner} name no host")));
    }
    Ok(Some(targets))
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::SRV;

    use super::*;

    fn found(records: &[(u16, u16, u16, &str)]) -> Result<String, ProbeError> {
        let records: Vec<RData> = records
            .iter()
            .map(|(priority, weight, port, host)| {
                let host = Name::from_ascii(host).unwrap();
                RData::SRV(SRV::new(*priority, *weight, *port, host))
            })
            .collect();
        targets("_imaps._tcp.example.com", &records).map(|targets| {
            let Some(targets) = targets else {
                return "not offered".to_owned();
            };
            let all = targets.iter().map(|(host, port)| format!("{host}:{port}"));
            all.collect::<Vec<_>>().join(" ")
        })
    }

    #[test]
    fn targets_are_in_the_order_of_priority_and_weight() {
        let records = [
            (20, 0, 993, "c.example."),
            (10, 1, 993, "b.example."),
            (10, 9, 1993, "A.example."),
            (30, 0, 993, "b.example."),
        ];
        assert_eq!(
            found(&records).unwrap(),
            "a.example:1993 b.example:993 c.example:993"
        );
    }

    #[test]
    fn a_service_that_is_not_offered_is_reported() {
        assert_eq!(found(&[(0, 0, 0, ".")]).unwrap(), "not offered");
        let error = found(&[]).unwrap_err();
        assert!(error.message.contains("has no SRV records"), "{error}");
        let error = found(&[(0, 0, 0, "a.example.")]).unwrap_err();
        assert!(error.message.contains("name no host"), "{error}");
        // The root beside another target says nothing.
        assert_eq!(
            found(&[(0, 0, 0, "."), (1, 0, 5, "a.example.")]).unwrap(),
            "a.example:5"
        );
    }
}
