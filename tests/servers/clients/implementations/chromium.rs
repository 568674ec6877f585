//! Headless Chromium, controlled with the DevTools protocol over a pipe.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{ACCEPTED, Job, one_line};
use crate::clients::record::pem;
use crate::clients::run::{output, run, text};

/// CERT_STATUS_COMMON_NAME_INVALID of net/cert/cert_status_flags_list.h.
const STATUS_COMMON_NAME_INVALID: u64 = 1;
const NET_LOG: &str = "netlog.json";
/// NSS trust flags of a trusted root.
const TRUST: &str = "C,,";

pub(crate) fn version() -> String {
    let text = run(Command::new("chromium").arg("--version"));
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}

pub(crate) fn ask(jobs: &[Job]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let unread = trust(jobs, home.path());
    let mut browser = Browser::start(home.path());
    let errors: Vec<String> = jobs.iter().map(|job| browser.open(job)).collect();
    drop(browser);
    let log = fs::read(home.path().join(NET_LOG)).unwrap();
    let reasons = reasons(&serde_json::from_slice(&log).unwrap());
    let answers = jobs.iter().zip(unread).zip(errors);
    answers
        .map(|((job, unread), error)| {
            let pem = pem(&job.served[..1]);
            match reasons.get(&pem) {
                Some(reason) if error != ACCEPTED && !reason.is_empty() => {
                    format!("{unread}{error} ({reason})")
                }
                _ => format!("{unread}{error}"),
            }
        })
        .collect()
}

/// Results of the verifier by the leaf's PEM: parse errors, then the errors of the best path with
/// the position of the certificate.
fn reasons(log: &Value) -> HashMap<String, String> {
    let number = |name: &str| log["constants"]["logEventTypes"][name].clone();
    let kinds = [
        "CERT_VERIFY_PROC_TARGET_CERT",
        "CERT_VERIFY_PROC_INPUT_CERT",
        "CERT_VERIFY_PROC_PATH_BUILT",
        "CERT_VERIFY_PROC_PATH_BUILD_ATTEMPT",
        "CERT_VERIFY_PROC",
    ]
    .map(number);
    let mut seen: HashMap<String, Verified> = HashMap::new();
    for event in log["events"].as_array().unwrap() {
        let verified = seen.entry(event["source"]["id"].to_string()).or_default();
        let params = &event["params"];
        let errors = flat(params["errors"].as_str().unwrap_or_default());
        match kinds.iter().position(|k| *k == event["type"]) {
            Some(0) => {
                params["certificate"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut verified.leaf);
                verified
                    .parsing
                    .extend(errors.map(|e| format!("leaf: {e}")));
            }
            Some(1) => verified
                .parsing
                .extend(errors.map(|e| format!("served: {e}"))),
            // The event at the start of a path has no errors.
            Some(2) if params["is_valid"].is_boolean() => {
                verified.paths.push(errors.unwrap_or_default());
            }
            Some(2) => {}
            Some(3) => match params["best_result_index"].as_u64() {
                Some(best) => {
                    verified.best = verified
                        .paths
                        .get(best as usize)
                        .cloned()
                        .unwrap_or_default();
                }
                // Another attempt starts.
                None => verified.paths.clear(),
            },
            Some(_) => {
                let status = params["cert_status"].as_u64().unwrap_or_default();
                verified.other_name |= status & STATUS_COMMON_NAME_INVALID != 0;
            }
            None => {}
        }
    }
    seen.into_values()
        .filter(|v| !v.leaf.is_empty())
        .map(|v| {
            let best = Some(v.best).filter(|b| !b.is_empty());
            let other_name = v.other_name.then(|| "name mismatch".to_owned());
            let all = v.parsing.into_iter().chain(best).chain(other_name);
            (v.leaf, all.collect::<Vec<_>>().join("; "))
        })
        .collect()
}

/// One run of the verifier.
#[derive(Default)]
struct Verified {
    leaf: String,
    parsing: Vec<String>,
    paths: Vec<String>,
    best: String,
    other_name: bool,
}

/// Errors of the log in one line, with the position of the certificate instead of its subject.
fn flat(errors: &str) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut position = String::new();
    for line in errors.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("----- Certificate ") {
            position = format!("{}: ", rest.split(' ').next().unwrap_or_default());
        } else if !line.is_empty() && !line.starts_with("WARNING: ") {
            parts.push(format!("{position}{}", line.trim_start_matches("ERROR: ")));
            position.clear();
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Adds the roots of all cases to an NSS database, and returns the errors of those that could not
/// be added.
fn trust(jobs: &[Job], home: &Path) -> Vec<String> {
    let folder = home.join(".pki/nssdb");
    fs::create_dir_all(&folder).unwrap();
    let database = format!("sql:{}", folder.display());
    let certutil = |arguments: &[&str]| {
        output(
            Command::new("certutil")
                .args(["-d", &database])
                .args(arguments)
                .current_dir(home),
        )
    };
    let made = certutil(&["-N", "--empty-password"]);
    assert!(made.status.success(), "{}", text(&made));
    let mut wanted = Vec::new();
    for (job, number) in jobs.iter().zip(0..) {
        for (root, position) in job.roots.iter().zip(0..) {
            let name = format!("root-{number}-{position}");
            fs::write(home.join(&name), pem(std::slice::from_ref(root))).unwrap();
            wanted.push((number, name));
        }
    }
    let mut unread = vec![String::new(); jobs.len()];
    // A batch ends at the first certificate that cannot be added.
    let mut rest = wanted.as_slice();
    while !rest.is_empty() {
        let line = |(_, name): &(usize, String)| format!("-A -t {TRUST} -n {name} -i {name}\n");
        fs::write(
            home.join("batch"),
            rest.iter().map(line).collect::<String>(),
        )
        .unwrap();
        let added = certutil(&["-B", "-i", "batch"]);
        if added.status.success() {
            break;
        }
        let listed = text(&certutil(&["-L"]));
        let known: HashSet<&str> = listed
            .lines()
            .filter_map(|l| l.split_whitespace().find(|w| w.starts_with("root-")))
            .collect();
        let failed = rest
            .iter()
            .position(|(_, name)| !known.contains(name.as_str()))
            .unwrap();
        let text = text(&added);
        let reason = one_line(text.trim().rsplit(": ").next().unwrap_or_default());
        unread[rest[failed].0].push_str(&format!("roots: {reason}; "));
        rest = &rest[failed + 1..];
    }
    unread
}

struct Browser {
    child: Child,
    requests: File,
    responses: BufReader<File>,
    session: String,
    frame: String,
    number: u64,
}

impl Browser {
    fn start(home: &Path) -> Self {
        let (requests, responses) = (home.join("requests"), home.join("responses"));
        run(Command::new("mkfifo").arg(&requests).arg(&responses));
        // The protocol's pipes are the descriptors 3 and 4.
        let script = "exec chromium --headless --no-sandbox --disable-gpu --no-first-run \
            --disable-background-networking --disable-component-update --disable-sync \
            --disable-extensions --disable-dev-shm-usage --remote-debugging-pipe \
            --host-resolver-rules='MAP * 127.0.0.1' --user-data-dir=profile --log-net-log=netlog.json about:blank \
            3<requests 4>responses";
        let child = Command::new("sh")
            .args(["-c", script])
            .current_dir(home)
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut browser = Self {
            child,
            requests: File::options().write(true).open(requests).unwrap(),
            responses: BufReader::new(File::open(responses).unwrap()),
            session: String::new(),
            frame: String::new(),
            number: 0,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = &target["targetId"];
        let session = browser.call(
            "Target.attachToTarget",
            json!({"targetId": target, "flatten": true}),
        );
        session["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        let tree = browser.call("Page.getFrameTree", json!({}));
        let frame = tree["frameTree"]["frame"]["id"].as_str().unwrap();
        frame.clone_into(&mut browser.frame);
        browser
    }

    /// Calls a method and returns its result; events in between are not needed.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut request = json!({"id": self.number, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.requests
            .write_all(request.to_string().as_bytes())
            .unwrap();
        self.requests.write_all(&[0]).unwrap();
        loop {
            let mut message = Vec::new();
            self.responses.read_until(0, &mut message).unwrap();
            assert_eq!(message.pop(), Some(0), "chromium has ended at {request}");
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == json!(self.number) {
                assert!(message["error"].is_null(), "{request}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn open(&mut self, job: &Job) -> String {
        let host = if job.host.contains(':') {
            format!("[{}]", job.host)
        } else {
            job.host.clone()
        };
        let url = format!("https://{host}:{}/", job.port);
        // A navigation would start a process for each error page.
        let options = json!({"disableCache": true, "includeCredentials": false});
        let params = json!({"frameId": self.frame, "url": url, "options": options});
        let result = self.call("Network.loadNetworkResource", params);
        let resource = &result["resource"];
        if resource["success"] == json!(true) {
            ACCEPTED.to_owned()
        } else {
            let name = resource["netErrorName"].as_str();
            name.map_or_else(|| resource.to_string(), str::to_owned)
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session.clear();
        self.number += 1;
        let close = json!({"id": self.number, "method": "Browser.close"}).to_string();
        let _ = self.requests.write_all(close.as_bytes());
        let _ = self.requests.write_all(&[0]);
        // Chromium exits when the pipe closes.
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut self.responses, &mut rest);
        let _ = self.child.wait();
    }
}
