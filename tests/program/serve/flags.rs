//! Flags of `serve` that Prometheus' exporters have too.

use std::process::Command;

use serde_json::Value;

use crate::support::certvigil;

use super::*;

const URL: &str = "https://monitor.example/certvigil/";

/// A configuration with one server at a loopback address.
fn config_of(pki: &Pki) -> String {
    inventory(pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")])
}

#[test]
fn targets_are_monitored_without_a_file() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (one, other) = (server(&pki, &leaf), server(&pki, &leaf));
    let places = [&one, &other].map(|server| format!("127.0.0.1:{}", server.port()));
    let exporter = Exporter::start_without_file(&[&places[0], &places[1], &places[0]]);
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    for server in [&one, &other] {
        let labels = [
            r#"certificate="127.0.0.1""#,
            &label("port", &server.port().to_string()),
        ];
        // The system does not trust the tests' root.
        let trusted = metrics.sample("certvigil_endpoint_trusted", &labels);
        assert_eq!(trusted, Some(0.0), "{}", metrics.text());
    }
    assert_eq!(metrics.samples("certvigil_endpoint_trusted", &[]).len(), 2);
    // A reload keeps them.
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    let groups = exporter.get("/sd").json();
    assert_eq!(groups.as_array().unwrap().len(), 2);
}

#[test]
fn targets_are_added_to_the_inventory_of_a_file() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (one, other) = (server(&pki, &leaf), server(&pki, &leaf));
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, one.port())],
    );
    let place = format!("127.0.0.1:{}", other.port());
    let known = format!("{HOST}:{}", one.port());
    let exporter = Exporter::start(&config, &[&place, &known], |_| {});
    exporter.wait_until_ready();
    let groups = exporter.get("/sd").json();
    let targets: Vec<&Value> = groups.as_array().unwrap().iter().collect();
    assert_eq!(targets.len(), 2, "{groups}");
    let of_file = targets.iter().find(|t| t["targets"][0] == *known);
    let labels = &of_file.unwrap()["labels"];
    assert_eq!(labels["__meta_certvigil_certificate"], "web");
}

#[test]
fn serve_without_targets_and_file_is_an_error() {
    let run = certvigil(["serve"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("--config FILE"), "{run:?}");
}

#[test]
fn all_paths_and_links_are_under_the_path_of_the_external_url() {
    let pki = Pki::new();
    let exporter = Exporter::start(&config_of(&pki), &["--web.external-url", URL], |_| {});
    wait_until("the monitor is ready", || {
        (exporter.get("/certvigil/-/ready").status == 200).then_some(())
    });
    for path in ["/metrics", "/-/ready", "/certvigilx/metrics", "/sd"] {
        assert_eq!(exporter.get(path).status, 404, "{path}");
    }
    assert_eq!(exporter.get("/certvigil/metrics").status, 200);
    assert_eq!(exporter.post("/certvigil/-/reload", "").status, 200);
    for path in ["/", "/certvigil"] {
        let answer = exporter.get(path);
        assert_eq!(answer.status, 302, "{path}");
        assert_eq!(answer.header("location"), Some(URL), "{path}");
    }
    let labels = &exporter.get("/certvigil/sd").json()[0]["labels"];
    assert_eq!(labels["__metrics_path__"], "/certvigil/probe");

    let page = exporter.get("/certvigil/").text();
    let mut count = 0;
    for attribute in ["href=\"", "src=\"", "action=\"", "data-stale=\""] {
        for part in page.split(attribute).skip(1) {
            let (link, _) = part.split_once('"').unwrap();
            if link.starts_with('#') {
                continue;
            }
            count += 1;
            let (path, _) = link.split_once('#').unwrap_or((link, ""));
            assert!(path.starts_with("/certvigil/"), "{link}");
            assert_eq!(exporter.get(path).status, 200, "{link}");
        }
    }
    assert!(count > 8, "{page}");
    let page = exporter.get("/certvigil/docs/findings").text();
    assert!(page.contains("href=\"/certvigil/docs/findings/expired\""));
}

#[test]
fn route_prefix_applies_to_requests_alone_where_the_external_url_differs() {
    let pki = Pki::new();
    let args = ["--web.external-url", URL, "--web.route-prefix=/"];
    let exporter = Exporter::start(&config_of(&pki), &args, |_| {});
    exporter.wait_until_ready();
    let page = exporter.get("/").text();
    assert!(page.contains("href=\"/certvigil/metrics\""), "{page}");
    assert_eq!(exporter.get("/metrics").status, 200);
    assert_eq!(exporter.get("/certvigil/metrics").status, 404);

    let run = certvigil(["serve", "a.example", "--web.route-prefix", "/a b"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("--web.route-prefix"), "{run:?}");
}

#[test]
fn json_log_has_one_object_a_line() {
    let pki = Pki::new();
    let args = ["--log.format", "json", "--log.level", "debug"];
    let exporter = Exporter::start(&config_of(&pki), &args, |_| {});
    exporter.wait_until_ready();
    exporter.write_config("defaults: {intervall: 1s}\nnonsense: 1\n");
    assert_eq!(exporter.post("/-/reload", "").status, 500);
    let log = exporter.log();
    let events = log.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["ts"].as_str().unwrap().ends_with('Z'), "{line}");
        event
    });
    let events: Vec<Value> = events.collect();
    let listening = events.iter().find(|event| event["msg"] == "listening");
    assert_eq!(
        listening.unwrap()["address"],
        exporter.address.to_string().as_str()
    );
    let refused = events.iter().find(|event| event["level"] == "error");
    let message = refused.unwrap()["msg"].as_str().unwrap();
    assert!(
        message.contains("intervall") && message.contains("nonsense"),
        "{message}"
    );
}

#[test]
fn logfmt_log_has_one_event_a_line_with_its_fields() {
    let pki = Pki::new();
    let args = ["--log.format", "logfmt"];
    let exporter = Exporter::start(&config_of(&pki), &args, |_| {});
    exporter.wait_until_ready();
    exporter.write_config("defaults: {intervall: 1s}\nnonsense: 1\n");
    assert_eq!(exporter.post("/-/reload", "").status, 500);
    let log = exporter.log();
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.starts_with("ts=20") && time.ends_with('Z'), "{line}");
        assert!(rest.starts_with("level="), "{line}");
    }
    let listening = format!(" level=info msg=listening address={}\n", exporter.address);
    assert!(log.contains(&listening), "{log}");
    assert!(log.contains(" level=error msg=\""), "{log}");
}

#[test]
fn log_level_hides_less_severe_events_and_each_event_is_one_line() {
    let pki = Pki::new();
    let exporter = Exporter::start(&config_of(&pki), &[], |_| {});
    exporter.wait_until_ready();
    let before = exporter.log().len();
    exporter.write_config("defaults: {intervall: 1s}\nnonsense: 1\n");
    assert_eq!(exporter.post("/-/reload", "").status, 500);
    let log = exporter.log();
    let line = &log[before..];
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.contains("intervall") && line.contains("nonsense"),
        "{line}"
    );

    let run = certvigil(["serve", "--log.level", "error", "--config", "no-such.yml"]);
    assert_eq!(run.code, 3, "{run:?}");
    let run = certvigil(["serve", "--log.level", "loud", "a.example"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("loud"), "{run:?}");
}

#[test]
fn sockets_of_systemd_are_used() {
    const STARTER: &str = "import os, socket, sys\n\
        s = socket.create_server(('127.0.0.1', 0))\n\
        open('port', 'w').write(str(s.getsockname()[1]))\n\
        os.dup2(s.detach(), 3)\n\
        os.set_inheritable(3, True)\n\
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
        os.execv(sys.argv[1], sys.argv[1:])\n";
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.yml"), config_of(&pki)).unwrap();
    let mut starter = Command::new("/usr/bin/python3");
    starter.args([
        "-c",
        STARTER,
        env!("CARGO_BIN_EXE_certvigil"),
        "serve",
        "--web.systemd-socket",
    ]);
    starter.args(["--config", "c.yml"]);
    let exporter = Exporter::start_by(folder, &mut starter);
    let port = std::fs::read_to_string(exporter.path("port")).unwrap();
    assert_eq!(exporter.address.port().to_string(), port);
    assert_eq!(exporter.get("/-/healthy").status, 200);

    let run = certvigil(["serve", "a.example", "--web.systemd-socket"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("no socket"), "{run:?}");
}

#[test]
fn badge_shows_the_state_and_unknown_paths_have_a_page() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entry = entry(&pki, "web", &leaf, server.port()) + ", labels: {team: shop}";
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let badge = exporter.get("/badge/web.svg");
    assert_eq!(badge.status, 200);
    assert_eq!(badge.header("content-type"), Some("image/svg+xml"));
    assert!(badge.text().contains("certificate: ok"), "{}", badge.text());
    assert_eq!(exporter.get("/badge/none.svg").status, 404);
    assert!(
        exporter
            .get("/certificates/web")
            .text()
            .contains("team=shop")
    );

    let page = exporter.request("GET", "/nowhere", &[("Accept", "text/html")], "");
    assert_eq!(page.status, 404);
    assert!(page.text().contains("Go to the overview"));
    // Scripts get a line.
    let line = exporter.get("/nowhere");
    assert_eq!(
        line.header("content-type").map(|t| &t[..10]),
        Some("text/plain")
    );
}
