//! A proxy before the sandbox: it forwards requests, or fails in one of many ways.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::clock::{Seconds, now};
use super::common::accept;

/// Listen backlog.
const BACKLOG: u32 = 1024;

/// Handling of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Passes,
    Refused,
    Closes,
    Silent,
    Broken,
    BadGateway,
    Limited,
    Unauthorized,
    Forbidden,
    Truncated,
    Endless,
    Garbage,
}

impl Mode {
    pub(crate) const FAULTS: [Self; 11] = [
        Self::Refused,
        Self::Closes,
        Self::Silent,
        Self::Broken,
        Self::BadGateway,
        Self::Limited,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Truncated,
        Self::Endless,
        Self::Garbage,
    ];

    fn answer(self) -> &'static [u8] {
        match self {
            Self::Broken => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}",
            Self::BadGateway => {
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
            }
            Self::Limited => {
                b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n{\"reason\":\"rate_limited\",\"message\":\"too many\",  \"retry_after\":2}"
            }
            Self::Unauthorized => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}",
            Self::Forbidden => b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}",
            Self::Truncated => b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{\"exists\": tr",
            Self::Endless => b"HTTP/1.1 200 OK\r\n\r\n{\"cn\": \"",
            Self::Garbage => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe{}",
            Self::Passes | Self::Refused | Self::Closes | Self::Silent => b"",
        }
    }
}

/// A period in which the API failed. It has no end while it continues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Seconds,
    pub(crate) until: Option<Seconds>,
}

/// The proxy.
#[derive(Clone)]
pub(crate) struct Front {
    mode: Arc<watch::Sender<Mode>>,
    outages: Arc<Mutex<Vec<Outage>>>,
}

impl Front {
    /// Starts a proxy for `behind`, which forwards all requests at first. While it fails, it closes
    /// each connection after `max_connection_time`.
    pub(crate) async fn serve(
        behind: SocketAddr,
        max_connection_time: Duration,
    ) -> (Self, SocketAddr) {
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let front = Self {
            mode: Arc::new(watch::Sender::new(Mode::Passes)),
            outages: Arc::default(),
        };
        let mut mode = front.mode.subscribe();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    stream = accept(&listener) => {
                        tokio::spawn(relay(stream, behind, mode.clone(), max_connection_time));
                    }
                    () = async { drop(mode.wait_for(|mode| *mode == Mode::Refused).await) } => {
                        // The port refuses connections until then, and stays bound, so that no
                        // other process takes it.
                        drop(listener);
                        let held = held(address);
                        drop(mode.wait_for(|mode| *mode != Mode::Refused).await);
                        listener = held.listen(BACKLOG).unwrap();
                    }
                }
            }
        });
        (front, address)
    }

    pub(crate) fn set(&self, mode: Mode) {
        let mut outages = self.outages.lock().unwrap();
        let is_away = mode != Mode::Passes;
        let at = now();
        let open = outages.last_mut().filter(|last| last.until.is_none());
        match (open, is_away) {
            (None, true) => outages.push(Outage {
                from: at,
                until: None,
            }),
            (Some(last), false) => last.until = Some(at),
            (None, false) | (Some(_), true) => {}
        }
        self.mode.send_replace(mode);
    }

    /// Every outage so far, in order.
    pub(crate) fn outages(&self) -> Vec<Outage> {
        self.outages.lock().unwrap().clone()
    }
}

/// A bound port at which nothing listens.
fn held(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn relay(
    mut stream: TcpStream,
    behind: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    max_connection_time: Duration,
) {
    let now = *mode.borrow_and_update();
    if now == Mode::Passes {
        let Ok(mut other) = TcpStream::connect(behind).await else {
            return;
        };
        // Forwarded connections are closed when the proxy begins to fail.
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut other) => {}
            _ = mode.changed() => {}
        }
        return;
    }
    let _ = timeout(max_connection_time, fail(stream, now)).await;
}

async fn fail(mut stream: TcpStream, mode: Mode) -> std::io::Result<()> {
    let mut request = [0; 4096];
    if mode == Mode::Closes || stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    stream.write_all(mode.answer()).await?;
    match mode {
        Mode::Endless => loop {
            stream.write_all(&[b'x'; 4096]).await?;
        },
        Mode::Silent => while stream.read(&mut request).await? > 0 {},
        _ => {}
    }
    stream.shutdown().await
}
