//! Growth of the cost with ten times as many endpoints.

use std::fs;

use crate::measure::{Values, run};
use crate::peers::certvigil;
use crate::table::{Row, Target, short};
use crate::testbed::{Testbed, inventory};

use super::{RESULT, assert_all_ok};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let server = testbed.serve();
    let [mut time, mut memory] = [const { Values::new() }; 2];
    let [mut seconds, mut bytes] = [const { [const { Values::new() }; 3] }; 2];
    // Each round has many probes.
    for _ in 0..rounds.div_ceil(2) {
        let usages = SIZES.map(|count| {
            let defaults = format!("port: {}", server.port);
            let text = inventory("", &defaults, &format!("sha256: {}", testbed.leaf), count);
            fs::write(testbed.path("growth.yml"), text).unwrap();
            let mut command = certvigil(testbed);
            command.args(["check", "--config", "growth.yml"]);
            command.args(["--format", "jsonl", "--output", RESULT]);
            let usage = run(&mut command);
            assert_all_ok(testbed, count);
            usage
        });
        let [small, middle, large] = usages;
        let more = |of: fn(crate::measure::Usage) -> f64| {
            let [first, second, third] = SIZES.map(|count| count as f64);
            (of(large) - of(middle))
                / (third - second)
                / ((of(middle) - of(small)) / (second - first))
        };
        time.push(more(|usage| usage.cpu));
        memory.push(more(|usage| usage.peak));
        for (at, usage) in usages.iter().enumerate() {
            seconds.get_mut(at).unwrap().push(usage.cpu);
            bytes
                .get_mut(at)
                .unwrap()
                .push(usage.peak / f64::from(1 << 20));
        }
    }
    let told = |values: &[Values], unit: &str| {
        let each = SIZES.iter().zip(values);
        let each = each.map(|(count, v)| format!("{count}: {} {unit}", short(v.median())));
        each.collect::<Vec<_>>().join(", ")
    };
    vec![
        Row {
            figure: "CPU of one more endpoint, from 10000 to 100000 over from 1000 to 10000".into(),
            unit: "",
            target: Target::AtMost(1.1),
            values: time,
            detail: told(&seconds, "s"),
        },
        Row {
            figure: "the same of memory".into(),
            unit: "",
            target: Target::AtMost(1.1),
            values: memory,
            detail: told(&bytes, "MiB"),
        },
    ]
}
