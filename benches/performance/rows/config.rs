//! Cost of reading a configuration file.

use std::fs;
use std::process::Stdio;

use crate::measure::{Values, run_any};
use crate::peers::certvigil;
use crate::table::{Row, Target};
use crate::testbed::{Testbed, inventory};

/// Exit code for an error in the configuration.
const USAGE_ERROR: i32 = 3;
/// Entries of the large file.
const ENTRIES: usize = 30_000;

pub(super) fn rows(testbed: &Testbed, rounds: usize) -> Vec<Row> {
    let [mut time, mut memory] = [const { Values::new() }; 2];
    for _ in 0..rounds {
        let [none, all] = [0, ENTRIES].map(|count| {
            let expected = format!("sha256: {}", testbed.leaf);
            // The error in the last line ends the run when the whole file has been read.
            let text = inventory("", "port: 443", &expected, count) + "- {}\n";
            fs::write(testbed.path("config.yml"), text).unwrap();
            let mut command = certvigil(testbed);
            command.args(["check", "--config", "config.yml"]);
            let (usage, status) = run_any(command.stderr(Stdio::null()));
            assert_eq!(status.code(), Some(USAGE_ERROR));
            usage
        });
        let each = ENTRIES as f64;
        time.push((all.cpu - none.cpu) / each * 1e6);
        memory.push((all.peak - none.peak) / each / 1024.0);
    }
    vec![
        Row {
            figure: format!("CPU of reading a configuration of {ENTRIES} entries, an entry"),
            unit: " µs",
            target: Target::AtMost(6.0),
            values: time,
            detail: "the difference to a file without entries".into(),
        },
        Row {
            figure: "the same of memory".into(),
            unit: " KiB",
            target: Target::AtMost(1.2),
            values: memory,
            detail: String::new(),
        },
    ]
}
