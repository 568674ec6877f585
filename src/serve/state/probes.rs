//! Probes: their start, their results, and the cycle that they form.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::judge::{Judged, next_change};
use crate::model::{Target, Timestamp, Vantage};
use crate::scan::KnownDns;

use super::super::dns_failures::Change as DnsChange;
use super::super::history_writer::Note;
use super::super::snapshot::{EndpointResult, TargetResults};
use super::super::transition_log::transitions;
use super::combine::{combine, depends_on_other_key_type, preliminary};
use super::vantage::{Change, Seen, Started, Subject, VantageSchedule};
use super::{Effect, LogLine, Now, ProbeId, State};

/// Minimum time between the end of a probe and the next probe because a certificate begins or ends
/// to be valid. It limits the probes of a server whose certificates all live for seconds.
pub(super) const MIN_CHANGE_DISTANCE: Duration = Duration::from_secs(5);

/// Running probe.
#[derive(Debug)]
pub(super) struct Run {
    vantage: Vantage,
    subject: Subject,
    /// Key of its entry, if DNS gives the hosts of the entry.
    shared_by: Option<Arc<str>>,
    started: Duration,
    /// Time of the clock at its start. Its results were judged then or later.
    judged_from: Timestamp,
    /// Targets, each with its results before the probe.
    targets: Vec<(Arc<Target>, Option<Arc<TargetResults>>)>,
    /// Results whose meaning depends on the other key type at the same address.
    held: Vec<(Arc<Judged>, Now)>,
    seen: Seen,
}

impl State {
    /// Starts the probes that are due.
    pub(super) fn start_probes(&mut self, now: Now) {
        let is_due = |schedule: &VantageSchedule| {
            schedule
                .next_start()
                .is_some_and(|start| start <= now.elapsed)
        };
        let due = self
            .schedules
            .iter()
            .filter(|(_, schedule)| is_due(schedule));
        let vantages: Vec<Vantage> = due.map(|(vantage, _)| vantage.clone()).collect();
        let mut has_started = false;
        for vantage in vantages {
            while let Some(schedule) = self.schedules.get_mut(&vantage)
                && let Some(started) = schedule.start(now.elapsed)
            {
                has_started = true;
                self.start_probe(vantage.clone(), started, now);
            }
        }
        // The published lag depends on the started probes.
        if has_started {
            self.publish();
        }
    }

    fn start_probe(&mut self, vantage: Vantage, started: Started, now: Now) {
        let Started {
            subject,
            due,
            shared_by,
        } = started;
        let targets = match &subject {
            Subject::Target(target) => vec![target.clone()],
            group @ Subject::Group(_) => self.groups.get(group).cloned().unwrap_or_default(),
        };
        let before = |target: &Arc<Target>| self.results.get(target).cloned();
        let of_run: Vec<_> = targets.iter().map(|t| (t.clone(), before(t))).collect();
        let known = match of_run.as_slice() {
            [(_, Some(before))] if vantage.is_local() => before.known_dns(),
            _ => KnownDns::default(),
        };
        self.last_id += 1;
        let id = self.last_id;
        let run = Run {
            vantage: vantage.clone(),
            subject,
            shared_by,
            started: now.elapsed,
            judged_from: now.clock,
            targets: of_run,
            held: Vec::new(),
            seen: Seen::default(),
        };
        self.runs.insert(id, run);
        self.effects.push(Effect::Probe {
            id,
            vantage,
            targets,
            known,
            due,
        });
    }

    /// Publishes the result of one endpoint.
    pub(super) fn on_probe_result(&mut self, id: ProbeId, judged: Arc<Judged>, at: Now) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let observation = &judged.observation;
        if observation.vantage != run.vantage {
            return;
        }
        run.seen.add(&judged);
        let Some(target) = self.targets.get(&observation.target).cloned() else {
            return;
        };
        if depends_on_other_key_type(&judged) && self.waits_for_other_key_type(id, &judged) {
            if let Some(run) = self.runs.get_mut(&id) {
                run.held.push((judged, at));
            }
            return;
        }
        let (ip, key_type) = (judged.observation.ip, judged.observation.key_type);
        self.put_result(id, &target, judged, at);
        // Results of the other key type that waited for this one.
        let held = self.runs.get_mut(&id).map(|run| {
            let is_of_place = |(held, _): &mut (Arc<Judged>, Now)| {
                let other = &held.observation;
                other.ip == ip && other.key_type != key_type && other.target == target
            };
            run.held.extract_if(.., is_of_place).collect::<Vec<_>>()
        });
        for (judged, at) in held.into_iter().flatten() {
            self.put_result(id, &target, judged, at);
        }
    }

    /// Returns true if this probe has no result of another key type for the same address yet, but
    /// will have one.
    fn waits_for_other_key_type(&self, id: ProbeId, judged: &Judged) -> bool {
        let own = &judged.observation;
        let planned = self.plan.targets.get(&own.target);
        let watch = planned.and_then(|planned| self.watches.get(&planned.key));
        if watch.is_none_or(|watch| watch.entry.key_types.each().len() < 2) {
            return false;
        }
        let is_other = |other: &Judged| {
            let other = &other.observation;
            other.ip == own.ip
                && other.vantage == own.vantage
                && other.target == own.target
                && other.key_type != own.key_type
        };
        let results = self.results.get(&own.target);
        let mut endpoints = results.iter().flat_map(|results| &results.endpoints);
        let held = self.runs.get(&id).map(|run| &run.held);
        !endpoints.any(|e| e.run == id && is_other(&e.judged))
            && !held.into_iter().flatten().any(|(held, _)| is_other(held))
    }

    fn put_result(&mut self, id: ProbeId, target: &Arc<Target>, alone: Arc<Judged>, at: Now) {
        let alone = match self.known_leaves.add(&alone, at.clock, at.elapsed) {
            Some(finding) => {
                let mut alone = Judged::clone(&alone);
                alone.add_finding(finding);
                Arc::new(alone)
            }
            None => alone,
        };
        let mut results = self.results_of(target);
        let old = results.endpoint(&alone).cloned();
        let own = &alone.observation;
        let place = results.endpoints.iter().filter(|e| {
            let other = e.observation();
            e.run == id && other.ip == own.ip && other.key_type != own.key_type
        });
        let place = place.map(|e| &*e.alone);
        let judged = preliminary(&alone, old.as_deref(), place);
        let at = (at.clock, at.elapsed);
        let mut result = EndpointResult::new(alone, judged, at, id, old.as_deref());
        result.lines.share(&mut self.samples);
        results.put(result);
        self.results.put(Arc::new(results));
        self.publish();
    }

    fn results_of(&self, target: &Arc<Target>) -> TargetResults {
        let results = self.results.get(target);
        results.map_or_else(
            || TargetResults::new(target.clone()),
            |results| TargetResults::clone(results),
        )
    }

    /// Ends a probe.
    pub(super) fn on_probe_done(&mut self, id: ProbeId, is_complete: bool, now: Now) {
        let held = self
            .runs
            .get_mut(&id)
            .map(|run| std::mem::take(&mut run.held));
        for (judged, at) in held.into_iter().flatten() {
            if let Some(target) = self.targets.get(&judged.observation.target).cloned() {
                self.put_result(id, &target, judged, at);
            }
        }
        let Some(run) = self.runs.remove(&id) else {
            return;
        };
        let first = run.targets.first().map(|(target, _)| &**target);
        let interval = first.map_or(self.settings.interval, |target| self.interval_of(target));
        let change = self.next_change(id, &run);
        let Some(schedule) = self.schedules.get_mut(&run.vantage) else {
            return;
        };
        // A remote vantage tests a certificate once in an interval, even after a backoff.
        let earliest = match run.vantage.is_local() {
            true => Duration::ZERO,
            false => run.started + interval / 2,
        };
        if let Some(key) = &run.shared_by {
            schedule.release(key);
        }
        let queue = &mut schedule.queue;
        let is_wanted = queue.finish_spaced(&run.subject, interval, earliest, now.elapsed);
        if let Some(change) = change {
            let ahead = u64::try_from(change.seconds_since(now.clock)).unwrap_or(0);
            let ahead = Duration::from_secs(ahead).max(MIN_CHANGE_DISTANCE);
            let due = now.elapsed.saturating_add(ahead).max(earliest);
            queue.advance(&run.subject, due);
        }
        schedule.set_change(&run.subject, change.filter(|_| is_wanted));
        let change = schedule.end_probe(run.seen, run.started, now);
        let next = schedule.queue.due(&run.subject);
        schedule.unprobed.remove(&run.subject);
        if !schedule.is_wanted && schedule.queue.is_empty() {
            self.schedules.remove(&run.vantage);
        }
        if is_wanted && let Some(change) = change {
            self.log_vantage(&run, change);
        }
        let next = next.map(|due| {
            let ahead = due.saturating_sub(now.elapsed).as_secs();
            Timestamp(now.clock.0.saturating_add_unsigned(ahead))
        });
        for (target, before) in &run.targets {
            if run.vantage.is_local() {
                self.remaining.remove(target);
            }
            if is_wanted && is_complete && self.targets.contains(target) {
                self.end_target(id, &run, target, before.as_deref(), interval, next);
            }
        }
        self.publish();
        self.end_cycle(now);
    }

    /// Returns the first time at which the verdict on a result of a probe changes by itself.
    fn next_change(&self, id: ProbeId, run: &Run) -> Option<Timestamp> {
        let of_targets = run.targets.iter().filter_map(|(target, _)| {
            let planned = self.plan.targets.get(&**target)?;
            let watch = self.watches.get(&planned.key)?;
            let (times, since) = (&self.settings.times, run.judged_from);
            let rules = watch.rules(&planned.expectation, times, since);
            let results = self.results.get(target)?;
            let of_run = results.endpoints.iter().filter(|e| e.run == id);
            of_run
                .filter_map(|e| next_change(&e.judged, &rules, since))
                .min()
        });
        of_targets.min()
    }

    /// Returns the interval of a target's probes.
    fn interval_of(&self, target: &Target) -> Duration {
        let planned = self.plan.targets.get(target);
        let watch = planned.and_then(|planned| self.plan.watches.get(&planned.key));
        let own = watch.and_then(|watch| watch.entry.notes.interval);
        own.unwrap_or(self.settings.interval)
    }

    /// Removes the addresses that the probe no longer found, and compares the ones that it found.
    fn end_target(
        &mut self,
        id: ProbeId,
        run: &Run,
        target: &Arc<Target>,
        before: Option<&TargetResults>,
        interval: Duration,
        next: Option<Timestamp>,
    ) {
        let mut results = self.results_of(target);
        let is_own = |e: &EndpointResult| e.observation().vantage == run.vantage;
        // Usually all results are from the local vantage.
        let has_others = !results.endpoints.iter().all(|e| is_own(e));
        let others = has_others.then(|| results.clone());
        results.retain(|e| !is_own(e) || e.run == id);
        if run.vantage.is_local() {
            let known: Vec<IpAddr> = before.map_or_else(Vec::new, TargetResults::known);
            results.end_local_probe(&known);
        }
        let busy = self.busy_vantages(target);
        combine(&mut results, |v| !busy.contains(v), interval);
        results.set_next(&run.vantage, next);
        let change = match run.vantage.is_local() {
            true => self.dns_failures.update(target, before, &results),
            false => None,
        };
        let is_removed = matches!(change, Some(DnsChange::Removed { .. }));
        let own = transitions(before, &results, |e| is_own(e), is_removed);
        let of_others =
            others.map(|others| transitions(Some(&others), &results, |e| !is_own(e), is_removed));
        let lines = own.into_iter().chain(of_others.into_iter().flatten());
        lines.for_each(|line| self.log(line));
        if let Some(change) = change {
            self.log(change.line());
        }
        let results = Arc::new(results);
        self.results.put(results.clone());
        self.record(|_| {
            let of_run = results.endpoints.iter().filter(|e| e.run == id);
            Note::Probed(of_run.cloned().collect())
        });
        if run.vantage.is_local() {
            for (place, leaves) in self.known_leaves.end_probe(before, &results, id) {
                self.record(|_| Note::Leaves(place, leaves));
            }
        }
    }

    /// Returns the vantages with a running probe of a target.
    fn busy_vantages(&self, target: &Arc<Target>) -> BTreeSet<Vantage> {
        let has_remotes = self.schedules.keys().any(|vantage| !vantage.is_local());
        let planned = has_remotes.then(|| self.plan.targets.get(&**target));
        let planned = planned.flatten();
        let group = planned.map(|planned| Subject::group(&planned.key, target));
        let own = Subject::Target(target.clone());
        let busy = self
            .schedules
            .iter()
            .filter(|(vantage, schedule)| match vantage.is_local() {
                true => schedule.queue.is_running(&own),
                false => group
                    .as_ref()
                    .is_some_and(|group| schedule.queue.is_running(group)),
            });
        busy.map(|(vantage, _)| vantage.clone()).collect()
    }

    fn log_vantage(&mut self, run: &Run, change: Change) {
        let vantage = &run.vantage;
        self.log(match change {
            Change::Failed => LogLine::warning(format_args!(
                "vantage failed: vantage={vantage}; it is used less often until it responds"
            )),
            Change::Recovered => LogLine::info(format_args!("vantage ok again: vantage={vantage}")),
        });
    }

    /// Ends the cycle when every target has been probed.
    pub(super) fn end_cycle(&mut self, now: Now) {
        self.note_readiness();
        // The cheaper check is first, and usually decides.
        if !self.remaining.is_empty() || self.watches.values().any(|watch| watch.up.is_none()) {
            return;
        }
        if self.targets.is_empty() {
            return;
        }
        self.cycle_duration = Some(now.elapsed.saturating_sub(self.cycle_began));
        self.cycle_began = now.elapsed;
        self.remaining.extend(self.targets.iter().cloned());
    }

    /// Sets `is_ready` once every source was fetched, and every target was probed once from each
    /// vantage that works.
    fn note_readiness(&mut self) {
        let is_ready = !self.is_ready
            && self.schedules.values().all(VantageSchedule::is_ready)
            && self.watches.values().all(|watch| watch.up.is_some());
        if is_ready {
            self.is_ready = true;
            self.publish();
            let targets = self.targets.len();
            self.log(LogLine::info(format_args!("ready: targets={targets}")));
        }
    }
}
