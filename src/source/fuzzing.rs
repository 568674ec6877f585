//! Responses of the SSLMate API, for `fuzz/`.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::certificate::is_one_line;
use crate::instance::State;
use crate::model::Hostname;

use super::loaded::hosts;
use super::sslmate::{CertificateObject, InstanceObject, List};
use super::*;

/// Parses a response. The first octet selects the request that it answers.
pub(crate) fn sslmate_json(data: &[u8]) {
    let [kind, body @ ..] = data else {
        return;
    };
    match kind % 5 {
        0 => certificate(body),
        1 => list(body),
        2 => {
            if let Some(object) = read::<InstanceObject>(body) {
                instance(object);
            }
        }
        // Responses of `/test` are parsed in `crate::fuzzing`.
        3 => {}
        _ => {
            if let Some(error) = read::<ApiError>(body) {
                message(&SourceError::Api(error));
            }
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(body);
    read.inspect_err(|error| assert_one_line(&error.to_string()))
        .ok()
}

fn message(error: &SourceError) {
    assert_one_line(&error.to_string());
}

fn assert_one_line(text: &str) {
    assert!(is_one_line(text), "{text:?}");
}

fn certificate(body: &[u8]) {
    let Some(object) = read::<CertificateObject>(body) else {
        return;
    };
    let entry = Entry::new(SourceSettings::Sslmate("example.com".into()));
    match hosts(&entry, object.names()) {
        Ok(hosts) => {
            let distinct: BTreeSet<&Hostname> = hosts.iter().collect();
            assert!(!hosts.is_empty() && distinct.len() == hosts.len());
        }
        Err(error) => message(&error),
    }
    let awaited = object.awaited();
    match object.instances() {
        Ok(instances) => {
            let is_pending = instances.expected.state == State::Pending;
            assert!(awaited.is_none() || is_pending);
            assert!(instances.accepted().count() == 1);
        }
        Err(error) => message(&error),
    }
}

fn list(body: &[u8]) {
    for object in read::<List>(body).into_iter().flat_map(|l| l.data) {
        if let Err(error) = object.instances() {
            message(&error);
        }
    }
}

fn instance(object: InstanceObject) {
    let stated = object.fingerprint();
    match object.instance() {
        Ok(instance) => {
            assert!(stated.is_none_or(|stated| stated == instance.leaf.sha256()));
            let all = [&instance.leaf].into_iter().chain(&instance.chain);
            for certificate in all.chain(&instance.root) {
                assert!(certificate.facts().is_ok());
            }
        }
        Err(error) => message(&error),
    }
}
