//! Tests of the page of an endpoint.

use super::*;

#[test]
fn a_result_older_than_two_intervals_is_shown_as_stale_and_not_as_ok() {
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let target = target("web", 1);
    let judged = result(&target, 1, Vantage::LOCAL, serving(leaf), &expected);
    let mut state = State::new();
    state.add("web", &expected, vec![(target, vec![judged])]);
    let mut view = state.view();
    let path = view.endpoints()[0].address().as_str().to_owned();
    let interval = i64::try_from(view.monitor.interval.as_secs()).unwrap();
    view.now = Timestamp(NOW.0 + 2 * interval);
    assert_eq!(view.endpoints()[0].severity, Severity::Ok);
    assert!(!get(&view, "/", "").contains("stale, of"));

    view.now = Timestamp(NOW.0 + 2 * interval + 1);
    assert_eq!(view.endpoints()[0].severity, Severity::Unknown);
    let page = get(&view, "/", "");
    assert!(
        page.contains("The results of 1 address are stale"),
        "{page}"
    );
    assert!(page.contains("stale, of 10 minutes ago"), "{page}");
    assert!(!page.contains("headline ok"), "{page}");
    let page = get(&view, &path, "");
    assert!(
        page.contains("older than two intervals of 5 minutes"),
        "{page}"
    );
}

#[test]
fn status_page_shows_since_when_a_vantage_is_down() {
    let mut view = State::new().view();
    let status = |is_up: bool| VantageStatus {
        vantage: Vantage::named("eu-west"),
        is_up: Some(is_up),
        failing_since: (!is_up).then_some(Timestamp(NOW.0 - 2 * HOUR)),
        oldest_due: None,
    };
    view.monitor.vantages = Arc::new([status(false)]);
    let page = get(&view, "/", "");
    assert!(page.contains("The vantage eu-west is down"), "{page}");
    assert!(page.contains("2 hours ago"), "{page}");
    view.monitor.vantages = Arc::new([status(true)]);
    assert!(!get(&view, "/", "").contains("eu-west is down"));
}

#[test]
fn differences_from_the_expected_certificate_are_marked() {
    let leaves = leaves(2);
    let expected = expecting(&leaves[0], &[]);
    let target = target("web", 1);
    let result = result(&target, 1, "local", serving(&leaves[1]), &expected);
    let mut state = State::new();
    state.add("web", &expected, vec![(target, vec![result])]);
    let view = state.view();
    let address = view.endpoints()[0].address();
    let page = get(&view, address.as_str(), "");
    let (_, table) = page.split_once("id=\"difference\"").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    let rows: BTreeMap<&str, bool> = table
        .split("<tr ")
        .skip(2)
        .map(|row| {
            let (_, rest) = row.split_once("data-label=\"Part\">").unwrap();
            (rest.split_once('<').unwrap().0, row.contains("≠ differs"))
        })
        .collect();
    assert!(
        rows["Fingerprint"] && rows["Serial number"] && rows["Public key"],
        "{rows:?}"
    );
    assert!(!rows["Issuer"] && !rows["Names"], "{rows:?}");
    for leaf in &leaves {
        assert!(table.contains(&leaf.sha256().to_string()));
    }
    assert!(page.contains("not the expected certificate"));
}

#[test]
fn endpoint_page_shows_which_clients_accept_each_address() {
    let leaf = &leaves(1)[0];
    let expected = expecting(leaf, &[]);
    let target = target("web", 1);
    let results = [1, 2].map(|ip| result(&target, ip, "local", serving(leaf), &expected));
    let mut state = State::new();
    state.add("web", &expected, vec![(target, results.into())]);
    let view = state.view();
    let address = view.endpoints()[1].address();
    let page = get(&view, address.as_str(), "");
    let table = between(&page, "id=\"clients\"", "</table>");
    // The address of the page is first.
    let place = |words: &str| {
        table
            .find(words)
            .unwrap_or_else(|| panic!("{words}: {table}"))
    };
    assert!(place("192.0.2.2:443</th>") < place("192.0.2.1:443</th>"));
    assert_eq!(
        row_heads(table),
        Client::ALL.map(|client| client.name().to_owned())
    );
    // No client has a root for this leaf.
    let refusals = view.endpoints()[0].results[0]
        .judged
        .clients
        .as_ref()
        .unwrap()
        .refusals()
        .count();
    assert!(refusals > 0);
    assert_eq!(
        table.matches(" refuses</span>").count(),
        2 * refusals,
        "{table}"
    );
    assert_eq!(
        table.matches("<span class=\"reason\">").count(),
        2 * refusals
    );
}
