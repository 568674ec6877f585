//! Another's `/test` as a place to look from: SSLMate's, or another certvigil's.

use std::net::IpAddr;

use tokio::time::Instant;

use crate::model::{Hostname, KeyType, Target, Timings, Vantage};
use crate::observation::{ErrorKind, LookError, Observation, Outcome, Told};
use crate::source::{Client, Loaded, TestRow};

/// A place to look from that answers SSLMate's test API.
pub struct Remote {
    vantage: Vantage,
    client: Client,
    /// SSLMate knows only the certificates of its account; another certvigil, those of its inventory.
    knows_account_only: bool,
}

impl Remote {
    /// SSLMate's own test.
    pub(crate) fn sslmate(name: &str, client: Client) -> Self {
        Self {
            vantage: Vantage::named(name),
            client,
            knows_account_only: true,
        }
    }

    /// Another certvigil's test.
    pub(crate) fn certvigil(name: &str, client: Client) -> Self {
        Self {
            vantage: Vantage::named(name),
            client,
            knows_account_only: false,
        }
    }

    /// The place.
    pub fn vantage(&self) -> &Vantage {
        &self.vantage
    }

    /// What is seen from there at these targets, which are of one certificate and one port. A test that
    /// fails is an observation of each target; a certificate that is not known there is none.
    pub async fn test(
        &self,
        loaded: &Loaded,
        targets: &[Target],
        deadline: Instant,
    ) -> Vec<Observation> {
        let name = match (&loaded.common_name, self.knows_account_only) {
            (Some(cn), _) => cn,
            (None, true) => return Vec::new(),
            (None, false) => &loaded.name,
        };
        // The reference: an account without an active instance has nothing to test.
        if self.knows_account_only && loaded.expected.is_pending() {
            return Vec::new();
        }
        // Nor does its test know of a dialogue before TLS.
        let is_clear = |target: &Target| target.protocol.begins_in_the_clear();
        if self.knows_account_only && targets.iter().any(is_clear) {
            return Vec::new();
        }
        let Some(port) = targets.first().map(|t| t.port) else {
            return Vec::new();
        };
        let hostnames: Vec<&Hostname> = targets.iter().map(|t| &t.hostname).collect();
        let rows = match self.client.test(name, &hostnames, port, deadline).await {
            Ok(response) => response.result,
            Err(error) => {
                let is_of_vantage = error.is_of_the_api();
                let message = format!("the test from `{}` failed: {error}", self.vantage);
                let error = LookError {
                    is_of_vantage,
                    ..LookError::new(ErrorKind::Internal, message)
                };
                return targets
                    .iter()
                    .map(|t| self.observation(t, None, Outcome::Failed(error.clone())))
                    .collect();
            }
        };
        let mut observations: Vec<Observation> = Vec::new();
        for target in targets {
            let of_target = rows
                .iter()
                .filter(|row| row.hostname.parse().as_ref() == Ok(&target.hostname));
            let before = observations.len();
            for row in of_target {
                let ip = row.ip_address.as_deref().and_then(|ip| ip.parse().ok());
                observations.push(self.observation(target, ip, outcome(row)));
            }
            if observations.len() == before {
                // By the service's own client: no row means that the name could not be resolved.
                let error = LookError::new(
                    ErrorKind::DnsNxdomain,
                    format!(
                        "seen from `{}`, {} could not be resolved",
                        self.vantage, target.hostname
                    ),
                );
                observations.push(self.observation(target, None, Outcome::Failed(error)));
            }
        }
        observations
    }

    fn observation(&self, target: &Target, ip: Option<IpAddr>, outcome: Outcome) -> Observation {
        Observation {
            target: target.clone(),
            ip,
            // A remote test asks for no kind of key.
            key_type: KeyType::Any,
            vantage: self.vantage.clone(),
            timings: Timings::default(),
            outcome,
        }
    }
}

fn outcome(row: &TestRow) -> Outcome {
    let error = || {
        row.error
            .clone()
            .unwrap_or_else(|| format!("the test says only `{}`", row.status))
    };
    let kind = |otherwise| {
        let told = row.error_kind.as_deref();
        ErrorKind::ALL
            .iter()
            .copied()
            .find(|k| Some(k.name()) == told)
            .unwrap_or(otherwise)
    };
    match row.status.as_str() {
        "conclusive" => match (row.correct, row.chained, row.dummy) {
            (Some(correct), Some(chained), dummy) => Outcome::Told(Told {
                correct,
                chained,
                dummy: dummy.unwrap_or(false),
            }),
            _ => Outcome::Failed(LookError::new(
                ErrorKind::Internal,
                "the test is conclusive, but does not say whether the certificate is correct and chained",
            )),
        },
        "connect_error" => {
            Outcome::Failed(LookError::new(kind(ErrorKind::ConnectUnreachable), error()))
        }
        "handshake_error" => Outcome::Failed(LookError::new(kind(ErrorKind::TlsProtocol), error())),
        _ => Outcome::Failed(LookError::new(kind(ErrorKind::Internal), error())),
    }
}

/// Holds what comes of a row to what a person may be told.
#[cfg(any(test, fuzzing))]
pub(crate) fn assert_told(row: &TestRow) {
    if let Outcome::Failed(error) = outcome(row) {
        crate::fuzzing::assert_one_line(&error.message);
    }
}
