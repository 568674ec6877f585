//! Findings: their codes and severities, their facts as data, and their text.

mod accepted;
mod client;
mod detail;
mod fault;
mod serialize;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use serde::Serialize;

pub use crate::code::{Code, Severity};
pub use accepted::{Acceptance, EntryNotes};
pub use client::{Client, Property, Refusal, Trait, TraitPosition};
pub use detail::{
    ByVantage, ChainValidity, CipherWeakness, ClientRefusal, Detail, Dummy, LeafValidity,
    MAX_LISTED_ADDRESSES, MAX_LISTED_NAMES, MAX_LISTED_RECORDS, MaterialChange, Missing, Namesake,
    NoPath, Nonconformant, Older, Refused, RevocationReporter, Seen, StsMismatch, TlsaMismatch,
    TlsaMissing, Untrusted, Wanted,
};
pub use fault::{AlgorithmName, Fault, FaultKind};
pub use text::Text;

/// The position of a certificate in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The server's own certificate.
    Leaf,
    /// A certificate between the leaf and the trust anchor.
    Intermediate,
    /// The certificate in the trust store, or a served root.
    #[serde(rename = "root")]
    Anchor,
}

/// One fact about an endpoint that is worth reporting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// Its severity: one of `code().severities()`, or info if a TLSA record replaces the check.
    pub severity: Severity,
    /// True if a matching TLSA record replaces the check that failed (RFC 7671, section 5).
    pub is_replaced: bool,
    /// Its facts, which decide its code and its text.
    pub detail: Detail,
    /// The acceptance by the configuration, which makes the severity `info`.
    pub accepted: Option<Arc<Acceptance>>,
}

impl Finding {
    /// Creates a finding with the first severity of its code in the table.
    pub fn new(detail: Detail) -> Self {
        let severities = detail.code().severities();
        let severity = severities.first().copied().unwrap_or(Severity::Critical);
        Self::with_severity(severity, detail)
    }

    /// Creates a finding of a code that may have several severities.
    pub fn with_severity(severity: Severity, detail: Detail) -> Self {
        debug_assert!(
            detail.code().severities().contains(&severity),
            "{} cannot be {severity}",
            detail.code()
        );
        Self {
            severity,
            is_replaced: false,
            detail,
            accepted: None,
        }
    }

    /// Reduces the finding to information, because a matching TLSA record replaces its check.
    pub(crate) fn replace(&mut self) {
        (self.severity, self.is_replaced) = (Severity::Info, true);
    }

    /// Returns the code.
    pub fn code(&self) -> Code {
        self.detail.code()
    }

    /// Returns the English text.
    pub fn text(&self) -> Text {
        let mut text = text::of(&self.detail);
        if let Some(accepted) = &self.accepted {
            text.message.push_str(&format!("; {accepted}"));
        }
        if self.is_replaced {
            return text::replaced(text);
        }
        text
    }

    /// Returns the message of [`Finding::text`].
    pub fn message(&self) -> String {
        self.text().message
    }
}
