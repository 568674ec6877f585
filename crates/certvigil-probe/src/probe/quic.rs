//! TLS over QUIC (RFC 9000 and 9001), over a separate UDP socket for each probe. The probe spawns
//! no tasks, so nothing continues after it is cancelled. It holds only a socket and the state of
//! one connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{
    ClientConfig, ConnectError, Connection, ConnectionError, ConnectionHandle, DatagramEvent,
    Endpoint, EndpointConfig, Event, NoneTokenStore, TransportConfig, TransportErrorCode, VarInt,
};
use rustls::{AlertDescription, Error};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::model::Timings;
use crate::observation::{ErrorKind, ProbeError, Served, TlsVersion};

use super::bounds::MAX_HANDSHAKE_BYTES;
use super::handshake::{FIRST_BYTES, readable};
use super::session::{Crypto, Shown};
use super::setup::{ClientAuth, Configs, Hello, Prepared, Recorder};
use super::tls_error::{explain, no_certificate, too_large};
use super::{LINGER, Request, connect_error, reach_error};

/// Application protocol offered by default (RFC 9114, section 3.1).
const ALPN: &[u8] = b"h3";
/// HTTP/3's error code for an orderly close: H3_NO_ERROR (RFC 9114, section 8.1).
const NO_ERROR: VarInt = VarInt::from_u32(0x100);
/// Maximum size of a datagram, in bytes. Servers are informed of a limit of 1472 bytes; a longer
/// datagram is truncated and invalid.
const MAX_DATAGRAM: usize = 2048;
/// Maximum bytes that a server may send on streams, which are never read.
const MAX_STREAM_BYTES: u32 = 64 * 1024;

/// Probes over QUIC within the deadline. There is no connection before the handshake, so `connect`
/// stays empty. A silent server is awaited until the deadline, because datagrams get lost.
pub(super) async fn take(
    configs: &Configs,
    request: Request<'_>,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<Served, ProbeError> {
    let start = Instant::now();
    let mut probe = QuicProbe::begin(configs, request).await?;
    let result = probe.handshake(deadline, timings).await;
    probe.leave(start.elapsed(), result.is_ok()).await;
    result
}

/// Connection in progress.
struct QuicProbe {
    socket: UdpSocket,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    recorder: Arc<Recorder>,
    received: usize,
    first_bytes: Vec<u8>,
    /// True if a valid packet for the connection was received.
    is_answered: bool,
}

/// Reason for the early end of a handshake.
enum QuicEnd {
    Lost(ConnectionError),
    Io(io::Error),
    Timeout,
    TooLarge,
}

/// Event to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Connected,
    Lost,
    Drained,
}

impl QuicProbe {
    async fn begin(configs: &Configs, request: Request<'_>) -> Result<Self, ProbeError> {
        let Prepared {
            mut config,
            name,
            recorder,
        } = configs.prepare(request, Hello::SMALL)?;
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.push(ALPN.to_vec());
        }
        let crypto = Crypto::new(config, name).ok_or_else(|| cannot(&"AES-128-GCM is missing"))?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        config.token_store(Arc::new(NoneTokenStore));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let associated = request.reach.associate(request.address).await;
        let socket = associated.map_err(|e| reach_error(&e, request.address))?;
        // A connection to the unspecified address has an address of this machine as its peer.
        let peer = socket
            .peer_addr()
            .map_err(|e| connect_error(&e, request.address))?;
        let begun = endpoint.connect(now(), config, peer, "");
        let (handle, connection) = begun.map_err(|e| match e {
            ConnectError::InvalidRemoteAddress(_) => ProbeError::new(
                ErrorKind::ConnectUnreachable,
                "the address cannot be reached: it is unspecified",
            ),
            other => cannot(&other),
        })?;
        Ok(Self {
            socket,
            endpoint,
            handle,
            connection,
            recorder,
            received: 0,
            first_bytes: Vec::new(),
            is_answered: false,
        })
    }

    /// Performs the handshake. As over TCP, the server's certificates count once it has proved
    /// possession of its key, and the result has the failure of a handshake that is not completed.
    async fn handshake(
        &mut self,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Served, ProbeError> {
        let start = Instant::now();
        let end = timeout_at(deadline, self.drive(Until::Connected)).await;
        let took = start.elapsed();
        timings.handshake = Some(took);
        let end = match end {
            Ok(Ok(())) => self.refusal(took, deadline).await,
            Ok(Err(end)) => Some(end),
            Err(_) => Some(QuicEnd::Timeout),
        };
        let shown = self.shown();
        match (shown.chain, end) {
            (Some(chain), end) if !chain.is_empty() => {
                let alpn = shown.alpn.as_deref();
                let version = TlsVersion::Tls13;
                let served = self.recorder.served(&chain, version, shown.suite, alpn)?;
                let after = start.elapsed();
                let failure = end.map(|end| self.explain(end, shown.error.as_ref(), after));
                let failure = failure.map(Box::new);
                Ok(Served { failure, ..served })
            }
            (_, Some(end)) => Err(self.explain(end, shown.error.as_ref(), start.elapsed())),
            (_, None) => Err(no_certificate()),
        }
    }

    /// Waits for the close by a server that refuses the client certificate, which arrives one round
    /// trip after the handshake (RFC 9001, section 4.4). A close by the application is no refusal of
    /// the handshake.
    async fn refusal(&mut self, took: Duration, deadline: Instant) -> Option<QuicEnd> {
        if self.recorder.client_auth() != ClientAuth::Given {
            return None;
        }
        let end = Instant::now() + LINGER.max(took.saturating_mul(2));
        let end = timeout_at(end.min(deadline), self.drive(Until::Lost)).await;
        match end.ok()?.err()? {
            QuicEnd::Lost(ConnectionError::ApplicationClosed(_)) => None,
            end => Some(end),
        }
    }

    fn shown(&self) -> Shown {
        let data = self.connection.crypto_session().handshake_data();
        let shown = data.and_then(|data| data.downcast::<Shown>().ok());
        shown.map(|shown| *shown).unwrap_or_default()
    }

    async fn drive(&mut self, until: Until) -> Result<(), QuicEnd> {
        loop {
            while let Some(event) = self.connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                    self.connection.handle_event(event);
                }
            }
            // If the connection is lost, this first sends the close to the server.
            self.flush().await?;
            while let Some(event) = self.connection.poll() {
                match event {
                    Event::ConnectionLost { reason } if until != Until::Drained => {
                        return Err(QuicEnd::Lost(reason));
                    }
                    Event::Connected if until == Until::Connected => return Ok(()),
                    _ => {}
                }
            }
            if self.connection.is_drained() {
                return Ok(());
            }
            let readable = self.socket.readable();
            let woken = match self.connection.poll_timeout() {
                Some(timer) => timeout_at(timer.into(), readable).await,
                None => Ok(readable.await),
            };
            match woken {
                Ok(readable) => {
                    readable.map_err(QuicEnd::Io)?;
                    self.receive()?;
                }
                Err(_) => self.connection.handle_timeout(now()),
            }
        }
    }

    fn receive(&mut self) -> Result<(), QuicEnd> {
        let mut buffer = [0; MAX_DATAGRAM];
        let count = match self.socket.try_recv(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(QuicEnd::Io(error)),
        };
        // An empty datagram counts as one byte, so that their number is limited too.
        self.received += count.max(1);
        if self.received > MAX_HANDSHAKE_BYTES {
            return Err(QuicEnd::TooLarge);
        }
        let datagram = buffer.get(..count).unwrap_or_default();
        if self.first_bytes.is_empty() {
            self.first_bytes.extend(datagram.iter().take(FIRST_BYTES));
        }
        let peer = self.socket.peer_addr().map_err(QuicEnd::Io)?;
        let mut answer = Vec::new();
        let event = self
            .endpoint
            .handle(now(), peer, None, None, datagram.into(), &mut answer);
        // A client sends no response to packets of other connections.
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.is_answered = true;
            self.connection.handle_event(event);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), QuicEnd> {
        let mut datagram = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(now(), 1, &mut datagram) {
            let bytes = datagram.get(..transmit.size).unwrap_or_default();
            self.socket.send(bytes).await.map_err(QuicEnd::Io)?;
            datagram.clear();
        }
        Ok(())
    }

    /// Closes the connection with CONNECTION_CLOSE, so that the server does not wait. After a
    /// complete handshake, the close is repeated for a short time if the server sends more packets
    /// (RFC 9000, section 10.2.1).
    async fn leave(mut self, took: Duration, is_whole: bool) {
        self.connection.close(now(), NO_ERROR, Vec::new().into());
        let patience = if is_whole {
            took.min(LINGER)
        } else {
            Duration::ZERO
        };
        // Even without patience, the first iteration sends the pending packets.
        let _ = timeout_at(Instant::now() + patience, self.drive(Until::Drained)).await;
    }

    fn explain(&self, end: QuicEnd, error: Option<&Error>, after: Duration) -> ProbeError {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        match end {
            QuicEnd::Lost(reason) => lost(&reason, error),
            QuicEnd::Io(error) if self.received == 0 && refused(&error) => ProbeError::new(
                ErrorKind::ConnectRefused,
                "the datagram was refused: nothing listens at this UDP port",
            ),
            QuicEnd::Io(error) if self.received == 0 => {
                connect_error(&error, self.connection.remote_address())
            }
            QuicEnd::Io(error) => ProbeError::new(
                ErrorKind::TlsClosed,
                format!("the connection broke off during the handshake: {error}"),
            ),
            QuicEnd::TooLarge => too_large(),
            QuicEnd::Timeout => {
                let after = after.as_secs_f64();
                if self.received == 0 {
                    ProbeError::new(
                        ErrorKind::ConnectTimeout,
                        format!("no answer at this UDP port within {after:.1} s"),
                    )
                } else if self.is_answered {
                    ProbeError::new(
                        ErrorKind::TlsTimeout,
                        format!("the handshake did not end within {after:.1} s"),
                    )
                } else {
                    ProbeError::new(
                        ErrorKind::TlsProtocol,
                        format!(
                            "the server does not speak QUIC here: it sent `{}`",
                            readable(&self.first_bytes)
                        ),
                    )
                }
            }
        }
    }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        // The probe's deadline ends the connection.
        .max_idle_timeout(None)
        .crypto_buffer_size(MAX_HANDSHAKE_BYTES)
        .receive_window(MAX_STREAM_BYTES.into())
        .stream_receive_window(MAX_STREAM_BYTES.into())
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(None)
        .enable_segmentation_offload(false);
    transport
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn cannot(why: &dyn std::fmt::Display) -> ProbeError {
    ProbeError::new(ErrorKind::Internal, format!("QUIC cannot be set up: {why}"))
}

/// Converts the reason for a lost connection to an error. `error` is rustls' error, if there is
/// one.
fn lost(reason: &ConnectionError, error: Option<&Error>) -> ProbeError {
    let closed = |why: String| ProbeError::new(ErrorKind::TlsClosed, why);
    match reason {
        ConnectionError::VersionMismatch => ProbeError::new(
            ErrorKind::TlsProtocol,
            "the server speaks QUIC, but not its version 1 (RFC 9000)",
        ),
        ConnectionError::TransportError(broken) => match error {
            Some(error) => explain(error),
            None if broken.code == TransportErrorCode::CRYPTO_BUFFER_EXCEEDED => too_large(),
            None => ProbeError::new(
                ErrorKind::TlsProtocol,
                format!("the server broke a rule of QUIC: {broken}"),
            ),
        },
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code.into()) {
            Some(alert) => explain(&Error::AlertReceived(alert)),
            None => closed(format!("the server closed the connection: {close}")),
        },
        ConnectionError::ApplicationClosed(close) => {
            closed(format!("the server closed the connection: {close}"))
        }
        ConnectionError::Reset => closed("the server knows nothing of the connection".into()),
        ConnectionError::TimedOut => ProbeError::new(
            ErrorKind::TlsTimeout,
            "the server fell silent during the handshake",
        ),
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => cannot(reason),
    }
}

/// Returns the TLS alert of a QUIC error code: CRYPTO_ERROR (RFC 9000, section 20.1; RFC 9001,
/// section 4.8).
fn alert(code: u64) -> Option<AlertDescription> {
    const CRYPTO_ERROR: u64 = 0x100;
    let alert = code.checked_sub(CRYPTO_ERROR)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quic_crypto_error_codes_are_tls_alerts() {
        assert_eq!(alert(0x128), Some(AlertDescription::HandshakeFailure));
        assert_eq!(alert(0x178), Some(AlertDescription::NoApplicationProtocol));
        for other in [0, 0x02, 0x0d, 0xff, 0x200, u64::MAX] {
            assert_eq!(alert(other), None, "{other:#x}");
        }
        let unknown = explain(&Error::AlertReceived(alert(0x1ff).unwrap()));
        assert_eq!(unknown.kind, ErrorKind::TlsAlert);
    }
}
