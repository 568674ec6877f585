//! Listeners: connections, their time limits, and responses.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::patience::{Pace, Patient};
use super::slots::{ConnectionSlots, ConnectionState};
use super::tls::Tls;
use super::users::Admission;
use super::{Request, Response, Service, State, Web};

/// Shutdown grace period for requests in flight.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Maximum concurrent connections.
pub(super) const MAX_CONNECTIONS: usize = 512;
/// Maximum length of a path with its query, in bytes. A longer one gets 414.
const MAX_URI_BYTES: usize = 8 << 10;
/// Maximum size of a request head, in bytes. A larger one gets 431.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Maximum headers of a request. More get 431.
const MAX_HEADERS: usize = 100;
/// Maximum bytes to read from a client that speaks HTTP on a TLS port. Unread data would reset the
/// connection before the client reads the response.
const MAX_MISTAKEN_BYTES: usize = 4 << 10;
/// `Retry-After` if too many other requests are waiting.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Maximum concurrent connections. At the limit, the longest-idle connection is closed.
    connections: usize,
    /// Maximum time for the TLS handshake.
    handshake: Duration,
    /// Maximum time for a request head from its first byte, and for the first one from the start of
    /// the connection.
    head: Duration,
    /// Maximum time between two requests on a connection. Prometheus scrapes once a minute and
    /// keeps its connection.
    idle: Duration,
    /// Minimum rate at which a client must receive a response.
    pace: Pace,
    /// Pause after a failure to accept a connection.
    accept_pause: Duration,
    /// Minimum time between two checks of the certificate files.
    certificate_pause: Duration,
    shutdown_grace: Duration,
}

const LIMITS: Limits = Limits {
    connections: MAX_CONNECTIONS,
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(10),
    idle: Duration::from_secs(150),
    pace: Pace {
        bytes: 256 << 10,
        time: Duration::from_secs(30),
    },
    accept_pause: Duration::from_millis(500),
    certificate_pause: Duration::from_secs(1),
    shutdown_grace: SHUTDOWN_GRACE,
};

/// Serves requests at the listeners until `shutdown` completes. Then it accepts no new requests,
/// and waits for those in flight for up to [`SHUTDOWN_GRACE`].
pub async fn serve<H: Service>(
    web: Arc<Web>,
    listeners: Vec<TcpListener>,
    service: H,
    shutdown: impl Future<Output = ()>,
) {
    let limits = Limits {
        connections: web.max_connections(),
        ..LIMITS
    };
    serve_within(limits, web, listeners, service, shutdown).await;
}

async fn serve_within<H: Service>(
    limits: Limits,
    web: Arc<Web>,
    listeners: Vec<TcpListener>,
    service: H,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = Arc::new(Acceptor {
        web,
        service,
        limits,
        slots: ConnectionSlots::new(limits.connections),
    });
    let (closing, closed) = watch::channel(false);
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(acceptor.clone().attend(listener, closed.clone()));
    }
    shutdown.await;
    closing.send_replace(true);
    while doors.join_next().await.is_some() {}
}

/// State that all connections share.
struct Acceptor<H> {
    web: Arc<Web>,
    service: H,
    limits: Limits,
    slots: Arc<ConnectionSlots>,
}

impl<H: Service> Acceptor<H> {
    /// Accepts connections of one listener until `closed` is true, then waits for the remaining
    /// ones.
    async fn attend(self: Arc<Self>, listener: TcpListener, mut closed: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut is_failing = false;
        loop {
            let stream = tokio::select! {
                () = end(&mut closed) => break,
                stream = self.accept(&listener, &mut is_failing) => stream,
                // Finished tasks are removed immediately, so that the set does not grow.
                Some(_) = connections.join_next() => continue,
            };
            let slot = tokio::select! {
                () = end(&mut closed) => break,
                slot = self.slots.take() => slot,
            };
            let (acceptor, closed) = (self.clone(), closed.clone());
            connections.spawn(async move {
                tokio::select! {
                    biased;
                    () = acceptor.receive(stream, &slot.state, closed) => {}
                    () = slot.state.must_close() => {
                        tracing::debug!("web: a connection that rests makes room for another");
                    }
                }
                drop(slot);
            });
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        // The connections that remain are dropped with the set.
        let _ = timeout(self.limits.shutdown_grace, all).await;
    }

    async fn accept(&self, listener: &TcpListener, is_failing: &mut bool) -> TcpStream {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    *is_failing = false;
                    return stream;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !*is_failing {
                        tracing::warn!(
                            "web: connections cannot be accepted, trying again: {error}"
                        );
                    }
                    *is_failing = true;
                    // Without free file descriptors, accepting fails immediately and repeatedly. If
                    // a connection ends during the pause, `attend` retries immediately.
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a pause before the next attempt to accept"
                    )]
                    sleep(self.limits.accept_pause).await;
                }
            }
        }
    }

    /// Handles one connection from its start to its end.
    async fn receive(
        &self,
        stream: TcpStream,
        state: &Arc<ConnectionState>,
        mut closed: watch::Receiver<bool>,
    ) {
        // A response is written in several parts, which must not wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.web.state().tls.clone() else {
            return self.serve_connection(stream, state, closed).await;
        };
        let shaken = tokio::select! {
            () = end(&mut closed) => return,
            shaken = timeout(self.limits.handshake, self.shake_hands(stream, &tls)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => self.serve_connection(stream, state, closed).await,
            Ok(Err(error)) => tracing::debug!("web: TLS handshake: {error}"),
            Err(_) => tracing::debug!("web: TLS handshake: it takes too long"),
        }
    }

    async fn shake_hands(
        &self,
        mut stream: TcpStream,
        tls: &Arc<Tls>,
    ) -> io::Result<TlsStream<TcpStream>> {
        // The first byte of TLS is 22. A letter is the start of an HTTP method.
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first.iter().all(u8::is_ascii_alphabetic) {
            let mut said = vec![0; MAX_MISTAKEN_BYTES];
            let _ = stream.try_read(&mut said);
            let words = "this port uses HTTPS: use https://\n";
            let length = words.len();
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{words}"
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("the client talks plain HTTP"));
        }
        let config = tls.config(self.limits.certificate_pause).await;
        TlsAcceptor::from(config).accept(stream).await
    }

    async fn serve_connection<S>(
        &self,
        stream: S,
        state: &Arc<ConnectionState>,
        mut closed: watch::Receiver<bool>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limits = &self.limits;
        let stream = Patient::new(stream, state.clone(), limits.head, limits.pace);
        let service = service_fn(|request| {
            state.begin_answer();
            async {
                let response = self.answer(request).await;
                state.end_answer();
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper's timer runs from the end of one request to the end of the next request's head.
            .header_read_timeout(self.limits.idle)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = end(&mut closed) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!("web: a connection ends early: {error}");
        }
    }

    async fn answer(&self, request: Request) -> Response {
        let state = self.web.state();
        let path = request.uri().path().to_owned();
        let answered = unless_it_panics(self.admitted(&state, request)).await;
        let mut response = answered.unwrap_or_else(|| {
            let words = "internal error in certvigil; its log has the details";
            self.refused(&path, StatusCode::INTERNAL_SERVER_ERROR, words, None)
        });
        for (name, value) in &state.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    async fn admitted(&self, state: &State, request: Request) -> Response {
        let uri = request.uri();
        let refused = |status, words: &str, wait| self.refused(uri.path(), status, words, wait);
        if uri.path().len() + uri.query().map_or(0, str::len) > MAX_URI_BYTES {
            let words = format!("the path and the query are longer than {MAX_URI_BYTES} bytes");
            return refused(StatusCode::URI_TOO_LONG, &words, None);
        }
        if !self.web.hosts.allow(uri, request.headers()) {
            let words = "this host name is not one of --web.allowed-host";
            return refused(StatusCode::MISDIRECTED_REQUEST, words, None);
        }
        if let Some(rate) = &state.rate
            && let Err(wait) = rate.take(Instant::now())
        {
            let words = "there are more requests than `rate_limit` allows";
            return refused(StatusCode::TOO_MANY_REQUESTS, words, Some(wait));
        }
        if self.service.is_exempt(uri.path()) {
            return self.service.answer(request).await;
        }
        match state
            .users
            .admit(request.headers().get(AUTHORIZATION))
            .await
        {
            Admission::Granted => self.service.answer(request).await,
            Admission::Denied => {
                let words = "the user name or the password is wrong";
                let mut response = refused(StatusCode::UNAUTHORIZED, words, None);
                // User names and passwords are decoded as UTF-8 (RFC 7617, section 2.1).
                let challenge =
                    HeaderValue::from_static(r#"Basic realm="certvigil", charset="UTF-8""#);
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                response
            }
            Admission::Busy => refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many passwords are being checked",
                Some(BUSY_RETRY_AFTER),
            ),
        }
    }

    fn refused(
        &self,
        path: &str,
        status: StatusCode,
        words: &str,
        wait: Option<Duration>,
    ) -> Response {
        // Rounded up: a client that retries too early would be refused again.
        let seconds = wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let mut response = self.service.refused(path, status, words, seconds);
        *response.status_mut() = status;
        if let Some(seconds) = seconds {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Catches a panic in the handler of one request, so that other requests continue.
async fn unless_it_panics(answer: impl Future<Output = Response>) -> Option<Response> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
        polled.map_or_else(
            |_| {
                tracing::error!("web: an answer has panicked, which is a bug in certvigil");
                Poll::Ready(None)
            },
            |polled| polled.map(Some),
        )
    })
    .await
}

/// Waits until the shutdown starts.
async fn end(closed: &mut watch::Receiver<bool>) {
    let _ = closed.wait_for(|closed| *closed).await;
}

/// Returns true if accepting failed because of one client, so that the next connection may be
/// accepted immediately.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
