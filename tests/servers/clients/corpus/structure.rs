//! Versions, serial numbers, unique identifiers and stray bytes (RFC 5280 section 4.1).

use super::Corpus;
use crate::clients::der;

pub(super) fn add(corpus: &mut Corpus) {
    for label in ["leaf", "intermediate", "root"] {
        corpus.add(format!("version-1-{label}"), move |c| {
            c.at(label).version = None;
            c.at(label).extensions.clear();
        });
        corpus.add(format!("version-1-with-extensions-{label}"), move |c| {
            c.at(label).version = None;
        });
        corpus.add(format!("version-1-encoded-{label}"), move |c| {
            c.at(label).version = Some(0);
            c.at(label).extensions.clear();
        });
        corpus.add(format!("version-2-{label}"), move |c| {
            c.at(label).version = Some(1);
            c.at(label).extensions.clear();
        });
        corpus.add(format!("version-2-with-extensions-{label}"), move |c| {
            c.at(label).version = Some(1);
        });
        corpus.add(format!("version-4-{label}"), move |c| {
            c.at(label).version = Some(3)
        });
        corpus.add(format!("unique-ids-{label}"), move |c| {
            c.at(label).unique_ids = true
        });
        corpus.add(format!("trailing-bytes-{label}"), move |c| {
            c.at(label).trailing = vec![0, 0];
        });
        corpus.add(format!("trailing-in-tbs-{label}"), move |c| {
            c.at(label).tbs_trailing = der::null();
        });
        for (id, serial) in [
            ("zero", vec![0]),
            ("negative", vec![0x80, 1]),
            ("negative-20-octets", vec![0x9f; 20]),
            ("20-octets", vec![0x5f; 20]),
            ("21-octets", [vec![0], vec![0x9f; 20]].concat()),
            ("25-octets", vec![0x5f; 25]),
            ("leading-zeros", vec![0, 0, 0x5f, 1]),
            ("empty", vec![]),
        ] {
            corpus.add(format!("serial-{id}-{label}"), move |c| {
                c.at(label).serial = Some(serial.clone());
            });
        }
    }
    corpus.add("serial-same-as-issuer", |c| {
        for label in ["leaf", "intermediate"] {
            c.at(label).serial = Some(vec![0x11, 0x22]);
        }
    });
}
