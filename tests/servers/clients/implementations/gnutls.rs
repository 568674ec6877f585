//! `gnutls-cli`.

use std::process::Command;

use super::{ACCEPTED, Job, one_line};
use crate::clients::run::{bounded, output, run, text};

pub(crate) fn version() -> String {
    let text = run(Command::new("gnutls-cli").arg("--version"));
    format!(
        "GnuTLS {}",
        one_line(
            text.lines()
                .next()
                .unwrap()
                .trim_start_matches("gnutls-cli ")
        )
    )
}

pub(crate) fn ask(job: &Job) -> String {
    let mut command = bounded("gnutls-cli");
    command
        .arg("--no-ocsp")
        .arg("--x509cafile")
        .arg(&job.roots_file)
        .args([
            "--verify-hostname",
            &job.host,
            "--port",
            &job.port.to_string(),
        ]);
    if job.is_address() {
        command.arg("--disable-sni");
    } else {
        command.args(["--sni-hostname", &job.host]);
    }
    command.arg("127.0.0.1");
    read(&text(&output(&mut command)), job.roots.len())
}

fn read(text: &str, roots: usize) -> String {
    let mut loaded = String::new();
    let mut fatal = None;
    let mut status = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Processed ") {
            let count = rest.split(' ').next().unwrap_or_default();
            if count != roots.to_string() {
                loaded = format!("roots: {count} of {roots} loaded; ");
            }
        } else if let Some(rest) = line.strip_prefix("- Status: ") {
            status = Some(rest.to_owned());
        } else if let Some(rest) = line.strip_prefix("*** Fatal error: ") {
            fatal.get_or_insert_with(|| rest.to_owned());
        } else if let Some(rest) = line.strip_prefix("Error setting the x509 trust file: ") {
            return format!("roots: {rest}");
        }
    }
    let answer = match (status, fatal) {
        (Some(status), _) if status.contains("is trusted") => {
            return if loaded.is_empty() {
                ACCEPTED.to_owned()
            } else {
                format!("{loaded}{ACCEPTED}")
            };
        }
        (Some(status), _) => status,
        (None, Some(fatal)) => format!("fatal: {fatal}"),
        (None, None) => format!("no answer: {text}"),
    };
    one_line(&format!("{loaded}{answer}"))
}
