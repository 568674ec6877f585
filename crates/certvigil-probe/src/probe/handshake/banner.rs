//! What a server sent instead of TLS.

use crate::model::Protocol;

/// Returns the protocol of a greeting. A greeting with code 220 is SMTP's unless it mentions FTP.
pub(super) fn banner(first: &[u8]) -> Option<Protocol> {
    let first = first.to_ascii_uppercase();
    let has = |word: &[u8]| first.windows(word.len()).any(|part| part == word);
    match first.as_slice() {
        [b'2', b'2', b'0', b' ' | b'-', ..] if has(b"FTP") || has(b"FILEZILLA") => {
            Some(Protocol::Ftp)
        }
        [b'2', b'2', b'0', b' ' | b'-', ..] if has(b"LMTP") => Some(Protocol::Lmtp),
        [b'2', b'2', b'0', b' ' | b'-', ..] => Some(Protocol::Smtp),
        [b'2', b'0', b'0' | b'1', b' ', ..] => Some(Protocol::Nntp),
        [b'*', b' ', b'O', b'K', ..] => Some(Protocol::Imap),
        [b'+', b'O', b'K', ..] => Some(Protocol::Pop3),
        [b'"', b'I', b'M', b'P', b'L', ..] => Some(Protocol::Sieve),
        // Packet header, protocol version, and first digit of the server's version.
        [_, 0, 0, 0, 10, b'0'..=b'9', ..] => Some(Protocol::Mysql),
        _ if first.starts_with(b"<?XML") || first.starts_with(b"<STREAM") => Some(Protocol::Xmpp),
        _ if first.starts_with(b":") && has(b" NOTICE") => Some(Protocol::Irc),
        _ if first.starts_with(b"INFO {") => Some(Protocol::Nats),
        // TPKT with an X.224 disconnect request or data (RFC 1006, section 6).
        [3, 0, 0, _, _, 0x80 | 0xf0, ..] => Some(Protocol::Rdp),
        _ => None,
    }
}

/// Returns the first line of a text without control characters.
pub(in crate::probe) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .map(|c| if c.is_control() { '.' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::looks_like_tls;
    use super::*;

    #[test]
    fn banners_of_other_protocols_are_recognised() {
        assert!(looks_like_tls(&[0x16, 3, 3, 0, 1]));
        assert!(!looks_like_tls(b"HTTP/1.1 400"));
        assert_eq!(readable(b"220 mail ESMTP\r\n\x1b[2J"), "220 mail ESMTP");
        assert_eq!(readable(b"\x1b[2J"), ".[2J");
        for (first, protocol) in [
            (&b"220 mail.example"[..], Some(Protocol::Smtp)),
            (b"220 (vsFTPd 3.0.", Some(Protocol::Ftp)),
            (b"* OK [CAPABILITY", Some(Protocol::Imap)),
            (b"+OK Dovecot", Some(Protocol::Pop3)),
            (b"\x5b\0\0\0\x0a5.5.5", Some(Protocol::Mysql)),
            (b"INFO {\"server_id", Some(Protocol::Nats)),
            (b"\x03\0\0\x09\x02\xf0\x80\x21\x80", Some(Protocol::Rdp)),
            (b"HTTP/1.1 400 Bad", None),
            (b"SSH-2.0-OpenSSH", None),
        ] {
            assert_eq!(banner(first), protocol, "{first:?}");
        }
    }
}
