//! Secrets stay secret: no output contains one, whatever the request, the fault or the finding.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;

use super::*;
use crate::canned::{self, Canned};
use crate::fixture::exporter::basic;
use crate::support::{Run, command, for_each_concurrently};

/// A secret in every form in which it could be written.
struct Secrets(Vec<(&'static str, String)>);

const API_KEY: &str = "mark7api7key";
const PEER: &str = "mark7peer7password";
const WEBHOOK: &str = "mark7webhook7secret";
const PASSWORD: &str = "mark7user7password";
const DOWNLOAD: &str = "mark7download7path";

impl Secrets {
    fn new(pki: &Pki, hash: &str, keys: &[&Path]) -> Self {
        let plain = [API_KEY, PEER, WEBHOOK, PASSWORD, DOWNLOAD];
        let mut all: Vec<_> = plain
            .iter()
            .map(|s| ("a secret", (*s).to_owned()))
            .collect();
        for header in [
            basic(API_KEY, ""),
            basic("prober", PEER),
            basic("user", PASSWORD),
            basic("", WEBHOOK),
        ] {
            let value = header.trim_start_matches("Basic ").trim_end_matches('=');
            all.push(("a header", value.to_owned()));
        }
        let standard = base64::engine::general_purpose::STANDARD_NO_PAD;
        all.extend(plain.iter().map(|s| ("base64", standard.encode(s))));
        // Salt and hash, without the cost, which may be shown.
        all.push(("a hash", hash[7..].to_owned()));
        for key in keys {
            let pem = std::fs::read_to_string(key).unwrap();
            let line = pem.lines().nth(1).unwrap();
            // The beginning is the same in all keys of a type.
            all.push(("a key", line[line.len() - 24..].to_owned()));
        }
        let root = std::fs::read_to_string(pki.path("root.pem")).unwrap();
        assert!(
            all.iter()
                .all(|(_, mark)| mark.len() > 8 && !root.contains(mark.as_str()))
        );
        Self(all)
    }

    fn assert_absent(&self, from: &str, text: &str) {
        for (kind, mark) in &self.0 {
            let at = text.find(mark.as_str());
            let around = at.map(|at| text[..at].lines().last().unwrap_or_default());
            assert!(
                at.is_none(),
                "{kind} is in {from} ({mark}), after: {around:?}"
            );
        }
    }
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// An API whose responses are all invalid, each in another way. A refusal has the API's own text
/// and repeats the credentials. The ways follow one another from `first` on; 0 is the refusal.
fn broken_api(first: usize) -> Canned {
    let of_account = AtomicUsize::new(first);
    Canned::start(move |n, request| {
        let is_test = request.path.contains("/test?");
        let (user, password) = match is_test {
            true => ("prober", PEER),
            false => (API_KEY, ""),
        };
        let header = basic(user, password);
        let n = match request.has_credentials() && !is_test {
            true => of_account.fetch_add(1, Ordering::Relaxed),
            false => n + first,
        };
        match n % 4 {
        0 => canned::json(401, &serde_json::json!({
            "reason": format!("no {password}"),
            "message": format!("No key {user}, {header}"),
        })),
        1 => canned::response(502, "text/html", "<html>"),
        2 => canned::response(200, "application/json", "{"),
        _ => b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    }
    })
}

/// A configuration with a secret in every field that accepts one.
struct Bench {
    pki: Pki,
    _server: Server,
    api: Canned,
    config: String,
    client: Leaf,
    hash: String,
}

impl Bench {
    /// The account's first request is refused.
    fn new() -> Self {
        Self::with(broken_api(0))
    }

    fn with(api: Canned) -> Self {
        let pki = Pki::new();
        let (leaf, client) = (pki.leaf(&[HOST]), pki.leaf(&["client.example"]));
        let server = server(&pki, &leaf);
        let (endpoint, host) = (api.endpoint(), api.address);
        let settings = format!(
            "sslmate: {{endpoint: \"{endpoint}\", api_key_file: key, refresh_interval: 1s}}\n\
             vantages: [{{name: there, type: certvigil, url: \"{endpoint}\", username: prober, password_file: peer}}]\n\
             webhook: {{secret_file: webhook}}"
        );
        let certificate = pki.full_chain(&client);
        let with_client = format!(
            "{}, client_cert: {}, client_key: {}",
            entry(&pki, "web", &leaf, server.port()),
            certificate.display(),
            client.key.display()
        );
        let entries = [
            with_client,
            "sslmate: account.example, hostnames: account.example".to_owned(),
            format!("download: \"http://{host}/{DOWNLOAD}\""),
            format!("name: named, download: \"http://{host}/{DOWNLOAD}\", hostnames: down.example"),
        ];
        Self {
            config: inventory(&pki, SHORT_INTERVAL, &settings, &entries),
            hash: bcrypt::hash(PASSWORD, 4).unwrap(),
            pki,
            _server: server,
            api,
            client,
        }
    }

    fn write_secrets(&self, folder: &Path, mode: u32) {
        write(folder, "key", API_KEY, mode);
        write(folder, "peer", PEER, mode);
        write(folder, "webhook", WEBHOOK, mode);
        let users = format!("basic_auth_users:\n  user: {}\n", self.hash);
        write(folder, "web.yml", &users, mode);
    }

    fn secrets(&self) -> Secrets {
        Secrets::new(&self.pki, &self.hash, &[&self.client.key])
    }
}

#[test]
fn no_secret_is_in_any_log_response_or_metric() {
    let bench = Bench::new();
    let secrets = bench.secrets();
    let args = [
        "-vvv",
        "--web.config.file",
        "web.yml",
        "--state-dir",
        "state",
    ];
    let mut exporter = Exporter::start(&bench.config, &args, |folder| {
        bench.write_secrets(folder, 0o644);
    })
    .with_user("user", PASSWORD);
    exporter.wait_until_ready();
    wait_until("the API has gone wrong in every way", || {
        (bench.api.requests().len() > 8).then_some(())
    });
    let mut answers = Vec::new();
    for path in [
        "/",
        "/metrics",
        "/sd",
        "/-/healthy",
        "/-/ready",
        "/probe",
        "/probe?target=example.com&debug=true",
        &format!("/probe?target={HOST}&debug=true"),
        "/api/v2/certs/web/test",
        "/api/v2/certs/named/test",
        &format!("/nowhere?secret={WEBHOOK}"),
        &format!("/webhook/sslmate?secret={WEBHOOK}"),
    ] {
        answers.push(exporter.get(path));
    }
    let body = r#"{"cn": "account.example"}"#;
    for (query, user, status) in [
        (format!("?secret={WEBHOOK}"), None, 202),
        (String::new(), Some(basic("", WEBHOOK)), 202),
        (format!("?secret={WEBHOOK}x"), None, 403),
        (String::new(), Some(basic("user", PASSWORD)), 403),
    ] {
        let header: Vec<_> = user.iter().map(|u| ("Authorization", u.as_str())).collect();
        let path = format!("/webhook/sslmate{query}");
        let answer = exporter.request_without_user("POST", &path, &header, body);
        assert_eq!(answer.status, status, "{}", answer.text());
        answers.push(answer);
    }
    let wrong = basic("user", &format!("{PASSWORD}x"));
    answers.push(exporter.request_without_user("GET", "/", &[("Authorization", &wrong)], ""));

    // Secrets in wrong fields, in either file.
    let with_key = bench
        .config
        .replace("api_key_file: key", &format!("api_key: {API_KEY}"));
    let with_user = bench
        .config
        .replace("url: \"http://", &format!("url: \"http://prober:{PEER}@"));
    let half = bench
        .config
        .replace("url: \"http://", &format!("url: \"http//:{PEER}@"));
    for broken in [with_key, with_user, half] {
        assert_ne!(broken, bench.config);
        exporter.write_config(&broken);
        let answer = exporter.post("/-/reload", "");
        assert_eq!(answer.status, 500, "{}", answer.text());
        answers.push(answer);
    }
    exporter.write_config(&bench.config);
    for users in [
        format!("basic_auth_users:\n  user: {PASSWORD}\n"),
        format!("basic_auth_users:\n  user: [{}]\n", bench.hash),
        format!("basic_auth_users: {}\n", bench.hash),
    ] {
        write(exporter.folder.path(), "web.yml", &users, 0o600);
        let answer = exporter.post("/-/reload", "");
        assert_eq!(answer.status, 500, "{}", answer.text());
        answers.push(answer);
    }
    for answer in answers {
        secrets.assert_absent("an answer", &answer.text());
    }
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0));
    for file in ["certvigil.db", "certvigil.db-wal"] {
        let kept = std::fs::read(exporter.path("state").join(file)).unwrap_or_default();
        secrets.assert_absent(file, &String::from_utf8_lossy(&kept));
    }
    let log = exporter.log();
    assert!(log.contains("TRACE"), "the log tells all: {log}");
    assert!(log.contains("No key [secret], Basic [secret]"), "{log}");
    secrets.assert_absent("the log", &log);
    for file in [
        "key: everybody can read",
        "peer: everybody can read",
        "webhook: everybody can read",
        "named: the download at http://",
    ] {
        assert!(log.contains(file), "{file}: {log}");
    }
    let of_client = bench.client.key.display();
    assert!(
        log.contains(&format!("{of_client}: everybody can read this secret")),
        "{log}"
    );
}

/// Runs the program with these arguments in a folder with all files.
fn run_in(folder: &Path, args: &[&str]) -> Run {
    let mut command = command();
    command
        .current_dir(folder)
        .env("SSLMATE_API_KEY", API_KEY)
        .args(args);
    command.output().unwrap().into()
}

#[test]
fn no_secret_is_in_the_output_of_check() {
    const URL: &str = "URL of the download";
    let commands: [&[&str]; 9] = [
        &["config", "check", "certvigil.yml"],
        &[
            "check",
            "-vvv",
            "-c",
            "certvigil.yml",
            "--vantage",
            "local,there",
            "--format",
            "json",
        ],
        &[
            "check",
            "-vvv",
            "-c",
            "certvigil.yml",
            "--vantage",
            "local,there",
        ],
        &["check", "-vvv", "-c", "certvigil.yml", "--format", "junit"],
        &[
            "check",
            "-vvv",
            "-c",
            "certvigil.yml",
            "--format",
            "prometheus",
        ],
        &["check", "-vvv", "-c", "certvigil.yml", "--format", "nagios"],
        &[
            "check",
            "-vvv",
            "-c",
            "certvigil.yml",
            "--sslmate",
            "a.example",
            "--timeout",
            "1s",
        ],
        &["check", "-vvv", "--download", URL, "--timeout", "1s"],
        &["chain", "-vvv", "--download", URL],
    ];
    for_each_concurrently(commands.into_iter().enumerate(), |(number, args)| {
        // Each command has its own API, which begins with another way.
        let bench = Bench::with(broken_api(number));
        let secrets = bench.secrets();
        let folder = tempfile::tempdir().unwrap();
        bench.write_secrets(folder.path(), 0o600);
        write(folder.path(), "certvigil.yml", &bench.config, 0o600);
        let url = format!("http://{}/{DOWNLOAD}", bench.api.address);
        let args: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == URL { &url } else { *arg })
            .collect();
        let run = run_in(folder.path(), &args);
        secrets.assert_absent(&format!("stdout of {args:?}"), &run.stdout);
        secrets.assert_absent(&format!("stderr of {args:?}"), &run.stderr);
        let of_file = run
            .stderr
            .lines()
            .filter(|line| line.contains("certvigil.yml: "));
        let (warnings, errors): (Vec<_>, Vec<_>) =
            of_file.partition(|line| line.contains("is not encrypted: an attacker on the path"));
        assert_eq!(errors, [""; 0], "{run:?}");
        // Two entries have a download over plain HTTP.
        let is_read = args.contains(&"certvigil.yml");
        assert_eq!(warnings.len(), if is_read { 2 } else { 0 }, "{run:?}");
        let of_client = format!("{}: everybody can", bench.client.key.display());
        let readable = run
            .stderr
            .lines()
            .filter(|l| l.contains("everybody can read"));
        // Other users cannot read the other files.
        for line in readable {
            assert!(line.contains(&of_client), "{args:?}: {line}");
        }
    });
    let bench = Bench::new();
    let secrets = bench.secrets();
    let folder = tempfile::tempdir().unwrap();
    bench.write_secrets(folder.path(), 0o600);
    // The file itself is invalid.
    for (key, value) in [
        ("api_key_file: key", format!("api_key: {API_KEY}")),
        ("secret_file: webhook", format!("secret: {WEBHOOK}")),
    ] {
        let broken = bench.config.replace(key, &value);
        write(folder.path(), "certvigil.yml", &broken, 0o600);
        let run = run_in(folder.path(), &["config", "check", "certvigil.yml"]);
        assert_eq!(run.code, 3, "{run:?}");
        secrets.assert_absent("config check", &format!("{}{}", run.stdout, run.stderr));
    }
    // The file of the other program, which has an endpoint too.
    let home = tempfile::tempdir().unwrap();
    let file = format!("api_key {API_KEY}\napi_endpoint ftp://prober:{PEER}@a.example/\n");
    write(home.path(), ".sslmate", &file, 0o604);
    let mut command = command();
    let told: Run = command
        .args(["check", "-vvv", "--sslmate", "a.example"])
        .env("HOME", home.path())
        .output()
        .unwrap()
        .into();
    assert_eq!(told.code, 3);
    assert!(
        told.stderr
            .contains(".sslmate: everybody can read this secret"),
        "{told:?}"
    );
    secrets.assert_absent("check", &format!("{}{}", told.stdout, told.stderr));
}

#[test]
fn web_server_key_is_in_no_log_and_lax_permissions_are_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let config = inventory(
        &pki,
        LONG_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let secrets = Secrets::new(&pki, &hash, &[&leaf.key]);
    let pem = std::fs::read_to_string(&leaf.key).unwrap();
    let chain = pki.full_chain(&leaf);
    let web = |key: &str| {
        format!(
            "tls_server_config: {{cert_file: {}, {key}}}\nbasic_auth_users: {{user: \"{hash}\"}}\n",
            chain.display()
        )
    };
    let in_file = web(&format!("key_file: {}", leaf.key.display()));
    let inline = web(&format!("key: \"{}\"", pem.replace('\n', "\\n")));
    let half = web(&format!(
        "key: \"{}\"",
        pem.replace('\n', "\\n").replace("END", "ND")
    ));
    let args = ["-vvv", "--web.config.file", "web.yml"];
    let mut exporter = Exporter::start(&config, &args, |folder| {
        std::fs::write(folder.join("web.yml"), in_file).unwrap();
    });
    let told = format!("{}: everybody can read this secret", leaf.key.display());
    assert!(exporter.log().contains(&told), "{}", exporter.log());
    for (text, words) in [
        (inline, "configuration reloaded"),
        (half, "configuration refused"),
    ] {
        std::fs::write(exporter.path("web.yml"), text).unwrap();
        exporter.signal("HUP");
        wait_until(words, || exporter.log().contains(words).then_some(()));
    }
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0));
    secrets.assert_absent("the log", &exporter.log());
}
