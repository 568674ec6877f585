//! Go's crypto/tls, with a program that reads all cases.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Job, answers, one_line};
use crate::clients::run::run;

fn program(folder: &Path) -> PathBuf {
    let binary = folder.join("go-client");
    if !binary.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/servers/clients/implementations/main.go");
        run(Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg(source)
            .env("GOFLAGS", "-mod=mod")
            .env(
                "GOCACHE",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
            ));
    }
    binary
}

pub(crate) fn version(folder: &Path) -> String {
    let text = run(Command::new(program(folder)).arg("version"));
    format!("Go {}", one_line(text.trim_start_matches("go")))
}

pub(crate) fn ask(jobs: &[Job], folder: &Path) -> Vec<String> {
    answers(Command::new(program(folder)), jobs)
        .into_iter()
        .map(|answer| without_time(&answer))
        .collect()
}

/// An answer without the timestamps of this run.
fn without_time(answer: &str) -> String {
    let Some((before, rest)) = answer.split_once(": current time ") else {
        return answer.to_owned();
    };
    let word = if rest.contains(" is after ") {
        "expired"
    } else {
        "not yet valid"
    };
    format!("{before} ({word})")
}
