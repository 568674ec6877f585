//! Mail hosts of a domain.

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::Instant;

use crate::model::Hostname;
use crate::observation::{ErrorKind, ProbeError};

use super::{Resolver, dns};

impl Resolver {
    /// Returns the mail hosts of a domain in order of preference (RFC 5321, section 5.1): those of
    /// its MX records, or the domain itself if it has none. The size of a DNS message limits them to
    /// thousands.
    ///
    /// # Errors
    /// If the domain does not exist, accepts no mail (RFC 7505), or cannot be looked up.
    pub async fn mail_hosts(
        &self,
        domain: &Hostname,
        deadline: Instant,
    ) -> Result<Vec<Hostname>, ProbeError> {
        let Hostname::Dns(text) = domain else {
            return Ok(vec![domain.clone()]);
        };
        let mut name = dns::name(text)?;
        name.set_fqdn(true);
        let servers = self.servers()?;
        match servers
            .dns
            .records(text, name, RecordType::MX, deadline)
            .await
        {
            Ok(records) => exchanges(domain, &records),
            Err(error) if error.kind == ErrorKind::DnsNoAddress => Ok(vec![domain.clone()]),
            Err(error) => Err(error),
        }
    }
}

impl Resolver {
    /// Returns true if DNSSEC authenticates the MX records of a domain, or their absence.
    ///
    /// # Errors
    /// If that is not known.
    pub async fn is_mx_secure(
        &self,
        domain: &Hostname,
        deadline: Instant,
    ) -> Result<bool, ProbeError> {
        let Hostname::Dns(name) = domain else {
            return Ok(false);
        };
        let servers = self.servers()?;
        let vouching = servers.vouching()?;
        Box::pin(vouching.is_mx_secure(name, deadline)).await
    }

    /// Returns the TXT records that may announce an MTA-STS policy of a domain (RFC 8461, section
    /// 3.1), each with its strings joined.
    ///
    /// # Errors
    /// If the records are unknown.
    pub async fn sts_records(
        &self,
        domain: &Hostname,
        deadline: Instant,
    ) -> Result<Vec<Vec<u8>>, ProbeError> {
        let text = format!("_mta-sts.{domain}");
        let mut name = dns::name(&text)?;
        name.set_fqdn(true);
        let servers = self.servers()?;
        let records = servers
            .dns
            .records(&text, name, RecordType::TXT, deadline)
            .await?;
        let texts = records.iter().filter_map(|data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        });
        Ok(texts.collect())
    }
}

/// Returns the mail hosts in the MX records of a domain. Records whose value is not a host name, such
/// as an IP address, are reported in the log. Aliases on the way to the records are skipped.
fn exchanges(domain: &Hostname, records: &[RData]) -> Result<Vec<Hostname>, ProbeError> {
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
        return Err(ProbeError::new(
            ErrorKind::DnsNoAddress,
            format!("{domain} accepts no mail: it has a null MX record (RFC 7505)"),
        ));
    }
    ranked.sort();
    let mut hosts: Vec<Hostname> = Vec::new();
    for (preference, host) in &ranked {
        match host.parse() {
            Ok(hostname) => {
                if !hosts.contains(&hostname) {
                    hosts.push(hostname);
                }
            }
            Err(_) => tracing::warn!(
                "an MX record names no host: domain={domain} exchange={host} preference={preference}"
            ),
        }
    }
    if hosts.is_empty() {
        return Err(ProbeError::new(
            ErrorKind::DnsNoAddress,
            format!("the MX records of {domain} name no host"),
        ));
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::MX;

    use super::*;

    #[test]
    fn mail_hosts_follow_the_mx_records() {
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
        assert!(none.message.contains("accepts no mail"), "{none}");
    }
}
