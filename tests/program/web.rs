//! The web server of the monitor, from outside: real clients over real sockets.

use crate::common::web_client::{Issued, PATIENCE, Setup, Site, ask, over_tls, start};
use crate::markdown::document;
use crate::support::{Run, command};
use certvigil::web::{Web, serve};
use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::version::{TLS12, TLS13};
use std::collections::BTreeSet;
use std::fs;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {both}\r\n")
}

#[tokio::test]
async fn no_web_config_allows_plain_http_without_credentials() {
    let web = Web::open(None).unwrap();
    assert!(!web.is_tls());
    web.reload().unwrap();
    let address = start(Arc::new(web)).await;
    let heard = ask(TcpStream::connect(address).await.unwrap(), "/a", "")
        .await
        .unwrap();
    assert!(
        heard.starts_with("HTTP/1.1 200") && heard.ends_with("this is /a"),
        "{heard}"
    );
}

#[tokio::test]
async fn every_listener_is_served_with_tls_and_the_configured_headers() {
    let setup = Setup::new();
    let web = setup.open(&over_tls(
        "http_server_config: {headers: {Strict-Transport-Security: max-age=1, X-Content-Type-Options: nosniff}}",
    ));
    assert!(web.is_tls());
    let mut listeners = Vec::new();
    for address in ["127.0.0.1:0", "127.0.0.1:0"] {
        listeners.push(TcpListener::bind(address).await.unwrap());
    }
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    tokio::spawn(serve(web, listeners, Site, pending()));
    for address in addresses {
        for version in [&TLS12, &TLS13] {
            let heard = setup.client().speaking(version).get(address).await.unwrap();
            for expected in [
                "HTTP/1.1 200",
                "strict-transport-security: max-age=1\r\n",
                "x-content-type-options: nosniff\r\n",
                "this is /",
            ] {
                assert!(heard.contains(expected), "{heard}");
            }
        }
    }
}

#[tokio::test]
async fn client_certificates_are_accepted_by_policy() {
    let (setup, others) = (Setup::new(), Setup::new());
    let trusted = setup.issue(|_| {});
    let expired = setup.issue(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let for_servers = setup.issue(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let stranger = others.issue(|_| {});
    let plain = setup.client();
    let clients = [
        ("nothing", plain.clone()),
        ("trusted", plain.clone().with(&trusted, &trusted)),
        ("stranger", plain.clone().with(&stranger, &stranger)),
        ("expired", plain.clone().with(&expired, &expired)),
        (
            "for servers",
            plain.clone().with(&for_servers, &for_servers),
        ),
        ("stolen", plain.clone().with(&trusted, &stranger)),
    ];
    for (policy, ca, allowed) in [
        (
            "NoClientCert",
            "",
            "nothing trusted stranger expired for servers stolen",
        ),
        (
            "RequestClientCert",
            "",
            "nothing trusted stranger expired for servers",
        ),
        (
            "RequireAnyClientCert",
            "",
            "trusted stranger expired for servers",
        ),
        (
            "RequireClientCert",
            "ca.pem",
            "trusted stranger expired for servers",
        ),
        ("VerifyClientCertIfGiven", "ca.pem", "nothing trusted"),
        ("RequireAndVerifyClientCert", "ca.pem", "trusted"),
    ] {
        let text = over_tls(&format!(
            "  client_auth_type: {policy}\n  client_ca_file: '{ca}'\n"
        ));
        let address = start(setup.open(&text)).await;
        for version in [&TLS12, &TLS13] {
            for (name, client) in &clients {
                let heard = client.clone().speaking(version).get(address).await;
                let is_in = heard.as_ref().is_ok_and(|h| h.starts_with("HTTP/1.1 200"));
                assert_eq!(
                    is_in,
                    allowed.contains(name),
                    "{policy} {name} {version:?}: {heard:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn client_certificate_must_have_an_allowed_name() {
    let setup = Setup::new();
    let text = over_tls(
        "  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example, 192.0.2.1, '2001:db8::1', a@b.example, 'spiffe://b.example/a']
",

    );

    let address = start(setup.open(&text)).await;

    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());

    let mail = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());

    let uri = |name: &str| SanType::URI(name.try_into().unwrap());

    let ip = |ip: &str| SanType::IpAddress(ip.parse().unwrap());

    for (names, is_allowed) in [
        (vec![dns("x.example"), dns("prometheus.example")], true),
        (vec![ip("192.0.2.1")], true),
        (vec![ip("2001:db8::1")], true),
        (vec![mail("a@b.example")], true),
        (vec![uri("spiffe://b.example/a")], true),
        (vec![], false),
        (vec![dns("x.prometheus.example"), dns("*.example")], false),
        (vec![ip("192.0.2.2")], false),
        (vec![uri("spiffe://b.example/b")], false),
    ] {
        let issued = setup.issue(|params| {
            params.subject_alt_names = names.clone();
            // A common name is not a subject alternative name.
            params
                .distinguished_name
                .push(DnType::CommonName, "prometheus.example");
        });
        let heard = setup.client().with(&issued, &issued).get(address).await;
        assert_eq!(heard.is_ok(), is_allowed, "{names:?}: {heard:?}");
    }
}

#[tokio::test]
async fn tls_versions_suites_and_groups_follow_the_web_config() {
    let setup = Setup::new();
    let newest = start(setup.open(&over_tls("  min_version: TLS13\n"))).await;
    let older = start(setup.open(&over_tls("  max_version: TLS12\n"))).await;
    for (address, version, is_spoken) in [
        (newest, &TLS13, true),
        (newest, &TLS12, false),
        (older, &TLS13, false),
        (older, &TLS12, true),
    ] {
        let heard = setup.client().speaking(version).get(address).await;
        assert_eq!(heard.is_ok(), is_spoken, "{version:?}: {heard:?}");
    }
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let text = over_tls(&format!(
        "  cipher_suites: [{suite}]\n  curve_preferences: [CurveP384]\n"
    ));
    let address = start(setup.open(&text)).await;
    for (version, expected) in [(&TLS12, suite), (&TLS13, "TLS13_")] {
        let stream = setup
            .client()
            .speaking(version)
            .connect(address)
            .await
            .unwrap();
        let session = stream.get_ref().1;
        let used = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
        assert!(used.starts_with(expected), "{used}");
        let group = session.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::secp384r1);
    }
}

/// The ClientHello of a probe has no key share for it, so the server must send a HelloRetryRequest.
#[tokio::test(flavor = "multi_thread")]
async fn server_requiring_a_hybrid_key_exchange_is_probed() {
    let setup = Setup::new();
    for group in ["X25519MLKEM768", "SecP256r1MLKEM768"] {
        let text = over_tls(&format!("  curve_preferences: [{group}]\n"));
        let address = start(setup.open(&text)).await;
        let expected = setup.path("cert.pem");
        let ask = move || {
            let target = format!("localhost:{}", address.port());
            let at = format!("{target}:127.0.0.1");
            let (expected, roots) = (expected.as_os_str(), expected.with_file_name("ca.pem"));
            let mut check = command();
            check.args(["check", &target, "--resolve", &at, "--format", "json"]);
            let check = check
                .arg("--cert")
                .arg(expected)
                .arg("--ca-file")
                .arg(roots);
            Run::from(check.output().unwrap()).json()
        };
        let seen = tokio::task::spawn_blocking(ask).await.unwrap();
        let row = &seen["result"][0];
        assert_eq!(row["status"], "conclusive", "{group}: {row}");
        assert_eq!(row["correct"], true, "{group}: {row}");
        assert_eq!(row["served"]["tls_version"], "1.3", "{group}: {row}");
    }
}

/// Requests until the served certificate is `new`, and fails at any other than `old` or `new`.
async fn until_served(setup: &Setup, address: SocketAddr, old: &Issued, new: &Issued) {
    let asking = async {
        loop {
            let served = setup.client().served(address).await;
            if served == new.certificate {
                return;
            }
            assert_eq!(served, old.certificate, "neither the old nor the new one");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("the new certificate");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let setup = Setup::new();
    let first = setup.write_pair();
    let web = setup.open(&over_tls(""));
    let address = start(web.clone()).await;
    assert_eq!(setup.client().served(address).await, first.certificate);
    let second = setup.write_pair();
    until_served(&setup, address, &first, &second).await;

    // An invalid file changes nothing, at any reload.
    setup.write("cert.pem", "half a certifica");
    assert!(
        web.reload()
            .unwrap_err()
            .to_string()
            .contains("cert.pem: it is not PEM")
    );
    assert_eq!(setup.client().served(address).await, second.certificate);
    let third = setup.issue(|_| {});
    setup.write("cert.pem", &third.pem);
    assert!(
        web.reload()
            .unwrap_err()
            .to_string()
            .contains("does not belong")
    );
    assert_eq!(setup.client().served(address).await, second.certificate);
    setup.write("key.pem", &third.key.serialize_pem());
    until_served(&setup, address, &second, &third).await;

    // An explicit reload takes effect at once.
    let fourth = setup.write_pair();
    web.reload().unwrap();
    assert_eq!(setup.client().served(address).await, fourth.certificate);
}

#[tokio::test]
async fn reload_applies_new_users_and_ignores_a_broken_file() {
    let setup = Setup::new();
    let status = async |address, credentials: &str| {
        let stream = TcpStream::connect(address).await.unwrap();
        let heard = ask(stream, "/", credentials).await.unwrap();
        heard[9..12].to_owned()
    };
    let user = |name: &str, password: &str| {
        format!(
            "basic_auth_users: {{{name}: '{}'}}\n",
            bcrypt::hash(password, 4).unwrap()
        )
    };
    let web = setup.open(&user("alice", "one"));
    let address = start(web.clone()).await;
    let (one, two) = (basic("alice", "one"), basic("alice", "two"));
    assert_eq!(status(address, &one).await, "200");
    assert_eq!(status(address, &two).await, "401");
    assert_eq!(status(address, "").await, "401");

    setup.configure("basic_auth_users: {alice: two}\n");
    let error = web.reload().unwrap_err().to_string();
    let place = format!(
        "{}:1: basic_auth_users.alice: ",
        setup.path("web.yml").display()
    );
    assert!(error.starts_with(&place), "{error}");
    assert_eq!(status(address, &one).await, "200");

    // The cached password check is dropped.
    setup.configure(&user("alice", "two"));
    web.reload().unwrap();
    assert_eq!(status(address, &one).await, "401");
    assert_eq!(status(address, &two).await, "200");

    fs::remove_file(setup.path("web.yml")).unwrap();
    assert!(
        web.reload()
            .unwrap_err()
            .to_string()
            .contains("it cannot be read")
    );
    assert_eq!(status(address, &two).await, "200");

    // From plain HTTP to TLS.
    setup.configure(&over_tls(""));
    web.reload().unwrap();
    assert!(web.is_tls());
    assert!(
        setup
            .client()
            .get(address)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn unreadable_web_config_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    for (bytes, says) in [
        (None, "it cannot be read"),
        (Some(&b"# \xe4"[..]), "save it as UTF-8"),
        (Some(b"- a"), "expected keys with values"),
    ] {
        if let Some(bytes) = bytes {
            fs::write(&file, bytes).unwrap();
        }
        let error = Web::open(Some(&file)).err().unwrap().to_string();
        let begin = file.display().to_string();
        assert!(error.starts_with(&begin) && error.contains(says), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Each section of the page with a file that has an unknown key at that level.
const PLACES: [(&str, &str); 5] = [
    ("Top-level keys of the web file", "qqq: 1"),
    ("tls_server_config", "tls_server_config: {qqq: 1}"),
    ("http_server_config", "http_server_config: {qqq: 1}"),
    (
        "http_server_config.headers",
        "http_server_config: {headers: {qqq: 1}}",
    ),
    ("rate_limit", "rate_limit: {qqq: 1}"),
];

#[test]
fn every_web_config_key_is_documented() {
    let page = document("docs/web-configuration.md");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    for (section, text) in PLACES {
        fs::write(&file, text).unwrap();
        let error = Web::open(Some(&file)).err().unwrap().to_string();
        let (_, known) = error.split_once("known keys: ").unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        let rows = page.section(section).rows();
        let told: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        assert_eq!(told, known, "{section}");
    }
    let with_rows = page
        .sections()
        .iter()
        .filter(|s| !s.rows().is_empty())
        .count();
    assert_eq!(with_rows, PLACES.len(), "every section is compared");
}

#[test]
fn example_web_config_is_valid() {
    let setup = Setup::new();
    for (from, to) in [
        ("cert.pem", "monitor.pem"),
        ("key.pem", "monitor.key"),
        ("ca.pem", "prometheus-ca.pem"),
    ] {
        fs::copy(setup.path(from), setup.path(to)).unwrap();
    }
    let page = document("docs/web-configuration.md");
    let blocks = page.blocks();
    let example = blocks
        .iter()
        .find(|b| b.info == "yaml")
        .expect("the example");
    assert!(setup.open(&example.lines.join("\n")).is_tls());
}
