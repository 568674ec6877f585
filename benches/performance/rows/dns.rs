//! Cost of resolving names.

use crate::measure::{Values, run};
use crate::peers::Peer;
use crate::roles::Role;
use crate::table::{Row, Target, short};
use crate::testbed::Testbed;

use super::ENDPOINTS;

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let knot = Peer::knot(testbed, ENDPOINTS);
    let words = [knot.address.to_string(), ENDPOINTS.to_string()];
    let words = words.each_ref().map(String::as_str);
    let [mut ratio, mut own, mut bare] = [const { Values::new() }; 3];
    for _ in 0..rounds {
        let questions = run(&mut Role::Questions.command(&words)).cpu;
        let names = run(&mut Role::Resolver.command(&words)).cpu;
        ratio.push(names / questions);
        own.push(names / ENDPOINTS as f64 * 1e6);
        bare.push(questions / ENDPOINTS as f64 * 1e6);
    }
    let (own, bare) = (short(own.median()), short(bare.median()));
    vec![Row {
        figure: format!("CPU of resolving {ENDPOINTS} names over a bare loop of UDP questions"),
        unit: "",
        target: Target::AtMost(2.0),
        values: ratio,
        detail: format!("{own} µs a name, A and AAAA; the loop {bare} µs"),
    }]
}
