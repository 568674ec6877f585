//! Text of the finding about a leaf that replaced another one, and of the differences.

use std::fmt;

use crate::certificate::{Certificate, LeafRecord};
use crate::model::{Timestamp, and_more};

use super::super::MaterialChange;
use super::Text;

/// Maximum lost names in a message.
const MAX_NAMES: usize = 4;
/// Digits of a fingerprint in a message.
const SHORT_FINGERPRINT: usize = 8;

impl fmt::Display for MaterialChange {
    /// Writes the difference as a clause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer { before, after } => {
                write!(f, "the issuer is `{after}`, it was `{before}`")
            }
            Self::LostNames { names, name_count } => {
                let quoted = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`"));
                write!(
                    f,
                    "it is no longer valid for {}",
                    and_more(quoted, *name_count)
                )
            }
            Self::WeakerKey { before, after } => {
                write!(f, "the key is {after}, it was {before}")
            }
        }
    }
}

/// Returns the text of [`Detail::MaterialChange`](super::Detail::MaterialChange).
pub(super) fn material_change(
    before: &LeafRecord,
    served: &Certificate,
    changes: &[MaterialChange],
    until: Timestamp,
) -> Text {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let served = match LeafRecord::of(served) {
        Some(served) => describe(&served),
        None => served.sha256().to_string(),
    };
    Text::new(
        format!(
            "the certificate {served} has replaced {}, and it is not a renewal: {}",
            describe(before),
            changes.join("; ")
        ),
        format!(
            "if the change was planned, nothing is to be done: the finding ends on {until}; otherwise find out which server or proxy responds, and who requested the certificate"
        ),
    )
}

fn describe(leaf: &LeafRecord) -> String {
    let mut text: String = (leaf.sha256.to_string().chars())
        .take(SHORT_FINGERPRINT)
        .collect();
    text.push_str(&format!(" by `{}`", leaf.issuer_name()));
    if let Some((_, not_after)) = leaf.validity {
        text.push_str(&format!(" until {}", not_after.date()));
    }
    text
}
