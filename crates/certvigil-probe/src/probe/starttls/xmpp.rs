//! XMPP: both sides open a stream, the server lists its features, and the client requests TLS (RFC
//! 6120, section 5).

use tokio::io::{AsyncRead, AsyncWrite};

use crate::model::{Hostname, Protocol};

use super::violation::Violation;
use super::wire::{DialogueError, Wire, quote};

/// Namespaces of a client's stream and of a server's.
const CLIENT: &str = "jabber:client";
const SERVER: &str = "jabber:server";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    namespace: &str,
    domain: &Hostname,
) -> Result<(), DialogueError> {
    wire.send(open(namespace, domain)).await?;
    wire.message(header).await?;
    let features = wire.message(element).await?;
    if features.name != "features" {
        return Err(features.refused());
    }
    if !features.children.iter().any(|name| name == "starttls") {
        return Err(DialogueError::NotOffered);
    }
    wire.send(STARTTLS).await?;
    let answer = wire.message(element).await?;
    match answer.name.as_str() {
        "proceed" => Ok(()),
        _ => Err(answer.refused()),
    }
}

/// Returns the namespace of a protocol's streams.
pub(super) fn namespace(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::XmppServer | Protocol::XmppsServer => SERVER,
        _ => CLIENT,
    }
}

/// Returns the opening of a stream. A host name contains no characters that XML reserves.
pub(super) fn open(namespace: &str, domain: &Hostname) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{namespace}' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{domain}' version='1.0'>"
    )
}

/// Element of a stream, with the names of its child elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) children: Vec<String>,
    text: Vec<u8>,
}

impl Element {
    /// Creates the error for a refusal from the names in an error element, such as `error:
    /// host-unknown`.
    fn refused(&self) -> DialogueError {
        let mut words = self.name.clone();
        for (mark, part) in [(": ", self.children.join(", ")), (": ", quote(&self.text))] {
            if !part.is_empty() {
                words.push_str(mark);
                words.push_str(&part);
            }
        }
        DialogueError::refused(words)
    }
}

/// Parses the XML declaration and the opening tag of the server's stream.
pub(super) fn header(bytes: &[u8]) -> Result<Option<((), usize)>, Violation> {
    let mut at = 0;
    loop {
        let Some((tag, end)) = tag(bytes, at)? else {
            return Ok(None);
        };
        match tag {
            Tag::Declaration => at = end,
            Tag::Start { name: "stream", .. } => return Ok(Some(((), end))),
            _ => return Err(unexpected(bytes)),
        }
    }
}

/// Parses one element of the stream.
pub(super) fn element(bytes: &[u8]) -> Result<Option<(Element, usize)>, Violation> {
    let mut element = Element::default();
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let Some((tag, end)) = tag_after(bytes, at, |text| {
            element.text.extend_from_slice(text.trim_ascii());
        })?
        else {
            return Ok(None);
        };
        at = end;
        match tag {
            Tag::Start { name, is_empty } => {
                match depth {
                    0 => name.clone_into(&mut element.name),
                    1 => element.children.push(name.to_owned()),
                    _ => {}
                }
                depth += usize::from(!is_empty);
            }
            Tag::End if depth > 0 => depth -= 1,
            // The server closed the stream instead.
            Tag::End => return Err(Violation::StreamClosed),
            Tag::Declaration => return Err(unexpected(bytes)),
        }
        if depth == 0 {
            return Ok(Some((element, at)));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag<'a> {
    Declaration,
    /// The name has no namespace prefix.
    Start {
        name: &'a str,
        is_empty: bool,
    },
    End,
}

/// Returns the next tag and the position after it. Only white space may precede the tag.
fn tag(bytes: &[u8], from: usize) -> Result<Option<(Tag<'_>, usize)>, Violation> {
    let mut is_text = false;
    let found = tag_after(bytes, from, |text| is_text = !text.trim_ascii().is_empty())?;
    let rest = bytes.get(from..).unwrap_or_default().trim_ascii_start();
    if is_text || rest.first().is_some_and(|b| *b != b'<') {
        return Err(unexpected(bytes));
    }
    Ok(found)
}

/// Returns the next tag and the position after it. Calls `before` with the text before the tag.
fn tag_after(
    bytes: &[u8],
    from: usize,
    before: impl FnOnce(&[u8]),
) -> Result<Option<(Tag<'_>, usize)>, Violation> {
    let rest = bytes.get(from..).unwrap_or_default();
    let Some(start) = rest.iter().position(|b| *b == b'<') else {
        return Ok(None);
    };
    let Some(end) = end_of_tag(rest.get(start..).unwrap_or_default()) else {
        return Ok(None);
    };
    before(rest.get(..start).unwrap_or_default());
    let inside = rest.get(start + 1..start + end).unwrap_or_default();
    let tag = match inside {
        [b'?', ..] => Tag::Declaration,
        [b'/', ..] => Tag::End,
        // Comments and document type declarations are not allowed in a stream (section 11.1).
        [b'!', ..] => return Err(unexpected(rest)),
        _ => {
            let name = inside
                .split(|b| b.is_ascii_whitespace() || *b == b'/')
                .next()
                .unwrap_or_default();
            let name = std::str::from_utf8(name).map_err(|_| unexpected(rest))?;
            Tag::Start {
                name: name.split_once(':').map_or(name, |(_, local)| local),
                is_empty: inside.ends_with(b"/"),
            }
        }
    };
    Ok(Some((tag, from + start + end + 1)))
}

/// Returns the position of the bracket that closes a tag. Brackets in an attribute's value are
/// skipped.
fn end_of_tag(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    bytes.iter().position(|&b| {
        match quote {
            Some(open) if b == open => quote = None,
            Some(_) => {}
            None if b == b'"' || b == b'\'' => quote = Some(b),
            None => return b == b'>',
        }
        false
    })
}

fn unexpected(bytes: &[u8]) -> Violation {
    /// Maximum bytes to quote.
    const MAX_START: usize = 64;
    Violation::unexpected(bytes.get(..MAX_START).unwrap_or(bytes))
}
