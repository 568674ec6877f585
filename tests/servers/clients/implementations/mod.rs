//! The clients and their input.

use std::path::PathBuf;

pub(crate) mod chromium;
pub(crate) mod gnutls;
pub(crate) mod go;
pub(crate) mod java;
pub(crate) mod openssl;
pub(crate) mod rustls;

/// Recorded answer of a client that accepts the chain.
pub(crate) const ACCEPTED: &str = "ok";

/// One case that is being served.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) served: Vec<Vec<u8>>,
    pub(crate) roots: Vec<Vec<u8>>,
    /// The roots as a PEM file.
    pub(crate) roots_file: PathBuf,
}

impl Job {
    pub(crate) fn is_address(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok()
    }

    /// A line for the programs that read all cases from standard input.
    fn line(&self) -> String {
        let file = self.roots_file.display();
        format!("{}\t{}\t{}\t{file}\n", self.id, self.host, self.port)
    }
}

/// The text in one line, with single spaces.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Passes all cases to a program, and returns its answers in the same order.
fn answers(mut command: std::process::Command, jobs: &[Job]) -> Vec<String> {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::process::Stdio;

    let mut input = tempfile::tempfile().unwrap();
    for job in jobs {
        input.write_all(job.line().as_bytes()).unwrap();
    }
    std::io::Seek::rewind(&mut input).unwrap();
    let output = command
        .stdin(input)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: HashMap<&str, &str> = text.lines().filter_map(|l| l.split_once('\t')).collect();
    jobs.iter()
        .map(|job| {
            let answer = found.get(job.id.as_str());
            one_line(answer.unwrap_or_else(|| panic!("{command:?}: no answer to {}", job.id)))
        })
        .collect()
}
