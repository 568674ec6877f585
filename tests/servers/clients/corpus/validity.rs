//! Validity (RFC 5280 section 4.1.2.5).

use super::Corpus;
use crate::clients::spec::{Case, Form, days};

pub(super) fn add(corpus: &mut Corpus) {
    for label in ["leaf", "intermediate", "root"] {
        for (id, from, to) in [
            ("expired", -500, -3),
            ("not-yet-valid", 3, 500),
            ("reversed", 500, -500),
            ("expires-in-days", -400, 3),
        ] {
            corpus.add(format!("time-{id}-{label}"), move |c| {
                c.at(label).valid(from, to);
            });
            if label == "root" {
                corpus.add(format!("time-{id}-root-served"), move |c| {
                    c.at("root").valid(from, to);
                    c.serve(&["leaf", "intermediate", "root"]);
                });
            }
        }
        for (id, form) in [
            ("generalized", Form::Generalized),
            ("generalized-no-seconds", Form::GeneralizedNoSeconds),
            ("generalized-fraction", Form::GeneralizedFraction),
            ("generalized-offset", Form::GeneralizedOffset),
            ("generalized-local", Form::GeneralizedLocal),
            ("utc-no-seconds", Form::UtcNoSeconds),
            ("utc-offset", Form::UtcOffset),
            ("utc-no-zone", Form::UtcNoZone),
        ] {
            corpus.add(format!("time-{id}-{label}"), move |c| {
                let cert = c.at(label);
                cert.not_after = cert.not_after.form(form);
                cert.not_before = cert.not_before.form(form);
            });
        }
    }
    for (id, form) in [
        ("generalized-no-seconds", Form::GeneralizedNoSeconds),
        ("generalized-fraction", Form::GeneralizedFraction),
        ("utc-no-seconds", Form::UtcNoSeconds),
    ] {
        corpus.add(format!("time-expired-{id}-leaf"), move |c| {
            c.at("leaf").valid(-500, -3);
            let cert = c.at("leaf");
            cert.not_after = cert.not_after.form(form);
        });
    }
    for label in ["leaf", "intermediate", "root"] {
        corpus.add(format!("time-after-2050-{label}"), move |c| {
            c.at(label).not_after = days(365 * 40);
        });
        corpus.add(format!("time-year-9999-{label}"), move |c| {
            c.at(label).not_after = days(2_912_000);
        });
        corpus.add(format!("time-before-1970-{label}"), move |c| {
            c.at(label).not_before = days(-365 * 60);
        });
        corpus.add(format!("time-before-1950-{label}"), move |c| {
            c.at(label).not_before = days(-365 * 90);
        });
    }
    corpus.add("time-leaf-of-900-days", |c| {
        c.at("leaf").valid(-30, 870);
    });
    corpus.add("time-leaf-of-ten-years", |c| {
        c.at("leaf").valid(-30, 3650);
    });
    corpus.add("time-leaf-outlives-issuer", |c| {
        c.at("leaf").valid(-30, 3000);
    });
    corpus.add("time-leaf-older-than-issuer", |c| {
        c.at("leaf").valid(-800, 60);
    });
    // As in May 2020: the root is trusted, and the server sends its expired cross-signed copy.
    for (id, order) in [
        ("in-order", ["leaf", "intermediate", "cross"]),
        ("cross-first", ["leaf", "cross", "intermediate"]),
    ] {
        corpus.add(format!("time-expired-cross-sign-{id}"), move |c| {
            cross_signed(c);
            c.at("cross").valid(-4000, -3);
            c.serve(&order);
        });
        corpus.add(
            format!("time-expired-cross-sign-both-roots-{id}"),
            move |c| {
                cross_signed(c);
                c.at("cross").valid(-4000, -3);
                c.serve(&order);
                c.trust(&["root", "old root"]);
            },
        );
    }
    corpus.add("time-expired-cross-sign-old-root-expired", |c| {
        cross_signed(c);
        c.at("cross").valid(-4000, -3);
        c.at("old root").valid(-4000, -3);
        c.serve(&["leaf", "intermediate", "cross"]);
        c.trust(&["root", "old root"]);
    });
    corpus.add("time-expired-cross-sign-old-root-only", |c| {
        cross_signed(c);
        c.at("cross").valid(-4000, -3);
        c.serve(&["leaf", "intermediate", "cross"]);
        c.trust(&["old root"]);
    });
    corpus.add("time-valid-cross-sign-expired-old-root", |c| {
        cross_signed(c);
        c.at("old root").valid(-4000, -3);
        c.serve(&["leaf", "intermediate", "cross"]);
        c.trust(&["old root"]);
    });
    corpus.add("time-valid-cross-sign-expired-new-root", |c| {
        cross_signed(c);
        c.at("root").valid(-4000, -3);
        c.serve(&["leaf", "intermediate", "cross"]);
        c.trust(&["root", "old root"]);
    });
    corpus.add("time-expired-and-valid-intermediate", |c| {
        c.copy("intermediate", "expired").valid(-500, -3);
        c.at("expired").serial = Some(vec![9]);
        c.serve(&["leaf", "expired", "intermediate"]);
    });
    corpus.add("time-valid-and-expired-intermediate", |c| {
        c.copy("intermediate", "expired").valid(-500, -3);
        c.at("expired").serial = Some(vec![9]);
        c.serve(&["leaf", "intermediate", "expired"]);
    });
}

/// Adds another root, and a copy of the root signed by it.
fn cross_signed(case: &mut Case) {
    case.push_ca("old root", "old root");
    let (subject, key) = (
        case.get("root").subject.clone(),
        case.get("root").key.clone(),
    );
    let cross = case.push_ca("cross", "old root");
    cross.subject = subject;
    cross.key = key;
}
