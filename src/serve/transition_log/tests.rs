use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::finding::{Detail, Finding, LeafValidity, Wanted};
use crate::model::{KeyType, Protocol, Target, Timestamp, Timings, Vantage};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError};

fn target() -> Target {
    Target {
        certificate: "web".into(),
        hostname: "www.example.com".parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

/// Returns a result with these findings; without any, it is a timeout.
fn result(ip: u8, details: Vec<Detail>) -> Judged {
    let error = ProbeError::new(ErrorKind::ConnectTimeout, "no \"answer\"");
    let observation = Observation {
        target: target().into(),
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, ip))),
        key_type: KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome: Outcome::Failed(error.clone()),
    };
    let mut judged = Judged::failed(observation, error);
    judged
        .findings
        .extend(details.into_iter().map(Finding::new));
    judged
}

fn wrong_certificate() -> Detail {
    Detail::WrongCertificate {
        served: None,
        is_newer: false,
        expected: Wanted::Fingerprint,
    }
}

fn expired() -> Detail {
    Detail::Expired(LeafValidity {
        not_after: Timestamp(0),
        judged_at: Timestamp(1),
        is_newer_expected: false,
    })
}

/// Returns a result of the same address without a fault.
fn good(ip: u8) -> Judged {
    let key_type = KeyType::Rsa;
    result(ip, vec![Detail::KeyTypeMissing { key_type }])
}

/// Returns the lines of consecutive probes.
fn lines(probes: Vec<Vec<Judged>>) -> Vec<Vec<String>> {
    let mut before: Option<TargetResults> = None;
    let each = probes.into_iter().map(|results| {
        let now = TargetResults::probed(&target(), results, Timestamp(0), before.as_ref());
        let lines = transitions(before.as_ref(), &now, |_| true, false);
        before = Some(now);
        lines.into_iter().map(|line| line.text).collect()
    });
    each.collect()
}

#[test]
fn a_fault_and_its_recovery_are_each_logged_once() {
    let wrong = || vec![result(1, vec![wrong_certificate()])];
    let logged = lines(vec![
        vec![good(1)],
        wrong(),
        wrong(),
        vec![good(1)],
        vec![good(1)],
    ]);
    let place = "hostname=www.example.com ip=192.0.2.1 port=443 vantage=local";
    let message = Finding::new(wrong_certificate()).message();
    let critical =
        format!("endpoint critical: {place} was=info code=wrong_certificate message={message:?}");
    let recovered = format!("endpoint recovered: {place} was=critical");
    let none = Vec::new;
    assert_eq!(
        logged,
        [none(), vec![critical], none(), vec![recovered], none()]
    );
}

#[test]
fn a_further_reason_is_logged_and_a_fault_at_the_first_probe_is_initial() {
    let logged = lines(vec![
        vec![result(1, vec![expired()])],
        vec![result(1, vec![expired(), wrong_certificate()])],
        vec![result(1, vec![wrong_certificate()])],
    ]);
    assert!(logged[0][0].contains("endpoint critical: "), "{logged:?}");
    assert!(logged[0][0].contains("initial=true"), "{logged:?}");
    let again = "endpoint critical for another reason: ";
    assert!(logged[1][0].starts_with(again), "{logged:?}");
    assert!(logged[2].is_empty(), "{logged:?}");
}

#[test]
fn removed_and_added_addresses_are_logged() {
    let logged = lines(vec![
        vec![good(1)],
        vec![good(1), result(2, Vec::new())],
        vec![good(1)],
    ]);
    assert!(logged[0].is_empty(), "{logged:?}");
    let new = &logged[1][0];
    assert!(new.starts_with("endpoint unknown: "), "{new}");
    assert!(!new.contains("initial"), "{new}");
    assert!(
        new.ends_with("error_kind=connect_timeout error=\"no \\\"answer\\\"\""),
        "{new}"
    );
    let gone = "address gone: hostname=www.example.com ip=192.0.2.2 port=443 vantage=local";
    assert_eq!(logged[2], [gone]);
}
