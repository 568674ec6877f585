//! The certificate of a server that rustls cannot speak with: TLS 1.1 and before, key exchange without forward
//! secrecy or over a finite field, CBC.
//!
//! With TLS 1.2 and before, certificates are sent in the clear. So a hello of our own is sent, the answer is read
//! until the key is proved, and then we leave; nothing is ever encrypted. What is read counts only where the server
//! chose what rustls does not speak. Else a copied certificate would pass where its key has to be proved.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod hello;
mod proof;
mod reader;
mod suites;

use std::io;
use std::time::Duration;

use aws_lc_rs::rand;
use rustls::AlertDescription;
use rustls::crypto::WebPkiSupportedAlgorithms;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::certificate::Certificate;
use crate::model::Timings;
use crate::observation::{ErrorKind, LookError, Revocation, Served, Staple};

use super::Look;
use super::handshake::{MAX_HANDSHAKE_BYTES, READ_SIZE, snake_case, too_large, wrong_signature};
use super::setup::no_certificate;
use proof::Wrong;
use reader::{Fault, Reader, ServerHello, Version};

/// Reads what the server at the other end of a fresh connection shows. `None` where that does not count: it chose
/// what rustls speaks, or nothing at all.
pub(super) async fn read(
    look: Look<'_>,
    mut stream: TcpStream,
    algorithms: &WebPkiSupportedAlgorithms,
    deadline: Instant,
    patience: Duration,
    timings: &mut Timings,
) -> Option<Result<Served, LookError>> {
    let mut random = hello::Random::default();
    rand::fill(&mut random).ok()?;
    let hello = hello::write(&random, look.sni(), &look.reach.alpn, look.key_type)?;
    let mut reader = Reader::new(look.key_type);

    let _ = stream.set_nodelay(true);
    let start = Instant::now();
    let result = timeout_at(deadline, listen(&mut stream, &hello, &mut reader)).await;
    let result = result.unwrap_or(Err(End::Timeout));
    let elapsed = start.elapsed();
    timings.handshake = Some(elapsed);
    let chosen = reader.hello.as_ref();
    leave(
        stream,
        chosen.map_or(Version::Tls10, |c| c.version),
        patience,
    )
    .await;

    let chosen = chosen?;
    Some(match result {
        Ok(()) => served(algorithms, &random, chosen, &reader),
        Err(end) => Err(explain(end, elapsed)),
    })
}

/// Why there was no end to what was read.
enum End {
    Fault(Fault),
    Io(io::Error),
    Closed,
    Timeout,
    TooLarge,
}

async fn listen(stream: &mut TcpStream, hello: &[u8], reader: &mut Reader) -> Result<(), End> {
    stream.write_all(hello).await.map_err(End::Io)?;
    let mut received = 0;
    loop {
        stream.readable().await.map_err(End::Io)?;
        // The buffer lives only while there is something to read: thousands of looks wait.
        let mut buffer = [0; READ_SIZE];
        let count = match stream.try_read(&mut buffer) {
            Ok(0) => return Err(End::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(End::Io(error)),
        };
        received += count;
        if received > MAX_HANDSHAKE_BYTES {
            return Err(End::TooLarge);
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        if reader.take(bytes).map_err(End::Fault)? {
            return Ok(());
        }
    }
}

fn served(
    algorithms: &WebPkiSupportedAlgorithms,
    client_random: &hello::Random,
    chosen: &ServerHello,
    reader: &Reader,
) -> Result<Served, LookError> {
    let chain = reader.certificates.iter().flatten();
    let mut chain = chain.map(|der| Certificate::from_der(der.clone()));
    let leaf = chain.next().ok_or_else(no_certificate)?;
    let signed = reader.signed.as_ref();
    let key_proof = proof::check(algorithms, client_random, chosen, &leaf, signed);
    let key_proof = key_proof.map_err(|wrong| match wrong {
        Wrong::Certificate => no_certificate(),
        Wrong::Suite => LookError::new(
            ErrorKind::TlsProtocol,
            "the handshake failed: the server chose a cipher suite that does not go with its certificate's key",
        ),
        Wrong::Signature => wrong_signature(),
    })?;
    let alpn = chosen.alpn.as_ref();
    Ok(Served {
        leaf,
        rest: chain.collect(),
        tls_version: chosen.version.name(),
        cipher_suite: chosen.suite.id.as_str().unwrap_or_default().to_owned(),
        alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
        revocation: Revocation {
            staple: Staple::of(&reader.staple),
            fetched: None,
        },
        key_proof,
    })
}

/// Says goodbye in the middle of the handshake, as a user who has changed his mind: a server has nothing to complain
/// of then (RFC 5246, section 7.2.2). Waits a little for the server to close, so that it sees no reset.
async fn leave(mut stream: TcpStream, version: Version, patience: Duration) {
    const ALERT: u8 = 21;
    const WARNING: u8 = 1;
    const USER_CANCELED: u8 = 90;
    const CLOSE_NOTIFY: u8 = 0;
    let mut goodbye = Vec::new();
    for alert in [USER_CANCELED, CLOSE_NOTIFY] {
        let [major, minor] = version.wire();
        goodbye.extend([ALERT, major, minor, 0, 2, WARNING, alert]);
    }
    let leave = async {
        stream.write_all(&goodbye).await.ok()?;
        stream.shutdown().await.ok()?;
        let mut rest = [0; 512];
        let mut drained = 0;
        while drained < MAX_HANDSHAKE_BYTES {
            match stream.read(&mut rest).await {
                Ok(0) | Err(_) => break,
                Ok(count) => drained += count,
            }
        }
        Some(())
    };
    let _ = timeout(patience, leave).await;
}

fn explain(end: End, after: Duration) -> LookError {
    match end {
        End::Fault(Fault::Alert(alert)) => LookError::new(
            ErrorKind::TlsAlert,
            format!(
                "the server broke off the handshake with the alert `{}`",
                snake_case(&format!("{:?}", AlertDescription::from(alert)))
            ),
        ),
        End::Fault(Fault::Malformed(what)) => LookError::new(
            ErrorKind::TlsProtocol,
            format!("the server breaks the rules of TLS: {what}"),
        ),
        End::Fault(Fault::NoCertificate) => no_certificate(),
        End::Fault(Fault::TooLarge) | End::TooLarge => too_large(),
        End::Io(error) => LookError::new(
            ErrorKind::TlsClosed,
            format!("the connection broke off during the handshake: {error}"),
        ),
        End::Closed => LookError::new(
            ErrorKind::TlsClosed,
            "the server closed the connection in the middle of the handshake",
        ),
        End::Timeout => LookError::new(
            ErrorKind::TlsTimeout,
            format!(
                "the handshake did not end within {:.1} s",
                after.as_secs_f64()
            ),
        ),
    }
}

#[cfg(test)]
mod tests;
