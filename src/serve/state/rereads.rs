//! Files of expected certificates that are read again because a probe found another leaf. The probe
//! waits, so that it is judged by the current content.
//!
//! After a renewal the server may have the new certificate up to a minute before its file is read
//! again. No client agrees with `wrong_certificate` in that time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Target;
use crate::source::{Failed, Loaded};
use crate::store::Remembered;

use super::super::history_writer::Note;
use super::{Effect, LogLine, Now, SourceRequest, State};

/// Maximum time for which a probe waits for a file. A file that has just changed takes a second.
pub(in crate::serve) const MAX_WAIT: Duration = Duration::from_secs(5);
/// Minimum time between the starts of two readings of one source.
pub(in crate::serve) const REREAD_PAUSE: Duration = Duration::from_secs(1);
/// Maximum concurrent readings.
pub(in crate::serve) const MAX_REREADS: usize = 8;

/// Number of a probe of one address that waits.
pub(in crate::serve) type Ticket = u64;

/// Readings of the sources that probes wait for, by the keys of their entries.
#[derive(Debug, Default)]
pub(super) struct Rereads {
    sources: BTreeMap<Arc<str>, Reread>,
}

/// Reading of one source.
#[derive(Debug, Default)]
struct Reread {
    /// Waiting probes with the times since which they wait, in order.
    waiting: Vec<(Ticket, Duration)>,
    /// Start of the last reading.
    started: Option<Duration>,
    is_running: bool,
    /// A probe has waited in vain. No other waits until the file system responds.
    is_hanging: bool,
    /// The regular fetch, which began later, ended first.
    is_outdated: bool,
}

impl Reread {
    /// Returns the time of the next reading, unless one is running.
    fn due(&self) -> Option<Duration> {
        let (_, since) = self.waiting.first()?;
        let earliest = self.started.map(|started| started + REREAD_PAUSE);
        (!self.is_running).then(|| earliest.unwrap_or(*since))
    }

    /// Returns the time at which the first probe stops waiting.
    fn expiry(&self) -> Option<Duration> {
        self.waiting.first().map(|(_, since)| *since + MAX_WAIT)
    }
}

impl Rereads {
    fn running(&self) -> usize {
        self.sources.values().filter(|r| r.is_running).count()
    }

    /// Returns true if a source cannot be read soon: its file system does not respond, or every
    /// running reading hangs.
    fn is_hanging(&self, key: &str) -> bool {
        let hanging = self.sources.values();
        let hanging = hanging.filter(|r| r.is_running && r.is_hanging);
        self.sources.get(key).is_some_and(|r| r.is_hanging) || hanging.count() >= MAX_REREADS
    }

    /// Returns the number of waiting probes and known sources.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let waiting = self.sources.values().map(|r| r.waiting.len());
        waiting.sum::<usize>() + self.sources.len()
    }
}

impl State {
    /// Reads the source of a target again for a probe that found another leaf than expected.
    pub(super) fn on_unexpected(&mut self, ticket: Ticket, target: &Target, now: Now) {
        let planned = self.plan.targets.get(target);
        let key = planned.map(|planned| planned.key.clone());
        let is_of_files = |key: &Arc<str>| {
            let watch = self.watches.get(key);
            watch.is_some_and(|watch| watch.files_to_read().is_some())
        };
        match key.filter(is_of_files) {
            Some(key) if !self.is_stopping && !self.rereads.is_hanging(&key) => {
                let reread = self.rereads.sources.entry(key).or_default();
                reread.waiting.push((ticket, now.elapsed));
            }
            _ => self.effects.push(Effect::Resume(ticket)),
        }
    }

    /// Starts the readings that are due, and ends the wait of probes that have waited too long.
    pub(super) fn start_rereads(&mut self, now: Now) {
        if self.rereads.sources.is_empty() {
            return;
        }
        let mut running = self.rereads.running();
        let (watches, fetches) = (&self.watches, &self.sources);
        for (key, reread) in &mut self.rereads.sources {
            let is_fetched = fetches.is_running(&SourceRequest::whole(key));
            if reread.expiry().is_some_and(|end| end <= now.elapsed) {
                reread.is_hanging = reread.is_running || is_fetched;
                let ended = std::mem::take(&mut reread.waiting).into_iter();
                self.effects.extend(ended.map(|(t, _)| Effect::Resume(t)));
            }
            if is_fetched
                || running >= MAX_REREADS
                || reread.due().is_none_or(|due| due > now.elapsed)
            {
                continue;
            }
            let Some(entry) = watches.get(key).and_then(|watch| watch.files_to_read()) else {
                let ended = std::mem::take(&mut reread.waiting).into_iter();
                self.effects.extend(ended.map(|(t, _)| Effect::Resume(t)));
                continue;
            };
            running += 1;
            reread.is_running = true;
            reread.started = Some(now.elapsed);
            self.effects.push(Effect::Reread {
                key: key.clone(),
                entry,
            });
        }
        self.rereads.sources.retain(|_, reread| {
            let is_paused = reread
                .started
                .is_some_and(|s| s + REREAD_PAUSE > now.elapsed);
            reread.is_running || reread.is_hanging || is_paused || !reread.waiting.is_empty()
        });
    }

    /// Returns the time of the next reading or of the next end of a wait.
    pub(super) fn next_reread(&self) -> Option<Duration> {
        let has_slot = self.rereads.running() < MAX_REREADS;
        let dues = self.rereads.sources.iter().flat_map(|(key, reread)| {
            let is_fetched = self.sources.is_running(&SourceRequest::whole(key));
            let due = reread.due().filter(|_| has_slot && !is_fetched);
            due.into_iter().chain(reread.expiry())
        });
        dues.min()
    }

    /// Applies what was read, and resumes the probes that began to wait before it was read. If a
    /// file cannot be read, the next regular fetch reports it.
    pub(super) fn on_reread(
        &mut self,
        key: &Arc<str>,
        answers: Vec<Result<Loaded, Failed>>,
        now: Now,
    ) {
        let Some(reread) = self.rereads.sources.get_mut(key) else {
            return;
        };
        reread.is_running = false;
        reread.is_hanging = false;
        if std::mem::take(&mut reread.is_outdated) {
            return;
        }
        let started = reread.started.unwrap_or(now.elapsed);
        let ended = reread
            .waiting
            .extract_if(.., |(_, since)| *since <= started);
        let ended: Vec<Ticket> = ended.map(|(ticket, _)| ticket).collect();
        self.absorb_reread(key, answers, now);
        let resumed = ended.into_iter().map(Effect::Resume);
        self.effects.extend(resumed);
    }

    fn absorb_reread(&mut self, key: &Arc<str>, answers: Vec<Result<Loaded, Failed>>, now: Now) {
        let Some(watch) = self.watches.get_mut(key).map(Arc::make_mut) else {
            return;
        };
        let before: Vec<Arc<Loaded>> = watch.kept.iter().map(|k| k.loaded.clone()).collect();
        let mut lines = Vec::new();
        for loaded in answers.into_iter().flatten() {
            // The regular fetch adds new files of a pattern.
            if watch.kept.iter().any(|k| k.loaded.name == loaded.name) {
                let news = watch.absorb_one(Ok(loaded), now.clock);
                lines.extend(news.changed.iter().map(LogLine::info));
            }
        }
        let mut both = std::iter::zip(&before, &watch.kept);
        if both.any(|(old, new)| !Arc::ptr_eq(old, &new.loaded)) {
            let remembered = watch.kept.iter().map(Remembered::from).collect();
            self.record(|_| Note::Remember(key.to_string(), remembered));
        }
        lines.into_iter().for_each(|line| self.log(line));
        // A regular fetch may have returned the change shortly before, and no plan has it yet.
        if !self.is_planned(key) {
            self.replan(now);
        }
    }

    /// Returns true if the plan has the expected certificates of an entry.
    fn is_planned(&self, key: &str) -> bool {
        let planned = self.plan.watches.get(key).map(|watch| &watch.kept);
        let known = self.watches.get(key).map(|watch| &watch.kept);
        let (Some(planned), Some(known)) = (planned, known) else {
            return false;
        };
        let mut both = std::iter::zip(planned, known);
        planned.len() == known.len()
            && both.all(|(a, b)| Arc::ptr_eq(&a.loaded.expected, &b.loaded.expected))
    }

    /// Notes that the regular fetch of an entry ended.
    pub(super) fn end_fetch_beside_reread(&mut self, key: &str) {
        if let Some(reread) = self.rereads.sources.get_mut(key) {
            reread.is_hanging &= reread.is_running;
            // It began during the reading, and has the newer content.
            reread.is_outdated = reread.is_running;
        }
    }

    /// Removes the readings of entries that are no longer in the configuration.
    pub(super) fn forget_rereads(&mut self) {
        let watches = &self.watches;
        let mut ended = Vec::new();
        self.rereads.sources.retain(|key, reread| {
            let is_kept = watches.contains_key(key);
            if !is_kept {
                ended.append(&mut reread.waiting);
            }
            is_kept || reread.is_running
        });
        let resumed = ended.into_iter().map(|(ticket, _)| Effect::Resume(ticket));
        self.effects.extend(resumed);
    }

    /// Ends the wait of all probes.
    pub(super) fn end_rereads(&mut self) {
        for reread in self.rereads.sources.values_mut() {
            let ended = std::mem::take(&mut reread.waiting).into_iter();
            self.effects.extend(ended.map(|(t, _)| Effect::Resume(t)));
        }
    }
}

#[cfg(test)]
mod tests;
