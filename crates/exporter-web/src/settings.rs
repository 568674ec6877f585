//! Parser of the web configuration.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use tokio::time::Instant;
use yaml_config::{ConfigErrors, Item, Problems, with_root};

use super::State;
use super::error::ValueError;
use super::rate::{MAX_INTERVAL, RateLimit};
use super::tls::{ClientAuth, Part, Pem, Tls, TlsSettings};
use super::users::{Hash, Users};

/// Headers that exporter-toolkit supports, each with its allowed values. An empty list allows any
/// value.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// TLS 1.3 suites by Go's names. They may be listed, and are always offered, as in Go.
const TLS13_SUITES: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// Reads a web configuration and the files that it names. An empty text is valid and sets nothing.
///
/// # Errors
/// All errors, each with its line and key.
pub(super) fn read(text: &str, file: &Path) -> Result<State, ConfigErrors> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let state = with_root(text, file, |root, problems| {
        let mut fields = root.fields(problems);
        let mut state = State::default();
        if let Some(item) = fields.take("tls_server_config") {
            state.tls = tls(&item, folder, problems).map(Arc::new);
        }
        if let Some(item) = fields.take("http_server_config") {
            state.headers = http(&item, problems);
        }
        if let Some(item) = fields.take("basic_auth_users") {
            state.users = users(&item, problems);
        }
        if let Some(item) = fields.take("rate_limit") {
            state.rate = rate_limit(&item, problems);
        }
        fields.finish(problems);
        state
    })?;
    Ok(state.unwrap_or_default())
}

fn tls(item: &Item<'_>, folder: &Path, problems: &mut Problems) -> Option<Tls> {
    let mut fields = item.fields(problems);
    let mapping = fields.item();
    let mut pem = |name: &'static str, file: &'static str, problems: &mut Problems| {
        let inline = given(fields.take(name));
        let file = given(fields.take(file));
        if let (Some(_), Some(file)) = (&inline, &file) {
            problems.at(
                file,
                format!("conflicts with `{name}`; remove one of the two"),
            );
        }
        match (inline, file) {
            (_, Some(item)) => {
                let path = item.map(problems, |text| folder.join(text))?;
                Some((item, Pem::File(path)))
            }
            (Some(item), None) => {
                let text = item.map(problems, |text| text.as_bytes().to_vec().into())?;
                Some((item, Pem::Inline(text)))
            }
            (None, None) => None,
        }
    };
    let certificate = pem("cert", "cert_file", problems);
    let key = pem("key", "key_file", problems);
    let client_ca = pem("client_ca", "client_ca_file", problems);
    let client_auth_item = given(fields.take("client_auth_type"));
    let client_auth = client_auth_item
        .as_ref()
        .map_or(Some(ClientAuth::None), |i| {
            i.parse(problems, |text| one_of(text, &ClientAuth::NAMES))
        });
    let sans_item = given(fields.take("client_allowed_sans"));
    let mut allowed_sans = Vec::new();
    if let Some(item) = &sans_item {
        let empty =
            "the list is empty, so no client could connect; add at least one or remove the key";
        let items = item.some_or_one(problems, empty);
        let sans = items.iter().filter_map(|i| i.parse(problems, non_empty));
        allowed_sans = sans.collect();
    }
    let min = given(fields.take("min_version"));
    let max = given(fields.take("max_version"));
    let versions = versions(min.as_ref(), max.as_ref(), problems);
    let suites = given(fields.take("cipher_suites"));
    let curves = given(fields.take("curve_preferences"));
    let provider = provider(suites.as_ref(), curves.as_ref(), problems);
    let prefers_own_order = fields
        .bool("prefer_server_cipher_suites", problems)
        .unwrap_or(true);
    fields.finish(problems);
    let others = [&client_auth_item, &sans_item, &min, &max, &suites, &curves];
    let parts = [&certificate, &key, &client_ca];
    if others.iter().all(|o| o.is_none()) && parts.iter().all(|p| p.is_none()) {
        return None;
    }

    for (part, name) in [(&certificate, "cert_file"), (&key, "key_file")] {
        if part.is_none() {
            problems.at(
                &mapping,
                format!("`{name}` is missing; TLS needs a certificate and its key"),
            );
        }
    }
    let client_auth = client_auth?;
    if let (Some((item, _)), ClientAuth::None) = (&client_ca, client_auth) {
        problems.at(item, "clients are not asked for a certificate; set `client_auth_type: RequireAndVerifyClientCert` or remove this key",
        );
    }
    if let (None, true, Some(item)) = (&client_ca, client_auth.verifies(), &client_auth_item) {
        problems.at(item, "the trusted CAs are missing; set `client_ca_file`");
    }
    if let (Some(item), false) = (&sans_item, client_auth.requires()) {
        problems.at(item, "a client may connect without a certificate; set `client_auth_type: RequireAndVerifyClientCert`",
        );
    }
    let ((certificate_item, certificate), (key_item, key)) = (certificate?, key?);
    let (ca_item, client_ca) = client_ca.unzip();
    if client_ca.is_none() && client_auth.verifies() {
        return None;
    }
    let settings = TlsSettings {
        certificate,
        key,
        client_ca,
        client_auth,
        allowed_sans,
        versions: versions?,
        provider: Arc::new(provider?),
        prefers_own_order,
    };
    match Tls::open(settings) {
        Ok(tls) => Some(tls),
        Err(all) => {
            for broken in all {
                let culprit = match broken.part {
                    Part::Certificate => Some(&certificate_item),
                    Part::Key => Some(&key_item),
                    Part::ClientCa => ca_item.as_ref(),
                    Part::Settings => None,
                };
                problems.at(culprit.unwrap_or(&mapping), broken.to_string());
            }
            None
        }
    }
}

/// Returns `None` for a key without a value or with an empty one, which templates generate for
/// unset options.
fn given(item: Option<Item<'_>>) -> Option<Item<'_>> {
    item.filter(|item| !item.is_null() && item.text() != Some(""))
}

fn versions(
    min: Option<&Item<'_>>,
    max: Option<&Item<'_>>,
    problems: &mut Problems,
) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let mut read = |item: Option<&Item<'_>>, or| match item {
        Some(item) => item.parse(problems, version),
        None => Some(or),
    };
    let (from, to) = (read(min, 12)?, read(max, 13)?);
    if from > to {
        if let Some(item) = min.or(max) {
            problems.at(
                item,
                "`min_version` is newer than `max_version`; lower `min_version`",
            );
        }
        return None;
    }
    let all = [(12, &TLS12), (13, &TLS13)];
    let between = all.into_iter().filter(|(v, _)| (from..=to).contains(v));
    Some(between.map(|(_, version)| version).collect())
}

/// Returns the version as a number, such as 12 for TLS 1.2.
fn version(text: &str) -> Result<u8, ValueError> {
    match text {
        "TLS12" => Ok(12),
        "TLS13" => Ok(13),
        "TLS10" | "TLS11" => Err(ValueError::InsecureVersion(text.to_owned())),
        other => Err(ValueError::Version(other.to_owned())),
    }
}

fn list<'a>(item: Option<&Item<'a>>, problems: &mut Problems) -> Vec<Item<'a>> {
    let items = item.map(|item| item.list_or_one(problems));
    items.unwrap_or_default()
}

fn provider(
    suites: Option<&Item<'_>>,
    curves: Option<&Item<'_>>,
    problems: &mut Problems,
) -> Option<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let mut is_right = true;
    let items = list(suites, problems);
    if !items.is_empty() {
        let is_old = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls12(_));
        let (old, mut chosen): (Vec<_>, Vec<_>) =
            provider.cipher_suites.iter().copied().partition(is_old);
        let known: Vec<_> = old.iter().map(|suite| (go_name(suite), *suite)).collect();
        for item in &items {
            let suite = item.parse(problems, |text| {
                if TLS13_SUITES.contains(&text) {
                    return Ok(None);
                }
                one_of(text, &known).map(Some)
            });
            is_right &= suite.is_some();
            chosen.extend(suite.flatten());
        }
        provider.cipher_suites = chosen;
    }
    let items = list(curves, problems);
    if !items.is_empty() {
        let chosen: Vec<_> = items
            .iter()
            .filter_map(|i| i.parse(problems, curve))
            .collect();
        is_right &= chosen.len() == items.len();
        provider.kx_groups = chosen;
    }
    is_right.then_some(provider)
}

/// Returns the name of a TLS 1.2 suite in Go and IANA's registry, which is the `Debug` output of
/// rustls.
fn go_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

fn curve(text: &str) -> Result<&'static dyn SupportedKxGroup, ValueError> {
    let known: [(&str, &'static dyn SupportedKxGroup); 5] = [
        ("X25519MLKEM768", kx_group::X25519MLKEM768),
        ("SecP256r1MLKEM768", kx_group::SECP256R1MLKEM768),
        ("X25519", kx_group::X25519),
        ("CurveP256", kx_group::SECP256R1),
        ("CurveP384", kx_group::SECP384R1),
    ];
    if text == "CurveP521" {
        return Err(ValueError::CurveP521);
    }
    one_of(text, &known)
}

fn http(item: &Item<'_>, problems: &mut Problems) -> HeaderMap {
    let mut fields = item.fields(problems);
    // HTTP/2 is optional for a server, and this one does not support it.
    if let Some(item) = fields.take("http2") {
        item.bool(problems);
    }
    let mut out = HeaderMap::new();
    if let Some(item) = fields.take("headers") {
        let mut headers = item.fields(problems);
        for (name, values) in HEADERS {
            let Some(item) = given(headers.take(name)) else {
                continue;
            };
            let value = item.parse(problems, |text| {
                if !values.is_empty() && !values.contains(&text) {
                    return Err(ValueError::NotOneOf {
                        value: text.to_owned(),
                        known: values.join(", "),
                    });
                }
                HeaderValue::from_str(text).map_err(|_| ValueError::Header)
            });
            // All of these names are valid, which a test checks.
            if let (Some(value), Ok(name)) = (value, HeaderName::try_from(name)) {
                out.insert(name, value);
            }
        }
        headers.finish(problems);
    }
    fields.finish(problems);
    out
}

fn users(item: &Item<'_>, problems: &mut Problems) -> Users {
    let mut hashes = HashMap::new();
    for (name, item) in item.fields(problems).rest() {
        if name.is_empty() || name.contains(':') {
            problems.at(
                &item,
                "a user name must not be empty or contain a colon (RFC 7617)",
            );
        }
        if let Some(hash) = item.parse(problems, Hash::parse) {
            hashes.insert(name.to_owned(), hash);
        }
    }
    Users::new(hashes)
}

fn rate_limit(item: &Item<'_>, problems: &mut Problems) -> Option<RateLimit> {
    let mut fields = item.fields(problems);
    let interval = given(fields.take("interval")).and_then(|i| i.parse(problems, interval));
    let burst_item = given(fields.take("burst"));
    let burst = burst_item.as_ref().and_then(|i| i.parse(problems, burst));
    let mapping = fields.item();
    fields.finish(problems);
    let interval = interval.filter(|interval| !interval.is_zero())?;
    if burst_item.is_none() {
        problems.at(
            &mapping,
            "`burst` is missing; set the maximum number of requests at once",
        );
    }
    Some(RateLimit::new(interval, burst?, Instant::now()))
}

fn interval(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::Interval(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let interval = humantime::parse_duration(text).map_err(|_| wrong())?;
    (interval <= MAX_INTERVAL)
        .then_some(interval)
        .ok_or_else(wrong)
}

fn burst(text: &str) -> Result<u32, ValueError> {
    match text.parse() {
        Ok(burst) if burst > 0 => Ok(burst),
        _ => Err(ValueError::Burst(text.to_owned())),
    }
}

fn non_empty(text: &str) -> Result<String, ValueError> {
    match text {
        "" => Err(ValueError::Empty),
        text => Ok(text.to_owned()),
    }
}

fn one_of<T: Copy>(text: &str, known: &[(impl AsRef<str>, T)]) -> Result<T, ValueError> {
    let found = known.iter().find(|(name, _)| name.as_ref() == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| name.as_ref()).collect();
        ValueError::NotOneOf {
            value: text.to_owned(),
            known: names.join(", "),
        }
    })
}

#[cfg(test)]
mod tests;
