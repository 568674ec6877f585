//! Last results of each entry's source, the time since which they have been expected, and the
//! probes that follow from them. Pure.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Entry, SourceSettings};
use crate::judge::Rules;
use crate::model::{Hostname, Target, Timestamp};
use crate::scan::{Job, KnownDns, KnownPlaces, ProbeOptions};
use crate::source::{
    Failed, FetchError, KnownInstances, Loaded, SourceError, SourceFailure, download_name,
    source_name,
};
use crate::store::{EntryKey, KeySource};

use super::state::SourceRequest;

pub(super) use kept::Kept;

/// Refresh interval of files, which need no network request.
const FILE_REFRESH: Duration = Duration::from_secs(60);
/// Pause before a failed source is fetched again, unless its own interval is shorter.
pub(super) const RETRY: Duration = Duration::from_secs(60);
/// Maximum certificates of an account that are fetched individually; for more, the whole account is
/// fetched.
pub(super) const MAX_ALONE: usize = 64;
/// Refresh intervals without a successful fetch after which a source is stale.
const STALE_INTERVALS: i64 = 2;

/// Entry of the inventory, with the results of its source.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// The entry.
    pub(super) entry: Arc<Entry>,
    /// Results of the source, one for each certificate.
    pub(super) kept: Vec<Kept>,
    /// Failures of the last fetch, for certificates that the source has never returned.
    pub(super) failures: Vec<Failed>,
    /// Names of the certificates that the last fetch did not return.
    pub(super) failing: BTreeSet<String>,
    /// Mail hosts of the entry's domains.
    pub(super) known_places: Arc<KnownPlaces>,
    /// True if the last fetch succeeded; `None` before the first.
    pub(super) up: Option<bool>,
    /// Current failure of the source, if any.
    pub(super) failure: Option<SourceFailure>,
}

/// Changes from a result of a source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Log texts for the certificates whose expected instance has changed.
    pub(super) changed: Vec<String>,
    /// Error messages.
    pub(super) errors: Vec<String>,
}

/// Returns the key of an entry in the state directory: its source and its configured name.
pub(super) fn key(entry: &Entry) -> EntryKey {
    let texts = |hosts: &[Hostname]| hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (source, has_hosts) = match &entry.source {
        SourceSettings::Sslmate(cn) => (KeySource::Sslmate(cn.clone()), false),
        SourceSettings::SslmateAll => return EntryKey::new(KeySource::SslmateAll),
        SourceSettings::Download(url) => (KeySource::Download(download_name(url)), false),
        SourceSettings::Pem(files) => {
            let files = files.iter().map(|f| f.to_string_lossy().into_owned());
            (KeySource::Pem(files.collect()), false)
        }
        SourceSettings::PemGlob(pattern) => {
            return EntryKey::new(KeySource::PemDir(pattern.clone()));
        }
        SourceSettings::Fingerprints(pins) => {
            let pins = pins.iter().map(ToString::to_string);
            (KeySource::Sha256(pins.collect()), true)
        }
        SourceSettings::PublicKeys(pins) => {
            let pins = pins.iter().map(ToString::to_string);
            (KeySource::PubkeySha256(pins.collect()), true)
        }
        SourceSettings::TrustOnly => (KeySource::Trust, true),
    };
    let services = entry.srv.iter().map(|service| format!("srv:{service}"));
    let places: Vec<String> = services.chain(entry.files.iter().cloned()).collect();
    EntryKey {
        name: entry.name.clone().unwrap_or_default(),
        mx: texts(&entry.mx),
        hostnames: match has_hosts {
            true => [texts(&entry.hostnames), places].concat(),
            false => places,
        },
        ..EntryKey::new(source)
    }
}

impl Watch {
    pub(super) fn new(entry: impl Into<Arc<Entry>>) -> Self {
        Self {
            entry: entry.into(),
            kept: Vec::new(),
            failures: Vec::new(),
            failing: BTreeSet::new(),
            known_places: Arc::default(),
            up: None,
            failure: None,
        }
    }

    /// Returns the interval until the next fetch of the source; `None` if there is nothing to
    /// fetch.
    pub(super) fn refresh_after(&self, of_account: Duration) -> Option<Duration> {
        let regular = match &self.entry.source {
            _ if self.is_asked_over_network() => of_account,
            // Mail hosts are looked up in DNS.
            _ if !self.entry.mx.is_empty() || !self.entry.srv.is_empty() => of_account,
            // New files of a pattern are probed too.
            _ if !self.entry.files.is_empty() => FILE_REFRESH.min(of_account),
            SourceSettings::Pem(_) | SourceSettings::PemGlob(_) => FILE_REFRESH.min(of_account),
            _ => return None,
        };
        Some(match self.up {
            Some(false) if self.failing_alone().is_empty() => RETRY.min(regular),
            _ => regular,
        })
    }

    /// Returns true if another fetch of the source would return the same: the configuration itself
    /// has the expectation and the hosts.
    pub(super) fn is_constant(&self) -> bool {
        let Entry {
            source,
            mx,
            srv,
            files,
            finds_xmpp_hosts,
            ..
        } = &*self.entry;
        let is_own = matches!(
            source,
            SourceSettings::Fingerprints(_)
                | SourceSettings::PublicKeys(_)
                | SourceSettings::TrustOnly
        );
        let is_looked_up = !(mx.is_empty() && srv.is_empty()) || *finds_xmpp_hosts;
        is_own && !is_looked_up && files.is_empty() && self.up == Some(true)
    }

    /// Returns the certificates of an account that are fetched again individually: those that the
    /// last fetch did not return, if they are at most [`MAX_ALONE`].
    pub(super) fn failing_alone(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let is_account = matches!(self.entry.source, SourceSettings::SslmateAll);
        let is_list = self.failing.iter().any(|name| name.ends_with('*'));
        let are_few = self.failing.len() <= MAX_ALONE;
        if is_account && are_few && !is_list {
            &self.failing
        } else {
            &NONE
        }
    }

    /// Returns true if the source may be unreachable when the monitor starts.
    pub(super) fn is_asked_over_network(&self) -> bool {
        matches!(
            self.entry.source,
            SourceSettings::Sslmate(_) | SourceSettings::SslmateAll | SourceSettings::Download(_)
        )
    }

    /// Returns the entry with which its files are read again; `None` if its source is no file, or
    /// has not returned a certificate. Hosts that were found in DNS are among its hosts.
    pub(super) fn files_to_read(&self) -> Option<Arc<Entry>> {
        let (SourceSettings::Pem(_) | SourceSettings::PemGlob(_)) = self.entry.source else {
            return None;
        };
        let known = &self.kept.first()?.loaded;
        let entry = &*self.entry;
        let is_located = !entry.mx.is_empty()
            || !entry.srv.is_empty()
            || !entry.files.is_empty()
            || entry.finds_xmpp_hosts;
        Some(match is_located {
            true => Arc::new(Entry {
                hostnames: known.hostnames.clone(),
                found: known.found.clone(),
                ..entry.clone()
            }),
            false => self.entry.clone(),
        })
    }

    /// Returns the name of the source in metrics; `None` if there is nothing to fetch.
    pub(super) fn source(&self) -> Option<String> {
        source_name(&self.entry)
    }

    /// Returns true if an issued certificate of this common name may change the expected
    /// certificates.
    pub(super) fn is_about(&self, cn: &str) -> bool {
        match &self.entry.source {
            SourceSettings::Sslmate(name) => name == cn,
            SourceSettings::SslmateAll => true,
            _ => false,
        }
    }

    /// Returns the request to make when a certificate of this common name was issued.
    pub(super) fn request(&self, key: &Arc<str>, cn: &str) -> SourceRequest {
        let is_account = matches!(self.entry.source, SourceSettings::SslmateAll);
        SourceRequest {
            key: key.clone(),
            only: is_account.then(|| cn.to_owned()),
        }
    }

    /// Returns true if the source has returned a certificate of this common name.
    pub(super) fn knows(&self, cn: &str) -> bool {
        let mut names = self.kept.iter().map(|kept| &kept.loaded.common_name);
        names.any(|name| name.as_deref() == Some(cn))
    }

    /// Returns the last results of an account, or only that of one common name.
    pub(super) fn known_instances(&self, only: Option<&str>) -> KnownInstances {
        let named = self.kept.iter().filter_map(|kept| {
            let cn = kept.loaded.common_name.clone()?;
            Some((cn, kept.loaded.clone()))
        });
        named
            .filter(|(cn, _)| only.is_none_or(|only| only == cn))
            .collect()
    }

    /// Returns the time of the last complete result of the source.
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.kept.iter().map(|kept| kept.fetched).min()
    }

    /// Applies a result of the source. Certificates that it could not return stay unchanged.
    pub(super) fn absorb(&mut self, answers: Vec<Result<Loaded, Failed>>, now: Timestamp) -> News {
        let mut news = News::default();
        let mut before: BTreeMap<String, Kept> = BTreeMap::new();
        for mut kept in std::mem::take(&mut self.kept) {
            kept.is_not_of_the_future(now);
            before.insert(kept.loaded.name.clone(), kept);
        }
        self.failures.clear();
        let failed = answers.iter().filter_map(|answer| answer.as_ref().err());
        self.failing = failed.map(|failed| failed.name.clone()).collect();
        self.up = Some(answers.iter().all(Result::is_ok));
        for answer in answers {
            match answer {
                Ok(loaded) => {
                    let old = before.remove(&loaded.name);
                    let kept = Kept::new(old, loaded, now);
                    if kept.changed == Some(now) {
                        news.changed.push(kept.describe_change());
                    }
                    self.kept.push(kept);
                }
                Err(failed) => {
                    news.errors.push(failed.error.to_string());
                    if failed.is_gone {
                        before.remove(&failed.name);
                        self.failures.push(failed);
                    } else if let Some(old) = before.remove(&failed.name) {
                        self.kept.push(old);
                    } else if self.covers_all(&failed) && !before.is_empty() {
                        self.kept.extend(std::mem::take(&mut before).into_values());
                    } else {
                        self.failures.push(failed);
                    }
                }
            }
        }
        // Most entries have one certificate.
        self.kept.shrink_to_fit();
        self.failure = news.errors.first().map(|error| SourceFailure {
            since: self.failure.as_ref().map_or(now, |t| t.since),
            error: error.clone(),
        });
        news
    }

    /// Applies the result for one certificate of several. The others stay unchanged.
    pub(super) fn absorb_one(&mut self, answer: Result<Loaded, Failed>, now: Timestamp) -> News {
        let mut news = News::default();
        match answer {
            Ok(loaded) => {
                self.failing.remove(&loaded.name);
                self.failures.retain(|failed| failed.name != loaded.name);
                let mut all = self.kept.iter_mut();
                let place = all.find(|kept| kept.loaded.name == loaded.name);
                let old = place.as_ref().map(|kept| {
                    let mut old = Kept::clone(kept);
                    old.is_not_of_the_future(now);
                    old
                });
                let kept = Kept::new(old, loaded, now);
                if kept.changed == Some(now) {
                    news.changed.push(kept.describe_change());
                }
                match place {
                    Some(place) => *place = kept,
                    None => self.kept.push(kept),
                }
                if self.failing.is_empty() {
                    self.up = self.up.map(|_| true);
                    self.failure = None;
                }
            }
            // An unknown certificate is not added to the failures, because its name may be any
            // text.
            Err(failed) => news.errors.push(failed.error.to_string()),
        }
        news
    }

    /// Returns the results of a full fetch, with these certificates replaced by the results of
    /// individual requests that finished during it.
    pub(super) fn with_newer(
        &self,
        mut answers: Vec<Result<Loaded, Failed>>,
        newer: &BTreeSet<String>,
    ) -> Vec<Result<Loaded, Failed>> {
        let is_list = |answer: &Result<Loaded, Failed>| {
            answer.as_ref().is_err_and(|failed| self.covers_all(failed))
        };
        if answers.iter().any(is_list) {
            return answers;
        }
        for kept in self
            .kept
            .iter()
            .filter(|kept| newer.contains(&kept.loaded.name))
        {
            let name = &kept.loaded.name;
            let answer = Ok(Loaded::clone(&kept.loaded));
            let is_same = |answer: &&mut Result<Loaded, Failed>| match answer {
                Ok(loaded) => loaded.name == *name,
                Err(failed) => failed.name == *name,
            };
            match answers.iter_mut().find(is_same) {
                Some(place) => *place = answer,
                None => answers.push(answer),
            }
        }
        answers
    }

    /// Returns true if the entry may have hosts that are not in the plan: its source has not answered
    /// since the start, and there is no stored result. A file of a pattern that cannot be read has a
    /// row of its own.
    pub(super) fn has_unknown_hosts(&self) -> bool {
        match self.up {
            None => self.kept.is_empty(),
            Some(_) => self.failures.iter().any(|failed| self.hides_hosts(failed)),
        }
    }

    fn hides_hosts(&self, failed: &Failed) -> bool {
        let has_no_hosts = failed.hostnames.is_empty() && failed.found.is_empty();
        let Entry { mx, srv, .. } = &*self.entry;
        match &*failed.error {
            _ if failed.is_gone => false,
            FetchError::Hosts(_) => {
                let known = &self.known_places;
                let are_known = mx.iter().all(|domain| known.mail.contains_key(domain))
                    && srv.iter().all(|s| known.services.contains_key(s));
                !are_known
            }
            FetchError::Certificate { error, .. } => {
                has_no_hosts && (self.covers_all(failed) || error.is_of_the_api())
            }
            FetchError::File(_) => has_no_hosts && self.covers_all(failed),
        }
    }

    /// Returns true if a retry may succeed where the source failed. That no certificate has been
    /// issued is an answer.
    pub(super) fn may_answer_later(&self) -> bool {
        let is_answer = |failed: &Failed| {
            matches!(
                &*failed.error,
                FetchError::Certificate {
                    error: SourceError::NotIssued(_),
                    ..
                }
            )
        };
        let mut failures = self.failures.iter();
        self.up.is_none() || failures.any(|failed| failed.may_pass && !is_answer(failed))
    }

    /// Returns true if a failure is one of the list, and not of one certificate in it.
    pub(super) fn covers_all(&self, failed: &Failed) -> bool {
        match &self.entry.source {
            SourceSettings::SslmateAll => failed.name.ends_with('*'),
            SourceSettings::PemGlob(pattern) => failed.name == *pattern,
            _ => true,
        }
    }

    /// Returns the rules of judging for targets of this entry.
    pub(super) fn rules(
        &self,
        expectation: &Result<Kept, Arc<FetchError>>,
        times: &Times,
        now: Timestamp,
    ) -> Rules {
        let mut rules = Rules {
            warn: self.entry.warn,
            crit: self.entry.crit,
            revocation: self.entry.revocation,
            ..Rules::default()
        };
        if let Ok(kept) = expectation {
            rules.grace = kept.grace(self.entry.grace.unwrap_or(times.grace));
            let refresh = self.refresh_after(times.refresh).map(seconds);
            rules.stale_since = refresh.and_then(|_| {
                let too_long = seconds(times.refresh).saturating_mul(STALE_INTERVALS);
                let silent = now.seconds_since(kept.fetched) > too_long;
                (self.up == Some(false) && silent).then_some(kept.fetched)
            });
        }
        rules
    }

    /// Returns the probe of targets of this entry.
    pub(super) fn job(
        &self,
        targets: Vec<Arc<Target>>,
        expectation: &Result<Kept, Arc<FetchError>>,
        times: &Times,
        options: &ProbeOptions,
        now: Timestamp,
    ) -> Job {
        let rules = self.rules(expectation, times, now);
        Job {
            expectation: expectation
                .as_ref()
                .map(|kept| kept.loaded.clone())
                .map_err(Clone::clone),
            targets,
            addresses: self.entry.addresses.clone(),
            known: KnownDns::default(),
            families: self.entry.families,
            resolved: None,
            key_types: self.entry.key_types,
            reach: options.reaches.of(&self.entry.reach),
            due: None,
            shared_by: None,
            is_stranger: false,
            dane: self.entry.dane,
            places: self.known_places.clone(),
            rules,
            reread: None,
            notes: self.entry.notes.clone(),
            options: options.of(&self.entry),
        }
    }
}

/// Durations that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Time for which a served previous certificate is only a warning.
    pub(super) grace: Duration,
    /// Refresh interval of a source over the network.
    pub(super) refresh: Duration,
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
