//! `certvigil sandbox`, used with curl.

use crate::fixture::process::signal;
use crate::support::assert_one_line;
use crate::support::{Run, command};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const CSR: &str = include_str!("../../crates/certvigil-testbed/src/sandbox/testdata/p256.csr");

struct Sandbox {
    child: Child,
    /// URL without a path.
    origin: String,
}

impl Sandbox {
    fn start(state: &Path, args: &[&str]) -> Self {
        let mut command = command();
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--state-dir"]);
        command.arg(state).args(args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let endpoint = first.strip_prefix("API endpoint: ").unwrap();
        let origin = endpoint.strip_suffix("/api/v2").unwrap().to_owned();
        let rest: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
        let root = format!("Root certificate: {origin}/ca.pem");
        assert_eq!(rest[1..], ["User name: ann".to_owned(), root]);
        Self { child, origin }
    }

    /// Sends a request with curl.
    fn curl(&self, path: &str, args: &[&str]) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--user", "ann:secret"])
            .args(args)
            .arg(format!("{}{path}", self.origin))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, path: &str, args: &[&str]) -> Value {
        serde_json::from_str(&self.curl(path, args)).unwrap()
    }

    fn end(mut self, name: &str) -> Option<i32> {
        signal(&self.child, name);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ARGS: [&str; 4] = ["--user", "ann:secret", "--approval-delay", "0"];

#[test]
#[ignore = "needs curl"]
fn the_account_survives_every_end() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let path = "/api/v2/certs/www.example.com";
    let expanded = format!("{path}?expand=current.crt&expand=current.chain");
    let mut before = None;
    for ending in ["KILL", "TERM", "INT"] {
        let sandbox = Sandbox::start(&state, &ARGS);
        let object = match &before {
            None => {
                let csr = format!("csr={CSR}");
                let form = ["--data-urlencode", &csr, "--data", "approval_method=http"];
                assert_eq!(sandbox.json(path, &form)["exists"], true);
                let bought = sandbox.json(&format!("{path}/buy"), &["--request", "POST"]);
                assert_eq!(bought["state"], "pending");
                sandbox.json(&expanded, &[])
            }
            Some(_) => sandbox.json(&expanded, &[]),
        };
        assert_eq!(object["current"]["id"], 1);
        let root = std::fs::read_to_string(state.join("ca.pem")).unwrap();
        assert_eq!(sandbox.curl("/ca.pem", &[]), root);
        let now = (object["current"].clone(), root);
        assert_eq!(before.get_or_insert_with(|| now.clone()), &now);

        // A second sandbox must not write to the same folder.
        let mut second = command();
        second.args(["sandbox", "--listen", "127.0.0.1:0", "--state-dir"]);
        let second: Run = second.arg(&state).output().unwrap().into();
        assert_eq!(second.code, 3);
        assert_one_line(
            &second,
            &["another sandbox uses this folder", "--state-dir"],
            &"second",
        );

        let code = sandbox.end(ending);
        assert_eq!(code, (ending != "KILL").then_some(0), "{ending}");
    }
}

#[test]
#[ignore = "needs curl"]
fn a_scenario_fills_only_a_new_account() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("scenario.yml");
    let text = "certificates:\n  - {cn: www.example.com, key: www.key}\n";
    std::fs::write(&scenario, text).unwrap();
    let mut args = ARGS.to_vec();
    args.extend(["--scenario", scenario.to_str().unwrap()]);
    let state = folder.path().join("state");
    for _ in 0..2 {
        let sandbox = Sandbox::start(&state, &args);
        let object = sandbox.json("/api/v2/certs?expand=current", &[]);
        assert_eq!(object["data"].as_array().unwrap().len(), 1);
        assert_eq!(object["data"][0]["current"]["id"], 1);
        sandbox.end("TERM");
    }
    let key = std::fs::read_to_string(folder.path().join("www.key")).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
}
