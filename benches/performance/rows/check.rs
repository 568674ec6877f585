//! Cost of a probe by `check`, including that of reading the configuration file.

use std::fs;

use crate::measure::{Values, cpu, run};
use crate::peers::{Peer, certvigil};
use crate::roles::{MAX_CONCURRENT_PROBES, Role};
use crate::table::{Row, Target, short};
use crate::testbed::{Testbed, inventory};

use super::{ENDPOINTS, PROBES, RESULT, ask_for_probes, assert_all_ok};

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let nginx = Peer::nginx(testbed);
    let blackbox = Peer::blackbox(testbed);
    let port = nginx.address.port();
    let root = testbed.path("root.pem").display().to_string();
    let words = [
        port.to_string(),
        ENDPOINTS.to_string(),
        MAX_CONCURRENT_PROBES.to_string(),
    ];
    let loop_words: [&str; 4] = [&words[0], &words[1], &words[2], &root];

    let defaults = format!("port: {port}");
    let text = inventory(
        "",
        &defaults,
        &format!("sha256: {}", testbed.leaf),
        ENDPOINTS,
    );
    fs::write(testbed.path("check.yml"), text).unwrap();
    let check = || {
        let mut command = certvigil(testbed);
        command.args(["check", "--config", "check.yml"]);
        command.args(["--format", "jsonl", "--output", RESULT]);
        command
    };
    let each = ENDPOINTS as f64;
    let [mut bare, mut alike, mut library, mut own, mut other] = [const { Values::new() }; 5];
    let [
        mut over_bare,
        mut over_alike,
        mut over_library,
        mut over_other,
        mut throughput,
    ] = [const { Values::new() }; 5];
    for _ in 0..rounds {
        let handshakes = run(&mut Role::Handshakes.command(&loop_words));
        let checks = run(&mut check());
        assert_all_ok(testbed, ENDPOINTS);
        let same_offers = run(&mut Role::SameOffers.command(&loop_words));
        let paths = run(&mut Role::Library.command(&loop_words));
        let before = cpu(&blackbox.child);
        ask_for_probes(blackbox.address, |number| {
            let ip = crate::common::address(number);
            format!("/probe?module=tls&target={ip}:{port}")
        });
        let probe = (cpu(&blackbox.child) - before) / PROBES as f64;
        let own_probe = checks.cpu / each;
        bare.push(handshakes.cpu / each * 1e6);
        alike.push(same_offers.cpu / each * 1e6);
        library.push(paths.cpu / each * 1e6);
        own.push(own_probe * 1e6);
        other.push(probe * 1e6);
        over_bare.push(checks.cpu / handshakes.cpu);
        over_alike.push(checks.cpu / same_offers.cpu);
        over_library.push(checks.cpu / paths.cpu);
        over_other.push(own_probe / probe);
        throughput.push(handshakes.wall / checks.wall);
    }
    let against = |peer: &str, values: &Values| {
        let (own, peer_cost) = (short(own.median()), short(values.median()));
        format!("{own} µs an endpoint; {peer} {peer_cost} µs")
    };
    vec![
        Row {
            figure: format!(
                "CPU of `check --config` of {ENDPOINTS} entries, reading the file included, over the bare loop's"
            ),
            unit: "",
            target: Target::AtMost(1.0),
            values: over_bare,
            detail: against("the loop", &bare),
        },
        Row {
            figure: "the same over the bare loop with the suites and groups of `check`".into(),
            unit: "",
            target: Target::AtMost(1.15),
            values: over_alike,
            detail: against("the loop", &alike),
        },
        Row {
            figure: "the same over a loop with tokio-rustls' defaults".into(),
            unit: "",
            target: Target::None,
            values: over_library,
            detail: against("the loop", &library),
        },
        Row {
            figure: "the same over blackbox_exporter's of a probe".into(),
            unit: "",
            target: Target::AtMost(0.22),
            values: over_other,
            detail: against("a probe", &other),
        },
        Row {
            figure: "endpoints a second of `check` over the bare loop's".into(),
            unit: "",
            target: Target::AtLeast(1.0),
            values: throughput,
            detail: "nginx has its share of the same cores".into(),
        },
    ]
}
