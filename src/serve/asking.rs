//! What the source of an entry says, or why it says nothing.

use tokio::time::Instant;

use crate::config::Entry;
use crate::observation::LookError;
use crate::scan::{MailHosts, locate};
use crate::source::{Failed, Loaded};

use super::engine::Engine;

/// A source may take this many times what a look may, and so may each certificate of a whole account.
const SOURCE_PATIENCE: u32 = 3;

/// What a source said.
pub(super) struct Said {
    pub(super) answers: Vec<Result<Loaded, Failed>>,
    /// The mail hosts of the entry's domains; `None` where they were not looked up.
    pub(super) mail_hosts: Option<MailHosts>,
}

impl Said {
    /// An answer without a lookup of mail hosts.
    pub(super) fn alone(answer: Result<Loaded, Failed>) -> Self {
        Self {
            answers: vec![answer],
            mail_hosts: None,
        }
    }
}

/// Asks the source of an entry for everything, or for one certificate; `known` are the mail hosts of its domains.
pub(super) async fn ask(
    entry: &Entry,
    only: Option<&str>,
    known: &MailHosts,
    engine: &Engine,
) -> Said {
    let (scanner, patience) = (&engine.scanner, engine.manner.timeout * SOURCE_PATIENCE);
    let sources = &scanner.sources;
    if let Some(cn) = only {
        return Said::alone(sources.load_certificate(entry, cn, patience).await);
    }
    let mut answers = Vec::new();
    let deadline = Instant::now() + patience;
    let located = locate(entry, known, &scanner.resolver, deadline).await;
    for (entry, failure) in located.entries {
        match failure {
            None => answers.extend(sources.load(&entry, patience).await),
            Some(error) => answers.push(Err(unlocated(&entry, &error))),
        }
    }
    Said {
        answers,
        mail_hosts: Some(located.mail_hosts),
    }
}

/// A domain whose mail hosts could not be looked up, in their place.
fn unlocated(entry: &Entry, error: &LookError) -> Failed {
    let hostnames = entry.hostnames.clone();
    let domain = hostnames.first().map(ToString::to_string);
    Failed {
        name: entry.name.clone().or(domain).unwrap_or_default(),
        error: format!("the mail hosts are not known: {error}"),
        hostnames,
        may_pass: true,
        is_gone: error.is_dns_answer(),
    }
}
