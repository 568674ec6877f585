//! Results of sources: expected certificates with the hosts to probe, or the reason why there are
//! none.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::{Entry, FoundPlace, SourceSettings};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::model::{Hostname, and_more};

use super::{FetchError, SSLMATE, SourceError, pem};

/// Maximum names in an error. A certificate may have thousands.
const MAX_LISTED_NAMES: usize = 5;
/// Maximum names of a certificate that become hosts to probe. Public authorities issue for at most
/// 2000.
const MAX_NAMES: usize = 2000;

/// Returns the name of an entry's source in metrics. Returns `None` if there is no source to fetch.
pub fn source_name(entry: &Entry) -> Option<String> {
    match &entry.source {
        SourceSettings::Sslmate(_) | SourceSettings::SslmateAll => Some(SSLMATE.into()),
        // The URL itself may be a secret.
        SourceSettings::Download(_) => Some(format!(
            "download: {}",
            own_name(entry).unwrap_or_else(|| "(unnamed)".into())
        )),
        SourceSettings::Pem(files) => Some(pem::display(files)),
        SourceSettings::PemGlob(pattern) => Some(pattern.clone()),
        SourceSettings::Fingerprints(_)
        | SourceSettings::PublicKeys(_)
        | SourceSettings::TrustOnly => None,
    }
}

/// Result of a source.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Name in results.
    pub name: String,
    /// Common name in the SSLMate account.
    pub common_name: Option<String>,
    /// Expected certificate.
    pub expected: Arc<Expected>,
    /// Hosts to probe.
    pub hostnames: Vec<Hostname>,
    /// Further places to probe.
    pub found: Vec<FoundPlace>,
    /// SSLMate's ID of the pending instance, if there is no better one.
    pub awaited: Option<u64>,
}

/// Failure of a source.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Name in results.
    pub name: String,
    /// Hosts to probe, as far as they are configured.
    pub hostnames: Vec<Hostname>,
    /// Further places to probe.
    pub found: Vec<FoundPlace>,
    /// Reason.
    pub error: Arc<FetchError>,
    /// True if a later retry may succeed.
    pub may_pass: bool,
    /// True if the hosts no longer exist, so that the previous ones are not kept.
    pub is_gone: bool,
}

impl Failed {
    /// Returns the failure for an entry whose fetch panicked.
    pub(crate) fn by_internal_error(entry: &Entry) -> Self {
        let name = own_name(entry).or_else(|| source_name(entry));
        let what = "the expected certificate could not be fetched because of a bug in certvigil; please report it";
        let error = SourceError::Unusable(what.into());
        Self {
            may_pass: true,
            ..failed(&name.unwrap_or_default(), entry, error)
        }
    }
}

pub(super) fn expected(source: SourceKind, instances: Instances) -> Expected {
    Expected {
        source,
        what: Expectation::Instances(Box::new(instances)),
    }
}

/// Returns the result for complete instances, whose names may be the hosts.
pub(super) fn whole(
    name: String,
    entry: &Entry,
    source: SourceKind,
    instances: Result<Instances, SourceError>,
) -> Result<Loaded, Failed> {
    let loaded = instances.and_then(|instances| {
        let names = instances.accepted().flat_map(Instance::names).collect();
        Ok((hosts(entry, names)?, instances))
    });
    match loaded {
        Ok((hostnames, instances)) => Ok(Loaded {
            name,
            common_name: None,
            expected: Arc::new(expected(source, instances)),
            hostnames,
            found: entry.found.clone(),
            awaited: None,
        }),
        Err(error) => Err(failed(&name, entry, error)),
    }
}

/// Returns the expectation of an entry that contains it. `None` if it is in a source.
pub(crate) fn pinned(entry: &Entry) -> Option<Loaded> {
    let (source, what) = match &entry.source {
        SourceSettings::Fingerprints(pins) => {
            let what = Expectation::Fingerprints(pins.clone());
            (SourceKind::Fingerprint, what)
        }
        SourceSettings::PublicKeys(keys) => {
            let what = Expectation::PublicKeys(keys.clone());
            (SourceKind::PublicKey, what)
        }
        SourceSettings::TrustOnly => (SourceKind::Trust, Expectation::TrustOnly),
        SourceSettings::Sslmate(_)
        | SourceSettings::SslmateAll
        | SourceSettings::Download(_)
        | SourceSettings::Pem(_)
        | SourceSettings::PemGlob(_) => return None,
    };
    Some(Loaded {
        name: own_name(entry).unwrap_or_default(),
        common_name: None,
        expected: Arc::new(Expected { source, what }),
        hostnames: entry.hostnames.clone(),
        found: entry.found.clone(),
        awaited: None,
    })
}

pub(super) fn own_name(entry: &Entry) -> Option<String> {
    let found = entry.found.iter().map(|place| &place.hostname);
    let first = || entry.hostnames.iter().chain(found).next();
    let first = || first().map(ToString::to_string);
    entry.name.clone().or_else(first)
}

/// Returns the configured hosts, or those among the certificate's names. A wildcard is not a host.
pub(super) fn hosts(entry: &Entry, names: Vec<String>) -> Result<Vec<Hostname>, SourceError> {
    if !entry.hostnames.is_empty() || !entry.found.is_empty() {
        return Ok(entry.hostnames.clone());
    }
    if names.len() > MAX_NAMES {
        return Err(SourceError::Unusable(format!(
            "the certificate has {} names, and at most {MAX_NAMES} become hosts to probe: name the hosts to probe under `hostnames`",
            names.len()
        )));
    }
    let mut seen = HashSet::new();
    let hostnames = names.iter().filter_map(|n| n.parse().ok());
    let hostnames: Vec<Hostname> = hostnames
        .filter(|hostname: &Hostname| seen.insert(hostname.clone()))
        .collect();
    if hostnames.is_empty() {
        return Err(SourceError::Unusable(format!(
            "none of its names is a host to probe ({}): wildcards are not hosts; name the hosts to probe",
            and_more(names.iter().take(MAX_LISTED_NAMES), names.len())
        )));
    }
    Ok(hostnames)
}

pub(super) fn failed(name: &str, entry: &Entry, error: SourceError) -> Failed {
    let may_pass = error.may_pass();
    let error = match entry.source {
        SourceSettings::Pem(_) | SourceSettings::PemGlob(_) => FetchError::File(error),
        _ => FetchError::Certificate {
            name: name.to_owned(),
            error,
        },
    };
    Failed {
        name: name.to_owned(),
        hostnames: entry.hostnames.clone(),
        found: entry.found.clone(),
        error: Arc::new(error),
        may_pass,
        is_gone: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lists_only_some_of_many_wildcard_names() {
        let entry = Entry::new(SourceSettings::Sslmate("a.example".into()));
        let names = (0..2000).map(|n| format!("*.{n}.example")).collect();
        let message = hosts(&entry, names).unwrap_err().to_string();
        assert!(message.contains("*.4.example and 1995 more)"), "{message}");
    }

    /// A hostile download must not fill the inventory.
    #[test]
    fn a_certificate_with_thousands_of_names_needs_configured_hosts() {
        let mut entry = Entry::new(SourceSettings::Sslmate("a.example".into()));
        let names = |count| Vec::from_iter((0..count).map(|n| format!("{n}.example")));
        assert_eq!(hosts(&entry, names(MAX_NAMES)).unwrap().len(), MAX_NAMES);
        let message = hosts(&entry, names(34_000)).unwrap_err().to_string();
        assert!(
            message.contains("34000 names") && message.contains("`hostnames`"),
            "{message}"
        );
        entry.hostnames = vec!["a.example".parse().unwrap()];
        assert_eq!(hosts(&entry, names(34_000)).unwrap(), entry.hostnames);
    }

    #[test]
    fn each_certificate_name_is_a_host_once_in_order() {
        let entry = Entry::new(SourceSettings::Sslmate("a.example".into()));
        let names = ["b.example", "*.example", "a.example", "B.example"];
        let hostnames = hosts(&entry, names.map(String::from).into()).unwrap();
        let wanted = ["b.example", "a.example"].map(|n| n.parse().unwrap());
        assert_eq!(hostnames, wanted);
    }
}
