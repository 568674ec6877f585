//! Tests of the overview: its filter, its order, its sources and its messages.

use super::*;

#[test]
fn filter_selects_addresses_by_severity_certificate_and_text() {
    let leaves = leaves(2);
    let mut state = State::new();
    for (name, served) in [("good", &leaves[0]), ("bad", &leaves[1])] {
        let expected = expecting(&leaves[0], &[]);
        let target = target(name, 1);
        let result = result(&target, 1, "local", serving(served), &expected);
        state.add(name, &expected, vec![(target, vec![result])]);
    }
    let view = state.view();
    let rows = |query: &str| {
        let page = get(&view, "/", query);
        let (_, rest) = page.split_once("id=\"addresses\"").unwrap();
        let (rows, _) = rest.split_once("id=\"sources\"").unwrap();
        BTreeMap::from(
            ["good", "bad"].map(|name| (name, rows.contains(&format!("/certificates/{name}/")))),
        )
    };
    let only =
        |name: &'static str| BTreeMap::from(["good", "bad"].map(|other| (other, other == name)));
    assert_eq!(rows("severity=critical"), only("bad"));
    assert_eq!(rows("severity=ok"), only("good"));
    assert_eq!(rows("certificate=good"), only("good"));
    assert_eq!(rows("q=WRONG+certificate"), only("bad"));
    assert_eq!(rows(&format!("q={}", leaves[1].sha256())), only("bad"));
    assert_eq!(rows("q=nowhere"), only("neither"));
    assert_eq!(rows("").values().filter(|is_there| **is_there).count(), 2);
    // The form shows the selected values.
    assert!(
        get(&view, "/", "severity=critical").contains("<option value=\"critical\" selected=\"\">")
    );
    assert!(get(&view, "/", "q=a%22b").contains("value=\"a&quot;b\""));
    assert!(get(&view, "/", "severity=warning").contains("None match the filter"));
}

#[test]
fn unavailable_source_is_shown_with_its_outage_and_result_age() {
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let target = target("web", 1);
    let result = result(&target, 1, "local", serving(leaf), &expected);
    let mut state = State::new();
    let watch = state.add("web", &expected, vec![(target, vec![result])]);
    watch.kept[0].fetched = Timestamp(NOW.0 - 5 * HOUR);
    watch.failure = Some(SourceFailure {
        since: Timestamp(NOW.0 - 4 * HOUR),
        error: "sslmate: the connection was refused".into(),
    });
    let page = get(&state.view(), "/", "");
    assert!(page.contains("The only address serves the expected certificate"));
    for words in [
        "Source sslmate is unavailable",
        "(4 hours ago)",
        "(5 hours ago)",
        "sslmate: the connection was refused.",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn files_of_targets_are_sources_with_their_last_success_and_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.json");
    let patterns = [Include {
        pattern: file.clone(),
        line: 1,
    }];
    let read = |before: Option<&TargetFiles>, hours: i64| {
        let now = Timestamp(NOW.0 - hours * HOUR);
        Arc::new(TargetFiles::read(
            &patterns,
            &Defaults::default(),
            before,
            now,
        ))
    };
    let page = |files: Arc<TargetFiles>| {
        let mut view = State::new().view();
        view.target_files = files;
        get(&view, "/", "")
    };
    std::fs::write(&file, r#"[{"targets": ["a.example", "b.example"]}]"#).unwrap();
    let files = read(None, 5);
    let name = format!("file_sd: {}", file.display());
    let good = page(files.clone());
    assert!(
        good.contains(&name) && good.contains("(5 hours ago)"),
        "{good}"
    );
    assert!(!good.contains("is unavailable"));
    std::fs::write(&file, "[{").unwrap();
    let broken = page(read(Some(&files), 4));
    for words in [
        format!("Source {name} is unavailable"),
        "(4 hours ago)".into(),
        "(5 hours ago)".into(),
    ] {
        assert!(broken.contains(&words), "{words}: {broken}");
    }
}

#[test]
fn empty_inventory_pending_probes_and_unknown_pages_have_messages() {
    let page = get(&State::new().view(), "/", "");
    assert!(page.contains("There is nothing to probe"));
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let mut state = State::new();
    state.add("web", &expected, vec![(target("web", 1), Vec::new())]);
    let view = state.view();
    assert!(get(&view, "/", "").contains("Nothing has been probed yet"));
    assert!(get(&view, "/certificates/web", "").contains("Not probed yet"));
    for path in [
        "/certificates/none",
        "/certificates/a/b/c/1/d/e",
        "/docs/none",
    ] {
        let place = Location::read(path).unwrap();
        let (status, page) = write(&view, &place, &Filter::default());
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(page.contains("<h1>Not here</h1>"), "{path}");
    }
    for path in [
        "",
        "x",
        "/certificates",
        "/certificates/a/b",
        "/certificates/%ff",
        "/else",
    ] {
        assert_eq!(Location::read(path), None, "{path}");
    }
}

#[test]
fn columns_sort_the_rows_and_keep_the_filter() {
    let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
    let issue = |days| {
        let names = ["www.example.com".to_owned()];
        let validity = Validity::around(NOW, 10, days);
        let issued = root.issue(&names, validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    let mut state = State::new();
    let other = issue(80);
    for (name, days, is_ok) in [
        ("a", 70, true),
        ("b", 40, false),
        ("c", 90, true),
        ("d", 50, true),
    ] {
        let leaf = issue(days);
        let expected = expecting(&leaf, &[]);
        let target = target(name, 10 - usize::try_from(days / 10).unwrap());
        let served = if is_ok { &leaf } else { &other };
        let result = result(&target, 1, "local", serving(served), &expected);
        state.add(name, &expected, vec![(target, vec![result])]);
    }
    let view = state.view();
    let certificates = |query: &str| {
        let page = get(&view, "/", query);
        let heads = row_heads(between(&page, "id=\"certificates\"", "</section>"));
        heads.concat()
    };
    assert_eq!(certificates(""), "bacd");
    assert_eq!(certificates("certificates_sort=certificate"), "abcd");
    assert_eq!(certificates("certificates_sort=-certificate"), "dcba");
    // The first expiry is of what is served: `b` serves a leaf with 80 days.
    assert_eq!(certificates("certificates_sort=expires"), "dabc");
    assert_eq!(certificates("certificates_sort=-expires"), "cbad");
    assert_eq!(certificates("certificates_sort=state"), "acdb");
    assert_eq!(certificates("certificates_sort=since"), "bacd");
    assert_eq!(certificates("severity=ok&certificates_sort=expires"), "dac");

    let page = get(&view, "/", "severity=ok&addresses_sort=-host");
    let table = between(&page, "id=\"addresses\"", "</table>");
    let hosts = row_heads(table);
    let hosts: Vec<&str> = hosts.iter().map(|head| &head[..2]).collect();
    assert_eq!(hosts, ["h5", "h3", "h1"]);
    assert!(table.contains(
        "aria-sort=\"descending\"><a href=\"/?severity=ok&amp;addresses_sort=host#addresses\">"
    ));
    assert!(page.contains(
        "href=\"/?severity=ok&amp;certificates_sort=expires&amp;addresses_sort=-host#certificates\""
    ));
    assert_eq!(page.matches("aria-sort=").count(), 2);
    // Other filters keep the order too.
    assert!(page.contains("href=\"/?severity=critical&amp;addresses_sort=-host\""));
    assert!(page.contains("<input type=\"hidden\" name=\"addresses_sort\" value=\"-host\">"));
    assert!(page.contains("id=\"addresses-fold\" open=\"\""));
    assert!(!get(&view, "/", "").contains("id=\"addresses-fold\" open"));
}

#[test]
fn expiry_of_a_certificate_is_not_known_if_each_probe_failed() {
    let mut state = State::new();
    let expected = Arc::new(Expected {
        source: SourceKind::Trust,
        what: Expectation::TrustOnly,
    });
    let (probed, waiting) = (target("probed", 1), target("waiting", 2));
    let error = ProbeError::new(ErrorKind::ConnectRefused, "the connection was refused");
    let failed = result(&probed, 1, "local", Outcome::Failed(error), &expected);
    state.add("probed", &expected, vec![(probed, vec![failed])]);
    state.add("waiting", &expected, vec![(waiting, Vec::new())]);
    let page = get(&state.view(), "/", "");
    let table = between(&page, "id=\"certificates\"", "</section>");
    let expiry = |name: &str| {
        let (_, row) = table.split_once(&format!(">{name}<")).unwrap();
        between(row, "data-label=\"Expires\"", "</td>").to_owned()
    };
    assert!(expiry("probed").contains(">not known<"), "{table}");
    assert!(expiry("waiting").contains(">not probed yet<"), "{table}");
}

#[test]
fn rows_show_the_results_of_the_last_day() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[0], &[]);
    let target = target("web", 1);
    let mut last: Option<TargetResults> = None;
    // Every half hour for 10 hours, without the 3 hours from 8 to 5 hours ago.
    for half_hours in (0..20).rev().filter(|n| !(10..16).contains(n)) {
        let leaf = if half_hours == 4 {
            &leaves[1]
        } else {
            &leaves[0]
        };
        let results = vec![
            result(&target, 1, "local", serving(leaf), &expected),
            result(&target, 2, "local", serving(&leaves[0]), &expected),
        ];
        let at = Timestamp(NOW.0 - half_hours * HOUR / 2);
        last = Some(TargetResults::probed(&target, results, at, last.as_ref()));
    }
    let mut state = State::new();
    state.add("web", &expected, vec![(target, Vec::new())]);
    state.results.push(Arc::new(last.unwrap()));
    let view = state.view();
    let page = get(&view, "/", "");
    let bar = |part: &str| between(part, "<title>", "</title>").to_owned();
    let changed = "Last 24 hours, 48 half hours: 1 critical, 13 ok, 34 without a complete result";
    assert_eq!(
        bar(between(&page, "id=\"certificates\"", "</section>")),
        changed
    );
    let addresses = between(&page, "id=\"addresses\"", "</table>");
    let bars: Vec<&str> = addresses.split("<title>").skip(1).collect();
    assert!(bars[0].starts_with(changed), "{bars:?}");
    assert!(
        bars[1].starts_with("Last 24 hours, 48 half hours: 14 ok, 34 without"),
        "{bars:?}"
    );
    for endpoint in view.endpoints() {
        assert!(get(&view, endpoint.address().as_str(), "").contains("<svg class=\"recent\""));
    }
    // The script may not be needed, and the style sheet is external.
    assert!(!page.contains("style="));
}
