//! OpenSSL's trust settings, which follow the certificate in a `TRUSTED CERTIFICATE` block
//! (`X509_CERT_AUX`).

use super::super::{Certificate, Fingerprint, der};
use super::blocks::{Block, blocks};
use super::{
    CERTIFICATE_LABELS, FileError, MAX_FILE_CERTIFICATES, SEQUENCE, TRUSTED, ber, is_der,
    parse_certificates, read_certificate_block, text,
};

/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// anyExtendedKeyUsage, 2.5.29.37.0.
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];
/// Tag of the list of rejected uses.
const REJECTED: u8 = 0xa0;

/// Reads the roots of a file. Certificates whose trust settings reject TLS servers are left out:
/// Linux distributions mark distrusted roots in this way.
///
/// # Errors
/// The same as [`super::read_certificates`], and an error if every certificate is left out.
pub fn parse_roots(bytes: &[u8]) -> Result<Vec<Certificate>, FileError> {
    let mut roots = parse_certificates(bytes)?;
    let rejected = rejected(bytes)?;
    roots.retain(|root| !rejected.contains(&root.sha256()));
    match roots.is_empty() {
        true => Err(FileError::NotForServers),
        false => Ok(roots),
    }
}

/// Returns the roots of a file of the system's root store, as DER: a store has about a hundred and
/// fifty, few of which are needed. Blocks are left out as [`parse_roots`] does.
///
/// # Errors
/// If a block with the label of a certificate cannot be read, as clients refuse such a store, or if
/// there is no root. Clients read only PEM there, so other forms have none.
pub fn parse_root_store(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(FileError::Empty);
    }
    if is_der(bytes) {
        return Err(FileError::NoPem);
    }
    let text = text::decode(bytes);
    let mut roots = Vec::new();
    let mut rejected = Vec::new();
    for block in blocks(&text)? {
        if !CERTIFICATE_LABELS.contains(&block.label) {
            continue;
        }
        roots.extend(read_certificate_block(&block)?);
        if block.label == TRUSTED {
            rejected.extend(rejects_servers(&block.decode()?));
        }
        if roots.len() > MAX_FILE_CERTIFICATES {
            return Err(FileError::TooMany);
        }
    }
    if !rejected.is_empty() {
        roots.retain(|root| !rejected.contains(&Fingerprint::of(root)));
    }
    match roots.is_empty() {
        true if !rejected.is_empty() => Err(FileError::NotForServers),
        true => Err(FileError::NoPem),
        false => Ok(roots),
    }
}

/// Returns the certificates of a file whose trust settings reject TLS servers.
fn rejected(bytes: &[u8]) -> Result<Vec<Fingerprint>, FileError> {
    if is_der(bytes) {
        return Ok(Vec::new());
    }
    let text = text::decode(bytes);
    let blocks = blocks(&text)?;
    let trusted = blocks.iter().filter(|b| b.label == TRUSTED);
    let found = trusted
        .map(Block::decode)
        .filter_map(|decoded| match decoded {
            Ok(der) => rejects_servers(&der).map(Ok),
            Err(error) => Some(Err(error)),
        });
    found.collect()
}

/// Returns the certificate of a block if the settings after it reject TLS servers: they name this
/// use as rejected, or they name trusted uses and it is not among them (`X509_check_trust`).
fn rejects_servers(block: &[u8]) -> Option<Fingerprint> {
    let mut rest = block;
    let certificate = ber::expect(&mut rest, SEQUENCE)?;
    let mut settings = der::expect(&mut rest, der::SEQUENCE)?.content;
    let trusted = der::optional(&mut settings, der::SEQUENCE);
    let rejected = der::optional(&mut settings, REJECTED);
    let is_rejected = rejected.is_some_and(|list| has_servers(list.content))
        || trusted.is_some_and(|list| !has_servers(list.content));
    is_rejected.then(|| Fingerprint::of(certificate.whole))
}

/// Returns true if OpenSSL reads what follows a certificate in a block as trust settings: uses that
/// are trusted, uses that are rejected, a name, a key identifier, and other algorithms. It ignores
/// bytes after the settings.
pub(super) fn are_settings(mut rest: &[u8]) -> bool {
    const ALIAS: u8 = 0x0c;
    const OTHERS: u8 = 0xa1;
    let Some(settings) = ber::expect(&mut rest, SEQUENCE) else {
        return false;
    };
    let mut fields = settings.content;
    let mut all_have = |list: u8, tag: u8| {
        let list = ber::optional(&mut fields, list);
        list.is_none_or(|list| {
            let items = ber::elements(list.content);
            items.is_some_and(|items| items.iter().all(|item| item.tag == tag))
        })
    };
    let are_uses =
        all_have(SEQUENCE, der::OBJECT_IDENTIFIER) && all_have(REJECTED, der::OBJECT_IDENTIFIER);
    ber::optional(&mut fields, ALIAS);
    ber::optional(&mut fields, der::OCTET_STRING);
    ber::optional(&mut fields, OTHERS);
    are_uses && fields.is_empty()
}

/// Returns true if a list of uses has TLS servers, or any use.
fn has_servers(mut list: &[u8]) -> bool {
    std::iter::from_fn(|| der::expect(&mut list, der::OBJECT_IDENTIFIER))
        .any(|oid| oid.content == SERVER_AUTH || oid.content == ANY_USAGE)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::authority::{Authority, Validity};
    use crate::model::Timestamp;

    const EMAIL: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];

    fn root() -> Certificate {
        let validity = Validity::around(Timestamp(1_800_000_000), 1, 100);
        Authority::root("Root", validity).unwrap().certificate
    }

    fn block(label: &str, root: &Certificate, settings: &[u8]) -> String {
        let text = STANDARD.encode([root.der(), settings].concat());
        let lines: Vec<&str> = (0..text.len().div_ceil(64))
            .map(|n| &text[n * 64..text.len().min(n * 64 + 64)])
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
    }

    /// Returns the settings with these trusted and rejected uses.
    fn settings(trusted: Option<&[&[u8]]>, rejected: &[&[u8]]) -> Vec<u8> {
        let list = |uses: &[&[u8]]| -> Vec<u8> {
            let uses = uses.iter();
            uses.flat_map(|oid| der::encode(der::OBJECT_IDENTIFIER, oid))
                .collect()
        };
        let trusted = trusted.map(|uses| der::sequence(&list(uses)));
        let mut content = trusted.unwrap_or_default();
        if !rejected.is_empty() {
            content.extend(der::encode(REJECTED, &list(rejected)));
        }
        der::sequence(&content)
    }

    #[test]
    fn root_that_is_not_trusted_for_servers_is_left_out() {
        let (root, other) = (root(), root());
        for (trusted, rejected, is_root) in [
            (None, &[][..], true),
            (Some(&[SERVER_AUTH][..]), &[], true),
            (Some(&[EMAIL, ANY_USAGE]), &[], true),
            (None, &[EMAIL], true),
            (Some(&[SERVER_AUTH]), &[EMAIL], true),
            (None, &[SERVER_AUTH], false),
            (None, &[EMAIL, ANY_USAGE], false),
            (Some(&[SERVER_AUTH]), &[SERVER_AUTH], false),
            (Some(&[EMAIL]), &[], false),
            (Some(&[]), &[], false),
        ] {
            let settings = settings(trusted, rejected);
            let trusted = block("TRUSTED CERTIFICATE", &root, &settings);
            let both = trusted.clone() + &block("CERTIFICATE", &other, &[]);
            let roots = parse_roots(both.as_bytes()).unwrap();
            assert_eq!(roots.contains(&root), is_root, "{settings:x?}");
            assert!(roots.contains(&other));
            // Without settings there is nothing to reject.
            assert_eq!(parse_certificates(both.as_bytes()).unwrap().len(), 2);
            let alone = parse_roots(trusted.as_bytes());
            match is_root {
                true => assert_eq!(alone.as_deref(), Ok(std::slice::from_ref(&root))),
                false => assert_eq!(alone, Err(FileError::NotForServers)),
            }
            // The system's root store is read alike.
            let store = parse_root_store(both.as_bytes()).unwrap();
            let expected: Vec<_> = roots.iter().map(Certificate::der).collect();
            assert_eq!(store, expected);
            let alone = alone.map(|roots| roots.iter().map(|r| r.der().to_vec()).collect());
            assert_eq!(parse_root_store(trusted.as_bytes()), alone);
        }
    }

    #[test]
    fn root_store_is_pem_without_a_broken_block() {
        let root = root();
        let pem = block("CERTIFICATE", &root, &[]);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let store = |text: &str| parse_root_store(text.as_bytes());
        let read = Ok(vec![root.der().to_vec()]);
        assert_eq!(store(&format!("# A comment\n\n{pem}\n")), read);
        assert_eq!(store(&format!("{key}{pem}")), read);
        for (text, error) in [
            (" \n", FileError::Empty),
            ("# nothing\n", FileError::NoPem),
            (key, FileError::NoPem),
        ] {
            assert_eq!(store(text), Err(error), "{text}");
        }
        assert_eq!(parse_root_store(root.der()), Err(FileError::NoPem));
        let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let cut = &pem[..pem.len() / 2];
        for broken in [damaged, cut] {
            for text in [broken.to_owned(), format!("{pem}{broken}")] {
                let error = store(&text).unwrap_err().to_string();
                assert!(error.starts_with("line "), "{error}");
            }
        }
    }
}
