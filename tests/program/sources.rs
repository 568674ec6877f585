//! Expected certificates from every source: the API with and without faults, downloads, files.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use certvigil::model::Timestamp;
use certvigil::testbed::sandbox::account::{ApiError, State};
use certvigil::testbed::{API_KEY, Scenario, Testbed};
use serde_json::{Value, json};

use crate::canned::{self, Canned};
use crate::support::{Run, certvigil, command, for_each_concurrently};

/// The system time, which the testbed and the program use.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.unwrap().as_secs() as i64)
}

const SCENARIO: &str = "
hosts:
  - host: right.demo.example
    servers: [{at: 127.0.0.41, serve: current}]
  - host: previous.demo.example
    servers: [{at: 127.0.0.42, serve: previous}]
  - host: pending.demo.example
    issued: false
    servers: [{at: 127.0.0.43, serve: temporary}]
";

struct Bench {
    lab: Testbed,
    folder: tempfile::TempDir,
    // Runs the testbed's servers.
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let scenario = Scenario::parse(SCENARIO, Path::new("sources.yml")).unwrap();
        let lab = runtime
            .block_on(certvigil::testbed::start(scenario, now()))
            .unwrap();
        Self {
            lab,
            folder: tempfile::tempdir().unwrap(),
            _runtime: runtime,
        }
    }

    fn config(&self, certificates: &str) -> String {
        let file = self.folder.path().join("certvigil.yml");
        let text = format!(
            "sslmate: {{endpoint: \"{}\"}}\ndefaults: {{port: {}}}\ncertificates:\n{certificates}\n",
            self.lab.endpoint(),
            self.lab.port()
        );
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = command();
        command
            .arg("check")
            .args(args)
            .env("SSLMATE_API_KEY", API_KEY);
        command.arg("--ca-file").arg(self.lab.root_file());
        for host in self.lab.hosts() {
            let port = self.lab.port();
            command
                .arg("--resolve")
                .arg(format!("{}:{port}:{}", host.name, host.servers[0].at));
        }
        command
    }

    fn check(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }
}

fn rows(run: &Run) -> Vec<Value> {
    run.json()["result"].as_array().unwrap().clone()
}

fn codes(row: &Value) -> Vec<&str> {
    let findings = row["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|f| f["code"].as_str().unwrap())
        .collect()
}

#[test]
fn active_account_instance_is_expected_from_both_vantages() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: right.demo.example");
    let run = bench.check(&["-c", &config, "--format", "json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let rows = rows(&run);
    let vantages: Vec<_> = rows
        .iter()
        .map(|r| r["vantage"].as_str().unwrap())
        .collect();
    assert_eq!(vantages, ["local", "sslmate"]);
    assert_eq!(rows[0]["expected"]["source"], "sslmate");
    assert_eq!(rows[0]["expected"]["id"], 102);
    assert!(
        rows[1]["served"].is_null(),
        "a remote vantage shows no certificate"
    );
    let local = bench.check(&["-c", &config, "--format", "json", "--vantage", "local"]);
    assert_eq!(self::rows(&local).len(), 1);
}

#[test]
fn sslmate_vantage_does_not_test_starttls_endpoints() {
    let bench = Bench::new();
    let port = bench.lab.port();
    let entry = format!("  - {{sslmate: right.demo.example, protocol: ldap, port: {port}}}");
    let config = bench.config(&entry);
    let run = bench.check(&["-c", &config, "--format", "json"]);
    let rows = rows(&run);
    let seen: Vec<_> = rows
        .iter()
        .map(|r| (r["vantage"].as_str(), r["error_kind"].as_str()))
        .collect();
    // The testbed's servers expect TLS at once.
    assert_eq!(seen, [(Some("local"), Some("starttls_protocol"))]);
}

#[test]
fn check_without_any_probe_is_unknown() {
    let bench = Bench::new();
    let pem = bench.lab.root_file().display().to_string();
    let config = bench.config(&format!(
        "  - {{pem: \"{pem}\", hostnames: [right.demo.example]}}"
    ));
    // The account does not have the certificate of the file.
    for wait in [&[][..], &["--wait", "50ms", "--every", "10ms"]] {
        let args = ["-c", &config, "--vantage", "sslmate", "--format", "nagios"];
        let run = bench.check(&[&args[..], wait].concat());
        assert_eq!(run.code, 3, "{run:?}");
        assert!(
            run.stdout.starts_with("CERTVIGIL UNKNOWN - 0 endpoints"),
            "{run:?}"
        );
        assert!(run.stderr.contains("nothing was probed"), "{run:?}");
    }
}

#[test]
fn account_certificate_is_checked_with_the_settings_of_its_entry() {
    let bench = Bench::new();
    let port = bench.lab.port();
    let config = bench.config(&format!(
        "  - {{sslmate: right.demo.example, warn: 100%}}
  - {{name: directory, sslmate: right.demo.example, protocol: ldap, port: {port}}}
  - sslmate: previous.demo.example"
    ));
    let check = |more: &[&str]| {
        let args = ["-c", &config, "--format", "json", "--vantage", "local"];
        let args = [&args[..], &["--sslmate"], more].concat();
        rows(&bench.check(&args))
    };
    let seen = |rows: &[Value]| {
        let rows = rows.iter().map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let codes: Vec<_> = codes(row).iter().map(ToString::to_string).collect();
            (text("hostname"), text("protocol"), codes.join(" "))
        });
        rows.collect::<Vec<_>>()
    };
    let row = |host: &str, protocol: &str, codes: &str| {
        (host.to_owned(), protocol.to_owned(), codes.to_owned())
    };
    let right = "right.demo.example";
    let both = [
        row(right, "ldap", "handshake_failed"),
        row(right, "https", "expiring"),
    ];
    // All entries of the host, also if the host is named twice.
    assert_eq!(seen(&check(&[right])), both);
    assert_eq!(seen(&check(&[right, right])), both);
    // Another port, with the settings of the first entry.
    let other = seen(&check(&[right, &format!("previous.demo.example:{port}")]));
    let https = other.iter().find(|row| row.1 == "https").unwrap();
    assert!(https.2.contains("wrong_certificate"), "{other:?}");
    let dead = seen(&check(&[right, "right.demo.example:1"]));
    assert_eq!(dead.len(), 1, "{dead:?}");
    // A certificate from the entry of the whole account, or from no entry, has the defaults of the
    // file.
    let all = bench.config("  - sslmate: \"*\"");
    let args = ["-c", &all, "--format", "json", "--vantage", "local"];
    for more in [&["--sslmate", right][..], &["--sslmate", right, right]] {
        let run = bench.check(&[&args[..], more].concat());
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(rows(&run).len(), 1);
    }
}

#[test]
fn previous_instance_with_another_key_is_named_by_its_id() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: previous.demo.example");
    let run = bench.check(&["-c", &config, "--format", "json", "--vantage", "local"]);
    assert_eq!(run.code, 2);
    let rows = rows(&run);
    assert_eq!(codes(&rows[0]), ["previous_instance"]);
    let message = rows[0]["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("instance 201 "), "{message}");
}

#[test]
fn whole_account_entry_checks_every_certificate() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: \"*\"");
    let run = bench.check(&["-c", &config, "--format", "json", "--vantage", "local"]);
    let names: Vec<_> = rows(&run)
        .iter()
        .map(|r| r["certificate"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "pending.demo.example",
            "previous.demo.example",
            "right.demo.example"
        ]
    );
}

#[test]
fn unknown_name_and_refused_api_key_errors_are_one_line() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: right.demo.example");
    let run = bench.check(&["-c", &config, "--sslmate", "unknown.example"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert_eq!(
        run.stderr,
        "error: unknown.example: the SSLMate account has no certificate `unknown.example`; check the common name and the account\n"
    );
    let mut refused = bench.command(&["-c", &config, "--sslmate", "right.demo.example"]);
    let run: Run = refused
        .env("SSLMATE_API_KEY", "wrong")
        .output()
        .unwrap()
        .into();
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert_eq!(
        run.stderr,
        "error: right.demo.example: the API reports: The API key, or the user name or password, is not correct (HTTP 401, bad_credentials); check the API key\n"
    );
}

#[test]
fn a_user_name_and_a_password_replace_the_api_key() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: right.demo.example");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace(
        "sslmate: {",
        "sslmate: {username: demo, password_file: password, ",
    );
    std::fs::write(&config, text).unwrap();
    let args = ["-c", &config, "--format", "json", "--vantage", "local"];
    for (password, code) in [("demo\n", 0), ("other\n", 3)] {
        std::fs::write(bench.folder.path().join("password"), password).unwrap();
        // The key in the environment is not used.
        let mut command = bench.command(&args);
        let run: Run = command.env("SSLMATE_API_KEY", "x").output().unwrap().into();
        assert_eq!(run.code, code, "{run:?}");
    }
}

#[test]
fn pending_certificate_is_a_warning_and_critical_once_issued() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: pending.demo.example");
    let args = ["-c", &config, "--format", "json", "--vantage", "local"];
    let run = bench.check(&args);
    assert_eq!(run.code, 1);
    assert_eq!(codes(&rows(&run)[0]), ["dummy_certificate"]);
    assert_eq!(rows(&run)[0]["correct"], true);

    // The expected instance is issued, but the server keeps the temporary one, so `--wait` times
    // out.
    let change = bench.lab.api().change(|account, _| {
        let issued = account.certificates["right.demo.example"].instances[1].clone();
        let certificate = account.certificates.get_mut("pending.demo.example");
        Arc::make_mut(certificate.unwrap()).instances.push(issued);
        Ok::<(), ApiError>(())
    });
    change.unwrap();
    let run = bench.check(&[&args[..], &["--wait", "1s", "--every", "1s"]].concat());
    assert_eq!(run.code, 2);
    let rows = rows(&run);
    assert_eq!(rows[0]["correct"], false);
    assert_eq!(codes(&rows[0]), ["dummy_certificate"]);
    assert_eq!(rows[0]["findings"][0]["severity"], "critical");
}

#[test]
fn wait_continues_until_the_certificate_is_issued_and_served() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: right.demo.example");
    let set_state = |at: usize, state| {
        let change = bench.lab.api().change(|account, _| {
            let certificate = account.certificates.get_mut("right.demo.example");
            let certificate = Arc::make_mut(certificate.unwrap());
            Arc::make_mut(&mut certificate.instances[at]).state = state;
            Ok::<(), ApiError>(())
        });
        change.unwrap();
    };
    set_state(0, State::Canceled);
    set_state(1, State::Canceled);
    let asked = bench.lab.api().requests();
    let mut waiting = bench.command(&[
        "-c",
        &config,
        "--sslmate",
        "right.demo.example",
        "--wait",
        "60s",
        "--every",
        "1s",
    ]);
    let child = waiting
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while bench.lab.api().requests() == asked {
        std::thread::yield_now();
    }
    set_state(1, State::Active);
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn download_url_yields_the_expected_certificate_or_not_issued_yet() {
    let bench = Bench::new();
    let base = bench.lab.endpoint().replace("/api/v2", "/download");
    let port = bench.lab.port();
    let target = format!("right.demo.example:{port}");
    let run = bench.check(&[
        &target,
        "--download",
        &format!("{base}/right.demo.example"),
        "--format",
        "json",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(rows(&run)[0]["expected"]["source"], "download");
    let run = bench.check(&[
        &target,
        "--download",
        &format!("{base}/pending.demo.example"),
    ]);
    assert_eq!(run.code, 3);
    assert!(
        run.stderr
            .contains("no certificate has been issued yet; wait for it with --wait"),
        "{}",
        run.stderr
    );
    let run = bench.check(&[&target, "--download", &format!("{base}/nowhere.example")]);
    assert!(run.stderr.contains("HTTP status 404"), "{}", run.stderr);
}

#[test]
fn failed_entry_does_not_prevent_checking_the_others() {
    let bench = Bench::new();
    let config = bench.config("  - sslmate: unknown.example\n  - sslmate: right.demo.example\n  - {pem_dir: /nonexistent/*.pem}");
    let run = bench.check(&["-c", &config, "--format", "json", "--vantage", "local"]);
    assert_eq!(run.code, 3);
    let rows = rows(&run);
    let severities: Vec<_> = rows
        .iter()
        .map(|r| {
            (
                r["certificate"].as_str().unwrap(),
                r["severity"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        severities.contains(&("right.demo.example", "ok")),
        "{severities:?}"
    );
    assert!(
        severities.contains(&("unknown.example", "unknown")),
        "{severities:?}"
    );
    assert!(run.stderr.contains("no file matches"), "{}", run.stderr);
}

/// Such an entry has no row; without this rule the exit code would be ok.
#[test]
fn failed_entry_without_hosts_makes_the_exit_code_unknown() {
    let bench = Bench::new();
    let nowhere = "{pem_dir: /nonexistent/*.pem}";
    let config = bench.config(&format!("  - sslmate: right.demo.example\n  - {nowhere}"));
    let local = ["--vantage", "local", "-c", &config];
    let run = bench.check(&local);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("no file matches"), "{run:?}");
    // The selected target was found and is ok.
    let run = bench.check(&[&local[..], &["right.demo.example"]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let run = bench.check(&[&local[..], &["--fail-on", "never"]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    // Every format has the error beside the result of the other entry.
    let told = "the result is incomplete: no file matches `/nonexistent/*.pem`";
    for (format, mark) in [
        ("human", told.to_owned()),
        ("json", "\"complete\": false".into()),
        ("jsonl", "{\"complete\":false}".into()),
        ("junit", format!("<error type=\"source\" message=\"{told}")),
        ("github", format!("::error title=source::{told}")),
        ("nagios", format!("CERTVIGIL UNKNOWN - {told}")),
        ("prometheus", format!("# {told}")),
    ] {
        let run = bench.check(&[&local[..], &["--format", format]].concat());
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stdout.contains(&mark), "{mark}: {run:?}");
    }
    // A file of metrics keeps its results, because alerts would resolve without them.
    let metrics = bench.folder.path().join("certvigil.prom");
    std::fs::write(&metrics, "# before\n").unwrap();
    let file = metrics.to_str().unwrap();
    let output = ["--format", "prometheus", "--output", file];
    let run = bench.check(&[&local[..], &output].concat());
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("keeps its previous results"), "{run:?}");
    assert_eq!(std::fs::read_to_string(&metrics).unwrap(), "# before\n");
    // A failing entry alone determines the exit code, also in the formats for monitoring systems.
    let config = bench.config(&format!("  - {nowhere}"));
    let run = bench.check(&["-c", &config, "--format", "nagios"]);
    assert_eq!(run.code, 3, "{run:?}");
    let told = "CERTVIGIL UNKNOWN - no file matches `/nonexistent/*.pem`";
    assert!(run.stdout.starts_with(told), "{run:?}");
}

/// All endpoints that could be probed are ok.
#[test]
fn wait_continues_until_a_source_without_hosts_succeeds() {
    let bench = Bench::new();
    let folder = bench.folder.path().join("pem");
    std::fs::create_dir(&folder).unwrap();
    let config = bench.config("  - sslmate: right.demo.example\n  - {pem_dir: pem/*.pem}");
    let target = format!("right.demo.example:{}", bench.lab.port());
    let resolved = format!("{target}:127.0.0.41");
    let served = certvigil(["inspect", "--pem", "--resolve", &resolved, &target]);
    assert_eq!(served.code, 0, "{served:?}");

    let mut child = bench
        .command(&["-c", &config, "--vantage", "local"])
        .args(["--wait", "10m", "--every", "10ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = lines.by_ref().map(Result::unwrap);
    assert!(
        told.any(|line| line.starts_with("waiting for the source of the expected certificate"))
    );
    // Written completely under another name, then renamed.
    let (first, whole) = (folder.join("late"), folder.join("late.pem"));
    std::fs::write(&first, served.stdout).unwrap();
    std::fs::rename(first, whole).unwrap();
    // The writer is not blocked.
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 0, "{run:?}: {rest:?}");
    assert!(run.stdout.contains("2 endpoints: "), "{run:?}");
}

/// Checks an SSLMate certificate with this API. Nothing is probed: these tests are about earlier
/// steps.
fn ask(api: &Canned, timeout: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yml");
    let text = format!(
        "sslmate: {{endpoint: \"{}\"}}\ncertificates: [{{sslmate: a.example}}]\n",
        api.endpoint()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = command();
    command.arg("check").arg("-c").arg(&config).args([
        "--sslmate",
        "a.example",
        "--timeout",
        timeout,
        "--vantage",
        "local",
        "--resolve",
        "a.example:443:127.0.0.99",
    ]);
    command.env("SSLMATE_API_KEY", "k").output().unwrap().into()
}

/// The API object of a certificate that no server has. It is sufficient for the source to succeed.
pub(crate) fn object() -> Value {
    let validity = certvigil::testbed::authority::Validity::around(now(), 1, 80);
    let key = certvigil::testbed::authority::Key::generate().unwrap();
    let leaf =
        certvigil::testbed::authority::self_signed(&["a.example".into()], validity, &key).unwrap();
    json!({
        "exists": true, "cn": "a.example", "sans": [], "a_key_of_tomorrow": {"x": 1},
        "current": {
            "id": 7, "state": "active", "novelty": [], "crt": leaf.certificate.to_pem(),
            "sha256_fingerprint": leaf.certificate.sha256().to_string(), "chain": "", "root": null,
        }
    })
}

/// Returns true if the source succeeded: the only remaining error is that no server responds at the
/// name.
pub(crate) fn source_succeeded(run: &Run) -> bool {
    run.stdout.contains("a.example") && !run.stderr.contains("API")
}

#[test]
fn api_fault_error_is_one_line_with_advice() {
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("HTML", canned::response(200, "text/html; charset=utf-8", "<html>hello</html>"), "the answer is an HTML page, not JSON; check the endpoint"),
        ("HTML error", canned::response(403, "text/html", "<html>no</html>"), "HTTP status 403 with an HTML page, not an answer of the API; check the endpoint"),
        ("forbidden", canned::json(403, &json!({"reason": "forbidden", "message": "Not yours"})), "the API reports: Not yours (HTTP 403, forbidden); check the API key"),
        ("parameter", canned::json(400, &json!({"reason": "bad", "message": "No\x1b[2Jgood", "param": "cn"})), "the API reports: No\u{fffd}[2Jgood (HTTP 400, bad, parameter cn)"),
        ("too many", canned::json(429, &json!({"reason": "rate", "message": "Slow down"})), "the API reports: Slow down (HTTP 429, rate)"),
        ("too many, and hours to wait", canned::json(429, &json!({"reason": "rate", "message": "Slow down", "retry_after": 7200})), "try again in 7200 s"),
        ("truncated", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"cn\":".to_vec(), "check the endpoint and the network"),
        ("not an object", canned::json(200, &json!([1, 2])), "the API's response does not match its reference"),
        ("garbage", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), "check the endpoint and the network"),
    ];
    for_each_concurrently(cases, |(case, answer, wanted)| {
        let api = Canned::start(move |_, _| answer.clone());
        // The source has three times as long: enough for one repetition after two to three seconds,
        // and for no other.
        let run = ask(&api, "2s");
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{case}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{case}: {}", run.stderr);
        assert!(
            run.stderr.starts_with("error: a.example: ") && run.stderr.contains(wanted),
            "{case}: {}",
            run.stderr
        );
    });
}

#[test]
fn api_response_over_the_maximum_size_is_refused() {
    let api = Canned::start(|_, _| {
        let mut answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
                .to_vec();
        answer.resize(8 << 20, b' ');
        answer
    });
    let run = ask(&api, "10s");
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("is larger than"), "{}", run.stderr);
}

#[test]
fn only_temporary_api_errors_are_retried() {
    // The first response, and the number of requests. The later responses are good.
    let reason = |retry_after: Option<u64>| json!({"reason": "rate", "message": "Slow down", "retry_after": retry_after});
    let bad_gateway = canned::response(502, "text/html", "<html>bad gateway</html>");
    let cases = [
        (bad_gateway, 2),
        (canned::json(429, &reason(Some(1))), 2),
        (
            canned::json(401, &json!({"reason": "no", "message": "No"})),
            1,
        ),
        // Later than any clock can represent.
        (canned::json(503, &reason(Some(u64::MAX))), 1),
    ];
    let good = object();
    for_each_concurrently(cases, |(first, requests)| {
        let case = String::from_utf8_lossy(&first).into_owned();
        let answer = good.clone();
        let api = Canned::start(move |n, _| match n {
            0 => first.clone(),
            _ => canned::json(200, &answer),
        });
        let run = ask(&api, "10s");
        assert_eq!(api.requests().len(), requests, "{case}: {run:?}");
        assert_eq!(source_succeeded(&run), requests > 1, "{case}: {run:?}");
        if case.contains("503") {
            assert_eq!((run.code, run.stdout.as_str()), (3, ""));
            assert!(run.stderr.contains("Slow down"), "{}", run.stderr);
        }
    });
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let good = object();
    let elsewhere = Canned::start(move |_, _| canned::json(200, &good));
    // Another port is another origin.
    let target = format!("http://{}/moved", elsewhere.address);
    let api = Canned::start(move |_, _| {
        format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
    });
    ask(&api, "10s");
    assert!(api.requests()[0].has_credentials());
    assert!(!elsewhere.requests().is_empty());
    assert!(elsewhere.requests().iter().all(|r| !r.has_credentials()));
}

#[test]
fn certificate_not_matching_its_stated_fingerprint_is_refused() {
    let mut object = object();
    object["current"]["sha256_fingerprint"] = json!("ab".repeat(32));
    let api = Canned::start(move |_, _| canned::json(200, &object));
    let run = ask(&api, "10s");
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(
        run.stderr
            .contains("instance 7 cannot be used: its bytes have the SHA-256 "),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("do not install it, and contact SSLMate"),
        "{}",
        run.stderr
    );
}

#[test]
fn unknown_values_and_empty_fields_of_the_api_are_accepted() {
    for (key, value) in [
        ("state", json!("sleeping")),
        ("chain", json!([])),
        ("chain", json!(null)),
        ("root", json!("")),
        ("sha256_fingerprint", json!(null)),
        ("unknown", json!({"key": 1})),
    ] {
        let mut object = object();
        object["current"][key] = value.clone();
        let api = Canned::start(move |_, _| canned::json(200, &object));
        let run = ask(&api, "10s");
        assert!(source_succeeded(&run), "{key} = {value}: {run:?}");
    }
}

#[test]
fn refused_api_connection_and_missing_api_key_are_reported() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yml");
    std::fs::write(&config, format!("sslmate: {{endpoint: \"http://{closed}/api/v2\"}}\ncertificates: [{{sslmate: a.example}}]\n")).unwrap();
    let run: Run = command()
        .args(["check", "--sslmate", "a.example", "--timeout", "2s", "-c"])
        .arg(&config)
        .env("SSLMATE_API_KEY", "k")
        .output()
        .unwrap()
        .into();
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.contains("no connection"), "{}", run.stderr);
    let run = certvigil(["check", "--sslmate", "a.example"]);
    assert_eq!(run.code, 3);
    assert!(
        run.stderr
            .contains("there is no SSLMate API key: set SSLMATE_API_KEY"),
        "{}",
        run.stderr
    );
}
