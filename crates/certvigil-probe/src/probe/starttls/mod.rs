//! STARTTLS: the dialogue in cleartext before TLS, for each protocol, and its orderly end.
//!
//! [`Wire`] carries a dialogue, and limits the data that a server may send. The dialogue ends with
//! the server's go-ahead. Any cleartext data after it is an error: a client that treated such data
//! as part of the protected session would accept an attacker's injection (CVE-2011-0411).

mod client_name;
mod ftp;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod imap;
mod irc;
mod ldap;
mod mssql;
mod mysql;
mod nats;
mod nntp;
mod pop3;
mod postgres;
mod quit;
mod rdp;
mod reply;
mod sieve;
mod smtp;
mod violation;
mod wire;
mod xmpp;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::{Hostname, Protocol};
use crate::observation::{ErrorKind, ProbeError};

use super::Request;
use super::tls_error::lacks;

pub(super) use quit::{Quit, quit};
pub(super) use wire::looks_like_tls;

use client_name::client_names;
use wire::{DialogueError, Wire};

/// Failed dialogue.
pub(super) struct Failure {
    pub(super) error: ProbeError,
    /// True if the server may expect TLS from the first byte: it sent a TLS record, or closed the
    /// connection without data.
    pub(super) may_expect_tls: bool,
}

/// Names that a dialogue contains.
struct Names<'a> {
    /// Names of this client in SMTP, in the order in which they are tried.
    client: &'a [String],
    /// Domain of the service in XMPP.
    domain: &'a Hostname,
}

/// Performs the dialogue until TLS is next.
///
/// # Errors
/// If the server refuses, violates the protocol, closes the connection, or exceeds the deadline.
pub(super) async fn start(
    request: Request<'_>,
    stream: &mut TcpStream,
    deadline: Instant,
    linger: Duration,
) -> Result<(), Failure> {
    let protocol = request.target.protocol;
    let start = Instant::now();
    let client = match &request.reach.ehlo {
        Some(name) => vec![name.clone()],
        None if protocol.has_ehlo() => {
            let local = stream.local_addr().map(|a| a.ip().to_canonical());
            client_names(local.ok())
        }
        None => Vec::new(),
    };
    let names = Names {
        client: &client,
        domain: request.target.sent_name(),
    };
    let mut wire = Wire::new(&mut *stream);
    let dialogue = async {
        ask(&mut wire, protocol, &names).await?;
        wire.nothing_follows().await
    };
    let end = match timeout_at(deadline, dialogue).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(end)) => end,
        Err(_) => DialogueError::Silent,
    };
    let closed = matches!(end, DialogueError::Closed | DialogueError::Io(_));
    let failure = Failure {
        error: explain(&end, protocol, wire.seems_tls(), start.elapsed()),
        may_expect_tls: wire.seems_tls() || closed && wire.is_silent(),
    };
    let is_refusal = matches!(
        end,
        DialogueError::Refused(_) | DialogueError::RefusedName { .. } | DialogueError::NotOffered
    );
    if let Some(quit) = quit(request).filter(|_| is_refusal) {
        let _ = timeout(linger, leave(stream, &quit.in_cleartext)).await;
    }
    Err(failure)
}

/// Performs the dialogue of a protocol up to the go-ahead.
async fn ask<S>(
    wire: &mut Wire<S>,
    protocol: Protocol,
    names: &Names<'_>,
) -> Result<(), DialogueError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match protocol {
        Protocol::Smtp => smtp::ask(wire, "EHLO", names.client).await,
        Protocol::Lmtp => smtp::ask(wire, "LHLO", names.client).await,
        Protocol::Imap => imap::ask(wire).await,
        Protocol::Pop3 => pop3::ask(wire).await,
        Protocol::Ftp => ftp::ask(wire).await,
        Protocol::Xmpp | Protocol::XmppServer => {
            xmpp::ask(wire, xmpp::namespace(protocol), names.domain).await
        }
        Protocol::Ldap => ldap::ask(wire).await,
        Protocol::Postgres => postgres::ask(wire).await,
        Protocol::Mysql => mysql::ask(wire).await,
        Protocol::Sieve => sieve::ask(wire).await,
        Protocol::Nntp => nntp::ask(wire).await,
        Protocol::Irc => irc::ask(wire).await,
        Protocol::Rdp => rdp::ask(wire).await,
        Protocol::Mssql => mssql::ask(wire).await,
        Protocol::Nats => nats::ask(wire).await,
        // TLS is first.
        _ => Ok(()),
    }
}

/// Sends the quit command to a server that does not start TLS, and waits for it to close the
/// connection.
async fn leave(stream: &mut TcpStream, command: &[u8]) -> std::io::Result<()> {
    /// Maximum data that is read before closing, in bytes.
    const MAX_GOODBYE: usize = 64 * 1024;
    stream.write_all(command).await?;
    stream.shutdown().await?;
    let (mut rest, mut drained) = ([0; 512], 0);
    while drained < MAX_GOODBYE {
        match stream.read(&mut rest).await? {
            0 => break,
            count => drained += count,
        }
    }
    Ok(())
}

fn explain(
    end: &DialogueError,
    protocol: Protocol,
    seems_tls: bool,
    after: Duration,
) -> ProbeError {
    let name = protocol.name();
    let (kind, message) = match end {
        _ if seems_tls => (
            ErrorKind::StarttlsProtocol,
            format!("the server expects TLS from the first byte here, not {name} with STARTTLS"),
        ),
        DialogueError::Refused(words) => (
            ErrorKind::StarttlsRefused,
            format!("the server refuses TLS in {name}: `{words}`"),
        ),
        DialogueError::RefusedName { command, received } => (
            ErrorKind::StarttlsRefused,
            format!(
                "the server refuses `{command}` with `{received}`; give a name that it accepts with --ehlo"
            ),
        ),
        DialogueError::NotOffered => (
            ErrorKind::StarttlsRefused,
            format!("the server does not offer TLS in {name}"),
        ),
        DialogueError::Broken(what) => (
            ErrorKind::StarttlsProtocol,
            format!("the server does not speak {name} as it should: {what}"),
        ),
        DialogueError::TooMuch(limit) => {
            return lacks(&format!(
                "room for its cleartext in {name}: it sent more than {limit} bytes before TLS"
            ));
        }
        DialogueError::Follows => (
            ErrorKind::StarttlsProtocol,
            format!(
                "the server sent more cleartext after its go-ahead for TLS: an attacker may inject commands ({})",
                injection(protocol)
            ),
        ),
        DialogueError::Silent => (
            ErrorKind::StarttlsProtocol,
            format!(
                "the server did not get as far as TLS in {name} within {:.1} s: it is slow, or expects TLS from the first byte",
                after.as_secs_f64()
            ),
        ),
        DialogueError::Closed => (
            ErrorKind::TlsClosed,
            format!("the server closed the connection before TLS, in the dialogue of {name}"),
        ),
        DialogueError::Io(error) => (
            ErrorKind::TlsClosed,
            format!("the connection broke off before TLS, in the dialogue of {name}: {error}"),
        ),
    };
    ProbeError {
        seems: protocol.with_direct_tls().filter(|_| seems_tls),
        ..ProbeError::new(kind, message)
    }
}

/// Returns the vulnerability of clients that accept cleartext data after the go-ahead.
fn injection(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Postgres => "CVE-2021-23222",
        _ => "CVE-2011-0411",
    }
}

#[cfg(test)]
mod tests;
