//! Human-readable table.

use insta::assert_snapshot;

use super::*;
use crate::report::{Style, human};

fn table(results: &[Judged], width: usize, colour: bool) -> String {
    human(
        results,
        &Style {
            width,
            colour,
            now: now(),
        },
    )
}

#[test]
fn a_table_for_people_at_80_columns() {
    let text = table(&everything(), 80, false);
    assert_snapshot!(text, @"
    SEVERITY  HOST                 ADDRESS            WHAT
    CRITICAL  www.example.com      192.0.2.2:443
              wrong_certificate, refused_by_clients, weak_key
              another certificate is served: `www.example.com` by `Example Root`,
                from 2026-11-24 to 2046-11-19
              fix: install instance 331 (ends on 2046-11-19), then reload the server
              warning: OpenSSL refuses the certificate: the certificate has a weak
                RSA key; GnuTLS, Go, Java, Chromium and rustls accept it
              fix: have the certificate reissued for a key of RSA 2048, EC P-256 or
                stronger
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the
                certificate reissued for it
    CRITICAL  www.example.com      [2001:db8::2]:443  unreachable, vantages_disagree
              this address does not answer, while 192.0.2.1 does: connection refused
              fix: start the server at this address, or take the address out of the
                DNS records of www.example.com
              warning: seen from `sslmate`, the right certificate is served; seen
                from `local`, it cannot be reached
              fix: check whether both reach the same server: split DNS, a load
                balancer or a proxy may redirect one of them
    CRITICAL  plain.example.com    192.0.2.5:443      handshake_failed
              the answer is not TLS
              fix: check that this port speaks TLS from the first byte
    CRITICAL  a-very-long-name-of-a-host.in-a-very-long-domain.example.com
              [2001:db8:85a3:1234:5678:8a2e:370:7334]:443  hostname_mismatch,
                root_included
              the certificate is not valid for
                a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only
                for www.example.com
              fix: serve a certificate that names
                a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or
                take the name from the inventory
              info: the root `Example Root` is served along
              fix: take it out of the server's certificate file: clients use their
                own copy, and the handshake gets smaller
    UNKNOWN   nowhere.example.com  :443               dns_nxdomain
              the name does not exist
    WARNING   www.example.com      [2001:db8::2]:443
              vantages_disagree (seen from sslmate)
              seen from `local`, it cannot be reached; seen from `sslmate`, the
                right certificate is served
              fix: check whether both reach the same server: split DNS, a load
                balancer or a proxy may redirect one of them
    ok        www.example.com      192.0.2.1:443      until 2046-11-19, 6166 days
    7 endpoints: 4 critical, 1 unknown, 1 warning, 1 ok
    `eu-west` sees the same as we do at 1 of them
    `sslmate` sees the same as we do at 2 of them
    ");
}

#[test]
fn a_table_for_people_at_120_columns() {
    let text = table(&everything(), 120, false);
    assert_snapshot!(text, @"
    SEVERITY  HOST                 ADDRESS            WHAT
    CRITICAL  www.example.com      192.0.2.2:443      wrong_certificate, refused_by_clients, weak_key
              another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
              fix: install instance 331 (ends on 2046-11-19), then reload the server
              warning: OpenSSL refuses the certificate: the certificate has a weak RSA key; GnuTLS, Go, Java, Chromium and
                rustls accept it
              fix: have the certificate reissued for a key of RSA 2048, EC P-256 or stronger
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    CRITICAL  www.example.com      [2001:db8::2]:443  unreachable, vantages_disagree
              this address does not answer, while 192.0.2.1 does: connection refused
              fix: start the server at this address, or take the address out of the DNS records of www.example.com
              warning: seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached
              fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    CRITICAL  plain.example.com    192.0.2.5:443      handshake_failed
              the answer is not TLS
              fix: check that this port speaks TLS from the first byte
    CRITICAL  a-very-long-name-of-a-host.in-a-very-long-domain.example.com  [2001:db8:85a3:1234:5678:8a2e:370:7334]:443
              hostname_mismatch, root_included
              the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for
                www.example.com
              fix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the
                name from the inventory
              info: the root `Example Root` is served along
              fix: take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller
    UNKNOWN   nowhere.example.com  :443               dns_nxdomain
              the name does not exist
    WARNING   www.example.com      [2001:db8::2]:443  vantages_disagree (seen from sslmate)
              seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
              fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    ok        www.example.com      192.0.2.1:443      until 2046-11-19, 6166 days
    7 endpoints: 4 critical, 1 unknown, 1 warning, 1 ok
    `eu-west` sees the same as we do at 1 of them
    `sslmate` sees the same as we do at 2 of them
    ");
}

#[test]
fn what_is_right_says_until_when() {
    let text = table(
        &scan([look("www.example.com 192.0.2.1", right())]),
        80,
        false,
    );
    assert_snapshot!(text, @r#"
    SEVERITY  HOST             ADDRESS        WHAT
    ok        www.example.com  192.0.2.1:443  until 2046-11-19, 6166 days
    1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok
    "#);
    let text = table(
        &scan([look("www.example.com 192.0.2.1 sslmate", told(true))]),
        80,
        false,
    );
    assert_snapshot!(text, @r#"
    SEVERITY  HOST             ADDRESS        WHAT
    ok        www.example.com  192.0.2.1:443
              the right certificate (seen from sslmate)
    1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok
    "#);
}

#[test]
fn days_are_told_while_there_are_any() {
    let end: Timestamp = leaf().facts().unwrap().not_after;
    let looks = scan([look("www.example.com 192.0.2.1", right())]);
    let until = |left| {
        let style = Style {
            width: 120,
            colour: false,
            now: Timestamp(end.0 - left),
        };
        human(&looks, &style)
            .lines()
            .nth(1)
            .unwrap()
            .rsplit("  ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(until(3 * 86_400), format!("until {}, 3 days", end.date()));
    assert_eq!(
        until(2 * 86_400 - 1),
        format!("until {}, 1 day", end.date())
    );
    assert_eq!(until(86_400 - 1), format!("until {end}"));
}

#[test]
fn colours_mark_the_severity_and_nothing_else() {
    let text = table(&everything(), 80, true);
    let marked: Vec<_> = text.lines().filter(|l| l.contains('\u{1b}')).collect();
    assert_snapshot!(marked.join("\n").replace('\u{1b}', "^["), @"
    ^[[1mSEVERITY  HOST                 ADDRESS            WHAT^[[0m
    ^[[31mCRITICAL^[[0m  www.example.com      192.0.2.2:443
    ^[[31mCRITICAL^[[0m  www.example.com      [2001:db8::2]:443  unreachable, vantages_disagree
    ^[[31mCRITICAL^[[0m  plain.example.com    192.0.2.5:443      handshake_failed
    ^[[31mCRITICAL^[[0m  a-very-long-name-of-a-host.in-a-very-long-domain.example.com
    ^[[35mUNKNOWN ^[[0m  nowhere.example.com  :443               dns_nxdomain
    ^[[33mWARNING ^[[0m  www.example.com      [2001:db8::2]:443
    ^[[32mok      ^[[0m  www.example.com      192.0.2.1:443      until 2046-11-19, 6166 days
    ^[[31m7 endpoints: 4 critical, 1 unknown, 1 warning, 1 ok^[[0m
    ");
    let plain = text.replace('\u{1b}', "");
    let plain = ["[0m", "[1m", "[31m", "[32m", "[33m", "[35m"]
        .iter()
        .fold(plain, |t, c| t.replace(c, ""));
    assert_eq!(plain, table(&everything(), 80, false));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 120, 200] {
        for line in table(&everything(), width, false).lines() {
            // Unbreakable text stays whole, so that users can copy hostnames.
            let longest = line.split_whitespace().map(str::len).max().unwrap_or(0);
            assert!(line.len() <= width.max(12 + longest), "{width}: {line}");
        }
    }
}

#[test]
fn a_remote_look_that_adds_nothing_is_only_named() {
    let rows = |looks: &[Judged]| -> Vec<String> {
        let text = table(looks, 120, false);
        text.lines().skip(1).map(str::to_owned).collect()
    };
    let same = rows(&scan([
        look("www.example.com 192.0.2.1 sslmate", told(true)),
        look("www.example.com 192.0.2.1", right()),
        look("www.example.com 192.0.2.1 eu-west", told(true)),
    ]));
    assert!(same[0].ends_with(" days"), "{same:?}");
    assert_eq!(
        same[1..],
        [
            "1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok",
            "`eu-west` sees the same as we do at 1 of them",
            "`sslmate` sees the same as we do at 1 of them",
        ]
    );
    // At another address, the remote probe has a row of its own.
    let other = rows(&scan([
        look("www.example.com 192.0.2.1", right()),
        look("www.example.com 192.0.2.2 sslmate", told(true)),
    ]));
    assert!(
        other[1].ends_with("the right certificate (seen from sslmate)"),
        "{other:?}"
    );
}

#[test]
fn kinds_of_keys_are_told_apart_where_they_were_asked_for() {
    let mut looks = [
        look("www 192.0.2.1", right()),
        look("www 192.0.2.1", right()),
    ];
    looks[0].observation.key_type = crate::model::KeyType::Rsa;
    looks[1].observation.key_type = crate::model::KeyType::Ecdsa;
    let table = table(&scan(looks), 120, false);
    for address in ["192.0.2.1:443 rsa", "192.0.2.1:443 ecdsa"] {
        assert!(table.contains(address), "{table}");
    }
}

#[test]
fn nothing_to_report_is_a_summary() {
    assert_eq!(
        table(&[], 80, false),
        "0 endpoints: 0 critical, 0 unknown, 0 warning, 0 ok\n"
    );
}
