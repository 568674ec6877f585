//! What the benchmarks of many endpoints have in common: addresses, waiting, and asking a monitor.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

/// How long anything that is waited for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked whether it has come about.
const POLL: Duration = Duration::from_millis(10);
/// How long nobody is let in where there is no room: the next try would fail as well.
const NO_ROOM: Duration = Duration::from_millis(100);

/// An address of loopback for each endpoint.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).unwrap();
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number)
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, POLL, what, ask)
}

/// The same for what takes longer than most, and costs something to ask.
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

/// Where a monitor listens, once its log says so.
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

/// The head and the body of an answer to a request without a body. It is asked in HTTP/1.0, so that the answer ends with
/// the connection, and is not in chunks.
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

/// Whether the head of an answer is that of a good one.
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

/// The next connection. Where the system has no room for one, that is told once, and the others wait.
pub(crate) async fn accept(listener: &TcpListener) -> tokio::net::TcpStream {
    static TOLD: Once = Once::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                TOLD.call_once(|| {
                    eprintln!(
                        "the lab cannot take a connection, so looks may fail that should not: {error}; \
                         raise the limit of descriptors, with `ulimit -n` or LimitNOFILE="
                    );
                });
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}
