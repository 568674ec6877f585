//! The text format itself: it is gathered first, in spans of shared words, and written a piece at a time.

use std::collections::VecDeque;
use std::fmt::{Display, Write as _};

use super::Metric;

/// Text in the making. The samples of a metric stand together, as the format demands.
///
/// Of ten thousand endpoints the text is 30 MB, in which their labels stand some twenty times each. They are held
/// once, and the text itself comes to be when it is sent.
#[derive(Debug, Default)]
pub struct Exposition {
    /// What samples share, one behind the other.
    words: String,
    parts: Vec<Part>,
    /// What follows on the parts.
    text: String,
}

#[derive(Debug)]
struct Part {
    text: String,
    /// What each sample behind the text starts with: the metric's name and a brace.
    start: String,
    samples: Vec<Sample>,
}

/// Where some of the words are. 32 bits are enough for the labels of ten million endpoints.
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
    /// Begins a metric: its HELP and TYPE lines. Its samples follow.
    pub fn begin(&mut self, metric: Metric) -> Samples<'_> {
        let (name, kind) = (metric.name(), metric.kind().name());
        let help = metric.help().replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Samples {
            text: &mut self.text,
            name,
        }
    }

    /// A metric of one sample without labels.
    pub fn value(&mut self, metric: Metric, value: impl Display) {
        self.begin(metric).put("", value);
    }

    /// A metric whose samples have been gathered.
    pub(super) fn series(&mut self, metric: Metric, samples: Vec<Sample>) {
        self.begin(metric);
        self.parts.push(Part {
            text: std::mem::take(&mut self.text),
            start: format!("{}{{", metric.name()),
            samples,
        });
    }

    /// Labels for any number of samples.
    pub(super) fn shared(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let from = self.words.len();
        write(&mut self.words);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            from: place(from),
            to: place(self.words.len()),
        }
    }

    /// What follows on the labels of a sample: further ones, and its value.
    pub(super) fn rest(&mut self, more: &[(&str, &str)], value: impl Display) -> Span {
        self.shared(|text| {
            write_labels(text, true, more.iter().copied());
            text.push('}');
            put_value(text, value);
        })
    }

    pub(super) fn words(&self, span: Span) -> &str {
        words(&self.words, span)
    }

    /// The whole text.
    pub fn finish(self) -> String {
        let mut pieces = self.pieces();
        let mut text = String::with_capacity(pieces.left());
        pieces.write(&mut text, usize::MAX);
        text
    }

    /// The text piece by piece.
    pub fn pieces(mut self) -> Pieces {
        self.parts.push(Part {
            text: self.text,
            start: String::new(),
            samples: Vec::new(),
        });
        Pieces {
            left: self.parts.iter().map(Part::len).sum(),
            words: self.words,
            parts: self.parts.into(),
            sample: 0,
        }
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

fn words(all: &str, span: Span) -> &str {
    all.get(span.range()).unwrap_or_default()
}

/// An exposition that is being written.
#[derive(Debug)]
pub struct Pieces {
    words: String,
    /// What is not written yet, but for the first samples of the first part.
    parts: VecDeque<Part>,
    /// The first sample that is not written yet.
    sample: usize,
    left: usize,
}

impl Pieces {
    /// How many bytes are still to be written.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Writes on, until there are `enough` bytes, some more for the end of a sample, or everything.
    pub fn write(&mut self, text: &mut String, enough: usize) {
        let before = text.len();
        while text.len() < enough
            && let Some(part) = self.parts.front_mut()
        {
            text.push_str(&std::mem::take(&mut part.text));
            for sample in part.samples.get(self.sample..).unwrap_or_default() {
                if text.len() >= enough {
                    break;
                }
                text.push_str(&part.start);
                text.push_str(words(&self.words, sample.labels));
                text.push_str(words(&self.words, sample.rest));
                self.sample += 1;
            }
            if self.sample == part.samples.len() {
                self.parts.pop_front();
                self.sample = 0;
            }
        }
        self.left = self.left.saturating_sub(text.len() - before);
    }
}

/// The samples of one metric.
pub struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Samples<'_> {
    /// A sample with labels as [`labels`] writes them.
    pub fn put(&mut self, labels: &str, value: impl Display) {
        self.put_part("", labels, value);
    }

    /// A sample of a part of a histogram: `_bucket`, `_sum` or `_count`.
    pub fn put_part(&mut self, part: &str, labels: &str, value: impl Display) {
        self.text.extend([self.name, part]);
        if !labels.is_empty() {
            self.text.extend(["{", labels, "}"]);
        }
        put_value(self.text, value);
    }
}

fn put_value(text: &mut String, value: impl Display) {
    let _ = writeln!(text, " {value}");
}

/// Labels without their braces, escaped.
pub fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    write_labels(&mut text, false, pairs);
    text
}

/// The same, behind others or not.
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
            // Of a hundred thousand values hardly one is not like this.
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

    /// Samples of every kind, those of `shared` in a metric of their own.
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
            let whole = exposition(&values).finish();
            let mut pieces = exposition(&values).pieces();
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
            // Read back by the format's own rules.
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
