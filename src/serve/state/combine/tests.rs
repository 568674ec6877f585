use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::judge::Flags;
use crate::model::{Protocol, Target, Timestamp, Timings};
use crate::observation::{Observation, Outcome, ProbeError, Reported};

const INTERVAL: Duration = Duration::from_secs(60);

fn target() -> Target {
    Target {
        certificate: "web".into(),
        hostname: "www.example.com".parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

/// Returns a result of an address: either with a correct or incorrect certificate, or with an
/// error.
fn result(ip: u8, vantage: &Vantage, key_type: KeyType, seen: Result<bool, ErrorKind>) -> Judged {
    let observation = |outcome| Observation {
        target: target().into(),
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, ip))),
        key_type,
        vantage: vantage.clone(),
        timings: Timings::default(),
        outcome,
    };
    let correct = match seen {
        Ok(correct) => correct,
        Err(kind) => {
            let error = ProbeError::new(kind, "why");
            return Judged::failed(observation(Outcome::Failed(error.clone())), error);
        }
    };
    let reported = Reported {
        correct,
        chained: true,
        dummy: false,
        peer: None,
    };
    Judged {
        verdict: Verdict::Conclusive(Flags {
            correct,
            chained: true,
            dummy: false,
            trusted: None,
            hostname_match: None,
            expired: None,
            not_yet_valid: None,
            revoked: None,
        }),
        ..Judged::failed(
            observation(Outcome::Reported(reported)),
            ProbeError::new(ErrorKind::Internal, ""),
        )
    }
}

fn put(results: &mut TargetResults, judged: Judged, seconds: u64, run: u64) {
    let alone = Arc::new(judged);
    let old = results.endpoint(&alone).cloned();
    let judged = preliminary(&alone, old.as_deref(), std::iter::empty());
    let at = Duration::from_secs(seconds);
    let at = (Timestamp(seconds.try_into().unwrap()), at);
    let result = EndpointResult::new(alone, judged, at, run, old.as_deref());
    results.put(result);
}

fn codes(results: &TargetResults) -> Vec<Vec<Code>> {
    let all = results.judged();
    all.map(|j| j.findings.iter().map(|f| f.code()).collect())
        .collect()
}

#[test]
fn findings_of_two_addresses_stay_between_probes_and_do_not_accumulate() {
    let local = Vantage::local();
    let live = || result(1, &local, KeyType::Any, Ok(true));
    let dead = || result(2, &local, KeyType::Any, Err(ErrorKind::ConnectTimeout));
    let mut results = TargetResults::new(Arc::new(target()));
    put(&mut results, dead(), 1, 1);
    put(&mut results, live(), 2, 1);
    assert_eq!(codes(&results), [vec![], vec![]]);
    combine(&mut results, |_| true, INTERVAL);
    let unreachable = [vec![], vec![Code::Unreachable]];
    assert_eq!(codes(&results), unreachable);
    // The next probe has the result of the dead address first, and then of both.
    for judged in [dead(), live()] {
        put(&mut results, judged, 60, 2);
        assert_eq!(codes(&results), unreachable);
    }
    combine(&mut results, |_| true, INTERVAL);
    combine(&mut results, |_| true, INTERVAL);
    assert_eq!(codes(&results), unreachable);
    let recovered = result(2, &local, KeyType::Any, Ok(true));
    put(&mut results, recovered, 120, 3);
    assert_eq!(codes(&results), [vec![], vec![]]);
}

#[test]
fn finding_of_two_addresses_keeps_its_start_while_the_error_changes() {
    let local = Vantage::local();
    let mut results = TargetResults::new(Arc::new(target()));
    let mut start = |seconds: u64, of_two: Result<bool, ErrorKind>| {
        put(
            &mut results,
            result(2, &local, KeyType::Any, of_two),
            seconds,
            seconds,
        );
        let live = result(1, &local, KeyType::Any, Ok(true));
        put(&mut results, live, seconds, seconds);
        combine(&mut results, |_| true, INTERVAL);
        let dead = results.endpoints.last().unwrap();
        let is_found = !dead.judged.findings.is_empty();
        let start = dead.starts.of(Code::Unreachable).filter(|_| is_found);
        start.map(|start| (start.at, start.is_change))
    };
    let (timeout, refused) = (ErrorKind::ConnectTimeout, ErrorKind::ConnectRefused);
    let first = Some((Timestamp(1), false));
    assert_eq!(start(1, Err(timeout)), first);
    assert_eq!(start(60, Err(refused)), first);
    assert_eq!(start(120, Err(refused)), first);
    assert_eq!(start(180, Ok(true)), None);
    let again = Some((Timestamp(240), true));
    assert_eq!(start(240, Err(refused)), again);
    assert_eq!(start(300, Err(timeout)), again);
}

#[test]
fn vantages_are_compared_if_their_results_are_of_one_interval() {
    let (local, remote) = (Vantage::local(), Vantage::named("there"));
    let disagree = vec![Code::VantagesDisagree];
    let mut results = TargetResults::new(Arc::new(target()));
    put(
        &mut results,
        result(1, &remote, KeyType::Any, Ok(false)),
        0,
        1,
    );
    for (seconds, expected) in [(60, disagree), (61, vec![])] {
        let own = result(1, &local, KeyType::Any, Ok(true));
        put(&mut results, own, seconds, seconds);
        combine(&mut results, |_| true, INTERVAL);
        assert_eq!(codes(&results), [expected.clone(), expected]);
    }
}

#[test]
fn missing_key_type_is_not_a_fault() {
    let local = Vantage::local();
    let (rsa, ecdsa) = (KeyType::Rsa, KeyType::Ecdsa);
    let refused = result(1, &local, ecdsa, Err(ErrorKind::TlsAlert));
    assert!(depends_on_other_key_type(&refused));
    let served = result(1, &local, rsa, Ok(true));
    assert!(!depends_on_other_key_type(&served));
    let judged = preliminary(&Arc::new(refused), None, std::iter::once(&served));
    let codes: Vec<Code> = judged.findings.iter().map(|f| f.code()).collect();
    assert_eq!(codes, [Code::KeyTypeMissing]);
}
