//! Reloads of valid and invalid configurations.

use std::io::{Read as _, Write as _};
use std::process::Command;

use super::metrics::assert_well_formed;
use super::*;
use crate::fixture::account::FakeAccount;
use crate::fixture::process::run;

const LAST_SUCCESSFUL: &str = "certvigil_config_last_reload_successful";
const LAST_SUCCESS_TIME: &str = "certvigil_config_last_reload_success_timestamp_seconds";

fn correct(exporter: &Exporter, name: &str) -> Option<f64> {
    let labels = [label("certificate", name), label("vantage", "local")];
    let labels = labels.each_ref().map(String::as_str);
    exporter
        .get("/metrics")
        .sample("certvigil_endpoint_correct", &labels)
}

#[test]
fn broken_configuration_keeps_the_previous_one_in_force() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let right = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&right, &[], |_| {});
    exporter.wait_until_ready();
    let when = exporter.get("/metrics").sample(LAST_SUCCESS_TIME, &[]);
    assert!(when.is_some());
    let no_roots = right.replace("root.pem", "no-such.pem");
    for (broken, words) in [
        ("certificates: [", "certvigil.yml:"),
        ("", "certvigil.yml"),
        (
            &*right.replace("interval:", "intervall:"),
            "defaults.intervall",
        ),
        (&*no_roots, "no-such.pem: "),
    ] {
        exporter.write_config(broken);
        let answer = exporter.post("/-/reload", "");
        assert_eq!(answer.status, 500, "{broken}");
        assert!(answer.text().contains(words), "{broken}: {}", answer.text());
        let metrics = exporter.get("/metrics");
        assert_eq!(metrics.sample(LAST_SUCCESSFUL, &[]), Some(0.0));
        assert_eq!(metrics.sample(LAST_SUCCESS_TIME, &[]), when);
        assert_eq!(correct(&exporter, "web"), Some(1.0));
        let log = exporter.log();
        let mut refused = log
            .lines()
            .filter(|line| line.contains("the previous one stays in force"));
        assert!(refused.next_back().unwrap().contains(words), "{log}");
    }
    // The configuration in force is still probed.
    let before = server.connections();
    wait_until("another look", || {
        (server.connections() > before).then_some(())
    });

    exporter.write_config(&right);
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    assert_eq!(
        exporter.get("/metrics").sample(LAST_SUCCESSFUL, &[]),
        Some(1.0)
    );
}

#[test]
fn sighup_reloads_like_a_request() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let right = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&right, &[], |_| {});
    exporter.wait_until_ready();
    exporter.write_config("nothing: of use");
    exporter.signal("HUP");
    exporter.wait_for_metrics("the broken file is told", |m| {
        m.sample(LAST_SUCCESSFUL, &[]) == Some(0.0)
    });
    exporter.write_config(&right.replace("name: web", "name: renamed"));
    exporter.signal("HUP");
    exporter.wait_for_metrics("the right file is in force", |m| {
        m.sample(LAST_SUCCESSFUL, &[]) == Some(1.0)
    });
    wait_until("the new name is looked at", || {
        correct(&exporter, "renamed")
    });
    assert_eq!(correct(&exporter, "web"), None);
}

#[test]
fn broken_web_config_keeps_both_previous_configurations() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let users = |password: &str| {
        let hash = bcrypt::hash(password, 4).unwrap();
        format!("basic_auth_users:\n  user: {hash}\n")
    };
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&config, &["--web.config.file=web.yml"], |folder| {
        std::fs::write(folder.join("web.yml"), users("old")).unwrap();
    });
    let exporter = exporter.with_user("user", "old");
    exporter.wait_until_ready();
    std::fs::write(
        exporter.path("web.yml"),
        "basic_auth_users: {user: no hash}\n",
    )
    .unwrap();
    exporter.write_config(&config.replace("name: web", "name: renamed"));
    let answer = exporter.post("/-/reload", "");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("web.yml:"), "{}", answer.text());
    assert_eq!(
        exporter.get("/metrics").sample(LAST_SUCCESSFUL, &[]),
        Some(0.0)
    );
    assert_eq!(correct(&exporter, "web"), Some(1.0));

    // A broken configuration also keeps the previous users.
    std::fs::write(exporter.path("web.yml"), users("new")).unwrap();
    exporter.write_config("nothing: of use");
    assert_eq!(exporter.post("/-/reload", "").status, 500);
    assert_eq!(exporter.get("/metrics").status, 200);

    exporter.write_config(&config);
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    assert_eq!(exporter.get("/metrics").status, 401);
    let exporter = exporter.with_user("user", "new");
    assert_eq!(
        exporter.get("/metrics").sample(LAST_SUCCESSFUL, &[]),
        Some(1.0)
    );
}

#[test]
fn broken_web_config_fails_at_start_and_changes_nothing_at_reload() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let (chain, key, empty) = (pki.full_chain(&leaf), leaf.key.clone(), pki.file(""));
    let (root, other) = (pki.path("root.pem"), pki.leaf(&[HOST]).key);
    // Avoids warnings about the permissions of the keys.
    for key in [&key, &other] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let tls = |cert: &std::path::Path, key: &std::path::Path, more: &str| {
        let (cert, key) = (cert.display(), key.display());
        format!("tls_server_config: {{cert_file: {cert}, key_file: {key}{more}}}\n")
    };
    let missing = pki.path("no-such.pem");
    let ca = format!(", client_ca_file: {}", root.display());
    let policy = ", client_auth_type: RequireAndVerifyClientCert";
    let broken = [
        (
            "tls_server_confg: {}\n".to_owned(),
            "did you mean `tls_server_config`?",
        ),
        (tls(&missing, &key, ""), "it cannot be read"),
        (tls(&empty, &key, ""), "it is empty"),
        (tls(&chain, &missing, ""), "it cannot be read"),
        (tls(&chain, &empty, ""), "it is empty"),
        (
            tls(&chain, &other, ""),
            "the key does not belong to the certificate",
        ),
        (
            format!("tls_server_config: {{cert_file: {}}}\n", chain.display()),
            "`key_file` is missing",
        ),
        (
            tls(&chain, &key, &ca),
            "clients are not asked for a certificate",
        ),
        (tls(&chain, &key, policy), "the trusted CAs are missing"),
        (
            tls(
                &chain,
                &key,
                &format!("{policy}, client_ca_file: {}", empty.display()),
            ),
            "it is empty",
        ),
        (
            tls(&chain, &key, ", cipher_suites: [TLS_NO_SUCH]"),
            "`TLS_NO_SUCH` is not one of",
        ),
        (
            tls(&chain, &key, ", curve_preferences: [CurveP1]"),
            "`CurveP1` is not one of",
        ),
        (
            tls(&chain, &key, ", min_version: TLS99"),
            "`TLS99` is not a TLS version",
        ),
        (
            tls(&chain, &key, ", client_auth_type: Perhaps"),
            "`Perhaps` is not one of",
        ),
        (
            "basic_auth_users: {user: plain}\n".to_owned(),
            "this is not a bcrypt hash",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: never}}\n".to_owned(),
            "`never` is not one of",
        ),
        ("basic_auth_users: [".to_owned(), "web.yml:"),
    ];
    let hash = bcrypt::hash("password", 4).unwrap();
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&config, &["--web.config.file=web.yml"], |folder| {
        let users = format!("basic_auth_users: {{user: \"{hash}\"}}\n");
        std::fs::write(folder.join("web.yml"), users).unwrap();
    });
    let exporter = exporter.with_user("user", "password");
    exporter.wait_until_ready();
    for (text, words) in broken {
        std::fs::write(exporter.path("web.yml"), &text).unwrap();
        let mut command = crate::support::command();
        command
            .current_dir(exporter.folder.path())
            .args(["serve", "--config", "certvigil.yml"]);
        command.args([
            "--web.listen-address",
            "127.0.0.1:0",
            "--web.config.file",
            "web.yml",
        ]);
        let run: crate::support::Run = command.output().unwrap().into();
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{text}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{text}: {}", run.stderr);
        assert!(
            run.stderr.starts_with("error: web.yml:") && run.stderr.contains(words),
            "{text}: {}",
            run.stderr
        );

        let answer = exporter.post("/-/reload", "");
        assert_eq!(answer.status, 500, "{text}");
        assert!(answer.text().contains(words), "{text}: {}", answer.text());
        let metrics = exporter.get("/metrics");
        assert_eq!(metrics.sample(LAST_SUCCESSFUL, &[]), Some(0.0), "{text}");
        assert_eq!(
            exporter
                .request_without_user("GET", "/metrics", &[], "")
                .status,
            401,
            "{text}"
        );
    }
}

#[test]
fn removed_entry_disappears_at_once_and_added_entry_is_probed() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (first, second) = (server(&pki, &leaf), server(&pki, &leaf));
    let entries = [
        entry(&pki, "stays", &leaf, first.port()),
        entry(&pki, "goes", &leaf, second.port()),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    assert_eq!(correct(&exporter, "goes"), Some(1.0));
    assert!(
        exporter
            .get("/sd")
            .text()
            .contains(&second.port().to_string())
    );

    let comes = entry(&pki, "comes", &leaf, second.port());
    exporter.write_config(&inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entries[0].clone(), comes],
    ));
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    let metrics = exporter.get("/metrics");
    assert!(!metrics.text().contains(r#""goes""#), "{}", metrics.text());
    assert_eq!(correct(&exporter, "stays"), Some(1.0));
    wait_until("the new entry is looked at", || correct(&exporter, "comes"));
    // Unchanged endpoints are not probed again.
    assert_eq!(first.connections(), 1);
}

#[test]
fn shorter_interval_applies_from_the_reload_on() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entries = [entry(&pki, "web", &leaf, server.port())];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    exporter.write_config(&inventory(&pki, SHORT_INTERVAL, "", &entries));
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    wait_until("several looks", || (server.connections() > 2).then_some(()));
}

#[test]
fn changed_entry_is_probed_again() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (first, second) = two_servers(&pki, &leaf);
    let at = |ip: &str, more: &str| {
        let place = format!(
            "hostnames: {HOST}, addresses: {ip}, port: {}{more}",
            first.port()
        );
        inventory(
            &pki,
            LONG_INTERVAL,
            "",
            &[expecting(&pki, "web", &leaf, &place)],
        )
    };
    // One file for the whole test: each entry writes the chain again.
    let config = at("127.0.0.1", "");
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    exporter.write_config(&config.replace("addresses: 127.0.0.1", "addresses: 127.0.0.2"));
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    let there = [r#"ip="127.0.0.2""#];
    let metrics = exporter.wait_for_metrics("the new address is looked at", |metrics| {
        metrics.sample("certvigil_endpoint_correct", &there) == Some(1.0)
    });
    assert!(
        !metrics.text().contains(r#"ip="127.0.0.1""#),
        "{}",
        metrics.text()
    );
    // The threshold of expiry warnings also belongs to the entry.
    let warn = config.replace("addresses: 127.0.0.1", "addresses: 127.0.0.2, warn: 1000d");
    exporter.write_config(&warn);
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    exporter.wait_for_metrics("the end is told", |metrics| {
        let expiring = [r#"code="expiring""#, r#"severity="warning""#];
        metrics.sample("certvigil_endpoint_finding", &expiring) == Some(1.0)
    });
    assert_eq!(second.connections(), 2);
}

#[test]
fn reload_keeps_results_and_does_not_refetch_the_account() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let account = FakeAccount::start(&pki, &["127.0.0.1"], server.port());
    account.issue(&pki, HOST, 1, &leaf);
    let certificate = format!(
        "sslmate: {HOST}, addresses: 127.0.0.1, port: {}",
        server.port()
    );
    let other = entry(&pki, "other", &leaf, server.port());
    let config = |more: &[&String]| {
        let entries = [&certificate].into_iter().chain(more.iter().copied());
        let entries: Vec<String> = entries.cloned().collect();
        inventory(&pki, LONG_INTERVAL, &account.settings("1h"), &entries)
    };
    let exporter = Exporter::start(&config(&[]), &[], |folder| account.write_key(folder));
    exporter.wait_until_ready();
    let (asked, looked) = (account.requests(), server.connections());
    for more in [&[] as &[&String], &[&other], &[], &[&other]] {
        exporter.write_config(&config(more));
        assert_eq!(exporter.post("/-/reload", "").status, 200);
        let metrics = exporter.get("/metrics");
        assert_well_formed(&metrics);
        let labels = [r#"certificate="www.example.com""#, r#"vantage="local""#];
        assert_eq!(
            metrics.sample("certvigil_endpoint_correct", &labels),
            Some(1.0)
        );
        assert_eq!(
            metrics.sample("certvigil_certificate_info", &[r#"instance_id="1""#]),
            Some(1.0)
        );
        assert_eq!(
            metrics.sample("certvigil_source_up", &[r#"source="sslmate""#]),
            Some(1.0)
        );
        assert_eq!(exporter.get("/-/ready").status, 200);
    }
    wait_until("the other entry is looked at", || {
        correct(&exporter, "other")
    });
    assert_eq!(account.requests(), asked);
    assert!(server.connections() > looked);

    // Another account is requested.
    let elsewhere = FakeAccount::start(&pki, &["127.0.0.1"], server.port());
    elsewhere.issue(&pki, HOST, 9, &leaf);
    exporter.write_config(&inventory(
        &pki,
        LONG_INTERVAL,
        &elsewhere.settings("1h"),
        &[certificate],
    ));
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    exporter.wait_for_metrics("the other account's instance", |metrics| {
        metrics.sample("certvigil_certificate_info", &[r#"instance_id="9""#]) == Some(1.0)
    });
}

/// The configuration is a pipe without a writer, as on a network disk that does not respond.
#[test]
#[cfg(unix)]
fn hanging_configuration_file_blocks_neither_probes_nor_shutdown() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let config = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let mut exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let file = exporter.path("certvigil.yml");
    std::fs::remove_file(&file).unwrap();
    run(Command::new("mkfifo").arg(&file));
    exporter.signal("HUP");
    let mut waiting = exporter.ask("POST", "/-/reload", &[], "");
    // Both reloads have been applied when two more probes have ended.
    let before = server.connections();
    wait_until("looks go on", || {
        (server.connections() > before + 2).then_some(())
    });
    assert_eq!(
        exporter.get("/metrics").sample(LAST_SUCCESSFUL, &[]),
        Some(1.0)
    );
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("certvigil is stopping"), "{answer}");
}

#[test]
fn cross_site_request_cannot_reload() {
    let pki = Pki::new();
    let right = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&right, &[], |_| {});
    // A reload would fail with 500 and be counted.
    exporter.write_config("certificates: [");
    for method in ["POST", "PUT"] {
        for headers in [
            &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")][..],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Origin", "https://evil.example")],
            &[("Origin", "null")],
        ] {
            let answer = exporter.request(method, "/-/reload", headers, "a=b");
            assert_eq!(answer.status, 403, "{headers:?}");
            assert!(
                answer.text().contains("cross-site request refused"),
                "{answer:?}"
            );
        }
    }
    let metrics = exporter.get("/metrics");
    assert_eq!(metrics.sample(LAST_SUCCESSFUL, &[]), Some(1.0));
    for headers in [
        &[][..],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "none")],
        // The test's `Host`.
        &[("Origin", "http://certvigil")],
    ] {
        let answer = exporter.request("POST", "/-/reload", headers, "");
        assert_eq!(answer.status, 500, "{headers:?}");
    }
}

#[test]
fn request_for_a_rebound_host_name_is_refused() {
    let pki = Pki::new();
    let right = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    // The tests' own `Host` is `certvigil`.
    let args = [
        "--web.allowed-host",
        "certvigil",
        "--web.allowed-host=monitor.example",
    ];
    let exporter = Exporter::start(&right, &args, |_| {});
    assert_eq!(exporter.get("/-/healthy").status, 200);
    let status = |path: &str, host: &str| {
        let mut stream = std::net::TcpStream::connect(exporter.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for host in ["monitor.example", "127.0.0.1:10843", "localhost"] {
        assert!(
            status("/-/healthy", host).starts_with("HTTP/1.1 200 "),
            "{host}"
        );
    }
    for path in ["/", "/metrics", "/webhook/sslmate", "http://certvigil/"] {
        let answer = status(path, "rebound.evil.example:10843");
        assert!(answer.starts_with("HTTP/1.1 421 "), "{path}: {answer}");
        assert!(answer.contains("--web.allowed-host"), "{answer}");
    }
    let answer = status("/api/v2/certs/x/test", "rebound.evil.example");
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(answer.contains(r#""reason":"wrong_host""#), "{answer}");
}

#[test]
fn changed_roots_are_applied_to_all_results_at_once() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let trusted = |expected: f64| {
        exporter.wait_for_metrics("the new roots are used", |metrics| {
            let of_local = [r#"vantage="local""#];
            metrics.sample("certvigil_endpoint_trusted", &of_local) == Some(expected)
        });
    };
    trusted(1.0);
    // Another file.
    let other = Pki::new();
    exporter.write_config(&config.replace(
        &pki.path("root.pem").display().to_string(),
        &other.path("root.pem").display().to_string(),
    ));
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    trusted(0.0);
    // The same file with new content.
    std::fs::copy(pki.path("root.pem"), other.path("root.pem")).unwrap();
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    trusted(1.0);
}
