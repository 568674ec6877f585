//! Answers of the models that differ from the record, in `data/divergences.jsonl`, each with its
//! reason.

use std::fs;
use std::path::PathBuf;

use certvigil::judge::Opinion;
use serde::{Deserialize, Serialize};

/// An answer of a model that differs from the client's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Divergence {
    pub(crate) case: String,
    pub(crate) client: String,
    /// `accepts`, `refuses` or `unknown`.
    pub(crate) model: String,
    pub(crate) reason: String,
    /// True if the model's answer is about a handshake that the record does not contain. The scores
    /// do not count such a case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) beyond_record: bool,
}

impl Divergence {
    pub(crate) fn new(case: &str, client: &str, opinion: &Opinion) -> Self {
        let model = match opinion {
            Opinion::Accepts => "accepts",
            Opinion::Refuses(_) => "refuses",
            Opinion::Unknown => "unknown",
        };
        Self {
            case: case.to_owned(),
            client: client.to_owned(),
            model: model.to_owned(),
            reason: String::new(),
            beyond_record: false,
        }
    }

    /// Returns true if both are about the same answer.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        (&self.case, &self.client, &self.model) == (&other.case, &other.client, &other.model)
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/servers/clients/data/divergences.jsonl")
}

/// The known divergences.
pub(crate) fn read() -> Vec<Divergence> {
    let text = fs::read_to_string(path()).unwrap();
    let all: Vec<Divergence> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for one in &all {
        assert!(!one.reason.is_empty(), "{}: no reason", one.case);
    }
    all
}
