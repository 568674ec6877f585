//! A certvigil instance as the vantage of another.

use std::path::Path;

use super::*;
use crate::fixture::check::{Row, rows};
use crate::support::{Run, certvigil};

const USER: &str = "prober";
const PASSWORD: &str = "correct horse";

/// A monitor that only one user may access.
fn guarded(config: &str) -> Exporter {
    let web = "--web.config.file=web.yml";
    let exporter = Exporter::start(config, &[web], |folder| {
        let hash = bcrypt::hash(PASSWORD, 4).unwrap();
        let users = format!("basic_auth_users:\n  {USER}: {hash}\n");
        std::fs::write(folder.join("web.yml"), users).unwrap();
    });
    let exporter = exporter.with_user(USER, PASSWORD);
    exporter.wait_until_ready();
    exporter
}

/// A configuration with this monitor as the vantage `there`.
fn vantage(peer: &Exporter, folder: &Path, password: &str) -> String {
    let file = folder.join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    format!(
        "vantages: [{{name: there, type: certvigil, url: \"http://{}/api/v2\", username: {USER}, password_file: {}}}]",
        peer.address,
        file.display()
    )
}

fn check(folder: &Path, config: &str) -> Run {
    let file = folder.join("check.yml");
    std::fs::write(&file, config).unwrap();
    let config = file.to_str().unwrap();
    certvigil([
        "check",
        "--config",
        config,
        "--format",
        "json",
        "--vantage",
        "local,there",
    ])
}

fn from<'a>(rows: &'a [Row], vantage: &str) -> &'a Row {
    rows.iter()
        .find(|row| row.text("/vantage") == vantage)
        .unwrap()
}

#[test]
fn agreeing_peer_reports_the_same_result() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let web = entry(&pki, "web", &leaf, server.port());
    let peer = guarded(&inventory(
        &pki,
        LONG_INTERVAL,
        "",
        std::slice::from_ref(&web),
    ));
    let folder = tempfile::tempdir().unwrap();
    let vantage = vantage(&peer, folder.path(), PASSWORD);
    let run = check(
        folder.path(),
        &inventory(&pki, LONG_INTERVAL, &vantage, &[web]),
    );
    assert_eq!(run.code, 0, "{run:?}");
    let rows = rows(&run);
    assert_eq!(rows.len(), 2, "{rows:?}");
    let there = from(&rows, "there");
    there.assert_right(&[]);
    assert_eq!(there.ip(), "127.0.0.1");
    assert!(there.0["served"].is_null(), "{there:?}");
    from(&rows, "local").assert_right(&[]);
}

#[test]
fn vantages_disagree_if_a_peer_reports_another_result() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &leaf);
    let ours = entry(&pki, "web", &leaf, server.port());
    // The peer expects another certificate, as if its probe had reached another server.
    let theirs = entry(&pki, "web", &other, server.port());
    let peer = guarded(&inventory(&pki, LONG_INTERVAL, "", &[theirs]));
    let folder = tempfile::tempdir().unwrap();
    let vantage = vantage(&peer, folder.path(), PASSWORD);
    let config = inventory(&pki, LONG_INTERVAL, &vantage, &[ours]);
    let rows = rows(&check(folder.path(), &config));
    assert_eq!(from(&rows, "there").flag("correct"), Some(false));
    assert_eq!(from(&rows, "local").flag("correct"), Some(true));
    for row in &rows {
        assert!(row.codes().contains(&"vantages_disagree"), "{row:?}");
    }

    // The same in a monitor, whose metrics report it once for the address.
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    metrics::assert_well_formed(&metrics);
    let port = label("port", &server.port().to_string());
    let address = [r#"certificate="web""#, r#"ip="127.0.0.1""#, port.as_str()];
    assert_eq!(
        metrics.sample("certvigil_vantages_disagree", &address),
        Some(1.0)
    );
    let there = [r#"vantage="there""#, r#"status="conclusive""#];
    assert_eq!(metrics.sample("certvigil_probes_total", &there), Some(1.0));
    let asked = [r#"source="there""#, r#"code="200""#];
    assert_eq!(
        metrics.sample("certvigil_source_requests_total", &asked),
        Some(1.0)
    );

    // They agree once the peer expects the same certificate.
    peer.write_config(&inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    ));
    assert_eq!(peer.post("/-/reload", "").status, 200);
    exporter.write_config(&config.replace("interval: 1h", "interval: 1s"));
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    exporter.wait_for_metrics("the vantages agree", |metrics| {
        metrics.sample("certvigil_vantages_disagree", &address) == Some(0.0)
    });
}

#[test]
fn rejected_peer_password_is_an_error_of_that_vantage() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let web = entry(&pki, "web", &leaf, server.port());
    let peer = guarded(&inventory(
        &pki,
        LONG_INTERVAL,
        "",
        std::slice::from_ref(&web),
    ));
    let folder = tempfile::tempdir().unwrap();
    let vantage = vantage(&peer, folder.path(), "wrong");
    let rows = rows(&check(
        folder.path(),
        &inventory(&pki, LONG_INTERVAL, &vantage, &[web]),
    ));
    from(&rows, "local").assert_right(&[]);
    let there = from(&rows, "there");
    assert_eq!(there.text("/status"), "internal_error");
    assert_eq!(there.text("/error_kind"), "internal");
    let error = there.text("/error");
    assert!(
        error.contains("user name or the password is wrong"),
        "{error}"
    );
    assert!(
        !error.contains(PASSWORD) && !error.contains("wrong:"),
        "{error}"
    );
}

#[test]
fn certificate_unknown_to_the_peer_is_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let peer = guarded(&inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "other", &leaf, server.port())],
    ));
    let folder = tempfile::tempdir().unwrap();
    let vantage = vantage(&peer, folder.path(), PASSWORD);
    let web = entry(&pki, "web", &leaf, server.port());
    let rows = rows(&check(
        folder.path(),
        &inventory(&pki, LONG_INTERVAL, &vantage, &[web]),
    ));
    let error = from(&rows, "there").text("/error");
    assert!(
        error.contains("the inventory has no certificate `web`"),
        "{error}"
    );
}

/// The expected certificate is known by its hash only, so only the peer can judge it.
#[test]
fn fault_that_only_the_peer_can_see_is_reported() {
    let pki = Pki::new();
    let expired = pki.leaf_for_days(&[HOST], -1);
    let server = server(&pki, &expired);
    let pinned = format!(
        "name: web, sha256: {}, hostnames: {HOST}, addresses: 127.0.0.1, port: {}",
        expired.certificate.sha256(),
        server.port()
    );
    let peer = guarded(&inventory(
        &pki,
        LONG_INTERVAL,
        "",
        std::slice::from_ref(&pinned),
    ));
    let folder = tempfile::tempdir().unwrap();
    let vantage = vantage(&peer, folder.path(), PASSWORD);
    let config = inventory(&pki, LONG_INTERVAL, &vantage, &[pinned]);
    let run = check(folder.path(), &config);
    assert_eq!(run.code, 2, "{run:?}");
    let rows = rows(&run);
    let there = from(&rows, "there");
    assert_eq!(there.flag("correct"), Some(true));
    assert_eq!(
        (there.flag("expired"), there.flag("trusted")),
        (Some(true), Some(false))
    );
    assert_eq!(there.text("/severity"), "critical");
    assert_eq!(there.codes(), from(&rows, "local").codes());
    assert_eq!(there.text("/findings/0/detail/kind"), "reported_by_vantage");
}
