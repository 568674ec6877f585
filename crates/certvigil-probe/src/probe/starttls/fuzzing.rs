//! Fuzz target of the STARTTLS dialogues.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use crate::certificate::is_one_line;

use super::wire::{MAX_DIALOGUE, MAX_MESSAGE};
use super::*;

/// Maximum length of an error message, in characters.
const MAX_MESSAGE_CHARS: usize = 400;

/// Runs a dialogue with a server that sends the rest of the data. The first octet selects the
/// protocol, the second one the size of the pieces. Asserts that sending all data at once has the
/// same outcome.
pub(in crate::probe) fn starttls(data: &[u8]) {
    let [protocol, rest @ ..] = data else {
        return;
    };
    let protocols: Vec<Protocol> = Protocol::ALL
        .iter()
        .copied()
        .filter(|p| p.uses_starttls())
        .collect();
    let at = usize::from(*protocol) % protocols.len();
    let Some(&protocol) = protocols.get(at) else {
        return;
    };
    dialogue(protocol, rest);
}

/// Runs the dialogue of a protocol. The first octet is the size of the pieces.
pub(in crate::probe) fn dialogue(protocol: Protocol, data: &[u8]) {
    let [size, received @ ..] = data else {
        return;
    };
    let whole = receive(protocol, received, received.len().max(1), false);
    let cut = receive(protocol, received, usize::from(*size).max(1), false);
    // A limit is checked between two reads, so its effect depends on the pieces. So
    // does that of data after PostgreSQL's `N`, which is no answer if more comes with it.
    let depends_on_pieces = received.len() >= MAX_MESSAGE
        || protocol == Protocol::Postgres && matches!(received, [b'N', _, ..]);
    if !depends_on_pieces {
        assert_eq!(whole, cut, "{protocol}");
    }
    let hung_up = receive(protocol, received, received.len().max(1), true);
    match whole.as_str() {
        "silent" | "go ahead" => assert_eq!(hung_up, "closed", "{protocol}"),
        other => assert_eq!(hung_up, other, "{protocol}"),
    }
}

/// Returns the outcome of a dialogue.
fn receive(protocol: Protocol, received: &[u8], size: usize, closes: bool) -> String {
    let Ok(domain) = "mail.example.com".parse() else {
        return String::new();
    };
    let names = Names {
        client: &["[192.0.2.1]".into(), "mail.example.net".into()],
        domain: &domain,
    };
    let mut received_bytes = Vec::new();
    let server = Script {
        received,
        size,
        closes,
        received_bytes: &mut received_bytes,
    };
    let mut wire = Wire::new(server);
    let outcome = {
        let dialogue = pin!(async {
            ask(&mut wire, protocol, &names).await?;
            wire.nothing_follows().await
        });
        // The dialogue waits only for the script, which never wakes it. Pending means that there is
        // no more data.
        match dialogue.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(DialogueError::Silent),
        }
    };
    let end = match outcome {
        Ok(()) => "go ahead",
        Err(ref end) => {
            let error = explain(end, protocol, wire.seems_tls(), Duration::ZERO);
            assert!(is_one_line(&error.message), "{error:?}");
            assert!(error.message.chars().count() < MAX_MESSAGE_CHARS);
            match end {
                DialogueError::Refused(_) => "refused",
                DialogueError::RefusedName { .. } => "refused name",
                DialogueError::NotOffered => "not offered",
                DialogueError::Broken(_) => "broken",
                DialogueError::TooMuch(_) => "too much",
                DialogueError::Follows => "follows",
                DialogueError::Silent => "silent",
                DialogueError::Closed => "closed",
                DialogueError::Io(_) => "failed",
            }
        }
    };
    drop(wire);
    assert!(received_bytes.len() <= 2 * MAX_DIALOGUE);
    if speaks_lines(protocol) {
        assert_lines(&received_bytes);
    }
    end.into()
}

fn speaks_lines(protocol: Protocol) -> bool {
    !matches!(
        protocol,
        Protocol::Xmpp
            | Protocol::XmppServer
            | Protocol::Ldap
            | Protocol::Postgres
            | Protocol::Mysql
            | Protocol::Rdp
            | Protocol::Mssql
    )
}

/// Asserts that the client's data consists of complete lines, even if it repeats data of the
/// server.
fn assert_lines(received_bytes: &[u8]) {
    assert!(received_bytes.is_empty() || received_bytes.ends_with(b"\r\n"));
    let text = received_bytes
        .strip_suffix(b"\r\n")
        .unwrap_or(received_bytes);
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
        let (_, end) = rest.split_at(at);
        assert!(
            end.starts_with(b"\r\n"),
            "{:?}",
            String::from_utf8_lossy(received_bytes)
        );
        rest = end.get(2..).unwrap_or_default();
    }
}

/// Server that sends fixed data regardless of its input, and then waits or closes the connection.
struct Script<'a> {
    received: &'a [u8],
    size: usize,
    closes: bool,
    received_bytes: &'a mut Vec<u8>,
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.received.is_empty() {
            return if self.closes {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let length = self.size.min(buffer.remaining()).min(self.received.len());
        let (now, later) = self.received.split_at(length);
        buffer.put_slice(now);
        self.received = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        words: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.get_mut().received_bytes.extend(words);
        Poll::Ready(Ok(words.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
