//! `--format prometheus`, checked by promtool.

use crate::common::example::{Bench, RIGHT, WRONG};
use std::fs;
use std::process::{Command, Stdio};

#[test]
#[ignore = "needs prometheus"]
fn promtool_accepts_the_textfile_output() {
    let bench = Bench::new();
    for expected in [RIGHT, WRONG] {
        let run = bench.check(expected, &["--format", "prometheus"]);
        let file = bench.folder.path().join("certvigil.prom");
        fs::write(&file, &run.stdout).unwrap();
        let output = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::from(fs::File::open(&file).unwrap()))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(String::from_utf8_lossy(&said), "");
        assert!(output.status.success());
    }
}
