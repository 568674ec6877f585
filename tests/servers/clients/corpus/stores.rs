//! Trust stores with several certificates of one name, and cross-signed copies among the served
//! certificates.

use super::Corpus;
use crate::clients::keys::{Key, Kind};
use crate::clients::spec::extension::{
    self as ext, AUTHORITY_KEY_ID, SUBJECT_KEY_ID, basic_constraints, dns, name_constraints,
};
use crate::clients::spec::{Case, Cert};

pub(super) fn add(corpus: &mut Corpus) {
    copies_of_a_root(corpus);
    roots_of_one_name(corpus);
    cross_signed(corpus);
    stored_intermediates(corpus);
}

fn own_key(cert: &mut Cert) {
    cert.key = Key {
        kind: Kind::P256,
        name: cert.label.clone(),
    };
}

/// Two certificates of one root, which has one key: the second may be stricter, newer or older.
fn copies_of_a_root(corpus: &mut Corpus) {
    type Change = fn(&mut Cert);
    let changes: [(&str, Change); 3] = [
        ("equal", |_| ()),
        ("path-length-0", |c| {
            c.set(basic_constraints(Some(true), Some(0)).into_critical());
        }),
        ("other-domain", |c| {
            c.set(name_constraints(&[dns("other.test")], &[]));
        }),
    ];
    for (id, change) in changes {
        for (age, from) in [("newer", -100), ("older", -900), ("same-age", -400)] {
            for (order, trusted) in [("last", ["root", "copy"]), ("first", ["copy", "root"])] {
                corpus.add(format!("store-copy-{id}-{age}-{order}"), move |c| {
                    let copy = c.copy("root", "copy");
                    copy.valid(from, 3650);
                    copy.serial = Some(vec![0x33]);
                    change(copy);
                    // The intermediate above the leaf's issuer makes a path of length 1.
                    c.push_ca("upper", "root");
                    c.at("intermediate").issuer = "upper".into();
                    c.serve(&["leaf", "intermediate", "upper"]).trust(&trusted);
                });
            }
        }
    }
    for (order, trusted) in [("last", ["root", "copy"]), ("first", ["copy", "root"])] {
        corpus.add(format!("store-copy-not-yet-valid-{order}"), move |c| {
            c.copy("root", "copy").valid(5, 3650);
            c.trust(&trusted);
        });
        corpus.add(format!("store-copy-expired-{order}"), move |c| {
            c.copy("root", "copy").valid(-900, -5);
            c.trust(&trusted);
        });
        corpus.add(format!("store-cross-other-domain-{order}"), move |c| {
            c.push_ca("other", "other");
            let copy = c.copy("root", "copy");
            copy.issuer = "other".into();
            copy.valid(-100, 3650);
            copy.add(ext::authority_key_id());
            copy.set(name_constraints(&[dns("other.test")], &[]));
            c.trust(&trusted);
        });
    }
}

/// Two roots of one name with different keys, which key identifiers do not tell apart.
fn roots_of_one_name(corpus: &mut Corpus) {
    for (age, from) in [("newer", -100), ("older", -900), ("same-age", -400)] {
        for (order, trusted) in [("last", ["root", "twin"]), ("first", ["twin", "root"])] {
            corpus.add(format!("store-twin-{age}-{order}"), move |c| {
                let twin = c.copy("root", "twin");
                twin.issuer = "twin".into();
                own_key(twin);
                twin.valid(from, 3650);
                c.at("intermediate").remove(AUTHORITY_KEY_ID);
                c.trust(&trusted);
            });
        }
    }
    for (id, is_identified, from, to) in [
        ("valid", false, -100, 3650),
        ("expired", false, -900, -5),
        ("key-id", true, -100, 3650),
    ] {
        corpus.add(format!("store-root-named-as-intermediate-{id}"), move |c| {
            root_named_as(c, "intermediate", is_identified).valid(from, to);
            c.trust(&["root", "twin"]);
        });
        corpus.add(format!("store-root-named-as-upper-{id}"), move |c| {
            c.push_ca("upper", "root");
            c.at("intermediate").issuer = "upper".into();
            root_named_as(c, "upper", is_identified).valid(from, to);
            c.serve(&["leaf", "intermediate", "upper"])
                .trust(&["root", "twin"]);
        });
    }
}

/// Adds a root with the name of another authority.
fn root_named_as<'a>(case: &'a mut Case, label: &str, is_identified: bool) -> &'a mut Cert {
    let twin = case.copy(label, "twin");
    twin.issuer = "twin".into();
    own_key(twin);
    twin.remove(AUTHORITY_KEY_ID);
    if !is_identified {
        twin.remove(SUBJECT_KEY_ID);
    }
    twin
}

/// Copies of the intermediate and of the root that an older root, which no client has, signed.
fn cross_signed(corpus: &mut Corpus) {
    for (id, served) in [
        ("root", &["leaf", "intermediate", "cross root"][..]),
        ("intermediate", &["leaf", "intermediate", "cross"]),
        ("intermediate-first", &["leaf", "cross", "intermediate"]),
        ("both", &["leaf", "intermediate", "cross", "cross root"]),
        (
            "both-root-first",
            &["leaf", "intermediate", "cross root", "cross"],
        ),
        (
            "both-first",
            &["leaf", "cross", "intermediate", "cross root"],
        ),
        ("with-root", &["leaf", "intermediate", "root", "cross"]),
        (
            "with-unrelated",
            &["leaf", "intermediate", "cross root", "unrelated"],
        ),
        ("with-leaf", &["leaf", "intermediate", "cross root", "leaf"]),
    ] {
        corpus.add(format!("shape-cross-signed-{id}"), move |c| {
            c.push_ca("old", "old");
            c.push_ca("unrelated", "old");
            c.copy("intermediate", "cross").issuer = "old".into();
            let root = c.copy("root", "cross root");
            root.issuer = "old".into();
            root.add(ext::authority_key_id());
            for label in ["cross", "cross root"] {
                c.at(label).serial = Some(vec![0x44, label.len() as u8]);
            }
            c.serve(served);
        });
    }
}

/// The store has the intermediate and the root.
fn stored_intermediates(corpus: &mut Corpus) {
    for (id, from, to) in [("not-yet-valid", 5, 3650), ("expired", -900, -5)] {
        corpus.add(format!("store-intermediate-and-{id}-root"), move |c| {
            c.at("root").valid(from, to);
            c.trust(&["root", "intermediate"]);
        });
    }
    corpus.add("store-intermediate-and-root-of-path-length-0", |c| {
        c.at("root")
            .set(basic_constraints(Some(true), Some(0)).into_critical());
        c.push_ca("sub", "intermediate");
        c.at("leaf").issuer = "sub".into();
        c.serve(&["leaf", "sub", "intermediate"])
            .trust(&["root", "intermediate"]);
    });
    corpus.add("store-intermediate-and-root-of-other-domain", |c| {
        c.at("root")
            .set(name_constraints(&[dns("other.test")], &[]));
        c.trust(&["root", "intermediate"]);
    });
}
