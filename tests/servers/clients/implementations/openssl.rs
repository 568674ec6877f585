//! `openssl s_client`.

use std::process::Command;

use super::{ACCEPTED, Job, one_line};
use crate::clients::run::{bounded, output, run, text};

pub(crate) fn version() -> String {
    one_line(
        run(Command::new("openssl").arg("version"))
            .split('(')
            .next()
            .unwrap(),
    )
}

pub(crate) fn ask(job: &Job) -> String {
    let mut command = bounded("openssl");
    command
        .args([
            "s_client",
            "-brief",
            "-no-CApath",
            "-no-CAstore",
            "-verify_return_error",
        ])
        .arg("-connect")
        .arg(format!("127.0.0.1:{}", job.port));
    if job.roots.is_empty() {
        command.arg("-no-CAfile");
    } else {
        command.arg("-CAfile").arg(&job.roots_file);
    }
    if job.is_address() {
        command.args(["-noservername", "-verify_ip", &job.host]);
    } else {
        command.args(["-servername", &job.host, "-verify_hostname", &job.host]);
    }
    read(&text(&output(&mut command)))
}

/// The depth and the error that s_client reports, or the reason of a failed handshake.
fn read(text: &str) -> String {
    let mut depth = "";
    let mut reason = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("depth=") {
            depth = rest.split(' ').next().unwrap_or_default();
        } else if let Some(error) = line.strip_prefix("verify error:") {
            return one_line(&format!("depth={depth} {error}"));
        } else if line.starts_with("Verification: OK") {
            return ACCEPTED.to_owned();
        } else if line.contains(":error:") && reason.is_none() {
            // thread:error:code:library:function:reason:file:line:
            reason = line.split(':').nth(5).map(str::to_owned);
        }
    }
    reason.map_or_else(
        || format!("no answer: {}", one_line(text)),
        |r| format!("error: {r}"),
    )
}
