//! Tests over real sockets. Limits are so small or so large that only one of them can end a
//! connection.

use std::future::pending;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::whole;
use certvigil_core::authority::{Authority, Key, Validity};
use certvigil_core::model::Timestamp;

use super::*;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3600);
/// Time after which a test that waits for data fails.
const PATIENCE: Duration = Duration::from_secs(180);

const PATIENT: Limits = Limits {
    connections: 100,
    handshake: LONG,
    head: LONG,
    idle: LONG,
    pace: Pace {
        bytes: 1,
        time: LONG,
    },
    accept_pause: LONG,
    certificate_pause: LONG,
    shutdown_grace: LONG,
};

/// Size of a response that exceeds the buffers of two sockets, in bytes.
const LARGE: usize = 64 << 20;

#[derive(Default)]
struct TestService {
    entered: Arc<Notify>,
    released: Arc<Notify>,
}

impl Service for TestService {
    async fn answer(&self, request: Request) -> Response {
        match request.uri().path() {
            "/wait" => {
                self.entered.notify_one();
                self.released.notified().await;
            }
            "/for-ever" => {
                self.entered.notify_one();
                pending::<()>().await;
            }
            "/panic" => panic!("as it was asked for"),
            "/large" => return Response::new(whole(vec![b'x'; LARGE])),
            _ => {}
        }
        Response::new(whole(format!("you asked for {}", request.uri().path())))
    }

    fn is_exempt(&self, path: &str) -> bool {
        path == "/open"
    }

    fn refused(&self, path: &str, _: StatusCode, words: &str, wait: Option<u64>) -> Response {
        Response::new(whole(format!("{path} is refused: {words}, {wait:?}")))
    }
}

struct Running {
    address: SocketAddr,
    entered: Arc<Notify>,
    released: Arc<Notify>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

async fn start(limits: Limits, web: Web) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TestService::default();
    let (entered, released) = (service.entered.clone(), service.released.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve_within(
        limits,
        Arc::new(web),
        vec![listener],
        service,
        shutdown,
    ));
    Running {
        address,
        entered,
        released,
        stop,
        server,
    }
}

fn plain_http() -> Web {
    Web::open(None).unwrap()
}

fn configured(text: &str) -> Web {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    std::fs::write(&file, text).unwrap();
    Web::open(Some(&file)).unwrap()
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("this takes too long")
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.address).await.unwrap()
}

async fn send_text(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Returns one response, on a connection that stays open.
async fn read_response(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let head = loop {
        received.push(in_time(stream.read_u8()).await.expect("an answer"));
        if received.ends_with(b"\r\n\r\n") {
            break String::from_utf8(received).unwrap();
        }
    };
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    in_time(stream.read_exact(&mut body)).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

async fn ask(stream: &mut TcpStream, request: &str) -> String {
    send_text(stream, request).await;
    read_response(stream).await
}

/// Returns all data until the server closes the connection.
async fn read_until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    // A reset counts as the end too.
    let _ = in_time(stream.read_to_end(&mut received)).await;
    received
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let running = start(PATIENT, plain_http()).await;
    let mut stream = connect(&running).await;
    for path in ["/a", "/b"] {
        let received = ask(&mut stream, &get(path)).await;
        assert!(received.starts_with("HTTP/1.1 200"), "{received}");
        assert!(
            received.ends_with(&format!("you asked for {path}")),
            "{received}"
        );
    }
    // Two pipelined requests.
    let received = ask(&mut stream, &(get("/c") + &get("/d"))).await;
    assert!(received.ends_with("/c"), "{received}");
    assert!(read_response(&mut stream).await.ends_with("/d"));
}

#[tokio::test]
async fn connection_with_an_incomplete_request_head_is_closed() {
    let limits = Limits {
        head: SHORT,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    for said in ["", "GET / HTT", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = connect(&running).await;
        send_text(&mut stream, said).await;
        assert_eq!(read_until_closed(&mut stream).await, b"", "{said:?}");
    }
    let mut stream = connect(&running).await;
    ask(&mut stream, &get("/")).await;
    send_text(&mut stream, "GET").await;
    assert_eq!(
        read_until_closed(&mut stream).await,
        b"",
        "nor a second one"
    );
}

#[tokio::test]
async fn idle_connection_outlives_the_head_timeout() {
    let limits = Limits {
        head: SHORT,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut resting = connect(&running).await;
    ask(&mut resting, &get("/")).await;
    // A client that connects later and sends an incomplete head is closed by then.
    let mut slow = connect(&running).await;
    send_text(&mut slow, "GET").await;
    read_until_closed(&mut slow).await;
    assert!(ask(&mut resting, &get("/again")).await.ends_with("/again"));
}

#[tokio::test]
async fn idle_connection_is_closed_after_the_idle_timeout() {
    let limits = Limits {
        idle: SHORT,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut stream = connect(&running).await;
    ask(&mut stream, &get("/")).await;
    assert_eq!(read_until_closed(&mut stream).await, b"");
}

#[tokio::test]
async fn slow_handler_does_not_time_out() {
    let limits = Limits {
        head: SHORT,
        pace: Pace {
            bytes: 1,
            time: SHORT,
        },
        idle: SHORT,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut waiting = connect(&running).await;
    send_text(&mut waiting, &get("/wait")).await;
    in_time(running.entered.notified()).await;
    // All limits have expired when this connection is closed.
    let mut slow = connect(&running).await;
    read_until_closed(&mut slow).await;
    running.released.notify_one();
    assert!(read_response(&mut waiting).await.ends_with("/wait"));
}

#[tokio::test]
async fn client_that_does_not_read_the_response_is_disconnected() {
    let limits = Limits {
        pace: Pace {
            bytes: 1,
            time: SHORT,
        },
        connections: 1,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut greedy = connect(&running).await;
    send_text(&mut greedy, &get("/large")).await;
    in_time(greedy.peek(&mut [0])).await.unwrap();
    // There is only one connection slot, so this response shows that it was released.
    let mut next = connect(&running).await;
    assert!(ask(&mut next, &get("/next")).await.ends_with("/next"));
    assert!(read_until_closed(&mut greedy).await.len() < LARGE);
}

/// The client receives data continuously, so no single wait is long.
#[tokio::test]
async fn slowly_reading_client_is_disconnected() {
    let limits = Limits {
        pace: Pace {
            bytes: LARGE,
            time: SHORT,
        },
        connections: 1,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut slow = connect(&running).await;
    send_text(&mut slow, &get("/large")).await;
    in_time(slow.peek(&mut [0])).await.unwrap();
    let mut next = connect(&running).await;
    send_text(&mut next, &get("/next")).await;
    let mut taken = 0;
    let dripping = async {
        // Reading all data in such small parts would take many times the limit, and the
        // connection's window much less.
        let mut drop = [0; 16];
        while let Ok(count @ 1..) = slow.read(&mut drop).await {
            taken += count;
            assert!(taken < LARGE, "it was let take all of it");
            tokio::task::yield_now().await;
        }
    };
    let (received, ()) = tokio::join!(read_response(&mut next), dripping);
    assert!(received.ends_with("/next"), "{received}");
}

#[tokio::test]
async fn longest_idle_connection_is_closed_at_the_limit() {
    let limits = Limits {
        connections: 3,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut busy = connect(&running).await;
    send_text(&mut busy, &get("/wait")).await;
    in_time(running.entered.notified()).await;
    let (mut first, mut second) = (connect(&running).await, connect(&running).await);
    // The connection that was opened later has been idle longer.
    ask(&mut second, &get("/")).await;
    ask(&mut first, &get("/")).await;
    let mut third = connect(&running).await;
    assert!(ask(&mut third, &get("/third")).await.ends_with("/third"));
    assert_eq!(read_until_closed(&mut second).await, b"");
    assert!(ask(&mut first, &get("/still")).await.ends_with("/still"));
    // A connection whose request is being handled stays open for any time.
    running.released.notify_one();
    assert!(read_response(&mut busy).await.ends_with("/wait"));
}

/// If no connection is idle, a new one waits for the first one that finishes.
#[tokio::test]
async fn connection_with_a_request_in_progress_is_not_closed_at_the_limit() {
    let limits = Limits {
        connections: 1,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut busy = connect(&running).await;
    send_text(&mut busy, &get("/wait")).await;
    in_time(running.entered.notified()).await;
    let mut next = connect(&running).await;
    send_text(&mut next, &get("/next")).await;
    let released = running.released.clone();
    let (answered, received) = tokio::join!(
        async {
            // Long enough for many searches for an idle connection.
            let _ = timeout(4 * SHORT, pending::<()>()).await;
            released.notify_one();
            read_response(&mut busy).await
        },
        read_response(&mut next)
    );
    assert!(answered.ends_with("/wait"), "{answered}");
    assert!(received.ends_with("/next"), "{received}");
}

#[tokio::test]
async fn large_response_is_sent_completely() {
    let running = start(PATIENT, plain_http()).await;
    let mut stream = connect(&running).await;
    assert!(ask(&mut stream, &get("/large")).await.len() > LARGE);
}

#[tokio::test]
async fn panic_in_a_handler_is_a_500_response() {
    let running = start(
        PATIENT,
        configured("http_server_config: {headers: {X-Frame-Options: deny}}"),
    )
    .await;
    let mut stream = connect(&running).await;
    let received = ask(&mut stream, &get("/panic")).await;
    assert!(received.starts_with("HTTP/1.1 500"), "{received}");
    assert!(received.contains("x-frame-options: deny\r\n"), "{received}");
    assert!(
        received.contains("/panic is refused: internal error"),
        "{received}"
    );
    assert!(ask(&mut stream, &get("/after")).await.ends_with("/after"));
}

#[tokio::test]
async fn shutdown_waits_for_requests_in_flight() {
    let running = start(PATIENT, plain_http()).await;
    // Connections that must not delay the shutdown, and one with a request in flight.
    let mut fresh = connect(&running).await;
    let mut resting = connect(&running).await;
    ask(&mut resting, &get("/")).await;
    let mut waiting = connect(&running).await;
    send_text(&mut waiting, &get("/wait")).await;
    in_time(running.entered.notified()).await;

    running.stop.send(()).unwrap();
    assert_eq!(read_until_closed(&mut resting).await, b"");
    assert_eq!(read_until_closed(&mut fresh).await, b"");
    // The listener is closed before the idle connections are.
    assert!(TcpStream::connect(running.address).await.is_err());
    assert!(!running.server.is_finished());

    running.released.notify_one();
    let received = read_response(&mut waiting).await;
    assert!(received.ends_with("/wait"), "{received}");
    assert!(received.contains("connection: close\r\n"), "{received}");
    in_time(running.server).await.unwrap();
}

#[tokio::test]
async fn shutdown_aborts_requests_after_the_grace_period() {
    let limits = Limits {
        shutdown_grace: SHORT,
        ..PATIENT
    };
    let running = start(limits, plain_http()).await;
    let mut stream = connect(&running).await;
    send_text(&mut stream, &get("/for-ever")).await;
    in_time(running.entered.notified()).await;
    running.stop.send(()).unwrap();
    in_time(running.server).await.unwrap();
    assert_eq!(read_until_closed(&mut stream).await, b"");
}

#[tokio::test]
async fn too_long_uri_or_request_head_is_refused() {
    let running = start(PATIENT, plain_http()).await;
    let mut stream = connect(&running).await;
    let long = format!("/?{}", "x".repeat(MAX_URI_BYTES));
    let received = ask(&mut stream, &get(&long)).await;
    assert!(received.starts_with("HTTP/1.1 414"), "{received}");
    let long = format!("/?{}", "x".repeat(MAX_URI_BYTES - 1));
    assert!(
        ask(&mut stream, &get(&long))
            .await
            .starts_with("HTTP/1.1 200")
    );

    for head in [
        format!(
            "GET / HTTP/1.1\r\nA: {}\r\n\r\n",
            "x".repeat(MAX_HEAD_BYTES)
        ),
        format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: x\r\n".repeat(MAX_HEADERS + 1)
        ),
    ] {
        let mut stream = connect(&running).await;
        // The response may arrive before the whole request is sent.
        let _ = stream.write_all(head.as_bytes()).await;
        let received = read_until_closed(&mut stream).await;
        let received = String::from_utf8_lossy(&received);
        assert!(received.starts_with("HTTP/1.1 431"), "{received}");
    }
}

#[tokio::test]
async fn request_over_the_rate_limit_gets_429_with_retry_after() {
    let web = configured("rate_limit: {interval: 20h, burst: 2}");
    let running = start(PATIENT, web).await;
    let mut stream = connect(&running).await;
    for status in ["200", "200", "429"] {
        let received = ask(&mut stream, &get("/")).await;
        assert!(
            received.starts_with(&format!("HTTP/1.1 {status}")),
            "{received}"
        );
        // The first request was a moment ago, so slightly less than 20 hours (72000 s) remain.
        let is_reported = received.contains("retry-after: 7");
        assert_eq!(is_reported, status == "429", "{received}");
    }
}

#[tokio::test]
async fn basic_auth_is_required_except_on_paths_with_their_own_secret() {
    let hash = bcrypt::hash("secret", 4).unwrap();
    let web = configured(&format!("basic_auth_users: {{alice: '{hash}'}}"));
    let running = start(PATIENT, web).await;
    let mut stream = connect(&running).await;
    let received = ask(&mut stream, &get("/closed")).await;
    assert!(received.starts_with("HTTP/1.1 401"), "{received}");
    assert!(
        received.contains("www-authenticate: Basic realm="),
        "{received}"
    );
    let words = "/closed is refused: the user name or the password is wrong, None";
    assert!(received.ends_with(words), "{received}");
    assert!(
        ask(&mut stream, &get("/open"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    // alice:secret, alice:wrong, bob:secret
    for (credentials, status) in [
        ("YWxpY2U6c2VjcmV0", "200"),
        ("YWxpY2U6d3Jvbmc=", "401"),
        ("Ym9iOnNlY3JldA==", "401"),
    ] {
        let head =
            format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\r\n");
        let received = ask(&mut stream, &head).await;
        assert!(
            received.starts_with(&format!("HTTP/1.1 {status}")),
            "{received}"
        );
    }
}

fn over_tls() -> Web {
    let now = Timestamp(1_800_000_000);
    let validity = Validity::around(now, 1, 1);
    let authority = Authority::root("Root", validity).unwrap();
    let key = Key::generate().unwrap();
    let leaf = authority
        .issue(&["localhost".into()], validity, &key)
        .unwrap();
    let one_line = |pem: String| pem.replace('\r', "").replace('\n', "\\n");
    let certificate = one_line(leaf.certificate.to_pem());
    let key = one_line(key.to_pem());
    configured(&format!(
        "tls_server_config:\n  cert: \"{certificate}\"\n  key: \"{key}\"\n"
    ))
}

#[tokio::test]
async fn stalled_tls_handshake_is_closed() {
    let limits = Limits {
        handshake: SHORT,
        ..PATIENT
    };
    let running = start(limits, over_tls()).await;
    for said in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00"] {
        let mut stream = connect(&running).await;
        stream.write_all(said).await.unwrap();
        assert_eq!(read_until_closed(&mut stream).await, b"", "{said:?}");
    }
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_tls_handshake() {
    let running = start(PATIENT, over_tls()).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"\x16").await.unwrap();
    running.stop.send(()).unwrap();
    in_time(running.server).await.unwrap();
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_a_400_naming_https() {
    let running = start(PATIENT, over_tls()).await;
    let mut stream = connect(&running).await;
    send_text(&mut stream, &get("/metrics")).await;
    let received = String::from_utf8(read_until_closed(&mut stream).await).unwrap();
    assert!(received.starts_with("HTTP/1.1 400"), "{received}");
    assert!(received.ends_with("use https://\n"), "{received}");
}

#[test]
fn accept_error_of_one_connection_is_recognised() {
    for (number, is_of_one) in [
        (103, true),  // ECONNABORTED
        (24, false),  // EMFILE
        (23, false),  // ENFILE
        (105, false), // ENOBUFS
    ] {
        let error = io::Error::from_raw_os_error(number);
        assert_eq!(is_of_one_connection(&error), is_of_one, "{error}");
    }
}
