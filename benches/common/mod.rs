//! Code that the benchmarks of many endpoints share: addresses, waiting, and requests to a monitor.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

/// Maximum duration of a wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Interval between two polls.
const POLL: Duration = Duration::from_millis(10);
/// Pause after a failed `accept`, since the next one would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A loopback address for each endpoint.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).unwrap();
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number)
}

/// Polls until there is a result.
pub(crate) fn wait_until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, POLL, what, ask)
}

/// Polls with another timeout and interval, for slow events and expensive polls.
pub(crate) fn wait_within<T>(
    patience: Duration,
    poll: Duration,
    what: &str,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < patience, "never came about: {what}");
        thread::sleep(poll);
    }
}

/// Waits until the monitor's log contains its listen address, and returns it.
pub(crate) fn listening(monitor: &mut Child, log: &Path) -> SocketAddr {
    wait_until("a monitor that listens", || {
        let text = fs::read_to_string(log).unwrap();
        let ended = monitor.try_wait().unwrap();
        assert!(ended.is_none(), "the monitor ended: {text}");
        let (_, rest) = text.split_once("listening: address=")?;
        let (address, _) = rest.split_once('\n')?;
        address.trim().parse().ok()
    })
}

/// The head and the body of the response to a request without a body. The request is HTTP/1.0, so
/// the response ends with the connection and is not chunked.
pub(crate) fn ask(server: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: bench\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.to_owned(), body.to_owned())
}

/// Returns true if the status is 200.
pub(crate) fn is_good(head: &str) -> bool {
    head.split(' ').nth(1) == Some("200")
}

/// The sum of a metric's samples.
pub(crate) fn total(exposition: &str, metric: &str) -> f64 {
    let samples = exposition.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        rest.starts_with(['{', ' ']).then_some(())?;
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    samples.sum()
}

/// Accepts the next connection. If the system is out of descriptors, prints that once and retries.
pub(crate) async fn accept(listener: &TcpListener) -> tokio::net::TcpStream {
    static REPORTED: Once = Once::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                REPORTED.call_once(|| {
                    eprintln!(
                        "the lab cannot take a connection, so looks may fail that should not: {error}; \
                         raise the limit of descriptors, with `ulimit -n` or LimitNOFILE="
                    );
                });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
