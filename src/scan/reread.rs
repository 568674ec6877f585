//! Judging by the current content of a file. A server that has a renewed certificate may be probed
//! before the file of the expected certificate is read again.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::instance::SourceKind;
use crate::judge::Rules;
use crate::model::Target;
use crate::observation::{Observation, Outcome};
use crate::source::Loaded;

use super::Job;

/// Expectation of a target after its source was read again.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Expected certificate.
    pub loaded: Arc<Loaded>,
    /// Rules, of which those about the source apply: the rollout and the age.
    pub rules: Rules,
}

/// Future of an expectation; `None` if it is unknown.
pub(super) type Reading = Pin<Box<dyn Future<Output = Option<Refreshed>> + Send>>;

/// Function that reads the source of a target's expected certificate again.
#[derive(Clone)]
pub struct Reread(Arc<dyn Fn(Arc<Target>) -> Reading + Send + Sync>);

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
}

impl Reread {
    /// Returns a reader that calls this function.
    pub fn new(read: impl Fn(Arc<Target>) -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl Job {
    /// Starts to read the current expectation, if the source is a file and an observation is of
    /// another leaf than expected.
    pub(super) fn reread_for(&self, observation: &Observation) -> Option<Reading> {
        let (reread, loaded) = (self.reread.as_ref()?, self.expectation.as_ref().ok()?);
        let is_other = match &observation.outcome {
            Outcome::Served(served) => loaded.expected.accepts(&served.leaf) == Some(false),
            Outcome::Reported(reported) => !reported.correct,
            Outcome::Failed(_) => false,
        };
        let is_read_again = is_other && loaded.expected.source == SourceKind::Pem;
        is_read_again.then(|| (reread.0)(observation.target.clone()))
    }

    /// Returns the job with another expectation; `None` if it is the same.
    pub(super) fn refreshed(&self, refreshed: Option<Refreshed>) -> Option<Box<Self>> {
        let Refreshed { loaded, rules } = refreshed?;
        let before = self.expectation.as_ref().ok()?;
        (loaded.expected != before.expected).then(|| {
            Box::new(Self {
                expectation: Ok(loaded),
                rules: Rules {
                    grace: rules.grace,
                    stale_since: rules.stale_since,
                    ..self.rules
                },
                ..self.clone()
            })
        })
    }
}
