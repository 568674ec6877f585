//! The status page, rendered by Chromium.

use crate::common::dashboards::query_of_panel;
use crate::common::monitor::{
    LONG_INTERVAL, SHORT_INTERVAL, entry, expecting, inventory, label, link, server, two_servers,
};
use crate::fixture::account::FakeAccount;
use crate::fixture::browser::{Browser, ENTER};
use crate::fixture::exporter::Answer;
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::wait_until;
use crate::fixture::process::{free_port, run};
use crate::fixture::prometheus::Prometheus;
use crate::fixture::tls::{Server, config};
use crate::support::REWRITE;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use url::form_urlencoded::byte_serialize;

/// Window sizes of a desktop and a phone.
const WIDTHS: [(&str, u32, u32); 2] = [("desktop", 1440, 900), ("phone", 390, 844)];

/// Height of the pictures, in pixels.
const PICTURE_HEIGHT: u32 = 1150;

/// A hostile subject.
const SCRIPT: &str = "<script>alert('run')</script><img src=x onerror=alert(1)>\u{202e}dlrow";

/// A scene of pictures: the path of a page, and texts that it must contain.
struct Scene<'a> {
    name: &'a str,
    path: String,
    words: &'a [&'a str],
}

/// Tests a page in this browser: it fits, is readable, and loads nothing from elsewhere.
fn check_page(browser: &Browser, exporter: &Exporter, scene: &Scene<'_>) {
    let origin = format!("http://{}", exporter.address);
    for (kind, width, height) in WIDTHS {
        browser.resize(width, height);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.open(&format!("{origin}{}", scene.path));
            let place = format!("{} on a {kind} in {scheme}", scene.name);
            if kind == "phone" {
                let folded = "!document.querySelector('#filter-fold:not([open]) #q')?.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})";
                assert_eq!(
                    browser.eval(folded),
                    json!(true),
                    "{place}: the filter is not folded"
                );
            }
            picture(browser, &format!("{}-{kind}-{scheme}", scene.name));
            browser.eval("document.querySelectorAll('details').forEach(d => { d.open = true; })");
            assert_text(browser, scene, &place);
            let fits = browser.eval(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
            );
            assert_eq!(fits, json!(true), "{place} is too wide");
            let levels = browser.eval(
                "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.localName[1]))",
            );
            assert_in_order(&levels, &place);
            if let Some(violations) = browser.axe() {
                assert!(violations.is_empty(), "{place}: {violations:#?}");
            }
        }
    }
    assert_eq!(browser.complaints(), [""; 0], "{}", scene.name);
    for url in browser.requests() {
        assert!(
            url.starts_with(&origin),
            "{}: {url} was asked for",
            scene.name
        );
    }
}

fn assert_text(browser: &Browser, scene: &Scene<'_>, place: &str) {
    let text = browser.text();
    for words in scene.words {
        assert!(text.contains(words), "{place}: no {words:?} in\n{text}");
    }
}

/// Asserts that there is one heading of the first level, and that no level is skipped.
fn assert_in_order(levels: &serde_json::Value, place: &str) {
    let levels: Vec<u64> = levels
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_u64().unwrap())
        .collect();
    assert_eq!(levels.first(), Some(&1), "{place}: {levels:?}");
    assert_eq!(
        levels.iter().filter(|l| **l == 1).count(),
        1,
        "{place}: {levels:?}"
    );
    for pair in levels.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "{place}: {levels:?}");
    }
}

/// The pictures in the guide.
const PICTURES: [&str; 6] = [
    "overview-desktop-light",
    "overview-phone-dark",
    "query-desktop-light",
    "rollout-desktop-light",
    "endpoint-desktop-dark",
    "away-phone-light",
];

/// Writes a picture below the target folder. Writes it into the guide too, compressed, if rewriting
/// is requested.
fn picture(browser: &Browser, name: &str) {
    let image = browser.picture(PICTURE_HEIGHT);
    let write = |folder: &Path| {
        fs::create_dir_all(folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        fs::write(&file, &image).unwrap();
        file
    };
    write(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures"));
    if std::env::var_os(REWRITE).is_some() && PICTURES.contains(&name) {
        let file = write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures"));
        run(Command::new("pngquant")
            .args(["--force", "--ext", ".png", "--strip"])
            .arg(&file));
    }
}

/// An untrusted self-signed certificate with this subject.
fn named(pki: &Pki, name: &str) -> Leaf {
    let mut params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Leaf {
        certificate: certvigil::certificate::Certificate::from_der(certificate.der().to_vec()),
        key: pki.file(key.serialize_pem()),
    }
}

/// An entry with two addresses for one certificate.
fn pair(pki: &Pki, leaf: &Leaf, port: u16) -> String {
    let place = format!("hostnames: {HOST}, addresses: [127.0.0.1, 127.0.0.2], port: {port}");
    expecting(pki, "shop", leaf, &place)
}

/// A monitor that has probed `good` and `bad`. `bad` serves an unexpected certificate.
fn good_and_bad(pki: &Pki) -> ([Server; 2], Exporter) {
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let servers = [server(pki, &leaf), server(pki, &other)];
    let entries = [("good", &servers[0]), ("bad", &servers[1])]
        .map(|(name, server)| entry(pki, name, &leaf, server.port()));
    let exporter = Exporter::start(&inventory(pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    (servers, exporter)
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn status_page_reports_that_all_addresses_are_ok() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (first, _second) = two_servers(&pki, &leaf);
    let text = inventory(&pki, LONG_INTERVAL, "", &[pair(&pki, &leaf, first.port())]);
    let exporter = Exporter::start(&text, &[], |_| {});
    exporter.wait_until_ready();
    let browser = Browser::start();
    let scene = Scene {
        name: "well",
        path: "/".into(),
        words: &[
            "All 2 addresses serve the expected certificate",
            "shop",
            "2 of 2",
            "None.",
        ],
    };
    check_page(&browser, &exporter, &scene);
    let scene = Scene {
        name: "certificate",
        path: "/certificates/shop".into(),
        words: &[
            "All 2 addresses are ok",
            "Warnings start in",
            "127.0.0.2",
            "not stored",
        ],
    };
    check_page(&browser, &exporter, &scene);
    let scene = Scene {
        name: "docs",
        path: "/docs/findings/missing_intermediate".into(),
        words: &["How to fix it", "ssl_certificate"],
    };
    check_page(&browser, &exporter, &scene);
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn status_page_shows_faults_first_and_never_runs_a_subject_as_script() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (first, second) = two_servers(&pki, &leaf);
    let text = inventory(&pki, LONG_INTERVAL, "", &[pair(&pki, &leaf, first.port())]);
    second.serve(config(&pki, &named(&pki, SCRIPT)));
    let exporter = Exporter::start(&text, &[], |_| {});
    exporter.wait_until_ready();
    let browser = Browser::start();
    let scene = Scene {
        name: "fault",
        path: "/".into(),
        words: &[
            "1 of 2 addresses is critical",
            "Another certificate than the expected one is served",
            "Fix:",
            "<script>alert('run')</script><img src=x onerror=alert(1)>\u{fffd}dlrow",
        ],
    };
    check_page(&browser, &exporter, &scene);
    let endpoint = link(&exporter.get("/"), "/certificates/shop/https/");
    assert!(
        endpoint.contains("127.0.0.2"),
        "the worst is first: {endpoint}"
    );
    let scene = Scene {
        name: "endpoint",
        path: endpoint,
        words: &[
            "≠ differs",
            "Differences from the expected certificate",
            "<script>alert('run')",
        ],
    };
    check_page(&browser, &exporter, &scene);
    let ran = browser.eval("document.querySelectorAll('main script, main img').length");
    assert_eq!(ran, json!(0));
}

/// A monitor of twenty certificates, of which one has expired, one is not served because its server
/// has not reloaded, and one has no server.
fn twenty_certificates(pki: &Pki) -> (Vec<Server>, Exporter) {
    let names = [
        "account", "api", "blog", "cdn", "chat", "docs", "forum", "git", "grafana", "intranet",
        "ldap", "login", "mail", "pay", "registry", "shop", "static", "status", "vpn", "www",
    ];
    let mut servers = Vec::new();
    let entries = names.iter().zip(31..).map(|(name, days)| {
        let host = format!("{name}.example.com");
        let leaf = match *name {
            "pay" => pki.leaf_for_days(&[&host], -1),
            _ => pki.leaf_for_days(&[&host], days),
        };
        let port = match *name {
            "ldap" => free_port(),
            _ => {
                let other = (*name == "shop").then(|| pki.leaf_for_days(&[&host], 40));
                servers.push(server(pki, other.as_ref().unwrap_or(&leaf)));
                servers.last().unwrap().port()
            }
        };
        let place = format!("hostnames: {host}, addresses: 127.0.0.1, port: {port}");
        expecting(pki, name, &leaf, &place)
    });
    let entries: Vec<String> = entries.collect();
    let exporter = Exporter::start(&inventory(pki, LONG_INTERVAL, "", &entries), &[], |_| {});
    exporter.wait_until_ready();
    (servers, exporter)
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn twenty_certificates_with_three_faults_fit_one_screen() {
    let pki = Pki::new();
    let (_servers, exporter) = twenty_certificates(&pki);
    let browser = Browser::start();
    let scene = Scene {
        name: "overview",
        path: "/".into(),
        words: &[
            "2 of 20 addresses are critical",
            "pay.example.com",
            "ldap.example.com",
            "shop.example.com",
            "Fix:",
        ],
    };
    check_page(&browser, &exporter, &scene);
    browser.resize(1440, 900);
    browser.open(&format!("http://{}/", exporter.address));
    let size = browser.eval(
        "[document.documentElement.scrollHeight, document.querySelectorAll('#certificates tbody tr').length,
          document.querySelectorAll('#wrong tbody tr').length]",
    );
    let height = size[0].as_u64().unwrap();
    assert!(height <= 900, "the page is {height} pixels high");
    assert_eq!((&size[1], &size[2]), (&json!(20), &json!(3)));
    // Clients suffer from the first two, and the third is valid.
    let hosts = browser.eval(
        "[...document.querySelectorAll('#wrong .host')].map(h => h.textContent.split('.')[0])",
    );
    assert_eq!(hosts, json!(["pay", "ldap", "shop"]));
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn sorting_and_filters_are_undone_by_back() {
    let pki = Pki::new();
    let (_servers, exporter) = twenty_certificates(&pki);
    let browser = Browser::start();
    browser.resize(1440, 900);
    let first = "document.querySelector('#certificates tbody th')?.textContent";
    browser.open(&format!("http://{}/", exporter.address));
    browser.eval("document.querySelector('#certificates thead a').click(); true");
    browser.wait_for(&format!(
        "location.search === '?certificates_sort=certificate' && {first} === 'account'"
    ));
    browser.eval("document.querySelector('#certificates thead a').click(); true");
    browser.wait_for(&format!("{first} === 'www'"));
    browser.tab_to("at.id === 'q'");
    browser.press("shop".chars());
    browser.wait_for(&format!(
        "location.search === '?q=shop&certificates_sort=-certificate' && {first} === 'shop'"
    ));
    browser.wait_for("document.getElementById('addresses-fold').open");
    browser.eval("document.querySelector('.count.critical').click(); true");
    browser.wait_for("location.search === '?severity=critical&certificates_sort=-certificate' && document.getElementById('severity')?.value === 'critical'");
    browser.eval("history.back(); true");
    browser.wait_for(
        "location.search.startsWith('?q=shop') && document.getElementById('q')?.value === 'shop'",
    );
    browser.eval("history.back(); true");
    browser.wait_for(&format!("location.search === '?certificates_sort=-certificate' && document.getElementById('q')?.value === '' && {first} === 'www'"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn times_are_local_where_there_is_a_script() {
    let pki = Pki::new();
    let (_servers, exporter) = good_and_bad(&pki);
    let browser = Browser::start();
    browser.live_in("Asia/Kolkata");
    browser.open(&format!("http://{}/", exporter.address));
    let is_local = "[...document.querySelectorAll('time')].every(t => t.title.endsWith(' UTC') && t.textContent.endsWith(' GMT+5:30')
        && /^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d /.test(t.textContent)
        && new Date(t.dateTime.slice(0, 16) + 'Z').getTime() === Date.parse(t.textContent.slice(0, 16).replace(' ', 'T') + '+05:30'))";
    assert_eq!(browser.eval(is_local), json!(true));
    assert_eq!(
        browser.eval("document.querySelectorAll('time').length > 4"),
        json!(true)
    );
    // They stay local when the page is refreshed.
    browser.eval("document.querySelector('.summary h1').textContent = 'stale'; document.dispatchEvent(new Event('visibilitychange')); true");
    browser.wait_for("document.querySelector('.summary h1').textContent.includes('critical')");
    assert_eq!(browser.eval(is_local), json!(true));
    browser.without_scripts();
    browser.open(&format!("http://{}/", exporter.address));
    let is_utc =
        "[...document.querySelectorAll('time')].every(t => t.textContent.endsWith(' UTC'))";
    assert_eq!(browser.eval(is_utc), json!(true));
}

#[test]
#[ignore = "needs prometheus, chromium and chromium-driver"]
fn query_of_a_dashboard_shows_the_faults_in_prometheus() {
    let pki = Pki::new();
    let (_servers, exporter) = twenty_certificates(&pki);
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: certvigil, static_configs: [{{targets: ['{}']}}]}}]\n",
        exporter.address
    );
    let prometheus = Prometheus::start(&config, |_| {});
    let query = query_of_panel("certvigil-fleet", "Current findings");
    let browser = Browser::start();
    // The third fault is an error, which has a panel of its own.
    prometheus.wait_for(&query, |found| found.len() == 2);
    browser.resize(1440, 900);
    let query: String = byte_serialize(query.as_bytes()).collect();
    browser.open(&format!(
        "{}/classic/graph?g0.expr={query}&g0.tab=1",
        prometheus.url()
    ));
    for words in [
        "pay.example.com",
        "expired",
        "shop.example.com",
        "previous_instance",
    ] {
        browser.wait_for(&format!("document.body.innerText.includes({words:?})"));
    }
    picture(&browser, "query-desktop-light");
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn status_page_shows_a_rollout_and_an_unavailable_source() {
    let pki = Pki::new();
    let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (first, _second) = two_servers(&pki, &old);
    let port = first.port();
    let account = FakeAccount::start(&pki, &["127.0.0.1", "127.0.0.2"], port);
    account.issue(&pki, HOST, 1, &old);
    let entry = format!("sslmate: {HOST}, addresses: [127.0.0.1, 127.0.0.2], port: {port}");
    let text = inventory(&pki, SHORT_INTERVAL, &account.settings("1s"), &[entry]);
    let exporter = Exporter::start(&text, &["--state-dir", "state"], |folder| {
        account.write_key(folder)
    });
    exporter.wait_until_ready();
    account.issue(&pki, HOST, 2, &new);
    first.serve(config(&pki, &new));
    let browser = Browser::start();
    let at = |ip: &str| [label("ip", ip), label("vantage", "local")];
    let correct = |metrics: &Answer, ip: &str| {
        let labels = at(ip);
        metrics.sample(
            "certvigil_endpoint_correct",
            &labels.each_ref().map(String::as_str),
        )
    };
    exporter.wait_for_metrics("the rollout is half-way", |metrics| {
        let is_new = metrics.sample("certvigil_certificate_info", &[r#"instance_id="2""#]);
        is_new.is_some()
            && correct(metrics, "127.0.0.1") == Some(1.0)
            && correct(metrics, "127.0.0.2") == Some(0.0)
    });
    wait_until("the switch is noted", || {
        let page = exporter.get(&format!("/certificates/{HOST}")).text();
        (page.contains("an unexpected certificate") || page.matches("the first probe").count() > 1)
            .then_some(())
    });
    let scene = Scene {
        name: "rollout",
        path: format!("/certificates/{HOST}"),
        words: &[
            "1 of 2 addresses serve the new instance",
            "Previous instance: 1",
            "New instance: 1",
            "from here and sslmate",
            "Changes",
            "the first probe",
        ],
    };
    check_page(&browser, &exporter, &scene);

    drop(account);
    exporter.wait_for_metrics("the account is known to be away", |metrics| {
        metrics.sample("certvigil_source_up", &[r#"source="sslmate""#]) == Some(0.0)
    });
    let scene = Scene {
        name: "away",
        path: "/".into(),
        words: &[
            "Source sslmate is unavailable",
            "Its last result stays in use",
        ],
    };
    check_page(&browser, &exporter, &scene);
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn status_page_is_keyboard_operable_and_refresh_keeps_its_state() {
    let pki = Pki::new();
    let (_servers, exporter) = good_and_bad(&pki);
    let browser = Browser::start();
    browser.resize(1280, 800);
    let origin = format!("http://{}", exporter.address);
    browser.open(&format!("{origin}/"));
    browser.tab_to("at.className === 'skip'");
    browser.tab_to("at.id === 'q'");
    // Typing filters immediately, and the view has a link.
    browser.press("good".chars());
    browser.wait_for("document.querySelectorAll('#addresses tbody tr').length === 1");
    browser.wait_for("location.search === '?q=good'");
    browser
        .wait_for("document.activeElement.id === 'q' && document.activeElement.value === 'good'");
    browser
        .wait_for("document.getElementById('announce').textContent.startsWith('1 of 2 addresses')");
    browser.open(&format!("{origin}/?severity=critical"));
    browser.tab_to(
        "at.localName === 'a' && at.closest('#wrong') !== null && at.textContent === 'bad'",
    );
    browser.press([ENTER]);
    browser.wait_for(
        "location.pathname === '/certificates/bad' && document.readyState === 'complete'",
    );

    browser.tab_to("at.localName === 'summary'");
    browser.press([ENTER]);
    browser.wait_for("document.querySelector('details').open");
    // A refresh updates the content from the server and keeps the reader's state.
    browser.resize(1280, 300);
    browser.eval("scrollTo({top: 200, behavior: 'instant'}); getSelection().selectAllChildren(document.querySelector('h1')); true");
    let kept = "JSON.stringify([scrollY, document.querySelector('details').open, document.activeElement.localName,
                getSelection().toString()])";
    let before = browser.eval(kept);
    browser.eval(
        "document.querySelector('.headline p').textContent = 'stale'; document.dispatchEvent(new Event('visibilitychange')); true",
    );
    browser.wait_for("document.querySelector('.headline p').textContent.includes('is not ok')");
    assert_eq!(browser.eval(kept), before);
    browser.tab_to("at.id === 'pause'");
    browser.press([ENTER]);
    browser.wait_for("document.activeElement.getAttribute('aria-pressed') === 'true'");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn status_page_reports_a_failed_refresh_until_it_succeeds() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entry = entry(&pki, "web", &leaf, server.port());
    let exporter = Exporter::start(&inventory(&pki, LONG_INTERVAL, "", &[entry]), &[], |_| {});
    exporter.wait_until_ready();
    let browser = Browser::start();
    browser.open(&format!("http://{}/", exporter.address));
    let title = browser.eval("document.title");
    let look = "[document.title, document.querySelector('link[rel=icon]').getAttribute('href')]";
    let fresh = browser.eval(look);
    let refresh = |fetch: &str| {
        browser.eval(&format!(
            "window.theirs ??= window.fetch; window.fetch = {fetch}; document.dispatchEvent(new Event('visibilitychange')); true"
        ));
    };
    let is_reported = |words: &str| {
        browser.wait_for(&format!(
            "document.querySelector('main').firstElementChild.id === 'stale' && document.getElementById('stale').textContent.includes({words:?})"
        ));
        let told = browser.eval(look);
        assert_eq!(
            told[0],
            format!("Not refreshed: {}", title.as_str().unwrap())
        );
        assert_ne!(told[1], fresh[1]);
        // The previous content remains readable.
        assert!(
            browser
                .text()
                .contains("The only address serves the expected certificate")
        );
    };
    for (fetch, words) in [
        (
            "async () => new Response('busy', { status: 503, headers: { 'content-type': 'text/plain' } })",
            "HTTP status 503",
        ),
        (
            "async () => new Response('<h1>Bad gateway', { status: 502, headers: { 'content-type': 'text/html' } })",
            "HTTP status 502",
        ),
        (
            "async () => { throw new TypeError('Failed to fetch') }",
            "does not answer",
        ),
    ] {
        refresh(fetch);
        is_reported(words);
        refresh("window.theirs");
        browser.wait_for("document.getElementById('stale') === null");
        assert_eq!(browser.eval(look), fresh, "{words}");
    }
    // A request without response times out; the timers fire at once here.
    browser.eval("window.clock = window.setTimeout; window.setTimeout = (then) => window.clock(then, 0); true");
    refresh(
        "(_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))",
    );
    is_reported("does not answer");
    browser.eval("window.setTimeout = window.clock; true");
    refresh("window.theirs");
    browser.wait_for("document.getElementById('stale') === null");
    assert_eq!(browser.complaints(), [""; 0]);

    drop(exporter);
    refresh("window.theirs");
    is_reported("does not answer");
}

#[test]
#[ignore = "needs chromium and chromium-driver"]
fn status_page_is_complete_without_javascript() {
    let pki = Pki::new();
    let (_servers, exporter) = good_and_bad(&pki);
    let browser = Browser::start();
    let origin = format!("http://{}", exporter.address);
    let read = |path: &str| {
        browser.open(&format!("{origin}{path}"));
        let text = browser.text();
        // Only relative times change.
        text.lines()
            .filter(|line| !line.contains(" ago") && !line.contains("As of"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let paths = [
        "/",
        "/?severity=critical",
        "/certificates/bad",
        "/docs/findings",
    ];
    let with: Vec<_> = paths.iter().map(|path| read(path)).collect();
    browser.without_scripts();
    let without: Vec<_> = paths.iter().map(|path| read(path)).collect();
    assert_eq!(with, without);
    // The form works without scripts.
    browser.open(&format!("{origin}/"));
    browser.tab_to("at.id === 'q'");
    browser.press("good".chars().chain([ENTER]));
    browser.wait_for("location.search.includes('q=good') && document.querySelectorAll('#addresses tbody tr').length === 1");
}
