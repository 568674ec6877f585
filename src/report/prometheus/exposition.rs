//! Prometheus' text format. Samples are gathered first, as spans of shared text, and written in
//! pieces.

use std::collections::VecDeque;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use super::Metric;
use super::gathered::{Gathered, start};

/// Metrics in memory. The samples of a metric are adjacent, as the format requires.
///
/// The text of ten thousand endpoints is 30 MB, and repeats their labels some twenty times each.
/// Labels are stored once, and the text is generated when it is sent. Those of endpoints are
/// [gathered](Gathered) separately.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Text that samples share, concatenated.
    words: String,
    parts: Vec<Part>,
    /// Text after the last part.
    text: String,
}

#[derive(Debug)]
struct Part {
    text: String,
    samples: PartSamples,
}

/// Samples after the text of a part.
#[derive(Debug)]
enum PartSamples {
    /// Samples of the shared text.
    Listed {
        /// Start of each sample: the metric's name and a brace.
        start: String,
        samples: Vec<Sample>,
    },
    /// Samples of a metric of gathered endpoints.
    Gathered(Arc<Gathered>, Metric),
}

/// Range of the shared text. 32 bits are enough for the text of five million endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    from: u32,
    to: u32,
}

/// A sample with labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) labels: Span,
    /// Further labels, the brace, the value and the end of the line.
    pub(super) rest: Span,
}

impl Exposition {
    /// Releases unused capacity, for an exposition that is kept.
    pub fn done(mut self) -> Self {
        self.words.shrink_to_fit();
        self.text.shrink_to_fit();
        for part in &mut self.parts {
            if let PartSamples::Listed { samples, .. } = &mut part.samples {
                samples.shrink_to_fit();
            }
        }
        self
    }

    /// Begins a metric with its HELP and TYPE lines. Its samples follow.
    pub fn begin(&mut self, metric: Metric) -> Samples<'_> {
        let (name, kind) = (metric.name(), metric.kind().name());
        let help = metric.help().replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Samples {
            text: &mut self.text,
            name,
        }
    }

    /// Adds a metric with one sample without labels.
    pub fn value(&mut self, metric: Metric, value: impl Display) {
        self.begin(metric).put("", value);
    }

    /// Adds a metric with samples that were gathered before.
    pub(super) fn series(&mut self, metric: Metric, samples: Vec<Sample>) {
        self.begin(metric);
        let start = start(metric);
        self.push(PartSamples::Listed { start, samples });
    }

    /// Adds a metric of gathered endpoints.
    pub(super) fn gathered(&mut self, metric: Metric, gathered: &Arc<Gathered>) {
        self.begin(metric);
        self.push(PartSamples::Gathered(gathered.clone(), metric));
    }

    fn push(&mut self, samples: PartSamples) {
        let text = std::mem::take(&mut self.text);
        self.parts.push(Part { text, samples });
    }

    /// Adds labels for any number of samples.
    pub(super) fn shared(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let from = self.words.len();
        write(&mut self.words);
        Span {
            from: place(from),
            to: place(self.words.len()),
        }
    }

    /// Adds the part of a sample after its shared labels: further labels and the value.
    pub(super) fn rest(&mut self, more: &[(&str, &str)], value: impl Display) -> Span {
        self.shared(|text| write_rest(text, more, value))
    }

    pub(super) fn words(&self, span: Span) -> &str {
        words(&self.words, span)
    }

    /// Returns the whole text.
    pub fn finish(self) -> String {
        let mut pieces = Pieces::new([Arc::new(self)]);
        let mut text = String::with_capacity(pieces.left());
        pieces.write(&mut text, usize::MAX);
        text
    }

    fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum::<usize>() + self.text.len()
    }
}

/// Capacity in bytes for the text of one endpoint, which rarely needs more.
const USUAL_TEXT: usize = 2048;
/// Capacity for the samples of one endpoint.
const USUAL_SAMPLES: usize = 24;

/// Samples of one endpoint without its labels, as text that is kept. Most endpoints have the same
/// samples as others.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Rendered {
    /// Rests of the samples, concatenated.
    text: Box<str>,
    /// Metric and end of each sample. A sample begins at the end of the previous one.
    samples: Box<[(Metric, u32)]>,
}

impl Rendered {
    /// Returns the metric of each sample, and its text after the labels of the endpoint.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Metric, &str)> {
        let mut from = 0;
        self.samples.iter().map(move |(metric, to)| {
            let span = Span { from, to: *to };
            from = *to;
            (*metric, words(&self.text, span))
        })
    }

    /// Returns the text of the samples of a metric after the labels of the endpoint.
    pub(super) fn of(&self, metric: Metric) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.samples.iter().filter_map(move |(of, to)| {
            let span = Span { from, to: *to };
            from = *to;
            (*of == metric).then(|| words(&self.text, span))
        })
    }
}

/// Samples of one endpoint that are being written.
#[derive(Debug)]
pub(super) struct Rendering {
    text: String,
    samples: Vec<(Metric, u32)>,
}

impl Rendering {
    /// Creates an instance without samples.
    pub(super) fn new() -> Self {
        Self {
            text: String::with_capacity(USUAL_TEXT),
            samples: Vec::with_capacity(USUAL_SAMPLES),
        }
    }

    /// Adds a sample, with further labels or none.
    pub(super) fn put(&mut self, metric: Metric, more: &[(&str, &str)], value: impl Display) {
        write_rest(&mut self.text, more, value);
        self.samples.push((metric, place(self.text.len())));
    }

    /// Returns the samples.
    pub(super) fn done(self) -> Rendered {
        Rendered {
            text: self.text.into(),
            samples: self.samples.into(),
        }
    }
}

impl Part {
    fn len(&self) -> usize {
        self.text.len()
            + match &self.samples {
                PartSamples::Listed { start, samples } => {
                    let of_sample = |s: &Sample| start.len() + s.labels.len() + s.rest.len();
                    samples.iter().map(of_sample).sum()
                }
                PartSamples::Gathered(gathered, metric) => gathered.bytes(*metric),
            }
    }

    /// Returns the number of steps in which the samples are written.
    fn steps(&self) -> usize {
        match &self.samples {
            PartSamples::Listed { samples, .. } => samples.len(),
            PartSamples::Gathered(gathered, metric) => gathered.steps(*metric),
        }
    }

    /// Writes samples from a step on, until there are `enough` bytes. Returns the next step.
    fn write(&self, shared: &str, from: usize, text: &mut String, enough: usize) -> usize {
        match &self.samples {
            PartSamples::Listed { start, samples } => {
                let mut at = from;
                for sample in samples.get(from..).unwrap_or_default() {
                    if text.len() >= enough {
                        break;
                    }
                    text.push_str(start);
                    text.push_str(words(shared, sample.labels));
                    text.push_str(words(shared, sample.rest));
                    at += 1;
                }
                at
            }
            PartSamples::Gathered(gathered, metric) => gathered.write(*metric, from, text, enough),
        }
    }
}

impl Span {
    fn len(self) -> usize {
        self.range().len()
    }

    fn range(self) -> std::ops::Range<usize> {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        place(self.from)..place(self.to)
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[inline]
fn words(all: &str, span: Span) -> &str {
    all.get(span.range()).unwrap_or_default()
}

/// Writer of concatenated expositions. Those that seldom change are gathered once and shared.
#[derive(Debug)]
pub struct Pieces {
    /// Expositions that are not completely written. The first may be written in part.
    expositions: VecDeque<Arc<Exposition>>,
    /// Index of the first part that is not completely written.
    part: usize,
    /// Next step of its samples. `None` until the part's text is written.
    step: Option<usize>,
    left: usize,
}

impl Pieces {
    /// Creates a writer of these expositions, whose metrics must be distinct.
    pub fn new(expositions: impl IntoIterator<Item = Arc<Exposition>>) -> Self {
        let expositions: VecDeque<_> = expositions.into_iter().collect();
        Self {
            left: expositions.iter().map(|one| one.len()).sum(),
            expositions,
            part: 0,
            step: None,
        }
    }

    /// Returns the number of bytes that are not written yet.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Writes until there are `enough` bytes or everything is written. It completes the samples of
    /// the last endpoint.
    pub fn write(&mut self, text: &mut String, enough: usize) {
        let before = text.len();
        while text.len() < enough
            && let Some(exposition) = self.expositions.front()
        {
            if let Some(part) = exposition.parts.get(self.part) {
                let from = self.step.unwrap_or_else(|| {
                    text.push_str(&part.text);
                    0
                });
                let step = part.write(&exposition.words, from, text, enough);
                self.step = (step < part.steps()).then_some(step);
                if self.step.is_none() {
                    self.part += 1;
                }
            } else {
                text.push_str(&exposition.text);
                self.expositions.pop_front();
                self.part = 0;
            }
        }
        self.left = match self.expositions.is_empty() {
            // Zero also if the shared text exceeded 32 bits. The response is then truncated.
            true => 0,
            false => self.left.saturating_sub(text.len() - before),
        };
    }
}

/// Samples of one metric.
pub struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Samples<'_> {
    /// Adds a sample with labels as [`labels`] formats them.
    pub fn put(&mut self, labels: &str, value: impl Display) {
        self.put_part("", labels, value);
    }

    /// Adds a sample of a part of a histogram: `_bucket`, `_sum` or `_count`.
    pub fn put_part(&mut self, part: &str, labels: &str, value: impl Display) {
        self.text.extend([self.name, part]);
        if !labels.is_empty() {
            self.text.extend(["{", labels, "}"]);
        }
        put_value(self.text, value);
    }
}

/// Writes the part of a sample after its shared labels: further labels, the brace and the value.
fn write_rest(text: &mut String, more: &[(&str, &str)], value: impl Display) {
    write_labels(text, true, more.iter().copied());
    text.push('}');
    put_value(text, value);
}

fn put_value(text: &mut String, value: impl Display) {
    let _ = writeln!(text, " {value}");
}

/// Formats labels without braces, escaped.
pub fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    write_labels(&mut text, false, pairs);
    text
}

/// Writes labels, optionally after others.
pub(super) fn write_labels<'a>(
    text: &mut String,
    mut behind_others: bool,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    for (name, value) in pairs {
        if behind_others {
            text.push(',');
        }
        behind_others = true;
        text.push_str(name);
        text.push_str("=\"");
        let is_special = |byte: u8| matches!(byte, b'\\' | b'"' | b'\n');
        if value.bytes().any(is_special) {
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    c => text.push(c),
                }
            }
        } else {
            // Almost all values need no escaping.
            text.push_str(value);
        }
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_escaped() {
        let text = labels([("a", "x\"y\\z\nend"), ("b", "")]);
        assert_eq!(text, r#"a="x\"y\\z\nend",b="""#);
    }

    /// Returns samples of every kind. Those of `shared` have a metric of their own.
    fn exposition(shared: &[String]) -> Exposition {
        let mut out = Exposition::default();
        let mut samples = out.begin(Metric::EndpointStatus);
        samples.put("a=\"b\"", 0.5);
        samples.put("", 7);
        samples.put_part("_sum", "a=\"b\"", 2);
        let mut gathered = Vec::new();
        for value in shared {
            let labels = out.shared(|text| write_labels(text, false, [("a", value.as_str())]));
            let plain = out.rest(&[], 0);
            let more = out.rest(&[("c", "\"d\""), ("e", "")], 1);
            gathered.extend([plain, more].map(|rest| Sample { labels, rest }));
        }
        out.series(Metric::EndpointInfo, gathered);
        out.value(Metric::CycleLag, 3);
        out
    }

    #[test]
    fn samples_follow_the_header_of_their_metric() {
        let text = exposition(&["b".to_owned()]).finish();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        let status = Metric::EndpointStatus.name();
        let info = Metric::EndpointInfo.name();
        let wanted = [
            format!(r#"{status}{{a="b"}} 0.5"#),
            format!("{status} 7"),
            format!(r#"{status}_sum{{a="b"}} 2"#),
            format!(r#"{info}{{a="b"}} 0"#),
            format!(r#"{info}{{a="b",c="\"d\"",e=""}} 1"#),
            format!("{} 3", Metric::CycleLag.name()),
        ];
        assert_eq!(samples, wanted);
        let heads = text.lines().filter(|l| l.starts_with("# TYPE"));
        assert_eq!(heads.count(), 3);
    }

    proptest! {
        #[test]
        fn exposition_chunks_concatenate_to_the_whole(
            values in proptest::collection::vec(".*", 0..20),
            enough in 1_usize..300,
        ) {
            let (half, rest) = values.split_at(values.len() / 2);
            let whole = exposition(half).finish() + &exposition(rest).finish();
            let mut pieces = Pieces::new([half, rest].map(|values| Arc::new(exposition(values))));
            prop_assert_eq!(pieces.left(), whole.len());
            let mut text = String::new();
            while pieces.left() > 0 {
                let mut piece = String::new();
                pieces.write(&mut piece, enough);
                prop_assert!(!piece.is_empty());
                text.push_str(&piece);
                prop_assert_eq!(pieces.left(), whole.len() - text.len());
            }
            prop_assert_eq!(text, whole);
        }

        #[test]
        fn any_label_value_is_escaped(value in ".*") {
            let text = labels([("a", value.as_str())]);
            prop_assert!(!text.contains('\n'));
            // Parsed by the rules of the format.
            let inner = text.strip_prefix("a=\"").and_then(|t| t.strip_suffix('"')).unwrap();
            let mut read = String::new();
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                prop_assert_ne!(c, '"');
                match (c, c == '\\') {
                    (_, true) => match chars.next() {
                        Some('n') => read.push('\n'),
                        Some(other) => read.push(other),
                        None => prop_assert!(false, "a lone backslash"),
                    },
                    (c, false) => read.push(c),
                }
            }
            prop_assert_eq!(read, value);
        }
    }
}
