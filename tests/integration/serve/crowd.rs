//! Clients that are many, slow or sly.

use std::io::Write as _;
use std::net::TcpStream;

use super::*;

/// Connections that `serve` has at a time (`src/web/listen.rs`).
const SEATS: usize = 512;
/// What a monitor needs besides: listeners, files, looks.
const OTHER_DESCRIPTORS: usize = 64;

fn descriptors(exporter: &Exporter) -> usize {
    let folder = format!("/proc/{}/fd", exporter.pid());
    std::fs::read_dir(folder).unwrap().count()
}

/// Who says nothing, and who says a byte now and then, has to leave when the time for a head is over.
#[test]
#[cfg(target_os = "linux")] // counts descriptors
fn a_crowd_that_asks_nothing_has_a_bound_and_does_not_keep_others_out_for_ever() {
    let pki = Pki::new();
    let config = inventory(&pki, ONCE, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let mut drips = TcpStream::connect(exporter.address).unwrap();
    let crowd: Vec<TcpStream> = (0..SEATS + 88)
        .map(|_| TcpStream::connect(exporter.address).unwrap())
        .collect();
    wait_until("every seat is taken", || {
        (descriptors(&exporter) >= SEATS).then_some(())
    });
    // Who comes now waits for a seat.
    let late = exporter.ask("GET", "/-/healthy", &[], "");
    wait_until("the slow one has to leave", || {
        let count = descriptors(&exporter);
        assert!(count <= SEATS + OTHER_DESCRIPTORS, "{count}");
        drips.write_all(b"G").err()
    });
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut { late }, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(crowd);
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
