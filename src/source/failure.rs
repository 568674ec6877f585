//! Failure of a source.

use crate::model::Timestamp;

/// Failure of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// Time of the first of the consecutive failures.
    pub since: Timestamp,
    /// Error of the last failure, in one line.
    pub error: String,
}
