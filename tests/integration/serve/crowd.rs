//! Clients that are many, slow or sly.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use super::*;
use crate::fixture::exporter::basic;

/// Connections that `serve` has at a time (`src/web/listen.rs`).
const SEATS: usize = 512;
/// What a monitor needs besides: listeners, files, looks.
const OTHER_DESCRIPTORS: usize = 64;

/// The descriptors that the monitor has open while it tells of them. It is asked itself, since the kernel's list of them
/// is root's alone where a process is not dumpable.
fn descriptors(exporter: &Exporter) -> usize {
    descriptors_if_told(exporter).unwrap()
}

/// `None` while there is no room for another scrape.
fn descriptors_if_told(exporter: &Exporter) -> Option<usize> {
    let metrics = exporter.get("/metrics");
    assert!(matches!(metrics.status, 200 | 503), "{metrics:?}");
    Some(metrics.sample("process_open_fds", &[])? as usize)
}

/// Lets this process have as many descriptors as it may, by the shell's own means: the standard library has none. How
/// many that is.
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

/// Some say nothing, some begin a request, and all of them stay. Who comes and asks is answered all the same.
#[test]
#[cfg(target_os = "linux")] // counts descriptors
fn ten_thousand_connections_keep_nobody_out() {
    const CROWD: usize = 10_000;
    /// Of the crowd between two who ask.
    const PART: usize = 500;
    /// What this and the tests beside it have open besides.
    const OTHERS: usize = 2_000;
    /// So much more memory a full house may take.
    const MAX_GROWTH_KIB: u64 = 64 << 10;
    let pki = Pki::new();
    let config = inventory(&pki, ONCE, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let (before, memory) = (descriptors(&exporter), resident_kib(&exporter));
    let allowed = raise_descriptors().saturating_sub(OTHERS);
    assert!(allowed > 2 * SEATS, "`ulimit -Hn` has to be greater");
    let mut crowd = Vec::new();
    for number in 0..CROWD.min(allowed) {
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        if number % 2 == 0 {
            // It may have been sent away already.
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
        (SEATS..=SEATS + OTHER_DESCRIPTORS).contains(&count),
        "{count}"
    );
    let grown = resident_kib(&exporter).saturating_sub(memory);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
    drop(crowd);
    wait_until("their places are given back", || {
        (descriptors(&exporter) <= before + 1).then_some(())
    });
}

/// A byte now and then does not make a head that comes.
#[test]
fn a_head_that_drips_ends() {
    let pki = Pki::new();
    let config = inventory(&pki, ONCE, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let mut drips = TcpStream::connect(exporter.address).unwrap();
    wait_until("the slow one has to leave", || drips.write_all(b"G").err());
}

/// They ask for much, and take a byte now and then.
#[test]
#[cfg(target_os = "linux")] // counts descriptors
fn slow_readers_hold_nobody_up_and_lose_their_seats() {
    /// As many as may have a long answer (`src/serve/metrics.rs`).
    const READERS: usize = 8;
    /// Its name stands in every series, so that the answer is more than the buffers of two sockets hold.
    const NAME: usize = 16 << 10;
    let pki = Pki::new();
    let addresses: Vec<String> = (1..=200).map(|n| format!("127.0.9.{n}")).collect();
    // Nothing listens there.
    let (name, addresses) = ("x".repeat(NAME), addresses.join(", "));
    let entry =
        format!("name: {name}, trust: true, hostnames: {HOST}, addresses: [{addresses}], port: 1");
    let exporter = Exporter::start(&inventory(&pki, ONCE, "", &[entry]), &[], |_| {});
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
    // One more would be one more text in memory.
    let more = exporter.get("/metrics");
    assert_eq!(more.status, 503, "{}", more.text());
    assert!(more.header("retry-after").is_some(), "{more:?}");
    wait_until("they have lost their seats", || {
        for reader in &mut readers {
            reader.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(exporter.get("/-/healthy").status, 200);
        let now = descriptors_if_told(&exporter)?;
        (now <= before + 1).then_some(())
    });
    let mut rest = Vec::new();
    for mut reader in readers {
        rest.clear();
        // A reset is an end too.
        let _ = reader.read_to_end(&mut rest);
        assert!(rest.len() < whole, "{} of {whole}", rest.len());
    }
}

/// Guessing is slow for who guesses, and for nobody else.
#[test]
fn wrong_passwords_at_a_rate_do_not_keep_the_right_one_out() {
    const GUESSES: usize = 100;
    let pki = Pki::new();
    let config = inventory(&pki, ONCE, "", &[trusting("127.0.0.1")]);
    let hash = bcrypt::hash("secret", 8).unwrap();
    let exporter = Exporter::start(&config, &["--web.config.file", "web.yml"], |folder| {
        let text = format!("basic_auth_users:\n  reader: {hash}\n");
        std::fs::write(folder.join("web.yml"), text).unwrap();
    })
    .with_user("reader", "secret");
    exporter.wait_until_ready();
    let guesses: Vec<TcpStream> = (0..GUESSES)
        .map(|number| {
            let guess = basic("reader", &format!("guess {number}"));
            exporter.ask("GET", "/metrics", &[("Authorization", &guess)], "")
        })
        .collect();
    // Who is known to know it is not checked again.
    assert_eq!(exporter.get("/metrics").status, 200);
    let mut statuses = BTreeMap::new();
    for mut guess in guesses {
        let mut answer = String::new();
        guess.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().to_owned();
        *statuses.entry(status).or_insert(0) += 1;
    }
    assert!(
        statuses.keys().all(|s| s == "401" || s == "503"),
        "{statuses:?}"
    );
    assert!(statuses.contains_key("401"), "{statuses:?}");
}

/// Heads that are too long or too many, over and over.
#[test]
fn header_bombs_are_refused_and_forgotten() {
    const BOMBS: usize = 200;
    const MAX_GROWTH_KIB: u64 = 64 << 10;
    let pki = Pki::new();
    let config = inventory(&pki, ONCE, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let memory = resident_kib(&exporter);
    let long = format!("A: {}\r\n", "x".repeat(1 << 20));
    let many = "A: x\r\n".repeat(100_000);
    for number in 0..BOMBS {
        let bomb = if number % 2 == 0 { &long } else { &many };
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
        // The answer comes before all of it has been said.
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
fn no_spelling_of_a_path_leads_elsewhere_or_past_the_password() {
    const PASSWORD_FILE: &str = "basic_auth_users:\n  reader: HASH\n";
    let pki = Pki::new();
    let config = inventory(&pki, ONCE, "", &[trusting("127.0.0.1")]);
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
        let stranger = exporter.request_as_nobody("GET", path, &[], "");
        assert!(
            [400, 401].contains(&stranger.status),
            "{path}: {stranger:?}"
        );
    }
    assert_eq!(exporter.get("/metrics").status, 200);
}
