//! basicConstraints (RFC 5280 section 4.2.1.9).

use super::Corpus;
use super::shapes::lengthen;
use crate::clients::der;
use crate::clients::spec::Case;
use crate::clients::spec::extension::{
    self as ext, BASIC_CONSTRAINTS, KEY_USAGE, basic_constraints,
};

const CAS: [&str; 2] = ["intermediate", "root"];

/// Gives the intermediate the subject of its issuer (a self-issued certificate).
fn self_issued(case: &mut Case, label: &str) {
    let issuer = case.get(label).issuer.clone();
    case.at(label).subject = case.get(&issuer).subject.clone();
}

pub(super) fn add(corpus: &mut Corpus) {
    for label in CAS {
        corpus.add(format!("bc-missing-{label}"), move |c| {
            c.at(label).remove(BASIC_CONSTRAINTS);
        });
        corpus.add(format!("bc-and-ku-missing-{label}"), move |c| {
            c.at(label).remove(BASIC_CONSTRAINTS).remove(KEY_USAGE);
        });
        corpus.add(format!("bc-no-extensions-{label}"), move |c| {
            c.at(label).extensions.clear();
        });
        corpus.add(format!("bc-ca-false-{label}"), move |c| {
            c.at(label)
                .set(basic_constraints(None, None).into_critical());
        });
        corpus.add(format!("bc-ca-false-encoded-{label}"), move |c| {
            let value = basic_constraints(Some(false), None).into_critical();
            c.at(label).set(value);
        });
        corpus.add(format!("bc-ca-false-no-ku-{label}"), move |c| {
            let value = basic_constraints(None, None).into_critical();
            c.at(label).set(value).remove(KEY_USAGE);
        });
        corpus.add(format!("bc-not-critical-{label}"), move |c| {
            c.at(label).critical(BASIC_CONSTRAINTS, false);
        });
        corpus.add(format!("bc-ca-false-with-pathlen-{label}"), move |c| {
            let value = basic_constraints(None, Some(1)).into_critical();
            c.at(label).set(value);
        });
        corpus.add(format!("bc-negative-pathlen-{label}"), move |c| {
            let value = der::sequence(&[der::boolean(true), der::tlv(2, &[0xff])]);
            c.at(label)
                .set(ext::raw(BASIC_CONSTRAINTS, &value).into_critical());
        });
        corpus.add(format!("bc-huge-pathlen-{label}"), move |c| {
            let value = basic_constraints(Some(true), Some(1 << 40)).into_critical();
            c.at(label).set(value);
        });
        corpus.add(format!("bc-boolean-of-1-{label}"), move |c| {
            let value = der::sequence(&[der::tlv(1, &[1])]);
            c.at(label)
                .set(ext::raw(BASIC_CONSTRAINTS, &value).into_critical());
        });
        corpus.add(format!("bc-pathlen-without-certsign-{label}"), move |c| {
            let value = basic_constraints(Some(true), Some(3)).into_critical();
            c.at(label).set(value);
            c.at(label)
                .set(ext::key_usage(&[ext::CRL_SIGN]).into_critical());
        });
    }
    // The number of intermediates, and the limit of the root or of the first intermediate.
    for (label, limit, intermediates) in [
        ("root", 0, 1),
        ("root", 0, 2),
        ("root", 1, 1),
        ("root", 1, 2),
        ("root", 1, 3),
        ("root", 2, 2),
        ("upper1", 0, 2),
        ("upper1", 1, 2),
        ("upper1", 0, 3),
        ("upper1", 1, 3),
        ("intermediate", 0, 1),
        ("intermediate", 0, 2),
    ] {
        corpus.add(
            format!("pathlen-{limit}-{label}-of-{intermediates}"),
            move |c| {
                lengthen(c, intermediates);
                let value = basic_constraints(Some(true), Some(limit)).into_critical();
                c.at(label).set(value);
            },
        );
    }
    corpus.add("pathlen-0-root-direct-leaf", |c| {
        let value = basic_constraints(Some(true), Some(0)).into_critical();
        c.at("root").set(value);
        c.at("leaf").issuer = "root".into();
        c.serve(&["leaf"]);
    });
    corpus.add("pathlen-0-root-direct-leaf-ca-true", |c| {
        let value = basic_constraints(Some(true), Some(0)).into_critical();
        c.at("root").set(value);
        c.at("leaf").issuer = "root".into();
        c.at("leaf")
            .set(basic_constraints(Some(true), None).into_critical());
        c.serve(&["leaf"]);
    });
    corpus.add("pathlen-0-intermediate-leaf-ca-true", |c| {
        let value = basic_constraints(Some(true), Some(0)).into_critical();
        c.at("intermediate").set(value);
        c.at("leaf")
            .set(basic_constraints(Some(true), None).into_critical());
    });
    // Self-issued certificates do not count (RFC 5280 section 6.1.4 l).
    for (limit, label) in [(0, "upper1"), (1, "upper1"), (0, "root"), (1, "root")] {
        corpus.add(format!("pathlen-{limit}-{label}-self-issued"), move |c| {
            lengthen(c, 2);
            self_issued(c, "intermediate");
            let value = basic_constraints(Some(true), Some(limit)).into_critical();
            c.at(label).set(value);
        });
    }
    corpus.add("pathlen-0-root-self-issued-rollover", |c| {
        self_issued(c, "intermediate");
        let value = basic_constraints(Some(true), Some(0)).into_critical();
        c.at("root").set(value);
    });
    corpus.add("self-issued-intermediate", |c| {
        self_issued(c, "intermediate")
    });
    for (id, value) in [
        ("missing", None),
        (
            "ca-true",
            Some(basic_constraints(Some(true), None).into_critical()),
        ),
        (
            "ca-true-pathlen",
            Some(basic_constraints(Some(true), Some(0)).into_critical()),
        ),
        (
            "pathlen-without-ca",
            Some(basic_constraints(None, Some(0)).into_critical()),
        ),
        ("not-critical", Some(basic_constraints(None, None))),
        (
            "ca-false-encoded",
            Some(basic_constraints(Some(false), None).into_critical()),
        ),
    ] {
        corpus.add(format!("bc-{id}-leaf"), move |c| {
            let leaf = c.at("leaf");
            leaf.remove(BASIC_CONSTRAINTS);
            leaf.extensions.extend(value.clone());
        });
    }
    corpus.add("bc-ca-true-certsign-leaf", |c| {
        let usage = ext::key_usage(&[ext::DIGITAL_SIGNATURE, ext::KEY_CERT_SIGN]).into_critical();
        let leaf = c.at("leaf");
        leaf.set(basic_constraints(Some(true), None).into_critical())
            .set(usage);
    });
}
