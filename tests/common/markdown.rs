//! The documentation files, and the subset of Markdown that they use.

use std::path::{Path, PathBuf};

/// Directory of the pages of findings.
pub(crate) const FINDINGS: &str = "docs/findings";

/// One file of the documentation.
pub(crate) struct Document {
    /// Path from the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block<'a> {
    /// Line number of its first line, from 1.
    pub(crate) line: usize,
    /// Text after the fence, such as the language.
    pub(crate) info: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

/// A heading of the second or third level with the text below it.
pub(crate) struct Section<'a> {
    pub(crate) heading: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

/// Every Markdown file of the repository root, of `docs/` and of the findings directory in it.
pub(crate) fn documents() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = Vec::new();
    for folder in ["", "docs", FINDINGS] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                documents.push(Document {
                    text: std::fs::read_to_string(&path).unwrap(),
                    path: path.strip_prefix(root).unwrap().to_owned(),
                });
            }
        }
    }
    assert!(documents.len() > 2, "the documentation is not found");
    documents
}

/// One file of the documentation.
pub(crate) fn document(path: &str) -> Document {
    documents()
        .into_iter()
        .find(|d| d.path == Path::new(path))
        .unwrap_or_else(|| panic!("{path} is missing"))
}

impl Document {
    /// The fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for (at, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open.as_mut()) {
                (Some(info), None) => {
                    open = Some(Block {
                        line: at + 2,
                        info,
                        lines: Vec::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.lines.push(line),
                (None, None) => {}
            }
        }
        assert!(
            open.is_none(),
            "{}: a block has no end",
            self.path.display()
        );
        blocks
    }

    /// The lines outside of fenced blocks, with their numbers.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut fenced = false;
        let mut prose = Vec::new();
        for (at, line) in self.text.lines().enumerate() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                prose.push((at + 1, line));
            }
        }
        prose
    }

    /// The sections, including those of the third level.
    pub(crate) fn sections(&self) -> Vec<Section<'_>> {
        let mut sections: Vec<Section<'_>> = Vec::new();
        for (_, line) in self.prose() {
            let heading = line
                .strip_prefix("## ")
                .or_else(|| line.strip_prefix("### "));
            if let Some(heading) = heading {
                sections.push(Section {
                    heading,
                    lines: Vec::new(),
                });
            } else if let Some(section) = sections.last_mut() {
                section.lines.push(line);
            }
        }
        sections
    }

    /// One section.
    pub(crate) fn section(&self, heading: &str) -> Section<'_> {
        self.sections()
            .into_iter()
            .find(|s| s.heading == heading)
            .unwrap_or_else(|| panic!("{}: `{heading}` is missing", self.path.display()))
    }

    /// The anchors that GitHub generates for the headings.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter();
        let headings =
            headings.filter_map(|(_, line)| Some(line.strip_prefix('#')?.trim_start_matches('#')));
        let anchor = |heading: &str| {
            let kept = heading.trim().chars().filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
                _ => None,
            });
            kept.collect()
        };
        headings.map(anchor).collect()
    }
}

impl Section<'_> {
    /// The paragraphs, each as one line. A table counts as one paragraph.
    pub(crate) fn paragraphs(&self) -> Vec<String> {
        self.lines
            .split(|line| line.is_empty())
            .filter(|lines| !lines.is_empty())
            .map(|lines| lines.join(" "))
            .collect()
    }

    /// The rows of its tables without the header rows, each as its cells.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let rows: Vec<Vec<String>> = self.lines.iter().filter_map(|line| cells(line)).collect();
        let is_rule = |row: &Vec<String>| row.iter().all(|cell| cell.bytes().all(|b| b == b'-'));
        let mut out: Vec<Vec<String>> = Vec::new();
        for row in rows {
            if is_rule(&row) {
                out.pop(); // the row before it was the header
            } else {
                out.push(row);
            }
        }
        out
    }
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect(),
    )
}

/// The text between single backticks.
pub(crate) fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}
