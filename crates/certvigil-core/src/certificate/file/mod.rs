//! Files with certificates: PEM with every label and encoding, DER, PKCS #7 and
//! PKCS #12.
//!
//! No certificate is dropped silently: a block that cannot be read is an error with its line.

mod ber;
mod blocks;
mod foreign;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod layout;
mod leaf;
mod pkcs12;
mod pkcs7;
mod private_key;
mod secrecy;
mod text;
mod trusted;

use super::Certificate;
use blocks::{Block, blocks};
pub use foreign::Foreign;
pub use layout::check_layout;
pub use leaf::{LeafError, leaf_of};
use pkcs12::Opening;
pub use private_key::{KeyError, KeyOfFile, read_private_keys};
pub use secrecy::may_have_private_key;
pub use trusted::{parse_root_store, parse_roots};

/// Maximum certificates in one file, beyond any chain file or bundle of roots.
pub const MAX_FILE_CERTIFICATES: usize = 10_000;

const SEQUENCE: u8 = 0x30;
/// Label of a certificate with OpenSSL's trust settings.
const TRUSTED: &str = "TRUSTED CERTIFICATE";
/// Labels of PEM blocks with a certificate.
const CERTIFICATE_LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", TRUSTED];

/// The reason for which a file cannot be read. Displayed as one line without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file has no bytes but white space.
    #[error("the file is empty")]
    Empty,
    /// More than [`MAX_FILE_CERTIFICATES`].
    #[error("the file has more than {MAX_FILE_CERTIFICATES} certificates")]
    TooMany,
    /// A PEM block has no end.
    #[error("line {line}: the line `-----END {label}-----` is missing")]
    MissingEnd {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// A PEM block has an end and no beginning.
    #[error("line {line}: `-----END {label}-----` has no `-----BEGIN {label}-----` before it")]
    MissingBegin {
        /// Line of the boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// A line that resembles a boundary of a certificate.
    #[error(
        "line {line}: `{text}` is not a boundary: write `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----` with five hyphens on each side"
    )]
    NotABoundary {
        /// Line number, from 1.
        line: usize,
        /// The line's beginning.
        text: String,
    },
    /// The text of a PEM block is not base64.
    #[error("line {line}: the block `{label}` has characters that are not base64")]
    NotBase64 {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// A PEM block says that it is a certificate, and is not.
    #[error("line {line}: the block `{label}` is not a certificate{}", match .is {
        Some(foreign) => format!(" but {foreign}"),
        None => ": its DER is damaged or cut short".to_owned(),
    })]
    NotACertificate {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
        /// The content of the block, if it is known.
        is: Option<Foreign>,
    },
    /// There are bytes after the certificates of a DER file.
    #[error(
        "the file has {0} bytes after its last certificate: it is damaged, or two files were joined"
    )]
    Trailing(usize),
    /// The file is of another kind.
    #[error("the file has no certificate, only {0}")]
    Only(Foreign),
    /// A PKCS #7 file whose structure cannot be read.
    #[error("the PKCS #7 structure is damaged{}", at(.0))]
    Pkcs7(Option<usize>),
    /// A PKCS #7 or PKCS #12 file without certificates.
    #[error("the {0} file has no certificate")]
    NoneInside(&'static str),
    /// A PKCS #12 file whose structure cannot be read.
    #[error("the PKCS #12 structure is damaged")]
    Pkcs12,
    /// A PKCS #12 file with an encryption scheme that is unknown here.
    #[error(
        "the PKCS #12 file uses an encryption scheme that is not supported; convert it with `openssl pkcs12 -in FILE -nokeys -out FILE.pem`, and with -legacy if OpenSSL 3 does not support it"
    )]
    Pkcs12Encryption,
    /// More iterations of key derivation than are carried out.
    #[error(
        "the PKCS #12 file takes too long to open, because of its iteration counts; convert it with `openssl pkcs12 -in FILE -nokeys -out FILE.pem`"
    )]
    Pkcs12Iterations,
    /// A PKCS #12 file with a password.
    #[error(
        "the PKCS #12 file needs a password: give it in a file with --cert-password-file (an empty file for the empty password), or convert the file with `openssl pkcs12 -in FILE -nokeys -out FILE.pem`"
    )]
    NeedsPassword,
    /// A PKCS #12 file with another password.
    #[error("the password does not open the PKCS #12 file")]
    WrongPassword,
    /// A boundary that is not on a line of its own.
    #[error(
        "line {line}: a boundary of the block `{label}` shares its line with other text, so that servers cannot read the file: give `-----BEGIN {label}-----` and `-----END {label}-----` lines of their own"
    )]
    SharedLine {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// An empty line between the boundaries of a block.
    #[error(
        "line {line}: the block `{label}` has an empty line, so that servers cannot read the file: delete the line"
    )]
    EmptyLine {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// Base64 without its padding, or with escaped line breaks.
    #[error(
        "line {line}: the base64 of the block `{label}` has no padding or other characters in it, so that servers cannot read the file: write it with `openssl x509`"
    )]
    IncompleteBase64 {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// A PKCS #7 or PKCS #12 block beside certificates.
    #[error(
        "line {line}: servers skip the block `{label}` beside a block `{beside}`: convert it to PEM certificates"
    )]
    Skipped {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
        /// Label of a block with a certificate.
        beside: String,
    },
    /// A `TRUSTED CERTIFICATE` block after the first certificate.
    #[error(
        "line {line}: servers skip the block `TRUSTED CERTIFICATE` after the first certificate: convert it with `openssl x509 -in FILE -out FILE.pem`"
    )]
    TrustedAfterFirst {
        /// Line of the block's first boundary, from 1.
        line: usize,
    },
    /// PKCS #7 under the label of a certificate.
    #[error(
        "line {line}: the block `{label}` has PKCS #7, so that servers cannot read the file: change the label to `PKCS7` and convert it with `openssl pkcs7 -print_certs -in FILE -out FILE.pem`"
    )]
    Pkcs7Label {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// Bytes after the DER of the first certificate, in its block.
    #[error(
        "line {line}: the block `{label}` has {count} bytes after its certificate, so that servers cannot read the file: write it with `openssl x509 -in FILE -out FILE.pem`"
    )]
    AfterCertificate {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
        /// Number of the bytes.
        count: usize,
    },
    /// A block of another kind that OpenSSL cannot decode.
    #[error(
        "line {line}: servers cannot decode the block `{label}`, and refuse the file or skip the certificates after it: delete the block"
    )]
    Undecodable {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
    },
    /// A root store without certificates in PEM.
    #[error("it has no `-----BEGIN CERTIFICATE-----`, and clients read a root store as PEM only")]
    NoPem,
    /// Trust settings reject every certificate of the file.
    #[error(
        "no certificate in the file is trusted for TLS servers: the settings of its `TRUSTED CERTIFICATE` blocks reject that use; give other roots, or remove the settings with `openssl x509 -in FILE -out FILE.pem`"
    )]
    NotForServers,
    /// UTF-16.
    #[error("the file is UTF-16, which servers cannot read: save it as UTF-8")]
    Utf16,
    /// A zero byte in a PEM file.
    #[error("the file has a zero byte, after which servers may find no certificate: delete it")]
    ZeroByte,
    /// Neither PEM nor a known binary form.
    #[error(
        "the file has no `-----BEGIN CERTIFICATE-----` and is neither DER, PKCS #7 nor PKCS #12"
    )]
    Unknown,
}

fn at(line: &Option<usize>) -> String {
    line.map(|line| format!(" (line {line})"))
        .unwrap_or_default()
}

/// Reads every certificate of a file, in its order. PEM blocks of other kinds, such as keys, are passed over. `password`
/// opens PKCS #12 files.
///
/// # Errors
/// Returns an error if there is no certificate, or if one in the file cannot be read.
pub fn read_certificates(
    bytes: &[u8],
    password: Option<&str>,
) -> Result<Vec<Certificate>, FileError> {
    read_with(bytes, &Opening::new(password))
}

/// Reads every certificate of a file, with the remaining iterations of key derivation.
fn read_with(bytes: &[u8], opening: &Opening<'_>) -> Result<Vec<Certificate>, FileError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(FileError::Empty);
    }
    let found = if is_der(bytes) {
        read_der(bytes, opening)?
    } else {
        read_pem(&text::decode(bytes), opening)?
    };
    if found.len() > MAX_FILE_CERTIFICATES {
        return Err(FileError::TooMany);
    }
    Ok(found.into_iter().map(Certificate::from_der).collect())
}

/// Reads every certificate of a file that needs no password.
///
/// # Errors
/// The same as [`read_certificates`].
pub fn parse_certificates(bytes: &[u8]) -> Result<Vec<Certificate>, FileError> {
    read_certificates(bytes, None)
}

/// Returns the content of every PEM block of a file with this label, in its order.
///
/// # Errors
/// Returns an error if the blocks cannot be distinguished, or if one of them is not base64.
pub(super) fn contents_of_blocks(bytes: &[u8], label: &str) -> Result<Vec<Vec<u8>>, FileError> {
    let text = text::decode(bytes);
    let blocks = blocks(&text)?;
    let wanted = blocks.iter().filter(|block| block.label == label);
    wanted.map(Block::decode).collect()
}

/// Returns true if the certificates of a file are a set, whose order has no meaning: PKCS #7 and
/// PKCS #12. False for a file that cannot be read.
pub fn is_unordered(bytes: &[u8]) -> bool {
    if is_der(bytes) {
        return pkcs7::is_signed_data(bytes) || pkcs12::is_pfx(bytes);
    }
    let text = text::decode(bytes);
    let Ok(blocks) = blocks(&text) else {
        return false;
    };
    let mut ders = blocks
        .iter()
        .filter(|block| !block.label.ends_with("PRIVATE KEY"))
        .filter_map(|block| block.decode().ok());
    ders.any(|der| pkcs7::is_signed_data(&der) || pkcs12::is_pfx(&der))
}

/// Returns true if the bytes begin with a SEQUENCE whose length fits: text does not.
fn is_der(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    ber::expect(&mut rest, SEQUENCE).is_some()
}

fn read_der(bytes: &[u8], opening: &Opening<'_>) -> Result<Vec<Vec<u8>>, FileError> {
    if pkcs7::is_signed_data(bytes) {
        return read_pkcs7(bytes, None);
    }
    if pkcs12::is_pfx(bytes) {
        let found = pkcs12::certificates(bytes, opening)?;
        return match found.is_empty() {
            true => Err(FileError::NoneInside("PKCS #12")),
            false => Ok(found),
        };
    }
    let mut rest = bytes;
    let mut found = Vec::new();
    while let Some(element) =
        ber::expect(&mut { rest }, SEQUENCE).filter(|e| is_certificate(e.whole))
    {
        found.push(element.whole.to_vec());
        rest = rest.get(element.whole.len()..).unwrap_or_default();
        if found.len() > MAX_FILE_CERTIFICATES {
            return Err(FileError::TooMany);
        }
    }
    match found.is_empty() {
        true => Err(Foreign::of_der(bytes).map_or(FileError::Unknown, FileError::Only)),
        false if !rest.iter().all(u8::is_ascii_whitespace) => Err(FileError::Trailing(rest.len())),
        false => Ok(found),
    }
}

/// Returns true if the DER has the outline of a certificate (RFC 5280, section 4.1), whatever its fields hold.
fn is_certificate(der: &[u8]) -> bool {
    super::der::outline(der).is_ok()
}

fn read_pkcs7(der: &[u8], line: Option<usize>) -> Result<Vec<Vec<u8>>, FileError> {
    let found = pkcs7::certificates(der).ok_or(FileError::Pkcs7(line))?;
    match found.is_empty() {
        true => Err(FileError::NoneInside("PKCS #7")),
        false => Ok(found),
    }
}

fn read_pem(text: &[u8], opening: &Opening<'_>) -> Result<Vec<Vec<u8>>, FileError> {
    let blocks = blocks(text)?;
    let mut found = Vec::new();
    let mut others = None;
    for block in &blocks {
        match block.label {
            label if CERTIFICATE_LABELS.contains(&label) => {
                found.extend(read_certificate_block(block)?);
            }
            "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA" => {
                found.extend(read_pkcs7(&block.decode()?, Some(block.line))?);
            }
            "PKCS12" => found.extend(read_der(&block.decode()?, opening)?),
            _ => others = others.or_else(|| Some(Foreign::of_block(block))),
        }
        if found.len() > MAX_FILE_CERTIFICATES {
            return Err(FileError::TooMany);
        }
    }
    match others {
        _ if !found.is_empty() => Ok(found),
        Some(other) => Err(FileError::Only(other)),
        None => Err(Foreign::of_file(text).map_or(FileError::Unknown, FileError::Only)),
    }
}

/// Reads a block with the label of a certificate. Windows' tools put PKCS #7 under it.
fn read_certificate_block(block: &Block<'_>) -> Result<Vec<Vec<u8>>, FileError> {
    let der = block.decode()?;
    if pkcs7::is_signed_data(&der) {
        return read_pkcs7(&der, Some(block.line));
    }
    let not_one = || FileError::NotACertificate {
        line: block.line,
        label: block.label.to_owned(),
        is: Foreign::of_der(&der),
    };
    let mut rest = der.as_slice();
    let first = ber::expect(&mut rest, SEQUENCE).ok_or_else(not_one)?;
    let has_more = !rest.is_empty() && is_certificate(first.whole);
    if block.label == TRUSTED || has_more {
        // OpenSSL's own trust settings follow the certificate. It ignores other bytes there too.
        return Ok(vec![first.whole.to_vec()]);
    }
    match Foreign::of_der(&der) {
        Some(_) => Err(not_one()),
        None => Ok(vec![der]),
    }
}

#[cfg(test)]
mod tests;
