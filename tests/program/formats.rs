//! `--format`: each format for a real check, by exit code, and written to a file.

use crate::common::example::{Bench, RIGHT, WRONG};
use crate::support::certvigil;
use std::fs;

/// The leaf has 50 of 90 days left.
const WARN: [&str; 4] = ["--warn", "80d", "--crit", "1d"];

#[test]
fn output_file_equals_stdout_in_each_format() {
    let bench = Bench::new();
    for format in ["jsonl", "junit", "github", "nagios", "prometheus"] {
        let run = bench.check(WRONG, &["--format", format]);
        assert_eq!((run.code, run.stderr.as_str()), (2, ""), "{format}");
        assert!(run.stdout.contains("previous_instance"), "{run:?}");
        assert!(!run.stdout.contains('\u{1b}'), "{format}");
        let to_file = bench.check(WRONG, &["--format", format, "--output", "result"]);
        assert_eq!((to_file.code, to_file.stdout.as_str()), (2, ""), "{format}");
        let written = fs::read_to_string(bench.folder.path().join("result")).unwrap();
        // Durations differ between runs.
        let digits_apart = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        assert_eq!(digits_apart(&written), digits_apart(&run.stdout));
    }
}

#[test]
fn nagios_state_matches_the_exit_code() {
    let bench = Bench::new();
    let nagios = ["--format", "nagios"];
    let warn = [&nagios[..], &WARN].concat();
    for (expected, flags, word, code) in [
        (RIGHT, nagios.to_vec(), "OK", 0),
        (WRONG, nagios.to_vec(), "CRITICAL", 2),
        (RIGHT, warn.clone(), "WARNING", 1),
        (
            RIGHT,
            [&warn[..], &["--fail-on", "critical"]].concat(),
            "OK",
            0,
        ),
        (
            WRONG,
            [&nagios[..], &["--fail-on", "never"]].concat(),
            "OK",
            0,
        ),
        (RIGHT, [&nagios[..], &["-6"]].concat(), "UNKNOWN", 3),
        ("missing.pem", nagios.to_vec(), "UNKNOWN", 3),
        (
            "missing.pem",
            [&nagios[..], &["--fail-on", "never"]].concat(),
            "OK",
            0,
        ),
    ] {
        let run = bench.check(expected, &flags);
        assert_eq!(run.code, code, "{flags:?}: {run:?}");
        let start = format!("CERTVIGIL {word} - ");
        assert!(run.stdout.starts_with(&start), "{flags:?}: {run:?}");
    }
    // In days, of a lifetime of 90.
    let run = bench.check(RIGHT, &warn);
    assert!(run.stdout.contains(";80.00:;1.00:"), "{run:?}");
    assert!(run.stdout.contains(" 'handshake'=0."), "{run:?}");
}

#[test]
fn junit_case_fails_on_a_warning_only_if_the_run_fails() {
    let bench = Bench::new();
    let junit = [&["--format", "junit"][..], &WARN].concat();
    let run = bench.check(RIGHT, &junit);
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("<failure type=\"expiring\""),
        "{}",
        run.stdout
    );
    let run = bench.check(RIGHT, &[&junit[..], &["--fail-on", "critical"]].concat());
    assert_eq!(run.code, 0);
    assert!(
        run.stdout.contains("<system-out>warning: expiring: "),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("<failure"), "{}", run.stdout);
}

#[test]
fn error_without_a_result_leaves_stdout_empty() {
    for format in ["jsonl", "junit", "github", "prometheus"] {
        let run = certvigil(["check", "--format", format, "--cert", "missing.pem"]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{format}");
        assert!(run.stderr.starts_with("error: missing.pem: "), "{run:?}");
    }
}
