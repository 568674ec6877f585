//! Tests of remote vantages.

use super::*;
use crate::model::Protocol;
use crate::source::Requests;

fn remote() -> Remote {
    let sources = Sources::new(
        &crate::config::Inventory::default(),
        &crate::source::Environment {
            variable: &|_| None,
            home: None,
        },
        Requests::default(),
    );
    let http = sources.unwrap().http_for_others();
    let client = Client::new("https://vantage.example/api/v2", None, http);
    Remote::certvigil("east", client.unwrap())
}

fn target() -> Target {
    Target {
        certificate: "www".into(),
        hostname: "www.example".parse().unwrap(),
        port: 443,
        protocol: Protocol::Https,
        names: Box::default(),
    }
}

fn row(ip: Option<&str>, correct: bool) -> TestRow {
    let row = serde_json::json!({
        "hostname": "www.example", "ip_address": ip, "status": "conclusive",
        "correct": correct, "chained": true, "dummy": false,
    });
    serde_json::from_value(row).unwrap()
}

/// Returns the addresses and results. The result of an inconclusive row is `None`.
fn seen(rows: &[TestRow]) -> Vec<(Option<IpAddr>, Option<bool>)> {
    let rows: Vec<&TestRow> = rows.iter().collect();
    let observations = remote().of_target(&target().into(), &rows, 0);
    let correct = |outcome: &Outcome| match outcome {
        Outcome::Reported(reported) => Some(reported.correct),
        _ => None,
    };
    let seen = observations.iter();
    seen.map(|o| (o.ip, correct(&o.outcome))).collect()
}

#[test]
fn contradictory_remote_rows_for_an_address_are_no_result() {
    let (a, b) = ("192.0.2.1", "192.0.2.2");
    let ip = |text: &str| Some(text.parse().unwrap());
    let rows = [row(Some(a), true), row(Some(b), false), row(Some(a), true)];
    assert_eq!(seen(&rows), [(ip(a), Some(true)), (ip(b), Some(false))]);
    let rows = [row(Some(a), true), row(Some(a), false), row(Some(a), true)];
    assert_eq!(seen(&rows), [(ip(a), None)]);
}

#[test]
fn a_row_without_an_address_is_no_result() {
    for ip in [None, Some(""), Some("everywhere")] {
        assert_eq!(seen(&[row(ip, true)]), [(None, None)], "{ip:?}");
    }
    assert_eq!(seen(&[]), [(None, None)]);
}

#[test]
fn rows_beyond_the_maximum_are_reported_and_not_used() {
    let row = |n: usize| row(Some(&format!("10.{}.{}.1", n / 256, n % 256)), true);
    let rows = |count| Vec::from_iter((0..count).map(row));
    assert!(seen(&rows(MAX_ROWS)).iter().all(|(ip, _)| ip.is_some()));
    let seen = seen(&rows(46_000));
    assert_eq!(seen.len(), MAX_ROWS + 1);
    assert_eq!(seen.last(), Some(&(None, None)));
    let kept = rows(MAX_ROWS);
    let kept: Vec<&TestRow> = kept.iter().collect();
    let observations = remote().of_target(&target().into(), &kept, 45_900);
    let Some(Outcome::Failed(error)) = observations.last().map(|o| &o.outcome) else {
        panic!("{observations:?}");
    };
    assert!(error.message.contains("has 46000 rows"), "{error}");
}

/// A row with more keys than SSLMate's.
fn extended(keys: &serde_json::Value) -> TestRow {
    let mut row = serde_json::json!({
        "hostname": "www.example", "ip_address": "192.0.2.1", "status": "conclusive",
        "correct": true, "chained": true, "dummy": false,
    });
    let keys = keys.as_object().unwrap().clone();
    row.as_object_mut().unwrap().extend(keys);
    serde_json::from_value(row).unwrap()
}

fn outcome(remote: &Remote, row: &TestRow) -> Outcome {
    let mut seen = remote.of_target(&target().into(), &[row], 0);
    assert_eq!(seen.len(), 1);
    seen.remove(0).outcome
}

#[test]
fn rows_of_key_types_do_not_contradict_each_other() {
    let of = |key_type: &str, correct: bool| {
        extended(&serde_json::json!({"key_type": key_type, "correct": correct}))
    };
    let rows = [of("ecdsa", true), of("rsa", false), of("future", true)];
    let rows: Vec<&TestRow> = rows.iter().collect();
    let seen = remote().of_target(&target().into(), &rows, 0);
    let seen: Vec<(KeyType, bool)> = (seen.iter())
        .map(|o| match &o.outcome {
            Outcome::Reported(reported) => (o.key_type, reported.correct),
            other => panic!("{other:?}"),
        })
        .collect();
    let all = [
        (KeyType::Any, true),
        (KeyType::Rsa, false),
        (KeyType::Ecdsa, true),
    ];
    assert_eq!(seen, all);
}

#[test]
fn a_fault_for_an_unknown_reason_is_not_ok() {
    let finding = |code: &str, severity: &str| serde_json::json!({"code": code, "severity": severity, "message": "a", "hint": "b"});
    let critical = |findings: &[serde_json::Value]| serde_json::json!({"severity": "critical", "findings": findings});
    let unknown = [
        critical(&[]),
        critical(&[finding("from_the_future", "critical")]),
        critical(&[
            finding("from_the_future", "critical"),
            finding("weak_key", "warning"),
        ]),
        critical(&[finding("expired", "warning")]),
        serde_json::json!({"severity": "critical", "findings": 7}),
        serde_json::json!({"severity": "warning", "findings": [finding("from_the_future", "warning")]}),
        serde_json::json!({"severity": "fatal", "findings": [finding("expired", "critical")]}),
    ];
    for keys in &unknown {
        let outcome = outcome(&remote(), &extended(keys));
        assert!(
            matches!(&outcome, Outcome::Failed(error) if error.kind == ErrorKind::Internal),
            "{keys}: {outcome:?}"
        );
    }
    let known = [
        (
            critical(&[
                finding("from_the_future", "critical"),
                finding("expired", "critical"),
            ]),
            1,
        ),
        (
            serde_json::json!({"severity": "info", "findings": [finding("from_the_future", "info")]}),
            0,
        ),
        (serde_json::json!({"severity": "ok", "findings": []}), 0),
    ];
    for (keys, count) in &known {
        let Outcome::Reported(Reported {
            peer: Some(peer), ..
        }) = outcome(&remote(), &extended(keys))
        else {
            panic!("{keys}");
        };
        assert_eq!(peer.findings.len(), *count, "{keys}");
    }
    // Another fault of the row is reported nevertheless.
    let mut wrong = critical(&[finding("from_the_future", "critical")]);
    wrong["correct"] = false.into();
    assert!(matches!(
        outcome(&remote(), &extended(&wrong)),
        Outcome::Reported(_)
    ));
    // A row without these keys, and any row of SSLMate.
    let plain = outcome(&remote(), &extended(&serde_json::json!({})));
    assert!(matches!(
        plain,
        Outcome::Reported(Reported { peer: None, .. })
    ));
    let sslmate = Remote {
        knows_account_only: true,
        ..remote()
    };
    let row = outcome(&sslmate, &extended(&critical(&[])));
    assert!(matches!(
        row,
        Outcome::Reported(Reported { peer: None, .. })
    ));
}
