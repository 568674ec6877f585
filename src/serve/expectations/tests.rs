use super::kept::MAX_PREVIOUS;
use super::*;
use crate::certificate::{Certificate, Fingerprint, PublicKeyHash};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::judge::Grace;
use crate::serve::plan::{Plan, plan_all};
use crate::source::SourceError;
use crate::testbed::authority::{Authority, Key, Validity};

const NOW: Timestamp = Timestamp(1_795_000_000);
const TIMES: Times = Times {
    grace: Duration::from_secs(1800),
    refresh: Duration::from_secs(900),
};

fn later(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds)
}

fn leaf() -> Certificate {
    let root = Authority::root("Root", Validity::around(NOW, 100, 1000)).unwrap();
    let names = ["a.example".to_owned()];
    let validity = Validity::around(NOW, 1, 89);
    let issued = root.issue(&names, validity, &Key::generate().unwrap());
    issued.unwrap().certificate
}

fn loaded(name: &str, leaf: &Certificate) -> Loaded {
    let instance = Instance::from_chain(vec![leaf.clone()]).unwrap();
    Loaded {
        name: name.into(),
        common_name: Some(name.into()),
        expected: Arc::new(Expected {
            source: SourceKind::Sslmate,
            what: Expectation::Instances(Box::new(Instances::only(instance))),
        }),
        hostnames: vec![name.parse().unwrap()],
        found: Vec::new(),
        awaited: None,
    }
}

fn failed(name: &str) -> Failed {
    Failed {
        name: name.into(),
        hostnames: Vec::new(),
        found: Vec::new(),
        error: Arc::new(FetchError::Certificate {
            name: name.into(),
            error: SourceError::Unusable("away".into()),
        }),
        may_pass: true,
        is_gone: false,
    }
}

fn watch(source: SourceSettings) -> Watch {
    Watch::new(Entry::new(source))
}

fn previous(watch: &Watch) -> Vec<Certificate> {
    let instances = watch.kept[0].loaded.expected.instances().unwrap();
    instances.previous.iter().map(|i| i.leaf.clone()).collect()
}

/// Target, and its expectation.
type Expecting = (Arc<Target>, Result<Kept, Arc<FetchError>>);

/// Returns the targets to probe, each with its expectation.
fn expectations(watch: &Watch) -> Vec<Expecting> {
    let key: Arc<str> = "one".into();
    let watches = BTreeMap::from([(key.clone(), Arc::new(watch.clone()))]);
    let plan = plan_all(&watches, &[key], &Plan::default()).plan;
    let targets = plan.targets.into_iter();
    targets
        .map(|(target, planned)| (target, planned.expectation))
        .collect()
}

fn rules(watch: &Watch, now: Timestamp) -> Rules {
    let options = ProbeOptions {
        timeout: Duration::from_secs(1),
        trust: Arc::default(),
        reaches: Arc::default(),
        own_trust: Arc::default(),
    };
    let (target, expectation) = expectations(watch).remove(0);
    watch
        .job(vec![target], &expectation, &TIMES, &options, now)
        .rules
}

#[test]
fn source_failure_is_dated_from_its_first_failed_attempt() {
    let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
    let since = |watch: &Watch| watch.failure.as_ref().map(|failure| failure.since);
    watch.absorb(vec![Ok(loaded("a.example", &leaf()))], NOW);
    assert_eq!(since(&watch), None);
    watch.absorb(vec![Err(failed("a.example"))], later(60));
    watch.absorb(vec![Err(failed("a.example"))], later(120));
    assert_eq!(since(&watch), Some(later(60)));
    assert_eq!(watch.failure.as_ref().unwrap().error, "a.example: away");
    watch.absorb(vec![Ok(loaded("a.example", &leaf()))], later(180));
    assert_eq!(since(&watch), None);
}

#[test]
fn new_instance_makes_the_former_a_previous_instance_with_grace() {
    let (first, second) = (leaf(), leaf());
    let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
    let news = watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
    assert_eq!(news, News::default());
    assert_eq!(rules(&watch, NOW).grace, None);

    let news = watch.absorb(vec![Ok(loaded("a.example", &second))], later(10));
    assert_eq!(news.changed.len(), 1);
    assert!(news.changed[0].starts_with("a.example: another instance is expected now"));
    assert_eq!(previous(&watch), std::slice::from_ref(&first));
    let grace = Grace {
        before: first.sha256(),
        until: later(10 + 1800),
    };
    assert_eq!(rules(&watch, later(10)).grace, Some(grace));

    // The same instance again changes nothing. After a rollback, the other instance is the previous
    // one.
    watch.absorb(vec![Ok(loaded("a.example", &second))], later(20));
    assert_eq!(rules(&watch, later(20)).grace, Some(grace));
    watch.absorb(vec![Ok(loaded("a.example", &first))], later(30));
    assert_eq!(previous(&watch), [second]);
}

#[test]
fn clock_jump_extends_neither_grace_nor_the_staleness_limit() {
    const DAY: i64 = 86_400;
    let (first, second) = (leaf(), leaf());
    let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
    watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
    watch.absorb(vec![Ok(loaded("a.example", &second))], NOW);
    // Set back by a day: the rest of the grace period starts now, and does not become longer.
    let back = later(-DAY);
    let news = watch.absorb(vec![Ok(loaded("a.example", &second))], back);
    assert_eq!(news, News::default());
    let until = |watch: &Watch, now| rules(watch, now).grace.unwrap().until.0 - now.0;
    assert_eq!(until(&watch, back), 1800 - 1);
    watch.absorb(vec![Ok(loaded("a.example", &second))], later(-DAY + 900));
    assert_eq!(until(&watch, later(-DAY + 900)), 900 - 1);

    // A source that has failed since then becomes stale after the usual time.
    let mut watch = self::watch(SourceSettings::Sslmate("a.example".into()));
    watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
    watch.absorb(vec![Err(failed("a.example"))], back);
    let after = later(-DAY + 1801);
    watch.absorb(vec![Err(failed("a.example"))], after);
    assert_eq!(rules(&watch, after).stale_since, Some(back));
    // Set forward by a day: the source is stale at once, because a jump of the clock cannot be
    // distinguished from a long failure.
    let mut watch = self::watch(SourceSettings::Sslmate("a.example".into()));
    watch.absorb(vec![Ok(loaded("a.example", &first))], NOW);
    watch.absorb(vec![Err(failed("a.example"))], later(DAY));
    assert_eq!(rules(&watch, later(DAY)).stale_since, Some(NOW));
    watch.absorb(vec![Ok(loaded("a.example", &first))], later(DAY));
    assert_eq!(rules(&watch, later(DAY)).stale_since, None);
}

#[test]
fn unchanged_source_result_is_shared_and_refreshes_its_age() {
    let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
    let said = loaded("a.example", &leaf());
    watch.absorb(vec![Ok(loaded("a.example", &leaf()))], NOW);
    watch.absorb(vec![Ok(said.clone())], later(10));
    let before = watch.kept[0].loaded.clone();
    watch.absorb(vec![Ok(said.clone())], later(20));
    assert!(Arc::ptr_eq(&before, &watch.kept[0].loaded));
    assert_eq!(watch.kept[0].fetched, later(20));
    assert_eq!(watch.kept[0].changed, Some(later(10)));
    let others = [
        Loaded {
            hostnames: vec!["b.example".parse().unwrap()],
            ..said.clone()
        },
        Loaded {
            awaited: Some(7),
            ..said.clone()
        },
        Loaded {
            common_name: None,
            ..said
        },
    ];
    for other in others {
        watch.absorb(vec![Ok(other.clone())], later(30));
        let kept = &watch.kept[0].loaded;
        assert_eq!(kept.hostnames, other.hostnames);
        assert_eq!(kept.awaited, other.awaited);
        assert_eq!(kept.common_name, other.common_name);
    }
}

#[test]
fn number_of_remembered_previous_instances_is_bounded() {
    let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
    let leaves: Vec<Certificate> = (0..MAX_PREVIOUS + 3).map(|_| leaf()).collect();
    for leaf in &leaves {
        watch.absorb(vec![Ok(loaded("a.example", leaf))], NOW);
    }
    assert_eq!(previous(&watch), leaves[2..MAX_PREVIOUS + 2]);
}

#[test]
fn last_source_result_stays_during_failures_and_becomes_stale() {
    let mut watch = watch(SourceSettings::Sslmate("a.example".into()));
    let news = watch.absorb(vec![Err(failed("a.example"))], NOW);
    assert_eq!(news.errors, ["a.example: away"]);
    assert_eq!((watch.kept.len(), watch.failures.len()), (0, 1));
    assert!(expectations(&watch)[0].1.is_err());

    watch.absorb(vec![Ok(loaded("a.example", &leaf()))], NOW);
    assert_eq!((watch.kept.len(), watch.failures.len()), (1, 0));
    watch.absorb(vec![Err(failed("a.example"))], later(900));
    assert_eq!((watch.kept.len(), watch.failures.len()), (1, 0));
    assert_eq!(watch.up, Some(false));
    assert_eq!(watch.refresh_after(TIMES.refresh), Some(RETRY));
    assert_eq!(rules(&watch, later(1800)).stale_since, None);
    assert_eq!(rules(&watch, later(1801)).stale_since, Some(NOW));
    watch.absorb(vec![Ok(loaded("a.example", &leaf()))], later(1900));
    assert_eq!(rules(&watch, later(9000)).stale_since, None);
}

#[test]
fn failed_account_list_keeps_certificates_and_shorter_list_drops_them() {
    let mut watch = watch(SourceSettings::SslmateAll);
    let both = || {
        vec![
            Ok(loaded("a.example", &leaf())),
            Ok(loaded("b.example", &leaf())),
        ]
    };
    watch.absorb(both(), NOW);
    watch.absorb(vec![Err(failed("sslmate: *"))], NOW);
    assert_eq!((watch.kept.len(), watch.failures.len()), (2, 0));
    // One of them fails: its last result is kept.
    let one = vec![Ok(loaded("a.example", &leaf())), Err(failed("b.example"))];
    watch.absorb(one, NOW);
    assert_eq!((watch.kept.len(), watch.failures.len()), (2, 0));
    watch.absorb(vec![Ok(loaded("b.example", &leaf()))], NOW);
    assert_eq!(expectations(&watch).len(), 1);
}

#[test]
fn single_certificate_of_an_account_is_updated_alone() {
    let mut watch = watch(SourceSettings::SslmateAll);
    let (old, new) = (leaf(), leaf());
    watch.absorb(
        vec![Ok(loaded("a.example", &old)), Err(failed("b.example"))],
        NOW,
    );
    assert_eq!(watch.up, Some(false));
    let alone: Vec<&String> = watch.failing_alone().iter().collect();
    assert_eq!(alone, ["b.example"]);
    let request = watch.request(&"account".into(), "b.example");
    assert_eq!(request.only.as_deref(), Some("b.example"));
    // The account as a whole keeps its own interval.
    assert_eq!(watch.refresh_after(TIMES.refresh), Some(TIMES.refresh));

    let news = watch.absorb_one(Ok(loaded("a.example", &new)), later(10));
    assert_eq!(news.changed.len(), 1);
    assert_eq!(previous(&watch), std::slice::from_ref(&old));
    assert_eq!((watch.up, watch.failures.len()), (Some(false), 1));
    let news = watch.absorb_one(Err(failed("a.example")), later(20));
    assert_eq!(news.errors, ["a.example: away"]);
    assert_eq!(watch.kept[0].fetched, later(10));
    let news = watch.absorb_one(Ok(loaded("b.example", &old)), later(30));
    assert_eq!(news, News::default());
    assert_eq!((watch.up, watch.kept.len()), (Some(true), 2));
    assert!(watch.failures.is_empty() && watch.failure.is_none());
}

#[test]
fn many_failing_certificates_are_retried_with_the_whole_account() {
    let mut watch = watch(SourceSettings::SslmateAll);
    let many = (0..=MAX_ALONE).map(|n| Err(failed(&format!("h{n}.example"))));
    for answers in [many.collect(), vec![Err(failed("sslmate: *"))]] {
        watch.absorb(answers, NOW);
        assert!(watch.failing_alone().is_empty());
        assert_eq!(watch.refresh_after(TIMES.refresh), Some(RETRY));
    }
}

#[test]
fn individually_fetched_certificate_overrides_a_full_refresh_in_flight() {
    let mut watch = watch(SourceSettings::SslmateAll);
    let (old, new) = (leaf(), leaf());
    let everything = || vec![Ok(loaded("a.example", &old)), Err(failed("b.example"))];
    watch.absorb(everything(), NOW);
    for name in ["a.example", "b.example", "c.example"] {
        watch.absorb_one(Ok(loaded(name, &new)), later(10));
    }
    let newer = ["a.example", "b.example", "c.example"].map(String::from);
    let answers = watch.with_newer(everything(), &newer.into());
    watch.absorb(answers, later(20));
    let leaves: Vec<_> = watch
        .kept
        .iter()
        .map(|kept| {
            let instances = kept.loaded.expected.instances().unwrap();
            instances.expected.leaf.clone()
        })
        .collect();
    assert_eq!(leaves, [new.clone(), new.clone(), new]);
    assert_eq!(previous(&watch), [old]);
    assert_eq!(watch.up, Some(true));
}

/// The strings and their order in a key never change: they are read from older databases too.
#[test]
fn entry_keys_match_those_in_databases() {
    let mut entries = Vec::new();
    let mut add = |source, name: &str, mx: &[&str], hosts: &[&str]| {
        let mut entry = Entry::new(source);
        entry.name = Some(name.to_owned()).filter(|name| !name.is_empty());
        entry.mx = mx.iter().map(|host| host.parse().unwrap()).collect();
        entry.hostnames = hosts.iter().map(|host| host.parse().unwrap()).collect();
        entries.push(entry);
    };
    let hosts = ["a.example", "192.0.2.1", "2001:db8::1"];
    let sslmate = |cn: &str| SourceSettings::Sslmate(cn.into());
    let download = |path: &str| {
        let url = format!("https://sslmate.example/x/{path}");
        SourceSettings::Download(url.parse().unwrap())
    };
    add(sslmate("a.example"), "", &[], &[]);
    let mx = ["example.com", "example.org"];
    add(sslmate("b.example"), "front  door", &mx, &[]);
    add(SourceSettings::SslmateAll, "", &[], &[]);
    add(SourceSettings::SslmateAll, "", &[], &[]);
    add(download("y"), "web", &[], &[]);
    add(download("z"), "", &[], &[]);
    let files = ["/etc/ssl/a \"b\", 'c'\\d.pem", "/etc/ssl/ü\u{200b}.pem"];
    let files = files.map(Into::into).into();
    add(SourceSettings::Pem(files), "web [1]", &[], &[]);
    let files = vec!["/etc/ssl/a.pem".into()];
    add(SourceSettings::Pem(files), "", &mx[..1], &[]);
    let pattern = "/etc/ssl/*/full chain.pem".into();
    add(SourceSettings::PemGlob(pattern), "", &[], &[]);
    let pins = [Fingerprint::of(b"1"), Fingerprint::of(b"2")].into();
    add(SourceSettings::Fingerprints(pins), "pinned", &[], &hosts);
    let pins = [PublicKeyHash::of(b"1")].into();
    add(SourceSettings::PublicKeys(pins), "", &[], &hosts[..1]);
    add(SourceSettings::TrustOnly, "", &[], &hosts);
    add(SourceSettings::TrustOnly, "", &[], &hosts);
    add(SourceSettings::TrustOnly, "mail", &mx[..1], &[]);
    let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
    let keyed = super::super::state::keyed(&entries);
    let keys: Vec<&str> = keyed.iter().map(|(key, _)| &**key).collect();
    let wanted = include_str!("../../store/tests/schema-1-keys.txt");
    assert_eq!(keys, wanted.lines().collect::<Vec<_>>());
}
