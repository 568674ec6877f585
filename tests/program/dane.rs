//! TLSA records: queried from name servers that respond correctly and incorrectly, and compared
//! with servers.

use crate::common::resolution::srv;
use crate::common::tlsa::{Bench, Zone, tlsa};
use crate::fixture::check::{Check, Row};
use crate::fixture::dns::{
    A, CNAME, DnsQuery, DnsResponse, NameServer, REFUSED, SERVFAIL, TLSA, wire_name,
};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf};
use crate::support::for_each_concurrently;
use serde_json::{Value, json};
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const MX: u16 = 15;
const SRV: u16 = 33;

/// Maximum TLSA records of one endpoint that are judged.
const MAX_RECORDS: u8 = 64;

/// The data of a `3 1 1` record for a leaf.
fn for_key(leaf: &Leaf) -> Vec<u8> {
    tlsa(
        [3, 1, 1],
        &leaf.certificate.public_key_hash().unwrap().to_string(),
    )
}

fn told<'a>(row: &'a Row, key: &str) -> &'a str {
    row.finding("tlsa_mismatch")[key].as_str().unwrap()
}

#[test]
fn matching_tlsa_record_is_shown_without_findings() {
    let bench = Bench::new();
    let name_server = bench.zone(&[for_key(&bench.leaf)]).serve();
    let row = bench.check(name_server.address).row();
    row.assert_right(&[]);
    let key = bench.leaf.certificate.public_key_hash().unwrap();
    let record = json!({"usage": 3, "selector": 1, "matching_type": 1, "data": key.to_string()});
    assert_eq!(
        row.0["dane"],
        json!({"records": [record], "matched": true, "authenticated": true})
    );
    let owner = bench.owner(HOST);
    let asked = name_server.asked().into_iter();
    let asked: Vec<DnsQuery> = asked.filter(|a| a.kind == TLSA).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].dnssec_ok && asked[0].name == owner, "{asked:?}");
}

#[test]
fn outdated_tlsa_record_is_critical() {
    let bench = Bench::new();
    let row = bench.row(bench.zone(&[for_key(&bench.other)]));
    row.assert_right(&["tlsa_mismatch"]);
    assert_eq!(row.text("/severity"), "critical");
    assert_eq!(row.0["dane"]["matched"], false);
    let key = bench.leaf.certificate.public_key_hash().unwrap();
    let line = format!("`{}. IN TLSA 3 1 1 {key}`", bench.owner(HOST));
    assert!(told(&row, "hint").contains(&line), "{row:?}");

    // DNSSEC does not authenticate the records: a warning. The exit code matches, as the bench
    // checks.
    let owner = bench.owner(HOST);
    let zone = bench.zone(&[for_key(&bench.other)]);
    let row = bench.row(zone.but(&owner, TLSA, |said| said.authenticated = false));
    row.assert_right(&["tlsa_mismatch"]);
    assert_eq!(row.text("/severity"), "warning");
    assert_eq!(row.0["dane"]["authenticated"], false);
    assert!(told(&row, "message").contains("DNSSEC"), "{row:?}");

    // The records match a leaf that the server does not have.
    let server = bench.zone(&[for_key(&bench.other)]).serve();
    let row = bench
        .check_at(server.address, bench.server.port())
        .expect(&bench.pki.full_chain(&bench.other))
        .row();
    assert!(told(&row, "hint").starts_with("install"), "{row:?}");
}

#[test]
fn absent_or_unrequested_tlsa_records_cause_no_finding() {
    let bench = Bench::new();
    let row = bench.row(bench.zone(&[]));
    row.assert_right(&[]);
    assert_eq!(
        row.0["dane"],
        json!({"records": [], "matched": null, "authenticated": false})
    );
    // A name that does not exist counts as a name without records.
    let owner = bench.owner(HOST);
    let row = bench.row(bench.zone(&[]).but(&owner, TLSA, |said| said.code = 3));
    row.assert_right(&[]);
    assert_eq!(row.0["dane"]["records"], json!([]));

    let name_server = bench.zone(&[for_key(&bench.other)]).serve();
    let row = Check::new(&bench.pki)
        .expect(&bench.pki.full_chain(&bench.leaf))
        .arg(format!("{HOST}:{}", bench.server.port()))
        .args(&["-4", "--dns", &name_server.address.to_string()])
        .row();
    row.assert_right(&[]);
    assert_eq!(row.0["dane"], Value::Null);
    assert!(name_server.asked().iter().all(|a| a.kind != TLSA));

    // An IP address has no TLSA records.
    let row = Check::new(&bench.pki)
        .args(&[
            "--fingerprint",
            &bench.leaf.certificate.sha256().to_string(),
        ])
        .arg(format!("127.0.0.1:{}", bench.server.port()))
        .args(&["--dns", &name_server.address.to_string(), "--dane"])
        .row();
    assert_eq!(row.outcome(), "conclusive");
    assert_eq!(row.0["dane"], Value::Null);
}

#[test]
fn tlsa_records_of_an_authenticated_alias_target_come_first() {
    let bench = Bench::new();
    let (middle, host) = ("alias.example.net", "host.example.net");
    let canonical = bench.owner(host);
    let zone = |own_records: &[Vec<u8>], canonical_records: &[Vec<u8>]| {
        let zone = bench
            .zone(own_records)
            .add(HOST, CNAME, &wire_name(middle))
            .add(middle, CNAME, &wire_name(host))
            .add(host, A, &[127, 0, 0, 1]);
        canonical_records
            .iter()
            .fold(zone, |zone, data| zone.add(&canonical, TLSA, data))
    };
    let (right, wrong) = (for_key(&bench.leaf), for_key(&bench.other));
    let matched = |zone: Zone| bench.row(zone).0["dane"]["matched"].clone();
    assert_eq!(matched(zone(from_ref(&wrong), from_ref(&right))), true);
    assert_eq!(matched(zone(from_ref(&right), from_ref(&wrong))), false);
    assert_eq!(matched(zone(from_ref(&right), &[])), true);
    let forged = |zone: Zone, at| zone.but(at, CNAME, |said| said.authenticated = false);
    for at in [HOST, middle] {
        let both = zone(from_ref(&right), from_ref(&wrong));
        assert_eq!(matched(forged(both, at)), true, "{at}");
    }
    // The addresses of the target are in an unsigned zone, whose records prove nothing, and whose
    // name server may not know the type TLSA.
    let unsigned = |zone: Zone| zone.but(host, A, |said| said.authenticated = false);
    let (own, of_target) = (from_ref(&right), from_ref(&wrong));
    assert_eq!(matched(unsigned(zone(own, of_target))), true);
    assert_eq!(matched(unsigned(zone(of_target, own))), false);
    let fails = |zone: Zone| zone.but(&canonical, TLSA, |said| said.code = SERVFAIL);
    assert_eq!(matched(fails(unsigned(zone(own, &[])))), true);
    // An alias loop has no target: the records are those of the name itself.
    let circle = bench
        .zone(from_ref(&right))
        .add(HOST, CNAME, &wire_name(middle))
        .add(middle, CNAME, &wire_name(HOST));
    assert_eq!(matched(circle), true);

    // The records may be behind an alias, as hosters do.
    let own = bench.owner(HOST);
    let elsewhere = bench.zone(&[]).but(&own, TLSA, |said| {
        let target = "tlsa.hoster.example";
        said.authenticated = true;
        said.records = vec![
            (own.clone(), CNAME, wire_name(target)),
            (target.into(), TLSA, right.clone()),
            ("stranger.example".into(), TLSA, wrong.clone()),
        ];
    });
    let row = bench.row(elsewhere);
    row.assert_right(&[]);
    assert_eq!(row.0["dane"]["records"].as_array().unwrap().len(), 1);
}

#[test]
fn unusable_tlsa_records_are_ignored_beside_a_usable_one() {
    let bench = Bench::new();
    let odd = [
        tlsa([3, 1, 1], "abcd"),
        tlsa([3, 1, 1], ""),
        tlsa([3, 1, 9], &"ab".repeat(32)),
        tlsa([3, 7, 1], &"ab".repeat(32)),
        tlsa([200, 1, 1], &"ab".repeat(32)),
    ];
    let mut with_right = odd.to_vec();
    with_right.push(for_key(&bench.leaf));
    bench.row(bench.zone(&with_right)).assert_right(&[]);
    let row = bench.row(bench.zone(&odd));
    row.assert_right(&["tlsa_mismatch"]);
    assert_eq!(row.text("/severity"), "warning");
    assert_eq!(row.0["dane"]["matched"], Value::Null);
    assert_eq!(
        row.0["dane"]["records"].as_array().unwrap().len(),
        odd.len()
    );
}

#[test]
fn truncated_tlsa_response_is_fetched_over_tcp_up_to_a_maximum() {
    let bench = Bench::new();
    let owner = bench.owner(HOST);
    let strangers = |count: u8| (0..count).map(|n| tlsa([3, 1, 1], &format!("{n:02x}").repeat(32)));
    let mut records: Vec<Vec<u8>> = strangers(MAX_RECORDS - 1).collect();
    records.push(for_key(&bench.leaf));
    let zone = bench.zone(&records);
    let server = zone.but(&owner, TLSA, |said| said.truncated = true).serve();
    let row = bench.check(server.address).row();
    row.assert_right(&[]);
    assert_eq!(
        row.0["dane"]["records"].as_array().unwrap().len(),
        records.len()
    );
    let mut asked = server.asked().into_iter();
    assert!(asked.any(|a| a.kind == TLSA && a.over_tcp));

    let zone = bench.zone(&strangers(100).collect::<Vec<_>>());
    let server = zone.but(&owner, TLSA, |said| said.truncated = true).serve();
    let rows = bench.check(server.address).rows();
    let [unknown, looked] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(unknown.outcome(), "internal");
    assert!(
        unknown.text("/error").contains("100 TLSA records"),
        "{unknown:?}"
    );
    assert_eq!(looked.outcome(), "internal");
    assert_eq!(looked.text("/severity"), "unknown");
    assert_eq!(looked.0["dane"], Value::Null);
}

#[test]
fn failed_tlsa_lookup_leaves_the_result_of_each_address_unknown() {
    let bench = Bench::new();
    let owner = bench.owner(HOST);
    let fails = |zone: Zone, name: &str, kind| zone.but(name, kind, |said| said.code = SERVFAIL);
    let right = bench.zone(&[for_key(&bench.leaf)]);
    let silent = Zone {
        silent: vec![TLSA],
        ..right.clone()
    };
    let cut_off = bench.zone(&[vec![3, 1]]);
    for (zone, kind, word) in [
        (
            fails(right.clone(), &owner, TLSA),
            "dns_servfail",
            "DNSSEC signatures",
        ),
        (
            fails(right.clone(), HOST, CNAME),
            "dns_servfail",
            "DNSSEC signatures",
        ),
        (silent, "dns_timeout", "TLSA"),
        (cut_off, "dns_servfail", "TLSA"),
    ] {
        let server = zone.serve();
        let rows = bench
            .check(server.address)
            .args(&["--timeout", "10s"])
            .rows();
        let [unknown, looked] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!((unknown.ip(), unknown.outcome()), ("", kind));
        assert_eq!(unknown.text("/severity"), "unknown");
        assert!(unknown.text("/error").contains(word), "{unknown:?}");
        // Clients that use DANE do not connect.
        assert_eq!((looked.ip(), looked.outcome()), ("127.0.0.1", kind));
        assert_eq!(looked.text("/severity"), "unknown");
        assert_eq!(looked.0["findings"], json!([]), "{looked:?}");
        assert_eq!(looked.0["dane"], Value::Null);
    }
    // If the address lookup fails too, one row reports both.
    let zone = fails(fails(right, &owner, TLSA), HOST, A);
    let row = bench.row(zone);
    assert!(row.text("/error").contains("the A records"), "{row:?}");
    // If one name server fails, another is queried.
    let good = bench.zone(&[for_key(&bench.leaf)]).serve();
    for code in [SERVFAIL, REFUSED] {
        let broken = NameServer::start(move |_| {
            Some(DnsResponse {
                code,
                ..DnsResponse::default()
            })
        });
        let row = bench
            .check(broken.address)
            .args(&["--dns", &good.address.to_string(), "--resolve"])
            .arg(format!("{HOST}:{}:127.0.0.1", bench.server.port()))
            .row();
        row.assert_right(&[]);
        assert_eq!(row.0["dane"]["matched"], true, "{code}");
    }
}

#[test]
fn usage_2_authority_must_be_served() {
    let bench = Bench::new();
    let sha256 = |c: &certvigil::certificate::Certificate| c.sha256().to_string();
    let of_mid = tlsa([2, 0, 1], &sha256(&bench.pki.intermediate.certificate));
    bench.row(bench.zone(&[of_mid])).assert_right(&[]);

    // The server does not send the root, although its file has it.
    let of_root = tlsa([2, 0, 1], &sha256(&bench.pki.root.certificate));
    let chain = bench.pki.chain(&[
        &bench.leaf.certificate,
        &bench.pki.intermediate.certificate,
        &bench.pki.root.certificate,
    ]);
    let server = bench.zone(&[of_root]).serve();
    let row = bench
        .check_at(server.address, bench.server.port())
        .expect(&chain)
        .row();
    row.assert_right(&["tlsa_mismatch"]);
    assert!(told(&row, "message").contains("Test Root"), "{row:?}");
    assert!(told(&row, "hint").contains("append"), "{row:?}");
}

/// Forged SRV records direct clients to a host whose TLSA records are the attacker's (RFC 7673,
/// section 3.1).
#[test]
fn tlsa_records_below_unsigned_srv_records_are_not_used() {
    let bench = Bench::new();
    let to_host = srv(0, bench.server.port(), HOST);
    for (owner, target) in [
        (
            "_imaps._tcp.service.example",
            "srv:_imaps._tcp.service.example",
        ),
        ("_xmpps-client._tcp.service.example", "xmpp:service.example"),
    ] {
        for (dane, is_signed, severity) in [
            ("--dane", true, None),
            ("--dane", false, Some("info")),
            ("--dane=required", true, None),
            ("--dane=required", false, Some("critical")),
        ] {
            let zone = bench.zone(&[for_key(&bench.other)]);
            let zone = zone.add(owner, SRV, &to_host);
            let zone = zone.but(owner, SRV, |said| said.authenticated = is_signed);
            let dns = zone.serve();
            let check = Check::new(&bench.pki).arg(target);
            let row = check
                .args(&["-4", "--dns", &dns.address.to_string(), dane])
                .row();
            let mut findings = row.0["findings"].as_array().unwrap().iter();
            let found = findings.find(|f| f["code"] == "tlsa_missing");
            let found = found.map(|f| f["severity"].as_str().unwrap());
            assert_eq!(found, severity, "{row:?}");
            // The records are for another certificate than the server's.
            let matched = &row.0["dane"]["matched"];
            let expected = if is_signed { json!(false) } else { Value::Null };
            assert_eq!(*matched, expected, "{row:?}");
        }
    }
}

/// Such records are neither authenticated nor not (RFC 7672, section 2.1).
#[test]
fn failed_question_about_dnssec_of_mx_or_srv_records_is_unknown() {
    let bench = Bench::new();
    let port = bench.server.port();
    let owner = "_imaps._tcp.service.example";
    let cases = [
        (MX, format!("mx:service.example:{port}")),
        (SRV, format!("srv:{owner}")),
        (SRV, "xmpp:service.example".to_owned()),
    ];
    let flags = ["--dane", "--dane=required"];
    let cases = flags
        .iter()
        .flat_map(|dane| cases.iter().map(move |case| (dane, case)));
    for_each_concurrently(cases, |(dane, &(kind, ref target))| {
        let zone = bench.zone(&[for_key(&bench.leaf)]);
        let zone = zone.add(owner, SRV, &srv(0, port, HOST));
        let xmpp = "_xmpps-client._tcp.service.example";
        let zone = zone.add(xmpp, SRV, &srv(0, port, HOST));
        let mail = [&[0, 0][..], &wire_name(HOST)].concat();
        let zone = zone.add("service.example", MX, &mail);
        let dns = zone.serve_failing(move |asked| asked.kind == kind && asked.dnssec_ok);
        let check = Check::new(&bench.pki).arg(target);
        let rows = check
            .args(&["-4", "--dns", &dns.address.to_string(), dane])
            .rows();
        let unknown = |row: &&Row| row.outcome() == "dns_servfail";
        // The failure has a row of its own, that of the domain or the service.
        let of_domain = |row: &Row| row.text("/hostname").ends_with("service.example");
        let own = rows.iter().find(|row| of_domain(row));
        assert!(own.is_some_and(|row| unknown(&row)), "{rows:?}");
        if kind == SRV {
            assert!(rows.iter().all(|row| unknown(&row)), "{rows:?}");
        }
        let mut findings = rows
            .iter()
            .flat_map(|r| r.0["findings"].as_array().unwrap());
        assert!(findings.all(|f| f["code"] != "tlsa_missing"), "{rows:?}");
    });
}

/// A failed lookup changes nothing for mail servers that refuse the certificate.
#[test]
fn serve_keeps_tlsa_records_while_their_lookup_fails() {
    let bench = Bench::new();
    let is_failing = Arc::new(AtomicBool::new(false));
    let fails = is_failing.clone();
    let dns = bench
        .zone(&[for_key(&bench.other)])
        .serve_failing(move |asked| asked.kind == TLSA && fails.load(Ordering::Relaxed));
    let config = format!(
        "trust: {{system: false, ca_files: [{}]}}\ndns: [\"{}\"]\ndefaults: {{interval: 1s, dane: true}}\n\
         certificates:\n  - {{pem: {}, hostnames: [{HOST}], port: {}}}\n",
        bench.pki.path("root.pem").display(),
        dns.address,
        bench.pki.full_chain(&bench.leaf).display(),
        bench.server.port(),
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    let finding = "certvigil_endpoint_finding";
    let mismatch = [r#"ip="127.0.0.1""#, r#"code="tlsa_mismatch""#];
    exporter.wait_for_metrics("the mismatch", |metrics| {
        metrics.sample(finding, &mismatch).is_some()
    });
    is_failing.store(true, Ordering::Relaxed);
    // The failure has a row without an address.
    exporter.wait_for_metrics("the failed lookup", |metrics| {
        let labels = ["ip=\"\"", r#"error_kind="dns_servfail""#];
        !metrics
            .samples("certvigil_endpoint_error", &labels)
            .is_empty()
    });
    let asked = || dns.asked().into_iter().filter(|a| a.kind == TLSA).count();
    let before = asked();
    let metrics = exporter.wait_for_metrics("two more lookups", |_| asked() > before + 2);
    assert!(
        metrics.sample(finding, &mismatch).is_some(),
        "{}",
        metrics.text()
    );
    assert!(!exporter.log().contains("endpoint recovered"));
}

/// The TLSA records of a host count only if DNSSEC authenticates the MX or SRV record that names it.
#[test]
fn serve_keeps_the_answer_about_dnssec_of_mx_and_srv_records_while_the_question_fails() {
    let bench = Bench::new();
    let port = bench.server.port();
    let owner = "_imaps._tcp.service.example";
    let cases = [
        (
            MX,
            format!("mx: [service.example], protocol: https, port: {port}"),
        ),
        (SRV, format!("srv: [{owner}]")),
    ];
    for_each_concurrently(cases, |(kind, place)| {
        let is_failing = Arc::new(AtomicBool::new(false));
        let fails = is_failing.clone();
        let zone = bench.zone(&[for_key(&bench.other)]);
        let zone = zone.add(owner, SRV, &srv(0, port, HOST));
        let mail = [&[0, 0][..], &wire_name(HOST)].concat();
        let zone = zone.add("service.example", MX, &mail);
        let dns = zone.serve_failing(move |asked| {
            asked.kind == kind && asked.dnssec_ok && fails.load(Ordering::Relaxed)
        });
        let config = format!(
            "trust: {{system: false, ca_files: [{}]}}\ndns: [\"{}\"]\ndefaults: {{interval: 1s, dane: true}}\n\
             certificates:\n  - {{pem: {}, {place}}}\n",
            bench.pki.path("root.pem").display(),
            dns.address,
            bench.pki.full_chain(&bench.leaf).display(),
        );
        let exporter = Exporter::start(&config, &[], |_| {});
        let finding = "certvigil_endpoint_finding";
        let mismatch = [r#"ip="127.0.0.1""#, r#"code="tlsa_mismatch""#];
        exporter.wait_for_metrics("the mismatch", |metrics| {
            metrics.sample(finding, &mismatch).is_some()
        });
        let asked = |kind: u16| {
            let of_kind = |asked: &DnsQuery| asked.kind == kind && asked.dnssec_ok;
            dns.asked().iter().filter(|asked| of_kind(asked)).count()
        };
        // A lookup of TLSA records that follows a failed question belongs to a later probe.
        is_failing.store(true, Ordering::Relaxed);
        let before = asked(kind);
        assert_eq!(exporter.post("/-/reload", "").status, 200);
        exporter.wait_for_metrics("a failed question", |_| asked(kind) > before);
        let before = asked(TLSA);
        let metrics = exporter.wait_for_metrics("two more probes", |_| asked(TLSA) > before + 2);
        assert!(
            metrics.sample(finding, &mismatch).is_some(),
            "{}",
            metrics.text()
        );
        let errors = metrics.samples("certvigil_endpoint_error", &[r#"ip="""#]);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(!exporter.log().contains("endpoint recovered"));
    });
}

#[test]
fn serve_checks_tlsa_records_if_configured() {
    let bench = Bench::new();
    let dns = bench.zone(&[for_key(&bench.other)]).serve();
    let port = bench.server.port();
    let config = |defaults: &str, entry: &str| {
        format!(
            "trust: {{system: false, ca_files: [{}]}}\ndns: [\"{}\"]\ndefaults: {{interval: 1h{defaults}}}\n\
             certificates:\n  - {{pem: {}, hostnames: [{HOST}], port: {port}{entry}}}\n",
            bench.pki.path("root.pem").display(),
            dns.address,
            bench.pki.full_chain(&bench.leaf).display(),
        )
    };
    let mismatch = [r#"code="tlsa_mismatch""#, r#"severity="critical""#];
    for (defaults, entry, is_reported) in [
        (", dane: true", "", true),
        ("", ", dane: true", true),
        (", dane: true", ", dane: false", false),
        ("", "", false),
    ] {
        let exporter = Exporter::start(&config(defaults, entry), &[], |_| {});
        let metrics = exporter.wait_for_metrics("the look", |metrics| {
            !metrics
                .samples("certvigil_endpoint_correct", &[])
                .is_empty()
        });
        let expected = is_reported.then_some(1.0);
        let finding = "certvigil_endpoint_finding";
        assert_eq!(
            metrics.sample(finding, &mismatch),
            expected,
            "{defaults}{entry}"
        );
        let probe = exporter.probe(&format!("/probe?target={HOST}:{port}"));
        assert_eq!(
            probe.sample(finding, &mismatch),
            expected,
            "{}",
            probe.text()
        );
    }
}
