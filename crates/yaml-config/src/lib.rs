//! Reads YAML configuration files key by key, so that all errors are reported together, each with
//! its line and key.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};

mod tree;

use tree::{Document, Kind};

/// Maximum size of a file, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// Maximum nodes that aliases may expand to. Without a limit, nested anchors could exhaust the
/// memory.
const MAX_ALIASED_NODES: usize = 100_000;
/// Key of YAML 1.1 that merges another mapping. YAML 1.2 does not have it.
const MERGE_KEY: &str = "<<";
/// Maximum nesting depth. The tree is traversed recursively, and the stack is limited.
const MAX_DEPTH: usize = 64;
/// Number of known keys of a mapping for which space is reserved: most kinds have fewer.
const USUAL_KEYS: usize = 48;
/// Maximum errors to print. One mistake may be repeated in thousands of entries.
pub const MAX_SHOWN: usize = 50;
/// Share of the letters, as a divisor, in which a misspelling may differ from the known name.
const EDITED_SHARE: usize = 3;
/// Minimum length of a key for this comparison. Shorter names are similar to too many keys.
const MIN_LIKE_LENGTH: usize = 3;

/// Error in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Line number, starting at 1.
    pub line: usize,
    /// Path of the key, such as `certificates[2].port`. Empty for the file as a whole.
    pub key: String,
    /// Description of the error, and how to fix it.
    pub message: String,
}

/// All errors in a configuration file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// File.
    pub file: PathBuf,
    /// Errors, at least one.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Creates the error for an empty file that must have content.
    pub fn empty(file: &Path, needed: &str) -> Self {
        Self {
            file: file.to_owned(),
            errors: vec![ConfigError {
                line: 1,
                key: String::new(),
                message: format!("the file is empty; add `{needed}`"),
            }],
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    /// Writes one line for each error, up to a limit, and the number of the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at == MAX_SHOWN {
                let more = self.errors.len() - at;
                let errors = if more == 1 { "error" } else { "errors" };
                return write!(f, "\n{}: {more} more {errors}", self.file.display());
            }
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}: ", self.file.display(), error.line)?;
            if !error.key.is_empty() {
                write!(f, "{}: ", printable(&error.key))?;
            }
            f.write_str(&printable(&error.message))?;
        }
        Ok(())
    }
}

/// Collector of errors.
#[derive(Debug, Default)]
pub struct Problems(Vec<ConfigError>);

impl Problems {
    /// Adds an error at a line.
    pub fn add(&mut self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigError {
            line,
            key: key.into(),
            message: message.into(),
        });
    }

    /// Adds an error about a value.
    pub fn at(&mut self, item: &Item<'_>, message: impl Into<String>) {
        self.add(item.line, item.key(), message);
    }

    /// Returns the value, or the collected errors if there are any.
    pub fn into_result<T>(mut self, value: T, file: &Path) -> Result<T, ConfigErrors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|e| e.line);
        Err(ConfigErrors {
            file: file.to_owned(),
            errors: self.0,
        })
    }
}

/// Parses the text and calls `read` with its root. The root is `None` if the text is empty.
pub fn with_root<T>(
    text: &str,
    file: &Path,
    read: impl FnOnce(Item<'_>, &mut Problems) -> T,
) -> Result<Option<T>, ConfigErrors> {
    let alone = |line, message: String| ConfigErrors {
        file: file.to_owned(),
        errors: vec![ConfigError {
            line,
            key: String::new(),
            message,
        }],
    };
    if text.len() > MAX_BYTES {
        return Err(alone(
            1,
            format!("the file is larger than {MAX_BYTES} bytes"),
        ));
    }
    let document = Document::parse(text).map_err(|(line, message)| alone(line, message))?;
    let Some(document) = document else {
        return Ok(None);
    };
    let mut problems = Problems::default();
    let value = read(
        Item {
            document: &document,
            at: 0,
            line: document.line(0),
        },
        &mut problems,
    );
    problems.into_result(Some(value), file)
}

/// Value with its position.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// Line number, starting at 1.
    pub line: usize,
    document: &'a Document<'a>,
    at: u32,
}

impl<'a> Item<'a> {
    /// Returns the path of the key, such as `certificates[2].port`.
    pub fn key(&self) -> String {
        self.document.path(self.at)
    }

    /// Returns the original text of a scalar: `sha256: 1234…` is not a number, and loses no digit.
    pub fn text(&self) -> Option<&'a str> {
        self.document.scalar(self.at)
    }

    /// Returns true for an absent value: `key:`, `~` or `null`.
    pub fn is_null(&self) -> bool {
        let is_plain = matches!(
            self.document.kind(self.at),
            Kind::Scalar { is_plain: true, .. }
        );
        is_plain && matches!(self.text(), Some("" | "~" | "null"))
    }

    /// Parses a scalar. Adds a problem if this fails.
    pub fn parse<T, E: fmt::Display>(
        &self,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = self.text().filter(|_| !self.is_null()) else {
            let found = if self.is_null() {
                "nothing"
            } else {
                self.kind()
            };
            problems.at(self, format!("expected a single value, found {found}"));
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                problems.at(self, error.to_string());
                None
            }
        }
    }

    /// Converts a scalar. Adds a problem if the item is not a scalar.
    pub fn map<T>(&self, problems: &mut Problems, convert: impl FnOnce(&str) -> T) -> Option<T> {
        self.parse(problems, |text| Ok::<T, Infallible>(convert(text)))
    }

    /// Reads `true` or `false`.
    pub fn bool(&self, problems: &mut Problems) -> Option<bool> {
        self.parse(problems, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("`{other}` is not a boolean; write true or false")),
        })
    }

    /// Returns the items of a list.
    pub fn list(&self, problems: &mut Problems) -> Vec<Self> {
        let document = self.document;
        match document.kind(self.at) {
            Kind::Sequence => {
                let items = document.children(self.at);
                items.map(|at| self.child(document.line(at), at)).collect()
            }
            _ => {
                problems.at(self, format!("expected a list, found {}", self.kind()));
                Vec::new()
            }
        }
    }

    /// Returns true for a list without items, for keys whose list must not be empty.
    pub fn is_empty_list(&self) -> bool {
        self.document.kind(self.at) == Kind::Sequence
            && self.document.children(self.at).next().is_none()
    }

    /// Returns the items of a list, or a single value as a list of one item.
    pub fn list_or_one(&self, problems: &mut Problems) -> Vec<Self> {
        match self.document.kind(self.at) {
            Kind::Scalar { .. } if !self.is_null() => vec![*self],
            _ => self.list(problems),
        }
    }

    /// Returns the same as [`list_or_one`](Self::list_or_one), and adds the problem `empty` for a
    /// list without items.
    pub fn some_or_one(&self, problems: &mut Problems, empty: &str) -> Vec<Self> {
        if self.is_empty_list() {
            problems.at(self, empty);
        }
        self.list_or_one(problems)
    }

    /// Returns the fields of a mapping.
    pub fn fields(&self, problems: &mut Problems) -> Fields<'a> {
        let mut entries = Vec::new();
        match self.document.kind(self.at) {
            Kind::Mapping => {
                for (key, value) in self.document.pairs(self.at) {
                    let line = self.document.line(key);
                    match self.document.scalar(key) {
                        Some(name) => entries.push((name, self.child(line, value))),
                        None => problems.add(line, self.key(), "a key must be plain text"),
                    }
                }
            }
            _ if self.is_null() => {}
            _ => problems.at(
                self,
                format!("expected keys with values, found {}", self.kind()),
            ),
        }
        Fields {
            line: self.line,
            mapping: *self,
            entries,
            known: Vec::with_capacity(USUAL_KEYS),
        }
    }

    fn child(&self, line: usize, at: u32) -> Self {
        Item { line, at, ..*self }
    }

    fn kind(&self) -> &'static str {
        match self.document.kind(self.at) {
            Kind::Sequence => "a list",
            Kind::Mapping => "a mapping",
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::Other => "something else",
        }
    }
}

/// Fields of a mapping. Fields that are not taken are reported as unknown.
pub struct Fields<'a> {
    /// Line number of the mapping, starting at 1.
    pub line: usize,
    mapping: Item<'a>,
    entries: Vec<(&'a str, Item<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Returns the mapping.
    pub fn item(&self) -> Item<'a> {
        self.mapping
    }

    /// Returns the value of a key, if it is present.
    pub fn take(&mut self, name: &'static str) -> Option<Item<'a>> {
        self.known.push(name);
        let at = self.entries.iter().position(|(key, _)| *key == name)?;
        Some(self.entries.remove(at).1)
    }

    /// Parses the value of a key, if it is present.
    pub fn read<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.take(name)?.parse(problems, parse)
    }

    /// Parses the value of a key into `place`, which is unchanged if the key is absent.
    pub fn read_into<T, E: fmt::Display>(
        &mut self,
        place: &mut T,
        name: &'static str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) {
        if let Some(value) = self.read(name, problems, parse) {
            *place = value;
        }
    }

    /// Reads `true` or `false` from a key, if it is present.
    pub fn bool(&mut self, name: &'static str, problems: &mut Problems) -> Option<bool> {
        self.take(name)?.bool(problems)
    }

    /// Returns the items of a key's list, or its single value. Empty if the key is absent.
    pub fn list_or_one(&mut self, name: &'static str, problems: &mut Problems) -> Vec<Item<'a>> {
        let item = self.take(name);
        item.map(|item| item.list_or_one(problems))
            .unwrap_or_default()
    }

    /// Returns true if a field that has not been taken is a merge key of YAML 1.1, which is an error.
    pub fn has_merge_key(&self) -> bool {
        self.entries.iter().any(|(name, _)| *name == MERGE_KEY)
    }

    /// Returns the fields that have not been taken yet, for mappings whose keys are names.
    pub fn rest(&mut self) -> Vec<(&'a str, Item<'a>)> {
        std::mem::take(&mut self.entries)
    }

    /// Reports the remaining keys as unknown, with the most similar known key.
    pub fn finish(self, problems: &mut Problems) {
        for (name, item) in self.entries {
            let nearest = nearest(name, self.known.iter().copied());
            let message = match nearest {
                Some(file) if is_secret(name) && file.ends_with("_file") => format!(
                    "this file must not contain secrets; put it into a separate file and set `{file}`"
                ),
                _ if is_secret(name) => {
                    "unknown key, and this file must not contain secrets; remove it".into()
                }
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None if name == MERGE_KEY => {
                    "merge keys are not supported; write the keys of the anchor out, or set defaults".into()
                }
                None => {
                    let mut known = self.known.clone();
                    known.sort_unstable();
                    format!("unknown key; known keys: {}", known.join(", "))
                }
            };
            problems.add(item.line, item.key(), message);
        }
    }
}

/// Returns the known name of which a name is likely a misspelling.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let name = &*name.replace('-', "_");
    let length = name.chars().count();
    // A swapped pair of letters is one edit, and one edit in three letters is likely.
    let edits = |known: &str| strsim::osa_distance(name, known);
    let is_near =
        |known: &str| edits(known) <= (length.max(known.chars().count()) + 1) / EDITED_SHARE;
    let is_start = |known: &str| known.starts_with(name) || name.starts_with(known);
    let is_part = |known: &str| {
        let parts = |a: &str, b: &str| a.split('_').any(|part| part == b);
        parts(known, name) || parts(name, known)
    };
    let near = known.filter(|known| {
        length >= MIN_LIKE_LENGTH && (is_near(known) || is_start(known) || is_part(known))
    });
    near.min_by_key(|known| edits(known))
}

/// Returns true if the name of a key suggests a secret.
fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    matches!(
        plain.to_ascii_lowercase().as_str(),
        "apikey" | "password" | "passwd" | "secret" | "token"
    )
}

/// Replaces the characters of untrusted text that could move the cursor, change colours or forge a
/// line, and the bidirectional control characters that reorder the following text (UAX #9, section
/// 2).
pub fn printable(text: &str) -> String {
    let printable = |c: char| match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            '\u{fffd}'
        }
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_beyond_the_limit_are_counted() {
        let errors = |count: usize| ConfigErrors {
            file: "f.yml".into(),
            errors: (1..=count)
                .map(|line| ConfigError {
                    line,
                    key: "k".into(),
                    message: "wrong".into(),
                })
                .collect(),
        };
        assert_eq!(
            errors(2).to_string(),
            "f.yml:1: k: wrong\nf.yml:2: k: wrong"
        );
        let printed = errors(MAX_SHOWN + 7).to_string();
        assert_eq!(printed.lines().count(), MAX_SHOWN + 1);
        assert_eq!(printed.lines().last(), Some("f.yml: 7 more errors"));
        let printed = errors(MAX_SHOWN + 1).to_string();
        assert_eq!(printed.lines().last(), Some("f.yml: 1 more error"));
        assert!(!errors(MAX_SHOWN).to_string().contains("more"));
    }
}
