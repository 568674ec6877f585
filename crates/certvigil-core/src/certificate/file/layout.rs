//! Layout of PEM files that servers read. [`super::read_certificates`] is more lenient than a server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::blocks::{Block, blocks};
use super::{FileError, is_der, text};

/// Returns an error if servers cannot read a file whose certificates can be read here, or would
/// skip one of them: OpenSSL wants each boundary on a line of its own, no empty line between two
/// boundaries, and complete base64. DER, and files with PKCS #7 or PKCS #12 alone, pass.
///
/// # Errors
/// Returns the first fault, with its line.
pub fn check_layout(bytes: &[u8]) -> Result<(), FileError> {
    if is_der(bytes) {
        return Ok(());
    }
    let text = text::decode(bytes);
    let blocks = blocks(&text)?;
    let is_certificate = |block: &&Block<'_>| block.label.ends_with("CERTIFICATE");
    let Some(first) = blocks.iter().find(is_certificate) else {
        return Ok(());
    };
    if text::is_utf16(bytes) {
        return Err(FileError::Utf16);
    }
    if text.contains(&0) {
        return Err(FileError::ZeroByte);
    }
    let containers = ["PKCS7", "CMS", "PKCS #7 SIGNED DATA", "PKCS12"];
    if let Some(block) = blocks.iter().find(|b| containers.contains(&b.label)) {
        return Err(FileError::Skipped {
            line: block.line,
            label: block.label.to_owned(),
            beside: first.label.to_owned(),
        });
    }
    blocks.iter().filter(is_certificate).try_for_each(check)
}

/// Returns an error if OpenSSL cannot read a block.
pub(super) fn check(block: &Block<'_>) -> Result<(), FileError> {
    let (line, label) = (block.line, block.label.to_owned());
    if !block.is_on_own_lines() {
        return Err(FileError::SharedLine { line, label });
    }
    let body = block.body.strip_suffix(b"\n").unwrap_or(block.body);
    let mut lines = body.split(|byte| *byte == b'\n').skip(1);
    if lines.any(|line| line.iter().all(u8::is_ascii_whitespace)) {
        return Err(FileError::EmptyLine { line, label });
    }
    let mut base64 = block.body.to_vec();
    base64.retain(|byte| !byte.is_ascii_whitespace());
    match STANDARD.decode(base64) {
        Ok(_) => Ok(()),
        Err(_) => Err(FileError::IncompleteBase64 { line, label }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &str = include_str!("../../judge/testdata/leaf.pem");
    const INTERMEDIATE: &str = include_str!("../../judge/testdata/intermediate.pem");

    fn checked(text: &str) -> Result<(), FileError> {
        let read = super::super::read_certificates(text.as_bytes(), None);
        assert_eq!(read.map(|all| all.len()), Ok(2), "{text}");
        check_layout(text.as_bytes())
    }

    fn body(pem: &str) -> String {
        pem.lines().filter(|line| !line.starts_with('-')).collect()
    }

    #[test]
    fn layouts_that_openssl_reads_pass() {
        let chain = format!("{LEAF}{INTERMEDIATE}");
        let one_line = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            body(LEAF)
        );
        for text in [
            chain.clone(),
            chain.replace('\n', "\r\n"),
            chain.trim_end().to_owned(),
            format!("\u{feff}{chain}"),
            format!("text\n\n{LEAF}\n# more\n{INTERMEDIATE}\ntext"),
            chain.replace("-----\n", "----- \t\n"),
            chain.replace(" CERTIFICATE-", " X509 CERTIFICATE-"),
            format!("{one_line}{INTERMEDIATE}"),
            chain.replace("\nM", "\n  M"),
        ] {
            assert_eq!(checked(&text), Ok(()), "{text}");
        }
    }

    #[test]
    fn layouts_that_openssl_refuses_or_skips_are_errors() {
        let chain = format!("{LEAF}{INTERMEDIATE}");
        let shared = |text: String| {
            let error = checked(&text).unwrap_err();
            assert!(matches!(error, FileError::SharedLine { .. }), "{text}");
        };
        shared(chain.replace("-----\n-----", "----------"));
        shared(chain.replace('\n', "\r"));
        shared(chain.replace('\n', ""));
        shared(chain.replace('\n', "\\n"));
        shared(format!("{LEAF} {INTERMEDIATE}"));
        shared(format!("{LEAF}text {INTERMEDIATE}"));
        shared(format!("{} text\n{INTERMEDIATE}", LEAF.trim_end()));
        shared(format!("{LEAF}{} text", INTERMEDIATE.trim_end()));
        shared(chain.replace("\n-----END", "\n -----END"));
        let empty = chain.replace("\nM", "\n\nM");
        assert!(matches!(checked(&empty), Err(FileError::EmptyLine { .. })));
        let unpadded = chain.replace('=', "");
        assert_ne!(unpadded, chain);
        assert!(matches!(
            checked(&unpadded),
            Err(FileError::IncompleteBase64 { .. })
        ));
        let zero = format!("{LEAF}\0\n{INTERMEDIATE}");
        assert_eq!(checked(&zero), Err(FileError::ZeroByte));
        let utf16: Vec<u8> = chain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(check_layout(&utf16), Err(FileError::Utf16));
    }
}
