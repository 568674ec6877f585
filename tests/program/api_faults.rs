//! `check` against an API that is slow, endless or huge, has a wrong clock, or fails at TLS.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use certvigil::testbed::authority::{Authority, Key, Validity};
use serde_json::json;

use crate::canned::{self, Canned};
use crate::fixture::pki::{Leaf, Pki, now};
use crate::fixture::process::PATIENCE;
use crate::fixture::tls::{Server, config, read_some, send_bytes};
use crate::sources::{object, source_succeeded};
use crate::support::{Run, command, for_each_concurrently};

const MEBIBYTE: usize = 1 << 20;
const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";

/// Checks a certificate of the account of the API at `endpoint`, and trusts these roots for the API
/// too.
fn check(endpoint: &str, roots: Option<&Path>, timeout: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yml");
    let text =
        format!("sslmate: {{endpoint: \"{endpoint}\"}}\ncertificates: [{{sslmate: a.example}}]\n");
    std::fs::write(&file, text).unwrap();
    let mut command = command();
    command.args(["check", "--sslmate", "a.example", "--vantage", "local"]);
    command.args([
        "--resolve",
        "a.example:443:127.0.0.99",
        "--timeout",
        timeout,
        "-c",
    ]);
    command.arg(&file);
    if let Some(roots) = roots {
        command.arg("--ca-file").arg(roots);
    }
    command.env("SSLMATE_API_KEY", "k").output().unwrap().into()
}

/// Asserts that stdout is empty and stderr is one line of error with these words.
fn assert_error(case: &str, run: &Run, words: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{case}: {run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{case}: {}", run.stderr);
    for words in words {
        assert!(run.stderr.contains(words), "{case}: {}", run.stderr);
    }
}

/// An API over real sockets that answers each request with `answer`.
fn api(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (Server, String) {
    let server = Server::start("127.0.0.1", move |stream| {
        read_some(stream);
        answer(stream);
    });
    let endpoint = format!("http://127.0.0.1:{}/api/v2", server.port());
    (server, endpoint)
}

#[test]
fn response_of_100_megabytes_is_not_read_completely() {
    for is_announced in [true, false] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let (_server, endpoint) = api(move |stream| {
            let length = 100 * MEBIBYTE;
            let (head, chunk) = match is_announced {
                true => (
                    format!("{JSON}Content-Length: {length}\r\n\r\n"),
                    vec![b' '; MEBIBYTE],
                ),
                false => {
                    let mut chunk = b"100000\r\n".to_vec();
                    chunk.resize(chunk.len() + MEBIBYTE, b' ');
                    chunk.extend(b"\r\n");
                    (format!("{JSON}Transfer-Encoding: chunked\r\n\r\n"), chunk)
                }
            };
            send_bytes(stream, head.as_bytes());
            for _ in 0..100 {
                if stream.write_all(&chunk).is_err() {
                    return;
                }
                counted.fetch_add(MEBIBYTE, Ordering::SeqCst);
            }
        });
        let run = check(&endpoint, None, "10s");
        assert_error(
            "100 MB",
            &run,
            &["the answer is larger than", "check the endpoint"],
        );
        // Data in the kernel buffers of both sides counts as sent.
        let sent = sent.load(Ordering::SeqCst);
        assert!(sent < 32 * MEBIBYTE, "{sent}");
    }
}

#[test]
fn slow_api_response_ends_at_the_deadline() {
    let (_server, endpoint) = api(|stream| {
        send_bytes(
            stream,
            format!("{JSON}Content-Length: 1000000\r\n\r\n").as_bytes(),
        );
        // Until the client closes the connection.
        while stream.write_all(b" ").is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    let run = check(&endpoint, None, "1s");
    assert_error("drips", &run, &["no answer in time; try again"]);
}

#[test]
fn api_error_status_is_reported_and_not_used_as_a_result() {
    let page = "<html>bad gateway</html>";
    let cases = [
        (
            "404",
            canned::json(404, &json!({"reason": "no_such", "message": "Gone"})),
            "Gone (HTTP 404, no_such)",
        ),
        (
            "404 of somebody else",
            canned::response(404, "text/html", page),
            "HTTP status 404 with an HTML page",
        ),
        (
            "500",
            canned::json(500, &json!({"reason": "oops", "message": "Sorry"})),
            "Sorry (HTTP 500, oops)",
        ),
        (
            "502",
            canned::response(502, "text/html", page),
            "HTTP status 502 with an HTML page",
        ),
        (
            "a page with its own status",
            canned::response(799, "text/html", page),
            "HTTP status 799",
        ),
    ];
    for_each_concurrently(cases, |(case, answer, words)| {
        let api = Canned::start(move |_, _| answer.clone());
        // The source has three times as long: enough for one repetition after two to three seconds,
        // and for no other.
        let run = check(&api.endpoint(), None, "2s");
        assert_error(case, &run, &[words]);
    });
}

#[test]
fn api_tls_failure_is_reported_with_advice_and_not_retried() {
    let pki = Pki::new();
    let root = pki.path("root.pem");
    let right = pki.leaf(&["localhost"]);
    let of_days = |before, after| {
        let key = Key::generate().unwrap();
        let validity = Validity::around(now(), before, after);
        let names = ["localhost".to_owned()];
        let issued = pki.intermediate.issue(&names, validity, &key).unwrap();
        Leaf {
            certificate: issued.certificate,
            key: pki.file(key.to_pem()),
        }
    };
    let stranger = Authority::root("Stranger", Validity::around(now(), 10, 10)).unwrap();
    let stranger = pki.file(stranger.certificate.to_pem());
    let clock = "check the clock of this machine, and the certificate of the endpoint";
    for (case, leaf, roots, words) in [
        (
            "unknown CA",
            &right,
            &stranger,
            "name it in `trust.ca_files`",
        ),
        (
            "another name",
            &pki.leaf(&["other.example"]),
            &root,
            "its certificate is not accepted",
        ),
        ("expired", &of_days(90, -1), &root, clock),
        ("not yet valid", &of_days(-1, 90), &root, clock),
    ] {
        let server = Server::tls("127.0.0.1", config(&pki, leaf));
        let endpoint = format!("https://localhost:{}/api/v2", server.port());
        let run = check(&endpoint, Some(roots), "10s");
        assert_error(case, &run, &["a.example: HTTPS cannot be spoken: ", words]);
        assert_eq!(server.connections(), 1, "{case}");
    }
    // The server speaks plain HTTP where the URL has HTTPS.
    let (_plain, endpoint) =
        api(|stream| send_bytes(stream, &canned::response(400, "text/html", "<html>")));
    let run = check(&endpoint.replace("http:", "https:"), None, "10s");
    assert_error(
        "plain HTTP",
        &run,
        &["it does not speak TLS", "begins with http://"],
    );
    // The server speaks TLS where the URL has HTTP.
    let server = Server::tls("127.0.0.1", config(&pki, &right));
    let endpoint = format!("http://127.0.0.1:{}/api/v2", server.port());
    let run = check(&endpoint, None, "500ms");
    assert_error("TLS", &run, &["check the endpoint"]);
}

/// The HTTP date of `ago` seconds before now.
fn date(ago: i64) -> String {
    let since = Duration::from_secs(u64::try_from(now().0 - ago).unwrap());
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

/// A correct response whose `Date` header is `ago` seconds old.
pub(crate) fn dated(body: &serde_json::Value, ago: i64) -> Vec<u8> {
    let body = body.to_string();
    let (date, length) = (date(ago), body.len());
    format!("{JSON}Date: {date}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

#[test]
fn clock_difference_from_the_api_is_a_warning() {
    const DAY: i64 = 86_400;
    let good = object();
    for (ago, side) in [
        (DAY, Some(" ahead of that of the source: ")),
        (-DAY, Some(" behind that of the source: ")),
        (60, None),
        (-60, None),
    ] {
        let good = good.clone();
        let api = Canned::start(move |_, _| dated(&good, ago));
        let run = check(&api.endpoint(), None, "10s");
        assert!(source_succeeded(&run), "{run:?}");
        let told: Vec<&str> = run
            .stderr
            .split("the clock of this machine is ")
            .skip(1)
            .collect();
        assert_eq!(
            told.len(),
            usize::from(side.is_some()),
            "{ago}: {}",
            run.stderr
        );
        if let Some(side) = side {
            let (off, _) = told[0].split_once(side).expect(told[0]);
            // A response is read slightly later than it was dated.
            let off = humantime::parse_duration(off).unwrap();
            let day = Duration::from_secs(DAY.unsigned_abs());
            assert!(off.abs_diff(day) <= PATIENCE, "{ago}: {off:?}");
        }
    }
}
