//! Replies with a three-digit code and text, as in SMTP, FTP and NNTP.

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{DialogueError, MAX_LINES, SHORT_LINE, Wire};

/// Position of the code in a reply of several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// In every line (RFC 5321, section 4.2.1).
    EveryLine,
    /// In the first line and the last (RFC 959, section 4.2).
    FirstAndLast,
}

/// Complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Returns the error for a refusal, with the first line as its message.
    pub(super) fn refused(&self) -> DialogueError {
        DialogueError::refused(self.lines.first().map_or("", String::as_str))
    }

    /// Returns the texts after the first line, without their codes if they have one.
    pub(super) fn more(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().skip(1).map(|line| match code_of(line) {
            Some(_) => line.get(4..).unwrap_or_default(),
            None => line.trim_start(),
        })
    }
}

/// Reads one reply.
pub(super) async fn reply<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    style: Style,
) -> Result<Reply, DialogueError> {
    let first = wire.line(SHORT_LINE).await?;
    let Some(code) = code_of(&first) else {
        return Err(DialogueError::unexpected(first));
    };
    let mut goes_on = continues(&first);
    let mut lines = vec![first];
    while goes_on {
        if lines.len() >= MAX_LINES {
            return Err(DialogueError::too_many_lines());
        }
        let line = wire.line(SHORT_LINE).await?;
        let has_code = code_of(&line) == Some(code);
        if !has_code && style == Style::EveryLine {
            return Err(DialogueError::unexpected(line));
        }
        goes_on = !has_code || continues(&line);
        lines.push(line);
    }
    Ok(Reply { code, lines })
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

/// Returns true if one of these lines is this word, or starts with it.
pub(super) fn has_word<'a>(mut lines: impl Iterator<Item = &'a str>, word: &str) -> bool {
    lines.any(|line| {
        let first = line.split_ascii_whitespace().next();
        first.is_some_and(|first| first.eq_ignore_ascii_case(word))
    })
}
