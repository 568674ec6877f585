//! The status page: its HTML and its links.

use super::*;
use crate::common::monitor::link;
use std::fs;
use std::io::Read as _;

#[test]
fn pages_have_a_strict_policy_and_assets_are_immutable() {
    let pki = Pki::new();
    let text = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&text, &[], |_| {});
    let page = exporter.get("/");
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    for inline in ["style=", "onclick", "<style", "javascript:"] {
        assert!(!page.text().contains(inline), "{inline}");
    }
    for (ending, kind) in [
        (".css", "text/css"),
        (".js", "text/javascript"),
        (".svg", "image/svg+xml"),
    ] {
        let text = page.text();
        let mut links = text.split('"').filter(|part| part.starts_with("/assets/"));
        let path = links.find(|path| path.ends_with(ending)).unwrap();
        let asset = exporter.get(path);
        assert_eq!(asset.status, 200, "{path}");
        assert!(
            asset.header("content-type").unwrap().starts_with(kind),
            "{path}"
        );
        assert!(
            asset.header("cache-control").unwrap().contains("immutable"),
            "{path}"
        );
        let tag = asset.header("etag").unwrap();
        let again = exporter.request("GET", path, &[("If-None-Match", tag)], "");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let other = exporter.request("GET", path, &[("If-None-Match", "\"other\"")], "");
        assert_eq!(other.status, 200, "{path}");
    }
    assert_eq!(
        exporter.get("/assets/status-0000000000000000.css").status,
        404
    );
    assert_eq!(exporter.get("/certificates/nobody").status, 404);
    assert_eq!(exporter.get("/docs/findings/expired").status, 200);
}

#[test]
fn pages_and_assets_require_the_password() {
    let pki = Pki::new();
    let text = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let hash = bcrypt::hash("secret", 4).unwrap();
    let web = format!("basic_auth_users:\n  reader: {hash}\n");
    let exporter = Exporter::start(&text, &["--web.config.file", "web.yml"], |folder| {
        fs::write(folder.join("web.yml"), web).unwrap();
    });
    let paths = [
        "/",
        "/certificates/any",
        "/docs/findings",
        "/assets/status-0000000000000000.css",
    ];
    for path in paths {
        assert_eq!(exporter.get(path).status, 401, "{path}");
    }
    let exporter = exporter.with_user("reader", "secret");
    for (path, status) in paths.into_iter().zip([200, 404, 200, 404]) {
        let answer = exporter.get(path);
        // Before the first fetch of the source, the certificate is unknown.
        assert!(
            answer.status == status || path == "/certificates/any",
            "{path}"
        );
    }
}

#[test]
fn page_shows_history_after_a_restart_and_is_compressed() {
    let pki = Pki::new();
    let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &old);
    let text = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &new, server.port())],
    );
    let args = ["--state-dir", "state"];
    let exporter = Exporter::start(&text, &args, |_| {});
    exporter.wait_until_ready();
    server.serve(config(&pki, &new));
    let page = |exporter: &Exporter| exporter.get("/certificates/web").text();
    wait_until("the switch is noted", || {
        let page = page(&exporter);
        let (_, history) = page.split_once("id=\"history\"")?;
        (history.contains("an unexpected certificate")
            && history.contains("the expected certificate"))
        .then_some(())
    });
    let folder = exporter.kill();

    let exporter = Exporter::start_in(folder, &text, &args);
    exporter.wait_until_ready();
    let endpoint = link(
        &exporter.get("/certificates/web"),
        "/certificates/web/https/",
    );
    let page = exporter.get(&endpoint);
    assert!(
        page.text().contains("<dt>This certificate since</dt>"),
        "{}",
        page.text()
    );
    let packed = exporter.request("GET", &endpoint, &[("Accept-Encoding", "gzip")], "");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 2 < page.body.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*packed.body)
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.starts_with("<!doctype html>") && text.ends_with("</html>"),
        "{text}"
    );
}
