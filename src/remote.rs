//! Another's `/test` as a place to look from: SSLMate's, or another certvigil's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tokio::time::Instant;

use crate::config::{VantageKind, VantageSettings};
use crate::model::{Hostname, KeyType, Target, Timings, Vantage};
use crate::observation::{ErrorKind, LookError, Observation, Outcome, Told};
use crate::source::{Client, Loaded, Sources, TestRow};

/// A place to look from that answers SSLMate's test API.
pub struct Remote {
    vantage: Vantage,
    client: Client,
    /// SSLMate knows only the certificates of its account; another certvigil, those of its inventory.
    knows_account_only: bool,
}

/// The remote vantages of these names.
///
/// # Errors
/// If one lacks its account, its URL is none, or its password cannot be read.
pub fn remotes(
    sources: &Sources,
    vantages: &[VantageSettings],
    wanted: &BTreeSet<String>,
) -> Result<Vec<Remote>, String> {
    let wanted = vantages.iter().filter(|v| wanted.contains(&v.name));
    wanted
        .map(|v| remote(sources, v).map_err(|e| format!("vantage `{}`: {e}", v.name)))
        .collect()
}

fn remote(sources: &Sources, vantage: &VantageSettings) -> Result<Remote, String> {
    let name = &vantage.name;
    match &vantage.kind {
        VantageKind::Sslmate => Ok(Remote::sslmate(name, sources.account_client()?)),
        VantageKind::Certvigil {
            url,
            username,
            password_file,
        } => {
            let (user, password) = (username.as_deref(), password_file.as_deref());
            let client = sources.peer_client(name, url, user, password)?;
            Ok(Remote::certvigil(name, client))
        }
    }
}

impl Remote {
    /// SSLMate's own test.
    fn sslmate(name: &str, client: Client) -> Self {
        Self {
            vantage: Vantage::named(name),
            client,
            knows_account_only: true,
        }
    }

    /// Another certvigil's test.
    fn certvigil(name: &str, client: Client) -> Self {
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
                let error = LookError::new(
                    ErrorKind::Internal,
                    format!("the test from `{}` failed: {error}", self.vantage),
                );
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

/// Reads an answer of `/test`, for `fuzz/`: what comes of each row is one line.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_answer(body: &[u8]) {
    use crate::certificate::is_one_line;
    use crate::source::TestResponse;
    match serde_json::from_slice::<TestResponse>(body) {
        Ok(response) => {
            for row in &response.result {
                if let Outcome::Failed(error) = outcome(row) {
                    assert!(is_one_line(&error.message), "{:?}", error.message);
                }
            }
        }
        Err(error) => assert!(is_one_line(&error.to_string()), "{error}"),
    }
}
