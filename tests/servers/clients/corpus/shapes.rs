//! The order of the served certificates, the trusted roots, and alternative paths.

use super::Corpus;
use crate::clients::der;
use crate::clients::keys::Key;
use crate::clients::spec::Case;
use crate::clients::spec::extension::{
    self as ext, BASIC_CONSTRAINTS, KEY_USAGE, basic_constraints, dns, name_constraints,
};

/// Gives the path this many intermediates: the root, `upper1`, `upper2`, …, `intermediate`.
pub(super) fn lengthen(case: &mut Case, intermediates: usize) {
    let mut above = "root".to_owned();
    let mut served = Vec::new();
    for number in 1..intermediates {
        let label = format!("upper{number}");
        case.push_ca(&label, &above);
        served.insert(0, label.clone());
        above = label;
    }
    case.at("intermediate").issuer = above;
    case.served.extend(served);
}

/// Makes the leaf self-signed.
fn self_signed(case: &mut Case) {
    let leaf = case.at("leaf");
    leaf.issuer = "leaf".into();
    leaf.remove(ext::AUTHORITY_KEY_ID);
    case.serve(&["leaf"]);
}

/// Adds a second root, and a second certificate of the intermediate signed by it.
fn second_way(case: &mut Case) {
    case.push_ca("second root", "second root");
    case.copy("intermediate", "second").issuer = "second root".into();
    case.at("second").serial = Some(vec![0x22]);
    case.trust(&["root", "second root"]);
}

pub(super) fn add(corpus: &mut Corpus) {
    orders(corpus);
    messages(corpus);
    stores(corpus);
    ways(corpus);
    for intermediates in [2, 3, 6, 7, 8, 9, 10, 11, 15] {
        corpus.add(format!("path-of-{intermediates}"), move |c| {
            lengthen(c, intermediates)
        });
    }
}

fn orders(corpus: &mut Corpus) {
    corpus.add("shape-leaf-only", |c| {
        c.serve(&["leaf"]);
    });
    corpus.add("shape-direct", |c| {
        c.at("leaf").issuer = "root".into();
        c.serve(&["leaf"]);
    });
    corpus.add("shape-root-served", |c| {
        c.serve(&["leaf", "intermediate", "root"]);
    });
    corpus.add("shape-root-served-first", |c| {
        c.serve(&["leaf", "root", "intermediate"]);
    });
    corpus.add("shape-root-served-untrusted", |c| {
        c.push_ca("other", "other");
        c.serve(&["leaf", "intermediate", "root"]).trust(&["other"]);
    });
    corpus.add("shape-untrusted", |c| {
        c.push_ca("other", "other");
        c.trust(&["other"]);
    });
    corpus.add("shape-no-roots", |c| {
        c.trust(&[]);
    });
    corpus.add("shape-wrong-order", |c| {
        lengthen(c, 2);
        c.serve(&["leaf", "upper1", "intermediate"]);
    });
    corpus.add("shape-reversed-three", |c| {
        lengthen(c, 3);
        c.serve(&["leaf", "upper1", "upper2", "intermediate"]);
    });
    corpus.add("shape-gap-in-the-middle", |c| {
        lengthen(c, 3);
        c.serve(&["leaf", "intermediate", "upper1"]);
    });
    corpus.add("shape-gap-at-the-bottom", |c| {
        lengthen(c, 2);
        c.serve(&["leaf", "upper1"]);
    });
    corpus.add("shape-gap-at-the-top", |c| {
        lengthen(c, 2);
        c.serve(&["leaf", "intermediate"]);
    });
    corpus.add("shape-leaf-twice", |c| {
        c.serve(&["leaf", "leaf", "intermediate"]);
    });
    corpus.add("shape-intermediate-twice", |c| {
        c.serve(&["leaf", "intermediate", "intermediate"]);
    });
    corpus.add("shape-unrelated-last", |c| {
        c.push_ca("other", "other");
        c.serve(&["leaf", "intermediate", "other"]);
    });
    corpus.add("shape-unrelated-between", |c| {
        c.push_ca("other", "other");
        c.serve(&["leaf", "other", "intermediate"]);
    });
    corpus.add("shape-expired-unrelated", |c| {
        c.push_ca("other", "other").valid(-500, -3);
        c.serve(&["leaf", "intermediate", "other"]);
    });
    corpus.add("shape-malformed-unrelated", |c| {
        c.push_ca("other", "other").version = Some(7);
        c.serve(&["leaf", "intermediate", "other"]);
    });
    corpus.add("shape-self-signed", self_signed);
    corpus.add("shape-self-signed-root-served-alone", |c| {
        self_signed(c);
        c.trust(&["root"]);
    });
}

/// Entries of the Certificate message that are no certificates, and its size.
fn messages(corpus: &mut Corpus) {
    for (id, at, bytes) in [
        ("text-last", 2, b"hello".to_vec()),
        ("text-between", 1, b"hello".to_vec()),
        ("empty-last", 2, vec![]),
        ("empty-between", 1, vec![]),
        ("der-last", 2, der::sequence(&[der::integer(1)])),
        ("der-between", 1, der::sequence(&[der::integer(1)])),
    ] {
        corpus.add(format!("message-junk-{id}"), move |c| {
            c.junk = Some((at, bytes.clone()));
        });
    }
    for bytes in [30_000, 32_000, 33_000, 60_000] {
        corpus.add(format!("message-of-{bytes}-bytes"), move |c| {
            /// Octets of the certificates without these names.
            const OTHERS: usize = 1_000;
            let name = |number| dns(&format!("host-{number:05}.example.test"));
            let names = (bytes - OTHERS) / name(0).len();
            let names: Vec<Vec<u8>> = (0..names).map(name).collect();
            c.names(&[vec![dns(&c.host)], names].concat());
        });
    }
}

fn stores(corpus: &mut Corpus) {
    corpus.add("store-intermediate-alone", |c| {
        c.trust(&["intermediate"]);
    });
    corpus.add("store-intermediate-alone-leaf-served", |c| {
        c.serve(&["leaf"]).trust(&["intermediate"]);
    });
    corpus.add("store-intermediate-and-root-leaf-served", |c| {
        c.serve(&["leaf"]).trust(&["intermediate", "root"]);
    });
    corpus.add("store-expired-intermediate-alone", |c| {
        c.at("intermediate").valid(-500, -3);
        c.trust(&["intermediate"]);
    });
    corpus.add("store-leaf-alone", |c| {
        c.trust(&["leaf"]);
    });
    corpus.add("store-leaf-alone-leaf-served", |c| {
        c.serve(&["leaf"]).trust(&["leaf"]);
    });
    corpus.add("store-leaf-and-root", |c| {
        c.trust(&["leaf", "root"]);
    });
    for (id, change) in [
        ("ca-false", (|_| ()) as fn(&mut Case)),
        ("ca-true", |c| {
            c.at("leaf")
                .set(basic_constraints(Some(true), None).into_critical());
        }),
        ("ca-true-certsign", |c| {
            let usage = ext::key_usage(&[ext::DIGITAL_SIGNATURE, ext::KEY_CERT_SIGN]);
            c.at("leaf")
                .set(basic_constraints(Some(true), None).into_critical());
            c.at("leaf").set(usage.into_critical());
        }),
        ("ca-true-as-openssl-req", |c| {
            // Neither key usage nor extended key usage.
            c.at("leaf")
                .remove(KEY_USAGE)
                .remove(ext::EXTENDED_KEY_USAGE);
            c.at("leaf")
                .set(basic_constraints(Some(true), None).into_critical());
        }),
        ("no-basic-constraints", |c| {
            c.at("leaf").remove(BASIC_CONSTRAINTS);
        }),
        ("no-extensions", |c| c.at("leaf").extensions.clear()),
        ("version-1", |c| {
            c.at("leaf").version = None;
            c.at("leaf").extensions.clear();
        }),
        ("expired", |c| {
            c.at("leaf").valid(-500, -3);
        }),
        ("not-yet-valid", |c| {
            c.at("leaf").valid(3, 500);
        }),
        ("client-auth", |c| {
            c.at("leaf")
                .set(ext::extended_key_usage(&[ext::CLIENT_AUTH]));
        }),
        ("other-host", |c| {
            c.names(&[dns("mail.example.test")]);
        }),
        ("bad-signature", |c| c.at("leaf").bad_signature = true),
        ("unknown-critical", |c| {
            c.at("leaf")
                .add(ext::raw(ext::UNKNOWN, &[5, 0]).into_critical());
        }),
    ] {
        corpus.add(format!("store-self-signed-{id}"), move |c| {
            self_signed(c);
            change(c);
            c.trust(&["leaf"]);
        });
    }
    corpus.add("store-two-roots-of-one-name", |c| {
        c.copy("root", "twin").key = Key {
            kind: crate::clients::keys::Kind::P256,
            name: "twin".into(),
        };
        c.trust(&["twin", "root"]);
    });
    corpus.add("store-two-roots-of-one-name-no-key-ids", |c| {
        c.copy("root", "twin").key = Key {
            kind: crate::clients::keys::Kind::P256,
            name: "twin".into(),
        };
        for label in ["twin", "root", "intermediate"] {
            c.at(label)
                .remove(ext::SUBJECT_KEY_ID)
                .remove(ext::AUTHORITY_KEY_ID);
        }
        c.trust(&["twin", "root"]);
    });
    corpus.add("store-root-expired-and-renewed", |c| {
        c.copy("root", "old").valid(-4000, -3);
        c.at("old").serial = Some(vec![8]);
        c.trust(&["old", "root"]);
    });
    corpus.add("store-root-differs-from-served", |c| {
        c.copy("root", "served root").valid(-400, 3000);
        c.at("served root").serial = Some(vec![8]);
        c.serve(&["leaf", "intermediate", "served root"]);
    });
    corpus.add("store-root-differs-from-expired-served", |c| {
        c.copy("root", "served root").valid(-4000, -3);
        c.at("served root").serial = Some(vec![8]);
        c.serve(&["leaf", "intermediate", "served root"]);
    });
    corpus.add("store-root-expired-served-renewed", |c| {
        c.copy("root", "served root");
        c.at("served root").serial = Some(vec![8]);
        c.at("root").valid(-4000, -3);
        c.serve(&["leaf", "intermediate", "served root"]);
    });
    corpus.add("store-root-not-self-signed", |c| {
        c.push_ca("above", "above");
        c.at("root").issuer = "above".into();
    });
    corpus.add("store-root-not-self-signed-served", |c| {
        c.push_ca("above", "above");
        c.at("root").issuer = "above".into();
        c.serve(&["leaf", "intermediate", "root"]);
    });
    corpus.add("store-root-of-own-name-signed-by-other", |c| {
        c.push_ca("above", "above");
        c.at("root").issuer = "above".into();
        let name = c.get("root").subject.clone();
        c.at("root").issuer_name = Some(name);
    });
}

fn ways(corpus: &mut Corpus) {
    let mut way = |id: &'static str, change: fn(&mut Case)| {
        for (order, labels) in [
            ("good-first", ["leaf", "intermediate", "second"]),
            ("bad-first", ["leaf", "second", "intermediate"]),
        ] {
            corpus.add(format!("ways-{id}-{order}"), move |c| {
                second_way(c);
                change(c);
                c.serve(&labels);
            });
        }
    };
    way("second-expired", |c| {
        c.at("second").valid(-500, -3);
    });
    way("second-not-yet-valid", |c| {
        c.at("second").valid(3, 500);
    });
    way("second-name-constraints", |c| {
        c.at("second")
            .set(name_constraints(&[dns("example.org")], &[]));
    });
    way("second-root-name-constraints", |c| {
        c.at("second root")
            .set(name_constraints(&[dns("example.org")], &[]));
    });
    way("second-root-pathlen", |c| {
        c.at("second root")
            .set(basic_constraints(Some(true), Some(0)).into_critical());
    });
    way("second-root-expired", |c| {
        c.at("second root").valid(-4000, -3);
    });
    way("second-root-untrusted", |c| {
        c.trust(&["root"]);
    });
    way("second-bad-signature", |c| {
        c.at("second").bad_signature = true
    });
    way("second-not-a-ca", |c| {
        c.at("second")
            .set(basic_constraints(None, None).into_critical());
    });
    way("second-client-auth", |c| {
        c.at("second")
            .set(ext::extended_key_usage(&[ext::CLIENT_AUTH]));
    });
    way("second-unknown-critical", |c| {
        c.at("second")
            .add(ext::raw(ext::UNKNOWN, &[5, 0]).into_critical());
    });
    way("second-version-1", |c| {
        c.at("second").version = None;
        c.at("second").extensions.clear();
    });
    way("second-other-key", |c| {
        c.at("second").key.name = "second".into();
    });
    way("second-other-key-no-key-ids", |c| {
        c.at("second").key.name = "second".into();
        for label in ["leaf", "intermediate", "second"] {
            c.at(label)
                .remove(ext::SUBJECT_KEY_ID)
                .remove(ext::AUTHORITY_KEY_ID);
        }
    });
    way("second-both-good", |_| ());
    // Two roots that have signed each other.
    for (id, trusted) in [("first", "root"), ("second", "second root")] {
        corpus.add(format!("ways-cross-signed-both-{id}-trusted"), move |c| {
            c.push_ca("second root", "second root");
            c.copy("root", "root by second").issuer = "second root".into();
            c.at("root by second").serial = Some(vec![1, 1]);
            c.copy("second root", "second by root").issuer = "root".into();
            c.at("second by root").serial = Some(vec![1, 2]);
            c.serve(&["leaf", "intermediate", "root by second", "second by root"]);
            c.trust(&[trusted]);
        });
    }
    corpus.add("ways-loop-untrusted", |c| {
        c.push_ca("second root", "second root");
        c.copy("root", "root by second").issuer = "second root".into();
        c.copy("second root", "second by root").issuer = "root".into();
        c.push_ca("other", "other");
        c.serve(&["leaf", "intermediate", "root by second", "second by root"]);
        c.trust(&["other"]);
    });
    corpus.add("ways-many-of-one-name", |c| {
        let mut served = vec!["leaf".to_owned()];
        for number in 0..12 {
            let label = format!("copy{number}");
            c.copy("intermediate", &label).key.name = "other".into();
            c.at(&label).serial = Some(vec![3, number]);
            served.push(label);
        }
        served.push("intermediate".into());
        c.served = served;
    });
}
