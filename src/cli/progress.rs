//! Progress on stderr while probes run: a bar on a terminal, results as they arrive, and the state
//! of a rollout.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use textwrap::core::display_width;
use tokio::time::Instant;

use crate::judge::{Judged, Verdict};
use crate::model::{Timestamp, Vantage, and_more};
use crate::report;
use crate::scan::Progress;

use super::output;

/// Interval of lines in a log if nothing changes.
const CALM: Duration = Duration::from_secs(30);
/// Interval at which the remaining time is redrawn.
const TICK: Duration = Duration::from_secs(1);
/// Maximum addresses that are named while waiting.
const MAX_NAMED_ADDRESSES: usize = 3;

/// Reports progress.
pub(super) struct Reporter {
    /// True if stderr is a terminal on which progress is drawn.
    is_drawn: bool,
    /// True if each result is reported as it arrives.
    shows_results: bool,
    /// Last reported text of each place and vantage, so that later probes report only changes.
    results: HashMap<(String, Vantage), String>,
    bar: ProgressBar,
    rollout: Option<Rollout>,
    shown: Option<(String, Instant)>,
}

impl Reporter {
    /// Creates a reporter. It draws on stderr only if `may_draw` is true. `give_up` is when
    /// `--wait` ends.
    pub(super) fn new(may_draw: bool, verbose: u8, give_up: Option<Instant>) -> Self {
        Self {
            is_drawn: may_draw && output::is_drawable(),
            shows_results: verbose > 0,
            results: HashMap::new(),
            bar: ProgressBar::hidden(),
            rollout: give_up.map(Rollout::new),
            shown: None,
        }
    }

    /// Returns true if progress is drawn on stderr.
    pub(super) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// Shows the bar before each round of probes.
    pub(super) fn begin(&mut self) {
        // The line of a rollout stays while waiting for it.
        if self.is_drawn && self.shown.is_none() {
            self.bar = output::bar(ProgressBar::new(0).with_style(bar_style()));
        }
    }

    /// Reports one step of a scan.
    pub(super) fn step(&mut self, progress: Progress<'_>, now: Timestamp) {
        match progress {
            Progress::Targets { done, targets } => {
                if self.shown.is_none() {
                    self.bar.set_length(targets as u64);
                    self.bar.set_position(done as u64);
                }
            }
            Progress::Judged(judged) => {
                if self.shows_results {
                    self.show(judged, now);
                }
                if let Some(rollout) = &mut self.rollout {
                    rollout.see(judged);
                    if self.shown.is_some() && self.is_drawn {
                        rollout.draw(&self.bar);
                    }
                }
            }
        }
    }

    fn show(&mut self, judged: &Judged, now: Timestamp) {
        let line = report::line(judged, &output::style_on_stderr(now));
        let key = (report::place(judged), judged.observation.vantage.clone());
        if self.results.get(&key) != Some(&line) {
            output::note(&line);
            self.results.insert(key, line);
        }
    }

    /// Reports which addresses are not healthy yet, after a round.
    pub(super) fn wait_for(&mut self, results: &[Judged], now: Instant) {
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        // Addresses may have been removed since the previous round.
        rollout.ok.clear();
        results.iter().for_each(|judged| rollout.see(judged));
        let text = rollout.to_string();
        self.wait_with(text, true, now);
    }

    /// Reports that the source has not returned the expected certificate yet.
    pub(super) fn wait_for_source(&mut self, now: Instant) {
        self.wait_with(
            "waiting for the source of the expected certificate".into(),
            false,
            now,
        );
    }

    fn wait_with(&mut self, text: String, is_rollout: bool, now: Instant) {
        let Some(rollout) = &self.rollout else { return };
        if self.is_drawn {
            if self.shown.is_none() {
                self.bar.finish_and_clear();
                self.bar = output::bar(ProgressBar::new_spinner());
                self.bar.set_style(waiting_style(ONE_LINE, rollout.give_up));
                self.bar.enable_steady_tick(TICK);
            }
            match is_rollout {
                true => rollout.draw(&self.bar),
                false => self.bar.set_message(text.clone()),
            }
            self.shown = Some((text, now));
            return;
        }
        let is_due = match &self.shown {
            Some((before, at)) => *before != text || now.saturating_duration_since(*at) >= CALM,
            None => true,
        };
        if is_due {
            let left = seconds(rollout.give_up.saturating_duration_since(now));
            output::note(&format!("{text}; {left} left"));
            self.shown = Some((text, now));
        }
    }

    /// Removes the bar before the result is written.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Returns how the wait ended, or `None` if there was none.
    pub(super) fn waited(&self, results: &[Judged], took: Duration) -> Option<String> {
        self.shown.as_ref()?;
        let mut rollout = Rollout::new(Instant::now());
        results.iter().for_each(|judged| rollout.see(judged));
        let (ok, all) = rollout.count();
        let took = seconds(took);
        Some(if ok == all {
            format!("{ok} of {all} addresses serve it, after {took}")
        } else {
            format!("gave up after {took}: {rollout}")
        })
    }
}

fn bar_style() -> ProgressStyle {
    let template = "{bar:20} {pos}/{len} hosts{pace}";
    // The template is a constant, and a test renders it.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("pace", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // The rate is unknown until the first probe is done.
        if state.pos() > 0 {
            let left = seconds(state.eta());
            let _ = write!(out, ", {:.0}/s, {left} left", state.per_sec());
        }
    })
}

/// Line of a wait, where the text fits the terminal.
const ONE_LINE: &str = "{spinner} {wide_msg} {left} left";
/// Lines of a wait on a narrower terminal: the addresses are below the state.
const TWO_LINES: &str = "{spinner} {prefix}; {left} left; waiting for\n  {wide_msg}";
/// Maximum columns of [`ONE_LINE`] besides the message: the spinner, and ` 59m 59s left`.
const BESIDE_MESSAGE: usize = 16;
/// Columns of [`TWO_LINES`] before the addresses.
const BEFORE_ADDRESSES: usize = 2;

fn waiting_style(template: &str, give_up: Instant) -> ProgressStyle {
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

/// Formats a duration without fractions of a second, such as `3m 20s`.
fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// Returns true if `--wait` is satisfied: the certificate is the expected one and its chain is
/// complete. A key type that the server does not have does not delay it.
pub(super) fn is_ok(judged: &Judged) -> bool {
    match &judged.verdict {
        Verdict::Conclusive(flags) => flags.correct && flags.chained,
        Verdict::Inconclusive(_) => judged.is_of_absent_key(),
    }
}

/// Progress of a rollout: each address, and whether each vantage found it healthy.
struct Rollout {
    give_up: Instant,
    ok: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Rollout {
    fn new(give_up: Instant) -> Self {
        Self {
            give_up,
            ok: BTreeMap::new(),
        }
    }

    fn see(&mut self, judged: &Judged) {
        let vantage = judged.observation.vantage.to_string();
        let seen = self.ok.entry(report::place(judged)).or_default();
        seen.insert(vantage, is_ok(judged));
    }

    /// Returns the number of healthy addresses and the number of all addresses.
    fn count(&self) -> (usize, usize) {
        let all = self.ok.len();
        (all - self.waiting().count(), all)
    }

    /// Formats the number of healthy addresses.
    fn state(&self) -> String {
        let (ok, all) = self.count();
        format!("{ok} of {all} addresses serve it")
    }

    /// Formats the addresses that are not healthy yet, at most `most` of them by name.
    fn missing(&self, most: usize) -> String {
        let (ok, all) = self.count();
        and_more(self.waiting().take(most), all - ok)
    }

    /// Shows the progress in a bar, in one line or two. The first address is shown in full where
    /// the terminal is wide enough for it.
    fn draw(&self, bar: &ProgressBar) {
        let width = output::width_of_stderr().unwrap_or(usize::MAX);
        let text = self.to_string();
        let (ok, all) = self.count();
        if ok == all || display_width(&text) + BESIDE_MESSAGE <= width {
            bar.set_style(waiting_style(ONE_LINE, self.give_up));
            bar.set_message(text);
            return;
        }
        let fits = |text: &String| display_width(text) + BEFORE_ADDRESSES <= width;
        let named = (1..=MAX_NAMED_ADDRESSES)
            .rev()
            .map(|most| self.missing(most));
        let first = || self.waiting().next().unwrap_or_default().to_owned();
        bar.set_style(waiting_style(TWO_LINES, self.give_up));
        bar.set_prefix(self.state());
        bar.set_message(named.into_iter().find(fits).unwrap_or_else(first));
    }

    fn waiting(&self) -> impl Iterator<Item = &str> {
        let is_waiting = |(_, seen): &(&String, &BTreeMap<String, bool>)| seen.values().any(|w| !w);
        self.ok
            .iter()
            .filter(is_waiting)
            .map(|(place, _)| place.as_str())
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state())?;
        match self.missing(MAX_NAMED_ADDRESSES) {
            missing if missing.is_empty() => Ok(()),
            missing => write!(f, "; waiting for {missing}"),
        }
    }
}
