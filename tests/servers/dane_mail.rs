//! DANE for mail (RFC 7672): certvigil and Postfix's `posttls-finger` judge the same mail hosts. knot
//! signs their zone, and unbound validates it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use certvigil::certificate::Certificate;
use certvigil::testbed::authority::{Authority, Key, Validity};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::tlsa::{anchor, local, validating_at, zones};
use crate::fixture::check::{self, Check, Row};
use crate::fixture::dns::{DnsResponse, NameServer, SERVFAIL};
use crate::fixture::pki::{Leaf, Pki, now};
use crate::fixture::process::Process;
use crate::fixture::tls::{self, Server};

/// An address of its own for each server with a fixed port, such as DNS for a program that reads
/// `/etc/resolv.conf`.
pub(crate) fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    Ipv4Addr::new(127, 64 | (count as u8), high, low.max(1))
}

/// A mail server with STARTTLS.
pub(crate) fn mail_server(chain: &[&Certificate], leaf: &Leaf) -> Server {
    let chain = chain.iter().map(|c| c.der().to_vec()).collect();
    let config = tls::config_of(chain, tls::signing_key(leaf), rustls::ALL_VERSIONS);
    let config = Arc::new(config);
    Server::start("127.0.0.1", move |stream| {
        let _ = talk(stream, &config);
    })
}

fn talk(stream: &mut TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    stream.write_all(b"220 mail.example ESMTP\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next().transpose()? {
        if line.to_ascii_uppercase().starts_with("STARTTLS") {
            stream.write_all(b"220 go\r\n")?;
            break;
        }
        stream.write_all(b"250-mail.example\r\n250 STARTTLS\r\n")?;
    }
    let tls = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
    let mut tls = BufReader::new(StreamOwned::new(tls, stream.try_clone()?));
    let mut line = String::new();
    while tls.read_line(&mut line)? > 0 {
        let is_end = line.to_ascii_uppercase().starts_with("QUIT");
        let reply = if is_end { "221 bye\r\n" } else { "250 ok\r\n" };
        tls.get_mut().write_all(reply.as_bytes())?;
        if is_end {
            break;
        }
        line.clear();
    }
    Ok(())
}

/// A TLSA record for a certificate.
fn tlsa(numbers: [u8; 3], of: &Certificate) -> String {
    use std::fmt::Write as _;
    let [usage, selector, matching] = numbers;
    let part = match selector {
        0 => of.der().to_vec(),
        _ => of.facts().unwrap().spki.clone(),
    };
    let hash = |algorithm| {
        let digest = aws_lc_rs::digest::digest(algorithm, &part);
        digest.as_ref().to_vec()
    };
    let data = match matching {
        1 => hash(&aws_lc_rs::digest::SHA256),
        2 => hash(&aws_lc_rs::digest::SHA512),
        _ => part,
    };
    let hex = data.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("TLSA {usage} {selector} {matching} {hex}")
}

/// One mail host, and what Postfix and certvigil make of it.
struct Case {
    what: &'static str,
    server: Server,
    /// Host name, or `mx:` and a mail domain.
    target: String,
    /// Postfix's level of authentication, or the kind of its failure.
    postfix: &'static str,
    /// certvigil's exit code, and the severities of all findings and rows.
    code: i32,
    findings: &'static [&'static str],
}

/// Servers and records of all cases.
struct Setup {
    pki: Pki,
    zone: String,
    unsigned: String,
    cases: Vec<Case>,
}

impl Setup {
    /// Adds a host `hN.example` with these TLSA records.
    fn case(
        &mut self,
        what: &'static str,
        (chain, leaf): (&[&Certificate], &Leaf),
        records: &[String],
        postfix: &'static str,
        (code, findings): (i32, &'static [&'static str]),
    ) {
        let (server, host) = (mail_server(chain, leaf), format!("h{}.t", self.cases.len()));
        let port = server.port();
        let _ = writeln!(self.zone, "{host} A 127.0.0.1");
        for record in records {
            let _ = writeln!(self.zone, "_{port}._tcp.{host} {record}");
        }
        let target = format!("{host}.example");
        self.cases.push(Case {
            what,
            server,
            target,
            postfix,
            code,
            findings,
        });
    }

    /// Adds a case whose records the caller writes; `{port}` stands for the port.
    fn named(
        &mut self,
        what: &'static str,
        (chain, leaf): (&[&Certificate], &Leaf),
        (target, signed, unsigned): (&str, &str, &str),
        postfix: &'static str,
        (code, findings): (i32, &'static [&'static str]),
    ) {
        let server = mail_server(chain, leaf);
        let port = server.port().to_string();
        for (zone, records) in [(&mut self.zone, signed), (&mut self.unsigned, unsigned)] {
            zone.push_str(&records.replace("{port}", &port));
            zone.push('\n');
        }
        self.cases.push(Case {
            what,
            server,
            target: target.into(),
            postfix,
            code,
            findings,
        });
    }
}

fn certificate(pki: &Pki, authority: &Authority, names: &[&str], before: i64, after: i64) -> Leaf {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = Key::generate().unwrap();
    let validity = Validity::around(now(), before, after);
    let issued = authority.issue(&names, validity, &key).unwrap();
    Leaf {
        certificate: issued.certificate,
        key: pki.file(key.to_pem()),
    }
}

fn setup() -> Setup {
    let pki = Pki::new();
    let long = Validity::around(now(), 1000, 1000);
    let private = Authority::root("Private Root", long).unwrap();
    let names = ["*.t.example", "*.t.unsigned"];
    let own = {
        let key = Key::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let validity = Validity::around(now(), 30, 60);
        let issued = certvigil::testbed::authority::self_signed(&names, validity, &key).unwrap();
        Leaf {
            certificate: issued.certificate,
            key: pki.file(key.to_pem()),
        }
    };
    let public = pki.leaf(&names);
    let other = pki.leaf(&names);
    let below = certificate(&pki, &private, &names, 30, 60);
    let expired = certificate(&pki, &private, &names, 60, -1);
    let foreign = certificate(&pki, &private, &["www.other"], 30, 60);
    let of_domain = certificate(&pki, &private, &["dom.t.example", "dom.t.unsigned"], 30, 60);
    let (ca, mid) = (private.certificate, pki.intermediate.certificate.clone());
    let mut s = Setup {
        pki,
        zone: String::new(),
        unsigned: String::new(),
        cases: Vec::new(),
    };
    fn cert(leaf: &Leaf) -> &Certificate {
        &leaf.certificate
    }
    let only = |numbers, of: &Certificate| vec![tlsa(numbers, of)];
    let (self_signed, trusted) = ([cert(&own)], [cert(&public), &mid]);
    const OK: (i32, &[&str]) = (0, &[]);
    const SELF: (i32, &[&str]) = (0, &["self_signed info"]);
    const PRIVATE: (i32, &[&str]) = (0, &["untrusted_root info"]);
    const FAILS: (i32, &[&str]) = (2, &["tlsa_mismatch critical"]);

    for (what, numbers) in [
        ("3 0 0, self-signed", [3, 0, 0]),
        ("3 0 1, self-signed", [3, 0, 1]),
        ("3 0 2, self-signed", [3, 0, 2]),
        ("3 1 0, self-signed", [3, 1, 0]),
        ("3 1 1, self-signed", [3, 1, 1]),
        ("3 1 2, self-signed", [3, 1, 2]),
    ] {
        let records = only(numbers, cert(&own));
        s.case(what, (&self_signed, &own), &records, "Verified", SELF);
    }
    s.case(
        "3 1 1, public authority",
        (&trusted, &public),
        &only([3, 1, 1], cert(&public)),
        "Verified",
        OK,
    );
    s.case(
        "3 1 1, expired",
        (&[cert(&expired), &ca], &expired),
        &only([3, 1, 1], cert(&expired)),
        "Verified",
        (
            0,
            &["expired info", "untrusted_root info", "root_included info"],
        ),
    );
    s.case(
        "3 1 1, name of another host",
        (&[cert(&foreign), &ca], &foreign),
        &only([3, 1, 1], cert(&foreign)),
        "Verified",
        (
            0,
            &[
                "hostname_mismatch info",
                "untrusted_root info",
                "root_included info",
            ],
        ),
    );
    s.case(
        "3 1 1, issuer not served",
        (&[cert(&below)], &below),
        &only([3, 1, 1], cert(&below)),
        "Verified",
        (0, &["missing_intermediate info"]),
    );
    s.case(
        "3 1 1 of another key",
        (&trusted, &public),
        &only([3, 1, 1], cert(&other)),
        "failure",
        FAILS,
    );
    s.case(
        "2 0 1, served",
        (&[cert(&below), &ca], &below),
        &only([2, 0, 1], &ca),
        "Verified",
        PRIVATE,
    );
    s.case(
        "2 1 1, served",
        (&[cert(&below), &ca], &below),
        &only([2, 1, 1], &ca),
        "Verified",
        PRIVATE,
    );
    s.case(
        "2 0 2, intermediate of a public authority",
        (&trusted, &public),
        &only([2, 0, 2], &mid),
        "Verified",
        OK,
    );
    s.case(
        "2 0 1, not served",
        (&[cert(&below)], &below),
        &only([2, 0, 1], &ca),
        "failure",
        (
            2,
            &["missing_intermediate critical", "tlsa_mismatch critical"],
        ),
    );
    s.case(
        "2 0 0, not served",
        (&[cert(&below)], &below),
        &only([2, 0, 0], &ca),
        "Verified",
        (0, &["missing_intermediate info"]),
    );
    s.case(
        "2 1 0, not served",
        (&[cert(&below)], &below),
        &only([2, 1, 0], &ca),
        "Verified",
        (0, &["missing_intermediate info"]),
    );
    s.case(
        "2 0 1, expired leaf",
        (&[cert(&expired), &ca], &expired),
        &only([2, 0, 1], &ca),
        "failure",
        (
            2,
            &[
                "expired critical",
                "untrusted_root critical",
                "tlsa_mismatch critical",
            ],
        ),
    );
    s.case(
        "2 0 1, name of another host",
        (&[cert(&foreign), &ca], &foreign),
        &only([2, 0, 1], &ca),
        "failure",
        (
            2,
            &[
                "hostname_mismatch critical",
                "untrusted_root critical",
                "tlsa_mismatch critical",
            ],
        ),
    );
    s.case(
        "2 1 1 of the self-signed leaf",
        (&self_signed, &own),
        &only([2, 1, 1], cert(&own)),
        "failure",
        (2, &["self_signed critical", "tlsa_mismatch critical"]),
    );
    s.case(
        "1 1 1",
        (&trusted, &public),
        &only([1, 1, 1], cert(&public)),
        "Untrusted",
        (1, &["tlsa_mismatch warning"]),
    );
    s.case(
        "0 1 1",
        (&trusted, &public),
        &only([0, 1, 1], &mid),
        "Untrusted",
        (1, &["tlsa_mismatch warning"]),
    );
    s.case(
        "1 1 1 of another key",
        (&trusted, &public),
        &only([1, 1, 1], cert(&other)),
        "Untrusted",
        (1, &["tlsa_mismatch warning"]),
    );
    s.case(
        "9 1 1",
        (&trusted, &public),
        &only([9, 1, 1], cert(&public)),
        "Untrusted",
        (1, &["tlsa_mismatch warning"]),
    );
    s.case(
        "1 1 1, and 3 1 1 of another key",
        (&trusted, &public),
        &[
            tlsa([1, 1, 1], cert(&public)),
            tlsa([3, 1, 1], cert(&other)),
        ],
        "failure",
        FAILS,
    );
    s.case(
        "3 1 1 of another key, and 3 1 1",
        (&self_signed, &own),
        &[tlsa([3, 1, 1], cert(&other)), tlsa([3, 1, 1], cert(&own))],
        "Verified",
        SELF,
    );
    s.case(
        "3 1 1, and 3 1 2 of another key",
        (&self_signed, &own),
        &[tlsa([3, 1, 1], cert(&own)), tlsa([3, 1, 2], cert(&other))],
        "failure",
        (2, &["self_signed critical", "tlsa_mismatch critical"]),
    );
    s.case(
        "3 1 1, and 3 0 2 of another key",
        (&self_signed, &own),
        &[tlsa([3, 1, 1], cert(&own)), tlsa([3, 0, 2], cert(&other))],
        "Verified",
        SELF,
    );
    s.case("no records", (&trusted, &public), &[], "Untrusted", OK);

    let (right, wrong) = (tlsa([3, 1, 1], cert(&own)), tlsa([3, 1, 1], cert(&other)));
    let of_ca = tlsa([2, 0, 1], &ca);
    s.named(
        "alias: records of the target",
        (&self_signed, &own),
        (
            "a1.t.example",
            &format!(
                "a1.t CNAME t1.t\nt1.t A 127.0.0.1\n_{{port}}._tcp.t1.t {right}\n_{{port}}._tcp.a1.t {wrong}"
            ),
            "",
        ),
        "Verified",
        SELF,
    );
    s.named(
        "alias: records of the alias",
        (&self_signed, &own),
        (
            "a2.t.example",
            &format!("a2.t CNAME t2.t\nt2.t A 127.0.0.1\n_{{port}}._tcp.a2.t {right}"),
            "",
        ),
        "Verified",
        SELF,
    );
    s.named(
        "alias for a host in an unsigned zone",
        (&self_signed, &own),
        (
            "a3.t.example",
            &format!("a3.t CNAME t3.t.unsigned.\n_{{port}}._tcp.a3.t {right}"),
            "t3.t A 127.0.0.1",
        ),
        "Verified",
        SELF,
    );
    s.named(
        "records at an alias",
        (&self_signed, &own),
        (
            "a4.t.example",
            &format!("a4.t A 127.0.0.1\n_{{port}}._tcp.a4.t CNAME keys.a4.t\nkeys.a4.t {right}"),
            "",
        ),
        "Verified",
        SELF,
    );
    s.named(
        "unsigned zone",
        (&trusted, &public),
        (
            "u1.t.unsigned",
            "",
            &format!(
                "u1.t A 127.0.0.1\n_{{port}}._tcp.u1.t {}",
                tlsa([3, 1, 1], cert(&public))
            ),
        ),
        "Untrusted",
        OK,
    );
    s.named(
        "unsigned address, signed records",
        (&self_signed, &own),
        (
            "u2.t.unsigned",
            &format!("keys.u2.t {right}"),
            "u2.t A 127.0.0.1\n_{port}._tcp.u2.t CNAME keys.u2.t.example.",
        ),
        "Untrusted",
        (2, &["self_signed critical"]),
    );
    s.named(
        "failed lookup in a signed zone",
        (&trusted, &public),
        (
            "f1.t.example",
            "f1.t A 127.0.0.1\n_tcp.f1.t NS lame.f1.t\nlame.f1.t A 127.255.255.254",
            "",
        ),
        "deferred",
        // The row of the lookup, and that of the address.
        (3, &["dns unknown", "dns unknown"]),
    );
    s.named(
        "failed lookup in an unsigned zone",
        (&trusted, &public),
        (
            "f2.t.unsigned",
            "",
            "f2.t A 127.0.0.1\n_tcp.f2.t NS lame.f2.t\nlame.f2.t A 127.255.255.254",
        ),
        "Untrusted",
        OK,
    );
    s.named(
        "MX, 3 1 1",
        (&self_signed, &own),
        (
            "mx:d1.t.example",
            &format!("d1.t MX 1 m1.t\nm1.t A 127.0.0.1\n_{{port}}._tcp.m1.t {right}"),
            "",
        ),
        "Verified",
        SELF,
    );
    s.named(
        "MX, 2 0 1 with the mail domain as name",
        (&[cert(&of_domain), &ca], &of_domain),
        (
            "mx:dom.t.example",
            &format!("dom.t MX 1 m2.t\nm2.t A 127.0.0.1\n_{{port}}._tcp.m2.t {of_ca}"),
            "",
        ),
        "Verified",
        (0, &["hostname_mismatch info", "untrusted_root info"]),
    );
    s.named(
        "no MX, 3 1 1",
        (&self_signed, &own),
        (
            "mx:d3.t.example",
            &format!("d3.t A 127.0.0.1\n_{{port}}._tcp.d3.t {right}"),
            "",
        ),
        "Verified",
        SELF,
    );
    s.named(
        "unsigned MX, 3 1 1",
        (&self_signed, &own),
        (
            "mx:d4.t.unsigned",
            &format!("m4.t A 127.0.0.1\n_{{port}}._tcp.m4.t {right}"),
            "d4.t MX 1 m4.t.example.",
        ),
        "Trusted",
        (1, &["tlsa_missing warning", "self_signed info"]),
    );
    s.named(
        "unsigned MX, 3 1 1 of another key",
        (&trusted, &public),
        (
            "mx:d5.t.unsigned",
            &format!("m5.t A 127.0.0.1\n_{{port}}._tcp.m5.t {wrong}"),
            "d5.t MX 1 m5.t.example.",
        ),
        "failure",
        (2, &["tlsa_mismatch critical", "tlsa_missing warning"]),
    );
    s.named(
        "unsigned MX, 2 0 1 with the mail domain as name",
        (&[cert(&of_domain), &ca], &of_domain),
        (
            "mx:dom.t.unsigned",
            &format!("m6.t A 127.0.0.1\n_{{port}}._tcp.m6.t {of_ca}"),
            "dom.t MX 1 m6.t.example.",
        ),
        "Trusted",
        (
            1,
            &[
                "tlsa_missing warning",
                "hostname_mismatch info",
                "untrusted_root info",
            ],
        ),
    );
    s.named(
        "unsigned MX, no records",
        (&trusted, &public),
        (
            "mx:d7.t.unsigned",
            "m7.t A 127.0.0.1",
            "d7.t MX 1 m7.t.example.",
        ),
        "Untrusted",
        (0, &["tlsa_missing info"]),
    );
    s
}

/// Postfix's judgement: its level of authentication, or the kind of its failure.
fn postfix(resolv_conf: &Process, target: &str, port: u16) -> (String, String) {
    const MOUNT: &str = "mount --bind resolv.conf /etc/resolv.conf; exec \"$@\"";
    let destination = match target.strip_prefix("mx:") {
        Some(domain) => format!("{domain}:{port}"),
        None => format!("[{target}]:{port}"),
    };
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", MOUNT, "sh"]);
    command.args(["/usr/sbin/posttls-finger", "-c", "-l", "dane", "-t", "10"]);
    // After a response that is not authenticated, Postfix probes once whether DNSSEC is available:
    // by default at the root, which unbound does not reach here.
    command.args(["-o", "dnssec_probe=ns:example"]);
    command.args(["-L", "summary,verbose", &destination]);
    let run = command.current_dir(resolv_conf.folder.path()).output();
    let run = run.unwrap();
    let text = [run.stdout, run.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let levels = ["Verified", "Trusted", "Untrusted", "Anonymous"];
    let is_established =
        |level: &&str| text.contains(&format!("{level} TLS connection established"));
    let level = match levels.into_iter().find(is_established) {
        // It connects nevertheless, and Postfix does not deliver.
        Some(_) if text.contains("server certificate verification failed") => "failure",
        Some(level) => level,
        None => "deferred",
    };
    (level.into(), text)
}

/// The findings of all rows with their severities, most severe first, and the errors.
fn findings(rows: &[Row]) -> Vec<String> {
    let mut all = Vec::new();
    for row in rows {
        // The kind depends on whether unbound or certvigil gives up first.
        if row.text("/error_kind").starts_with("dns_") {
            all.push(format!("dns {}", row.text("/severity")));
        }
        let findings = row.0["findings"].as_array().unwrap().iter();
        let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap().to_owned();
        all.extend(findings.map(|f| format!("{} {}", text(f, "code"), text(f, "severity"))));
    }
    all.retain(|finding| finding != "nonconformant_certificate info");
    all
}

#[test]
#[ignore = "needs knot, unbound, postfix and util-linux"]
fn postfix_agrees_on_dane_for_mail() {
    let setup = setup();
    let knot = zones(&setup.zone, &setup.unsigned);
    let address = own_address();
    let broken = NameServer::start(|_| {
        Some(DnsResponse {
            code: SERVFAIL,
            ..DnsResponse::default()
        })
    });
    let mut settings = format!("interface: {address}@53\n    access-control: 127.0.0.0/8 allow");
    for zone in ["_tcp.f1.t.example", "_tcp.f2.t.unsigned"] {
        let port = broken.address.port();
        let _ = write!(
            settings,
            "\nstub-zone:\n    name: {zone}.\n    stub-addr: 127.0.0.1@{port}"
        );
    }
    let unbound = validating_at(&knot, &anchor(&knot), &settings);
    let resolv_conf = format!("nameserver {address}\noptions edns0 trust-ad\n");
    fs::write(unbound.path("resolv.conf"), resolv_conf).unwrap();
    let dns = local(unbound.port).to_string();
    let mut wrong = String::new();
    for case in &setup.cases {
        let port = case.server.port();
        let target = match case.target.starts_with("mx:") {
            true => format!("{}:{port}", case.target),
            false => format!("smtp://{}:{port}", case.target),
        };
        let check = Check::new(&setup.pki).arg(target);
        let run = check.args(&["-4", "--dns", &dns, "--dane"]).run();
        let (code, found) = (run.code, findings(&check::rows(&run)));
        let (level, log) = postfix(&unbound, &case.target, port);
        let is_expected =
            found == case.findings && (level.as_str(), code) == (case.postfix, case.code);
        if !is_expected {
            let _ = writeln!(
                wrong,
                "{}: postfix {level}, certvigil {code} {found:?}; expected {} {} {:?}\n{log}",
                case.what, case.postfix, case.code, case.findings
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
