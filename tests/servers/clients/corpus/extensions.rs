//! Unknown, duplicate and malformed extensions, and key identifiers (RFC 5280 section 4.2).

use super::Corpus;
use crate::clients::der;
use crate::clients::spec::HOST;
use crate::clients::spec::extension::{
    self as ext, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, SERVER_AUTH,
    SUBJECT_ALT_NAME, SUBJECT_KEY_ID, UNKNOWN, dns,
};
use crate::clients::spec::name::Name;

const PLACES: [&str; 3] = ["leaf", "intermediate", "root"];

pub(super) fn add(corpus: &mut Corpus) {
    for label in PLACES {
        corpus.add(format!("ext-unknown-{label}"), move |c| {
            c.at(label).add(ext::raw(UNKNOWN, &der::null()));
        });
        corpus.add(format!("ext-unknown-critical-{label}"), move |c| {
            c.at(label)
                .add(ext::raw(UNKNOWN, &der::null()).into_critical());
        });
        corpus.add(format!("ext-unknown-twice-{label}"), move |c| {
            for _ in 0..2 {
                c.at(label).add(ext::raw(UNKNOWN, &der::null()));
            }
        });
        corpus.add(format!("ext-unknown-of-no-der-{label}"), move |c| {
            c.at(label).add(ext::raw(UNKNOWN, b"text"));
        });
        for (id, oid) in [
            ("bc", BASIC_CONSTRAINTS),
            ("ku", KEY_USAGE),
            ("ski", SUBJECT_KEY_ID),
        ] {
            corpus.add(format!("ext-duplicate-{id}-{label}"), move |c| {
                let own = c.get(label).extensions.iter().find(|e| e.oid == oid);
                let own = own.unwrap().clone();
                c.at(label).add(own);
            });
        }
    }
    duplicates(corpus);
    malformed(corpus);
    key_identifiers(corpus);
    others(corpus);
}

fn duplicates(corpus: &mut Corpus) {
    corpus.add("ext-duplicate-san-other-name", |c| {
        c.at("leaf").add(ext::dns_names(&["other.example.test"]));
    });
    corpus.add("ext-duplicate-san-host-second", |c| {
        c.at("leaf").set(ext::dns_names(&["other.example.test"]));
        c.at("leaf").add(ext::dns_names(&[HOST]));
    });
    corpus.add("ext-duplicate-eku", |c| {
        c.at("leaf").add(ext::extended_key_usage(&[SERVER_AUTH]));
    });
    corpus.add("ext-duplicate-bc-contradicting-intermediate", |c| {
        c.at("intermediate").add(ext::basic_constraints(None, None));
    });
    corpus.add("ext-critical-false-encoded", |c| {
        for extension in &mut c.at("leaf").extensions {
            extension.default_written = true;
        }
    });
    for label in PLACES {
        corpus.add(format!("ext-empty-list-{label}"), move |c| {
            c.at(label).extensions.clear();
            c.at(label).empty_extensions = true;
        });
    }
}

fn malformed(corpus: &mut Corpus) {
    for label in PLACES {
        for (id, oid) in [
            ("bc", BASIC_CONSTRAINTS),
            ("ku", KEY_USAGE),
            ("eku", EXTENDED_KEY_USAGE),
            ("san", SUBJECT_ALT_NAME),
            ("ski", SUBJECT_KEY_ID),
            ("aki", AUTHORITY_KEY_ID),
            ("aia", ext::AUTHORITY_INFO_ACCESS),
            ("crldp", ext::CRL_DISTRIBUTION_POINTS),
        ] {
            corpus.add(format!("ext-malformed-{id}-{label}"), move |c| {
                let critical = c
                    .get(label)
                    .extensions
                    .iter()
                    .any(|e| e.oid == oid && e.critical);
                let mut bad = ext::raw(oid, &[0x30, 0x05, 0x01]);
                bad.critical = critical;
                c.at(label).set(bad);
            });
        }
        for (id, oid) in [("bc", BASIC_CONSTRAINTS), ("ku", KEY_USAGE)] {
            corpus.add(format!("ext-trailing-{id}-{label}"), move |c| {
                let is_ca = label != "leaf";
                let own = if oid == KEY_USAGE {
                    der::named_bits(if is_ca { &[5, 6] } else { &[0] })
                } else if is_ca {
                    der::sequence(&[der::boolean(true)])
                } else {
                    der::sequence(&[])
                };
                let value = [own, der::null()].concat();
                c.at(label).set(ext::raw(oid, &value).into_critical());
            });
        }
        corpus.add(format!("ext-empty-value-ku-{label}"), move |c| {
            c.at(label).set(ext::raw(KEY_USAGE, &[]).into_critical());
        });
    }
    corpus.add("ext-san-empty", |c| {
        c.names(&[]);
    });
    corpus.add("ext-san-empty-dns-name", |c| {
        c.names(&[dns(""), dns(HOST)]);
    });
    corpus.add("ext-san-ip-of-5-octets", |c| {
        c.names(&[dns(HOST), der::implicit(7, &[127, 0, 0, 1, 0])]);
    });
    corpus.add("ext-san-unknown-tag", |c| {
        c.names(&[dns(HOST), der::implicit(9, b"x")]);
    });
    corpus.add("ext-san-malformed-directory-name", |c| {
        c.names(&[dns(HOST), der::explicit(4, b"\x30\x05\x01")]);
    });
    corpus.add("ext-san-non-ascii-email", |c| {
        c.names(&[dns(HOST), der::implicit(1, "ü@example.test".as_bytes())]);
    });
    corpus.add("ext-san-malformed-uri", |c| {
        c.names(&[dns(HOST), ext::uri("http://[")]);
    });
    corpus.add("ext-san-thousand-names", |c| {
        let mut names: Vec<Vec<u8>> = (0..1000)
            .map(|n| dns(&format!("n{n}.example.test")))
            .collect();
        names.push(dns(HOST));
        c.names(&names);
    });
}

fn key_identifiers(corpus: &mut Corpus) {
    for label in ["leaf", "intermediate"] {
        corpus.add(format!("aki-missing-{label}"), move |c| {
            c.at(label).remove(AUTHORITY_KEY_ID);
        });
        corpus.add(format!("aki-other-keyid-{label}"), move |c| {
            let value = der::sequence(&[der::implicit(0, &[7; 20])]);
            c.at(label).set(ext::raw(AUTHORITY_KEY_ID, &value));
        });
        corpus.add(format!("aki-other-length-{label}"), move |c| {
            let value = der::sequence(&[der::implicit(0, &[7; 4])]);
            c.at(label).set(ext::raw(AUTHORITY_KEY_ID, &value));
        });
        corpus.add(format!("aki-issuer-and-serial-{label}"), move |c| {
            c.at(label).set(ext::authority_issuer_and_serial());
        });
        corpus.add(format!("aki-other-serial-{label}"), move |c| {
            let issuer = c.get(label).issuer.clone();
            let above = c.get(&issuer).issuer.clone();
            let name = c.get(&above).subject.encode();
            let value = der::sequence(&[
                der::explicit(1, &der::explicit(4, &name)),
                der::implicit(2, &[5, 5]),
            ]);
            c.at(label).set(ext::raw(AUTHORITY_KEY_ID, &value));
        });
        corpus.add(format!("aki-other-issuer-{label}"), move |c| {
            let name = Name::plain("Another", "CA").encode();
            let value = der::sequence(&[
                der::explicit(1, &der::explicit(4, &name)),
                der::implicit(2, &[5, 5]),
            ]);
            c.at(label).set(ext::raw(AUTHORITY_KEY_ID, &value));
        });
        corpus.add(format!("aki-empty-{label}"), move |c| {
            c.at(label)
                .set(ext::raw(AUTHORITY_KEY_ID, &der::sequence(&[])));
        });
        corpus.add(format!("aki-critical-{label}"), move |c| {
            c.at(label).critical(AUTHORITY_KEY_ID, true);
        });
        corpus.add(format!("aki-other-keyid-ski-missing-{label}"), move |c| {
            let issuer = c.get(label).issuer.clone();
            c.at(&issuer).remove(SUBJECT_KEY_ID);
            let value = der::sequence(&[der::implicit(0, &[7; 20])]);
            c.at(label).set(ext::raw(AUTHORITY_KEY_ID, &value));
        });
    }
    for label in PLACES {
        corpus.add(format!("ski-missing-{label}"), move |c| {
            c.at(label).remove(SUBJECT_KEY_ID);
        });
        corpus.add(format!("ski-critical-{label}"), move |c| {
            c.at(label).critical(SUBJECT_KEY_ID, true);
        });
        corpus.add(format!("ski-empty-{label}"), move |c| {
            c.at(label).set(ext::raw(SUBJECT_KEY_ID, &der::octets(&[])));
        });
    }
    corpus.add("ski-other-intermediate", |c| {
        c.at("intermediate")
            .set(ext::raw(SUBJECT_KEY_ID, &der::octets(&[9; 20])));
    });
    corpus.add("aki-root", |c| {
        c.at("root").add(ext::authority_key_id());
    });
    corpus.add("aki-root-issuer-and-serial", |c| {
        c.at("root").add(ext::authority_issuer_and_serial());
    });
    corpus.add("aki-root-mismatched", |c| {
        let value = der::sequence(&[der::implicit(0, &[7; 20])]);
        c.at("root").add(ext::raw(AUTHORITY_KEY_ID, &value));
    });
    corpus.add("aki-root-mismatched-root-served", |c| {
        let value = der::sequence(&[der::implicit(0, &[7; 20])]);
        c.at("root").add(ext::raw(AUTHORITY_KEY_ID, &value));
        c.serve(&["leaf", "intermediate", "root"]);
    });
}

fn others(corpus: &mut Corpus) {
    corpus.add("ext-must-staple-leaf", |c| {
        let value = der::sequence(&[der::integer(5)]);
        c.at("leaf").add(ext::raw(ext::TLS_FEATURE, &value));
    });
    corpus.add("ext-must-staple-critical-leaf", |c| {
        let value = der::sequence(&[der::integer(5)]);
        c.at("leaf")
            .add(ext::raw(ext::TLS_FEATURE, &value).into_critical());
    });
    let feature = |numbers: &[u64]| {
        let numbers: Vec<Vec<u8>> = numbers.iter().map(|n| der::integer(*n)).collect();
        ext::raw(ext::TLS_FEATURE, &der::sequence(&numbers))
    };
    for label in ["intermediate", "root"] {
        for (id, numbers) in [("staple", &[5][..]), ("other", &[23]), ("empty", &[])] {
            corpus.add(format!("ext-tls-feature-{id}-{label}"), move |c| {
                c.at(label).add(feature(numbers));
            });
        }
        corpus.add(format!("ext-tls-feature-critical-{label}"), move |c| {
            c.at(label).add(feature(&[5]).into_critical());
        });
        corpus.add(
            format!("ext-tls-feature-other-leaf-and-{label}"),
            move |c| {
                c.at(label).add(feature(&[23]));
                c.at("leaf").add(feature(&[23]));
            },
        );
        corpus.add(
            format!("ext-tls-feature-differs-leaf-and-{label}"),
            move |c| {
                c.at(label).add(feature(&[23]));
                c.at("leaf").add(feature(&[24]));
            },
        );
    }
    corpus.add("ext-tls-feature-other-leaf", move |c| {
        c.at("leaf").add(feature(&[23]));
    });
    corpus.add("ext-tls-feature-other-intermediate-and-root", move |c| {
        c.at("root").add(feature(&[23]));
        c.at("intermediate").add(feature(&[23]));
    });
    corpus.add("ext-tls-feature-other-all", move |c| {
        for label in ["root", "intermediate", "leaf"] {
            c.at(label).add(feature(&[23]));
        }
    });
    corpus.add("ext-ct-poison-leaf", |c| {
        c.at("leaf")
            .add(ext::raw(ext::CT_POISON, &der::null()).into_critical());
    });
    corpus.add("ext-malformed-sct-list-leaf", |c| {
        c.at("leaf")
            .add(ext::raw(ext::SCT_LIST, &der::octets(&[0, 9, 1])));
    });
    corpus.add("ext-issuer-alt-name-critical-leaf", |c| {
        let value = der::sequence(&[dns("ca.example.test")]);
        c.at("leaf")
            .add(ext::raw(ext::ISSUER_ALT_NAME, &value).into_critical());
    });
    let crl = |name: &str| {
        let uri = der::explicit(0, &der::explicit(0, &ext::uri(name)));
        der::sequence(&[der::sequence(&[uri])])
    };
    for (id, oid) in [
        ("crldp", ext::CRL_DISTRIBUTION_POINTS),
        ("freshest-crl", ext::FRESHEST_CRL),
    ] {
        for critical in [true, false] {
            let suffix = if critical { "-critical" } else { "" };
            corpus.add(format!("ext-{id}{suffix}-leaf"), move |c| {
                let mut extension = ext::raw(oid, &crl("http://127.0.0.1:1/crl"));
                extension.critical = critical;
                c.at("leaf").add(extension);
            });
        }
    }
    corpus.add("ext-aia-critical-leaf", |c| {
        let access = der::sequence(&[
            der::oid("1.3.6.1.5.5.7.48.2"),
            ext::uri("http://127.0.0.1:1/ca"),
        ]);
        let value = der::sequence(&[access]);
        c.at("leaf")
            .add(ext::raw(ext::AUTHORITY_INFO_ACCESS, &value).into_critical());
    });
}
