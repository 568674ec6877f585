//! Tests of the errors in a web configuration: line, key and advice.

use proptest::prelude::*;

use certvigil_core::authority::{Authority, Issued, Key, Validity};
use certvigil_core::model::Timestamp;

use super::*;

struct Folder {
    folder: tempfile::TempDir,
    hash: String,
}

fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {kind}-----\n{base64}\n-----END {kind}-----\n")
}

impl Folder {
    fn new() -> Self {
        let validity = Validity::around(Timestamp(1_800_000_000), 1, 1);
        let root = Authority::root("Root", validity).unwrap();
        let issue = || {
            let key = Key::generate().unwrap();
            root.issue(&["localhost".into()], validity, &key).unwrap()
        };
        let (one, other) = (issue(), issue());
        let certificate = |issued: &Issued| pem("CERTIFICATE", issued.certificate.der());
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "cert.pem",
                certificate(&one) + &pem("CERTIFICATE", root.certificate.der()),
            ),
            ("key.pem", one.key.to_pem()),
            ("other-key.pem", other.key.to_pem()),
            ("ca.pem", pem("CERTIFICATE", root.certificate.der())),
            ("empty.pem", " \n".into()),
            ("junk.pem", "junk".into()),
            ("broken.pem", pem("CERTIFICATE", b"junk")),
            ("encrypted.pem", pem("ENCRYPTED PRIVATE KEY", b"junk")),
            ("broken-key.pem", pem("PRIVATE KEY", b"junk")),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let hash = bcrypt::hash("secret", 4).unwrap();
        Self { folder, hash }
    }

    fn read(&self, text: &str) -> Result<State, String> {
        let file = self.folder.path().join("web.yml");
        read(text, &file).map_err(|errors| {
            let folder = format!("{}/", self.folder.path().display());
            errors.to_string().replace(&folder, "")
        })
    }

    fn error(&self, text: &str) -> String {
        self.read(text).err().unwrap_or_else(|| panic!("{text}"))
    }

    /// Returns a TLS section with these fields after the certificate and the key.
    fn tls(fields: &str) -> String {
        format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  {fields}\n")
    }
}

#[test]
fn empty_web_config_is_valid() {
    let folder = Folder::new();
    for text in [
        "",
        "# nothing\n",
        "~",
        "{}",
        "tls_server_config:",
        "tls_server_config: {cert_file: '', key_file: ''}\nhttp_server_config:\nbasic_auth_users:\n",
    ] {
        let state = folder.read(text).unwrap();
        assert!(state.tls.is_none() && state.headers.is_empty() && state.rate.is_none());
    }
}

#[test]
fn exporter_toolkit_settings_are_read() {
    let folder = Folder::new();
    let text = Folder::tls(
        "client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [a.example, 192.0.2.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    - TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    - TLS_AES_128_GCM_SHA256
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384, X25519]
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Content-Type-Options: nosniff
    X-Frame-Options: sameorigin
    X-XSS-Protection: '1; mode=block'
    Content-Security-Policy: ''
rate_limit: {interval: 1s, burst: 20}",
    ) + &format!("basic_auth_users:\n  alice: {}\n", folder.hash);
    let state = folder.read(&text).unwrap();
    assert!(state.tls.is_some() && state.rate.is_some());
    let names: Vec<_> = state.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(state.headers.len(), 4, "{names:?}");
    assert_eq!(state.headers["x-frame-options"], "sameorigin");
}

#[test]
fn invalid_value_error_has_its_location_and_no_secret() {
    let folder = Folder::new();
    let suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    for (text, expected) in [
        (
            "tls_config: {}\n".to_owned(),
            "web.yml:1: tls_config: unknown key; known keys: basic_auth_users, http_server_config, rate_limit, tls_server_config".to_owned(),
        ),
        (
            Folder::tls("cert_fil: x"),
            "web.yml:4: tls_server_config.cert_fil: unknown key; did you mean `cert_file`?".into(),
        ),
        (
            "tls_server_config: {key_file: key.pem}".into(),
            "web.yml:1: tls_server_config: `cert_file` is missing; TLS needs a certificate and its key".into(),
        ),
        (
            "tls_server_config: {cert_file: cert.pem}".into(),
            "web.yml:1: tls_server_config: `key_file` is missing; TLS needs a certificate and its key".into(),
        ),
        (
            Folder::tls("cert: x"),
            "web.yml:2: tls_server_config.cert_file: conflicts with `cert`; remove one of the two".into(),
        ),
        (
            Folder::tls("client_auth_type: Sometimes"),
            "web.yml:4: tls_server_config.client_auth_type: `Sometimes` is not one of: NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert, RequireClientCert".into(),
        ),
        (
            Folder::tls("client_ca_file: ca.pem"),
            "web.yml:4: tls_server_config.client_ca_file: clients are not asked for a certificate; set `client_auth_type: RequireAndVerifyClientCert` or remove this key".into(),
        ),
        (
            Folder::tls("client_auth_type: RequireAndVerifyClientCert"),
            "web.yml:4: tls_server_config.client_auth_type: the trusted CAs are missing; set `client_ca_file`".into(),
        ),
        (
            Folder::tls("client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n  client_allowed_sans: [a]"),
            "web.yml:6: tls_server_config.client_allowed_sans: a client may connect without a certificate; set `client_auth_type: RequireAndVerifyClientCert`".into(),
        ),
        (
            Folder::tls("client_auth_type: RequireAnyClientCert\n  client_allowed_sans: []"),
            "web.yml:5: tls_server_config.client_allowed_sans: the list is empty, so no client could connect; add at least one or remove the key".into(),
        ),
        (
            Folder::tls("min_version: TLS10"),
            "web.yml:4: tls_server_config.min_version: `TLS10` is insecure and not supported (RFC 8996); write TLS12 or TLS13".into(),
        ),
        (
            Folder::tls("max_version: SSL3"),
            "web.yml:4: tls_server_config.max_version: `SSL3` is not a TLS version; write TLS12 or TLS13".into(),
        ),
        (
            Folder::tls("min_version: TLS13\n  max_version: TLS12"),
            "web.yml:4: tls_server_config.min_version: `min_version` is newer than `max_version`; lower `min_version`".into(),
        ),
        (
            Folder::tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]"),
            format!("web.yml:4: tls_server_config.cipher_suites[0]: `TLS_RSA_WITH_AES_128_CBC_SHA` is not one of: {suites}"),
        ),
        (
            Folder::tls("max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]"),
            "web.yml:1: tls_server_config: TLS cannot be spoken so: unexpected error: no usable cipher suites configured".into(),
        ),
        (
            Folder::tls("curve_preferences: [CurveP521]"),
            "web.yml:4: tls_server_config.curve_preferences[0]: `CurveP521` is not supported for key exchange; write CurveP384".into(),
        ),
        (
            Folder::tls("curve_preferences: [P256]"),
            "web.yml:4: tls_server_config.curve_preferences[0]: `P256` is not one of: X25519MLKEM768, SecP256r1MLKEM768, X25519, CurveP256, CurveP384".into(),
        ),
        (
            "http_server_config: {http2: maybe}".into(),
            "web.yml:1: http_server_config.http2: `maybe` is not a boolean; write true or false".into(),
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: never}}".into(),
            "web.yml:1: http_server_config.headers.X-Frame-Options: `never` is not one of: deny, sameorigin".into(),
        ),
        (
            "http_server_config: {headers: {Content-Security-Policy: \"a\\nb\"}}".into(),
            "web.yml:1: http_server_config.headers.Content-Security-Policy: a header must be one line of plain text".into(),
        ),
        (
            "http_server_config: {headers: {X-Frame-Option: deny}}".into(),
            "web.yml:1: http_server_config.headers.X-Frame-Option: unknown key; did you mean `X-Frame-Options`?".into(),
        ),
        (
            "basic_auth_users: {alice: topsecret}".into(),
            "web.yml:1: basic_auth_users.alice: this is not a bcrypt hash; create one with `htpasswd -nB USER`".into(),
        ),
        (
            format!("basic_auth_users: {{'a:b': '{}'}}", folder.hash),
            "web.yml:1: basic_auth_users.a:b: a user name must not be empty or contain a colon (RFC 7617)".into(),
        ),
        (
            "rate_limit: {interval: 2d, burst: 1}".into(),
            "web.yml:1: rate_limit.interval: `2d` is not a duration of at most one day; write it as 100ms or 1s, or 0 for no limit".into(),
        ),
        (
            "rate_limit: {interval: 1s, burst: 0}".into(),
            "web.yml:1: rate_limit.burst: `0` is not a positive whole number".into(),
        ),
        (
            "rate_limit: {interval: 1s}".into(),
            "web.yml:1: rate_limit: `burst` is missing; set the maximum number of requests at once".into(),
        ),
    ] {
        let error = folder.error(&text);
        assert_eq!(error, expected, "{text}");
        assert!(!error.contains("topsecret"), "{error}");
    }
}

#[test]
fn unusable_file_error_has_its_location() {
    let folder = Folder::new();
    for (key, file, says) in [
        (
            "cert_file",
            "missing.pem",
            "it cannot be read: No such file",
        ),
        ("cert_file", ".", "it cannot be read: Is a directory"),
        ("cert_file", "empty.pem", "it is empty"),
        ("cert_file", "junk.pem", "it is not PEM"),
        (
            "cert_file",
            "key.pem",
            "it has no certificate, only a private key",
        ),
        (
            "cert_file",
            "broken.pem",
            "the first certificate cannot be used",
        ),
        ("key_file", "missing.pem", "it cannot be read: No such file"),
        ("key_file", "empty.pem", "it is empty"),
        (
            "key_file",
            "junk.pem",
            "there is no private key in PEM form in it",
        ),
        (
            "key_file",
            "cert.pem",
            "it has no private key, only a certificate",
        ),
        ("key_file", "encrypted.pem", "the key is encrypted"),
        ("key_file", "broken-key.pem", "the key cannot be used"),
        (
            "key_file",
            "other-key.pem",
            "the key does not belong to the certificate",
        ),
        (
            "client_ca_file",
            "missing.pem",
            "it cannot be read: No such file",
        ),
        ("client_ca_file", "empty.pem", "it is empty"),
        ("client_ca_file", "key.pem", "it has no certificate"),
        (
            "client_ca_file",
            "broken.pem",
            "certificate 1 is no root that can be used",
        ),
    ] {
        let mut files = [
            ("cert_file", "cert.pem"),
            ("key_file", "key.pem"),
            ("client_ca_file", "ca.pem"),
        ];
        files
            .iter_mut()
            .filter(|(k, _)| *k == key)
            .for_each(|(_, f)| *f = file);
        let line = 2 + files.iter().position(|(k, _)| *k == key).unwrap();
        let fields = files
            .map(|(key, file)| format!("  {key}: {file}\n"))
            .concat();
        let text =
            format!("tls_server_config:\n{fields}  client_auth_type: RequireAndVerifyClientCert\n");
        let error = folder.error(&text);
        let begin = format!("web.yml:{line}: tls_server_config.{key}: {file}: {says}");
        let begin = if file == "." {
            begin.replace(": .:", ": :")
        } else {
            begin
        };
        assert!(
            error.replace(": .:", ": :").starts_with(&begin),
            "{text}{error}"
        );
        assert!(!error.contains('\n'), "{error}");
        assert!(!error.contains("BEGIN PRIVATE"), "{error}");
    }
}

#[test]
fn all_web_config_errors_are_reported_at_once() {
    let error = Folder::new().error(
        "tls_server_config:\n  cert_file: missing.pem\n  key_file: empty.pem\nhttp_server_config: {http3: true}\nbasic_auth_users:\n  alice: x\n",
    );
    let lines: Vec<_> = error
        .lines()
        .map(|l| l.split(':').nth(1).unwrap())
        .collect();
    assert_eq!(lines, ["2", "3", "4", "6"], "{error}");
}

#[test]
fn configurable_header_names_are_valid() {
    for (name, _) in HEADERS {
        HeaderName::try_from(name).unwrap();
    }
}

proptest! {
    #[test]
    fn arbitrary_web_config_text_does_not_panic(text in any::<String>()) {
        let _ = read(&text, Path::new("web.yml"));
    }

    #[test]
    fn broken_web_config_does_not_panic(
        keys in prop::collection::vec(prop::sample::select(vec![
            "tls_server_config:", "cert_file:", "key_file:", "client_auth_type:", "cipher_suites:",
            "http_server_config:", "headers:", "basic_auth_users:", "rate_limit:", "burst:", "min_version:",
            "TLS12", "x", "~", "1", "[", "]", "{", "}", ",", "\n", "\n  ", "- ", "\"", "'",
        ]), 0..40)
    ) {
        let _ = read(&keys.concat(), Path::new("web.yml"));
    }
}
