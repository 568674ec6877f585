//! Tests of the problems: how they are grouped and ordered, and since when they exist.

use super::*;

#[test]
fn fault_at_many_addresses_is_shown_once() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[0], &[]);
    let target = target("web", 1);
    let mut results: Vec<Judged> = (1..=6)
        .map(|ip| result(&target, ip, "local", serving(&leaves[1]), &expected))
        .collect();
    results.push(result(&target, 7, "local", serving(&leaves[0]), &expected));
    // The result of another vantage is the same, and does not count as another address.
    results.push(result(
        &target,
        1,
        "sslmate",
        serving(&leaves[1]),
        &expected,
    ));
    let mut state = State::new();
    state.add("web", &expected, vec![(target, results)]);
    let view = state.view();
    let page = get(&view, "/", "");
    assert!(page.contains("<h1 id=\"headline\">6 of 7 addresses are critical</h1>"));
    assert_eq!(page.matches("class=\"fault critical\"").count(), 1);
    assert!(page.contains(", 6 addresses</span>"));
    assert!(page.contains("192.0.2.1:443</a>, from here and sslmate"));
    assert!(page.contains("Fix:"));
    assert!(page.contains("href=\"/docs/findings/wrong_certificate\""));
    // Faults precede everything else.
    let place = |words: &str| page.find(words).unwrap();
    assert!(place("id=\"wrong\"") < place("id=\"certificates\""));
    assert!(place("id=\"certificates\"") < place("id=\"addresses\""));
}

/// Returns the result of an address that serves this leaf, with the finding of this code only.
fn found(target: &Target, leaf: &Certificate, expected: &Arc<Expected>, code: Code) -> Judged {
    let observation = result(target, 1, "local", serving(leaf), expected).observation;
    let (trust, rules) = (TrustStore::default(), Rules::default());
    let mut judged = judge(Some(expected), observation, &trust, &rules, NOW);
    judged.findings.retain(|finding| finding.code() == code);
    assert_eq!(judged.findings.len(), 1, "{code}");
    judged
}

/// Returns a leaf that expired two days ago.
fn expired() -> Certificate {
    let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
    let names = ["www.example.com".to_owned()];
    let validity = Validity::around(NOW, 90, -2);
    let issued = root.issue(&names, validity, &Key::generate().unwrap());
    issued.unwrap().certificate
}

#[test]
fn problems_are_rows_with_what_clients_suffer_first() {
    let leaves = leaves(2);
    let mut state = State::new();
    for (number, code) in [
        (1, Code::WrongCertificate),
        (2, Code::Expired),
        (3, Code::HostnameMismatch),
    ] {
        let leaf = if code == Code::Expired {
            expired()
        } else {
            leaves[0].clone()
        };
        let wanted = if code == Code::WrongCertificate {
            &leaves[1]
        } else {
            &leaf
        };
        let expected = expecting(wanted, &[]);
        let name = format!("c{number}");
        let target = target(&name, number);
        let judged = found(&target, &leaf, &expected, code);
        state.add(&name, &expected, vec![(target, vec![judged])]);
    }
    let view = state.view();
    let hosts = |query: &str| {
        let page = get(&view, "/", query);
        let heads = row_heads(between(&page, "id=\"wrong\"", "</section>"));
        let hosts = heads.iter().map(|head| head[..2].to_owned());
        hosts.collect::<Vec<_>>()
    };
    assert_eq!(hosts(""), ["h2", "h3", "h1"]);
    assert_eq!(hosts("problems_sort=-host"), ["h3", "h2", "h1"]);
    let page = get(&view, "/", "");
    for column in ["State", "Host", "Problem", "Since", "Expires", "Fix"] {
        let heads = between(&page, "id=\"wrong\"", "</thead>");
        assert!(heads.contains(column), "{column}");
    }
}

#[test]
fn expired_certificate_is_a_problem_since_its_expiry() {
    let leaf = expired();
    let expected = expecting(&leaf, &[]);
    let target = target("web", 1);
    let since = |code| {
        let judged = || vec![found(&target, &leaf, &expected, code)];
        let week_ago = Timestamp(NOW.0 - 7 * 24 * HOUR);
        let before = TargetResults::probed(&target, judged(), week_ago, None);
        let now = TargetResults::probed(&target, judged(), NOW, Some(&before));
        let mut state = State::new();
        state.add("web", &expected, vec![(target.clone(), Vec::new())]);
        state.results.push(Arc::new(now));
        let page = get(&state.view(), "/", "");
        let row = between(&page, "class=\"fault critical\"", "</tr>").to_owned();
        between(&row, "data-label=\"Since\"", "</td>").to_owned()
    };
    let expired = since(Code::Expired);
    assert!(expired.contains(">2 days ago<"), "{expired}");
    // The first probe already found it.
    let other = since(Code::HostnameMismatch);
    assert!(other.contains(">at least 7 days ago<"), "{other}");
}

#[test]
fn finding_is_a_problem_since_the_probe_that_first_saw_it() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[1], &[]);
    let target = target("web", 1);
    let (wrong, misnamed) = (Code::WrongCertificate, Code::HostnameMismatch);
    let mut last: Option<TargetResults> = None;
    let mut probe = |minutes_ago: i64, codes: &[Code]| {
        let mut judged = result(&target, 1, "local", serving(&leaves[0]), &expected);
        judged.findings.clear();
        for code in codes {
            let one = found(&target, &leaves[0], &expected, *code);
            judged.findings.extend(one.findings);
        }
        let at = Timestamp(NOW.0 - 60 * minutes_ago);
        let now = TargetResults::probed(&target, vec![judged], at, last.as_ref());
        last = Some(now.clone());
        let mut state = State::new();
        state.add("web", &expected, vec![(target.clone(), Vec::new())]);
        state.results.push(Arc::new(now));
        let view = state.view();
        let page = get(&view, "/", "");
        let address = view.endpoints()[0].address();
        let endpoint = get(&view, address.as_str(), "");
        let found = codes.iter().map(|code| {
            let rows = page.split("class=\"fault critical\"").skip(1);
            let mut rows = rows.filter(|row| row.contains(&format!("/findings/{code}")));
            let since = between(rows.next().unwrap(), "data-label=\"Since\"", "</td>");
            let since = between(since, "class=\"relative\">", "<").to_owned();
            let items = endpoint.split("<li class=\"fault").skip(1);
            let mut items = items.filter(|item| item.contains(&format!("/findings/{code}")));
            let item = items.next().unwrap();
            assert!(item.contains(&format!("({})", since.trim_start_matches("at least "))));
            let is_first = since.starts_with("at least");
            assert_eq!(item.contains(">At least since "), is_first, "{item}");
            assert_eq!(item.contains(">Since "), !is_first, "{item}");
            since
        });
        let found = found.collect::<Vec<String>>();
        assert!(endpoint.contains("<dt>This certificate at least since</dt>"));
        found
    };
    assert_eq!(probe(30, &[wrong]), ["at least 30 minutes ago"]);
    assert!(probe(20, &[]).is_empty());
    assert_eq!(probe(18, &[wrong]), ["18 minutes ago"]);
    let both = ["18 minutes ago", "12 minutes ago"];
    assert_eq!(probe(12, &[wrong, misnamed]), both);
    assert_eq!(probe(8, &[misnamed]), ["12 minutes ago"]);
    let again = ["4 minutes ago", "12 minutes ago"];
    assert_eq!(probe(4, &[wrong, misnamed]), again);
    assert_eq!(probe(0, &[wrong, misnamed]), again);
}
