//! `/api/v2/certs/CN/test`: SSLMate's test API, as in its reference.

use std::fs;

use serde_json::Value;

use super::*;
use crate::fixture::account::FakeAccount;
use crate::fixture::exporter::Answer;
use crate::fixture::tls::stay_silent;
use crate::support::Refusing;

/// The objects in the response.
fn rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The service's client accepts only this type.
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()["result"].as_array().unwrap().clone()
}

/// The status and the reason of an error, which is an object as in the reference.
fn error(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let object = answer.json();
    assert!(!object["message"].as_str().unwrap().is_empty(), "{object}");
    (answer.status, object["reason"].as_str().unwrap().to_owned())
}

#[test]
fn test_response_follows_the_api_reference() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (right, wrong) = (server(&pki, &leaf), server(&pki, &other));
    let dead = Refusing::new();
    let dead_port: u16 = dead.place().rsplit_once(':').unwrap().1.parse().unwrap();
    let ports = format!(
        "hostnames: {HOST}, addresses: [127.0.0.1, 127.0.0.2], ports: [{}, {}, {dead_port}]",
        right.port(),
        wrong.port()
    );
    let entry = expecting(&pki, "web", &leaf, &ports);
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let test = |port: u16| rows(&exporter.get(&format!("/api/v2/certs/web/test?port={port}")));

    let found = test(right.port());
    assert_eq!(found.len(), 2, "{found:?}");
    for (row, ip) in found.iter().zip(["127.0.0.1", "127.0.0.2"]) {
        assert_eq!(row["hostname"], HOST);
        assert_eq!(row["ip_address"], ip);
    }
    assert_eq!(found[0]["status"], "conclusive");
    for (key, value) in [("correct", true), ("chained", true), ("dummy", false)] {
        assert_eq!(found[0][key], value, "{key}");
    }
    assert!(found[0].get("error").is_none());
    let found = test(wrong.port());
    assert_eq!(
        (&found[0]["status"], &found[0]["correct"]),
        (&"conclusive".into(), &false.into())
    );
    let found = test(dead_port);
    assert_eq!(found[0]["status"], "connect_error");
    assert!(found[0]["error"].is_string());
    for absent in ["correct", "chained", "dummy"] {
        assert!(found[0].get(absent).is_none(), "{absent}");
    }
    // Without a port, the first of the entry; without a host name, all of the certificate's.
    assert_eq!(
        rows(&exporter.get("/api/v2/certs/web/test"))[0]["port"],
        right.port()
    );
}

#[test]
fn wildcard_certificate_is_addressed_by_its_common_name() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["*.example.com", "example.com"]);
    let server = server(&pki, &leaf);
    let account = FakeAccount::start(&pki, &["127.0.0.1"], server.port());
    account.issue(&pki, "*.example.com", 7, &leaf);
    let entry = format!(
        "name: wild, sslmate: \"*.example.com\", hostnames: [a.example.com, b.example.com], addresses: 127.0.0.1, port: {}",
        server.port()
    );
    let config = inventory(&pki, LONG_INTERVAL, &account.settings("1h"), &[entry]);
    let exporter = Exporter::start(&config, &[], |folder| account.write_key(folder));
    exporter.wait_until_ready();
    for name in ["%2A.example.com", "*.example.com", "wild"] {
        let found = rows(&exporter.get(&format!("/api/v2/certs/{name}/test")));
        let seen: Vec<_> = found
            .iter()
            .map(|row| (row["hostname"].as_str().unwrap(), row["correct"] == true))
            .collect();
        assert_eq!(
            seen,
            [("a.example.com", true), ("b.example.com", true)],
            "{name}"
        );
        // This vantage reports its own results and queries no other vantage.
        assert!(found.iter().all(|row| row["vantage"] == "local"));
    }
    let found = rows(&exporter.get("/api/v2/certs/wild/test?hostname=b.example.com"));
    assert_eq!(found.len(), 1);
}

#[test]
fn test_api_errors_are_sslmate_error_objects() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entry = entry(&pki, "web", &leaf, server.port());
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let many: String = (0..101)
        .map(|n| format!("&hostname=h{n}.example"))
        .collect();
    let many = format!("certs/web/test?{many}");
    for (path, status, reason, param) in [
        ("certs/unknown.example/test", 404, "not_found", None),
        ("certs/web", 404, "not_found", None),
        ("certs", 404, "not_found", None),
        ("certs/a/b/test", 404, "not_found", None),
        ("certs/%ff/test", 404, "not_found", None),
        ("certs/web/test?port=0", 400, "bad_param", Some("port")),
        ("certs/web/test?port=https", 400, "bad_param", Some("port")),
        (
            "certs/web/test?hostname=a..b",
            400,
            "bad_param",
            Some("hostname"),
        ),
        (
            "certs/web/test?hostname=*.example.com",
            400,
            "bad_param",
            Some("hostname"),
        ),
        (
            "certs/web/test?hostname=127.1",
            400,
            "bad_param",
            Some("hostname"),
        ),
        (many.as_str(), 400, "bad_param", Some("hostname")),
        (
            "certs/web/test?hostname=other.example",
            403,
            "forbidden",
            Some("hostname"),
        ),
        (
            "certs/web/test?hostname=8.8.8.8",
            403,
            "forbidden",
            Some("hostname"),
        ),
        ("certs/web/test?port=1", 403, "forbidden", Some("hostname")),
    ] {
        let answer = exporter.get(&format!("/api/v2/{path}"));
        assert_eq!(error(&answer), (status, reason.to_owned()), "{path}");
        assert_eq!(answer.json()["param"].as_str(), param, "{path}");
    }
    let posted = exporter.post("/api/v2/certs/web/test", "");
    assert_eq!(error(&posted), (405, "method_not_allowed".to_owned()));
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    let long = format!("/api/v2/certs/{}/test", "x".repeat(9 << 10));
    let long = exporter.get(&long);
    assert_eq!(error(&long), (414, "too_long".to_owned()));
    assert_eq!(server.connections(), 1);
}

/// A refusal by the web configuration has the format of the path, too.
#[test]
fn test_api_refusals_by_the_web_config_are_sslmate_error_objects() {
    let pki = Pki::new();
    let config = inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&config, &["--web.config.file", "web.yml"], |folder| {
        let hash = bcrypt::hash("secret", 4).unwrap();
        let text = format!(
            "rate_limit: {{interval: 1h, burst: 2}}\nbasic_auth_users:\n  reader: {hash}\n"
        );
        fs::write(folder.join("web.yml"), text).unwrap();
    });
    let path = "/api/v2/certs/any/test";
    let stranger = exporter.get(path);
    assert_eq!(error(&stranger), (401, "bad_credentials".to_owned()));
    assert_eq!(exporter.get("/metrics").status, 401);
    let hasty = exporter.get(path);
    assert_eq!(error(&hasty), (429, "rate_limited".to_owned()));
    let wait = hasty.header("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    assert_eq!(hasty.json()["retry_after"].as_i64(), Some(wait));
    let hasty = exporter.get("/metrics");
    assert_eq!(hasty.status, 429);
    assert_eq!(
        hasty.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

/// Settings of an entry apply to its hosts, even if they are tested for the certificate of another
/// entry.
#[test]
fn host_of_another_certificate_is_tested_at_its_own_address() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["a.example", "b.example"]);
    let (first, second) = two_servers(&pki, &leaf);
    let place = |host: &str, ip: &str| {
        format!("hostnames: {host}, addresses: {ip}, port: {}", first.port())
    };
    let entries = [
        expecting(&pki, "a", &leaf, &place("a.example", "127.0.0.1")),
        expecting(&pki, "b", &leaf, &place("b.example", "127.0.0.2")),
    ];
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    let before = (first.connections(), second.connections());
    let found = rows(&exporter.get("/api/v2/certs/a/test?hostname=b.example"));
    assert_eq!(found[0]["ip_address"], "127.0.0.2");
    assert_eq!(found[0]["correct"], true);
    assert_eq!(
        (first.connections(), second.connections()),
        (before.0, before.1 + 1)
    );
}

/// Two entries have files of one name, or one certificate at two ports.
#[test]
fn each_host_is_tested_as_the_entry_that_has_it_says() {
    let pki = Pki::new();
    let (a, b) = (pki.leaf(&["a.example"]), pki.leaf(&["b.example"]));
    // The server of b has the certificate of a.
    let (first, second) = two_servers(&pki, &a);
    let port = first.port();
    let entries = [
        format!(
            "{}, hostnames: a.example, addresses: 127.0.0.1, port: {port}",
            named(&pki, &a)
        ),
        format!(
            "{}, hostnames: b.example, addresses: 127.0.0.2, port: {port}",
            named(&pki, &b)
        ),
    ];
    for entries in [entries.clone(), [entries[1].clone(), entries[0].clone()]] {
        let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &entries), &[], |_| {});
        exporter.wait_until_ready();
        let before = second.connections();
        for query in ["", "&hostname=a.example&hostname=b.example"] {
            let path = format!("/api/v2/certs/site/test?port={port}{query}");
            let found: Vec<_> = rows(&exporter.get(&path))
                .iter()
                .map(|row| {
                    let text = |key: &str| row[key].as_str().unwrap().to_owned();
                    (
                        text("hostname"),
                        text("ip_address"),
                        row["correct"].as_bool(),
                    )
                })
                .collect();
            let of =
                |host: &str, ip: &str, correct| (host.to_owned(), ip.to_owned(), Some(correct));
            assert_eq!(
                found,
                [
                    of("a.example", "127.0.0.1", true),
                    of("b.example", "127.0.0.2", false)
                ]
            );
        }
        assert_eq!(second.connections(), before + 2);
    }
}

/// The source of an entry whose name is that of its file.
fn named(pki: &Pki, leaf: &Leaf) -> String {
    let chain = pki.full_chain(leaf);
    let folder = chain.with_extension("site");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("site.pem");
    fs::copy(chain, &file).unwrap();
    format!("pem: {}", file.display())
}

#[test]
fn a_port_of_another_entry_is_tested_with_its_protocol() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let web = server(&pki, &leaf);
    let mail = Server::start("127.0.0.1", stay_silent);
    let place = |port: u16| {
        format!(
            "{}, hostnames: {HOST}, addresses: 127.0.0.1, port: {port}",
            named(&pki, &leaf)
        )
    };
    let entries = [
        place(web.port()),
        format!("{}, protocol: smtp", place(mail.port())),
    ];
    let config = inventory(&pki, "interval: 1h, timeout: 1s", "", &entries);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    for (port, protocol) in [(web.port(), "https"), (mail.port(), "smtp")] {
        let path = format!("/api/v2/certs/site/test?hostname={HOST}&port={port}");
        let found = rows(&exporter.get(&path));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["protocol"], protocol);
    }
}
