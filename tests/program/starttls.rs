//! STARTTLS dialogues with servers that are correct, incorrect, slow or silent. Real servers are
//! tested in `starttls_servers`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use rustls::{ServerConfig, ServerConnection};

use crate::common::dialogue::{SMTP, read_line, run_dialogue};
use crate::fixture::check::Check;
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::tls::{self, Server, read_some, send_bytes, stay_silent};
use crate::support::for_each_concurrently;

/// Completes a handshake and reads from the client until it closes. Returns whether it closed with
/// close_notify, and the data.
fn read_inside_tls(
    stream: &mut TcpStream,
    config: &Arc<ServerConfig>,
    greeting: &str,
) -> (bool, Vec<u8>) {
    let mut tls = ServerConnection::new(config.clone()).unwrap();
    let mut words = Vec::new();
    tls.writer().write_all(greeting.as_bytes()).unwrap();
    while tls.complete_io(stream).is_ok_and(|(read, _)| read > 0) {
        let mut part = [0; 1024];
        match tls.reader().read(&mut part) {
            Ok(0) => return (true, words),
            Ok(count) => words.extend(&part[..count]),
            Err(_) => {}
        }
    }
    (false, words)
}

/// Each line-based protocol: the server's side of the dialogue, its greeting inside TLS, and the
/// client's last command.
const DIALOGUES: [(&str, &[&str], &str, &str); 7] = [
    ("smtp", &SMTP, "", "QUIT\r\n"),
    ("lmtp", &SMTP, "", "QUIT\r\n"),
    (
        "nntp",
        &[
            "200 news\r\n",
            "101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n",
            "382 go ahead\r\n",
        ],
        "",
        "QUIT\r\n",
    ),
    (
        "imap",
        &[
            "* OK hello\r\n",
            "* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n",
            "a2 OK go ahead\r\n",
        ],
        "",
        "a3 LOGOUT\r\n",
    ),
    (
        "pop3",
        &["+OK hello\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK go ahead\r\n"],
        "",
        "QUIT\r\n",
    ),
    (
        "ftp",
        &[
            "220 hello\r\n",
            "211-can\r\n AUTH TLS\r\n211 end\r\n",
            "234 go ahead\r\n",
        ],
        "",
        "QUIT\r\n",
    ),
    (
        "sieve",
        &["\"STARTTLS\"\r\nOK\r\n", "OK \"go ahead\"\r\n"],
        "\"SIEVE\" \"x\"\r\nOK\r\n",
        "LOGOUT\r\n",
    ),
];

#[test]
fn starttls_dialogue_ends_with_the_quit_command_of_each_protocol() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (protocol, dialogue, greeting, shutdown_grace) in DIALOGUES {
        let (sender, left) = mpsc::channel();
        let config = tls::config(&pki, &leaf);
        let server = Server::start("127.0.0.1", move |stream| {
            if run_dialogue(stream, dialogue) {
                sender
                    .send(read_inside_tls(stream, &config, greeting))
                    .unwrap();
            }
        });
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        let row = check.args(&["--starttls", protocol]).row();
        row.assert_right(&[]);
        assert_eq!(row.text("/protocol"), protocol);
        assert!(row.0["timings_ms"]["starttls"].is_f64(), "{row:?}");
        let (closed, words) = left.recv().unwrap();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert_eq!(
            (closed, words.as_str()),
            (true, shutdown_grace),
            "{protocol}"
        );
    }
}

/// A mail server that completes the handshake after STARTTLS.
fn smtp_server(pki: &Pki, leaf: &Leaf) -> Server {
    let config = tls::config(pki, leaf);
    Server::start("127.0.0.1", move |stream| {
        if run_dialogue(stream, &SMTP) {
            tls::complete_handshake(stream, &config);
        }
    })
}

#[test]
fn target_scheme_overrides_the_starttls_flag() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = smtp_server(&pki, &leaf);
    let port = server.port();
    let resolve = format!("{HOST}:{port}:127.0.0.1");
    let check = Check::new(&pki).expect(&pki.full_chain(&leaf));
    let check = check.args(&["--starttls", "imap", "--resolve", &resolve]);
    let row = check.arg(format!("submission://{HOST}:{port}")).row();
    row.assert_right(&[]);
    assert_eq!(row.text("/protocol"), "smtp");
}

#[test]
fn starttls_dialogue_sent_byte_by_byte_succeeds() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let config = tls::config(&pki, &leaf);
    let server = Server::start("127.0.0.1", move |stream| {
        stream.set_nodelay(true).unwrap();
        for (number, words) in SMTP.iter().enumerate() {
            if number > 0 && !read_line(stream) {
                return;
            }
            for byte in words.as_bytes() {
                send_bytes(stream, &[*byte]);
                std::thread::yield_now();
            }
        }
        tls::complete_handshake(stream, &config);
    });
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    check.args(&["--starttls", "smtp"]).row().assert_right(&[]);
}

/// Sends the first `count` texts and then calls `then`.
fn up_to(count: usize, then: fn(&mut TcpStream)) -> impl Fn(&mut TcpStream) + Send + Sync {
    move |stream| {
        // The client sends a line after each of them.
        if run_dialogue(stream, &SMTP[..count]) && (count == 0 || read_line(stream)) {
            then(stream);
        }
    }
}

/// Its limits are certvigil's, so that the server is unknown and not critical.
#[test]
fn endless_starttls_dialogue_is_unknown() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (protocol, part) in [("smtp", "220-on and on"), ("ftp", "220-on\r\n")] {
        let server = Server::start("127.0.0.1", move |stream| {
            while stream.write_all(part.as_bytes()).is_ok() {}
        });
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        let row = check.args(&["--starttls", protocol]).row();
        assert_eq!(row.outcome(), "internal", "{protocol}: {row:?}");
        assert_eq!(row.text("/severity"), "unknown", "{protocol}: {row:?}");
        assert!(row.text("/error").contains("before TLS"), "{row:?}");
    }
}

#[test]
fn every_broken_starttls_dialogue_has_its_error_kind() {
    type Serve = Box<dyn Fn(&mut TcpStream) + Send + Sync>;
    let answer = |count, words: &'static str| -> Serve {
        let before = up_to(count, |_| {});
        Box::new(move |stream| {
            before(stream);
            send_bytes(stream, words.as_bytes());
            stay_silent(stream);
        })
    };
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let config = tls::config(&pki, &leaf);
    let tls_at_once = move || -> Serve {
        let config = config.clone();
        Box::new(move |stream| tls::complete_handshake(stream, &config))
    };
    let mut cases: Vec<(&str, &str, Serve, &str, &str)> = vec![
        (
            "no room",
            "smtp",
            answer(0, "421 4.3.2 too many\r\n"),
            "starttls_refused",
            "`421 4.3.2 too many`",
        ),
        (
            "refused",
            "smtp",
            answer(2, "454 4.7.0 no \x1b[2Jkey\r\n"),
            "starttls_refused",
            "`454 4.7.0 no \u{fffd}[2Jkey`",
        ),
        (
            "not offered",
            "smtp",
            answer(1, "250-mx\r\n250 SIZE\r\n"),
            "starttls_refused",
            "does not offer TLS in smtp",
        ),
        (
            "injected",
            "smtp",
            answer(2, "220 go\r\n250 evil\r\n"),
            "starttls_protocol",
            "CVE-2011-0411",
        ),
        (
            "not even a reply",
            "smtp",
            answer(0, "SSH-2.0-x\r\n"),
            "starttls_protocol",
            "`SSH-2.0-x`",
        ),
        (
            "TLS at once",
            "smtp",
            tls_at_once(),
            "starttls_protocol",
            "expects TLS from the first byte",
        ),
        (
            "TLS at once, for those who speak first",
            "xmpp",
            tls_at_once(),
            "starttls_protocol",
            "expects TLS from the first byte",
        ),
        (
            "TLS at once, for LDAP",
            "ldap",
            tls_at_once(),
            "starttls_protocol",
            "expects TLS from the first byte",
        ),
        (
            "closes instead of TLS",
            "smtp",
            Box::new(|stream| {
                if run_dialogue(stream, &SMTP) {
                    read_some(stream);
                }
            }),
            "tls_closed",
            "without an answer",
        ),
        (
            "clear text instead of TLS",
            "smtp",
            Box::new(|stream| {
                if run_dialogue(stream, &SMTP) {
                    read_some(stream);
                    send_bytes(stream, b"500 what?\r\n");
                    stay_silent(stream);
                }
            }),
            "tls_protocol",
            "`500 what?`",
        ),
    ];
    for step in 0..SMTP.len() {
        cases.push((
            "closes",
            "smtp",
            Box::new(up_to(step, |_| {})),
            "tls_closed",
            "before TLS, in the dialogue of smtp",
        ));
        cases.push((
            "is silent",
            "smtp",
            Box::new(up_to(step, stay_silent)),
            "starttls_protocol",
            "did not get as far as TLS in smtp within",
        ));
    }
    for_each_concurrently(cases, |(what, protocol, serve, kind, words)| {
        let server = Server::start("127.0.0.1", serve);
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        // Long enough for a busy machine, and short where the probe must end at its deadline.
        let is_silent = words.contains("within") || (what, protocol) == ("TLS at once", "smtp");
        let timeout = if is_silent { "5s" } else { "30s" };
        let check = check.args(&["--timeout", timeout, "--starttls", protocol]);
        let row = check.row();
        assert_eq!(row.outcome(), kind, "{what}: {row:?}");
        assert_eq!(row.text("/status"), "handshake_error", "{what}");
        assert_eq!(row.codes(), ["handshake_failed"], "{what}");
        assert!(row.text("/error").contains(words), "{what}: {row:?}");
        // A server that closes at the ClientHello may want a smaller one or an older version, so
        // there are three more connections.
        let tries = if what == "closes instead of TLS" {
            4
        } else {
            1
        };
        assert_eq!(server.connections(), tries, "{what}");
    });
}

#[test]
fn port_with_tls_first_is_named_with_its_scheme() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("127.0.0.1", tls::config(&pki, &leaf));
    for (protocol, direct) in [
        ("ldap", "ldaps://"),
        ("xmpp", "xmpps://"),
        ("ftp", "ftps://"),
    ] {
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        // A server that waits for the client does not show that it expects TLS.
        let is_silent = protocol == "ftp";
        let timeout = if is_silent { "1s" } else { "30s" };
        let check = check.args(&["--timeout", timeout, "--starttls", protocol]);
        let row = check.row();
        assert_eq!(row.codes(), ["handshake_failed"], "{row:?}");
        let hint = row.text("/findings/0/hint");
        assert_eq!(hint.contains(direct), !is_silent, "{hint}");
    }
}

#[test]
fn nats_server_with_tls_first_is_probed_with_either_scheme() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let config = tls::config(&pki, &leaf);
    // Without a ClientHello, such a server closes the connection when its own timeout is over. Here,
    // that is the second of three connections.
    let count = AtomicUsize::new(0);
    let server = Server::start("127.0.0.1", move |stream| {
        if count.fetch_add(1, Ordering::SeqCst) != 1 {
            tls::complete_handshake(stream, &config);
        }
    });
    let port = server.port();
    for scheme in ["nats-tls", "nats"] {
        let resolve = format!("{HOST}:{port}:127.0.0.1");
        let check = Check::new(&pki).expect(&pki.full_chain(&leaf));
        let check = check.arg(format!("{scheme}://{HOST}:{port}"));
        let row = check.args(&["--resolve", &resolve]).row();
        row.assert_right(&[]);
        assert_eq!(row.text("/protocol"), scheme);
    }
}

/// A mail server that accepts only this name of the client.
fn smtp_server_that_wants(pki: &Pki, leaf: &Leaf, name: &'static str) -> Server {
    let config = tls::config(pki, leaf);
    Server::start("127.0.0.1", move |stream| {
        send_bytes(stream, SMTP[0].as_bytes());
        while let Some(line) = line(stream) {
            let answer = match line.strip_prefix("EHLO ") {
                Some(found) if found == name => SMTP[1],
                Some(_) => "501 5.5.2 invalid domain name\r\n",
                None if line == "STARTTLS" => {
                    send_bytes(stream, SMTP[2].as_bytes());
                    return tls::complete_handshake(stream, &config);
                }
                None => "221 bye\r\n",
            };
            send_bytes(stream, answer.as_bytes());
        }
    })
}

fn line(stream: &mut TcpStream) -> Option<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte).is_ok_and(|count| count == 1) {
        if byte == *b"\n" {
            let line = String::from_utf8(line).unwrap();
            return Some(line.trim_end().to_owned());
        }
        line.push(byte[0]);
    }
    None
}

#[test]
fn mail_server_gets_the_name_that_it_accepts() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (literal, fallback, own) = ("[127.0.0.1]", "localhost.localdomain", "mon.example.net");
    for name in [literal, fallback, own] {
        let server = smtp_server_that_wants(&pki, &leaf, name);
        let check = || {
            let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
            check.args(&["--starttls", "smtp"])
        };
        let row = check().row();
        if name == own {
            assert_eq!(row.outcome(), "starttls_refused", "{row:?}");
            assert!(row.text("/error").contains("with --ehlo"), "{row:?}");
        } else {
            row.assert_right(&[]);
        }
        check().args(&["--ehlo", name]).row().assert_right(&[]);
        let row = check().args(&["--ehlo", "wrong.example"]).row();
        assert_eq!(row.outcome(), "starttls_refused", "{row:?}");
        assert!(row.text("/error").contains("EHLO wrong.example"), "{row:?}");
    }
}

#[test]
fn name_without_a_protocol_that_uses_it_is_an_error() {
    for (flag, value, what) in [
        ("--ehlo", "mon.example.net", "SMTP or LMTP"),
        ("--xmpp-domain", "example.net", "XMPP"),
        ("--ehlo", "a b", "not a name for EHLO"),
        ("--xmpp-domain", "192.0.2.1", "is an address"),
    ] {
        let run = crate::support::command()
            .args(["check", "https://www.example.com", flag, value])
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(3));
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(stderr.contains(what), "{stderr}");
    }
}

#[test]
fn refused_starttls_client_still_sends_quit() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (sender, left) = mpsc::channel();
    let server = Server::start("127.0.0.1", move |stream| {
        run_dialogue(stream, &[SMTP[0], "250 mx\r\n"]);
        let mut words = String::new();
        let _ = stream.read_to_string(&mut words);
        sender.send(words).unwrap();
    });
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check.args(&["--starttls", "smtp"]).row();
    assert_eq!(row.outcome(), "starttls_refused");
    assert_eq!(left.recv().unwrap(), "QUIT\r\n");
}

#[test]
fn hint_names_the_starttls_protocol_of_a_banner() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (greeting, flag) in [
        ("220 mx.example.com ESMTP\r\n", "--starttls smtp"),
        ("220 ProFTPD ready\r\n", "--starttls ftp"),
        ("* OK hello\r\n", "--starttls imap"),
        ("+OK hello\r\n", "--starttls pop3"),
    ] {
        let server = Server::start("127.0.0.1", move |stream| {
            send_bytes(stream, greeting.as_bytes());
            stay_silent(stream);
        });
        let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port()).row();
        assert_eq!(row.outcome(), "tls_protocol", "{row:?}");
        let hint = row.text("/findings/0/hint");
        assert!(hint.contains(flag), "{hint}");
    }
}

#[test]
fn serve_probes_starttls_endpoints() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = smtp_server(&pki, &leaf);
    let port = server.port();
    let inventory = format!(
        "defaults: {{interval: 1s, timeout: 5s}}\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         probe: {{modules: {{post: {{protocol: smtp}}}}}}\n\
         certificates:\n- {{pem: {}, name: mail, hostnames: {HOST}, addresses: 127.0.0.1, protocol: smtp, port: {port}}}\n",
        pki.path("root.pem").display(),
        pki.full_chain(&leaf).display(),
    );
    let exporter = Exporter::start(&inventory, &[], |_| {});
    let metrics = exporter.wait_for_metrics("it is looked at", |metrics| {
        let labels = [r#"certificate="mail""#];
        metrics.sample("certvigil_endpoint_correct", &labels) == Some(1.0)
    });
    let by_smtp = [r#"protocol="smtp""#];
    assert_eq!(
        metrics.sample("certvigil_endpoint_info", &by_smtp),
        Some(1.0)
    );
    let phase = [r#"phase="starttls""#];
    let looks = metrics.sample("certvigil_probe_phase_duration_seconds_count", &phase);
    assert!(looks.is_some_and(|count| count >= 1.0), "{looks:?}");

    let discovery = exporter.get("/sd");
    let groups: serde_json::Value = serde_json::from_slice(&discovery.body).unwrap();
    assert_eq!(groups[0]["labels"]["__param_module"], "smtp");
    for query in [
        format!("target={HOST}:{port}&module=smtp"),
        format!("target={HOST}:{port}&module=post"),
        format!("target=smtp://{HOST}:{port}"),
    ] {
        let answer = exporter.probe(&format!("/probe?{query}"));
        assert_eq!(answer.sample("probe_success", &[]), Some(1.0), "{query}");
    }
}

#[test]
fn starttls_flag_error_lists_the_valid_protocols() {
    let run = crate::support::command()
        .args(["check", "--starttls", "imaps", "mail.example.com"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(stderr.contains("write one of smtp, lmtp, imap"), "{stderr}");
}
