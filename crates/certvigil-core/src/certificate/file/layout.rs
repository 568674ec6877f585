//! Layout of PEM files that servers read. [`super::read_certificates`] is more lenient than a server.

use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};

use super::blocks::{Block, blocks, trim_control_end};
use super::{CERTIFICATE_LABELS, FileError, SEQUENCE, TRUSTED, ber, is_der, pkcs7, text, trusted};

/// Returns an error if servers cannot read a file whose certificates can be read here, or would
/// skip one of them: OpenSSL wants each boundary on a line of its own, no empty line between two
/// boundaries but directly after the first, and complete base64, and it decodes the blocks of other
/// kinds that it skips. DER, and files with PKCS #7 or PKCS #12 alone, pass.
///
/// # Errors
/// Returns the first fault, with its line.
pub fn check_layout(bytes: &[u8]) -> Result<(), FileError> {
    if is_der(bytes) {
        return Ok(());
    }
    let text = text::decode(bytes);
    let blocks = blocks(&text)?;
    let is_certificate = |block: &&Block<'_>| CERTIFICATE_LABELS.contains(&block.label);
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
    for block in &blocks {
        if is_certificate(&block) {
            check(block)?;
            check_content(block, block == first)?;
        } else if !is_skipped(block) {
            return Err(FileError::Undecodable {
                line: block.line,
                label: block.label.to_owned(),
            });
        }
    }
    Ok(())
}

/// Returns an error if OpenSSL does not read the content of a certificate's block. It reads trust
/// settings in the first block only (`SSL_CTX_use_certificate_chain_file`), and ignores bytes after
/// a certificate in the others.
fn check_content(block: &Block<'_>, is_first: bool) -> Result<(), FileError> {
    let (line, label) = (block.line, block.label.to_owned());
    let der = block.decode()?;
    if pkcs7::is_signed_data(&der) {
        return Err(FileError::Pkcs7Label { line, label });
    }
    if !is_first {
        return match block.label == TRUSTED {
            true => Err(FileError::TrustedAfterFirst { line }),
            false => Ok(()),
        };
    }
    let mut rest = der.as_slice();
    ber::expect(&mut rest, SEQUENCE);
    match rest.is_empty() || trusted::are_settings(rest) {
        true => Ok(()),
        false => Err(FileError::AfterCertificate {
            line,
            label,
            count: rest.len(),
        }),
    }
}

/// Returns true if OpenSSL skips a block of another kind, which it decodes first, or does not see
/// its first boundary (`PEM_read_bio_ex`).
fn is_skipped(block: &Block<'_>) -> bool {
    let Some(name) = block.openssl_name() else {
        return true;
    };
    let Some(body) = block.body.strip_suffix(b"\n") else {
        return false;
    };
    let mut base64 = Vec::new();
    let (mut has_header, mut is_after_empty, mut has_ended) = (false, false, false);
    for line in body.split(|byte| *byte == b'\n').skip(1) {
        let line = trim_control_end(line);
        if line.is_empty() {
            if is_after_empty {
                return false;
            }
            is_after_empty = true;
            // The lines before were headers.
            base64.clear();
            continue;
        }
        has_header |= !is_after_empty && line.contains(&b':');
        if has_ended || is_after_empty && line.len() > LINE {
            return false;
        }
        has_ended = is_after_empty && line.len() < LINE;
        base64.extend(line.iter().filter(|byte| !is_base64_space(byte)));
    }
    let is_header_alone = has_header && !is_after_empty;
    let is_base64 = !base64.is_empty() && LENIENT.decode(base64).is_ok();
    block.ends_with_name(&name) && !is_header_alone && is_base64
}

/// Returns true for the white space that servers skip in base64 (OpenSSL's `EVP_DecodeUpdate`, Go's
/// `encoding/pem`). They refuse a form feed and a vertical tab.
fn is_base64_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Characters of a line after an empty line. Only the last one may be shorter (`PEM_read_bio_ex`).
const LINE: usize = 64;

/// Returns true if OpenSSL reads the lines after an empty line.
fn are_full(lines: &[&[u8]]) -> bool {
    let Some((last, others)) = lines.split_last() else {
        return false;
    };
    last.len() <= LINE && others.iter().all(|line| line.len() == LINE)
}

/// OpenSSL's decoder ignores the unused bits of the last character.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Returns an error if OpenSSL cannot read a block.
pub(super) fn check(block: &Block<'_>) -> Result<(), FileError> {
    let (line, label) = (block.line, block.label.to_owned());
    if !block.is_on_own_lines() {
        return Err(FileError::SharedLine { line, label });
    }
    let body = block.body.strip_suffix(b"\n").unwrap_or(block.body);
    let lines = body.split(|byte| *byte == b'\n').skip(1);
    let lines: Vec<&[u8]> = lines.map(trim_control_end).collect();
    let lines = match lines.split_first() {
        // An empty line directly after the first boundary ends a header that is empty.
        Some((first, rest)) if first.is_empty() && are_full(rest) => rest,
        _ => &lines,
    };
    if lines.iter().any(|line| line.is_empty()) {
        return Err(FileError::EmptyLine { line, label });
    }
    let mut base64 = block.body.to_vec();
    base64.retain(|byte| !is_base64_space(byte));
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
            chain.replace("\nM", "\n\nM"),
            chain.replace("\nM", "\n \r\nM"),
            chain.replace(" CERTIFICATE-", " X509 CERTIFICATE-"),
            format!("{one_line}{INTERMEDIATE}"),
            chain.replace("\nM", "\n  M"),
        ] {
            assert_eq!(checked(&text), Ok(()), "{text}");
        }
    }

    /// Returns the PEM of a certificate with bytes after its DER.
    fn with_bytes(label: &str, pem: &str, after: &[u8]) -> String {
        let der = STANDARD.decode(body(pem)).unwrap();
        let text = STANDARD.encode([der.as_slice(), after].concat());
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    /// Compared with OpenSSL 3.0: `SSL_CTX_use_certificate_chain_file`, then a handshake.
    #[test]
    fn trusted_certificate_is_an_error_after_the_first_block() {
        let trusted = |pem: &str| pem.replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-");
        let leaf_alone = format!("{}{INTERMEDIATE}", trusted(LEAF));
        assert_eq!(checked(&leaf_alone), Ok(()));
        for leaf in [LEAF.to_owned(), trusted(LEAF)] {
            let error = checked(&format!("{leaf}{}", trusted(INTERMEDIATE)));
            assert!(matches!(error, Err(FileError::TrustedAfterFirst { line }) if line > 1));
        }
    }

    #[test]
    fn pkcs7_under_the_label_of_a_certificate_is_an_error() {
        let pkcs7 = include_str!("testdata/chain.p7c").replace("PKCS7", "CERTIFICATE");
        assert!(matches!(checked(&pkcs7), Err(FileError::Pkcs7Label { .. })));
        let after = format!("{LEAF}{pkcs7}");
        let error = check_layout(after.as_bytes());
        assert!(matches!(error, Err(FileError::Pkcs7Label { line, .. }) if line > 1));
    }

    #[test]
    fn only_trust_settings_may_follow_the_first_certificate_in_its_block() {
        let settings = b"\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
        for label in ["CERTIFICATE", "TRUSTED CERTIFICATE"] {
            for (after, is_read) in [
                (&b""[..], true),
                (b"\x30\x00", true),
                (settings, true),
                (b"\x30\x00AAAA", true),
                (b"\x30\x04\x0c\x00\x04\x00", true),
                (b"\x30\x02\xa0\x00", true),
                (b"\x30\x02\xa1\x00", true),
                (b"\x30\x80\x00\x00", true),
                (b"\x30\x02\x05\x00", false),
                (b"\x30\x04\x04\x00\x0c\x00", false),
                (b"\x30\x04\x30\x02\x05\x00", false),
                (b"\0", false),
                (b"\0\0", false),
                (b"\n", false),
                (b"AAAA", false),
            ] {
                let text = format!("{}{INTERMEDIATE}", with_bytes(label, LEAF, after));
                match checked(&text) {
                    Ok(()) => assert!(is_read, "{after:x?}"),
                    Err(FileError::AfterCertificate { line: 1, count, .. }) => {
                        assert!(!is_read && count == after.len(), "{after:x?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        let intermediate = with_bytes("CERTIFICATE", INTERMEDIATE, b"\0\0");
        assert_eq!(checked(&format!("{LEAF}{intermediate}")), Ok(()));
    }

    #[test]
    fn block_of_another_kind_that_openssl_cannot_decode_is_an_error() {
        let long = "A".repeat(1336);
        let encrypted = format!(
            "-----BEGIN FOO-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{}\nAAAA\n-----END FOO-----\n",
            "A".repeat(64)
        );
        let block = |body: &str| format!("-----BEGIN FOO-----\n{body}-----END FOO-----\n");
        for (other, is_skipped) in [
            (block("AAAA\n"), true),
            (block("AAA\nA\n"), true),
            (block("AA AA\r\n"), true),
            (block("AB==\n"), true),
            (block(&format!("{long}\n")), true),
            (block("AAAA\n\nAAAA\n"), true),
            (block("\nAAAA\n"), true),
            (encrypted, true),
            (format!(" {}", block("***\n")), true),
            (
                block("***\n").replace("FOO-----\n***", "FOO----- x\n***"),
                true,
            ),
            (block("AAAA\x0c\n"), true),
            (block("AAAA\x0b\n"), true),
            (
                block("AAAA\n").replace("END FOO-----", "END FOO-----\x0c"),
                true,
            ),
            (block("AAAA\n").replace("FOO-----", "FOO------"), true),
            // OpenSSL sees each line that begins with `-----BEGIN ` and ends with five dashes.
            (block("AAAA\n").replacen("FOO-----", "FOO------", 1), false),
            (
                block("AAAA\n").replace("END FOO-----", "END FOO------"),
                false,
            ),
            (
                block("AAAA\n").replacen("FOO-----", "FOO----- -----", 1),
                false,
            ),
            (
                block("***\n").replacen("FOO-----", "FOO-----\x0c", 1),
                false,
            ),
            (
                block("***\n").replacen("FOO-----", "FOO-----\u{a0}", 1),
                false,
            ),
            (block("\x0cAAAA\n"), false),
            (block("AA\x0cAA\n"), false),
            (block("AA\x0bAA\n"), false),
            (block("M\n"), false),
            (block("AA=\n"), false),
            (block("AA==\nAAAA\n"), false),
            (block("***removed***\n"), false),
            (block(""), false),
            (block("AAAA"), false),
            (block("AAAA\n\n"), false),
            (block("\n\nAAAA\n"), false),
            (block("\nAAAA\nAAAA\n"), false),
            (block(&format!("\n{long}\n")), false),
            (block("Key: v\nAAAA\n"), false),
            (block("Version: x\n\nAAAA\n=abcd\n"), false),
            (
                block("AAAA\n").replace("END FOO-----", "END FOO----- x"),
                false,
            ),
            (block("AAAA\n").trim_end().to_owned(), false),
        ] {
            for (before, between) in [(other.as_str(), ""), ("", other.as_str())] {
                let is_joined = !other.ends_with('\n');
                let text = format!("{before}{LEAF}{between}{INTERMEDIATE}");
                let error = match checked(&text) {
                    Ok(()) => {
                        assert!(is_skipped, "{other}");
                        continue;
                    }
                    Err(error) => error,
                };
                assert!(!is_skipped, "{other}: {error}");
                let is_named = matches!(error, FileError::Undecodable { .. });
                assert!(is_named || is_joined, "{other}: {error}");
            }
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
        for empty in [
            chain.replace("\nM", "\n\n\nM"),
            chain.replace("\nM", "\n\nM\n"),
            chain.replace("\n-----END", "\n\n-----END"),
            format!(
                "-----BEGIN CERTIFICATE-----\n\n{}\n-----END CERTIFICATE-----\n{INTERMEDIATE}",
                body(LEAF)
            ),
        ] {
            assert!(
                matches!(checked(&empty), Err(FileError::EmptyLine { .. })),
                "{empty}"
            );
        }
        let unpadded = chain.replace('=', "");
        assert_ne!(unpadded, chain);
        assert!(matches!(
            checked(&unpadded),
            Err(FileError::IncompleteBase64 { .. })
        ));
        // Go refuses a form feed anywhere, OpenSSL one that is not at the end of a line.
        for damaged in ["\n\x0cM", "\nM\x0c", "\x0c\nM"] {
            assert!(matches!(
                checked(&chain.replace("\nM", damaged)),
                Err(FileError::IncompleteBase64 { .. } | FileError::SharedLine { .. })
            ));
        }
        let zero = format!("{LEAF}\0\n{INTERMEDIATE}");
        assert_eq!(checked(&zero), Err(FileError::ZeroByte));
        let utf16: Vec<u8> = chain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(check_layout(&utf16), Err(FileError::Utf16));
    }
}
