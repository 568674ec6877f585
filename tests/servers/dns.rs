//! Name resolution with knot, and on a machine without IPv6.

use crate::common::resolution::{Bench, CROWD, check_without_ipv6, knot, local, summary};
use crate::fixture::check::{self};
use std::collections::BTreeSet;
use std::fs;

#[test]
#[ignore = "needs knot"]
fn every_address_of_a_name_is_probed_once() {
    let knot = knot();
    let bench = Bench::new();
    for (host, flag, expected) in [
        (
            "several.example",
            "",
            ["127.0.0.2", "127.0.0.3", "::1"].as_slice(),
        ),
        ("several.example", "-4", &["127.0.0.2", "127.0.0.3"]),
        ("several.example", "-6", &["::1"]),
        ("several.example.", "", &["127.0.0.2", "127.0.0.3", "::1"]),
        ("SEVERAL.Example", "-6", &["::1"]),
        ("first.example", "", &["127.0.0.2", "127.0.0.3", "::1"]),
        ("v4only.example", "", &["127.0.0.4"]),
        ("v6only.example", "", &["::1"]),
        ("v6only.example", "-4", &["dns_no_address"]),
        ("bücher.example", "", &["127.0.0.5"]),
        ("xn--bcher-kva.example", "", &["127.0.0.5"]),
        ("nothing.example", "", &["dns_nxdomain"]),
        ("dangling.example", "", &["dns_nxdomain"]),
        ("texts.example", "", &["dns_no_address"]),
        ("texts.example", "-6", &["dns_no_address"]),
        ("www.broken", "", &["dns_servfail"]),
        ("www.elsewhere", "", &["dns_servfail"]),
    ] {
        let before = bench.server.connections();
        let more = Vec::from_iter(Some(flag).filter(|f| !f.is_empty()));
        let rows = bench.look(host, &[local(knot.port)], &more);
        assert_eq!(summary(&rows), expected, "{host} {flag}: {rows:?}");
        let looks = bench.server.connections() - before;
        let addresses = expected.iter().filter(|e| !e.starts_with("dns")).count();
        assert_eq!(looks, addresses, "{host} {flag}");
        for row in &rows {
            if row.ip().is_empty() {
                assert_eq!(row.text("/status"), "connect_error", "{row:?}");
                assert_eq!(row.text("/severity"), "unknown", "{row:?}");
                assert!(row.0["ip_address"].is_null());
                if host.starts_with("dangling") {
                    let words = "an alias for nothing.example, and that name does not exist";
                    assert!(row.text("/error").contains(words), "{row:?}");
                }
            } else {
                row.assert_right(&[]);
                assert_eq!(row.flag("trusted"), Some(true));
            }
        }
    }
}

#[test]
#[ignore = "needs knot"]
fn dns_response_larger_than_a_datagram_is_fetched_completely() {
    let knot = knot();
    let bench = Bench::new();
    let rows = bench.look("crowd.example", &[local(knot.port)], &[]);
    let seen: BTreeSet<&str> = summary(&rows).into_iter().collect();
    let all: Vec<String> = (1..=CROWD).map(|n| format!("127.0.1.{n}")).collect();
    assert_eq!(seen, all.iter().map(String::as_str).collect());
    assert_eq!(rows.len(), usize::from(CROWD));
}

#[test]
#[ignore = "needs iproute2"]
fn missing_address_family_is_skipped_with_one_notice_unless_requested() {
    const NOTICE: &str = "has no route for IPv6";
    let two = |host: &str| format!("{host}:443:127.0.0.1,2001:db8::1");
    let hosts = ["www.example.com", "api.example.com"];
    let resolve = hosts.map(two);
    let targets = [
        "--resolve",
        &resolve[0],
        "--resolve",
        &resolve[1],
        hosts[0],
        hosts[1],
    ];
    let run = check_without_ipv6(&targets);
    assert_eq!(summary(&check::rows(&run)), ["127.0.0.1", "127.0.0.1"]);
    assert_eq!(run.stderr.matches(NOTICE).count(), 1, "{}", run.stderr);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certvigil.yml");
    let entry = "{trust: true, hostnames: www.example.com, addresses: [127.0.0.1, '2001:db8::1']";
    let both = ["127.0.0.1", "2001:db8::1"].as_slice();
    for (settings, of_entry, flags, addresses) in [
        ("", "", [].as_slice(), ["127.0.0.1"].as_slice()),
        ("", "", &["-6"], &["2001:db8::1"]),
        ("families: [ipv4, ipv6]", "", &[], both),
        ("families: ipv6", "", &[], &["2001:db8::1"]),
        ("families: ipv6", ", families: [ipv6, ipv4]", &[], both),
        ("", ", families: [ipv6]", &[], &["2001:db8::1"]),
        ("", ", families: [ipv6]", &["-4"], &["127.0.0.1"]),
    ] {
        let text = format!("{settings}\ncertificates:\n- {entry}{of_entry}}}\n");
        fs::write(&file, &text).unwrap();
        let config = ["--config", file.to_str().unwrap()];
        let run = check_without_ipv6(&[config.as_slice(), flags].concat());
        assert_eq!(summary(&check::rows(&run)), addresses, "{text} {flags:?}");
        let is_skipped = of_entry.is_empty() && settings.is_empty() && flags.is_empty();
        assert_eq!(run.stderr.contains(NOTICE), is_skipped, "{}", run.stderr);
    }
}

#[test]
#[ignore = "needs iproute2"]
fn error_states_that_the_machine_has_no_ipv6() {
    let check = |address: &str| {
        let resolve = format!("www.example.com:443:{address}");
        check_without_ipv6(&["www.example.com", "--resolve", &resolve])
    };
    for (address, kind, words) in [
        ("2001:db8::1", "connect_unreachable", "has no IPv6"),
        ("::1", "connect_unreachable", "has no IPv6"),
        // The address from which the others differ.
        ("127.0.0.1", "connect_refused", "nothing listens"),
    ] {
        let rows = check::rows(&check(address));
        assert_eq!(rows[0].ip(), address);
        assert_eq!(rows[0].outcome(), kind, "{rows:?}");
        assert_eq!(rows[0].text("/status"), "connect_error");
        assert!(rows[0].text("/error").contains(words), "{rows:?}");
        // The host has no other address, so its state is unknown.
        assert_eq!(rows[0].text("/severity"), "unknown", "{rows:?}");
    }
}
