//! The leaf among the certificates of a file, in whatever order they are.

use std::collections::HashSet;

use super::super::{Certificate, Facts};

/// Maximum leaves that an error names.
const MAX_NAMED: usize = 4;

/// Why a file does not have one leaf. Displayed as one line without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// No certificate at all.
    #[error("there is no certificate")]
    None,
    /// A certificate that may be the leaf cannot be read.
    #[error("certificate {position} of the file is malformed: {why}")]
    Malformed {
        /// Position in the file, from 1.
        position: usize,
        /// The part that cannot be read.
        why: String,
    },
    /// Several different leaves.
    #[error(
        "the file has {count} certificates that may be the leaf: {}; leave only one of these in it",
        .names.join(" and ")
    )]
    Several {
        /// Number of leaves.
        count: usize,
        /// Name and serial number of the first leaves, in the file's order.
        names: Vec<String>,
    },
}

/// Returns the leaf of a file, wherever it is. It is the only certificate that is not an authority and issued none of
/// the others. An authority is the leaf only if there is no other: tools create self-signed certificates as authorities.
///
/// # Errors
/// If the first certificate is malformed, if the leaf may be a malformed one, or if there are several leaves.
pub fn leaf_of(certificates: &[Certificate]) -> Result<&Certificate, LeafError> {
    let mut malformed = certificates.iter().enumerate().filter_map(|(at, c)| {
        c.facts().err().map(|why| LeafError::Malformed {
            position: at + 1,
            why: why.to_string(),
        })
    });
    let first_malformed = malformed.next();
    if let Some(error @ LeafError::Malformed { position: 1, .. }) = first_malformed {
        return Err(error);
    }
    let mut seen = HashSet::new();
    let readable: Vec<(&Certificate, &Facts)> = certificates
        .iter()
        .filter_map(|c| c.facts().ok().map(|facts| (c, facts)))
        .filter(|(c, _)| seen.insert(c.sha256()))
        .collect();
    // Two self-signed certificates of one name did not issue each other.
    let issuers: HashSet<&[u8]> = readable
        .iter()
        .filter(|(_, facts)| !facts.is_self_issued())
        .map(|(_, facts)| facts.issuer_normal.as_slice())
        .collect();
    let issued_none = |facts: &Facts| !issuers.contains(facts.subject_normal.as_slice());
    let lowest: Vec<_> = readable
        .iter()
        .filter(|(_, facts)| issued_none(facts))
        .copied()
        .collect();
    let ends: Vec<_> = lowest
        .iter()
        .filter(|(_, facts)| is_end_entity(facts))
        .copied()
        .collect();
    match (ends.as_slice(), first_malformed) {
        ([(leaf, _)], _) => Ok(leaf),
        ([], Some(error)) => Err(error),
        ([], None) => match lowest.as_slice() {
            [(leaf, _)] => Ok(leaf),
            [] if readable.is_empty() => Err(LeafError::None),
            [] => Err(several(&readable)),
            _ => Err(several(&lowest)),
        },
        _ => Err(several(&ends)),
    }
}

/// Returns true for a certificate that is not an authority. One of version 1 does not say so: its name tells.
fn is_end_entity(facts: &Facts) -> bool {
    !facts.is_ca || facts.version == 1 && !facts.is_self_issued()
}

fn several(leaves: &[(&Certificate, &Facts)]) -> LeafError {
    let named = leaves.iter().take(MAX_NAMED);
    LeafError::Several {
        count: leaves.len(),
        names: named
            .map(|(_, facts)| format!("`{}` (serial {})", facts.name(), facts.serial))
            .collect(),
    }
}
