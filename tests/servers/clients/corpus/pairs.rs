//! Two changes of one path: the one that a client reports, and whether it hides the other.

use super::Corpus;
use crate::clients::spec::Case;

/// Groups of changes. Each change is combined with each change of a later group.
const GROUPS: [&[&str]; 7] = [
    &["time-expired-leaf", "time-not-yet-valid-leaf"],
    &["host-other"],
    &["eku-client-leaf", "ku-certsign-leaf-ec"],
    &["shape-leaf-only", "shape-untrusted"],
    &[
        "time-expired-intermediate",
        "bc-ca-false-intermediate",
        "ku-crlsign-only-intermediate",
    ],
    &[
        "nc-dns-permitted-other-intermediate",
        "ext-unknown-critical-intermediate",
    ],
    &["time-expired-root", "bc-missing-root", "sig-bad-leaf"],
];

/// Pairs within one group, or of changes outside the groups.
const MORE: [(&str, &str); 16] = [
    ("time-expired-intermediate", "bc-ca-false-root"),
    ("time-expired-intermediate", "time-expired-root-served"),
    ("bc-ca-false-intermediate", "ku-crlsign-only-intermediate"),
    (
        "nc-dns-permitted-other-intermediate",
        "ext-unknown-critical-intermediate",
    ),
    ("sig-rsa-sha1-leaf", "time-expired-leaf"),
    ("sig-rsa-sha1-intermediate", "host-other"),
    ("sig-rsa-sha1-leaf", "aki-other-keyid-leaf"),
    ("key-rsa-1024-intermediate", "time-expired-intermediate"),
    ("key-rsa-1024-leaf", "host-other"),
    ("version-1-intermediate", "time-expired-intermediate"),
    ("aki-other-keyid-leaf", "time-expired-leaf"),
    ("aki-other-keyid-leaf", "host-other"),
    ("ext-unknown-critical-leaf", "host-other"),
    ("ext-unknown-critical-leaf", "time-expired-leaf"),
    ("require-0-without-policies-intermediate", "host-other"),
    ("serial-negative-leaf", "time-expired-leaf"),
];

pub(super) fn cases(corpus: &Corpus) -> Vec<Case> {
    let mut pairs = Vec::new();
    for (index, group) in GROUPS.iter().enumerate() {
        for first in *group {
            for second in GROUPS[index + 1..].iter().copied().flatten() {
                pairs.push((*first, *second));
            }
        }
    }
    pairs.extend(MORE);
    pairs
        .into_iter()
        .map(|(first, second)| {
            let mut case = Case::standard(&format!("pair-{first}+{second}"));
            corpus.apply(first, &mut case);
            corpus.apply(second, &mut case);
            case
        })
        .collect()
}
