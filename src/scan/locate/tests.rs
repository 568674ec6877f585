//! Lookups of the hosts of an entry.

use std::net::UdpSocket;

use super::*;
use crate::config::{Inventory, SourceSettings};
use crate::model::{Families, Protocol};
use crate::observation::ErrorKind;
use crate::source::{Environment, Requests};

/// Entries whose hosts are found by MX and SRV records.
fn entries() -> [Entry; 3] {
    let entry = || Entry::new(SourceSettings::TrustOnly);
    let service: Service = "_imaps._tcp.example.com".parse().unwrap();
    let domain: Hostname = "example.com".parse().unwrap();
    let mail = Entry {
        mx: vec![domain.clone()],
        protocol: Protocol::Smtp,
        dane: DaneCheck::On,
        ..entry()
    };
    let with_service = Entry {
        srv: vec![service],
        ..entry()
    };
    let mut xmpp = Entry {
        hostnames: vec![domain.clone()],
        protocol: Protocol::Xmpp,
        finds_xmpp_hosts: true,
        ..entry()
    };
    Arc::make_mut(&mut xmpp.reach).xmpp_domain = Some(domain);
    [mail, with_service, xmpp]
}

/// The name servers of `resolv.conf` would be queried twice for 5 s each.
#[tokio::test(start_paused = true)]
async fn lookups_of_hosts_end_with_the_timeout() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let silent = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let name_servers = vec![silent.local_addr().unwrap()];
    let resolver = Arc::new(Resolver::new(Families::Both, Vec::new(), name_servers));
    let environment = Environment {
        variable: &|_| None,
        home: None,
    };
    let sources = Sources::new(&Inventory::default(), &environment, Requests::default()).unwrap();
    for entry in entries() {
        let start = Instant::now();
        let time = LocateTime {
            lookup: TIMEOUT,
            deadline: start + 3 * TIMEOUT,
        };
        let located = locate(&entry, &KnownPlaces::default(), &resolver, &sources, time).await;
        // The clock is paused, so that the time is exact but for the resolution of its timers.
        assert!(start.elapsed() < TIMEOUT + TIMEOUT / 10, "{entry:?}");
        assert_eq!(located.entries.len(), 1, "{entry:?}");
        let error = located.entries[0].1.as_ref();
        assert_eq!(
            error.map(|e| e.kind),
            Some(ErrorKind::DnsTimeout),
            "{entry:?}"
        );
    }
}
