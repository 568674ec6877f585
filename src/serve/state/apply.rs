//! Applies a configuration, and makes the plan that follows from it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::config::Entry;
use crate::model::{Target, Vantage};
use crate::source::FetchError;

use super::super::expectations::{Kept, Watch, key};
use super::super::judging_settings::JudgingSettings;
use super::super::plan::{Planning, plan_all};
use super::super::snapshot::TargetResults;
use super::vantage::{MAX_REMOTE_PROBES, Subject, VantageSchedule};
use super::{LogLine, Now, Settings, SourceRequest, State};

impl State {
    /// Puts a configuration into force. The known certificates of entries that stay are kept.
    pub(super) fn apply(&mut self, settings: Settings, now: Now) {
        let is_account_changed = self.settings.account != settings.account;
        let mut before = std::mem::take(&mut self.watches);
        let mut changed = BTreeSet::new();
        self.order.clear();
        for (key, entry) in keyed(&settings.entries) {
            let key: Arc<str> = key.into();
            let whole = SourceRequest::whole(&key);
            let stays = before.remove(&key);
            let mut due = now.elapsed;
            let basis = settings.judging.of(entry);
            let is_judged_otherwise = |old: &Arc<Watch>| {
                *old.entry != **entry || self.settings.judging.of(&old.entry) != basis
            };
            if stays.as_ref().is_some_and(is_judged_otherwise) {
                changed.insert(key.clone());
            }
            let old = match stays {
                Some(watch) => Some(watch),
                None => self.lost.take(&key).map(|(watch, next)| {
                    due = next.unwrap_or(now.elapsed);
                    watch
                }),
            };
            let is_same = old.as_ref().is_some_and(|old| *old.entry == **entry);
            let watch = match old {
                Some(mut old) => {
                    Arc::make_mut(&mut old).entry = entry.clone();
                    old
                }
                None => Arc::new(Watch::new(entry.clone())),
            };
            // A reload fetches files again. A source over the network keeps its schedule, unless
            // its entry has changed.
            let is_remote = watch.is_asked_over_network();
            let keeps_its_schedule =
                is_remote && (watch.up == Some(true) || self.sources.is_running(&whole));
            if !(is_same && watch.is_constant()) {
                self.sources.add(whole.clone(), due);
                if is_account_changed || !is_same || !keeps_its_schedule {
                    self.sources.hurry(&whole, now.elapsed);
                }
            }
            self.order.push(key.clone());
            self.watches.insert(key, watch);
        }
        for (key, watch) in before {
            self.newer.remove(&key);
            let due = self.sources.due(&SourceRequest::whole(&key));
            self.lost.put(key.to_string(), watch, due, now.elapsed);
        }
        let watches = &self.watches;
        self.awaiting
            .retain(|request, _| watches.contains_key(&request.key));
        self.sources
            .retain(|request| watches.contains_key(&request.key));
        self.forget_rereads();
        self.record_entries(now);
        if self.settings.interval != settings.interval {
            for schedule in self.schedules.values_mut() {
                schedule.queue.set_interval(settings.interval, now.elapsed);
            }
        }
        self.apply_vantages(&settings.vantages);
        self.hurry_replaced_vantages(&settings.judging, now);
        self.settings = Settings {
            // The entries are in `watches`.
            entries: Vec::new(),
            ..settings
        };
        self.replan(now);
        // Earlier results are of a different server, or were judged by other rules.
        let plan = self.plan.clone();
        let of_changed = plan.targets.iter();
        let of_changed = of_changed.filter(|(_, planned)| changed.contains(&*planned.key));
        let subjects = self.subjects_of(of_changed.map(|(target, _)| target));
        self.hurry(&subjects, now);
    }

    /// Adds and removes remote vantages. A removed vantage that is being probed from stays until
    /// that probe ends.
    fn apply_vantages(&mut self, vantages: &[Vantage]) {
        let limit = MAX_REMOTE_PROBES.min(self.concurrency);
        for vantage in vantages {
            let schedule = self.schedules.entry(vantage.clone());
            schedule
                .or_insert_with(|| VantageSchedule::new(limit))
                .is_wanted = true;
        }
        let mut removed = BTreeSet::new();
        self.schedules.retain(|vantage, schedule| {
            if vantage.is_local() || vantages.contains(vantage) {
                return true;
            }
            removed.insert(vantage.clone());
            schedule.is_wanted = false;
            schedule.retain(|_| false);
            !schedule.queue.is_empty()
        });
        if removed.is_empty() {
            return;
        }
        let all: Vec<Arc<TargetResults>> = self.results.iter().cloned().collect();
        for results in all {
            let is_removed = |vantage: &Vantage| removed.contains(vantage);
            let mut endpoints = results.endpoints.iter();
            if endpoints.any(|e| is_removed(&e.observation().vantage)) {
                let mut results = TargetResults::clone(&results);
                results.retain(|e| !is_removed(&e.observation().vantage));
                self.results.put(Arc::new(results));
            }
        }
    }

    /// Makes the probes from vantages due whose name now stands for another API.
    fn hurry_replaced_vantages(&mut self, judging: &JudgingSettings, now: Now) {
        for (vantage, schedule) in &mut self.schedules {
            if judging.is_vantage_replaced(&self.settings.judging, vantage) {
                let subjects: Vec<Subject> = schedule.queue.keys().cloned().collect();
                for subject in &subjects {
                    schedule.queue.hurry(subject, now.elapsed);
                }
            }
        }
    }

    /// Makes a new plan, and makes the targets due whose expectation has changed.
    pub(super) fn replan(&mut self, now: Now) {
        self.outdated = None;
        let Planning { plan, warnings } = plan_all(&self.watches, &self.order, &self.plan);
        let new_warnings: Vec<LogLine> = warnings
            .difference(&self.warnings)
            .map(LogLine::warning)
            .collect();
        new_warnings.into_iter().for_each(|line| self.log(line));
        self.warnings = warnings;
        // Sorted sets are compared in linear time. At a million targets, a lookup of each takes
        // seconds.
        let targets: BTreeSet<Arc<Target>> = plan.targets.keys().cloned().collect();
        let new: Vec<Arc<Target>> = targets.difference(&self.targets).cloned().collect();
        let is_one_gone = self.targets.difference(&targets).next().is_some();
        let mut groups: BTreeMap<Subject, Vec<Arc<Target>>> = BTreeMap::new();
        let planned = std::iter::zip(&targets, plan.targets.values());
        // Groups are probed only from remote vantages.
        for (target, planned) in planned.filter(|_| !self.settings.vantages.is_empty()) {
            // A remote test supports only TCP, and needs a certificate to compare with.
            if planned.expectation.is_ok()
                && !target.protocol.is_quic()
                && !target.is_file()
                && target.names.is_empty()
            {
                let group = Subject::group(&planned.key, target);
                groups.entry(group).or_default().push(target.clone());
            }
        }
        let mut before = self.plan.targets.iter().peekable();
        let changed = plan.targets.iter().filter(|(target, planned)| {
            while before.next_if(|(earlier, _)| earlier < target).is_some() {}
            let before = before.next_if(|(same, _)| same == target);
            before.is_some_and(|(_, before)| differ(&before.expectation, &planned.expectation))
        });
        let changed: Vec<Arc<Target>> = changed.map(|(target, _)| target.clone()).collect();
        if is_one_gone {
            self.remaining.retain(|target| targets.contains(target));
            self.results.retain(|target| targets.contains(target));
            self.dns_failures.retain(&plan);
        }
        let is_same = new.is_empty() && !is_one_gone;
        self.remaining.extend(new);
        self.plan = Arc::new(plan);
        self.targets = targets;
        self.groups = groups;
        self.fill_schedules(is_same, now);
        let subjects = self.subjects_of(changed.iter());
        self.hurry(&subjects, now);
        self.publish();
        self.end_cycle(now);
    }

    /// Adds the planned probes to the schedules, and removes those that are no longer planned. The
    /// schedule of the local vantage does not change if the targets are the same.
    fn fill_schedules(&mut self, is_same: bool, now: Now) {
        let interval = self.settings.interval;
        let shared = self.shared_subjects();
        if let Some(local) = self.schedules.get_mut(&Vantage::local()) {
            local.set_shared(shared);
        }
        for (vantage, schedule) in self
            .schedules
            .iter_mut()
            .filter(|(vantage, schedule)| schedule.is_wanted && !(is_same && vantage.is_local()))
        {
            let planned: BTreeSet<Subject> = match vantage.is_local() {
                true => self.targets.iter().cloned().map(Subject::Target).collect(),
                false => self.groups.keys().cloned().collect(),
            };
            schedule.retain(|subject| planned.contains(subject));
            let is_back = |subject: &&Subject| {
                schedule.queue.is_running(subject) && !schedule.queue.contains(subject)
            };
            let back: Vec<Subject> = planned.iter().filter(is_back).cloned().collect();
            if !self.is_ready {
                let is_new = |subject: &&Subject| !schedule.queue.contains(subject);
                schedule
                    .unprobed
                    .extend(planned.iter().filter(is_new).cloned());
            }
            schedule
                .unprobed
                .retain(|subject| planned.contains(subject));
            schedule.queue.add_all(planned, interval, now.elapsed);
            // The running probe may have started with the target's earlier configuration.
            for subject in &back {
                schedule.queue.hurry(subject, now.elapsed);
            }
        }
    }

    /// Returns the local probes of entries whose hosts DNS gives, with the keys of these entries.
    fn shared_subjects(&self) -> HashMap<Subject, Arc<str>> {
        let each = std::iter::zip(&self.targets, self.plan.targets.values());
        let shared = each.filter(|(_, planned)| {
            let watch = self.watches.get(&planned.key);
            watch.is_some_and(|watch| watch.entry.finds_hosts())
        });
        let shared = shared.map(|(target, planned)| {
            let subject = Subject::Target(target.clone());
            (subject, planned.key.clone())
        });
        shared.collect()
    }

    /// Returns the probes of these targets, from all vantages.
    fn subjects_of<'a>(&self, targets: impl Iterator<Item = &'a Arc<Target>>) -> Vec<Subject> {
        let mut subjects = BTreeSet::new();
        for target in targets {
            if let (Some(known), Some(planned)) =
                (self.targets.get(target), self.plan.targets.get(target))
            {
                subjects.insert(Subject::Target(known.clone()));
                subjects.insert(Subject::group(&planned.key, known));
            }
        }
        subjects.into_iter().collect()
    }
}

/// Returns the entries with their keys, in their order. Two entries may have the same source and no
/// names; their keys differ in the repetition.
pub(in crate::serve) fn keyed(entries: &[Arc<Entry>]) -> Vec<(String, &Arc<Entry>)> {
    let mut keys = HashSet::new();
    let keyed = entries.iter().map(|entry| {
        let mut key = key(entry);
        let mut text = key.encode();
        while !keys.insert(text.clone()) {
            key.repeat += 1;
            text = key.encode();
        }
        (text, entry)
    });
    keyed.collect()
}

/// Returns true if the expected certificate has changed.
fn differ(before: &Result<Kept, Arc<FetchError>>, now: &Result<Kept, Arc<FetchError>>) -> bool {
    match (before, now) {
        (Ok(before), Ok(now)) => before.loaded.expected != now.loaded.expected,
        (Err(_), Err(_)) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Effect, Event, Fetched, Start};
    use super::*;
    use crate::config::SourceSettings;
    use crate::instance::Expected;
    use crate::model::Timestamp;
    use crate::source::Loaded;

    const NOW: Now = Now {
        elapsed: Duration::ZERO,
        clock: Timestamp(1_800_000_000),
    };

    fn settings(entry: Entry) -> Settings {
        Settings {
            entries: vec![Arc::new(entry)],
            interval: Duration::from_secs(300),
            times: super::super::Times {
                grace: Duration::ZERO,
                refresh: Duration::from_secs(900),
            },
            history: Duration::ZERO,
            account: None,
            vantages: Vec::new(),
            judging: Arc::default(),
        }
    }

    fn fetches(effects: &[Effect]) -> Vec<SourceRequest> {
        let fetches = effects.iter().filter_map(|effect| match effect {
            Effect::Fetch { request, .. } => Some(request.clone()),
            _ => None,
        });
        fetches.collect()
    }

    /// Returns the event that the source of an entry returned its host names.
    fn result(entry: &Entry, request: &SourceRequest) -> Event {
        let loaded = Loaded {
            name: "a".into(),
            common_name: None,
            expected: Arc::new(Expected::trust_only()),
            hostnames: entry.hostnames.clone(),
            found: Vec::new(),
            awaited: None,
        };
        Event::SourceResult {
            request: request.clone(),
            fetched: Fetched {
                answers: vec![Ok(loaded)],
                known_places: None,
            },
            clock_warning: None,
        }
    }

    /// Returns the numbers of fetches at the start, after a reload with the same entry, and after one
    /// with another host.
    fn fetches_of(mut entry: Entry) -> [usize; 3] {
        entry.name = Some("a".into());
        let (mut state, mut effects) = State::new(settings(entry.clone()), Start::default(), NOW);
        let hosts = ["b.example", "c.example", "c.example"];
        hosts.map(|host| {
            let requests = fetches(&effects);
            for request in &requests {
                state.on(result(&entry, request), NOW);
            }
            entry.hostnames = vec![host.parse().unwrap()];
            effects = state.on(Event::Reload(settings(entry.clone())), NOW);
            requests.len()
        })
    }

    #[test]
    fn reload_fetches_only_what_may_have_changed() {
        let mut entry = Entry::new(SourceSettings::TrustOnly);
        entry.hostnames = vec!["b.example".parse().unwrap()];
        assert_eq!(fetches_of(entry.clone()), [1, 0, 1]);
        let files = SourceSettings::Pem(vec!["/a.pem".into()]);
        let of_files = Entry {
            source: files,
            ..entry.clone()
        };
        assert_eq!(fetches_of(of_files), [1, 1, 1]);
        // Its hosts are those of SRV records.
        entry.finds_xmpp_hosts = true;
        assert_eq!(fetches_of(entry), [1, 1, 1]);
    }

    /// Returns the number of probes that start when all hosts of an entry are due.
    fn probes_of(entry: &Entry, concurrency: usize) -> usize {
        let start = Start {
            concurrency,
            ..Start::default()
        };
        let (mut state, effects) = State::new(settings(entry.clone()), start, NOW);
        let mut effects = state.on(result(entry, &fetches(&effects)[0]), NOW);
        let later = Now {
            elapsed: Duration::from_secs(300),
            clock: Timestamp(NOW.clock.0 + 300),
        };
        effects.extend(state.on(Event::Tick, later));
        let probes = effects.iter().filter(|e| matches!(e, Effect::Probe { .. }));
        probes.count()
    }

    #[test]
    fn only_hosts_that_dns_gives_leave_half_of_the_probes_to_others() {
        let mut entry = Entry::new(SourceSettings::TrustOnly);
        entry.name = Some("a".into());
        let hosts = (0..20).map(|number| format!("h{number}.example").parse().unwrap());
        entry.hostnames = hosts.collect();
        assert_eq!(probes_of(&entry, 8), 8);
        entry.finds_xmpp_hosts = true;
        assert_eq!(probes_of(&entry, 8), 4);
    }
}
