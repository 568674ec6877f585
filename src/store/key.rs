//! Key of an entry in the database: its source and its configured name, in an encoding that does
//! not depend on the names of types and variants in the code.

use serde_json::json;

/// Version of the encoding, the first element of a key.
const VERSION: u8 = 1;

/// Key under which the instances of an entry are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryKey {
    /// Source of the entry.
    pub source: KeySource,
    /// Name in the configuration; empty if the entry has none.
    pub name: String,
    /// Mail domains.
    pub mx: Vec<String>,
    /// Host names, if the source alone does not distinguish entries.
    pub hostnames: Vec<String>,
    /// Number of earlier entries in the configuration that are the same in all of these fields.
    pub repeat: u32,
}

/// Source of an entry, as far as it distinguishes entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Common name in the SSLMate account.
    Sslmate(String),
    /// The whole SSLMate account.
    SslmateAll,
    /// Download URL, represented by its host and a hash. The URL itself is a secret.
    Download(String),
    /// Paths of PEM files.
    Pem(Vec<String>),
    /// Glob pattern of PEM files.
    PemDir(String),
    /// SHA-256 fingerprints of certificates, in hexadecimal.
    Sha256(Vec<String>),
    /// SHA-256 hashes of public keys, in hexadecimal.
    PubkeySha256(Vec<String>),
    /// Any trusted certificate.
    Trust,
}

impl EntryKey {
    /// Returns the key of an entry that has this source and nothing else.
    pub fn new(source: KeySource) -> Self {
        Self {
            source,
            name: String::new(),
            mx: Vec::new(),
            hostnames: Vec::new(),
            repeat: 0,
        }
    }

    /// Returns the text that is in the database: a JSON array of the version, the source and its
    /// values, the name, the mail domains, the host names, and the repetition. The strings that
    /// name sources never change within a version; a changed encoding gets a new version.
    pub fn encode(&self) -> String {
        let one = std::slice::from_ref::<String>;
        let (source, values): (&str, &[String]) = match &self.source {
            KeySource::Sslmate(cn) => ("sslmate", one(cn)),
            KeySource::SslmateAll => ("sslmate_all", &[]),
            KeySource::Download(id) => ("download", one(id)),
            KeySource::Pem(files) => ("pem", files),
            KeySource::PemDir(pattern) => ("pem_dir", one(pattern)),
            KeySource::Sha256(pins) => ("sha256", pins),
            KeySource::PubkeySha256(pins) => ("pubkey_sha256", pins),
            KeySource::Trust => ("trust", &[]),
        };
        let (name, mx, hostnames) = (&self.name, &self.mx, &self.hostnames);
        json!([VERSION, source, values, name, mx, hostnames, self.repeat]).to_string()
    }

    /// Parses a key of schema 1, which contains Rust's `Debug` output. Returns `None` if the text
    /// is not such a key.
    pub(super) fn of_schema_1(text: &str) -> Option<Self> {
        let (text, repeat) = split_repeat(text);
        let (kind, rest) = text.split_once(' ')?;
        let key = match kind {
            "sslmate" if rest == "*" => Self::new(KeySource::SslmateAll),
            "sslmate" => {
                let (cn, tail) = rest.split_once(' ')?;
                Self::new(KeySource::Sslmate(cn.into())).named(tail)?
            }
            "download" => {
                let (id, tail) = rest.split_once(' ')?;
                Self::new(KeySource::Download(id.into())).named(tail)?
            }
            "pem" => {
                let (files, rest) = quoted_list(rest)?;
                Self::new(KeySource::Pem(files)).named(rest.strip_prefix(' ')?)?
            }
            "pem_dir" => Self::new(KeySource::PemDir(rest.into())),
            "sha256" => {
                let (pins, tail) = hashes(rest, "Fingerprint(")?;
                Self::new(KeySource::Sha256(pins)).with_hosts(tail)?
            }
            "pubkey_sha256" => {
                let (pins, tail) = hashes(rest, "PublicKeyHash(")?;
                Self::new(KeySource::PubkeySha256(pins)).with_hosts(tail)?
            }
            "trust" => Self::new(KeySource::Trust).with_hosts(rest)?,
            _ => return None,
        };
        Some(Self { repeat, ..key })
    }

    /// Adds the name and the mail domains from `NAME` or `NAME mx [HOSTS]`.
    fn named(self, tail: &str) -> Option<Self> {
        let (name, mx) = match tail.rsplit_once(" mx [") {
            Some((name, list)) if list.ends_with(']') => (name, hosts(list.strip_suffix(']')?)?),
            _ => (tail, Vec::new()),
        };
        Some(Self {
            name: name.to_owned(),
            mx,
            ..self
        })
    }

    /// Adds the same, and the host names from the list that follows.
    fn with_hosts(self, tail: &str) -> Option<Self> {
        let (name, list) = tail.strip_suffix(']')?.rsplit_once(" [")?;
        Some(Self {
            hostnames: hosts(list)?,
            ..self.named(name)?
        })
    }
}

/// Splits off the `+` characters that count repetitions. Only entries without a name repeat, so a
/// name that ends with `+` is not changed.
fn split_repeat(text: &str) -> (&str, u32) {
    let base = text.trim_end_matches('+');
    let may_repeat =
        base.ends_with([' ', ']']) || base == "sslmate *" || text.starts_with("pem_dir ");
    match u32::try_from(text.len() - base.len()) {
        Ok(repeat) if may_repeat => (base, repeat),
        _ => (text, 0),
    }
}

/// Parses `Dns("a.example"), Ip(192.0.2.1)`.
fn hosts(list: &str) -> Option<Vec<String>> {
    let items = list.split(", ").filter(|item| !item.is_empty());
    let read = |item: &str| {
        let inner = item
            .strip_prefix("Dns(\"")
            .and_then(|rest| rest.strip_suffix("\")"))
            .or_else(|| item.strip_prefix("Ip(")?.strip_suffix(')'));
        inner.map(str::to_owned)
    };
    items.map(read).collect()
}

/// Parses `{Kind(HEX), Kind(HEX)} ` and returns the text after it.
fn hashes<'a>(text: &'a str, kind: &str) -> Option<(Vec<String>, &'a str)> {
    let (list, tail) = text.strip_prefix('{')?.split_once("} ")?;
    let items = list.split(", ");
    let read = |item: &str| Some(item.strip_prefix(kind)?.strip_suffix(')')?.to_owned());
    Some((items.map(read).collect::<Option<_>>()?, tail))
}

/// Parses `["a", "b"]` and returns the text after it.
fn quoted_list(text: &str) -> Option<(Vec<String>, &str)> {
    let mut rest = text.strip_prefix('[')?;
    let mut all = Vec::new();
    loop {
        let (one, after) = quoted(rest)?;
        all.push(one);
        if let Some(after) = after.strip_prefix(']') {
            return Some((all, after));
        }
        rest = after.strip_prefix(", ")?;
    }
}

/// Parses a Rust string literal and returns the text after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text.strip_prefix('"')?.chars();
    loop {
        match rest.next()? {
            '"' => return Some((out, rest.as_str())),
            '\\' => match rest.next()? {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                '0' => out.push('\0'),
                'u' => {
                    let (digits, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                    out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                    rest = after.chars();
                }
                // A byte that is not UTF-8.
                'x' => {
                    rest.by_ref().take(2).for_each(drop);
                    out.push(char::REPLACEMENT_CHARACTER);
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_at_the_end_of_a_schema_1_name_is_not_a_repeat_count() {
        let key = EntryKey::of_schema_1("sslmate a.example c++").unwrap();
        assert_eq!((&*key.name, key.repeat), ("c++", 0));
        let key = EntryKey::of_schema_1("download a.example/1 ++").unwrap();
        assert_eq!((&*key.name, key.repeat), ("", 2));
    }

    #[test]
    fn invalid_schema_1_key_is_refused() {
        for text in [
            "",
            "sslmate",
            "sslmate a",
            "other x y",
            "pem [\"a] x",
            "pem [\"a\"]x",
            "pem [\"\\u{zz}\"] x",
            "pem [\"\\",
            "sha256 {Fingerprint(00} x []",
            "trust x",
            "trust x [Name(\"a\")]",
            r#"[1,"trust",[],"",[],[],0]"#,
        ] {
            assert_eq!(EntryKey::of_schema_1(text), None, "{text}");
        }
    }
}
