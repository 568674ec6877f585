//! Statements of `docs/comparison.md` about other tools that are installed, besides those that
//! `moving.rs` tests.

use std::process::Command;

use crate::common::nginx::{nginx, one, server};
use crate::docs::functions;
use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::run;
use crate::markdown::{code_spans, document};

#[test]
#[ignore = "needs monitoring-plugins-basic and nginx"]
fn check_http_checks_only_the_days_until_expiry() {
    const PLUGIN: &str = "/usr/lib/nagios/plugins/check_http";
    let pki = Pki::new();
    let (expected, before) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let named_otherwise = pki.leaf(&["other.example.com"]);
    let bare = pki.chain(&[&expected.certificate]);
    let bare = nginx(
        &["127.0.0.1"],
        &[server("127.0.0.1", &bare, &expected.key, "")],
    );
    for (nginx, code) in [
        (bare, "missing_intermediate"),
        (one(&pki, &before, ""), "wrong_certificate"),
        (one(&pki, &named_otherwise, ""), "hostname_mismatch"),
    ] {
        let port = nginx.port.to_string();
        let told = run(Command::new(PLUGIN)
            .args(["-C", "30,7", "--sni", "-I", "127.0.0.1", "-H", HOST, "-p"])
            .arg(port));
        assert!(told.starts_with("OK - "), "{code}: {told}");
        let row = Check::of(&pki, &expected, &["127.0.0.1"], nginx.port).row();
        assert!(row.codes().contains(&code), "{code}: {row:?}");
        assert_eq!(row.text("/severity"), "critical");
    }
}

/// Each behaviour that the page describes as tried names an existing test.
#[test]
fn documented_experiments_name_existing_tests() {
    let functions = functions();
    let mut named = 0;
    for (path, heading) in [
        ("docs/comparison.md", "How it was tested"),
        ("docs/moving.md", "Verification"),
    ] {
        let page = document(path);
        let text = page.section(heading).lines.join("\n");
        let tests = code_spans(&text).into_iter();
        for test in tests.filter(|span| span.matches('_').count() > 3) {
            assert!(functions.contains(test), "{path}: there is no {test}");
            named += 1;
        }
    }
    assert_eq!(named, 3);
}
