use proptest::prelude::*;

use super::*;
use crate::authority::{Authority, Key, Validity};
use crate::instance::Instance;

const LEAF: &str = include_str!("../../judge/testdata/leaf.pem");
const INTERMEDIATE: &str = include_str!("../../judge/testdata/intermediate.pem");

fn chain() -> String {
    format!("{LEAF}{INTERMEDIATE}")
}

fn read(text: &[u8]) -> Result<Vec<Certificate>, FileError> {
    read_certificates(text, None)
}

fn expected() -> Vec<Certificate> {
    let all = read(chain().as_bytes()).unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|c| c.facts().is_ok()));
    all
}

#[test]
fn pem_chain_is_read_in_every_text_format() {
    let utf16: Vec<u8> = chain().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let forms: [(&str, Vec<u8>); 11] = [
        ("UTF-8 mark", format!("\u{feff}{}", chain()).into_bytes()),
        ("UTF-16", [&[0xff, 0xfe], utf16.as_slice()].concat()),
        ("CRLF", chain().replace('\n', "\r\n").into_bytes()),
        ("CR", chain().replace('\n', "\r").into_bytes()),
        ("indented", chain().replace('\n', "\n    ").into_bytes()),
        ("on one line", chain().replace('\n', "").into_bytes()),
        (
            "escaped line breaks",
            chain().replace('\n', "\\n").into_bytes(),
        ),
        (
            "boundaries joined",
            chain().replace("-----\n-----", "----------").into_bytes(),
        ),
        (
            "X509 label",
            chain()
                .replace("CERTIFICATE", "X509 CERTIFICATE")
                .into_bytes(),
        ),
        (
            "text around",
            format!(
                "subject=CN = www\nCertificate:\n{}# end of certificate\n",
                chain()
            )
            .into_bytes(),
        ),
        (
            "padding lost",
            chain()
                .replace("=\n", "\n")
                .replace("=\n", "\n")
                .into_bytes(),
        ),
    ];
    for (form, bytes) in forms {
        assert_eq!(read(&bytes).as_deref(), Ok(&*expected()), "{form}");
    }
}

/// A file from the network must not occupy a processor for minutes.
#[test]
fn iterations_of_key_derivation_have_a_limit_for_the_whole_file() {
    let file = include_bytes!("testdata/aes.p12");
    // Its MAC and its certificates have 2048 iterations each.
    let read = |iterations| read_with(file, &Opening::limited(Some("geheim-ü"), iterations));
    assert_eq!(read(2 * 2048).map(|all| all.len()), Ok(2));
    assert_eq!(read(2 * 2048 - 1), Err(FileError::Pkcs12Iterations));
    assert_eq!(read(2048 - 1), Err(FileError::Pkcs12Iterations));
    let block = |bytes: &[u8]| {
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        format!("-----BEGIN PKCS12-----\n{body}\n-----END PKCS12-----\n")
    };
    let two = block(file).repeat(2);
    let read = |iterations| {
        read_with(
            two.as_bytes(),
            &Opening::limited(Some("geheim-ü"), iterations),
        )
    };
    assert_eq!(read(4 * 2048).map(|all| all.len()), Ok(4));
    assert_eq!(read(4 * 2048 - 1), Err(FileError::Pkcs12Iterations));
}

#[test]
fn bytes_after_a_certificate_in_a_container_are_ignored() {
    let der = expected()[0].der().to_vec();
    let field = |tag: u8, content: &[u8]| {
        let length = (content.len() as u16).to_be_bytes();
        [&[tag, 0x82, length[0], length[1]][..], content].concat()
    };
    let oid = |content: &[u8]| [&[6, content.len() as u8][..], content].concat();
    let data = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let cert_bag = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3];
    let x509 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];
    let explicit_octets = |content: &[u8]| field(0xa0, &field(4, content));
    let content = [&der[..], &[0]].concat();
    let bag = [oid(&x509), explicit_octets(&content)].concat();
    let bag = [oid(&cert_bag), field(0xa0, &field(0x30, &bag))].concat();
    let safe = field(0x30, &field(0x30, &bag));
    let info = |content: &[u8]| field(0x30, &[oid(&data), explicit_octets(content)].concat());
    let all = field(0x30, &info(&safe));
    let pfx = field(0x30, &[vec![2, 1, 3], info(&all)].concat());
    assert_eq!(read(&pfx).as_deref(), Ok(&expected()[..1]));
}

#[test]
fn single_and_concatenated_der_is_read() {
    let all = expected();
    assert_eq!(read(all[0].der()).as_deref(), Ok(&all[..1]));
    let joined = [all[0].der(), all[1].der()].concat();
    assert_eq!(read(&joined).as_deref(), Ok(&*all));
    let damaged = [all[0].der(), &[1, 2, 3]].concat();
    assert_eq!(read(&damaged), Err(FileError::Trailing(3)));
}

#[test]
fn damaged_pem_block_is_an_error_with_its_line() {
    let cut = |label: &str| label.to_owned();
    let error = |text: String| read(text.as_bytes()).unwrap_err();
    let lines = chain().lines().count();
    assert_eq!(
        error(format!(
            "{}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            chain()
        )),
        FileError::NotACertificate {
            line: lines + 1,
            label: cut("CERTIFICATE"),
            is: None
        }
    );
    assert_eq!(
        error(format!("-----BEGIN CERTIFICATE-----\nMIIB\n{}", chain())),
        FileError::MissingEnd {
            line: 1,
            label: cut("CERTIFICATE")
        }
    );
    assert_eq!(
        error(chain().replacen("-----BEGIN CERTIFICATE-----", "", 1)),
        FileError::MissingBegin {
            line: LEAF.lines().count(),
            label: cut("CERTIFICATE")
        }
    );
    assert_eq!(
        error(chain().replacen(
            "-----BEGIN CERTIFICATE-----\nM",
            "-----BEGIN CERTIFICATE-----\n*",
            1
        )),
        FileError::NotBase64 {
            line: 1,
            label: cut("CERTIFICATE")
        }
    );
    // The first thing that is wrong is reported: the end is right.
    assert_eq!(
        error(chain().replacen("-----BEGIN", "----BEGIN", 1)),
        FileError::NotABoundary {
            line: 1,
            text: cut("----BEGIN CERTIFICATE-----")
        }
    );
    for boundary in [
        "----BEGIN CERTIFICATE----",
        "\u{2013}\u{2013}BEGIN CERTIFICATE\u{2013}\u{2013}",
        "-----begin certificate-----",
        "--- BEGIN X509 CERTIFICATE ---",
    ] {
        let end = boundary.replace("BEGIN", "END").replace("begin", "end");
        let text = format!("{LEAF}{boundary}\nMIIB\n{end}\n");
        let line = LEAF.lines().count() + 1;
        let text = error(text);
        assert!(
            matches!(&text, FileError::NotABoundary { line: found, .. } if *found == line),
            "{boundary}: {text}"
        );
    }
}

#[test]
fn comment_about_certificates_is_not_a_pem_boundary() {
    let text = format!("# BEGIN CERTIFICATE of www\n--- old certificate: see below\n{LEAF}");
    assert_eq!(read(text.as_bytes()).unwrap().len(), 1);
}

#[test]
fn error_names_the_kind_of_a_file_without_certificates() {
    for (bytes, expected) in [
        (&b""[..], FileError::Empty),
        (b" \r\n", FileError::Empty),
        (b"hello", FileError::Unknown),
        (&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2], FileError::Only(Foreign::JavaKeystore)),
        (b"<!DOCTYPE html><p>sign in", FileError::Only(Foreign::Html)),
        (b"{\"crt\": 1}", FileError::Only(Foreign::Json)),
        (b"\x1f\x8b\x08", FileError::Only(Foreign::Archive)),
        (b"ssh-ed25519 AAAA me@here", FileError::Only(Foreign::Ssh)),
        (b"MIIBszCCAVk=", FileError::Only(Foreign::BareBase64)),
        (
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----",
            FileError::Only(Foreign::EncryptedPrivateKey),
        ),
        (
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMA==\n-----END RSA PRIVATE KEY-----",
            FileError::Only(Foreign::EncryptedPrivateKey),
        ),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----",
            FileError::Only(Foreign::SigningRequest),
        ),
    ] {
        assert_eq!(read(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
    }
}

/// Files of `openssl` and `keytool`: see testdata/make-testdata.sh.
const PASSWORD: &str = "geheim-ü";

#[test]
fn pkcs7_and_pkcs12_files_yield_their_certificates() {
    let expected = read(include_bytes!("testdata/chain.pem")).unwrap();
    let sorted = |mut all: Vec<Certificate>| {
        all.sort_by_key(Certificate::sha256);
        all
    };
    for (name, bytes, password) in [
        ("chain.p7b", &include_bytes!("testdata/chain.p7b")[..], None),
        ("chain.p7c", include_bytes!("testdata/chain.p7c"), None),
        (
            "aes.p12",
            include_bytes!("testdata/aes.p12"),
            Some(PASSWORD),
        ),
        (
            "triple-des.p12",
            include_bytes!("testdata/triple-des.p12"),
            Some(PASSWORD),
        ),
        (
            "rc2.p12",
            include_bytes!("testdata/rc2.p12"),
            Some(PASSWORD),
        ),
        ("plain.p12", include_bytes!("testdata/plain.p12"), None),
        (
            "empty-password.p12",
            include_bytes!("testdata/empty-password.p12"),
            Some(""),
        ),
    ] {
        let found = read_certificates(bytes, password).map(sorted);
        assert_eq!(found, Ok(sorted(expected.clone())), "{name}");
    }
    let java = read_certificates(include_bytes!("testdata/java.p12"), Some("changeit")).unwrap();
    assert_eq!(java.len(), 1);
    assert_eq!(java[0].subject(), "CN=java.example");
}

#[test]
fn pem_certificate_block_with_pkcs7_content_is_read() {
    let text = include_str!("testdata/chain.p7c").replace("PKCS7", "CERTIFICATE");
    assert_eq!(read(text.as_bytes()).unwrap().len(), 2);
}

#[test]
fn error_distinguishes_wrong_and_missing_password_from_damage() {
    for file in [
        &include_bytes!("testdata/aes.p12")[..],
        include_bytes!("testdata/triple-des.p12"),
        include_bytes!("testdata/rc2.p12"),
    ] {
        let with = |password| read_certificates(file, password);
        assert_eq!(with(None), Err(FileError::NeedsPassword));
        assert_eq!(with(Some("other")), Err(FileError::WrongPassword));
        assert_eq!(with(Some("")), Err(FileError::WrongPassword));
        let cut = file.get(..file.len() - 40).unwrap();
        assert_eq!(
            read_certificates(cut, Some(PASSWORD)),
            Err(FileError::Unknown)
        );
    }
}

#[test]
fn the_empty_password_of_an_encrypted_file_must_be_given() {
    let file = include_bytes!("testdata/empty-password.p12");
    assert_eq!(read_certificates(file, None), Err(FileError::NeedsPassword));
}

/// A leaf of this name below an authority.
fn leaf_below(authority: &Authority, name: &str) -> Certificate {
    let issued = authority.issue(&[name.into()], validity(), &Key::generate().unwrap());
    issued.unwrap().certificate
}

fn validity() -> Validity {
    Validity::around(crate::model::Timestamp(1_800_000_000), 1, 300)
}

#[test]
fn the_leaf_is_found_in_every_order() {
    let root = Authority::root("Root", validity()).unwrap();
    let lower = root.intermediate("Lower", validity()).unwrap();
    let leaf = leaf_below(&lower, "www.example.com");
    let [r, l] = [&root, &lower].map(|a| a.certificate.clone());
    for file in [
        vec![leaf.clone(), l.clone(), r.clone()],
        vec![r.clone(), l.clone(), leaf.clone()],
        vec![l.clone(), leaf.clone(), leaf.clone()],
        vec![r.clone(), leaf.clone()],
    ] {
        assert_eq!(leaf_of(&file), Ok(&leaf));
        let instance = Instance::from_chain(file).unwrap();
        assert_eq!(instance.leaf, leaf);
    }
    let upside_down = Instance::from_chain(vec![r.clone(), l.clone(), leaf]).unwrap();
    assert_eq!(
        (upside_down.chain, upside_down.root),
        (vec![l], Some(r.clone()))
    );
    // An appliance's self-signed certificate may be an authority.
    assert_eq!(leaf_of(std::slice::from_ref(&r)), Ok(&r));
}

#[test]
fn error_for_two_leaves_names_both() {
    let root = Authority::root("Root", validity()).unwrap();
    let other = Authority::root("Root", validity()).unwrap();
    let names = ["www.example.com", "mail.example.com"];
    let [a, b] = names.map(|name| leaf_below(&root, name));
    let error = leaf_of(&[a, root.certificate.clone(), b])
        .unwrap_err()
        .to_string();
    assert!(names.iter().all(|name| error.contains(name)), "{error}");
    // Two of one name, as before and after a renewal with a new key.
    let both = [root.certificate, other.certificate];
    let error = leaf_of(&both).unwrap_err().to_string();
    assert!(
        both.iter()
            .all(|c| error.contains(&c.facts().unwrap().serial)),
        "{error}"
    );
}

proptest! {
    #[test]
    fn a_container_with_a_changed_octet_is_read_without_a_panic(at in any::<prop::sample::Index>(), octet: u8) {
        for file in [
            &include_bytes!("testdata/plain.p12")[..],
            include_bytes!("testdata/rc2.p12"),
            include_bytes!("testdata/chain.p7b"),
        ] {
            let mut bytes = file.to_vec();
            *at.get_mut(&mut bytes) = octet;
            let _ = read_certificates(&bytes, Some(PASSWORD));
        }
    }

    #[test]
    fn arbitrary_file_content_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_certificates(&bytes, Some("x"));
    }

    /// A block more or less is an error or a certificate more or less, wherever a chain is cut.
    #[test]
    fn truncated_chain_never_loses_a_certificate_silently(at in 0..10_000usize) {
        let text = chain();
        let at = at % text.len();
        let Some(cut) = text.get(at..) else { return Ok(()) };
        if let Ok(found) = read(cut.as_bytes()) {
            prop_assert_eq!(found.len(), cut.matches("BEGIN CERTIFICATE").count());
        }
    }
}
