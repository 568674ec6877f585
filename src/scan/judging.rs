//! Judging of one probe. It runs on the current thread if it is short, otherwise on a thread of its
//! own, so that it does not delay other tasks.

use std::sync::Arc;

use crate::certificate::Issuer;
use crate::finding::EntryNotes;
use crate::instance::Expected;
use crate::judge::{
    DnsFacts, Judged, Rules, Signatures, TrustStore, is_cheap, issuer_to_ask, judge_by_dns,
    judge_within,
};
use crate::model::Timestamp;
use crate::observation::{Observation, Outcome};
use certvigil_probe::io::on_own_thread;

use super::Permits;

/// A probe to judge, with all inputs of its verdict.
pub(super) struct Judging {
    pub(super) observation: Observation,
    /// `None` if the source failed to return the expected certificate.
    pub(super) expected: Option<Arc<Expected>>,
    pub(super) dns: DnsFacts,
    pub(super) trust: Arc<TrustStore>,
    pub(super) rules: Rules,
    pub(super) notes: Arc<EntryNotes>,
    pub(super) now: Timestamp,
    /// Signature budget of this probe, shared by all of its steps.
    pub(super) signatures: Signatures,
}

impl Judging {
    /// Returns the issuer from which the revocation status of the served leaf can be requested.
    pub(super) async fn issuer(self, permits: &Permits) -> (Self, Option<Issuer>) {
        self.run(permits, |judging| {
            let issuer = match (&judging.observation.outcome, &judging.expected) {
                (Outcome::Served(served), Some(expected)) => {
                    issuer_to_ask(expected, served, &judging.trust, &judging.signatures)
                }
                _ => None,
            };
            (judging, issuer)
        })
        .await
    }

    /// Judges the probe.
    pub(super) async fn judge(self, permits: &Permits) -> Judged {
        let judge = |judging: Self| {
            let Self {
                observation,
                expected,
                dns,
                trust,
                rules,
                notes,
                now,
                signatures,
            } = judging;
            let expected = expected.as_ref();
            let mut judged = judge_within(&signatures, expected, observation, &trust, &rules, now);
            judge_by_dns(&mut judged, &dns, &trust, now, &signatures);
            judged.annotate(&notes, now);
            judged
        };
        self.run(permits, judge).await
    }

    /// Runs a step. A panic in it becomes a panic of the caller.
    async fn run<T: Send + 'static>(
        self,
        permits: &Permits,
        step: impl FnOnce(Self) -> T + Send + 'static,
    ) -> T {
        if self.is_cheap() {
            return step(self);
        }
        let host = self.observation.target.hostname.clone();
        let permit = permits.judging(&host).await;
        on_own_thread(move || {
            let _permit = permit;
            step(self)
        })
        .await
    }

    fn is_cheap(&self) -> bool {
        match (&self.observation.outcome, &self.expected) {
            (Outcome::Served(served), Some(expected)) => is_cheap(expected, served, &self.trust),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use super::*;
    use crate::certificate::Certificate;
    use crate::model::{KeyType, Target, Timings, Vantage};
    use crate::observation::{KeyProof, Parameters, Revocation, Served};
    use crate::testbed::authority::{Authority, Key, Validity};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    /// Returns a chain of authorities with the same name below a root, and a leaf of the last
    /// authority.
    fn chain(count: usize) -> Vec<Certificate> {
        let validity = Validity::around(NOW, 10, 100);
        let mut authority = Authority::root("Same", validity).unwrap();
        let mut chain = vec![authority.certificate.clone()];
        for _ in 0..count {
            authority = authority.intermediate("Same", validity).unwrap();
            chain.push(authority.certificate.clone());
        }
        let leaf = authority.issue(&["www.example".into()], validity, &Key::generate().unwrap());
        chain.push(leaf.unwrap().certificate);
        chain.reverse();
        chain
    }

    fn judging(mut chain: Vec<Certificate>) -> Judging {
        let leaf = chain.remove(0);
        let served = Served {
            leaf,
            rest: chain,
            tls_version: crate::observation::TlsVersion::Tls13,
            cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
            alpn: None,
            revocation: Revocation::default(),
            key_proof: KeyProof::Handshake,
            parameters: Parameters::default(),
            failure: None,
            ech: None,
        };
        Judging {
            observation: Observation {
                target: Target {
                    certificate: "www".into(),
                    hostname: "www.example".parse().unwrap(),
                    port: 443,
                    protocol: crate::model::Protocol::Https,
                    names: Box::default(),
                }
                .into(),
                ip: None,
                key_type: KeyType::Any,
                vantage: Vantage::local(),
                timings: Timings::default(),
                outcome: Outcome::Served(Box::new(served)),
            },
            expected: Some(Arc::new(Expected::trust_only())),
            dns: DnsFacts::default(),
            trust: Arc::default(),
            rules: Rules::default(),
            notes: Arc::default(),
            now: NOW,
            signatures: Signatures::default(),
        }
    }

    async fn thread_of(judging: Judging) -> ThreadId {
        let permits = Permits::new(1, 1);
        judging.run(&permits, |_| current().id()).await
    }

    #[tokio::test]
    async fn only_an_expensive_chain_is_judged_on_another_thread() {
        assert_eq!(thread_of(judging(chain(1))).await, current().id());
        assert_ne!(thread_of(judging(chain(20))).await, current().id());
    }

    #[tokio::test]
    async fn panic_on_the_judging_thread_reaches_the_caller() {
        let permits = Permits::new(1, 1);
        let panics = judging(chain(20)).run(&permits, |_| panic!("as the test asked for"));
        assert!(crate::scan::caught::<()>(panics).await.is_none());
        let host = "www.example".parse().unwrap();
        // It is free again, although a host has one at a time.
        let _permit = permits.judging(&host).await;
    }
}
