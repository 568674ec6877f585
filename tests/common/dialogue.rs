//! The server's side of line-based STARTTLS dialogues.

use crate::fixture::tls::send_bytes;
use std::io::Read as _;
use std::net::TcpStream;

/// Sends each of these texts, and waits for a line from the client before the next. Returns false
/// if the client is gone.
pub(crate) fn run_dialogue(stream: &mut TcpStream, words: &[&str]) -> bool {
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        send_bytes(stream, word.as_bytes());
        if words.peek().is_some() && !read_line(stream) {
            return false;
        }
    }
    true
}

pub(crate) const SMTP: [&str; 3] = [
    "220-mx\r\n220 mx ESMTP\r\n",
    "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
    "220 go ahead\r\n",
];

/// Reads one line from the client. Returns false if the client is gone.
pub(crate) fn read_line(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|count| count == 1) {
        if byte == *b"\n" {
            return true;
        }
    }
    false
}
