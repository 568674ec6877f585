//! TLS servers that close at every point, break the rules of records, or send incorrect data in a
//! well-formed handshake.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};

use crate::fixture::flight::{End, end, send_up_to};
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls;
use crate::fixture::wrong::{self, FaultyServer, probe_all};
use crate::support::for_each_concurrently;

/// Maximum record length here, so that a flight has many records and is cut within and between
/// messages. A Finished does not fit in one record.
const FRAGMENT: usize = 32;

/// Bytes after the proof of the key that are more than the rest of every handshake.
const WHOLE: isize = 1 << 20;

/// Timeout for checks that should not time out, on a busy machine.
const LONG_TIMEOUT: &[&str] = &["60s"];
/// Timeouts for checks in which some probes use the whole timeout: short at first, and longer if
/// the other probes had too little time.
const SHORT_TIMEOUTS: &[&str] = &["4s", "16s", "64s"];

#[test]
fn aborted_handshake_is_conclusive_only_after_key_proof() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for_each_concurrently([&TLS12, &TLS13], |version| {
        let mut config = (*tls::config_with_key(&pki, &leaf, &leaf, &[version])).clone();
        config.max_fragment_size = Some(FRAGMENT);
        let config = Arc::new(config);
        for (how, parts, failure, timeouts) in [
            (End::Reset, 240, "tls_closed", LONG_TIMEOUT),
            (End::Close, 60, "tls_closed", LONG_TIMEOUT),
            (End::Stall, 60, "tls_timeout", SHORT_TIMEOUTS),
        ] {
            // Fractions of the messages that prove the key, then limits just below and above what
            // is sufficient.
            let parts = (0..parts).map(|n| (format!("{n}/{parts}"), n, parts, 0));
            let bytes = [-1, 0, 1, 10, WHOLE].map(|more| (format!("{more} bytes"), 1, 1, more));
            let cuts = parts.chain(bytes).map(|(name, n, parts, more)| {
                let config = config.clone();
                let outcome = match more {
                    _ if n < parts || more < 0 => failure,
                    WHOLE => "conclusive",
                    _ => "incomplete",
                };
                FaultyServer::new(
                    format!("{version:?} {how:?} {name}"),
                    outcome,
                    move |stream| {
                        send_up_to(stream, &config, |proof| {
                            (proof * n / parts).checked_add_signed(more).unwrap()
                        });
                        end(stream, how);
                    },
                )
            });
            let rows = probe_all(&pki, &leaf, cuts.collect(), timeouts);
            // The certificate is judged beside the failure of the handshake.
            let proved = rows.iter().filter(|row| row.flag("correct") == Some(true));
            assert_eq!(proved.count(), 4);
        }
    });
}

#[test]
fn invalid_records_have_their_error_kind() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let all = wrong::invalid_records(&pki, &leaf);
    probe_all(&pki, &leaf, all, SHORT_TIMEOUTS);
}

#[test]
fn malformed_handshake_has_its_expected_outcome() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let rows = probe_all(&pki, &leaf, wrong::handshakes(&pki, &leaf), LONG_TIMEOUT);
    for row in rows.iter().filter(|row| row.outcome() == "conclusive") {
        assert_eq!(row.flag("chained"), Some(true), "{row:?}");
    }
}

#[test]
fn handshake_that_fails_after_key_proof_is_critical() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let all = wrong::incomplete(&pki, &leaf);
    for row in probe_all(&pki, &leaf, all, LONG_TIMEOUT) {
        assert_eq!(row.flag("correct"), Some(true), "{row:?}");
        if let [code] = row.codes()[..] {
            assert_eq!(row.finding(code)["detail"]["is_key_proved"], true);
        }
    }
}

#[test]
fn renegotiation_or_missing_close_notify_keeps_the_proved_result() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for row in probe_all(
        &pki,
        &leaf,
        wrong::renegotiating_or_truncating(&pki, &leaf),
        LONG_TIMEOUT,
    ) {
        if row.outcome() == "conclusive" && row.codes() != ["handshake_failed"] {
            row.assert_right(&[]);
        }
    }
}
