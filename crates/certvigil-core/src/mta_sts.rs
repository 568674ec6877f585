//! MTA-STS (RFC 8461): the record that announces the policy of a mail domain, and the policy.

use serde::{Serialize, Serializer};

use crate::certificate::printable;
use crate::model::Hostname;

/// Maximum size of a policy in bytes (RFC 8461, section 3.3).
pub const MAX_POLICY_BYTES: usize = 64 << 10;
/// Maximum characters of text from a record or a policy in a message.
const MAX_QUOTED: usize = 80;
/// Maximum length of the identifier of a policy (RFC 8461, section 3.1).
const MAX_ID_LENGTH: usize = 32;
/// Maximum `max_age` in seconds, about a year (RFC 8461, section 3.2).
const MAX_AGE: u64 = 31_557_600;
/// The version, in records and policies.
const VERSION: &str = "STSv1";

/// The MTA-STS policy of a mail domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sts {
    /// The identifier in the record, which changes with the policy.
    pub id: String,
    /// The policy.
    pub policy: StsPolicy,
}

/// A policy file (RFC 8461, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// The mode.
    pub mode: StsMode,
    /// The allowed mail hosts: lower-case names, which may begin with the label `*`.
    pub mx: Vec<String>,
    /// The time in seconds for which senders keep the policy.
    pub max_age: u64,
}

/// The effect of a policy (RFC 8461, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StsMode {
    /// Senders do not deliver to hosts that fail validation.
    Enforce,
    /// Senders report failures (RFC 8460) and deliver.
    Testing,
    /// No active policy.
    None,
}

/// The reason for which senders cannot use an announced policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StsFault {
    /// There are several records with the version.
    SeveralRecords {
        /// Their number.
        count: usize,
    },
    /// The record does not have the syntax of RFC 8461, section 3.1.
    InvalidRecord {
        /// The record.
        record: String,
    },
    /// The policy could not be fetched, for example because the certificate of the policy host is
    /// not valid.
    Fetch {
        /// The reason.
        reason: String,
    },
    /// The response has another status than 200. Senders do not follow redirects.
    HttpStatus {
        /// The status.
        status: u16,
    },
    /// The media type is not `text/plain`.
    MediaType {
        /// The media type.
        content_type: String,
    },
    /// The policy does not have the syntax of RFC 8461, section 3.2.
    InvalidPolicy {
        /// The reason.
        reason: PolicyFault,
    },
}

/// The fault of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFault {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A line has no colon.
    #[error("the line `{line}` has no colon")]
    NoColon {
        /// The beginning of the line.
        line: String,
    },
    /// A required field is missing.
    #[error("it has no `{field}`")]
    Missing {
        /// The name of the field.
        field: &'static str,
    },
    /// The version is unknown.
    #[error("the version is `{version}`")]
    Version {
        /// The beginning of the version.
        version: String,
    },
    /// The mode is unknown.
    #[error("the mode is `{mode}`")]
    Mode {
        /// The beginning of the mode.
        mode: String,
    },
    /// The maximum age is not a number up to 31557600 (RFC 8461, section 3.2).
    #[error("`max_age` is `{max_age}`")]
    MaxAge {
        /// The beginning of the maximum age.
        max_age: String,
    },
    /// A mail host is neither a host name nor a wildcard.
    #[error("`mx: {mx}` is not a host name or a wildcard")]
    Mx {
        /// The beginning of the mail host.
        mx: String,
    },
}

impl Serialize for PolicyFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl StsMode {
    /// Returns the name in policies and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// Returns the identifier of the policy that the TXT records at `_mta-sts.DOMAIN` announce, or
/// `None` if they announce none (RFC 8461, section 3.1).
///
/// # Errors
/// If there are several announcements, or the only one is invalid.
pub fn announced(records: &[Vec<u8>]) -> Option<Result<String, StsFault>> {
    let is_announcement = |record: &&Vec<u8>| {
        let rest = record.strip_prefix(b"v=STSv1");
        rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b";"))
    };
    let mut found = records.iter().filter(is_announcement);
    let record = found.next()?;
    let more = found.count();
    if more > 0 {
        return Some(Err(StsFault::SeveralRecords { count: more + 1 }));
    }
    let text = String::from_utf8_lossy(record);
    let invalid = || StsFault::InvalidRecord {
        record: quoted(&text),
    };
    Some(id(&text).ok_or_else(invalid))
}

/// Returns the identifier in a record, if its syntax is valid.
fn id(record: &str) -> Option<String> {
    let mut fields: Vec<&str> = record
        .split(';')
        .map(|f| f.trim_matches([' ', '\t']))
        .collect();
    // A final semicolon is allowed.
    fields.pop_if(|last| last.is_empty());
    let mut id = None;
    for field in fields.into_iter().skip(1) {
        let (name, value) = field.split_once('=')?;
        if name.is_empty() || value.is_empty() {
            return None;
        }
        if name == "id" {
            let is_valid =
                value.len() <= MAX_ID_LENGTH && value.bytes().all(|b| b.is_ascii_alphanumeric());
            if !is_valid || id.is_some() {
                return None;
            }
            id = Some(value.to_owned());
        }
    }
    id
}

impl StsPolicy {
    /// Parses a policy file. Unknown fields are ignored; of a repeated field other than `mx`, the
    /// first counts.
    ///
    /// # Errors
    /// If senders cannot use the policy.
    pub fn parse(body: &[u8]) -> Result<Self, StsFault> {
        Self::read(body).map_err(|reason| StsFault::InvalidPolicy { reason })
    }

    fn read(body: &[u8]) -> Result<Self, PolicyFault> {
        let text = std::str::from_utf8(body).map_err(|_| PolicyFault::NotUtf8)?;
        let missing = |field| PolicyFault::Missing { field };
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut mx = Vec::new();
        for line in text.lines().map(|line| line.trim_end_matches([' ', '\t'])) {
            if line.is_empty() {
                continue;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| PolicyFault::NoColon { line: quoted(line) })?;
            let value = value.trim_start_matches([' ', '\t']);
            match name {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" => mx.push(pattern(value)?),
                _ => {}
            }
        }
        match version {
            Some(VERSION) => {}
            Some(other) => {
                return Err(PolicyFault::Version {
                    version: quoted(other),
                });
            }
            None => return Err(missing("version")),
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            Some(other) => {
                return Err(PolicyFault::Mode {
                    mode: quoted(other),
                });
            }
            None => return Err(missing("mode")),
        };
        let max_age = max_age.ok_or_else(|| missing("max_age"))?;
        let is_number = !max_age.is_empty() && max_age.bytes().all(|b| b.is_ascii_digit());
        let max_age = match max_age.parse::<u64>() {
            Ok(seconds) if is_number && seconds <= MAX_AGE => seconds,
            _ => {
                return Err(PolicyFault::MaxAge {
                    max_age: quoted(max_age),
                });
            }
        };
        if mx.is_empty() && mode != StsMode::None {
            return Err(missing("mx"));
        }
        Ok(Self { mode, mx, max_age })
    }

    /// Returns true if the policy allows a mail host (RFC 8461, section 4.1). A wildcard stands for
    /// one label.
    pub fn allows(&self, host: &Hostname) -> bool {
        let Hostname::Dns(host) = host else {
            return false;
        };
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.mx
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(of) => parent == Some(of),
                None => pattern == host,
            })
    }
}

/// Returns the pattern of an `mx` field in normal form.
fn pattern(value: &str) -> Result<String, PolicyFault> {
    let name = value.strip_prefix("*.").unwrap_or(value);
    let wrong = || PolicyFault::Mx { mx: quoted(value) };
    match name.parse() {
        Ok(Hostname::Dns(name)) if value.starts_with("*.") => Ok(format!("*.{name}")),
        Ok(Hostname::Dns(name)) => Ok(name),
        Ok(Hostname::Ip(_) | Hostname::File(_)) | Err(_) => Err(wrong()),
    }
}

/// Returns the beginning of untrusted text.
fn quoted(text: &str) -> String {
    printable(&text.chars().take(MAX_QUOTED).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(texts: &[&str]) -> Option<Result<String, StsFault>> {
        let records: Vec<Vec<u8>> = texts.iter().map(|t| t.as_bytes().to_vec()).collect();
        announced(&records)
    }

    #[test]
    fn a_record_announces_an_identifier() {
        for record in [
            "v=STSv1; id=20160831085700Z;",
            "v=STSv1;id=20160831085700Z",
            "v=STSv1 ; id=20160831085700Z ; x=y;",
        ] {
            let id = records(&["spf", record]).unwrap().unwrap();
            assert_eq!(id, "20160831085700Z", "{record}");
        }
        for record in [
            "v=STSv2; id=1;",
            "V=STSv1; id=1;",
            "id=1; v=STSv1;",
            "v=STSv1",
        ] {
            assert_eq!(records(&[record]), None, "{record}");
        }
        for record in [
            "v=STSv1;",
            "v=STSv1; id=;",
            "v=STSv1; id=a-b;",
            "v=STSv1; id=a b;",
            "v=STSv1; id=1; id=2;",
            "v=STSv1; id=1;; x=y;",
            "v=STSv1; id=123456789012345678901234567890123;",
        ] {
            let fault = records(&[record]).unwrap().unwrap_err();
            assert!(matches!(fault, StsFault::InvalidRecord { .. }), "{record}");
        }
        let two = records(&["v=STSv1; id=1;", "v=STSv1; id=2;"]).unwrap();
        assert_eq!(two, Err(StsFault::SeveralRecords { count: 2 }));
    }

    const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.NET\r\nmax_age: 604800\r\n";

    #[test]
    fn a_policy_is_read_as_senders_do() {
        let policy = StsPolicy::parse(POLICY.as_bytes()).unwrap();
        assert_eq!(policy.mode, StsMode::Enforce);
        assert_eq!(policy.mx, ["mail.example.com", "*.example.net"]);
        assert_eq!(policy.max_age, 604_800);
        for (host, is_allowed) in [
            ("mail.example.com", true),
            ("a.mail.example.com", false),
            ("example.com", false),
            ("mx1.example.net", true),
            ("a.mx1.example.net", false),
            ("example.net", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(policy.allows(&host.parse().unwrap()), is_allowed, "{host}");
        }
        let first = format!("{POLICY}mode: none\nfuture: x\n\n");
        assert_eq!(StsPolicy::parse(first.as_bytes()), Ok(policy));
        let none = StsPolicy::parse(b"version:STSv1\nmode:none\nmax_age:0").unwrap();
        assert_eq!((none.mode, none.mx.len()), (StsMode::None, 0));
    }

    #[test]
    fn a_policy_that_senders_cannot_use_has_a_reason() {
        let without = |name: &str| {
            let lines = POLICY.lines().filter(|line| !line.starts_with(name));
            lines.collect::<Vec<_>>().join("\n")
        };
        for (text, word) in [
            (without("version"), "no `version`"),
            (without("mode"), "no `mode`"),
            (without("mx"), "no `mx`"),
            (without("max_age"), "no `max_age`"),
            (POLICY.replace("STSv1", "STSv2"), "STSv2"),
            (POLICY.replace("enforce", "Enforce"), "Enforce"),
            (POLICY.replace("604800", "-1"), "-1"),
            (POLICY.replace("604800", "+1"), "+1"),
            (POLICY.replace("604800", "99999999999"), "99999999999"),
            (POLICY.replace("mail.", "mail.."), "mail.."),
            (POLICY.replace("mail.example.com", "192.0.2.1"), "192.0.2.1"),
            (
                POLICY.replace("mail.example.com", "a.*.example.com"),
                "a.*.",
            ),
            (format!("<html>\n{POLICY}"), "no colon"),
        ] {
            match StsPolicy::parse(text.as_bytes()) {
                Err(StsFault::InvalidPolicy { reason }) => {
                    assert!(reason.to_string().contains(word), "{text}: {reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let binary = StsPolicy::parse(b"\xff\xfe");
        assert!(binary.is_err());
    }

    proptest! {
        #[test]
        fn written_policies_are_read(
            mode in prop::sample::select(vec![StsMode::Enforce, StsMode::Testing]),
            hosts in prop::collection::vec(("[a-z]{1,9}\\.example", any::<bool>()), 1..6),
            max_age in 0..=MAX_AGE,
            line_end in prop::sample::select(vec!["\n", "\r\n"]),
        ) {
            let mx: Vec<String> = hosts
                .iter()
                .map(|(host, is_wildcard)| format!("{}{host}", if *is_wildcard { "*." } else { "" }))
                .collect();
            let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {}", mode.name())];
            lines.extend(mx.iter().map(|mx| format!("mx: {mx}")));
            lines.push(format!("max_age: {max_age}"));
            let policy = StsPolicy::parse(lines.join(line_end).as_bytes()).unwrap();
            for (host, is_wildcard) in &hosts {
                let host = if *is_wildcard { format!("a.{host}") } else { host.clone() };
                prop_assert!(policy.allows(&host.parse().unwrap()));
                let below = format!("b.{host}").parse().unwrap();
                let others = hosts.iter().filter(|(h, w)| *w && format!("b.{h}") == format!("b.{host}"));
                prop_assert_eq!(policy.allows(&below), others.count() > 0);
            }
            prop_assert_eq!(policy, StsPolicy { mode, mx, max_age });
        }

        #[test]
        fn no_bytes_make_the_parsers_panic(
            body in prop::collection::vec(any::<u8>(), 0..200),
            text in "(version: STSv1\n|mode: (enforce|none|x)\n|mx: [*a.-]{0,6}\n|max_age: [0-9]{0,12}\n|.{0,5}\n){0,8}",
        ) {
            let _ = StsPolicy::parse(&body);
            let _ = announced(&[body]);
            if let Ok(policy) = StsPolicy::parse(text.as_bytes()) {
                prop_assert!(policy.max_age <= MAX_AGE);
                prop_assert!(policy.mode == StsMode::None || !policy.mx.is_empty());
            }
        }
    }
}
