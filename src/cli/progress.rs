//! What is told on stderr while looks are taken: a bar on a terminal, results as they arrive, and what a rollout is
//! waited for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::time::Instant;

use crate::judge::{Judged, Verdict};
use crate::model::{Timestamp, Vantage, and_more};
use crate::report;
use crate::scan::Progress;

use super::output;

/// Where nothing has changed, a log that nobody watches gets a line as often as this.
const CALM: Duration = Duration::from_secs(30);
/// How often the time that is left is drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// So many addresses that are waited for are named.
const MAX_TOLD: usize = 3;

/// Tells how far things are.
pub(super) struct Teller {
    /// Whether somebody watches.
    is_watched: bool,
    /// Whether each result is told as it arrives.
    tells_results: bool,
    /// What was told of each, so that later looks only tell what is another.
    results: HashMap<(String, Vantage), String>,
    bar: ProgressBar,
    rollout: Option<Rollout>,
    told: Option<(String, Instant)>,
}

impl Teller {
    /// `may_draw` says whether stderr is free to draw on; `give_up` when waiting ends, where there is any.
    pub(super) fn new(may_draw: bool, verbose: u8, give_up: Option<Instant>) -> Self {
        Self {
            is_watched: may_draw && output::is_drawable(),
            tells_results: verbose > 0,
            results: HashMap::new(),
            bar: ProgressBar::hidden(),
            rollout: give_up.map(Rollout::new),
            told: None,
        }
    }

    /// Whether stderr is a terminal that somebody watches.
    pub(super) fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Before the first look, and before each further one.
    pub(super) fn begin(&mut self) {
        // While a rollout is waited for its line stays.
        if self.is_watched && self.told.is_none() {
            self.bar = output::bar(ProgressBar::new(0).with_style(bar_style()));
        }
    }

    /// One step of a scan.
    pub(super) fn step(&mut self, progress: Progress<'_>, now: Timestamp) {
        match progress {
            Progress::Targets { done, targets } => {
                if self.told.is_none() {
                    self.bar.set_length(targets as u64);
                    self.bar.set_position(done as u64);
                }
            }
            Progress::Judged(judged) => {
                if self.tells_results {
                    self.tell(judged, now);
                }
                if let Some(rollout) = &mut self.rollout {
                    rollout.see(judged);
                    if self.told.is_some() && self.is_watched {
                        self.bar.set_message(rollout.to_string());
                    }
                }
            }
        }
    }

    fn tell(&mut self, judged: &Judged, now: Timestamp) {
        let line = report::line(judged, &output::style_on_stderr(now));
        let key = (report::place(judged), judged.observation.vantage.clone());
        if self.results.get(&key) != Some(&line) {
            output::note(&line);
            self.results.insert(key, line);
        }
    }

    /// After a look that was not right: what is waited for.
    pub(super) fn wait_for(&mut self, results: &[Judged], now: Instant) {
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        // Addresses may have gone since.
        rollout.well.clear();
        results.iter().for_each(|judged| rollout.see(judged));
        let text = rollout.to_string();
        self.wait_with(text, now);
    }

    /// After a try without any look: waiting for the source of the expected certificate.
    pub(super) fn wait_for_source(&mut self, now: Instant) {
        self.wait_with(
            "waiting for the source of the expected certificate".into(),
            now,
        );
    }

    fn wait_with(&mut self, text: String, now: Instant) {
        let Some(rollout) = &self.rollout else { return };
        if self.is_watched {
            if self.told.is_none() {
                self.bar.finish_and_clear();
                self.bar = output::bar(ProgressBar::new_spinner());
                self.bar.set_style(waiting_style(rollout.give_up));
                self.bar.enable_steady_tick(TICK);
            }
            self.bar.set_message(text.clone());
            self.told = Some((text, now));
            return;
        }
        let is_due = match &self.told {
            Some((before, at)) => *before != text || now.saturating_duration_since(*at) >= CALM,
            None => true,
        };
        if is_due {
            let left = seconds(rollout.give_up.saturating_duration_since(now));
            output::note(&format!("{text}; {left} left"));
            self.told = Some((text, now));
        }
    }

    /// Takes away what was drawn, before the result is written.
    pub(super) fn end(&mut self) {
        self.bar.finish_and_clear();
    }

    /// How a wait ended, where there was one.
    pub(super) fn waited(&self, results: &[Judged], took: Duration) -> Option<String> {
        self.told.as_ref()?;
        let mut rollout = Rollout::new(Instant::now());
        results.iter().for_each(|judged| rollout.see(judged));
        let (well, all) = rollout.count();
        let took = seconds(took);
        Some(if well == all {
            format!("{well} of {all} addresses serve it, after {took}")
        } else {
            format!("gave up after {took}: {rollout}")
        })
    }
}

fn bar_style() -> ProgressStyle {
    let template = "{bar:20} {pos}/{len} hosts{pace}";
    // The template is a constant, and a test sees it drawn.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("pace", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Before the first is done nobody knows how fast it goes.
        if state.pos() > 0 {
            let left = seconds(state.eta());
            let _ = write!(out, ", {:.0}/s, {left} left", state.per_sec());
        }
    })
}

fn waiting_style(give_up: Instant) -> ProgressStyle {
    let template = "{spinner} {wide_msg} {left} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.with_key(
        "left",
        move |_: &ProgressState, out: &mut dyn fmt::Write| {
            let left = give_up.saturating_duration_since(Instant::now());
            let _ = out.write_str(&seconds(left));
        },
    )
}

/// `3m 20s`: nobody waits by the millisecond.
fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// What `--wait` waits for: the certificate is right and its chain is there. A kind of key that the server does not have is
/// not waited for.
pub(super) fn is_well(judged: &Judged) -> bool {
    match &judged.verdict {
        Verdict::Conclusive(flags) => flags.correct && flags.chained,
        Verdict::Inconclusive(_) => judged.is_of_absent_key(),
    }
}

/// How far a new certificate has come: each address, and whether each vantage found it well.
struct Rollout {
    give_up: Instant,
    well: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Rollout {
    fn new(give_up: Instant) -> Self {
        Self {
            give_up,
            well: BTreeMap::new(),
        }
    }

    fn see(&mut self, judged: &Judged) {
        let vantage = judged.observation.vantage.to_string();
        let seen = self.well.entry(report::place(judged)).or_default();
        seen.insert(vantage, is_well(judged));
    }

    /// Addresses that are well, and all of them.
    fn count(&self) -> (usize, usize) {
        let all = self.well.len();
        (all - self.waiting().count(), all)
    }

    fn waiting(&self) -> impl Iterator<Item = &str> {
        let is_waiting = |(_, seen): &(&String, &BTreeMap<String, bool>)| seen.values().any(|w| !w);
        self.well
            .iter()
            .filter(is_waiting)
            .map(|(place, _)| place.as_str())
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (well, all) = self.count();
        write!(f, "{well} of {all} addresses serve it")?;
        match all - well {
            0 => Ok(()),
            missing => {
                let waiting = and_more(self.waiting().take(MAX_TOLD), missing);
                write!(f, "; waiting for {waiting}")
            }
        }
    }
}
