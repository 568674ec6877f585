//! Tests of the page of a certificate.

use super::*;

#[test]
fn rollout_lists_updated_and_outdated_addresses() {
    let leaves = leaves(3);
    let expected = expecting(&leaves[1], &leaves[..1]);
    let target = target("web", 1);
    let serve = |which: [usize; 4]| {
        let results = (1..)
            .zip(which)
            .map(|(ip, which)| result(&target, ip, "local", serving(&leaves[which]), &expected));
        results.collect::<Vec<Judged>>()
    };
    let long_ago = Timestamp(NOW.0 - 2 * HOUR);
    let before = TargetResults::probed(&target, serve([0, 0, 0, 2]), long_ago, None);
    let after = TargetResults::probed(
        &target,
        serve([1, 1, 0, 2]),
        Timestamp(NOW.0 - HOUR),
        Some(&before),
    );
    let now = TargetResults::probed(&target, serve([1, 1, 0, 2]), NOW, Some(&after));
    let mut state = State::new();
    let watch = state.add("web", &expected, vec![(target.clone(), Vec::new())]);
    watch.kept[0].changed = Some(Timestamp(NOW.0 - 3 * HOUR));
    state.results.push(Arc::new(now));
    let view = state.view();
    let page = get(&view, "/certificates/web", "");
    assert!(page.contains("<strong>2 of 4 addresses</strong> serve the new instance"));
    assert!(page.contains("<progress value=\"2\" max=\"4\""));
    let (_, rollout) = page.split_once("id=\"rollout\"").unwrap();
    let side = |heading: &str| {
        let (_, rest) = rollout.split_once(heading).unwrap();
        rest.split_once("</ul>").unwrap().0.to_owned()
    };
    let old = side("Previous instance: 1");
    assert!(
        old.contains("192.0.2.3:443") && old.contains("at least since"),
        "{old}"
    );
    let switched = Timestamp(NOW.0 - HOUR).to_string();
    let new = side("New instance: 2");
    assert!(
        new.contains("192.0.2.1:443") && new.contains(&switched),
        "{new}"
    );
    assert!(!new.contains("at least"), "{new}");
    assert!(side("Other certificate or no result: 1").contains("192.0.2.4:443"));
    assert!(
        get(&view, "/", "").contains("2 of 4 ok; 2 of 4 addresses serve the new certificate</div>")
    );
}

#[test]
fn history_says_of_each_change_whether_it_is_a_renewal() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut state = State::new();
    let validity = Validity::around(NOW, 100, 1000);
    let root = Authority::root("Root", validity).unwrap();
    let issue = |name: &str| {
        let issued = root.issue(&[name.into()], validity, &Key::generate().unwrap());
        issued.unwrap().certificate
    };
    let served = ["www.example.com", "www.example.com", "other.example.com"].map(issue);
    let expected = expecting(&served[0], &[]);
    let target = target("web", 1);
    for (hour, leaf) in (0..).zip(&served) {
        let result = result(&target, 1, "local", serving(leaf), &expected);
        let at = Timestamp(NOW.0 - (9 - hour) * HOUR);
        store.note(std::slice::from_ref(&result), at).unwrap();
    }
    let last = result(&target, 1, "local", serving(&served[2]), &expected);
    state.add("web", &expected, vec![(target, vec![last])]);
    let mut view = state.view();
    view.state = Some(folder.path().to_owned());
    let page = get(&view, "/certificates/web", "");
    assert_eq!(page.matches(" renewal<").count(), 1, "{page}");
    let lost = " material change: it is no longer valid for `www.example.com`";
    assert_eq!(page.matches(lost).count(), 1, "{page}");
}
