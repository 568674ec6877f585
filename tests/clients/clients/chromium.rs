//! Chromium without a window, driven by the DevTools protocol over a pipe.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{ACCEPTED, Job, one_line};
use crate::record::pem;
use crate::run::{output, run, text};

pub(crate) fn version() -> String {
    let text = run(Command::new("chromium").arg("--version"));
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}

pub(crate) fn ask(jobs: &[Job]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let unread = trust(jobs, home.path());
    let mut browser = Browser::start(home.path());
    jobs.iter()
        .zip(unread)
        .map(|(job, unread)| format!("{unread}{}", browser.open(job)))
        .collect()
}

/// Puts the roots of all cases into an NSS database, and returns what could not be added.
fn trust(jobs: &[Job], home: &Path) -> Vec<String> {
    let folder = home.join(".pki/nssdb");
    fs::create_dir_all(&folder).unwrap();
    let database = format!("sql:{}", folder.display());
    run(Command::new("certutil").args(["-d", &database, "-N", "--empty-password"]));
    let file = home.join("root.pem");
    let mut unread = Vec::new();
    for job in jobs {
        let mut failed = String::new();
        for (number, root) in job.roots.iter().enumerate() {
            fs::write(&file, pem(std::slice::from_ref(root))).unwrap();
            let name = format!("{} {number}", job.id);
            let added = output(
                Command::new("certutil")
                    .args(["-d", &database, "-A", "-t", "CP,,", "-n", &name, "-i"])
                    .arg(&file),
            );
            if !added.status.success() {
                let text = text(&added);
                let reason = text.rsplit(": ").next().unwrap_or_default();
                failed.push_str(&format!("roots: {}; ", one_line(reason)));
            }
        }
        unread.push(failed);
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
            --host-resolver-rules='MAP * 127.0.0.1' --user-data-dir=profile about:blank \
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
        session["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
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
        self.requests.write_all(request.to_string().as_bytes()).unwrap();
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
        // Ends with the pipe, also where it did not understand.
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut self.responses, &mut rest);
        let _ = self.child.wait();
    }
}
