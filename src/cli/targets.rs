//! TARGETs of the command line and of `--targets` files.

use std::io::Read as _;
use std::path::Path;

use certvigil_probe::io::read_certificate_file;

use crate::config::ValueError;
use crate::error::Cause;
use crate::model::{Hostname, TargetAddress, userinfo, without_userinfo};

use super::plan::{Targets, report_zones};

/// Maximum size of a list of targets, in bytes.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// Maximum size of a file that is read to find out if it contains a certificate, in bytes.
const MAX_PEEK_BYTES: u64 = 64 << 10;
/// Extensions of certificate and key files.
const EXTENSIONS: [&str; 12] = [
    "pem", "crt", "cer", "der", "p7b", "p7c", "p12", "pfx", "key", "csr", "jks", "crl",
];

/// Extensions of text files. No top-level domain has one of these names.
const TEXT_EXTENSIONS: [&str; 12] = [
    "txt", "list", "lst", "csv", "json", "yml", "yaml", "toml", "conf", "cfg", "ini", "log",
];
/// A host that may be the name of a file too.
const LOCALHOST: &str = "localhost";

/// Reason why a TARGET, or a list of them, cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    /// There is no target.
    #[error(
        "no target; give a TARGET (host, host:port, a URL such as https:// or smtp://, mx:DOMAIN, srv:_service._tcp.DOMAIN, or file:///PATH), or --sslmate, --cert or --config"
    )]
    None,
    /// A line of a list is invalid.
    #[error("{file}:{line}: {error}")]
    Line {
        /// Name of the list.
        file: String,
        /// Number of the line, starting at 1.
        line: usize,
        /// Error of the target.
        error: Box<Self>,
    },
    /// The list cannot be read.
    #[error("{name}: {error}")]
    List {
        /// Name of the list.
        name: String,
        /// Reason.
        error: ListError,
    },
    /// The list is a PEM file.
    #[error(
        "this is a PEM file; give it as --cert, and a list with one TARGET a line as --targets"
    )]
    PemAsList,
    /// A port was written as a target of its own, after its host.
    #[error("{error}; did you mean `{host}:{port}`?")]
    PortApart {
        /// Error of the port.
        error: Box<Self>,
        /// The target before it.
        host: String,
        /// The port.
        port: String,
    },
    /// `mx:` has a URL.
    #[error("`mx:` takes a domain, not a URL; did you mean `mx:{domain}`?")]
    MailUrl {
        /// Domain of the URL.
        domain: String,
    },
    /// `mx:` has a mail address.
    #[error("`mx:` takes a domain, not a mail address; did you mean `mx:{domain}`?")]
    MailAddress {
        /// Domain of the address.
        domain: String,
    },
    /// `mx:` has no domain.
    #[error("`mx:` has no domain; write mx:example.com")]
    NoMailDomain,
    /// The target is a file or a directory.
    #[error("{suggestion}")]
    File {
        /// Description of the file, with the command for it.
        suggestion: String,
    },
    /// A file URL has a relative path.
    #[error("`{0}` has no absolute path; write file:///PATH, or `certvigil verify FILE`")]
    RelativeFileUrl(String),
    /// A file URL has a host.
    #[error("`{0}` names a host; write file:///PATH with an absolute path")]
    HostInFileUrl(String),
    /// A file URL has a query or a fragment.
    #[error(
        "`{url}`: a file URL has no `{character}`; write %{:02X} for one in the path",
        u32::from(*character)
    )]
    CharacterInFileUrl {
        /// The URL.
        url: String,
        /// Start of the query or the fragment.
        character: char,
    },
    /// The path of a file URL has a zero byte.
    #[error("`{0}`: a path cannot contain a zero byte")]
    ZeroInFileUrl(String),
    /// The path of a file URL cannot be represented on this system.
    #[error("`{0}`: the path is not UTF-8")]
    FileUrlNotUtf8(String),
    /// The zone of a link-local address is no network interface.
    #[error(
        "`{hostname}%{zone}`: this machine has no network interface `{zone}`, which is the zone of the address; write one that `ip link` lists"
    )]
    Zone {
        /// Address without its zone.
        hostname: Hostname,
        /// Zone of the address.
        zone: String,
    },
    /// A domain is invalid.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A host, port, URL or service is invalid.
    #[error("{0}")]
    Model(Cause),
}

impl TargetError {
    /// Returns the error for a target that the model refused.
    pub(super) fn model(cause: impl Into<Cause>) -> Self {
        Self::Model(cause.into())
    }
}

/// Reason why a list of targets cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    /// There is no target in it.
    #[error("there is no target in it; write one a line")]
    Empty,
    /// The list is too large.
    #[error("the list of targets is larger than {MAX_LIST_BYTES} bytes")]
    TooLarge,
    /// The standard input cannot be read.
    #[error("the list of targets cannot be read: {0}")]
    Stdin(std::io::Error),
    /// The path is a directory.
    #[error("it is a directory; give a file with one TARGET a line")]
    Directory,
    /// The file cannot be read.
    #[error("{0}; give a file with one TARGET a line, or -")]
    File(Cause),
    /// The list is neither UTF-8 nor UTF-16.
    #[error("the list of targets is not UTF-8 text; save it as UTF-8")]
    NotText,
}

/// A target as it is written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    /// The file and the line, unless it is an argument.
    line: Option<(String, usize)>,
}

impl Written {
    /// Adds the file and the line to an error.
    fn at(&self, error: TargetError) -> TargetError {
        match &self.line {
            Some((file, line)) => TargetError::Line {
                file: file.clone(),
                line: *line,
                error: error.into(),
            },
            None => error,
        }
    }
}

/// Returns the targets of the arguments, then those of the list.
///
/// # Errors
/// If the list cannot be read, or there is no target in it.
pub(super) fn all(arguments: &[String], list: Option<&Path>) -> Result<Vec<Written>, TargetError> {
    let mut all: Vec<Written> = arguments
        .iter()
        .map(|text| Written {
            text: text.clone(),
            line: None,
        })
        .collect();
    if let Some(file) = list {
        let name = match file.to_str() {
            Some("-") => "stdin".to_owned(),
            _ => file.display().to_string(),
        };
        let text = read_list(file).and_then(|bytes| decode(&bytes));
        let text = text.map_err(|error| TargetError::List {
            name: name.clone(),
            error,
        })?;
        let listed = lines(&text, &name)?;
        // An empty list must not mean all hosts of the certificate, or the whole inventory.
        // Beside other targets, it is the output of a command that failed.
        if listed.is_empty() {
            return Err(TargetError::List {
                name,
                error: ListError::Empty,
            });
        }
        all.extend(listed);
    }
    Ok(all)
}

fn read_list(file: &Path) -> Result<Vec<u8>, ListError> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let mut stdin = std::io::stdin().lock().take(MAX_LIST_BYTES + 1);
        let read = stdin.read_to_end(&mut bytes);
        read.map_err(ListError::Stdin)?;
        bytes
    } else if file.is_dir() {
        return Err(ListError::Directory);
    } else {
        read_certificate_file(file).map_err(|why| ListError::File(why.into()))?
    };
    match bytes.len() as u64 > MAX_LIST_BYTES {
        true => Err(ListError::TooLarge),
        false => Ok(bytes),
    }
}

/// Decodes UTF-8, or UTF-16 with a byte order mark.
fn decode(bytes: &[u8]) -> Result<String, ListError> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.get(2..).unwrap_or_default().chunks_exact(2);
        let units = pairs.filter_map(|pair| pair.try_into().ok()).map(unit);
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .ok()
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    text.ok_or(ListError::NotText)
}

/// Returns the targets of a list: one a line. `#` begins a comment, at the start of a line or after a
/// blank.
fn lines(text: &str, name: &str) -> Result<Vec<Written>, TargetError> {
    let mut found = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (at, line) in text.split('\n').enumerate() {
        let comment = line.char_indices().find(|&(at, c)| {
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            c == '#' && before.is_none_or(char::is_whitespace)
        });
        let line = comment.map_or(line, |(at, _)| line.get(..at).unwrap_or(line));
        // A carriage return alone ended lines once.
        for text in line.split('\r').map(str::trim).filter(|t| !t.is_empty()) {
            let written = Written {
                text: text.to_owned(),
                line: Some((name.to_owned(), at + 1)),
            };
            if text.contains("-----BEGIN ") {
                return Err(written.at(TargetError::PemAsList));
            }
            found.push(written);
        }
    }
    Ok(found)
}

/// Parses the targets: hosts, the mail servers of domains, services, XMPP domains and files. With
/// `has_xmpp_domain`, a flag has the domain, and an XMPP target is the host.
///
/// # Errors
/// If one of them is none of these. The error names its line.
pub(super) fn parse(all: &[Written], has_xmpp_domain: bool) -> Result<Targets, TargetError> {
    let mut targets = Targets::default();
    let mut before: Option<&Written> = None;
    for written in all {
        let mut parse = || {
            check(written)?;
            targets
                .add(written.text.trim(), has_xmpp_domain)
                .map_err(|error| joined(error, before, written))
        };
        parse().map_err(|error| written.at(error))?;
        before = Some(written);
    }
    report_zones(&targets.places);
    Ok(targets)
}

/// Adds a suggestion to the error for a port that is written as a target of its own.
fn joined(error: TargetError, before: Option<&Written>, port: &Written) -> TargetError {
    let is_port = port.text.parse::<u16>().is_ok_and(|port| port > 0);
    let host = before.filter(|before| {
        let place = before.text.parse::<TargetAddress>();
        is_port && place.is_ok_and(|place| place.port.is_none() || before.text.contains("://"))
    });
    match host {
        Some(host) => TargetError::PortApart {
            error: error.into(),
            host: host.text.trim_end_matches('/').to_owned(),
            port: port.text.clone(),
        },
        None => error,
    }
}

/// Refuses what is no host, although some of it could be a name: a file, and a mail domain with a
/// user name.
fn check(written: &Written) -> Result<(), TargetError> {
    let text = written.text.trim();
    if let Some(rest) = text.strip_prefix("mx:") {
        if let Some(domain) = rest.strip_prefix("//") {
            let domain = without_userinfo(domain);
            let domain = domain.trim_end_matches('/').replace("***@", "");
            return Err(TargetError::MailUrl { domain });
        }
        if userinfo(text).is_some() {
            let domain = rest.rsplit('@').next().unwrap_or_default().to_owned();
            return Err(TargetError::MailAddress { domain });
        }
    }
    if userinfo(text).is_some() || text.contains("://") {
        return Ok(());
    }
    match suggestion_for_file(text) {
        Some(suggestion) => Err(TargetError::File { suggestion }),
        None => Ok(()),
    }
}

/// Returns the error for an existing file or directory, with what to write instead. A host may have
/// the name of a file, such as that of its configuration, so not every file counts.
pub(super) fn suggestion_for_file(text: &str) -> Option<String> {
    let path = Path::new(text);
    let is_host = text.parse::<TargetAddress>().is_ok();
    if path.is_dir() {
        return (!is_host && text.contains('/')).then(|| {
            format!(
                "`{text}` is a directory, not a host; give a host, or a file as `certvigil verify FILE`"
            )
        });
    }
    if !path.is_file() {
        return None;
    }
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    let has_certificates =
        EXTENSIONS.contains(&extension.as_str()) || has_certificates(path).unwrap_or(false);
    let is_text = TEXT_EXTENSIONS.contains(&extension.as_str()) || !text.contains('.');
    if is_host && !has_certificates && (!is_text || text == LOCALHOST) {
        return None;
    }
    let what = match has_certificates {
        true => format!(
            "to judge the file, write `certvigil verify {text}`; to expect it of a server, `certvigil check --cert {text} HOST`"
        ),
        false => format!(
            "to read targets from it, write `certvigil check --targets {text}`; to judge a file with certificates, `certvigil verify {text}`"
        ),
    };
    let host = match is_host {
        true => format!("; for the host of that name, write `{text}:443`"),
        false => String::new(),
    };
    Some(format!("`{text}` is a file, not a host; {what}{host}"))
}

/// Returns true if a file begins as one with certificates or keys does.
fn has_certificates(path: &Path) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_PEEK_BYTES).read_to_end(&mut bytes)?;
    let pem = b"-----BEGIN ";
    let is_pem = bytes.windows(pem.len()).any(|window| window == pem);
    Ok(is_pem || bytes.starts_with(&[0x30, 0x82]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, usize)> {
        let written = lines(text, "list").unwrap();
        let line = |w: Written| (w.text, w.line.unwrap().1);
        written.into_iter().map(line).collect()
    }

    #[test]
    fn a_list_has_comments_blanks_and_every_line_end() {
        let text =
            "\u{feff}# hosts\r\n\r\n  a.example:1\t# web\r\nhttps://b.example/#c\n\n\tc.example";
        let wanted = [
            ("a.example:1", 3),
            ("https://b.example/#c", 4),
            ("c.example", 6),
        ];
        assert_eq!(
            read(text),
            wanted.map(|(text, line)| (text.to_owned(), line))
        );
        assert_eq!(read("a\rb"), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert!(
            lines("-----BEGIN CERTIFICATE-----\n", "x")
                .unwrap_err()
                .to_string()
                .starts_with("x:1: ")
        );
    }

    #[test]
    fn a_list_is_utf_8_or_utf_16() {
        let units = "a.example\n".encode_utf16();
        let little: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(units.clone().flat_map(u16::to_le_bytes))
            .collect();
        let big: Vec<u8> = [0xfe, 0xff]
            .into_iter()
            .chain(units.flat_map(u16::to_be_bytes))
            .collect();
        for bytes in [little.as_slice(), &big, b"a.example\n"] {
            assert_eq!(decode(bytes).unwrap(), "a.example\n");
        }
        assert!(decode(&[0xe4, b'a']).is_err());
    }

    #[test]
    fn an_error_names_the_line_and_suggests_the_port() {
        let all = lines("a.example\n443\n", "list").unwrap();
        let error = parse(&all, false).unwrap_err().to_string();
        assert!(
            error.starts_with("list:2: `443` is a port without a host"),
            "{error}"
        );
        assert!(error.ends_with("did you mean `a.example:443`?"), "{error}");
        for (text, says) in [
            ("mx://a.example/", "`mx:a.example`"),
            ("mx:u:secret@a.example", "`mx:a.example`"),
        ] {
            let error = parse(&lines(text, "list").unwrap(), false)
                .unwrap_err()
                .to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
