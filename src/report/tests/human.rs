//! Human-readable table.

use insta::assert_snapshot;

use super::*;
use crate::report::{Style, human, human_on_terminal};

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
fn table_fits_80_columns() {
    let text = table(&everything(), 80, false);
    assert_snapshot!(text, @"
    SEVERITY  HOST                 ADDRESS            WHAT
    CRITICAL  www.example.com      192.0.2.2:443
              wrong_certificate, refused_by_clients, weak_key
              another certificate is served: `www.example.com` by `Example Root`,
                from 2026-11-24 to 2046-11-19
              fix: install instance 331 (expires on 2046-11-19), then reload the
                server
              warning: OpenSSL refuses the certificate: the certificate has a weak
                RSA key; rustls refuses the certificate: rustls verifies only with
                RSA keys of 2048 to 8192 bits and exponents of at most 33 bits;
                GnuTLS, Go, Java and Chromium accept it
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
              fix: correct the name, or remove it from the inventory
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
fn table_fits_120_columns() {
    let text = table(&everything(), 120, false);
    assert_snapshot!(text, @"
    SEVERITY  HOST                 ADDRESS            WHAT
    CRITICAL  www.example.com      192.0.2.2:443      wrong_certificate, refused_by_clients, weak_key
              another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
              fix: install instance 331 (expires on 2046-11-19), then reload the server
              warning: OpenSSL refuses the certificate: the certificate has a weak RSA key; rustls refuses the certificate:
                rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits; GnuTLS, Go, Java
                and Chromium accept it
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
              fix: correct the name, or remove it from the inventory
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
fn ok_row_shows_the_expiry() {
    let text = table(
        &scan([result_of("www.example.com 192.0.2.1", right())]),
        80,
        false,
    );
    assert_snapshot!(text, @r#"
    SEVERITY  HOST             ADDRESS        WHAT
    ok        www.example.com  192.0.2.1:443  until 2046-11-19, 6166 days
    1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok
    "#);
    let text = table(
        &scan([result_of(
            "www.example.com 192.0.2.1 sslmate",
            reported(true),
        )]),
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
fn remaining_days_are_shown_until_the_last_day() {
    let end: Timestamp = leaf().facts().unwrap().not_after;
    let results = scan([result_of("www.example.com 192.0.2.1", right())]);
    let until = |left| {
        let style = Style {
            width: 120,
            colour: false,
            now: Timestamp(end.0 - left),
        };
        human(&results, &style)
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
fn colours_mark_severity_host_fix_and_counts() {
    let text = table(&everything(), 80, true);
    let marked: Vec<_> = text.lines().filter(|l| l.contains('\u{1b}')).collect();
    assert_snapshot!(marked.join("\n").replace('\u{1b}', "^["), @"
    ^[[1mSEVERITY  HOST                 ADDRESS            WHAT^[[0m
    ^[[31mCRITICAL^[[0m  ^[[1mwww.example.com^[[0m      192.0.2.2:443
              ^[[1;36mfix:^[[0m install instance 331 (expires on 2046-11-19), then reload the
              ^[[1;36mfix:^[[0m have the certificate reissued for a key of RSA 2048, EC P-256 or
              ^[[1;36mfix:^[[0m make a new key (RSA 2048, EC P-256 or stronger) and have the
    ^[[31mCRITICAL^[[0m  ^[[1mwww.example.com^[[0m      [2001:db8::2]:443  unreachable, vantages_disagree
              ^[[1;36mfix:^[[0m start the server at this address, or take the address out of the
              ^[[1;36mfix:^[[0m check whether both reach the same server: split DNS, a load
    ^[[31mCRITICAL^[[0m  ^[[1mplain.example.com^[[0m    192.0.2.5:443      handshake_failed
              ^[[1;36mfix:^[[0m check that this port speaks TLS from the first byte
    ^[[31mCRITICAL^[[0m  ^[[1ma-very-long-name-of-a-host.in-a-very-long-domain.example.com^[[0m
              ^[[1;36mfix:^[[0m serve a certificate that names
              ^[[1;36mfix:^[[0m take it out of the server's certificate file: clients use their
    ^[[35mUNKNOWN ^[[0m  ^[[1mnowhere.example.com^[[0m  :443               dns_nxdomain
              ^[[1;36mfix:^[[0m correct the name, or remove it from the inventory
    ^[[33mWARNING ^[[0m  ^[[1mwww.example.com^[[0m      [2001:db8::2]:443
              ^[[1;36mfix:^[[0m check whether both reach the same server: split DNS, a load
    ^[[32mok      ^[[0m  ^[[1mwww.example.com^[[0m      192.0.2.1:443      until 2046-11-19, 6166 days
    7 endpoints: ^[[31m4 critical^[[0m, ^[[35m1 unknown^[[0m, ^[[33m1 warning^[[0m, ^[[32m1 ok^[[0m
    ");
    assert_eq!(without_colours(&text), table(&everything(), 80, false));
    let terminal = |colour| on_terminal(&everything(), 80, colour, true);
    assert_eq!(without_colours(&terminal(true)), terminal(false));
}

fn without_colours(text: &str) -> String {
    let plain = text.replace('\u{1b}', "");
    ["[0m", "[1m", "[1;36m", "[31m", "[32m", "[33m", "[35m"]
        .iter()
        .fold(plain, |t, c| t.replace(c, ""))
}

fn on_terminal(results: &[Judged], width: usize, colour: bool, shows_all: bool) -> String {
    let now = now();
    let style = Style { width, colour, now };
    human_on_terminal(results, &style, shows_all)
}

#[test]
fn terminal_shows_faults_last_without_ok_rows_and_zeros() {
    let ok = |host| result_of(host, right());
    let unexpected = result_of("www.example.com 192.0.2.9", served(weak(), &[]));
    let results = scan([
        unexpected,
        ok("www.example.com 192.0.2.1"),
        ok("www.example.com 192.0.2.2"),
    ]);
    let folded = on_terminal(&results, 80, false, false);
    assert_snapshot!(folded, @"
    SEVERITY  HOST             ADDRESS        WHAT
    ok        2 ok, all at least until 2046-11-19, 6166 days
    CRITICAL  www.example.com  192.0.2.9:443
              wrong_certificate, refused_by_clients, weak_key
              another certificate is served: `www.example.com` by `Example Root`,
                from 2026-11-24 to 2046-11-19
              fix: install instance 331 (expires on 2046-11-19), then reload the
                server
              warning: OpenSSL refuses the certificate: the certificate has a weak
                RSA key; rustls refuses the certificate: rustls verifies only with
                RSA keys of 2048 to 8192 bits and exponents of at most 33 bits;
                GnuTLS, Go, Java and Chromium accept it
              fix: have the certificate reissued for a key of RSA 2048, EC P-256 or
                stronger
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the
                certificate reissued for it
    3 endpoints: 1 critical, 2 ok
    ");
    let summary = "ok        2 ok, all at least until 2046-11-19, 6166 days\n";
    let rows = "\
ok        www.example.com  192.0.2.1:443  until 2046-11-19, 6166 days
ok        www.example.com  192.0.2.2:443  until 2046-11-19, 6166 days
";
    assert_eq!(
        on_terminal(&results, 80, false, true),
        folded.replace(summary, rows)
    );
    // The last rows are the most severe of all severities.
    let order = ["ok", "WARNING", "UNKNOWN", "CRITICAL"];
    let text = on_terminal(&everything(), 80, false, true);
    let words: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split("  ").next())
        .filter(|word| order.contains(&word.trim()))
        .collect();
    let mut sorted = words.clone();
    sorted.sort_by_key(|word| order.iter().position(|w| *w == word.trim()));
    assert_eq!(words, sorted);
    assert!(words.len() > 5, "{text}");
    assert_eq!(on_terminal(&[], 80, false, false), "0 endpoints\n");
}

#[test]
fn equal_faults_are_one_block_on_a_terminal() {
    let results = scan([
        result_of("www.example.com 192.0.2.1", served(weak(), &[])),
        result_of("www.example.com 192.0.2.2", served(weak(), &[])),
        result_of("mail.example.com 2001:db8::7", served(weak(), &[])),
        result_of("www.example.com 192.0.2.3", right()),
    ]);
    assert_snapshot!(on_terminal(&results, 80, false, false), @"
    SEVERITY  HOST              ADDRESS            WHAT
    ok        www.example.com   192.0.2.3:443      until 2046-11-19, 6166 days
    CRITICAL  www.example.com   192.0.2.1:443
              www.example.com   192.0.2.2:443
              wrong_certificate, refused_by_clients, weak_key
              another certificate is served: `www.example.com` by `Example Root`,
                from 2026-11-24 to 2046-11-19
              fix: install instance 331 (expires on 2046-11-19), then reload the
                server
              warning: OpenSSL refuses the certificate: the certificate has a weak
                RSA key; rustls refuses the certificate: rustls verifies only with
                RSA keys of 2048 to 8192 bits and exponents of at most 33 bits;
                GnuTLS, Go, Java and Chromium accept it
              fix: have the certificate reissued for a key of RSA 2048, EC P-256 or
                stronger
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the
                certificate reissued for it
    CRITICAL  mail.example.com  [2001:db8::7]:443
              wrong_certificate, hostname_mismatch, weak_key
              another certificate is served: `www.example.com` by `Example Root`,
                from 2026-11-24 to 2046-11-19
              fix: install instance 331 (expires on 2046-11-19), then reload the
                server
              the certificate is not valid for mail.example.com, only for
                www.example.com
              fix: serve a certificate that names mail.example.com, or take the name
                from the inventory
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the
                certificate reissued for it
    4 endpoints: 3 critical, 1 ok
    ");
    let hosts = [
        "a.example.com 192.0.2.5",
        "b.example.com 192.0.2.5",
        "c.example.com 192.0.2.6",
    ];
    let refusing = hosts.map(|host| result_of(host, failed(ErrorKind::TlsProtocol, "not TLS")));
    assert_snapshot!(on_terminal(&scan(refusing), 80, false, false), @"
    SEVERITY  HOST           ADDRESS        WHAT
    CRITICAL  a.example.com  192.0.2.5:443  handshake_failed
              b.example.com  192.0.2.5:443
              c.example.com  192.0.2.6:443
              not TLS
              fix: check that this port speaks TLS from the first byte
    3 endpoints: 3 critical
    ");
    // Elsewhere, each has a row of its own, for programs that read lines.
    let rows = table(&results, 80, false).matches("CRITICAL").count();
    assert_eq!(rows, 3);
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
fn agreeing_remote_result_has_no_row_of_its_own() {
    let rows = |results: &[Judged]| -> Vec<String> {
        let text = table(results, 120, false);
        text.lines().skip(1).map(str::to_owned).collect()
    };
    let same = rows(&scan([
        result_of("www.example.com 192.0.2.1 sslmate", reported(true)),
        result_of("www.example.com 192.0.2.1", right()),
        result_of("www.example.com 192.0.2.1 eu-west", reported(true)),
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
        result_of("www.example.com 192.0.2.1", right()),
        result_of("www.example.com 192.0.2.2 sslmate", reported(true)),
    ]));
    assert!(
        other[1].ends_with("the right certificate (seen from sslmate)"),
        "{other:?}"
    );
}

#[test]
fn table_shows_the_requested_key_type() {
    let mut results = [
        result_of("www 192.0.2.1", right()),
        result_of("www 192.0.2.1", right()),
    ];
    results[0].observation.key_type = crate::model::KeyType::Rsa;
    results[1].observation.key_type = crate::model::KeyType::Ecdsa;
    let table = table(&scan(results), 120, false);
    for address in ["192.0.2.1:443 rsa", "192.0.2.1:443 ecdsa"] {
        assert!(table.contains(address), "{table}");
    }
}

#[test]
fn empty_result_is_a_summary_line() {
    assert_eq!(
        table(&[], 80, false),
        "0 endpoints: 0 critical, 0 unknown, 0 warning, 0 ok\n"
    );
}

#[test]
fn only_an_error_of_dns_or_of_the_connection_has_a_fix_of_its_own() {
    for (kind, has_fix) in [
        (ErrorKind::ConnectRefused, true),
        (ErrorKind::DnsNxdomain, true),
        (ErrorKind::Internal, false),
    ] {
        let result = result_of("www.example.com", failed(kind, "it failed; do this"));
        let text = table(&[result], 80, false);
        assert_eq!(text.contains("fix:"), has_fix, "{text}");
    }
}
