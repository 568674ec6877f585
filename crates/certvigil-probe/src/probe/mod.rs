//! One probe of one address: connects, performs STARTTLS if the protocol needs it, performs the
//! handshake, and records the server's certificates.

mod bounds;
mod cleartext;
mod client_cert;
mod encrypted_hello;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshake;
mod hello_size;
mod key_proof;
mod p521;
#[cfg(feature = "h3")]
mod quic;
mod reach;
mod request;
mod retry;
mod rsa;
#[cfg(feature = "h3")]
mod session;
mod setup;
mod starttls;
mod tds;
mod tls_error;
mod transport;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::certificate::Interner;
use crate::model::{Protocol, Target, Timings};
use crate::observation::{ErrorKind, Outcome, ProbeError, Served};

pub use bounds::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
use cleartext::Offer;
pub use client_cert::{ClientCertError, ClientFiles, ClientKeyError};
use reach::ReachError;
pub use reach::{Reach, ReachSettings, Reaches, UnsuitedSetting};
pub use request::Request;
use retry::accepts;
use setup::Hello;
pub use setup::SetupError;
use transport::Transport;

/// Divisor of the remaining time that yields the time limit for the connection. The rest is for the
/// handshake.
const CONNECT_SHARE: u32 = 2;
/// Divisor of the remaining time that yields the reserve for a second hello, if the server does not
/// answer the first.
const SECOND_HELLO_SHARE: u32 = 5;
/// Time to wait for the server to close the connection after our close_notify. Waiting avoids a
/// connection reset in the server's log.
const LINGER: Duration = Duration::from_millis(250);

/// Prober with the state that all handshakes share, which is created once.
pub struct Prober {
    config: setup::Configs,
}

impl Prober {
    /// Prepares the shared state of the handshakes.
    ///
    /// # Errors
    /// If the cryptographic library does not support TLS 1.2 and 1.3.
    pub fn new() -> Result<Self, SetupError> {
        Ok(Self {
            config: setup::Configs::new(Arc::default())?,
        })
    }

    /// Returns the certificates that servers sent, shared between all holders of an identical
    /// certificate.
    pub fn certificates(&self) -> &Arc<Interner> {
        &self.config.certificates
    }

    /// Probes one address within the deadline. A failure is an outcome.
    pub async fn probe(&self, request: Request<'_>, deadline: Instant) -> (Outcome, Timings) {
        let mut timings = Timings::default();
        let outcome = match self.take(request, deadline, &mut timings).await {
            Ok(mut served) => {
                if let Some(failure) = &mut served.failure {
                    failure.sent = Some(Box::new(request.sent()));
                }
                Outcome::Served(Box::new(served))
            }
            Err(error) => Outcome::Failed(ProbeError {
                sent: Some(Box::new(request.sent())),
                ..error
            }),
        };
        (outcome, timings)
    }

    async fn take(
        &self,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Served, ProbeError> {
        // Boxed: state that few probes need must not enlarge every waiting probe. There may be ten
        // thousand.
        if request.target.protocol.is_quic() {
            #[cfg(feature = "h3")]
            return Box::pin(quic::take(&self.config, request, deadline, timings)).await;
            #[cfg(not(feature = "h3"))]
            return Err(ProbeError::new(
                ErrorKind::Internal,
                "this build of certvigil cannot probe HTTP/3: it was compiled without the feature `h3`; install a complete build",
            ));
        }
        if !setup::can_send(request.sni()) {
            return Box::pin(self.take_with_odd_name(request, deadline, timings)).await;
        }
        let stream = match open(request, deadline, timings).await {
            Ok(stream) => stream,
            Err(failure) => {
                return Box::pin(self.take_tls_first(failure, request, deadline, timings)).await;
            }
        };
        let start = Instant::now();
        let mut connection =
            handshake::Connection::new(&self.config, request, Hello::FIRST, stream)?;
        let reserve = deadline.saturating_duration_since(start) / SECOND_HELLO_SHARE;
        // Boxed, because the result is large while the connection is being closed.
        let result = connection.handshake(deadline - reserve, deadline).await;
        let result = result.map(Box::new);
        let took = start.elapsed();
        timings.handshake = Some(took);
        match result {
            Ok(mut served) => {
                let patience = connection.patience(LINGER, took);
                let refusal = connection.leave(starttls::quit(request), patience).await;
                served.failure = served.failure.or(refusal);
                drop(connection);
                if served.parameters.rare_group.is_some() {
                    let is_accepted = Box::pin(accepts(Offer::Common, request, deadline)).await;
                    served.parameters.refused_common_offer = !is_accepted;
                }
                Ok(*served)
            }
            Err(failure) => {
                // Closed first, because an address never gets two concurrent connections.
                drop(connection);
                Box::pin(self.take_again(failure, start, request, deadline, timings)).await
            }
        }
    }

    /// Probes a server again that may be configured for TLS from the first byte. Returns the first
    /// failure if the protocol has no such configuration, or if this fails too.
    async fn take_tls_first(
        &self,
        failure: starttls::Failure,
        request: Request<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Served, ProbeError> {
        let protocol = request.target.protocol.tls_first();
        let Some(protocol) = protocol.filter(|_| failure.may_expect_tls) else {
            return Err(failure.error);
        };
        let target = Target {
            protocol,
            ..request.target.clone()
        };
        let request = Request {
            target: &target,
            ..request
        };
        let mut next = Timings {
            resolve: timings.resolve,
            ..Timings::default()
        };
        let Ok(served) = Box::pin(self.take(request, deadline, &mut next)).await else {
            return Err(failure.error);
        };
        *timings = next;
        Ok(served)
    }
}

/// Connects, and performs STARTTLS if the protocol needs it. TLS is next on the returned
/// connection.
async fn open(
    request: Request<'_>,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<Transport, starttls::Failure> {
    let failed = |error| starttls::Failure {
        error,
        may_expect_tls: false,
    };
    let start = Instant::now();
    let connect_deadline = start + deadline.saturating_duration_since(start) / CONNECT_SHARE;
    let connected = timeout_at(connect_deadline, request.reach.connect(request.address)).await;
    let mut stream = match connected {
        Ok(connected) => connected.map_err(|e| failed(reach_error(&e, request.address)))?,
        Err(_) => return Err(failed(connect_timeout(start.elapsed()))),
    };
    timings.connect = Some(start.elapsed());
    if request.target.protocol.uses_starttls() {
        let start = Instant::now();
        let result = Box::pin(starttls::start(request, &mut stream, deadline, LINGER)).await;
        timings.starttls = Some(start.elapsed());
        result?;
    }
    Ok(match request.target.protocol {
        Protocol::Mssql => Transport::tds(stream),
        _ => Transport::plain(stream),
    })
}

fn connect_timeout(after: Duration) -> ProbeError {
    ProbeError::new(
        ErrorKind::ConnectTimeout,
        format!(
            "no answer to the connection within {:.1} s",
            after.as_secs_f64()
        ),
    )
}

/// Linux error for an address family that the kernel lacks, because the machine was started without
/// IPv6.
const EAFNOSUPPORT: i32 = 97;

fn reach_error(error: &ReachError, address: SocketAddr) -> ProbeError {
    match error {
        ReachError::Connection(error) => connect_error(error, address),
        ReachError::SourceAddress { ip, error } => ProbeError::new(
            connect_error(error, address).kind,
            source_address_error(*ip, error),
        ),
    }
}

/// Returns the message for a source address that cannot be used. The route and the server have no
/// part in it.
fn source_address_error(ip: IpAddr, error: &io::Error) -> String {
    const SETTING: &str = "`--source-address`, or `source_address` in the configuration";
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine does not have the source address {ip}: correct {SETTING} ({error})"
        ),
        _ => format!("the source address {ip} cannot be used: correct {SETTING} ({error})"),
    }
}

fn connect_error(error: &io::Error, address: SocketAddr) -> ProbeError {
    use io::ErrorKind as Io;
    let lacks_family = error.raw_os_error() == Some(EAFNOSUPPORT);
    let (kind, message) = match error.kind() {
        Io::ConnectionRefused => (
            ErrorKind::ConnectRefused,
            "the connection was refused: nothing listens there".into(),
        ),
        Io::TimedOut => (ErrorKind::ConnectTimeout, "the connection timed out".into()),
        // A reset in response to a SYN is reported as a refusal (RFC 9293, section 3.10.7.3). This
        // reset came after the connection was established, before `connect` returned.
        Io::ConnectionReset => (
            ErrorKind::TlsClosed,
            "the server reset the connection as soon as it was up".into(),
        ),
        Io::ConnectionAborted => (
            ErrorKind::ConnectReset,
            "the connection was given up while it was set up".into(),
        ),
        Io::NetworkUnreachable | Io::AddrNotAvailable => (
            ErrorKind::ConnectUnreachable,
            no_route_to(address.ip(), error),
        ),
        _ if lacks_family => (
            ErrorKind::ConnectUnreachable,
            no_route_to(address.ip(), error),
        ),
        Io::HostUnreachable | Io::NetworkDown | Io::PermissionDenied | Io::InvalidInput => (
            ErrorKind::ConnectUnreachable,
            format!("the address cannot be reached: {error}"),
        ),
        // Exhausted file descriptors and similar errors are local, not the server's.
        _ => (
            ErrorKind::Internal,
            format!("no connection could be made: {error}"),
        ),
    };
    ProbeError::new(kind, message)
}

/// Returns the message for an address to which the system has no route. No packet was sent.
fn no_route_to(ip: IpAddr, error: &io::Error) -> String {
    let family = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
    format!(
        "the address cannot be reached: this machine has no {family}, or no route to there ({error})"
    )
}

#[cfg(test)]
mod tests {
    use crate::model::KeyType;

    use super::*;

    #[test]
    fn reset_after_connecting_is_not_a_connect_error() {
        let kind = |error: io::ErrorKind| {
            connect_error(&error.into(), SocketAddr::from(([127, 0, 0, 1], 443))).kind
        };
        assert_eq!(kind(io::ErrorKind::ConnectionReset), ErrorKind::TlsClosed);
        assert_eq!(
            kind(io::ErrorKind::ConnectionRefused),
            ErrorKind::ConnectRefused
        );
        assert_eq!(
            kind(io::ErrorKind::ConnectionAborted),
            ErrorKind::ConnectReset
        );
    }

    #[test]
    fn missing_address_family_is_unreachable_not_internal() {
        const ENETUNREACH: i32 = 101;
        const EADDRNOTAVAIL: i32 = 99;
        const EMFILE: i32 = 24;
        let error = |code, ip| {
            connect_error(
                &io::Error::from_raw_os_error(code),
                SocketAddr::new(ip, 443),
            )
        };
        for (ip, family) in [
            (IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]), "no IPv6"),
            ([192, 0, 2, 1].into(), "no IPv4"),
        ] {
            for code in [ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT] {
                let error = error(code, ip);
                assert_eq!(error.kind, ErrorKind::ConnectUnreachable, "{code}");
                assert!(error.message.contains(family), "{error}");
            }
            assert_eq!(error(EMFILE, ip).kind, ErrorKind::Internal);
        }
    }

    /// Guard for the documented memory use of thousands of waiting probes.
    #[test]
    fn waiting_probe_uses_little_memory() {
        const MOST: usize = 5 * 512;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _guard = runtime.enter();
        let prober = Prober::new().unwrap();
        let reach = Reach::default();
        let target = Target {
            certificate: "www".into(),
            hostname: "www.example".parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        };
        let request = Request {
            target: &target,
            address: SocketAddr::from(([127, 0, 0, 1], 443)),
            key_type: KeyType::Any,
            reach: &reach,
        };
        let size = size_of_val(&prober.probe(request, Instant::now()));
        assert!(size <= MOST, "{size} bytes");
    }
}
