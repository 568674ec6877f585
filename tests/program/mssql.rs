//! Microsoft SQL Server. Debian has no such server, so its side of the dialogue is written here from
//! [MS-TDS]: PRELOGIN, TLS inside of TDS packets until the handshake is over, and TDS 8.0.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};

use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls::{self, Server};

const PRELOGIN: u8 = 0x12;
const RESPONSE: u8 = 0x04;
const HEADER: usize = 8;
/// Length of the packets that carry the server's handshake, small enough for several of them.
const PACKET: usize = 512;

/// A server's side of a connection with TLS inside of TDS packets.
struct Packets<'a> {
    stream: &'a mut TcpStream,
    unread: Vec<u8>,
}

impl Read for Packets<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            let Some(data) = packet(self.stream, PRELOGIN) else {
                return Ok(0);
            };
            self.unread = data;
        }
        let count = self.unread.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }
}

impl Write for Packets<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let parts = data.chunks(PACKET - HEADER);
        let last = parts.len() - 1;
        for (number, part) in parts.enumerate() {
            send(self.stream, PRELOGIN, part, number == last)?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send(stream: &mut TcpStream, kind: u8, data: &[u8], is_last: bool) -> io::Result<()> {
    let [high, low] = u16::try_from(data.len() + HEADER).unwrap().to_be_bytes();
    let header = [kind, u8::from(is_last), high, low, 0, 0, 1, 0];
    stream.write_all(&[&header, data].concat())
}

/// Reads a packet, which must be of this type. Returns `None` at the end of the connection.
fn packet(stream: &mut TcpStream, kind: u8) -> Option<Vec<u8>> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).ok()?;
    assert_eq!(header[0], kind, "{header:?}");
    let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER;
    let mut data = vec![0; length];
    stream.read_exact(&mut data).ok()?;
    Some(data)
}

/// Answers PRELOGIN with this value of the option ENCRYPTION. Returns the value of the request.
fn answer_prelogin(stream: &mut TcpStream, encryption: u8) -> Option<u8> {
    let request = packet(stream, PRELOGIN)?;
    let option = request
        .chunks(5)
        .find(|option| option[0] == 1)
        .expect("the request has the option ENCRYPTION");
    let offset = usize::from(u16::from_be_bytes([option[1], option[2]]));
    let version = [16, 0, 4, 3, 0, 0];
    let mut response = vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff];
    response.extend(version);
    response.push(encryption);
    send(stream, RESPONSE, &response, true).ok()?;
    Some(request[offset])
}

/// A server of TDS 7. `ends` receives true for each connection that ends with a close_notify
/// outside of packets.
fn tds7(config: Arc<ServerConfig>, encryption: u8, ends: mpsc::Sender<bool>) -> Server {
    Server::start("127.0.0.1", move |stream| {
        // The readiness of the encryption: the client requests it for the whole connection.
        if answer_prelogin(stream, encryption) != Some(1) {
            return;
        }
        let mut tls = ServerConnection::new(config.clone()).unwrap();
        let mut packets = Packets {
            stream,
            unread: Vec::new(),
        };
        while tls.is_handshaking() {
            if tls.complete_io(&mut packets).is_err() {
                return;
            }
        }
        // The session is not in packets.
        let mut end = Vec::new();
        let end = stream.read_to_end(&mut end).map(|_| end);
        let _ = ends.send(end.is_ok_and(|end| matches!(end[..], [0x15 | 0x17, 3, 3, ..])));
    })
}

/// A server with strict encryption, which closes connections that do not begin with TLS.
fn strict(config: Arc<ServerConfig>) -> Server {
    let config = {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![b"tds/8.0".to_vec()];
        Arc::new(config)
    };
    Server::start("127.0.0.1", move |stream| {
        let mut first = [0];
        if stream.peek(&mut first).is_ok_and(|_| first == [0x16]) {
            tls::complete_handshake(stream, &config);
        }
    })
}

#[test]
fn tls_handshake_is_carried_by_tds_packets() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (version, name) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        // On, required, and for the login only.
        for encryption in [1, 3, 0] {
            let (sender, ends) = mpsc::channel();
            let config = tls::config_with_key(&pki, &leaf, &leaf, &[version]);
            let server = tds7(config, encryption, sender);
            let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
            let row = check.args(&["--starttls", "mssql"]).row();
            row.assert_right(&[]);
            assert_eq!(row.text("/protocol"), "mssql");
            assert_eq!(row.text("/served/tls_version"), name);
            assert!(row.0["timings_ms"]["starttls"].is_f64(), "{row:?}");
            assert!(ends.recv().unwrap(), "the session ends with close_notify");
        }
    }
}

#[test]
fn server_without_encryption_refuses_tls() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (sender, _ends) = mpsc::channel();
    let server = tds7(tls::config(&pki, &leaf), 2, sender);
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check.args(&["--starttls", "mssql"]).row();
    assert_eq!(row.outcome(), "starttls_refused");
    let hint = row.text("/findings/0/hint");
    assert!(hint.contains("SQL Server"), "{hint}");
}

#[test]
fn strict_encryption_has_tls_from_the_first_byte() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = strict(tls::config(&pki, &leaf));
    let port = server.port();
    for (scheme, tries) in [("mssql-strict", 1), ("mssql", 3), ("sqlserver", 5)] {
        let resolve = format!("{HOST}:{port}:127.0.0.1");
        let check = Check::new(&pki).expect(&pki.full_chain(&leaf));
        let check = check.arg(format!("{scheme}://{HOST}:{port}"));
        let row = check.args(&["--resolve", &resolve]).row();
        row.assert_right(&[]);
        assert_eq!(row.text("/served/alpn"), "tds/8.0", "{scheme}");
        assert_eq!(server.connections(), tries, "{scheme}");
    }
}
