//! Runs programs until they exit.

use std::process::{Command, Output, Stdio};

/// Timeout of one connection of a client, in seconds.
pub(crate) const CLIENT_SECONDS: &str = "20";

/// Runs a program that must succeed, and returns its standard output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program without input.
pub(crate) fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"))
}

/// A command that `timeout` stops after [`CLIENT_SECONDS`].
pub(crate) fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([CLIENT_SECONDS, program]);
    command
}

/// Standard output and standard error, in this order.
pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}
