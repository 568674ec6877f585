//! Lookups of the hosts of an entry.

use std::net::UdpSocket;

use super::*;
use crate::config::{Inventory, SourceSettings};
use crate::model::{Families, Protocol};
use crate::mta_sts::{StsMode, StsPolicy};
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

/// RFC 8461, section 5.1: senders apply the policy in their cache.
#[test]
fn mta_sts_policy_applies_until_its_max_age() {
    let sts = |id: &str, max_age| Sts {
        id: id.into(),
        policy: StsPolicy {
            mode: StsMode::Enforce,
            mx: vec!["mx.example.com".into()],
            max_age,
        },
    };
    let fault = || Err(StsFault::HttpStatus { status: 404 });
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let first = applied(Some(&Ok(sts("1", 60))), None, start).unwrap();
    assert_eq!((first.sts.id.as_str(), first.until), ("1", at(60)));
    for read in [None, Some(fault())] {
        let applied_at = |seconds| applied(read.as_ref(), Some(&first), at(seconds));
        assert_eq!(applied_at(59).as_ref(), Some(&first));
        assert_eq!(applied_at(60), None);
        assert_eq!(applied(read.as_ref(), None, start), None);
    }
    let next = applied(Some(&Ok(sts("2", 10))), Some(&first), at(5)).unwrap();
    assert_eq!((next.sts.id.as_str(), next.until), ("2", at(15)));
}

#[test]
fn failed_dnssec_question_about_srv_records_keeps_the_last_answer() {
    let service: Service = "_imaps._tcp.example.com".parse().unwrap();
    let error = ProbeError::new(ErrorKind::DnsServfail, "SERVFAIL");
    for last in [None, Some(service.owner())] {
        let host = ("mail.example.com".parse().unwrap(), 993);
        let places = places_of(&service, vec![host], last.as_ref());
        let (mut known, mut current) = (KnownPlaces::default(), KnownPlaces::default());
        known.services.insert(service.clone(), places);
        let failed = || Err(error.clone());
        assert_eq!(settled(&service, failed(), &known, &mut current), last);
        assert!(current.unvouched.is_empty());
        // The question failed before too, and was never answered.
        known.unvouched.insert(service.clone(), error.clone());
        assert_eq!(settled(&service, failed(), &known, &mut current), None);
        assert_eq!(current.unvouched.get(&service), Some(&error));
    }
}
