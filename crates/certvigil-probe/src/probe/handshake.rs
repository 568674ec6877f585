//! The handshake over TCP. It drives rustls directly, so that the server's certificates are kept
//! even if the server closes the connection later.

mod banner;
mod closing;

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use rustls::client::EchStatus;
use rustls::pki_types::CertificateDer;
use rustls::{
    AlertDescription, ClientConnection, Error, NamedGroup, PeerIncompatible, PeerMisbehaved,
    ProtocolVersion,
};
use tokio::io::ReadBuf;
use tokio::time::{Instant, timeout_at};

use crate::observation::{ErrorKind, Parameters, ProbeError, Served, TlsVersion};

use super::bounds::{MAX_HANDSHAKE_BYTES, READ_SIZE};
use super::cleartext::{self, FatalWarning, Records, Warnings};
use super::setup::{ClientAuth, Configs, Hello, Prepared, Recorder};
use super::starttls::{self, looks_like_tls};
use super::tls_error::{explain, no_certificate, too_large};
use super::transport::Transport;
use super::{Request, key_proof};
use banner::banner;
pub(super) use banner::readable;

/// Length of the session ID that clients send with TLS 1.3 (RFC 8446, section 4.1.2).
const SESSION_ID: usize = 32;

/// Handshake in progress.
pub(super) struct Connection {
    stream: Transport,
    tls: ClientConnection,
    recorder: Arc<Recorder>,
    /// Session ID in the ClientHello: with TLS 1.3, 32 bytes. `None` if it has none.
    session: Option<Box<[u8; SESSION_ID]>>,
    received: usize,
    first_bytes: Vec<u8>,
    records: Records,
    warnings: Warnings,
    /// True if nothing is sent between the handshake and the close_notify.
    closes_at_once: bool,
    /// True if data inside TLS was received.
    has_data: bool,
    /// True if what follows the handshake is discarded, because TLS has ended.
    is_over: bool,
    /// Alert with which the server refused the completed handshake.
    refusal: Option<AlertDescription>,
    /// True if the server closed the connection instead of accepting the client certificate.
    is_turned_away: bool,
}

/// Handshake in which the server sent no certificate.
pub(super) struct Failure {
    pub(super) error: ProbeError,
    /// True if the failure means that rustls and the server have no common version or cipher suite.
    pub(super) shares_nothing: bool,
    /// True if the server may be unable to read a large ClientHello.
    pub(super) may_be_size: bool,
    /// True if the server sent nothing until the deadline.
    pub(super) is_silent: bool,
    /// True if the server asked for a key share of ML-KEM, which current clients send at once.
    pub(super) asked_for_ml_kem: bool,
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        Self {
            error,
            shares_nothing: false,
            may_be_size: false,
            is_silent: false,
            asked_for_ml_kem: false,
        }
    }
}

/// Reason for the early end of a handshake.
enum HandshakeEnd {
    Tls(Error),
    Io(io::Error),
    Closed,
    Timeout,
    TooLarge,
}

impl Connection {
    /// Starts a handshake on a connected stream.
    pub(super) fn new(
        configs: &Configs,
        request: Request<'_>,
        hello: Hello,
        stream: Transport,
    ) -> Result<Self, ProbeError> {
        Self::start(configs.prepare(request, hello)?, request, stream)
    }

    /// Starts a handshake with this configuration.
    pub(super) fn start(
        prepared: Prepared,
        request: Request<'_>,
        stream: Transport,
    ) -> Result<Self, ProbeError> {
        let Prepared {
            config,
            name,
            recorder,
        } = prepared;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(|e| {
            ProbeError::new(ErrorKind::Internal, format!("TLS cannot be set up: {e}"))
        })?;
        // A handshake exchanges small messages, which must not wait for more data.
        let _ = stream.tcp.set_nodelay(true);
        let closes_at_once = starttls::quit(request).is_none() && !stream.is_wrapped();
        Ok(Self {
            stream,
            tls,
            recorder,
            session: None,
            received: 0,
            first_bytes: Vec::new(),
            records: Records::default(),
            warnings: Warnings::default(),
            closes_at_once,
            has_data: false,
            is_over: false,
            refusal: None,
            is_turned_away: false,
        })
    }

    /// Returns the server's reaction to Encrypted Client Hello.
    pub(super) fn ech_status(&self) -> EchStatus {
        self.tls.ech_status()
    }

    /// Performs the handshake. Once the server has proved possession of its key, its certificates
    /// count even if the handshake fails later. The result then has the failure, unless the server
    /// refuses a client without a certificate. The server must send something until `answer_by`.
    pub(super) async fn handshake(
        &mut self,
        answer_by: Instant,
        deadline: Instant,
    ) -> Result<Served, Failure> {
        let start = Instant::now();
        let end = self.drive_until(answer_by, deadline).await;
        self.result(end, start.elapsed())
    }

    /// Returns the result of a handshake that ended like this after this time.
    fn result(&mut self, end: Option<HandshakeEnd>, elapsed: Duration) -> Result<Served, Failure> {
        if let Some(fatal @ FatalWarning::ClosedFirst) = self.warnings.fatal {
            return Err(fatal.explain().into());
        }
        let chain = self.tls.peer_certificates();
        match (chain.filter(|chain| !chain.is_empty()), end) {
            (Some(chain), end) => {
                let served = self.served(chain)?;
                let failure = end.and_then(|end| self.failure(end, elapsed));
                let ignored = self.warnings.fatal.filter(|_| !self.tls.is_handshaking());
                let failure = failure.or_else(|| Some(Box::new(ignored?.explain())));
                let session = self.session.as_deref().map_or(&[][..], |id| id);
                let fault = || cleartext::hello_fault(&self.first_bytes, session);
                let failure = failure.or_else(|| Some(Box::new(fault()?.explain())));
                Ok(Served { failure, ..served })
            }
            (None, Some(end)) => Err(Failure {
                shares_nothing: self.shares_nothing(&end),
                may_be_size: self.may_be_size(&end),
                is_silent: self.received == 0 && matches!(end, HandshakeEnd::Timeout),
                asked_for_ml_kem: cleartext::asks_for_ml_kem(&self.first_bytes),
                error: self.explain(end, elapsed),
            }),
            (None, None) => Err(no_certificate().into()),
        }
    }

    async fn drive_until(&mut self, answer_by: Instant, deadline: Instant) -> Option<HandshakeEnd> {
        let recorder = self.recorder.clone();
        let mut until = answer_by;
        let mut drive = pin!(self.drive());
        loop {
            match timeout_at(until, &mut drive).await {
                Ok(result) => break result.err(),
                Err(_) if until < deadline && recorder.is_answered.load(Ordering::Relaxed) => {
                    until = deadline;
                }
                Err(_) => break Some(HandshakeEnd::Timeout),
            }
        }
    }

    async fn drive(&mut self) -> Result<(), HandshakeEnd> {
        loop {
            let is_done = !self.tls.is_handshaking();
            let closes_now = is_done && self.closes_at_once && !self.may_be_turned_away();
            if closes_now {
                // Sent in the same packet as the last message of the handshake.
                self.tls.send_close_notify();
            }
            if let Err(broken) = self.flush(closes_now).await {
                // Data received before the connection broke may prove the key, or be an alert.
                return Err(loop {
                    match self.receive().await {
                        Ok(()) => {}
                        Err(end @ HandshakeEnd::Tls(Error::AlertReceived(_))) => break end,
                        Err(_) => break broken,
                    }
                });
            }
            if is_done {
                self.stream.unwrap_tls();
                return Ok(());
            }
            if let Err(end) = self.receive().await {
                // Sends the alert that reports the reason to the server.
                let _ = self.flush(false).await;
                return Err(end);
            }
        }
    }

    /// Waits for data, and processes it.
    async fn receive(&mut self) -> Result<(), HandshakeEnd> {
        poll_fn(|context| {
            // The buffer exists only while data is read, because thousands of probes wait.
            let mut space = [MaybeUninit::uninit(); READ_SIZE];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(self.stream.poll_read(context, &mut buffer));
            let end = read.map_err(HandshakeEnd::Io);
            Poll::Ready(end.and_then(|()| self.process(buffer.filled())))
        })
        .await
    }

    fn process(&mut self, mut bytes: &[u8]) -> Result<(), HandshakeEnd> {
        if bytes.is_empty() {
            return Err(HandshakeEnd::Closed);
        }
        self.recorder.is_answered.store(true, Ordering::Relaxed);
        self.received += bytes.len();
        if self.received > MAX_HANDSHAKE_BYTES {
            return Err(HandshakeEnd::TooLarge);
        }
        if self.first_bytes.len() < HELLO_BYTES {
            let missing = HELLO_BYTES - self.first_bytes.len();
            self.first_bytes.extend(bytes.iter().take(missing));
        }
        while !bytes.is_empty() {
            let (mut record, notable) = self.records.split(&mut bytes);
            if let Some(notable) = notable.filter(|_| self.tls.is_handshaking()) {
                let hello = cleartext::hello_version(&self.tls);
                self.warnings.note(notable, hello);
            }
            while !record.is_empty() {
                // Reading from memory fails only if rustls' buffer for messages is full.
                let read = self.tls.read_tls(&mut record);
                if read.map_err(|_| HandshakeEnd::TooLarge)? == 0 {
                    // After a close_notify, nothing is read.
                    return Ok(());
                }
                self.tls.process_new_packets().map_err(HandshakeEnd::Tls)?;
            }
        }
        Ok(())
    }

    /// Returns the failure of a handshake that ended after the proof of the key. `None` if it was
    /// completed, or if it lacks only a client certificate.
    fn failure(&mut self, end: HandshakeEnd, after: Duration) -> Option<Box<ProbeError>> {
        if self.tls.is_handshaking() {
            return (!self.lacks_client_certificate(&end))
                .then(|| Box::new(self.explain(end, after)));
        }
        self.has_data |= matches!(io::Read::read(&mut self.tls.reader(), &mut [0]), Ok(1..));
        match end {
            HandshakeEnd::Tls(Error::AlertReceived(alert)) => self.record_refusal(alert),
            HandshakeEnd::Closed => self.record_close(false),
            HandshakeEnd::Io(_) => self.record_close(true),
            HandshakeEnd::Tls(error) if closing::is_tolerated(&error) => {}
            HandshakeEnd::Timeout | HandshakeEnd::TooLarge => {}
            // Clients that have read it together with the Finished report the same.
            HandshakeEnd::Tls(_) => return Some(Box::new(self.explain(end, after))),
        }
        self.is_over = true;
        self.refusal()
    }

    /// Returns true if the handshake ended because the server demands a client certificate, and
    /// none was given. With TLS 1.3, the client completes the handshake before it sends its
    /// certificate.
    fn lacks_client_certificate(&self, end: &HandshakeEnd) -> bool {
        let may_refuse = match end {
            HandshakeEnd::Closed | HandshakeEnd::Io(_) => true,
            // These report that a record or a Finished of the client is wrong.
            HandshakeEnd::Tls(Error::AlertReceived(alert)) => !matches!(
                alert,
                AlertDescription::BadRecordMac | AlertDescription::DecryptError
            ),
            HandshakeEnd::Tls(_) | HandshakeEnd::Timeout | HandshakeEnd::TooLarge => false,
        };
        may_refuse
            && self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_2)
            && self.recorder.client_auth() == ClientAuth::Missing
    }

    /// Sends the pending data of TLS. The last data before the end of the connection waits for it.
    async fn flush(&mut self, is_last: bool) -> Result<(), HandshakeEnd> {
        let mut out = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut out).map_err(HandshakeEnd::Io)?;
        }
        if self.received == 0
            && let Some(session) = cleartext::session_id(&out)
        {
            self.session = session.try_into().ok().map(Box::new);
        }
        let sent = match is_last {
            true => self.stream.write_last(&out).await,
            false => self.stream.write_all(&out).await,
        };
        sent.map_err(HandshakeEnd::Io)
    }

    fn served(&self, chain: &[CertificateDer<'static>]) -> Result<Served, ProbeError> {
        let suite = self.tls.negotiated_cipher_suite();
        let (version, secure_renegotiation) = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => (TlsVersion::Tls13, None),
            _ => (
                TlsVersion::Tls12,
                cleartext::secure_renegotiation(&self.first_bytes),
            ),
        };
        let group = self.tls.negotiated_key_exchange_group();
        let alpn = self.tls.alpn_protocol();
        let served = self.recorder.served(chain, version, suite, alpn)?;
        let mut parameters = Parameters {
            secure_renegotiation,
            rare_group: group.and_then(|group| rare_group(group.name())),
            ..Parameters::default()
        };
        self.warnings.add_to(&mut parameters);
        Ok(Served {
            parameters,
            ..served
        })
    }

    /// Returns true if the failure means that the server has no version or cipher suite in common
    /// with rustls. Old servers signal it by an alert, by a version or suite that was not offered,
    /// or by closing the connection after the ClientHello.
    fn shares_nothing(&self, end: &HandshakeEnd) -> bool {
        use AlertDescription as A;
        match end {
            HandshakeEnd::Tls(Error::AlertReceived(alert)) => matches!(
                alert,
                A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity
            ),
            HandshakeEnd::Tls(error) => {
                matches!(
                    error,
                    Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
                        | Error::PeerMisbehaved(
                            PeerMisbehaved::SelectedUnofferedCipherSuite
                            // With TLS 1.2: by a key restricted to RSASSA-PSS, or an Ed448 key.
                            | PeerMisbehaved::SignedKxWithWrongAlgorithm
                        )
                ) || key_proof::is_unknown_kind_of_key(error)
            }
            HandshakeEnd::Closed => self.received == 0,
            HandshakeEnd::Io(error) => {
                self.received == 0 && error.kind() == io::ErrorKind::ConnectionReset
            }
            HandshakeEnd::Timeout | HandshakeEnd::TooLarge => false,
        }
    }

    /// Returns true if a server that reads only one packet of the ClientHello may fail like this:
    /// before its ServerHello, by silence, a closed connection or an alert about the message.
    fn may_be_size(&self, end: &HandshakeEnd) -> bool {
        use AlertDescription as A;
        match end {
            HandshakeEnd::Closed | HandshakeEnd::Io(_) | HandshakeEnd::Timeout => {
                self.received == 0
            }
            HandshakeEnd::Tls(Error::AlertReceived(alert)) => {
                self.tls.protocol_version().is_none()
                    && matches!(
                        alert,
                        A::UnexpectedMessage
                            | A::BadRecordMac
                            | A::RecordOverflow
                            | A::IllegalParameter
                            | A::DecodeError
                            | A::DecryptError
                            | A::InternalError
                    )
            }
            HandshakeEnd::Tls(_) | HandshakeEnd::TooLarge => false,
        }
    }

    fn explain(&self, end: HandshakeEnd, after: Duration) -> ProbeError {
        match end {
            HandshakeEnd::Tls(error) => self.explain_tls(&error),
            HandshakeEnd::Closed => ProbeError::new(
                ErrorKind::TlsClosed,
                if self.received == 0 {
                    "the server closed the connection without an answer"
                } else {
                    "the server closed the connection in the middle of the handshake"
                },
            ),
            HandshakeEnd::Io(error) => ProbeError::new(
                ErrorKind::TlsClosed,
                format!("the connection broke off during the handshake: {error}"),
            ),
            HandshakeEnd::Timeout if self.received == 0 => no_answer(after),
            HandshakeEnd::Timeout => ProbeError::new(
                ErrorKind::TlsTimeout,
                format!(
                    "the handshake did not end within {:.1} s",
                    after.as_secs_f64()
                ),
            ),
            HandshakeEnd::TooLarge => too_large(),
        }
    }

    fn explain_tls(&self, error: &Error) -> ProbeError {
        match error {
            Error::InvalidMessage(_) if !looks_like_tls(&self.first_bytes) => ProbeError {
                seems: banner(&self.first_bytes),
                ..ProbeError::new(
                    ErrorKind::TlsProtocol,
                    format!(
                        "the server does not speak TLS here: it sent `{}`",
                        readable(
                            self.first_bytes
                                .get(..FIRST_BYTES)
                                .unwrap_or(&self.first_bytes)
                        )
                    ),
                )
            },
            other => explain(other),
        }
    }
}

/// Returns the error for a server that sends nothing.
pub(super) fn no_answer(after: Duration) -> ProbeError {
    ProbeError::new(
        ErrorKind::TlsTimeout,
        format!(
            "no answer to the handshake within {:.1} s",
            after.as_secs_f64()
        ),
    )
}

/// Returns the name of a group of rustls that Chromium does not offer.
fn rare_group(group: NamedGroup) -> Option<&'static str> {
    match group {
        NamedGroup::secp521r1 => Some("secp521r1"),
        NamedGroup::MLKEM768 => Some("MLKEM768"),
        NamedGroup::MLKEM1024 => Some("MLKEM1024"),
        NamedGroup::secp256r1MLKEM768 => Some("SecP256r1MLKEM768"),
        _ => None,
    }
}

/// Number of initial bytes that are kept to parse the ServerHello. It has a key share of up to 1665
/// bytes, and a HelloRetryRequest and warnings may precede it.
const HELLO_BYTES: usize = 4096;
/// Number of initial bytes that identify a protocol other than TLS.
pub(super) const FIRST_BYTES: usize = 16;

#[cfg(test)]
mod tests;
