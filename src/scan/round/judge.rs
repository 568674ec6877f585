//! Judging of the observations of a running scan, with what the sources and issuers know.

use std::sync::Arc;

use tokio::time::Instant;

use crate::certificate::Certificate;
use crate::instance::{Expectation, Expected};
use crate::judge::{DnsFacts, Signatures};
use crate::model::RevocationCheck;
use crate::observation::{Observation, Outcome};
use crate::scan::Job;
use crate::scan::judging::Judging;
use crate::scan::locate::mail_domains;
use crate::source::Loaded;
use crate::tlsa::TlsaLookup;

use super::{Event, Round};

impl Round {
    pub(super) async fn judge_all(&self, job: &Job, observations: Vec<Observation>) {
        for observation in observations {
            self.judge(job, observation, None).await;
        }
    }

    /// Judges an observation by the current expectation. `tlsa` is known for local probes only.
    pub(super) async fn judge(
        &self,
        job: &Job,
        observation: Observation,
        tlsa: Option<&TlsaLookup>,
    ) {
        let current = match job.reread_for(&observation) {
            Some(reading) => job.refreshed(reading.await),
            None => None,
        };
        let job = current.as_deref().unwrap_or(job);
        self.judge_alone(job, observation, tlsa).await;
    }

    /// Judges an observation by the expectation of the job.
    pub(super) async fn judge_alone(
        &self,
        job: &Job,
        observation: Observation,
        tlsa: Option<&TlsaLookup>,
    ) {
        let expected = match (&job.expectation, &observation.outcome) {
            (Ok(loaded), Outcome::Served(served)) => {
                let deadline = Instant::now() + job.options.timeout;
                Some(self.with_previous(loaded, &served.leaf, deadline).await)
            }
            (Ok(loaded), _) => Some(loaded.expected.clone()),
            (Err(_), _) => None,
        };
        let dns = tlsa.map(|tlsa| DnsFacts {
            dane: job.dane,
            tlsa: tlsa.clone(),
            mail: mail_domains(&job.places.mail, &observation.target.hostname),
        });
        let mut judging = Judging {
            observation,
            expected,
            dns: dns.unwrap_or_default(),
            trust: job.options.trust.clone(),
            rules: job.rules,
            notes: job.notes.clone(),
            now: self.now,
            signatures: Signatures::default(),
        };
        let has_files = self.scanner.revocations.has_files();
        let check = job.rules.revocation;
        if check >= RevocationCheck::Crl || check != RevocationCheck::Off && has_files {
            judging = Box::pin(self.ask_issuer(job, judging)).await;
        }
        let judged = judging.judge(&self.scanner.permits).await;
        let reported = tracing::enabled!(tracing::Level::DEBUG).then(|| {
            let Observation { target, ip, .. } = &judged.observation;
            let ip = ip.map_or("no address".into(), |ip| ip.to_string());
            format!("{} at {ip}: {}", target.hostname, judged.severity())
        });
        let _ = self.sender.send(Event::Judged(Box::new(judged)));
        // Logged after the result is sent, so that a reader of the log finds the result.
        if let Some(reported) = reported {
            tracing::debug!("{reported}");
        }
    }

    /// Adds the issuer's response about revocation to the served certificate.
    async fn ask_issuer(&self, job: &Job, judging: Judging) -> Judging {
        let (mut judging, issuer) = judging.issuer(&self.scanner.permits).await;
        let (Some(issuer), Outcome::Served(served)) = (issuer, &mut judging.observation.outcome)
        else {
            return judging;
        };
        let deadline = Instant::now() + job.options.timeout;
        let revocations = &self.scanner.revocations;
        let answer = revocations.ask(
            &served.leaf,
            &issuer,
            job.is_stranger,
            job.rules.revocation,
            self.now,
            deadline,
        );
        served.revocation.fetched = answer.await;
        judging
    }

    /// Returns the expectation, with the previous instance if the leaf is one.
    async fn with_previous(
        &self,
        loaded: &Loaded,
        leaf: &Certificate,
        deadline: Instant,
    ) -> Arc<Expected> {
        let expected = &loaded.expected;
        let known = expected.accepts(leaf) != Some(false);
        let Expectation::Instances(instances) = &expected.what else {
            return expected.clone();
        };
        if known || instances.previous.iter().any(|i| i.leaf == *leaf) {
            return expected.clone();
        }
        let sources = &self.scanner.sources;
        match Box::pin(sources.previous_instance(loaded, leaf, deadline)).await {
            Ok(Some(previous)) => {
                let mut instances = instances.clone();
                instances.previous.push(previous);
                Arc::new(Expected {
                    source: expected.source,
                    what: Expectation::Instances(instances),
                })
            }
            Ok(None) => expected.clone(),
            Err(error) => {
                tracing::warn!(
                    "{}: whether an older instance is served could not be found out: {error}",
                    loaded.name
                );
                expected.clone()
            }
        }
    }
}
