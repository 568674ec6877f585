//! TLS servers that close at every point, break the rules of records, or send incorrect data in a
//! well-formed handshake.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};

use crate::fixture::flight::{End, end, send_up_to};
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls;
use crate::fixture::wrong::{self, Wrong, look_at_all};

/// Maximum record length here, so that a flight has many records and is cut within and between
/// messages.
const FRAGMENT: usize = 64;

/// Timeout for checks that should not time out, on a busy machine.
const PATIENT: &[&str] = &["60s"];
/// Timeouts for checks in which some probes use the whole timeout: short at first, and longer if
/// the other probes had too little time.
const IMPATIENT: &[&str] = &["4s", "16s", "64s"];

#[test]
fn wherever_a_server_breaks_off_it_counts_whether_it_has_proved_its_key() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for version in [&TLS12, &TLS13] {
        let mut config = (*tls::config_with_key(&pki, &leaf, &leaf, &[version])).clone();
        config.max_fragment_size = Some(FRAGMENT);
        let config = Arc::new(config);
        for (how, parts, failure, timeouts) in [
            (End::Reset, 240, "tls_closed", PATIENT),
            (End::Close, 60, "tls_closed", PATIENT),
            (End::Stall, 60, "tls_timeout", IMPATIENT),
        ] {
            // Fractions of the messages that prove the key, then limits just below and above what
            // is sufficient.
            let parts = (0..parts).map(|n| (format!("{n}/{parts}"), n, parts, 0));
            let bytes = [-1, 0, 1, 40, 1 << 20].map(|more| (format!("{more} bytes"), 1, 1, more));
            let cuts = parts.chain(bytes).map(|(name, n, parts, more)| {
                let config = config.clone();
                let proves = n == parts && more >= 0;
                let outcome = if proves { "conclusive" } else { failure };
                Wrong::new(
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
            let rows = look_at_all(&pki, &leaf, cuts.collect(), timeouts);
            let proved = rows.iter().filter(|row| row.flag("correct") == Some(true));
            assert_eq!(proved.count(), 4);
        }
    }
}

#[test]
fn records_that_break_the_rules_end_a_look_by_name() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let all = wrong::rule_breakers(&pki, &leaf);
    look_at_all(&pki, &leaf, all, IMPATIENT);
}

#[test]
fn handshakes_with_the_wrong_things_in_them_end_by_name() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let rows = look_at_all(&pki, &leaf, wrong::handshakes(&pki, &leaf), PATIENT);
    for row in rows.iter().filter(|row| row.outcome() == "conclusive") {
        assert_eq!(row.flag("chained"), Some(true), "{row:?}");
    }
}

#[test]
fn who_begins_anew_or_leaves_without_a_word_spoils_nothing_that_was_proved() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for row in look_at_all(&pki, &leaf, wrong::restless(&pki, &leaf), PATIENT) {
        if row.outcome() == "conclusive" {
            row.assert_right(&[]);
        }
    }
}
