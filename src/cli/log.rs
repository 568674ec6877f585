//! Log of a server: levels, and events as logfmt or JSON, as in Prometheus' exporters.

use std::fmt::{self, Write as _};

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::certificate::printable;

/// Prefix of the targets of hickory's crates, which log whole DNS messages.
const HICKORY: [&str; 3] = ["hickory_resolver", "hickory_proto", "hickory_net"];
/// Keys of every event. The fields of an event have other keys.
const OWN_KEYS: [&str; 4] = ["ts", "level", "msg", "target"];

/// Lowest severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    fn level(self) -> Level {
        match self {
            Self::Debug => Level::DEBUG,
            Self::Info => Level::INFO,
            Self::Warn => Level::WARN,
            Self::Error => Level::ERROR,
        }
    }
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// `ts=TIME level=LEVEL msg=TEXT`, followed by the fields of the event
    Logfmt,
    /// One JSON object per line, with the same keys
    Json,
}

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Log")]
pub(super) struct LogArgs {
    /// Lowest severity to log [default: info]
    #[arg(id = "log_level", long = "log.level", value_name = "LEVEL")]
    level: Option<LogLevel>,

    /// Format of log lines [default: lines for people, without the time]
    #[arg(id = "log_format", long = "log.format", value_name = "FORMAT")]
    format: Option<LogFormat>,
}

impl LogArgs {
    /// Returns the level of the flag, which each `-v` raises by one; `None` without the flag.
    pub(super) fn level(&self, verbose: u8) -> Option<Level> {
        let level = self.level?.level();
        let raise = |level: Level| match level {
            Level::ERROR => Level::WARN,
            Level::WARN => Level::INFO,
            Level::INFO => Level::DEBUG,
            _ => Level::TRACE,
        };
        Some((0..verbose).fold(level, |level, _| raise(level)))
    }

    /// Returns the format of the flag.
    pub(super) fn format(&self) -> Option<LogFormat> {
        self.format
    }
}

/// Returns the filter for a level. The events of hickory below info contain whole DNS messages, so
/// they are logged only at trace. Its warnings are about replies that it ignores. A sender of such
/// replies decides how many there are, so they are logged only at debug.
pub(super) fn filter(level: Level) -> Targets {
    let targets = Targets::new().with_default(level);
    if level == Level::TRACE {
        return targets;
    }
    let at_most = match level {
        Level::DEBUG => LevelFilter::INFO,
        _ => LevelFilter::ERROR,
    };
    targets.with_targets(HICKORY.map(|name| (name, at_most)))
}

/// Formatter of events as logfmt or JSON.
pub(super) struct Format {
    pub(super) format: LogFormat,
    /// True if events name the module that logs them.
    pub(super) has_target: bool,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (message, found) = split(&fields.message);
        let mut pairs = vec![
            ("ts", time.as_str()),
            ("level", level.as_str()),
            ("msg", message),
        ];
        if self.has_target {
            pairs.push(("target", event.metadata().target()));
        }
        pairs.extend(found.iter().map(|(key, value)| (*key, value.as_str())));
        let others = fields.others.iter();
        pairs.extend(others.map(|(key, value)| (*key, value.as_str())));
        writer.write_str(&line(self.format, &pairs))
    }
}

/// Returns the line of an event.
fn line(format: LogFormat, pairs: &[(&str, &str)]) -> String {
    let mut line = String::new();
    for (index, (key, value)) in pairs.iter().enumerate() {
        let _ = match (format, index) {
            (LogFormat::Logfmt, 0) => write!(line, "{key}={}", logfmt_value(value)),
            (LogFormat::Logfmt, _) => write!(line, " {key}={}", logfmt_value(value)),
            (LogFormat::Json, 0) => write!(line, "{{{}:{}", json(key), json(value)),
            (LogFormat::Json, _) => write!(line, ",{}:{}", json(key), json(value)),
        };
    }
    if format == LogFormat::Json {
        line.push('}');
    }
    line.push('\n');
    line
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a value, in quotes if it needs them.
fn logfmt_value(value: &str) -> String {
    let is_plain =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    // JSON's escapes are a subset of those of Go's strings, which logfmt uses.
    json(value)
}

/// Message and fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name if OWN_KEYS.contains(&name) => {}
            name => self.others.push((name, text)),
        }
    }
}

/// Splits a message `EVENT: key=value key="value"` into the event and its fields. Any other message
/// has no fields.
fn split(message: &str) -> (&str, Vec<(&str, String)>) {
    let whole = (message, Vec::new());
    let Some((event, mut rest)) = message.split_once(": ") else {
        return whole;
    };
    let mut fields: Vec<(&str, String)> = Vec::new();
    while !rest.is_empty() {
        let Some((key, value)) = rest.split_once('=') else {
            return whole;
        };
        let is_key = |c: char| c.is_ascii_lowercase() || c == '_';
        let is_known = OWN_KEYS.contains(&key) || fields.iter().any(|(known, _)| *known == key);
        if key.is_empty() || !key.chars().all(is_key) || is_known {
            return whole;
        }
        let Some((value, after)) = value_of(value) else {
            return whole;
        };
        fields.push((key, value));
        rest = after;
    }
    (event, fields)
}

/// Returns the value that a text begins with, and the text after the blank that ends it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = text.split_once(' ').unwrap_or((text, ""));
        let is_plain = !value.is_empty() && !value.contains(['"', '=', ';', ',']);
        return is_plain.then(|| (value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let after = quoted.get(at + 1..)?;
                let after = match after.strip_prefix(' ') {
                    Some(after) => after,
                    None => after.is_empty().then_some(after)?,
                };
                return Some((value, after));
            }
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\' | '\'') => value.push(c),
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                // Other escapes are rare and stay in the message.
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

/// Writes the message and fields of an event for people. They may have the names of files, whose
/// control characters must not reach a terminal. Only errors of several lines have line breaks.
pub(super) fn printable_fields() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(|writer, field: &Field, value: &dyn fmt::Debug| {
        let text = format!("{value:?}");
        let lines: Vec<String> = text.split('\n').map(printable).collect();
        let text = lines.join("\n");
        match field.name() {
            "message" => writer.write_str(&text),
            name => write!(writer, "{name}={text}"),
        }
    })
    .delimited(" ")
}

/// Returns the text of an event on one line. `text` ends with the line break of the event.
pub(super) fn on_one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    lines.join("; ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_from_the_event() {
        let (event, fields) =
            split("endpoint critical: hostname=a.example message=\"it \\\"is\\\" x=1\" was=ok");
        assert_eq!(event, "endpoint critical");
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        assert_eq!(
            fields,
            [
                ("hostname", "a.example"),
                ("message", "it \"is\" x=1"),
                ("was", "ok")
            ]
        );
        for whole in [
            "configuration reloaded",
            "/etc/a.yml: unknown key",
            "limited: limit=1 requested=2; raise it with `ulimit -n`",
            "a: ts=1",
            "a: b=1 b=2",
            "a: b=\"c",
        ] {
            assert_eq!(split(whole), (whole, Vec::new()));
        }
    }

    #[test]
    fn values_are_quoted_if_needed() {
        let pairs = [("msg", "a b"), ("x", "1"), ("y", "a\n\"b\""), ("z", "")];
        assert_eq!(
            line(LogFormat::Logfmt, &pairs),
            "msg=\"a b\" x=1 y=\"a\\n\\\"b\\\"\" z=\"\"\n"
        );
        assert_eq!(
            line(LogFormat::Json, &pairs),
            "{\"msg\":\"a b\",\"x\":\"1\",\"y\":\"a\\n\\\"b\\\"\",\"z\":\"\"}\n"
        );
    }

    #[test]
    fn dns_messages_are_logged_only_at_trace() {
        let logs = |level, target, of| filter(level).would_enable(target, &of);
        let of_hickory = "hickory_resolver::name_server";
        assert!(!logs(Level::DEBUG, of_hickory, Level::DEBUG));
        assert!(logs(Level::DEBUG, of_hickory, Level::INFO));
        assert!(!logs(Level::WARN, of_hickory, Level::INFO));
        assert!(!logs(Level::INFO, of_hickory, Level::WARN));
        assert!(logs(Level::DEBUG, of_hickory, Level::WARN));
        assert!(logs(Level::INFO, of_hickory, Level::ERROR));
        assert!(logs(Level::TRACE, of_hickory, Level::TRACE));
        assert!(logs(Level::DEBUG, "certvigil::serve", Level::DEBUG));
    }

    #[test]
    fn lines_of_a_message_are_joined() {
        assert_eq!(on_one_line("INFO a:\n  b\n\nc\n"), "INFO a:; b; c\n");
    }
}
