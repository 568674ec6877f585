//! STARTTLS: the dialogue in cleartext before TLS, for each protocol, and its orderly end.
//!
//! [`Wire`] carries a dialogue, and limits the data that a server may send. The dialogue ends with
//! the server's go-ahead. Any cleartext data after it is an error: a client that treated such data
//! as part of the protected session would accept an attacker's injection (CVE-2011-0411).

mod farewell;
mod ftp;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod imap;
mod irc;
mod ldap;
mod mysql;
mod nntp;
mod pop3;
mod postgres;
mod reply;
mod sieve;
mod smtp;
mod wire;
mod xmpp;

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::{Protocol, Target};
use crate::observation::{ErrorKind, LookError};

use super::Look;

pub(super) use farewell::{Farewell, farewell};
pub(super) use wire::looks_like_tls;

use wire::{End, Wire};

/// Performs the dialogue until TLS is next.
///
/// # Errors
/// If the server refuses, violates the protocol, closes the connection, or exceeds the deadline.
pub(super) async fn start(
    look: Look<'_>,
    stream: &mut TcpStream,
    deadline: Instant,
    linger: Duration,
) -> Result<(), LookError> {
    let protocol = look.target.protocol;
    let start = Instant::now();
    let local = stream.local_addr().map(|a| a.ip().to_canonical());
    let us = literal(local.ok());
    let mut wire = Wire::new(&mut *stream);
    let dialogue = async {
        ask(&mut wire, look.target, &us).await?;
        wire.nothing_follows().await
    };
    let end = match timeout_at(deadline, dialogue).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(end)) => end,
        Err(_) => End::Silent,
    };
    let error = explain(&end, protocol, wire.seems_tls(), start.elapsed());
    if let (End::Refused(_) | End::NotOffered, Some(farewell)) = (end, farewell(look.target)) {
        let _ = timeout(linger, leave(stream, &farewell.in_the_clear)).await;
    }
    Err(error)
}

/// Performs the dialogue up to the go-ahead. `us` is our name for protocols that require one.
async fn ask<S>(wire: &mut Wire<S>, target: &Target, us: &str) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match target.protocol {
        Protocol::Smtp => smtp::ask(wire, "EHLO", us).await,
        Protocol::Lmtp => smtp::ask(wire, "LHLO", us).await,
        Protocol::Imap => imap::ask(wire).await,
        Protocol::Pop3 => pop3::ask(wire).await,
        Protocol::Ftp => ftp::ask(wire).await,
        Protocol::Xmpp => xmpp::ask(wire, xmpp::CLIENT, target.sent_name()).await,
        Protocol::XmppServer => xmpp::ask(wire, xmpp::SERVER, target.sent_name()).await,
        Protocol::Ldap => ldap::ask(wire).await,
        Protocol::Postgres => postgres::ask(wire).await,
        Protocol::Mysql => mysql::ask(wire).await,
        Protocol::Sieve => sieve::ask(wire).await,
        Protocol::Nntp => nntp::ask(wire).await,
        Protocol::Irc => irc::ask(wire).await,
        Protocol::Https
        | Protocol::H3
        | Protocol::Smtps
        | Protocol::Imaps
        | Protocol::Pop3s
        | Protocol::Ftps
        | Protocol::Xmpps
        | Protocol::Ldaps
        | Protocol::Nntps
        | Protocol::Ircs
        | Protocol::File => Ok(()),
    }
}

/// Sends the quit command to a server that does not start TLS, and waits for it to close the
/// connection.
async fn leave(stream: &mut TcpStream, words: &[u8]) -> std::io::Result<()> {
    /// Maximum data that is read before closing, in bytes.
    const MAX_GOODBYE: usize = 64 * 1024;
    stream.write_all(words).await?;
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

/// Returns our name in SMTP. It is an address literal, which clients without a name of their own
/// use (RFC 5321, sections 4.1.1.1 and 4.1.3).
fn literal(local: Option<IpAddr>) -> String {
    match local {
        Some(IpAddr::V4(ip)) => format!("[{ip}]"),
        Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        None => "[127.0.0.1]".into(),
    }
}

fn explain(end: &End, protocol: Protocol, seems_tls: bool, after: Duration) -> LookError {
    let name = protocol.name();
    let (kind, message) = match end {
        _ if seems_tls => (
            ErrorKind::StarttlsProtocol,
            format!("the server does not speak {name} in the clear here: it expects TLS from the first byte"),
        ),
        End::Refused(words) => (
            ErrorKind::StarttlsRefused,
            format!("the server refuses TLS in {name}: `{words}`"),
        ),
        End::NotOffered => (
            ErrorKind::StarttlsRefused,
            format!("the server does not offer TLS in {name}"),
        ),
        End::Broken(what) => (
            ErrorKind::StarttlsProtocol,
            format!("the server does not speak {name} as it should: {what}"),
        ),
        End::Follows => (
            ErrorKind::StarttlsProtocol,
            "the server sent more in the clear after its go-ahead for TLS: somebody may inject commands (CVE-2011-0411)".into(),
        ),
        End::Silent => (
            ErrorKind::StarttlsProtocol,
            format!(
                "the server did not get as far as TLS in {name} within {:.1} s: it is slow, or expects TLS from the first byte",
                after.as_secs_f64()
            ),
        ),
        End::Closed => (
            ErrorKind::TlsClosed,
            format!("the server closed the connection before TLS, in the dialogue of {name}"),
        ),
        End::Io(error) => (
            ErrorKind::TlsClosed,
            format!("the connection broke off before TLS, in the dialogue of {name}: {error}"),
        ),
    };
    LookError::new(kind, message)
}

#[cfg(test)]
mod tests;
