//! Tests with hostile and with long external text.

use super::*;

/// Returns a view with this text in every field that can contain external text.
fn with_text_everywhere(text: &str, leaf: &Certificate) -> View {
    let mut state = State::new();
    let expected = expecting(&leaves(1)[0], &[]);
    let name = format!("c{text}");
    let target = target(&name, 1);
    let mut served = result(&target, 1, "local", serving(leaf), &expected);
    served.findings.extend(findings_with(text));
    let error = ProbeError {
        seems: None,
        alert: None,
        sent: None,
        is_of_vantage: false,
        kind: ErrorKind::TlsProtocol,
        message: text.to_owned(),
    };
    let failed = result(&target, 2, "local", Outcome::Failed(error), &expected);
    let vantage = format!("v{text}");
    let reported = result(&target, 1, &vantage, serving(leaf), &expected);
    let watch = state.add(
        &name,
        &expected,
        vec![(target, vec![served, reported, failed])],
    );
    watch.failure = Some(SourceFailure {
        since: NOW,
        error: text.to_owned(),
    });
    let mut view = state.view();
    view.monitor.reload.error = Some(text.to_owned());
    view.monitor.reload.file_error = Some(text.to_owned());
    view
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn external_text_never_becomes_an_html_tag(
        pieces in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,12}",
                any::<String>(),
                Just("<script>alert(1)</script>".to_owned()),
                Just("\" onload=\"alert(1)".to_owned()),
                Just("'><img src=x onerror=alert(1)>".to_owned()),
                Just("javascript:alert(1)".to_owned()),
                Just("--><!--".to_owned()),
                Just("</title></textarea></style>".to_owned()),
                Just("&lt;b&gt;".to_owned()),
                Just("\u{202e}\u{0}\r\n".to_owned()),
            ],
            1..5,
        )
    ) {
        let text = format!("x{}", pieces.concat());
        let wanted = pages(&with_text_everywhere("xharmless", &leaf_named("harmless")));
        let written = pages(&with_text_everywhere(&text, &leaf_named(&format!("h{text}"))));
        prop_assert_eq!(wanted.len(), written.len());
        for (wanted, written) in wanted.iter().zip(&written) {
            prop_assert_eq!(tags(wanted), tags(written));
            let unseen = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
            prop_assert!(!written.contains(unseen));
        }
    }
}

#[test]
fn page_size_is_bounded_for_many_addresses_and_long_texts() {
    let long = leaf_named(&"<&>".repeat(1_000));
    let expected = expecting(&leaves(1)[0], &[]);
    let mut state = State::new();
    let text = "'".repeat(2_000);
    let first = target("certificate-0", 0);
    let at_first = (1..=5).map(|ip| {
        let mut judged = result(&first, ip, "local", serving(&long), &expected);
        let words = format!("{ip} {text}");
        judged.findings.extend(findings_with(&words));
        judged
    });
    let at_first: Vec<Judged> = at_first.collect();
    for number in 0..2_000 {
        let name = format!("certificate-{number}");
        let target = target(&name, number);
        let of_target = Arc::new(target.clone());
        let results = at_first.iter().cloned().map(|mut judged| {
            judged.observation.target = of_target.clone();
            judged
        });
        let results = results.collect();
        state.add(&name, &expected, vec![(target, results)]);
    }
    let view = state.view();
    assert_eq!(view.endpoints().len(), 10_000);
    for (path, query) in [
        ("/", ""),
        ("/", "severity=critical&q=h1&page=7&certificates_page=3"),
        ("/certificates/certificate-7", ""),
    ] {
        let page = get(&view, path, query);
        assert!(page.len() < MAX_PAGE_BYTES, "{path}: {}", page.len());
    }
    let page = get(&view, "/", "page=200");
    assert!(page.contains("Addresses 9951 to 10000 of 10000"));
    assert!(page.contains("more characters"));
}
