//! Measured programs, and the servers that they probe, each in a process that ends when it is
//! dropped.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, address, listening, wait_until};
use crate::measure;
use crate::testbed::{DOMAIN, Testbed};

/// Maximum time until a program exits after it was asked to.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server program.
pub(crate) struct Peer {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Starts a program that listens at the address.
    fn start(command: &mut Command, address: SocketAddr, log: &Path) -> Self {
        command
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap());
        let mut peer = Self {
            child: measure::spawn(command),
            address,
        };
        wait_until("a server that listens", || {
            let ended = peer.child.try_wait().unwrap();
            let told = || fs::read_to_string(log).unwrap_or_default();
            assert!(ended.is_none(), "{command:?}: {}", told());
            TcpStream::connect(address).ok()
        });
        peer
    }

    /// Starts nginx with the testbed's certificate at every loopback address, with TLS 1.3 only and
    /// without resumption.
    pub(crate) fn nginx(testbed: &Testbed) -> Self {
        let port = free_port();
        let config = format!(
            "daemon off; pid nginx.pid; error_log error.log error; worker_processes 2;
             events {{ worker_connections 8192; }}
             http {{
                 access_log off;
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                 server {{
                     listen 0.0.0.0:{port} ssl backlog=4096;
                     ssl_certificate chain.pem; ssl_certificate_key key.pem;
                     ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
                 }}
             }}"
        );
        let file = testbed.path("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("nginx");
        command
            .args(["-e", "error.log", "-p"])
            .arg(testbed.folder());
        command.arg("-c").arg(file).current_dir(testbed.folder());
        Self::start(&mut command, loopback(port), &testbed.path("nginx.log"))
    }

    /// Starts blackbox_exporter with a module that verifies the testbed's certificate.
    pub(crate) fn blackbox(testbed: &Testbed) -> Self {
        let port = free_port();
        let config = format!(
            "modules: {{tls: {{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4, tls: true, \
             tls_config: {{ca_file: {}, server_name: h.{DOMAIN}}}}}}}}}\n",
            testbed.path("root.pem").display()
        );
        let file = testbed.path("blackbox.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("prometheus-blackbox-exporter");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self::start(&mut command, loopback(port), &testbed.path("blackbox.log"))
    }

    /// Starts Knot DNS with an A and an AAAA record for each of `names` names.
    pub(crate) fn knot(testbed: &Testbed, names: usize) -> Self {
        let port = free_port();
        let folder = testbed.folder().display();
        let config = format!(
            "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 2\n\
             database:\n    storage: {folder}\n\
             zone:\n  - domain: {DOMAIN}\n    file: {folder}/zone\n    zonefile-sync: -1\n    journal-content: none\n"
        );
        let mut zone = format!(
            "$ORIGIN {DOMAIN}.\n$TTL 3600\n@ SOA ns admin 1 3600 600 86400 600\n@ NS ns\nns A 127.0.0.1\n"
        );
        for number in 0..names {
            let ip = address(number);
            writeln!(zone, "h{number} A {ip}\nh{number} AAAA fd00::{number:x}").unwrap();
        }
        fs::write(testbed.path("zone"), zone).unwrap();
        fs::write(testbed.path("knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(testbed.path("knot.conf"));
        Self::start(&mut command, loopback(port), &testbed.path("knot.log"))
    }

    /// Starts the monitor with a configuration.
    pub(crate) fn monitor(testbed: &Testbed, configuration: &str) -> Self {
        fs::write(testbed.path("certvigil.yml"), configuration).unwrap();
        Self::replica(testbed, loopback(0))
    }

    /// Starts the monitor at an address, with the existing configuration.
    pub(crate) fn replica(testbed: &Testbed, listen: SocketAddr) -> Self {
        let log = testbed.path(&format!("monitor-{listen}.log"));
        let mut command = certvigil(testbed);
        command
            .args(["serve", "--config", "certvigil.yml"])
            .args(["--web.listen-address", &listen.to_string()])
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let mut child = measure::spawn(&mut command);
        let address = listening(&mut child, &log);
        Self { child, address }
    }

    /// Starts Prometheus with the file `prometheus.yml` and a lookback of this many seconds.
    pub(crate) fn prometheus(testbed: &Testbed, lookback: u64) -> Self {
        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .current_dir(testbed.folder())
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=prometheus")
            .arg(format!("--query.lookback-delta={lookback}s"))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self::start(
            &mut command,
            loopback(port),
            &testbed.path("prometheus.log"),
        )
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The standard library can only kill, and nginx must stop its child processes.
        let kill = format!("kill -TERM {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < EXIT_TIMEOUT {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, or the build at the path in `BENCH_BINARY`, in the testbed's folder and without the
/// user's environment.
pub(crate) fn certvigil(testbed: &Testbed) -> Command {
    let built = env!("CARGO_BIN_EXE_certvigil").to_owned();
    let mut command = Command::new(std::env::var("BENCH_BINARY").unwrap_or(built));
    command
        .env_clear()
        .env("HOME", testbed.folder())
        .current_dir(testbed.folder());
    command
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

pub(crate) fn free_port() -> u16 {
    wait_until("a free port", || {
        let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).ok()?;
        Some(port)
    })
}

/// A persistent connection to an HTTP server, as Prometheus uses it.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Returns the status line and the unmodified body of the response to a request without a body.
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> (String, Vec<u8>) {
        // In one packet: the server of bytes responds to each read.
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n");
        self.0.write_all(request.as_bytes()).unwrap();
        let mut read = vec![0; 1 << 16];
        let mut answer = Vec::new();
        let mut body = None;
        loop {
            let (begin, is_whole) = body.unwrap_or((0, false));
            if is_whole {
                let head = String::from_utf8_lossy(answer.get(..begin).unwrap()).into_owned();
                let status = head.lines().next().unwrap_or_default().to_owned();
                return (status, answer.split_off(begin));
            }
            let count = self.0.read(&mut read).unwrap();
            assert!(count > 0, "{path}: the server hung up");
            answer.extend_from_slice(read.get(..count).unwrap());
            body = whole(&answer, begin);
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Vec<u8> {
        let (status, body) = self.ask("GET", path);
        assert!(status.contains(" 200 "), "{path}: {status}");
        body
    }
}

/// Returns the offset of the body, and true if the body is complete.
fn whole(answer: &[u8], known: usize) -> Option<(usize, bool)> {
    let begin = match known {
        0 => answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4,
        known => known,
    };
    let (head, body) = answer.split_at(begin);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
    let is_whole = match length {
        Some(length) => body.len() >= length,
        None => body.ends_with(b"\r\n0\r\n\r\n"),
    };
    Some((begin, is_whole))
}
