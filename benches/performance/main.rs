//! Cost of probes, compared with other programs and with the cryptography itself. `make bench` runs
//! it.
//!
//! Every figure is measured on a process itself (user and system time, memory). If possible, it is
//! a ratio to another process in the same run: the two alternate for several rounds, and the median
//! counts. `BENCH=check,dns` selects measurements, `BENCH_ROUNDS` (5) is the number of rounds, and
//! `BENCH_BINARY` is the path of another certvigil build than the one just built. A run without any
//! of these variables writes its table into `docs/performance.md`; others print it. The argument
//! `scale` runs the measurement of `make bench-scale` instead: see [`scale`].

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock, prints, and may panic"
)]

#[path = "../common/mod.rs"]
mod common;
mod machine;
mod measure;
mod peers;
mod roles;
mod rows;
mod scale;
mod table;
mod testbed;

use std::fs;
use std::path::Path;

use crate::roles::Role;
use crate::testbed::Testbed;

/// The document with the table, and the markers before and after it.
const DOCUMENT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by `make bench` -->\n";
const END: &str = "<!-- end of what `make bench` writes -->\n";

/// Packages that `make bench` compares with, whose versions are reported.
const PACKAGES: [&str; 3] = ["nginx", "prometheus-blackbox-exporter", "knot"];
/// Rounds of a run that is written into the document.
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if Role::play(&arguments).is_some() {
        return;
    }
    if arguments.iter().any(|argument| argument == "scale") {
        return scale::run();
    }
    let rounds = std::env::var("BENCH_ROUNDS").map_or(ROUNDS, |text| {
        text.parse().expect("BENCH_ROUNDS is a number")
    });
    let wanted = std::env::var("BENCH").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    for name in &wanted {
        let names = rows::ALL.map(|(name, _)| name);
        assert!(names.contains(name), "BENCH={name}: there is {names:?}");
    }
    let testbed = Testbed::new();
    let mut all = Vec::new();
    for (name, measure) in rows::ALL {
        if wanted.is_empty() || wanted.contains(&name) {
            eprintln!("measuring: {name}");
            all.extend(measure(&testbed, rounds));
        }
    }
    let table = table::markdown(&all);
    println!("{table}");
    if wanted.is_empty() && rounds == ROUNDS && is_this_build() {
        let text = format!("{}\n{table}", machine::describe(&PACKAGES));
        write_into(DOCUMENT, BEGIN, END, &text);
    } else {
        println!("{NOT_WRITTEN}{DOCUMENT}");
    }
}

/// Message of a run that is not written into the document.
const NOT_WRITTEN: &str = "printed only: it takes a whole run of what was just built to write ";

/// Returns true if the measured program is the one just built.
fn is_this_build() -> bool {
    std::env::var_os("BENCH_BINARY").is_none()
}

/// Replaces the text between the markers of a document.
fn write_into(document: &str, begin: &str, end: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let before = fs::read_to_string(&file).unwrap();
    let (head, rest) = before.split_once(begin).expect(begin);
    let (_, tail) = rest.split_once(end).expect(end);
    fs::write(&file, format!("{head}{begin}\n{text}\n{end}{tail}")).unwrap();
    println!("written to {document}");
}
