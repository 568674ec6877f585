//! Output formats of judged probes, for `check` and `verify`.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use clap::ValueEnum;

use crate::judge::Judged;
use crate::model::{Thresholds, Timestamp};
use crate::report::{self, Gap};

use super::exit::{Code, FailOn};
use super::output;

/// Output format of judged probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Table for people, most severe last on a terminal and first elsewhere
    Human,
    /// One JSON object, a superset of SSLMate's test response
    Json,
    /// One JSON object per line and result
    Jsonl,
    /// JUnit XML, for GitLab, Jenkins and others
    Junit,
    /// GitHub Actions annotations, and a job summary
    Github,
    /// Monitoring plugin output, for Nagios, Icinga and others
    Nagios,
    /// Metrics for node_exporter's textfile collector
    Prometheus,
}

impl Format {
    /// Marks a text as incomplete. JSON has a key for it.
    fn incomplete(self, text: String, gap: &Gap) -> String {
        match self {
            Self::Human => format!("{text}{gap}\n"),
            Self::Github => report::github_incomplete(text, gap),
            Self::Json | Self::Jsonl | Self::Junit => text,
            Self::Nagios => report::nagios_incomplete(text, gap),
            Self::Prometheus => format!("# {gap}\n{text}"),
        }
    }
}

/// Settings of the output of judged probes.
pub(super) struct Rendering<'a> {
    pub(super) format: Format,
    /// The file that the output goes to; `None` for stdout.
    pub(super) file: Option<&'a Path>,
    /// True if a terminal shows the number of ok rows instead of the rows.
    pub(super) is_folded: bool,
    pub(super) fail_on: FailOn,
    pub(super) code: Code,
    /// Expiry thresholds, if they are the same for all.
    pub(super) thresholds: Option<Thresholds>,
    /// Reason why results are missing.
    pub(super) gap: Option<Gap>,
    /// Time as of which the results were judged.
    pub(super) now: Timestamp,
}

impl Rendering<'_> {
    /// Writes the results. For GitHub, also appends to the job summary.
    ///
    /// # Errors
    /// Those of the writer.
    pub(super) fn write(&self, results: &[Judged], out: &mut dyn io::Write) -> io::Result<()> {
        if self.format != Format::Jsonl {
            return out.write_all(self.text(results).as_bytes());
        }
        report::write_jsonl(results, out)?;
        match self.gap {
            None => Ok(()),
            Some(_) => out.write_all(b"{\"complete\":false}\n"),
        }
    }

    fn text(&self, results: &[Judged]) -> String {
        let (code, now) = (self.code, self.now);
        let text = match self.format {
            Format::Human => {
                let style = report::Style {
                    width: output::width_of_stdout(),
                    colour: match self.file {
                        Some(_) => output::colour_in_files(),
                        None => output::colour_on_stdout(),
                    },
                    now,
                };
                if self.file.is_none() && io::stdout().is_terminal() {
                    report::human_on_terminal(results, &style, !self.is_folded)
                } else {
                    output::for_log(report::human(results, &style))
                }
            }
            Format::Json => report::json_of_run(results, self.gap.is_none()),
            Format::Jsonl => report::jsonl(results),
            Format::Junit => {
                let warnings_fail = matches!(self.fail_on, FailOn::Warning);
                report::junit_of_run(results, warnings_fail, self.gap.as_ref())
            }
            Format::Github => {
                output::append_to_job_summary(|| {
                    report::github_summary(results, self.gap.as_ref())
                });
                report::github(results)
            }
            Format::Nagios => report::nagios(results, code.severity(), self.thresholds, now),
            // The time when the probes finished, even if `--at` judges them as of another time.
            Format::Prometheus => report::prometheus::textfile(results, super::now()),
        };
        match &self.gap {
            None => text,
            Some(gap) => self.format.incomplete(text, gap),
        }
    }
}
