//! Requests to sources, and their results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::source::Loaded;
use crate::store::Remembered;

use super::super::expectations::{MAX_ALONE, News, RETRY};
use super::super::history_writer::Note;
use super::vantage::Subject;
use super::{Effect, Fetched, LogLine, Now, State};

/// Maximum concurrent requests to sources.
pub(super) const MAX_SOURCES: usize = 8;
/// Pause before the next request if the source does not return an announced certificate yet.
pub(super) const SECOND_TRY: Duration = Duration::from_secs(15);
/// Results of sources within this time share one new plan.
pub(in crate::serve) const REPLAN_PAUSE: Duration = Duration::from_millis(250);
/// The same for results that change nothing. Thousands of files are fetched again every minute, and
/// a plan for all of them costs a thousand times as much as one fetch.
const UNCHANGED_REPLAN_PAUSE: Duration = Duration::from_secs(30);

/// Number of entries for which both are longer by [`REPLAN_PAUSE`]. A plan of a million entries takes
/// seconds.
const REPLAN_STEP: usize = 4_000;

/// Request to the source of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::serve) struct SourceRequest {
    /// Key of the entry.
    pub(in crate::serve) key: Arc<str>,
    /// Common name of the one requested certificate of an account; `None` requests all.
    pub(in crate::serve) only: Option<String>,
}

impl SourceRequest {
    /// Returns a request for all certificates.
    pub(in crate::serve) fn whole(key: &Arc<str>) -> Self {
        Self {
            key: key.clone(),
            only: None,
        }
    }
}

/// Returns the time until the next plan after a result of a source, which is known or new.
fn replan_pause(is_known: bool, entries: usize) -> Duration {
    let pause = match is_known {
        true => UNCHANGED_REPLAN_PAUSE,
        false => REPLAN_PAUSE,
    };
    let steps = u32::try_from(entries / REPLAN_STEP).unwrap_or(u32::MAX);
    pause + REPLAN_PAUSE.saturating_mul(steps)
}

impl State {
    /// Starts the requests that are due.
    pub(super) fn start_fetches(&mut self, now: Now) {
        while self.sources.running() < MAX_SOURCES
            && let Some(request) = self.sources.start(now.elapsed)
        {
            let Some(watch) = self.watches.get(&request.key) else {
                self.sources.finish_at(&request, None, now.elapsed);
                continue;
            };
            self.effects.push(Effect::Fetch {
                entry: watch.entry.clone(),
                known: watch.known_places.clone(),
                instances: Arc::new(watch.known_instances(request.only.as_deref())),
                request,
            });
        }
    }

    /// Returns the start time of the next request; `None` while all slots are busy.
    pub(super) fn next_fetch(&self) -> Option<Duration> {
        let is_free = self.sources.running() < MAX_SOURCES;
        self.sources.next_due().filter(|_| is_free)
    }

    /// Applies the result of a request.
    pub(super) fn on_source_result(&mut self, request: &SourceRequest, fetched: Fetched, now: Now) {
        let key = &request.key;
        self.end_fetch_beside_reread(key);
        let Some(watch) = self.watches.get_mut(key).map(Arc::make_mut) else {
            self.sources.finish_at(request, None, now.elapsed);
            if request.only.is_none() {
                let refresh = self.settings.times.refresh;
                self.lost.on_source_result(key, fetched, refresh, now);
            }
            return;
        };
        let was_up = watch.up;
        if let Some(known_places) = fetched.known_places {
            watch.known_places = Arc::new(known_places);
        }
        let before: Vec<Arc<Loaded>> = watch.kept.iter().map(|k| k.loaded.clone()).collect();
        let mut answers = fetched.answers;
        let news = match &request.only {
            None => {
                let newer = self.newer.remove(key).unwrap_or_default();
                watch.absorb(watch.with_newer(answers, &newer), now.clock)
            }
            Some(cn) => {
                let is_older_coming = self.sources.is_running(&SourceRequest::whole(key));
                if is_older_coming && answers.iter().any(Result::is_ok) {
                    let newer = self.newer.entry(key.clone()).or_default();
                    newer.insert(cn.clone());
                }
                match answers.is_empty() {
                    true => News::default(),
                    false => watch.absorb_one(answers.swap_remove(0), now.clock),
                }
            }
        };
        let is_known = was_up == Some(true)
            && watch.up == Some(true)
            && before.len() == watch.kept.len()
            && std::iter::zip(&before, &watch.kept).all(|(old, new)| Arc::ptr_eq(old, &new.loaded));
        let mut lines: Vec<LogLine> = news.errors.iter().map(LogLine::warning).collect();
        if was_up == Some(false) && watch.up == Some(true) {
            let source = watch.source().unwrap_or_else(|| key.to_string());
            lines.push(LogLine::info(format_args!(
                "{source}: the source answers again"
            )));
        }
        lines.extend(news.changed.iter().map(LogLine::info));
        // A source that has only failed has no results that could replace the stored ones.
        let has_answered = watch.up == Some(true) || !watch.kept.is_empty();
        let is_new = watch.is_asked_over_network() || was_up.is_none() || !news.changed.is_empty();
        let remembered = (self.has_store && has_answered && is_new)
            .then(|| watch.kept.iter().map(Remembered::from).collect());
        if let Some(remembered) = remembered {
            let note = Note::Remember(key.to_string(), remembered);
            self.effects.push(Effect::Record(note));
        }
        lines.into_iter().for_each(|line| self.log(line));
        self.reschedule(request, !news.changed.is_empty(), now);
        let until = now.elapsed + replan_pause(is_known, self.watches.len());
        self.outdated = Some(self.outdated.map_or(until, |before| before.min(until)));
    }

    /// Finishes a request, and plans the requests that follow from its result.
    fn reschedule(&mut self, request: &SourceRequest, has_changed: bool, now: Now) {
        let key = &request.key;
        let awaited = self.awaiting.remove(request);
        if let Some(awaited) = &awaited {
            // A notification means that the targets must be probed, even if the instance was known
            // before.
            let of_entry = self.plan.targets.iter();
            let of_entry = of_entry.filter(|(_, planned)| planned.key == *key);
            let announced = of_entry.filter(|(_, planned)| {
                let loaded = planned.expectation.as_ref().ok().map(|kept| &kept.loaded);
                let cn = loaded.and_then(|loaded| loaded.common_name.as_ref());
                cn.is_some_and(|cn| awaited.contains(cn))
            });
            let announced: Vec<Subject> = announced
                .filter_map(|(target, _)| self.targets.get(target).cloned())
                .flat_map(|t| [Subject::group(key, &t), Subject::Target(t)])
                .collect();
            self.hurry(&announced, now);
        }
        let Some(watch) = self.watches.get(key) else {
            return;
        };
        let failing = watch.failing_alone();
        let next = match &request.only {
            _ if awaited.is_some() && !has_changed => Some(SECOND_TRY),
            Some(cn) => failing.contains(cn).then_some(RETRY),
            None => watch.refresh_after(self.settings.times.refresh),
        };
        let next = next.map(|after| now.elapsed + after);
        self.sources.finish_at(request, next, now.elapsed);
        for cn in failing {
            self.sources
                .add(watch.request(key, cn), now.elapsed + RETRY);
        }
    }

    /// Makes probes due now.
    pub(super) fn hurry(&mut self, subjects: &[Subject], now: Now) {
        for schedule in self.schedules.values_mut() {
            for subject in subjects {
                schedule.queue.hurry(subject, now.elapsed);
            }
        }
    }

    /// Requests a certificate that was issued.
    pub(super) fn on_issued(&mut self, cn: &str, now: Now) {
        let about = self.watches.iter().filter(|(_, watch)| watch.is_about(cn));
        let mut requests: BTreeMap<SourceRequest, bool> = BTreeMap::new();
        for (key, watch) in about {
            let mut request = watch.request(key, cn);
            let alone = self.sources.keys().filter(|request| request.only.is_some());
            if alone.count() >= MAX_ALONE {
                request.only = None;
            }
            // An unknown name has no targets to probe, and may be any text.
            requests.insert(request, watch.knows(cn));
        }
        for (request, is_known) in requests {
            self.sources.add(request.clone(), now.elapsed);
            self.sources.hurry(&request, now.elapsed);
            let awaited = self.awaiting.entry(request).or_default();
            if is_known {
                awaited.insert(cn.to_owned());
            }
        }
    }

    /// Makes a new plan if sources have returned results. Results shortly after each other share
    /// one plan.
    pub(super) fn replan_if_due(&mut self, now: Now) {
        let is_quiet = self.sources.running() == 0;
        if let Some(until) = self.outdated
            && (is_quiet || now.elapsed >= until)
        {
            self.replan(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_many_entries_are_further_apart() {
        assert_eq!(replan_pause(false, 100), REPLAN_PAUSE);
        assert_eq!(replan_pause(true, 100), UNCHANGED_REPLAN_PAUSE);
        let of_million = replan_pause(false, 1_000_000);
        let seconds = Duration::from_secs(60)..Duration::from_secs(70);
        assert!(seconds.contains(&of_million), "{of_million:?}");
        assert_eq!(
            replan_pause(true, 1_000_000),
            of_million - REPLAN_PAUSE + UNCHANGED_REPLAN_PAUSE
        );
    }
}
