//! What every entry's source said last, since when it has been expected, and what is to be looked at for it.
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Fingerprint;
use crate::config::{Entry, SourceSettings};
use crate::instance::{Expectation, Expected, Instance};
use crate::judge::{Grace, Rules};
use crate::model::{Target, Timestamp};
use crate::scan::{Job, Manner};
use crate::source::{Failed, Loaded, download_name, source_name};
use crate::store::Remembered;

/// Older instances that are remembered of one certificate; the oldest go first.
const MAX_PREVIOUS: usize = 8;
/// Files are read anew this often: nobody is asked over the network.
const FILE_REFRESH: Duration = Duration::from_secs(60);
/// A source that failed is asked again after this, or its own interval if that is shorter.
const RETRY: Duration = Duration::from_secs(60);
/// A source that has been silent for this many of its refresh intervals is stale.
const STALE_INTERVALS: i64 = 2;

/// One entry of the inventory, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// The entry.
    pub(super) entry: Arc<Entry>,
    /// What the source said, one for each certificate.
    pub(super) kept: Vec<Kept>,
    /// What it could not say at the last try, and never said before.
    pub(super) failures: Vec<Failed>,
    /// How the last try went; `None` before the first.
    pub(super) up: Option<bool>,
    /// What is wrong with the source, if anything.
    pub(super) trouble: Option<Trouble>,
}

/// What is wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The first of the tries that failed one after another.
    pub(super) since: Timestamp,
    /// Why the last of them failed, in one line.
    pub(super) error: String,
}

/// What a source said of one certificate.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// What it said, with the older instances that were expected before; the one before is the last.
    pub(super) loaded: Arc<Loaded>,
    /// When it said so last.
    pub(super) fetched: Timestamp,
    /// When another instance came to be expected; `None` where none was expected before.
    pub(super) changed: Option<Timestamp>,
}

/// What came of asking a source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The certificates of which another instance is expected now, each with words for the log.
    pub(super) changed: Vec<String>,
    /// What failed, in words.
    pub(super) errors: Vec<String>,
}

/// What names an entry in memory: its source and the name that it is given.
pub(super) fn key(entry: &Entry) -> String {
    let mut name = entry.name.clone().unwrap_or_default();
    if !entry.mx.is_empty() {
        name = format!("{name} mx {:?}", entry.mx);
    }
    match &entry.source {
        SourceSettings::Sslmate(cn) => format!("sslmate {cn} {name}"),
        SourceSettings::SslmateAll => "sslmate *".into(),
        SourceSettings::Download(url) => format!("download {} {name}", download_name(url)),
        SourceSettings::Pem(files) => format!("pem {files:?} {name}"),
        SourceSettings::PemGlob(pattern) => format!("pem_dir {pattern}"),
        SourceSettings::Fingerprints(pins) => {
            format!("sha256 {pins:?} {name} {:?}", entry.hostnames)
        }
        SourceSettings::PublicKeys(keys) => {
            format!("pubkey_sha256 {keys:?} {name} {:?}", entry.hostnames)
        }
        SourceSettings::TrustOnly => format!("trust {name} {:?}", entry.hostnames),
    }
}

impl Watch {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry: Arc::new(entry),
            kept: Vec::new(),
            failures: Vec::new(),
            up: None,
            trouble: None,
        }
    }

    /// When the source is to be asked again; `None` where there is nobody to ask.
    pub(super) fn refresh_after(&self, of_account: Duration) -> Option<Duration> {
        let regular = match &self.entry.source {
            _ if self.is_asked_over_network() => of_account,
            // Their hosts are asked of DNS.
            _ if !self.entry.mx.is_empty() => of_account,
            SourceSettings::Pem(_) | SourceSettings::PemGlob(_) => FILE_REFRESH.min(of_account),
            _ => return None,
        };
        Some(match self.up {
            Some(false) => RETRY.min(regular),
            _ => regular,
        })
    }

    /// Whether the source may be away when the monitor starts.
    pub(super) fn is_asked_over_network(&self) -> bool {
        matches!(
            self.entry.source,
            SourceSettings::Sslmate(_) | SourceSettings::SslmateAll | SourceSettings::Download(_)
        )
    }

    /// The name of the source in metrics; `None` where there is nobody to ask.
    pub(super) fn source(&self) -> Option<String> {
        source_name(&self.entry)
    }

    /// Whether an issued certificate of this common name may change what is expected.
    pub(super) fn is_about(&self, cn: &str) -> bool {
        match &self.entry.source {
            SourceSettings::Sslmate(name) => name == cn,
            SourceSettings::SslmateAll => true,
            _ => false,
        }
    }

    /// Whether the source has said something of this common name.
    pub(super) fn knows(&self, cn: &str) -> bool {
        let mut names = self.kept.iter().map(|kept| &kept.loaded.common_name);
        names.any(|name| name.as_deref() == Some(cn))
    }

    /// When the source last answered in full.
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.kept.iter().map(|kept| kept.fetched).min()
    }

    /// Takes in what the source said. What it could not say stays as it was.
    pub(super) fn absorb(&mut self, answers: Vec<Result<Loaded, Failed>>, now: Timestamp) -> News {
        let mut news = News::default();
        let mut before: BTreeMap<String, Kept> = BTreeMap::new();
        for mut kept in std::mem::take(&mut self.kept) {
            kept.is_not_of_the_future(now);
            before.insert(kept.loaded.name.clone(), kept);
        }
        self.failures.clear();
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
                    news.errors.push(failed.error.clone());
                    if let Some(old) = before.remove(&failed.name) {
                        self.kept.push(old);
                    } else if self.stands_for_all(&failed) && !before.is_empty() {
                        self.kept.extend(std::mem::take(&mut before).into_values());
                    } else {
                        self.failures.push(failed);
                    }
                }
            }
        }
        self.trouble = news.errors.first().map(|error| Trouble {
            since: self.trouble.as_ref().map_or(now, |t| t.since),
            error: error.clone(),
        });
        news
    }

    /// Whether a failure is that of the list and not of one certificate in it.
    fn stands_for_all(&self, failed: &Failed) -> bool {
        match &self.entry.source {
            SourceSettings::SslmateAll => failed.name.ends_with('*'),
            SourceSettings::PemGlob(pattern) => failed.name == *pattern,
            _ => true,
        }
    }

    /// The look at a target of this entry.
    pub(super) fn job(
        &self,
        target: &Target,
        expectation: &Result<Kept, String>,
        times: &Times,
        manner: &Manner,
        now: Timestamp,
    ) -> Job {
        let mut rules = Rules {
            warn: self.entry.warn,
            crit: self.entry.crit,
            revocation: self.entry.revocation,
            ..Rules::default()
        };
        if let Ok(kept) = expectation {
            rules.grace = kept.grace(times.grace);
            let refresh = self.refresh_after(times.refresh).map(seconds);
            rules.stale_since = refresh.and_then(|_| {
                let too_long = seconds(times.refresh).saturating_mul(STALE_INTERVALS);
                let silent = now.seconds_since(kept.fetched) > too_long;
                (self.up == Some(false) && silent).then_some(kept.fetched)
            });
        }
        Job {
            expectation: expectation
                .as_ref()
                .map(|kept| kept.loaded.clone())
                .map_err(Clone::clone),
            targets: vec![target.clone()],
            addresses: self.entry.addresses.clone(),
            resolved: None,
            key_types: self.entry.key_types,
            reach: manner.reaches.of(&self.entry.reach),
            dane: self.entry.dane,
            rules,
            manner: manner.clone(),
        }
    }
}

/// The spans of time that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// How long the one before is only a warning.
    pub(super) grace: Duration,
    /// How often a source over the network is asked.
    pub(super) refresh: Duration,
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

impl From<Remembered> for Kept {
    fn from(remembered: Remembered) -> Self {
        Self {
            loaded: Arc::new(remembered.loaded),
            fetched: remembered.fetched,
            changed: remembered.changed,
        }
    }
}

impl From<&Kept> for Remembered {
    fn from(kept: &Kept) -> Self {
        Self {
            loaded: Loaded::clone(&kept.loaded),
            fetched: kept.fetched,
            changed: kept.changed,
        }
    }
}

impl Kept {
    /// A clock that was set back makes what was said just now a word of the future. It counts from now on then, or
    /// grace would last, and a silent source be taken for a lively one, until the clock is there again.
    fn is_not_of_the_future(&mut self, now: Timestamp) {
        self.fetched = self.fetched.min(now);
        // Another instance is one that comes at `now`.
        let before = Timestamp(now.0.saturating_sub(1));
        self.changed = self.changed.map(|changed| changed.min(before));
    }

    /// What a source says now, with what is remembered from before.
    fn new(old: Option<Kept>, loaded: Loaded, now: Timestamp) -> Self {
        let Some(old) = old else {
            return Self {
                loaded: Arc::new(loaded),
                fetched: now,
                changed: None,
            };
        };
        let was = old.loaded.expected.instances();
        let (Some(was), Expectation::Instances(is)) = (was, &loaded.expected.what) else {
            return Self {
                loaded: Arc::new(loaded),
                fetched: now,
                changed: old.changed,
            };
        };
        let same = was.expected.leaf == is.expected.leaf;
        let mut previous: Vec<Instance> = was.previous.clone();
        if !same {
            previous.push(was.expected.clone());
        }
        // What was rolled back to is not an older one any more.
        previous.retain(|old| is.accepted().all(|now| now.leaf != old.leaf));
        let surplus = previous.len().saturating_sub(MAX_PREVIOUS);
        previous.drain(..surplus);
        let mut instances = is.clone();
        instances.previous = previous;
        if *was == *instances && old.says(&loaded) {
            return Self {
                fetched: now,
                ..old
            };
        }
        let expected = Expected {
            source: loaded.expected.source,
            what: Expectation::Instances(instances),
        };
        Self {
            changed: if same { old.changed } else { Some(now) },
            fetched: now,
            loaded: Arc::new(Loaded {
                expected: Arc::new(expected),
                ..loaded
            }),
        }
    }

    /// Whether a source says of hosts and names what it said before.
    fn says(&self, loaded: &Loaded) -> bool {
        let Loaded {
            name,
            common_name,
            expected,
            hostnames,
            awaited,
        } = &*self.loaded;
        *name == loaded.name
            && *common_name == loaded.common_name
            && expected.source == loaded.expected.source
            && *hostnames == loaded.hostnames
            && *awaited == loaded.awaited
    }

    fn before(&self) -> Option<Fingerprint> {
        let instances = self.loaded.expected.instances()?;
        instances.previous.last().map(|i| i.leaf.sha256())
    }

    fn grace(&self, grace: Duration) -> Option<Grace> {
        Some(Grace {
            before: self.before()?,
            until: Timestamp(self.changed?.0.saturating_add(seconds(grace))),
        })
    }

    fn describe_change(&self) -> String {
        let name = &self.loaded.name;
        let Some(instances) = self.loaded.expected.instances() else {
            return name.clone();
        };
        let number = instances
            .expected
            .id
            .map(|id| format!(" {id}"))
            .unwrap_or_default();
        let end = instances.expected.leaf.facts().ok();
        let end = end.map(|f| format!(", which ends on {}", f.not_after.date()));
        format!(
            "{name}: another instance{number} is expected now{}",
            end.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Certificate;
    use crate::instance::{Instances, SourceKind};
    use crate::lab::authority::{Authority, Key, Validity};

    const NOW: Timestamp = Timestamp(1_795_000_000);
    const TIMES: Times = Times {
        grace: Duration::from_secs(1800),
        refresh: Duration::from_secs(900),
    };

    fn later(seconds: i64) -> Timestamp {
        Timestamp(NOW.0 + seconds)
    }

    fn leaf() -> Certificate {
        let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
        let names = ["a.example".to_owned()];
        let validity = Validity::around(NOW, 1, 89);
        let issued = root.issue(&names, validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    }

    fn loaded(name: &str, leaf: &Certificate) -> Loaded {
        let instance = Instance::from_chain(vec![leaf.clone()]).unwrap();
        Loaded {
            name: name.into(),
            common_name: Some(name.into()),
            expected: Arc::new(Expected {
                source: SourceKind::Sslmate,
                what: Expectation::Instances(Box::new(Instances::only(instance))),
            }),
            hostnames: vec![name.parse().unwrap()],
            awaited: None,
        }
    }

    fn failed(name: &str) -> Failed {
        Failed {
            name: name.into(),
            hostnames: Vec::new(),
            error: format!("{name}: away"),
            may_pass: true,
        }
    }

    fn watch(source: SourceSettings) -> Watch {
        Watch::new(Entry::new(source))
    }

    fn previous(watch: &Watch) -> Vec<Certificate> {
        let instances = watch.kept[0].loaded.expected.instances().unwrap();
        instances.previous.iter().map(|i| i.leaf.clone()).collect()
    }

    /// What is to be looked at, each target with its expectation.
    fn expectations(watch: &Watch) -> Vec<(Target, Result<Kept, String>)> {
        let key: Arc<str> = "one".into();
        let watches = BTreeMap::from([(key.clone(), watch.clone())]);
        let plan = super::super::planning::draw(&watches, &[key]).plan;
        let targets = plan.targets.into_iter();
        targets
            .map(|(target, planned)| (target, planned.expectation))
            .collect()
    }

    fn rules(watch: &Watch, now: Timestamp) -> Rules {
        let manner = Manner {
            timeout: Duration::from_secs(1),
            trust: Arc::default(),
            reaches: Arc::default(),
        };
        let (target, expectation) = expectations(watch).remove(0);
        watch.job(&target, &expectation, &TIMES, &manner, now).rules
    }

    #[test]
    fn trouble_is_told_since_the_first_try_that_failed_until_one_succeeds() {
        let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
        let since = |watch: &Watch| watch.trouble.as_ref().map(|trouble| trouble.since);
        watch.absorb(vec![Ok(loaded("a.example", &leaf()))], NOW);
        assert_eq!(since(&watch), None);
        watch.absorb(vec![Err(failed("a.example"))], later(60));
        watch.absorb(vec![Err(failed("a.example"))], later(120));
        assert_eq!(since(&watch), Some(later(60)));
        assert_eq!(watch.trouble.as_ref().unwrap().error, "a.example: away");
        watch.absorb(vec![Ok(loaded("a.example", &leaf()))], later(180));
        assert_eq!(since(&watch), None);
    }

    #[test]
    fn a_new_instance_makes_the_one_before_a_previous_one_with_grace() {
        let (first, second) = (leaf(), leaf());
        let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
        let news = watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
        assert_eq!(news, News::default());
        assert_eq!(rules(&watch, NOW).grace, None);

        let news = watch.absorb(vec![Ok(loaded("a.example", &second))], later(10));
        assert_eq!(news.changed.len(), 1);
        assert!(news.changed[0].starts_with("a.example: another instance is expected now"));
        assert_eq!(previous(&watch), std::slice::from_ref(&first));
        let grace = Grace {
            before: first.sha256(),
            until: later(10 + 1800),
        };
        assert_eq!(rules(&watch, later(10)).grace, Some(grace));

        // The same again changes nothing; back again makes the other one the one before.
        watch.absorb(vec![Ok(loaded("a.example", &second))], later(20));
        assert_eq!(rules(&watch, later(20)).grace, Some(grace));
        watch.absorb(vec![Ok(loaded("a.example", &first))], later(30));
        assert_eq!(previous(&watch), [second]);
    }

    #[test]
    fn a_clock_that_jumps_stretches_neither_grace_nor_trust_in_a_silent_source() {
        const DAY: i64 = 86_400;
        let (first, second) = (leaf(), leaf());
        let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
        watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
        watch.absorb(vec![Ok(loaded("a.example", &second))], NOW);
        // Back by a day: grace goes on for as long as it would have from now on, and no longer.
        let back = later(-DAY);
        let news = watch.absorb(vec![Ok(loaded("a.example", &second))], back);
        assert_eq!(news, News::default());
        let until = |watch: &Watch, now| rules(watch, now).grace.unwrap().until.0 - now.0;
        assert_eq!(until(&watch, back), 1800 - 1);
        watch.absorb(vec![Ok(loaded("a.example", &second))], later(-DAY + 900));
        assert_eq!(until(&watch, later(-DAY + 900)), 900 - 1);

        // A source that has been silent since then is stale as soon as any other.
        let mut watch = self::watch(SourceSettings::Sslmate("a.example".into()));
        watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
        watch.absorb(vec![Err(failed("a.example"))], back);
        let after = later(-DAY + 1801);
        watch.absorb(vec![Err(failed("a.example"))], after);
        assert_eq!(rules(&watch, after).stale_since, Some(back));
        // Forward by a day, and it is stale at once, since nobody can tell the one from the other.
        let mut watch = self::watch(SourceSettings::Sslmate("a.example".into()));
        watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
        watch.absorb(vec![Err(failed("a.example"))], later(DAY));
        assert_eq!(rules(&watch, later(DAY)).stale_since, Some(NOW));
        watch.absorb(vec![Ok(loaded("a.example", &first))], later(DAY));
        assert_eq!(rules(&watch, later(DAY)).stale_since, None);
    }

    #[test]
    fn what_is_said_again_is_kept_once_and_is_as_fresh_as_it_was_said() {
        let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
        let said = loaded("a.example", &leaf());
        watch.absorb(vec![Ok(loaded("a.example", &leaf()))], NOW);
        watch.absorb(vec![Ok(said.clone())], later(10));
        let before = watch.kept[0].loaded.clone();
        watch.absorb(vec![Ok(said.clone())], later(20));
        assert!(Arc::ptr_eq(&before, &watch.kept[0].loaded));
        assert_eq!(watch.kept[0].fetched, later(20));
        assert_eq!(watch.kept[0].changed, Some(later(10)));
        let others = [
            Loaded {
                hostnames: vec!["b.example".parse().unwrap()],
                ..said.clone()
            },
            Loaded {
                awaited: Some(7),
                ..said.clone()
            },
            Loaded {
                common_name: None,
                ..said
            },
        ];
        for other in others {
            watch.absorb(vec![Ok(other.clone())], later(30));
            let kept = &watch.kept[0].loaded;
            assert_eq!(kept.hostnames, other.hostnames);
            assert_eq!(kept.awaited, other.awaited);
            assert_eq!(kept.common_name, other.common_name);
        }
    }

    #[test]
    fn only_so_many_older_instances_are_remembered() {
        let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
        let leaves: Vec<Certificate> = (0..MAX_PREVIOUS + 3).map(|_| leaf()).collect();
        for leaf in &leaves {
            watch.absorb(vec![Ok(loaded("a.example", leaf))], NOW);
        }
        assert_eq!(previous(&watch), leaves[2..MAX_PREVIOUS + 2]);
    }

    #[test]
    fn what_a_source_said_stays_while_it_fails_and_is_told_to_be_stale() {
        let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
        let news = watch.absorb(vec![Err(failed("a.example"))], NOW);
        assert_eq!(news.errors, ["a.example: away"]);
        assert_eq!((watch.kept.len(), watch.failures.len()), (0, 1));
        assert!(expectations(&watch)[0].1.is_err());

        watch.absorb(vec![Ok(loaded("a.example", &leaf()))], NOW);
        assert_eq!((watch.kept.len(), watch.failures.len()), (1, 0));
        watch.absorb(vec![Err(failed("a.example"))], later(900));
        assert_eq!((watch.kept.len(), watch.failures.len()), (1, 0));
        assert_eq!(watch.up, Some(false));
        assert_eq!(watch.refresh_after(TIMES.refresh), Some(RETRY));
        assert_eq!(rules(&watch, later(1800)).stale_since, None);
        assert_eq!(rules(&watch, later(1801)).stale_since, Some(NOW));
        watch.absorb(vec![Ok(loaded("a.example", &leaf()))], later(1900));
        assert_eq!(rules(&watch, later(9000)).stale_since, None);
    }

    #[test]
    fn a_list_that_fails_loses_nothing_and_one_that_shrinks_does() {
        let mut watch = watch(SourceSettings::SslmateAll);
        let both = || {
            vec![
                Ok(loaded("a.example", &leaf())),
                Ok(loaded("b.example", &leaf())),
            ]
        };
        watch.absorb(both(), NOW);
        watch.absorb(vec![Err(failed("sslmate: *"))], NOW);
        assert_eq!((watch.kept.len(), watch.failures.len()), (2, 0));
        // One of them fails: it stays, too.
        let one = vec![Ok(loaded("a.example", &leaf())), Err(failed("b.example"))];
        watch.absorb(one, NOW);
        assert_eq!((watch.kept.len(), watch.failures.len()), (2, 0));
        watch.absorb(vec![Ok(loaded("b.example", &leaf()))], NOW);
        assert_eq!(expectations(&watch).len(), 1);
    }
}
