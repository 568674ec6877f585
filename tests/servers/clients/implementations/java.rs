//! Java's PKIX trust manager, with a program that reads all cases.

use std::path::Path;
use std::process::Command;

use super::{Job, answers, one_line};
use crate::clients::run::run;

fn program() -> Command {
    let mut command = Command::new("java");
    // The answers must not depend on the user's language and time zone.
    command.args([
        "-Duser.language=en",
        "-Duser.country=US",
        "-Duser.timezone=UTC",
    ]);
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/servers/clients/implementations/Verify.java"),
    );
    command
}

pub(crate) fn version() -> String {
    format!("Java {}", one_line(&run(program().arg("version"))))
}

pub(crate) fn ask(jobs: &[Job]) -> Vec<String> {
    answers(program(), jobs)
        .into_iter()
        .map(|answer| without_time(&answer))
        .collect()
}

/// An answer without the timestamps of this run.
fn without_time(answer: &str) -> String {
    let end = ["NotAfter: ", "NotBefore: "]
        .iter()
        .find_map(|mark| answer.find(mark).map(|at| at + mark.len() - 2));
    end.map_or_else(|| answer.to_owned(), |end| answer[..end].to_owned())
}
