//! Replies with a three-digit code and text, as in SMTP, FTP and NNTP.

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{DialogueError, Wire};

/// Position of the code in a reply of several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// In every line (RFC 5321, section 4.2.1).
    EveryLine,
    /// In the first line and the last (RFC 959, section 4.2).
    FirstAndLast,
}

/// Code and first line of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) first: String,
}

impl Reply {
    /// Returns the error for a refusal, with the first line as its message.
    pub(super) fn refused(&self) -> DialogueError {
        DialogueError::refused(&self.first)
    }
}

/// Reads one reply.
pub(super) async fn reply<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    style: Style,
) -> Result<Reply, DialogueError> {
    reply_with(wire, style, |_| {}).await
}

/// Reads one reply. Calls `each` with the text of each line after the first one, without its code
/// if it has one. The lines are not kept: a server may send thousands of them.
pub(super) async fn reply_with<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    style: Style,
    mut each: impl FnMut(&str),
) -> Result<Reply, DialogueError> {
    let first = wire.line().await?;
    let Some(code) = code_of(&first) else {
        return Err(DialogueError::unexpected(first));
    };
    let mut goes_on = continues(&first);
    while goes_on {
        let line = wire.line().await?;
        let has_code = code_of(&line) == Some(code);
        if !has_code && style == Style::EveryLine {
            return Err(DialogueError::unexpected(line));
        }
        goes_on = !has_code || continues(&line);
        each(match code_of(&line) {
            Some(_) => line.get(4..).unwrap_or_default(),
            None => line.trim_start(),
        });
    }
    Ok(Reply { code, first })
}

/// Returns the code at the start of a line.
pub(super) fn code_of(line: &str) -> Option<u16> {
    let (code, rest) = line.split_at_checked(3)?;
    let is_code = code.bytes().all(|b| b.is_ascii_digit());
    let ends = rest.is_empty() || rest.starts_with([' ', '-']);
    (is_code && ends).then(|| code.parse().ok()).flatten()
}

fn continues(line: &str) -> bool {
    line.as_bytes().get(3) == Some(&b'-')
}

/// Returns true if a line is this word, or starts with it.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let first = line.split_ascii_whitespace().next();
    first.is_some_and(|first| first.eq_ignore_ascii_case(word))
}
