//! Cost of a `/probe` request.

use crate::common::address;
use crate::measure::{Values, cpu};
use crate::peers::Peer;
use crate::table::{Row, Target, short};
use crate::testbed::{DOMAIN, Testbed};

use super::{PROBES, ask_for_probes};

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let nginx = Peer::nginx(testbed);
    let blackbox = Peer::blackbox(testbed);
    let port = nginx.address.port();
    let monitor = Peer::monitor(
        testbed,
        &format!(
            "probe: {{allow: [127.0.0.0/8]}}\ntrust: {{system: false, ca_files: root.pem}}\n\
             certificates:\n- {{name: one, pem: chain.pem, hostnames: h.{DOMAIN}, addresses: [127.0.0.1], port: {port}}}\n"
        ),
    );
    let [mut ratio, mut own, mut other] = [const { Values::new() }; 3];
    for _ in 0..rounds {
        let of = |peer: &Peer, path: &(dyn Fn(usize) -> String + Sync)| {
            let before = cpu(&peer.child);
            ask_for_probes(peer.address, path);
            (cpu(&peer.child) - before) / PROBES as f64 * 1e6
        };
        let theirs = of(&blackbox, &|number| {
            format!("/probe?module=tls&target={}:{port}", address(number))
        });
        let ours = of(&monitor, &|number| {
            let ip = address(number);
            format!("/probe?hostname=h.{DOMAIN}&target={ip}:{port}")
        });
        ratio.push(ours / theirs);
        own.push(ours);
        other.push(theirs);
    }
    let (own, other) = (short(own.median()), short(other.median()));
    vec![Row {
        figure: "CPU of `serve` for a `/probe` over blackbox_exporter's".into(),
        unit: "",
        target: Target::AtMost(0.4),
        values: ratio,
        detail: format!("{own} µs; blackbox_exporter {other} µs"),
    }]
}
