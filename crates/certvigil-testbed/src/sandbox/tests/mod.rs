//! Tests of a whole sandbox over HTTP, with a clock that only the test moves.

mod client;
mod conformance;
mod life;
mod properties;

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::account::Policy;
use super::{Credentials, HostTester, Sandbox, Settings, TestRequest};
use crate::judge::Judged;
use crate::model::Timestamp;

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const P256: &str = include_str!("../testdata/p256.csr");
pub(super) const SECOND: &str = include_str!("../testdata/second.csr");

/// Prober that resolves no name.
struct NoTester;

impl HostTester for NoTester {
    fn test(
        &self,
        _: TestRequest,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Vec<Judged>> + Send + '_>> {
        Box::pin(async { Vec::new() })
    }
}

/// Running sandbox with its database in a folder.
pub(super) struct World {
    runtime: Runtime,
    folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    policy: Policy,
    address: SocketAddr,
    server: Option<(Arc<Sandbox>, JoinHandle<()>)>,
}

/// Response of a sandbox.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert!(
            self.headers.contains("content-type: application/json\r\n"),
            "{self:?}"
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the object of a successful response.
    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Checks the error object.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, reason: &str, param: Option<&str>) {
        let error = self.json();
        let given = (
            self.status,
            error["reason"].as_str().unwrap(),
            error.get("param").map(|p| p.as_str().unwrap()),
        );
        assert_eq!(given, (status, reason, param), "{error}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()));
    }
}

impl World {
    /// Starts a sandbox that approves orders after ten seconds.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy {
            approval_delay: Some(10),
            ..Policy::new("http://sandbox.example".into())
        };
        change(&mut policy);
        let mut world = Self {
            runtime: Runtime::new().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(AtomicI64::new(NOW)),
            policy,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            server: None,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let clock = self.clock.clone();
        let settings = Settings {
            credentials: Credentials {
                api_key: "1_key".into(),
                username: "user".into(),
                password: "pass:word".into(),
            },
            policy: self.policy.clone(),
            scenario: None,
            state_dir: Some(PathBuf::from(self.folder.path())),
            authority: None,
            clock: Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))),
            logs_requests: true,
        };
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        self.address = listener.local_addr().unwrap();
        let sandbox = Sandbox::open(settings, |_| Ok::<_, String>(NoTester)).unwrap();
        let task = self.runtime.spawn(sandbox.clone().serve(listener));
        self.server = Some((sandbox, task));
    }

    /// Stops the sandbox and starts it with the same folder.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn stop(&mut self) {
        let Some((sandbox, task)) = self.server.take() else {
            return;
        };
        task.abort();
        let _ = self.runtime.block_on(task);
        // The tasks of the connections end with that of the server.
        let weak = Arc::downgrade(&sandbox);
        drop(sandbox);
        while weak.strong_count() > 0 {
            std::thread::yield_now();
        }
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.server.as_ref().unwrap().0
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Sends one request with these header lines.
    pub(super) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses the head may close before it reads the body.
        let _ = stream.write_all(body);
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let end = response.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let headers = String::from_utf8(response[..end].to_vec()).unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            headers: headers.to_lowercase(),
            body: response[end..].to_vec(),
        }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        let path = format!("/api/v2{path}");
        self.send("GET", &path, &authorization("1_key:"), b"")
    }

    pub(super) fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let headers =
            authorization("1_key:") + "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", &format!("/api/v2{path}"), &headers, body.as_bytes())
    }

    pub(super) fn post_json(&self, path: &str, body: &Value) -> Answer {
        let headers = authorization("1_key:") + "Content-Type: application/json\r\n";
        let body = body.to_string();
        self.send("POST", &format!("/api/v2{path}"), &headers, body.as_bytes())
    }

    /// Approves the pending instance of a certificate.
    pub(super) fn approve(&self, cn: &str) -> Answer {
        let path = format!("/sandbox/certs/{cn}/approve");
        self.send("POST", &path, &authorization("1_key:"), b"")
    }

    /// Creates `www.example.com` with approval by HTTP and these further arguments.
    #[track_caller]
    pub(super) fn create(&self, more: &[(&str, &str)]) -> Value {
        let mut form = vec![("csr", P256)];
        if !more.iter().any(|(name, _)| *name == "approval_method") {
            form.push(("approval_method", "http"));
        }
        form.extend(more);
        self.post("/certs/www.example.com", &form).ok()
    }

    /// Creates `www.example.com`, buys an instance and approves it. Returns the active instance.
    #[track_caller]
    pub(super) fn issue(&self) -> Value {
        self.create(&[]);
        self.post("/certs/www.example.com/buy", &[]).ok();
        self.approve("www.example.com").ok()
    }

    #[track_caller]
    pub(super) fn certificate(&self) -> Value {
        let path = "/certs/www.example.com?expand=current&expand=pending";
        self.get(path).ok()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) fn authorization(user: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(user))
}

/// Returns the names of the attributes of an object.
pub(super) fn keys(value: &Value) -> Vec<&str> {
    let object: Option<&Map<String, Value>> = value.as_object();
    object.unwrap().keys().map(String::as_str).collect()
}
