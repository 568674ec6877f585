//! Counters since the start: probes by status, and the duration of their phases.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::judge::Judged;
use crate::model::Vantage;
use crate::observation::Status;
use crate::report::prometheus::{Exposition, Metric, labels};

/// Upper bounds of the buckets, in seconds: from a probe of the same machine to the longest
/// timeouts.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
const PHASES: [&str; 4] = ["resolve", "connect", "starttls", "handshake"];
/// Counters since the start.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Probes by vantage, in the order of `Status::ALL`.
    looks: BTreeMap<String, [u64; Status::ALL.len()]>,
    phases: [Histogram; PHASES.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Histogram {
    /// Observations in each bucket, not cumulative.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

impl Histogram {
    fn note(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let mut buckets = self.buckets.iter_mut().zip(BUCKETS);
        if let Some((bucket, _)) = buckets.find(|(_, end)| seconds <= *end) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += duration;
    }
}

impl Counters {
    /// Counts the probes of one target.
    pub(super) fn count<'a>(&self, results: impl Iterator<Item = &'a Judged> + Clone) {
        let mut counts = self.lock();
        for judged in results.clone() {
            let status = judged.status();
            let vantage = judged.observation.vantage.as_str();
            let of_vantage = match counts.looks.get_mut(vantage) {
                Some(of_vantage) => of_vantage,
                None => counts.looks.entry(vantage.to_owned()).or_default(),
            };
            let slots = Status::ALL.iter().zip(of_vantage);
            if let Some((_, count)) = slots.into_iter().find(|(one, _)| **one == status) {
                *count += 1;
            }
        }
        let local = || {
            results
                .clone()
                .map(|j| &j.observation)
                .filter(|o| o.vantage.is_local())
        };
        // A name is resolved once for all of its addresses.
        let resolve = local().find_map(|o| o.timings.resolve);
        let [resolves, connects, starttls, handshakes] = &mut counts.phases;
        resolve.into_iter().for_each(|d| resolves.note(d));
        for timings in local().map(|o| o.timings) {
            timings.connect.into_iter().for_each(|d| connects.note(d));
            timings.starttls.into_iter().for_each(|d| starttls.note(d));
            timings
                .handshake
                .into_iter()
                .for_each(|d| handshakes.note(d));
        }
    }

    /// Writes the counters as metrics.
    pub(super) fn write(&self, out: &mut Exposition) {
        let counts = self.lock();
        let mut samples = out.begin(Metric::ProbePhaseDuration);
        for (phase, histogram) in PHASES.iter().zip(&counts.phases) {
            let mut total = 0;
            for (count, end) in histogram.buckets.iter().zip(BUCKETS) {
                total += count;
                let labels = labels([("phase", *phase), ("le", &end.to_string())]);
                samples.put_part("_bucket", &labels, total);
            }
            let infinite = labels([("phase", *phase), ("le", "+Inf")]);
            samples.put_part("_bucket", &infinite, histogram.count);
            let phase = labels([("phase", *phase)]);
            samples.put_part("_sum", &phase, histogram.sum.as_secs_f64());
            samples.put_part("_count", &phase, histogram.count);
        }
        let mut samples = out.begin(Metric::Probes);
        let none = [0; Status::ALL.len()];
        let local = counts.looks.get(Vantage::LOCAL).unwrap_or(&none);
        let others = counts.looks.iter().filter(|(v, _)| *v != Vantage::LOCAL);
        let local = std::iter::once((Vantage::LOCAL, local));
        for (vantage, of_vantage) in local.chain(others.map(|(v, c)| (v.as_str(), c))) {
            for (status, count) in Status::ALL.iter().zip(of_vantage) {
                let labels = labels([("vantage", vantage), ("status", status.name())]);
                samples.put(&labels, count);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_counts_observations_in_buckets() {
        let mut histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 300, 20_000] {
            histogram.note(Duration::from_millis(milliseconds));
        }
        assert_eq!(histogram.buckets[0], 2);
        assert_eq!(histogram.buckets[1], 1);
        assert_eq!(histogram.buckets[8], 1);
        // An observation above the last bucket is only in the total count.
        assert_eq!(histogram.buckets.iter().sum::<u64>(), 4);
        assert_eq!(histogram.count, 5);
        assert_eq!(histogram.sum, Duration::from_millis(20_303));
    }
}
