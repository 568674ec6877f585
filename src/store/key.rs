//! The key of an entry in the database: its source and the name that it is given, in an encoding that does not depend
//! on the names of types and variants in the code.

use serde_json::json;

/// The version of the encoding, its first element.
const VERSION: u8 = 1;

/// What an entry is remembered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryKey {
    /// Its source.
    pub source: KeySource,
    /// Its name in the configuration; empty if it has none.
    pub name: String,
    /// Its mail domains.
    pub mx: Vec<String>,
    /// Its host names, where the source alone does not distinguish entries.
    pub hostnames: Vec<String>,
    /// The number of entries before it in the configuration that are the same in all of this.
    pub repeat: u32,
}

/// The source of an entry, as far as it distinguishes entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A common name in the SSLMate account.
    Sslmate(String),
    /// The whole SSLMate account.
    SslmateAll,
    /// A download URL, by the host and hash that stand for it. The URL itself is a secret.
    Download(String),
    /// Paths of PEM files.
    Pem(Vec<String>),
    /// A pattern of PEM files.
    PemDir(String),
    /// SHA-256 fingerprints of certificates, in hexadecimal.
    Sha256(Vec<String>),
    /// SHA-256 hashes of public keys, in hexadecimal.
    PubkeySha256(Vec<String>),
    /// Any trusted certificate.
    Trust,
}

impl EntryKey {
    /// The key of an entry of this source with nothing else.
    pub fn new(source: KeySource) -> Self {
        Self {
            source,
            name: String::new(),
            mx: Vec::new(),
            hostnames: Vec::new(),
            repeat: 0,
        }
    }

    /// Returns the text that is in the database: a JSON array of the version, the source and its values, the name, the
    /// mail domains, the host names, and the repetition. The words in it never change; what changes gets a new version.
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

    /// Reads a key of schema 1, which had Rust's `Debug` output in it. Returns `None` if it is none.
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

    /// Takes in `NAME` or `NAME mx [HOSTS]`.
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

    /// Takes in the same with the list of host names after it.
    fn with_hosts(self, tail: &str) -> Option<Self> {
        let (name, list) = tail.strip_suffix(']')?.rsplit_once(" [")?;
        Some(Self {
            hostnames: hosts(list)?,
            ..self.named(name)?
        })
    }
}

/// Splits the marks of repetition off. Only entries without a name repeat, so a name that ends in `+` stays whole.
fn split_repeat(text: &str) -> (&str, u32) {
    let base = text.trim_end_matches('+');
    let may_repeat =
        base.ends_with([' ', ']']) || base == "sslmate *" || text.starts_with("pem_dir ");
    match u32::try_from(text.len() - base.len()) {
        Ok(repeat) if may_repeat => (base, repeat),
        _ => (text, 0),
    }
}

/// Reads `Dns("a.example"), Ip(192.0.2.1)`.
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

/// Reads `{Kind(HEX), Kind(HEX)} ` and returns what comes after it.
fn hashes<'a>(text: &'a str, kind: &str) -> Option<(Vec<String>, &'a str)> {
    let (list, tail) = text.strip_prefix('{')?.split_once("} ")?;
    let items = list.split(", ");
    let read = |item: &str| Some(item.strip_prefix(kind)?.strip_suffix(')')?.to_owned());
    Some((items.map(read).collect::<Option<_>>()?, tail))
}

/// Reads `["a", "b"]` and returns what comes after it.
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

/// Reads a string literal of Rust and returns what comes after it.
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
                // A byte that is no UTF-8.
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
    fn a_name_that_ends_in_a_plus_does_not_repeat() {
        let key = EntryKey::of_schema_1("sslmate a.example c++").unwrap();
        assert_eq!((&*key.name, key.repeat), ("c++", 0));
        let key = EntryKey::of_schema_1("download a.example/1 ++").unwrap();
        assert_eq!((&*key.name, key.repeat), ("", 2));
    }

    #[test]
    fn what_is_no_key_of_schema_1_is_refused() {
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
