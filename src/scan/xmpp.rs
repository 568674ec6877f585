//! Servers of an XMPP domain, by its SRV records (RFC 6120, section 3.2.1, and XEP-0368).

use tokio::time::Instant;

use crate::config::{Entry, FoundPlace};
use crate::model::{Hostname, Protocol, Service};
use crate::observation::{ErrorKind, ProbeError};
use crate::resolve::Resolver;

use super::host_limits::limit_hosts;
use super::job::has_names;
use super::locate::{places_of, settled, unsigned_srv};
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

/// Finds the hosts of an entry's XMPP domain. Without SRV records, the domain is its own host. If DNS
/// fails (SERVFAIL, timeout), known hosts are kept, and another entry is that of the domain, with the
/// error.
pub(super) async fn locate(
    entry: &Entry,
    domain: &Hostname,
    known: &KnownPlaces,
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
    let services = services.map(|(service, protocol)| Service {
        name: service.to_owned(),
        transport: "tcp".to_owned(),
        domain: domain.clone(),
        protocol,
    });
    let [starttls, direct] = &services;
    let (starttls, direct, of_starttls, of_direct) = tokio::join!(
        resolver.service_if_offered(starttls, deadline),
        resolver.service_if_offered(direct, deadline),
        unsigned_srv(&entry, starttls, resolver, deadline),
        unsigned_srv(&entry, direct, resolver, deadline),
    );
    let mut current = KnownPlaces::default();
    let mut failure = None;
    let lookups = [(starttls, of_starttls), (direct, of_direct)];
    let lookups = services.into_iter().zip(lookups);
    let lookups = lookups.map(|(service, (lookup, unsigned))| {
        let unsigned = settled(&service, unsigned, known, &mut current);
        let places = match lookup {
            Ok(hosts) => Ok(hosts.map(|mut hosts| {
                failure = limit_hosts(service.owner(), &mut hosts)
                    .or_else(|| current.unvouched.get(&service).cloned())
                    .or_else(|| failure.take());
                places_of(&service, hosts, unsigned.as_ref())
            })),
            Err(error) => match known.services.get(&service) {
                Some(kept) if !error.is_dns_answer() => {
                    failure = Some(error);
                    Ok(Some(kept.clone()))
                }
                _ => {
                    if !error.is_dns_answer() {
                        failure = Some(error.clone());
                    }
                    Err(error)
                }
            },
        };
        if let Ok(Some(places)) = &places {
            current.services.insert(service, places.clone());
        }
        places
    });
    match combine(domain, lookups.collect()) {
        Ok(places) if places.is_empty() => alone(None),
        Ok(places) => {
            let found = Entry {
                hostnames: Vec::new(),
                found: places,
                ..entry.clone()
            };
            let failed = failure.map(|error| (entry.clone(), Some(error)));
            Located {
                entries: std::iter::once((found, None)).chain(failed).collect(),
                known: current,
            }
        }
        Err(error) => alone(Some(error)),
    }
}

/// The places of a service, which are `None` if the domain does not offer it.
type Lookup = Result<Option<Vec<FoundPlace>>, ProbeError>;

/// Combines the results of both services. The list is empty if the domain has no SRV record, so
/// that it is its own host.
///
/// # Errors
/// If the domain does not offer the service, or the hosts are unknown.
fn combine(domain: &Hostname, lookups: Vec<Lookup>) -> Result<Vec<FoundPlace>, ProbeError> {
    let (mut hosts, mut failure, mut is_refused) = (Vec::new(), None, false);
    for lookup in lookups {
        match lookup {
            Ok(None) => is_refused = true,
            Ok(Some(found)) => hosts.extend(found),
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
        None if hosts.is_empty() && is_refused => Err(ProbeError::new(
            ErrorKind::DnsNoAddress,
            format!(
                "{domain} does not offer XMPP: its SRV record has the target `.` (RFC 6120, section 3.2.1)"
            ),
        )),
        None => Ok(hosts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(
        starttls: Result<Option<u16>, ErrorKind>,
        direct: Result<Option<u16>, ErrorKind>,
    ) -> Result<usize, ErrorKind> {
        let domain = "example.com".parse().unwrap();
        let lookup = |found: Result<Option<u16>, ErrorKind>| match found {
            Ok(port) => Ok(port.map(|port| {
                let service = "_xmpp-client._tcp.example.com".parse().unwrap();
                places_of(&service, vec![("a.example".parse().unwrap(), port)], None)
            })),
            Err(kind) => Err(ProbeError::new(kind, "x")),
        };
        let found = combine(&domain, vec![lookup(starttls), lookup(direct)]);
        found.map(|hosts| hosts.len()).map_err(|error| error.kind)
    }

    #[test]
    fn domain_without_records_is_its_own_host() {
        let (none, servfail) = (ErrorKind::DnsNxdomain, ErrorKind::DnsServfail);
        assert_eq!(hosts(Err(none), Err(none)), Ok(0));
        assert_eq!(hosts(Ok(Some(5222)), Err(none)), Ok(1));
        assert_eq!(hosts(Ok(Some(5222)), Ok(None)), Ok(1));
        assert_eq!(hosts(Ok(Some(5222)), Err(servfail)), Ok(1));
        assert_eq!(hosts(Ok(Some(5222)), Ok(Some(443))), Ok(2));
        assert_eq!(hosts(Err(none), Err(servfail)), Err(servfail));
        let no_address = ErrorKind::DnsNoAddress;
        assert_eq!(hosts(Ok(None), Err(none)), Err(no_address));
    }
}
