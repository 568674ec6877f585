//! Servers of an XMPP domain, by its SRV records (RFC 6120, section 3.2.1, and XEP-0368).

use tokio::time::Instant;

use crate::config::Entry;
use crate::model::{Hostname, Protocol, Service};
use crate::observation::{ErrorKind, LookError};
use crate::resolve::Resolver;

use super::job::has_names;
use super::{KnownPlaces, Located};

/// Services of an XMPP domain, each with the protocol of its hosts.
const CLIENT: [(&str, Protocol); 2] = [
    ("xmpp-client", Protocol::Xmpp),
    ("xmpps-client", Protocol::Xmpps),
];
const SERVER: [(&str, Protocol); 2] = [
    ("xmpp-server", Protocol::XmppServer),
    ("xmpps-server", Protocol::XmppsServer),
];

/// Returns the hosts of an entry's XMPP domain, as one entry for each port and protocol. Without SRV
/// records, the domain is its own host. If the lookups fail, the entry is that of the domain, with
/// the error.
pub(super) async fn locate(
    entry: &Entry,
    domain: &Hostname,
    resolver: &Resolver,
    deadline: Instant,
) -> Located {
    let mut entry = entry.clone();
    if entry.name.is_none() && !has_names(&entry) {
        entry.name = Some(domain.to_string());
    }
    let alone = |failure| Located {
        entries: vec![(entry.clone(), failure)],
        known: KnownPlaces::default(),
    };
    // Addresses that the user gives replace DNS.
    if !entry.addresses.is_empty()
        || entry
            .ports
            .iter()
            .any(|port| resolver.has_override(domain, *port))
    {
        return alone(None);
    }
    let services = match entry.protocol {
        Protocol::XmppServer => SERVER,
        _ => CLIENT,
    };
    let lookup = |(service, protocol): (&str, Protocol)| {
        let service = Service {
            name: service.to_owned(),
            transport: "tcp".to_owned(),
            domain: domain.clone(),
            protocol,
        };
        async move {
            let hosts = resolver.service_if_offered(&service, deadline).await;
            (protocol, hosts)
        }
    };
    let [starttls, direct] = services;
    let (starttls, direct) = tokio::join!(lookup(starttls), lookup(direct));
    match combine(domain, [starttls, direct]) {
        Ok(hosts) if hosts.is_empty() => alone(None),
        Ok(hosts) => Located {
            entries: by_place(&entry, &hosts)
                .map(|entry| (entry, None))
                .collect(),
            known: KnownPlaces::default(),
        },
        Err(error) => alone(Some(error)),
    }
}

/// A host and its port.
type Place = (Hostname, u16);
/// The hosts of a service, which are `None` if the domain does not offer it.
type Lookup = (Protocol, Result<Option<Vec<Place>>, LookError>);

/// Combines the results of both services. The list is empty if the domain has no SRV record, so
/// that it is its own host.
///
/// # Errors
/// If the domain does not offer the service, or the hosts are unknown.
fn combine(domain: &Hostname, lookups: [Lookup; 2]) -> Result<Vec<(Protocol, Place)>, LookError> {
    let (mut hosts, mut failure, mut is_refused) = (Vec::new(), None, false);
    for (protocol, lookup) in lookups {
        match lookup {
            Ok(None) => is_refused = true,
            Ok(Some(found)) => hosts.extend(found.into_iter().map(|host| (protocol, host))),
            Err(error) if error.is_dns_answer() => {}
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if !hosts.is_empty() => {
            tracing::warn!(
                "could not look up a part of the XMPP servers of {domain}, which are not probed: {error}"
            );
            Ok(hosts)
        }
        Some(error) => Err(error),
        None if hosts.is_empty() && is_refused => Err(LookError::new(
            ErrorKind::DnsNoAddress,
            format!(
                "{domain} does not offer XMPP: its SRV record has the target `.` (RFC 6120, section 3.2.1)"
            ),
        )),
        None => Ok(hosts),
    }
}

/// Returns the entries of the hosts, each with the hosts of one port and protocol.
fn by_place(entry: &Entry, hosts: &[(Protocol, Place)]) -> impl Iterator<Item = Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (protocol, (hostname, port)) in hosts {
        let same = |e: &&mut Entry| e.protocol == *protocol && e.ports == [*port];
        match entries.iter_mut().find(same) {
            Some(entry) => entry.hostnames.push(hostname.clone()),
            None => entries.push(Entry {
                hostnames: vec![hostname.clone()],
                ports: vec![*port],
                protocol: *protocol,
                ..entry.clone()
            }),
        }
    }
    entries.into_iter()
}

#[cfg(test)]
mod tests {
    use crate::config::SourceSettings;

    use super::*;

    fn host(name: &str, port: u16) -> Place {
        (name.parse().unwrap(), port)
    }

    fn hosts(
        starttls: Result<Option<Vec<Place>>, ErrorKind>,
        direct: Result<Option<Vec<Place>>, ErrorKind>,
    ) -> Result<usize, ErrorKind> {
        let domain = "example.com".parse().unwrap();
        let error = |kind| LookError::new(kind, "x");
        let lookups = [
            (Protocol::Xmpp, starttls.map_err(error)),
            (Protocol::Xmpps, direct.map_err(error)),
        ];
        let found = combine(&domain, lookups);
        found.map(|hosts| hosts.len()).map_err(|error| error.kind)
    }

    #[test]
    fn domain_without_records_is_its_own_host() {
        let (none, servfail) = (ErrorKind::DnsNxdomain, ErrorKind::DnsServfail);
        let one = || Ok(Some(vec![host("a.example", 5222)]));
        assert_eq!(hosts(Err(none), Err(none)), Ok(0));
        assert_eq!(hosts(one(), Err(none)), Ok(1));
        assert_eq!(hosts(one(), Ok(None)), Ok(1));
        assert_eq!(hosts(one(), Err(servfail)), Ok(1));
        assert_eq!(hosts(Err(none), Err(servfail)), Err(servfail));
        let no_address = ErrorKind::DnsNoAddress;
        assert_eq!(hosts(Ok(None), Err(none)), Err(no_address));
    }

    #[test]
    fn hosts_of_one_port_and_protocol_are_one_entry() {
        let entry = Entry::new(SourceSettings::TrustOnly);
        let hosts = [
            (Protocol::Xmpp, host("a.example", 5222)),
            (Protocol::Xmpp, host("b.example", 5222)),
            (Protocol::Xmpps, host("a.example", 443)),
        ];
        let entries: Vec<Entry> = by_place(&entry, &hosts).collect();
        let [starttls, direct] = entries.as_slice() else {
            panic!("{entries:?}");
        };
        assert_eq!(
            (starttls.hostnames.len(), &starttls.ports[..]),
            (2, &[5222][..])
        );
        assert_eq!(
            (direct.protocol, &direct.ports[..]),
            (Protocol::Xmpps, &[443][..])
        );
    }
}
