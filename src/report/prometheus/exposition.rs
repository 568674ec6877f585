//! Prometheus' text format. Samples are gathered first, as spans of shared text, and written in
//! pieces.

use std::collections::{HashMap, VecDeque};
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use super::Metric;

/// Metrics in memory. The samples of a metric are adjacent, as the format requires.
///
/// The text of ten thousand endpoints is 30 MB, and repeats their labels some twenty times each.
/// Labels are stored once, and the text is generated when it is sent.
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
    /// Start of each sample after the text: the metric's name and a brace.
    start: String,
    samples: Vec<Sample>,
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
            part.samples.shrink_to_fit();
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
        self.parts.push(Part {
            text: std::mem::take(&mut self.text),
            start: format!("{}{{", metric.name()),
            samples,
        });
    }

    /// Adds these metrics with all samples of `things`, each with the values of further metrics.
    /// All metrics are gathered in one pass: fetching one of ten thousand things from memory takes
    /// longer than recording all of its samples.
    pub(super) fn gather<'a, V: IntoIterator<Item = (Metric, i64)>>(
        &mut self,
        metrics: &[Metric],
        things: impl IntoIterator<Item = (&'a Rendered, V), IntoIter: Clone>,
    ) {
        let things = things.into_iter();
        // A growing string is held twice during reallocation, and this one has five megabytes.
        self.words
            .reserve(things.clone().map(|(thing, _)| thing.text.len()).sum());
        let mut gathered = [const { Vec::new() }; Metric::ALL.len()];
        // Most things have the same values as others: times in whole seconds.
        let mut rests = HashMap::new();
        for (thing, values) in things {
            let all = self.shared(|text| text.push_str(&thing.text));
            let place = |end: u32| all.from.saturating_add(end);
            let labels = Span {
                to: place(thing.labels),
                ..all
            };
            let mut add = |metric: Metric, rest: Span| {
                if let Some(samples) = gathered.get_mut(metric as usize) {
                    samples.push(Sample { labels, rest });
                }
            };
            let mut from = labels.to;
            for (metric, end) in &thing.samples {
                let rest = Span {
                    from,
                    to: place(*end),
                };
                from = rest.to;
                add(*metric, rest);
            }
            for (metric, value) in values {
                let rest = *rests.entry(value).or_insert_with(|| self.rest(&[], value));
                add(metric, rest);
            }
        }
        for metric in metrics {
            let samples = gathered.get_mut(*metric as usize).map(std::mem::take);
            self.series(*metric, samples.unwrap_or_default());
        }
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

/// Samples of one thing, which share their first labels, as text that is kept.
#[derive(Debug)]
pub(super) struct Rendered {
    /// The shared labels, followed by the rest of each sample.
    text: String,
    /// End of the labels.
    labels: u32,
    /// Metric and end of each sample. A sample begins at the end of the previous one.
    samples: Vec<(Metric, u32)>,
}

impl Rendered {
    /// Creates an instance with these labels.
    pub(super) fn new(write_labels: impl FnOnce(&mut String)) -> Self {
        let mut text = String::with_capacity(USUAL_TEXT);
        write_labels(&mut text);
        Self {
            labels: place(text.len()),
            text,
            samples: Vec::with_capacity(USUAL_SAMPLES),
        }
    }

    /// Adds a sample, with further labels or none.
    pub(super) fn put(&mut self, metric: Metric, more: &[(&str, &str)], value: impl Display) {
        write_rest(&mut self.text, more, value);
        self.samples.push((metric, place(self.text.len())));
    }

    /// Releases unused capacity.
    pub(super) fn done(mut self) -> Self {
        self.text.shrink_to_fit();
        self.samples.shrink_to_fit();
        self
    }

    pub(super) fn labels(&self) -> &str {
        let labels = Span {
            from: 0,
            to: self.labels,
        };
        words(&self.text, labels)
    }
}

impl Part {
    fn len(&self) -> usize {
        let of_sample = |s: &Sample| self.start.len() + s.labels.len() + s.rest.len();
        self.text.len() + self.samples.iter().map(of_sample).sum::<usize>()
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
    /// Number of its samples that are written. `None` until the part's text is written.
    samples: Option<usize>,
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
            samples: None,
        }
    }

    /// Returns the number of bytes that are not written yet.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Writes until there are `enough` bytes or everything is written. It completes the last
    /// sample.
    pub fn write(&mut self, text: &mut String, enough: usize) {
        let before = text.len();
        while text.len() < enough
            && let Some(exposition) = self.expositions.front()
        {
            if let Some(part) = exposition.parts.get(self.part) {
                let mut written = self.samples.unwrap_or_else(|| {
                    text.push_str(&part.text);
                    0
                });
                for sample in part.samples.get(written..).unwrap_or_default() {
                    if text.len() >= enough {
                        break;
                    }
                    text.push_str(&part.start);
                    text.push_str(words(&exposition.words, sample.labels));
                    text.push_str(words(&exposition.words, sample.rest));
                    written += 1;
                }
                self.samples = Some(written);
                if written == part.samples.len() {
                    self.part += 1;
                    self.samples = None;
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
    fn samples_stand_behind_the_head_of_their_metric() {
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
        fn pieces_are_the_whole_and_their_length_is_known(
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
        fn no_value_breaks_out_of_its_label(value in ".*") {
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
