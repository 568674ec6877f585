use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::wire::{MAX_DIALOGUE, quote, take_line};
use super::*;

/// Runs a dialogue with a server that sends these parts in sequence, and then closes the connection
/// or waits. Returns the outcome, and the data that the client sent.
fn run_dialogue(protocol: Protocol, parts: &[&[u8]], closes: bool) -> (String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(async {
        let (client, mut server) = duplex(2 * MAX_DIALOGUE);
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
        let saying = tokio::spawn(async move {
            for part in parts {
                let _ = server.write_all(&part).await;
                tokio::task::yield_now().await;
            }
            if closes {
                let _ = server.shutdown().await;
            }
            let mut received = Vec::new();
            let _ = server.read_to_end(&mut received).await;
            received
        });
        let mut wire = Wire::new(client);
        let domain = "mail.example.com".parse().unwrap();
        let names = Names {
            client: &["[192.0.2.1]".into(), "mail.example.net".into()],
            domain: &domain,
        };
        let mut result = ask(&mut wire, protocol, &names).await;
        if result.is_ok() {
            result = wire.nothing_follows().await;
        }
        let outcome = match result {
            Ok(()) => "go ahead".into(),
            Err(DialogueError::Refused(words)) => format!("refused: {words}"),
            Err(DialogueError::RefusedName { command, received }) => {
                format!("refused {command}: {received}")
            }
            Err(DialogueError::NotOffered) => "not offered".into(),
            Err(DialogueError::Broken(what)) => format!("broken: {what}"),
            Err(DialogueError::TooMuch(_)) => "too much".into(),
            Err(DialogueError::Follows) => "more follows".into(),
            Err(DialogueError::Closed) => "closed".into(),
            Err(DialogueError::Silent | DialogueError::Io(_)) => "failed".into(),
        };
        drop(wire);
        (
            outcome,
            String::from_utf8_lossy(&saying.await.unwrap()).into_owned(),
        )
    })
}

/// A protocol without a dialogue would begin TLS with a server that does not expect it.
#[test]
fn every_protocol_with_starttls_has_a_dialogue() {
    let with_starttls: Vec<_> = Protocol::ALL.iter().filter(|p| p.uses_starttls()).collect();
    assert!(with_starttls.len() > 10);
    for protocol in with_starttls {
        let (outcome, _) = run_dialogue(*protocol, &[], true);
        assert_ne!(outcome, "go ahead", "{protocol}");
    }
}

/// Returns a greeting as MariaDB sends it, with these capabilities.
fn mysql_greeting(capabilities: u16) -> Vec<u8> {
    let mut payload = vec![10];
    payload.extend(b"5.5.5-10.11.6-MariaDB\0");
    payload.extend([7, 0, 0, 0]);
    payload.extend(b"saltsalt\0");
    payload.extend(capabilities.to_le_bytes());
    payload.extend([33, 2, 0, 0, 0, 21, 0, 0]);
    let mut packet = vec![payload.len() as u8, 0, 0, 0];
    packet.extend(payload);
    packet
}

fn ldap_response(code: u8, diagnostics: &str) -> Vec<u8> {
    let length = diagnostics.len() as u8;
    let mut bytes = vec![0x30, 12 + length, 2, 1, 1, 0x78, 7 + length, 10, 1, code];
    bytes.extend([4, 0, 4, length]);
    bytes.extend(diagnostics.as_bytes());
    bytes
}

/// Returns an X.224 connection confirm with this negotiation data.
fn rdp_response(negotiation: &[u8]) -> Vec<u8> {
    let length = 11 + negotiation.len() as u8;
    let mut bytes = vec![3, 0, 0, length, length - 5, 0xd0, 0, 0, 0x12, 0x34, 0];
    bytes.extend(negotiation);
    bytes
}

/// Returns a response to PRELOGIN with this value of the option ENCRYPTION, in two packets.
fn prelogin_response(encryption: u8) -> Vec<u8> {
    let mut bytes = vec![4, 0, 0, 12, 0, 0, 1, 0, 0, 0, 11, 0];
    bytes.extend([4, 1, 0, 22, 0, 0, 2, 0]);
    bytes.extend([6, 1, 0, 17, 0, 1, 0xff, 16, 0, 4, 3, 0, 0]);
    bytes.push(encryption);
    bytes
}

fn tds_error(message: &str) -> Vec<u8> {
    let mut token = vec![0xaa, 0, 0, 0x84, 0x48, 0, 0, 1, 20];
    token.extend((message.len() as u16).to_le_bytes());
    token.extend(message.encode_utf16().flat_map(u16::to_le_bytes));
    let mut bytes = vec![4, 1, 0, 8 + token.len() as u8, 0, 0, 1, 0];
    bytes.extend(token);
    bytes
}

/// Returns data of servers, with the outcome and the start of the client's last command.
fn scripts() -> Vec<(Protocol, Vec<u8>, &'static str, &'static str)> {
    const HEADER: &str = "<?xml version='1.0'?><stream:stream from='a>b' version='1.0'>";
    let features = |inside: &str| format!("{HEADER}<stream:features>{inside}</stream:features>");
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
    let smtp = "220-a\r\n220 b ESMTP\r\n250-b\r\n250-SIZE 1\r\n250 starttls\r\n";
    vec![
        (Protocol::Smtp, format!("{smtp}220 go\r\n").into(), "go ahead", "EHLO [192.0.2.1]\r\nSTARTTLS\r\n"),
        (Protocol::Lmtp, format!("{smtp}220 go\r\n").into(), "go ahead", "LHLO [192.0.2.1]\r\nSTARTTLS\r\n"),
        (Protocol::Smtp, format!("{smtp}454 4.7.0 not now\r\n").into(), "refused: 454 4.7.0 not now", "EHLO"),
        (Protocol::Smtp, format!("{smtp}220 go\r\n250 evil\r\n").into(), "more follows", "EHLO"),
        (Protocol::Smtp, b"220 b\r\n250-b\r\n250 NOSTARTTLS\r\n".into(), "not offered", "EHLO [192.0.2.1]\r\n"),
        // The server's host name is not a capability.
        (Protocol::Smtp, b"220 b\r\n250-STARTTLS\r\n250 SIZE\r\n".into(), "not offered", "EHLO"),
        (Protocol::Smtp, b"554 go away\x1b[2J\r\n".into(), "refused: 554 go away\u{fffd}[2J", ""),
        (Protocol::Smtp, b"220 b\r\n250-b\r\n251 c\r\n".into(), "broken: it sent `251 c`", "EHLO"),
        (Protocol::Smtp, b"SSH-2.0-OpenSSH\r\n".into(), "broken: it sent `SSH-2.0-OpenSSH`", ""),
        (Protocol::Smtp, b"220 b\r\n25".into(), "closed", "EHLO"),
        (Protocol::Smtp, b"220 b\r\n550 5.7.1 no\r\n250-b\r\n250 STARTTLS\r\n220 go\r\n".into(), "go ahead", "EHLO [192.0.2.1]\r\nEHLO mail.example.net\r\nSTARTTLS\r\n"),
        (Protocol::Lmtp, b"220 b\r\n501 no\r\n504 nor this\r\n".into(), "refused LHLO [192.0.2.1]: 501 no", "LHLO [192.0.2.1]\r\nLHLO mail.example.net\r\n"),
        (Protocol::Smtp, b"220 b\r\n421 later\r\n".into(), "refused: 421 later", "EHLO [192.0.2.1]\r\n"),
        (Protocol::Imap, b"* OK [X] hi\r\n* CAPABILITY IMAP4rev1 starttls\r\nA1 ok x\r\na2 OK\r\n".into(), "go ahead", "a1 CAPABILITY\r\na2 STARTTLS\r\n"),
        (Protocol::Imap, b"* OK\r\n* CAPABILITY IMAP4rev1\r\na1 OK\r\n".into(), "not offered", "a1 CAPABILITY\r\n"),
        (Protocol::Imap, b"* PREAUTH hi\r\n".into(), "refused: * PREAUTH hi", ""),
        (Protocol::Imap, b"* OK\r\n* CAPABILITY STARTTLS\r\na1 OK\r\na2 NO later\r\n".into(), "refused: a2 NO later", "a1"),
        (Protocol::Pop3, b"+OK hi\r\n+OK\r\nUIDL\r\nSTLS\r\n.\r\n+OK go\r\n".into(), "go ahead", "CAPA\r\nSTLS\r\n"),
        (Protocol::Pop3, b"+OK hi\r\n-ERR what\r\n+OK go\r\n".into(), "go ahead", "CAPA\r\nSTLS\r\n"),
        (Protocol::Pop3, b"+OK hi\r\n+OK\r\nUIDL\r\n.\r\n".into(), "not offered", "CAPA\r\n"),
        (Protocol::Pop3, b"+OK hi\r\n-ERR what\r\n-ERR no\r\n".into(), "refused: -ERR no", "CAPA"),
        (Protocol::Ftp, b"120 soon\r\n220-hi\r\n anything\r\n220 hi\r\n211-F\r\n AUTH SSL;TLS\r\n211 End\r\n234 go\r\n".into(), "go ahead", "FEAT\r\nAUTH TLS\r\n"),
        (Protocol::Ftp, b"220 hi\r\n530 log in\r\n234 go\r\n".into(), "go ahead", "FEAT\r\nAUTH TLS\r\n"),
        (Protocol::Ftp, b"220 hi\r\n211-F\r\n UTF8\r\n211 End\r\n502 no\r\n".into(), "not offered", "FEAT\r\nAUTH TLS\r\n"),
        (Protocol::Ftp, b"220 hi\r\n211 none\r\n234 go\r\n".into(), "go ahead", "FEAT\r\nAUTH TLS\r\n"),
        (Protocol::Ftp, b"220 hi\r\n211-F\r\n AUTH TLS\r\n211 End\r\n334 go\r\n".into(), "go ahead", "FEAT\r\nAUTH TLS\r\n"),
        (Protocol::Ftp, b"220 hi\r\n500 ?\r\n530 no\r\n".into(), "refused: 530 no", "FEAT"),
        (Protocol::Nntp, b"201 hi\r\n101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n382 go\r\n".into(), "go ahead", "CAPABILITIES\r\nSTARTTLS\r\n"),
        (Protocol::Nntp, b"200 hi\r\n500 what\r\n502 no\r\n".into(), "refused: 502 no", "CAPABILITIES"),
        (Protocol::Nntp, b"200 hi\r\n101 list\r\nVERSION 2\r\n.\r\n".into(), "not offered", "CAPABILITIES\r\n"),
        (Protocol::Nntp, b"200 hi\r\n101 list\r\nMODE-READER\r\n.\r\n200 hi\r\n101 list\r\nSTARTTLS\r\n.\r\n382 go\r\n".into(), "go ahead", "CAPABILITIES\r\nMODE READER\r\nCAPABILITIES\r\nSTARTTLS\r\n"),
        (Protocol::Nntp, b"200 hi\r\n101 list\r\nMODE-READER\r\n.\r\n502 no\r\n".into(), "refused: 502 no", "CAPABILITIES\r\nMODE READER\r\n"),
        (Protocol::Nntp, b"200 hi\r\n101 list\r\nMODE-READER\r\n.\r\n200 hi\r\n101 list\r\nREADER\r\n.\r\n".into(), "not offered", "CAPABILITIES\r\nMODE READER\r\nCAPABILITIES\r\n"),
        (Protocol::Sieve, b"\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK \"hi\"\r\nOK \"go\"\r\n".into(), "go ahead", "STARTTLS\r\n"),
        (Protocol::Sieve, b"\"SIEVE\" \"x\"\r\nOK (TAG) \"hi\"\r\n".into(), "not offered", ""),
        (Protocol::Sieve, b"BYE \"busy\"\r\n".into(), "refused: BYE \"busy\"", ""),
        (Protocol::Sieve, b"\"IMPLEMENTATION\" {5}\r\nOK\r\n.\r\n\"STARTTLS\"\r\nOK {2+}\r\nhi\r\nOK {2}\r\ngo\r\n".into(), "go ahead", "STARTTLS\r\n"),
        (Protocol::Sieve, b"\"SIEVE\" {4294967295}\r\n".into(), "too much", ""),
        (Protocol::Imap, b"* OK {9}\r\n* X {4} {3+}\r\nab\n {0}\r\n y\r\n* NO {9}\r\n* CAPABILITY STARTTLS\r\na1 OK\r\na2 OK {3}\r\n".into(), "go ahead", "a1 CAPABILITY\r\na2 STARTTLS\r\n"),
        (Protocol::Irc, b":s NOTICE * :hi\r\nPING :x\r\n:s CAP * LS * :sasl=A\r\n:s CAP * LS :tls x\r\n:s 670 * :go\r\n".into(), "go ahead", "CAP LS 302\r\nPONG :x\r\nSTARTTLS\r\n"),
        (Protocol::Irc, b":s CAP * LS :sasl sts=port=6697\r\n".into(), "not offered", "CAP LS 302\r\n"),
        (Protocol::Irc, b":s 421 * CAP :what\r\n:s 691 * :no\r\n".into(), "refused: :s 691 * :no", "CAP"),
        (Protocol::Irc, b"PING :x\rQUIT\r\n".into(), "broken: it sent `PING :x\u{fffd}QUIT`", "CAP LS 302\r\n"),
        (Protocol::Irc, b"ERROR :banned\r\n".into(), "refused: ERROR :banned", "CAP"),
        (Protocol::Xmpp, (features(starttls) + "<proceed xmlns='x'/>").into(), "go ahead", "<?xml version='1.0'?><stream:stream xmlns='jabber:client'"),
        (Protocol::XmppServer, (features(starttls) + "<proceed xmlns='x'/>").into(), "go ahead", "<?xml version='1.0'?><stream:stream xmlns='jabber:server'"),
        (Protocol::Xmpp, features("<mechanisms><mechanism>starttls</mechanism></mechanisms>").into(), "not offered", "<?xml"),
        (Protocol::Xmpp, (features(starttls) + "<failure xmlns='x'/></stream:stream>").into(), "refused: failure", "<?xml"),
        (Protocol::Xmpp, format!("{HEADER}<stream:error><host-unknown xmlns='x'/><text>no such host</text></stream:error>").into(), "refused: error: host-unknown, text: no such host", "<?xml"),
        (Protocol::Xmpp, format!("{HEADER}</stream:stream>").into(), "broken: it closed the stream", "<?xml"),
        (Protocol::Xmpp, b"220 hi\r\n".into(), "broken: it sent `220 hi`", "<?xml"),
        (Protocol::Ldap, ldap_response(0, ""), "go ahead", "0\u{1d}"),
        (Protocol::Ldap, ldap_response(2, "unsupported"), "refused: 2 (protocolError) unsupported", "0"),
        (Protocol::Ldap, b"HTTP/1.1 400\r\n".into(), "broken: it sent `HTTP/1.1 400`", "0"),
        (Protocol::Postgres, b"S".into(), "go ahead", "\0\0\0\u{8}"),
        (Protocol::Postgres, b"N".into(), "not offered", "\0\0\0\u{8}"),
        (Protocol::Postgres, b"SE".into(), "more follows", "\0\0\0\u{8}"),
        (Protocol::Rdp, rdp_response(&[2, 0, 8, 0, 1, 0, 0, 0]), "go ahead", "\u{3}\0\0\u{13}\u{e}"),
        (Protocol::Rdp, rdp_response(&[2, 0x1f, 8, 0, 2, 0, 0, 0]), "go ahead", "\u{3}"),
        (Protocol::Rdp, rdp_response(&[2, 0, 8, 0, 0, 0, 0, 0]), "not offered", "\u{3}"),
        (Protocol::Rdp, rdp_response(&[2, 0, 8, 0, 8, 0, 0, 0]), "broken: it selected the security protocol 8, which was not offered", "\u{3}"),
        (Protocol::Rdp, rdp_response(&[]), "not offered", "\u{3}"),
        (Protocol::Rdp, rdp_response(&[3, 0, 8, 0, 2, 0, 0, 0]), "refused: SSL_NOT_ALLOWED_BY_SERVER: it is configured for standard RDP security only", "\u{3}"),
        (Protocol::Rdp, rdp_response(&[3, 0, 8, 0, 3, 0, 0, 0]), "refused: SSL_CERT_NOT_ON_SERVER: it has no valid certificate for TLS", "\u{3}"),
        (Protocol::Rdp, rdp_response(&[3, 0, 8, 0, 9, 0, 0, 0]), "refused: failure code 9", "\u{3}"),
        (Protocol::Rdp, b"\x03\0\0\x0b\x06\x80\0\0\0\0\0".into(), "refused: X.224 disconnect request", "\u{3}"),
        (Protocol::Rdp, b"SSH-2.0-OpenSSH\r\n".into(), "broken: it sent `SSH-2.0-OpenSSH`", "\u{3}"),
        (Protocol::Mssql, prelogin_response(1), "go ahead", "\u{12}\u{1}\0\u{1a}"),
        (Protocol::Mssql, prelogin_response(0), "go ahead", "\u{12}"),
        (Protocol::Mssql, prelogin_response(0x83), "go ahead", "\u{12}"),
        (Protocol::Mssql, prelogin_response(2), "not offered", "\u{12}"),
        (Protocol::Mssql, tds_error("locked"), "refused: locked", "\u{12}"),
        (Protocol::Mssql, b"\x04\x01\0\x09\0\0\x01\0\xff".into(), "broken: its response to PRELOGIN has no encryption option", "\u{12}"),
        (Protocol::Mssql, b"HTTP/1.1 400\r\n".into(), "broken: it sent `HTTP/1.1 400`", "\u{12}"),
        (Protocol::Nats, b"INFO {\"server_id\":\"a\",\"tls_required\":true} \r\n".into(), "go ahead", ""),
        (Protocol::Nats, b"info {\"tls_available\":true}\r\n".into(), "go ahead", ""),
        (Protocol::Nats, b"INFO {\"port\":4222}\r\n".into(), "not offered", ""),
        (Protocol::Nats, b"-ERR 'maximum connections exceeded'\r\n".into(), "refused: 'maximum connections exceeded'", ""),
        (Protocol::Nats, b"+OK ready\r\n".into(), "broken: it sent `+OK ready`", ""),
        (Protocol::Nats, b"INFO {\"tls_required\":true}\r\nPING\r\n".into(), "more follows", ""),
        (Protocol::Postgres, b"E\0\0\0\x11SFATAL\0Mfull\0\0".into(), "refused: full", "\0\0\0\u{8}"),
        (Protocol::Mysql, mysql_greeting(0xffff), "go ahead", ""),
        (Protocol::Mysql, mysql_greeting(!0x0800), "not offered", ""),
        (Protocol::Mysql, b"\x10\0\0\0\xff\x69\x04#HY000blocked".into(), "refused: blocked", ""),
        (Protocol::Mysql, b"SSH-2.0-OpenSSH\r\n".into(), "broken: it sent `SSH-2.0-OpenSSH`", ""),
    ]
}

#[test]
fn starttls_dialogue_follows_the_rfc_of_each_protocol() {
    for (protocol, received, outcome, words) in scripts() {
        let (found, answered) = run_dialogue(protocol, &[&received], outcome == "closed");
        assert_eq!(found, outcome, "{protocol}: {}", quote(&received));
        assert!(answered.starts_with(words), "{protocol}: {answered:?}");
    }
}

#[test]
fn postgres_answer_is_a_single_byte() {
    for (received, outcome) in [
        (&b"NOTICE AUTH\r\n"[..], "broken: it sent `NOTICE AUTH`"),
        (b"NN", "broken: it sent `NN`"),
        (b"SS", "more follows"),
        (b"S\x16\x03\x03", "more follows"),
    ] {
        assert_eq!(
            run_dialogue(Protocol::Postgres, &[received], false).0,
            outcome
        );
    }
}

#[test]
fn starttls_dialogue_is_independent_of_segmentation() {
    for (protocol, received, outcome, _) in scripts() {
        // Data that arrives after the go-ahead was processed makes the handshake fail, not the
        // dialogue.
        if outcome == "more follows" {
            continue;
        }
        let bytes: Vec<&[u8]> = received.chunks(1).collect();
        let mut cuts = vec![bytes];
        cuts.extend((1..received.len()).map(|at| vec![&received[..at], &received[at..]]));
        for parts in cuts {
            let (found, _) = run_dialogue(protocol, &parts, outcome == "closed");
            if outcome.starts_with("broken") {
                // An error is reported at the first invalid data.
                assert!(found.starts_with("broken"), "{protocol}: {found}");
            } else {
                assert_eq!(found, outcome, "{protocol}: {parts:?}");
            }
        }
    }
}

/// curl, OpenSSL and Python's ftplib and smtplib accept such greetings.
#[test]
fn long_greeting_is_accepted() {
    let ftp = b"220 hi\r\n211-F\r\n AUTH TLS\r\n211 End\r\n234 go\r\n";
    let smtp = b"220 b\r\n250-b\r\n250 STARTTLS\r\n220 go\r\n";
    let lines = b"220-hello there\r\n".repeat(3000);
    let long_line = [b"220-", &[b'x'; 9000][..], b"\r\n"].concat();
    for (protocol, greeting, rest) in [
        (Protocol::Ftp, &lines, &ftp[..]),
        (Protocol::Ftp, &long_line, ftp),
        (Protocol::Smtp, &lines, smtp),
        (Protocol::Smtp, &long_line, smtp),
    ] {
        let received = [greeting, rest].concat();
        let (found, _) = run_dialogue(protocol, &[&received], false);
        assert_eq!(found, "go ahead", "{protocol}");
    }
}

#[test]
fn endless_starttls_response_is_refused() {
    let endless = |start: &[u8], part: &[u8]| {
        let count = 2 * MAX_DIALOGUE / part.len();
        [start, &part.repeat(count)].concat()
    };
    for (protocol, received) in [
        (Protocol::Smtp, endless(b"", b"2")),
        (Protocol::Smtp, endless(b"", b"220-on and on\r\n")),
        (Protocol::Smtp, endless(b"220 b\r\n", b"250-on and on\r\n")),
        (Protocol::Ftp, endless(b"", b"120 soon\r\n")),
        (Protocol::Ftp, endless(b"220-b\r\n", b"\n")),
        (Protocol::Pop3, endless(b"", b"2")),
        (Protocol::Pop3, endless(b"+OK\r\n+OK\r\n", b"X\r\n")),
        (Protocol::Nntp, endless(b"200 b\r\n101 list\r\n", b"X\r\n")),
        (Protocol::Imap, endless(b"", b"* OK\r\n")),
        (Protocol::Imap, endless(b"* OK\r\n* X", b" {1}\r\nx")),
        (Protocol::Sieve, endless(b"", b"\"X\"\r\n")),
        (Protocol::Sieve, endless(b"\"X\" {262144}\r\n", b"x")),
        (Protocol::Irc, endless(b"", b":s NOTICE * :x\r\n")),
        (Protocol::Irc, endless(b"", b"CAP * LS * :tls\r\n")),
        (Protocol::Nats, endless(b"", b"INFO {\"connect_urls\":[")),
        (
            Protocol::Xmpp,
            endless(b"<stream:stream><stream:features>", b"<a/>"),
        ),
    ] {
        let (found, _) = run_dialogue(protocol, &[&received], true);
        assert_eq!(found, "too much", "{protocol}: {}", quote(&received));
    }
    for (protocol, received, what) in [
        (
            Protocol::Ldap,
            b"\x30\x84\xff\xff\xff\xff".to_vec(),
            "4294967295 bytes",
        ),
        (
            Protocol::Postgres,
            b"E\xff\xff\xff\xff".to_vec(),
            "4294967295 bytes",
        ),
        (
            Protocol::Mssql,
            [&[4, 0, 16, 0, 0, 0, 1, 0][..], &[0; 4088]]
                .concat()
                .repeat(20),
            "more than 16384 bytes",
        ),
        (Protocol::Rdp, b"\x03\0\xff\xff".to_vec(), "65535 bytes"),
    ] {
        let (found, _) = run_dialogue(protocol, &[&received], true);
        assert!(
            found.starts_with("broken") && found.contains(what),
            "{protocol}: {found}"
        );
    }
}

/// A server that sends more than certvigil reads may still be correct.
#[test]
fn too_much_cleartext_is_no_fault_of_the_server() {
    let end = DialogueError::TooMuch(MAX_DIALOGUE);
    let error = explain(&end, Protocol::Smtp, false, Duration::ZERO);
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.message.contains("more than 262144 bytes"), "{error}");
}

/// Generates bytes that resemble a dialogue.
fn dialogue_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let scripts: Vec<Vec<u8>> = scripts()
        .into_iter()
        .map(|(_, received, ..)| received)
        .collect();
    let cut = prop::sample::select(scripts).prop_flat_map(|script| {
        let length = script.len();
        (Just(script), 0..length, any::<u8>())
    });
    let bent = cut.prop_map(|(mut script, at, byte)| {
        script[at] = byte;
        script
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), bent]
}

proptest! {
    #[test]
    fn arbitrary_starttls_response_yields_a_short_printable_outcome(index in 0..Protocol::ALL.len(), received in dialogue_like_bytes(), at in any::<prop::sample::Index>()) {
        let protocol = Protocol::ALL[index];
        let at = at.index(received.len() + 1);
        let (outcome, _) = run_dialogue(protocol, &[&received[..at], &received[at..]], true);
        prop_assert!(!outcome.chars().any(char::is_control), "{outcome:?}");
        prop_assert!(outcome.chars().count() < 300);
    }

    #[test]
    fn starttls_lines_are_split_at_crlf(lines in prop::collection::vec("[a-z ]{0,20}", 0..8)) {
        let mut buffer: Vec<u8> = lines.iter().flat_map(|l| format!("{l}\r\n").into_bytes()).collect();
        let mut searched = 0;
        for line in &lines {
            prop_assert_eq!(take_line(&mut buffer, &mut searched), Some(line.clone()));
        }
        prop_assert!(take_line(&mut buffer, &mut searched).is_none());
    }
}
