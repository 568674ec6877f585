//! Many, slow or malicious clients.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use super::*;
use crate::fixture::exporter::basic;

/// Maximum connections of `serve` (`crates/exporter-web/src/listen.rs`).
const MAX_CONNECTIONS: usize = 512;
/// Other descriptors of a monitor: listeners, files, probes.
const OTHER_DESCRIPTORS: usize = 64;

/// Open descriptors of the monitor, from its own metrics: if a process is not dumpable, only root
/// may read the kernel's list.
fn descriptors(exporter: &Exporter) -> usize {
    try_descriptors(exporter).unwrap()
}

/// Returns `None` while the monitor refuses another scrape.
fn try_descriptors(exporter: &Exporter) -> Option<usize> {
    let metrics = exporter.get("/metrics");
    assert!(matches!(metrics.status, 200 | 503), "{metrics:?}");
    Some(metrics.sample("process_open_fds", &[])? as usize)
}

/// Raises the descriptor limit of this process to its maximum, and returns it. Uses the shell,
/// because the standard library has no function for it.
fn raise_descriptors() -> usize {
    let raise = "prlimit --pid $PPID --nofile=$(ulimit -Hn): && ulimit -Hn";
    let output = Command::new("sh").args(["-c", raise]).output().unwrap();
    let allowed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    allowed.parse().unwrap_or(usize::MAX)
}

fn resident_kib(exporter: &Exporter) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1);
    kib.unwrap().parse().unwrap()
}

/// Some clients send nothing, some begin a request, and all of them stay. A client with a complete
/// request is answered nevertheless.
#[test]
#[cfg(target_os = "linux")] // counts descriptors
fn server_answers_with_ten_thousand_open_connections() {
    const CROWD: usize = 10_000;
    /// Idle clients between two requests. They fit into the queue of the listener (128 in the standard
    /// library): beyond it, the kernel delays each connection by a second.
    const PART: usize = 100;
    /// Open descriptors of this test and those that run beside it.
    const OTHERS: usize = 2_000;
    /// Maximum growth of memory at the connection limit.
    const MAX_GROWTH_KIB: u64 = 64 << 10;
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let (before, memory) = (descriptors(&exporter), resident_kib(&exporter));
    let allowed = raise_descriptors().saturating_sub(OTHERS);
    assert!(
        allowed > 2 * MAX_CONNECTIONS,
        "`ulimit -Hn` has to be greater"
    );
    let mut crowd = Vec::new();
    for number in 0..CROWD.min(allowed) {
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        if number % 2 == 0 {
            // The server may have closed it already.
            let _ = stream.write_all(b"GET /metrics HTT");
        }
        crowd.push(stream);
        if number % PART == 0 {
            assert_eq!(exporter.get("/-/healthy").status, 200);
        }
    }
    assert_eq!(exporter.get("/metrics").status, 200);
    let count = descriptors(&exporter);
    assert!(
        (MAX_CONNECTIONS..=MAX_CONNECTIONS + OTHER_DESCRIPTORS).contains(&count),
        "{count}"
    );
    let grown = resident_kib(&exporter).saturating_sub(memory);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
    drop(crowd);
    wait_until("their places are given back", || {
        (descriptors(&exporter) <= before + 1).then_some(())
    });
}

/// A byte now and then does not extend the timeout of a request head.
#[test]
fn slowly_sent_request_head_is_cut_off() {
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let mut drips = TcpStream::connect(exporter.address).unwrap();
    wait_until("the slow one has to leave", || drips.write_all(b"G").err());
}

/// Clients that request long responses and read them slowly.
#[test]
#[cfg(target_os = "linux")] // counts descriptors
fn slow_readers_are_disconnected_and_delay_no_other_client() {
    /// Maximum concurrent long responses (`src/serve/metrics.rs`).
    const READERS: usize = 8;
    /// Length of the name in every series: the response exceeds the buffers of two sockets.
    const NAME: usize = 16 << 10;
    let pki = Pki::new();
    let addresses: Vec<String> = (1..=200).map(|n| format!("127.0.9.{n}")).collect();
    // Nothing listens there.
    let (name, addresses) = ("x".repeat(NAME), addresses.join(", "));
    let entry =
        format!("name: {name}, trust: true, hostnames: {HOST}, addresses: [{addresses}], port: 1");
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let whole = exporter.get("/metrics").body.len();
    let before = descriptors(&exporter);
    let mut readers: Vec<TcpStream> = (0..READERS)
        .map(|_| exporter.ask("GET", "/metrics", &[], ""))
        .collect();
    for reader in &mut readers {
        let mut status = [0; 12];
        reader.read_exact(&mut status).unwrap();
        assert_eq!(status.as_slice(), b"HTTP/1.1 200");
    }
    // Another response would be another text in memory.
    let more = exporter.get("/metrics");
    assert_eq!(more.status, 503, "{}", more.text());
    assert!(more.header("retry-after").is_some(), "{more:?}");
    wait_until("they have lost their seats", || {
        for reader in &mut readers {
            reader.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(exporter.get("/-/healthy").status, 200);
        let now = try_descriptors(&exporter)?;
        (now <= before + 1).then_some(())
    });
    let mut rest = Vec::new();
    for mut reader in readers {
        rest.clear();
        // A reset ends it too.
        let _ = reader.read_to_end(&mut rest);
        assert!(rest.len() < whole, "{} of {whole}", rest.len());
    }
}

/// Guessing passwords is slow for the guessing client, and for no other.
#[test]
fn password_guesses_do_not_lock_out_the_correct_user() {
    /// More than may wait for their check (`MAX_WAITING` in `crates/exporter-web/src/users.rs`).
    const GUESSES: usize = 100;
    /// Guesses that take the places of those that were checked.
    const FURTHER: usize = 10;
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let hash = bcrypt::hash("secret", 4).unwrap();
    // No password has this hash. Its check takes long, so that the guesses wait until the end.
    let slow = format!("$2b$14${}", ".".repeat(53));
    let exporter = Exporter::start(&config, &["--web.config.file", "web.yml"], |folder| {
        let text = format!("basic_auth_users:\n  reader: {hash}\n  admin: {slow}\n");
        std::fs::write(folder.join("web.yml"), text).unwrap();
    })
    .with_user("reader", "secret");
    exporter.wait_until_ready();
    let wrong = basic("reader", "a guess");
    let wrong = [("Authorization", wrong.as_str())];
    let answer = exporter.request_without_user("GET", "/metrics", &wrong, "");
    assert_eq!(answer.status, 401);
    let guess = |number: usize| {
        let guess = basic("admin", &format!("guess {number}"));
        exporter.ask("GET", "/metrics", &[("Authorization", &guess)], "")
    };
    let mut guesses: Vec<TcpStream> = (0..GUESSES).map(guess).collect();
    // A cached password is not checked again, and does not wait.
    for _ in 0..FURTHER {
        guesses.extend((0..FURTHER).map(guess));
        assert_eq!(exporter.get("/metrics").status, 200);
    }
    let mut answer = String::new();
    guesses.last().unwrap().read_to_string(&mut answer).unwrap();
    assert_eq!(answer.split(' ').nth(1), Some("503"), "{answer}");
}

/// Too long or too many headers, repeatedly.
#[test]
fn too_many_or_long_headers_are_refused_without_memory_growth() {
    const BOMBS: usize = 200;
    const MAX_GROWTH_KIB: u64 = 64 << 10;
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let memory = resident_kib(&exporter);
    let long = format!("A: {}\r\n", "x".repeat(1 << 20));
    let many = "A: x\r\n".repeat(100_000);
    for number in 0..BOMBS {
        let bomb = if number % 2 == 0 { &long } else { &many };
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
        // The server responds before all of it was sent.
        let _ = stream.write_all(bomb.as_bytes());
    }
    let many = "A: x\r\n".repeat(200);
    let mut stream = TcpStream::connect(exporter.address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\n{many}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(exporter.get("/metrics").status, 200);
    let grown = resident_kib(&exporter).saturating_sub(memory);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
}

#[test]
fn unusual_path_spelling_does_not_bypass_routing_or_password() {
    const PASSWORD_FILE: &str = "basic_auth_users:\n  reader: HASH\n";
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let hash = bcrypt::hash("secret", 4).unwrap();
    let exporter = Exporter::start(&config, &["--web.config.file", "web.yml"], |folder| {
        let text = PASSWORD_FILE.replace("HASH", &hash);
        std::fs::write(folder.join("web.yml"), text).unwrap();
    })
    .with_user("reader", "secret");
    exporter.wait_until_ready();
    for path in [
        "/../metrics",
        "/./metrics",
        "//metrics",
        "/metrics/",
        "/METRICS",
        "/metrics%00",
        "/%6detrics",
        "/%2e%2e/metrics",
        "/sd/../metrics",
        "/sd/%2e%2e/metrics",
        "/..%2fmetrics",
        "/..\\metrics",
        "/metrics;a=b",
        "/-/%72eload",
        "/-/../-/reload",
        "/webhook/sslmate/../../metrics",
        "/webhook/sslmate/",
        "/%2fetc/passwd",
        "/../../../../etc/passwd",
        "/api/v2/certs/../../../metrics",
    ] {
        let known = exporter.get(path);
        assert!([400, 404].contains(&known.status), "{path}: {known:?}");
        assert!(!known.text().contains("certvigil_build_info"), "{path}");
        let stranger = exporter.request_without_user("GET", path, &[], "");
        assert!(
            [400, 401].contains(&stranger.status),
            "{path}: {stranger:?}"
        );
    }
    assert_eq!(exporter.get("/metrics").status, 200);
}
