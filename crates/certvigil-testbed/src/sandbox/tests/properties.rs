//! Any sequence of requests leaves a consistent account, and storing it loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;

use super::{NOW, P256, SECOND};
use crate::model::Timestamp;
use crate::sandbox::account::{
    Account, ApiError, Body, Context, Issuing, IssuingError, Method, Order, Policy, Request,
    Signed, State, parse,
};
use crate::sandbox::store::Store;

const CNS: [&str; 3] = ["www.example.com", "*.example.com", "new.example.com"];
const WILDCARD: &str = include_str!("../testdata/wildcard.csr");

/// Signer that makes up its certificates. It fails for some common names.
#[derive(Default)]
struct Fake(u64, &'static [&'static str]);

impl Fake {
    fn sign(&mut self, order: &Order<'_>, is_temporary: bool) -> Signed {
        self.0 += 1;
        let number = self.0.to_string();
        Signed {
            is_temporary,
            crt: format!("certificate {number}"),
            chain: Vec::new(),
            root: "root".into(),
            sha1: number.clone(),
            sha256: number.clone(),
            serial: number,
            not_before: order.not_before.0,
            not_after: order.not_after.0,
        }
    }
}

impl Issuing for Fake {
    fn issue(&mut self, order: &Order<'_>) -> Result<Signed, IssuingError> {
        if self.1.contains(&order.names[0].as_str()) {
            return Err(IssuingError("no signature".into()));
        }
        Ok(self.sign(order, false))
    }

    fn temporary(&mut self, order: &Order<'_>) -> Result<Signed, IssuingError> {
        Ok(self.sign(order, true))
    }

    fn token(&mut self) -> String {
        self.0 += 1;
        format!("token {}", self.0)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Request(Request),
    Approve(usize),
    Reject(usize),
    Pass(i64),
    Restart,
}

fn csr(number: usize) -> &'static str {
    [P256, SECOND, WILDCARD, "no CSR"][number]
}

fn value(name: &str) -> BoxedStrategy<Value> {
    let text =
        |all: &'static [&'static str]| proptest::sample::select(all).prop_map(Value::from).boxed();
    match name {
        "csr" => (0..4usize).prop_map(|n| Value::from(csr(n))).boxed(),
        "approval_method" => text(&["email", "http", "dns", "fax"]),
        "approver_email" => text(&["admin@example.com", "nobody"]),
        "type" => text(&["dv", "ev", "xv"]),
        "auto_renew" | "muted" | "all" => prop_oneof![
            any::<bool>().prop_map(Value::from),
            text(&["true", "1", "maybe"])
        ]
        .boxed(),
        "sans" => text(&[
            "null",
            "[]",
            "[{\"type\":\"dns\",\"value\":\"a.example.com\",\"approval_method\":\"dns\"}]",
            "[{\"type\":\"dns\",\"value\":\"www.example.com\",\"approval_method\":\"dns\"}]",
            "{}",
        ]),
        "tags" => text(&["[]", "[\"a\",\"b\"]", "[1]"]),
        "days" => text(&["1", "730", "0", "x"]),
        _ => text(&[
            "1",
            "0",
            "2",
            "current",
            "crt",
            "csr",
            "pending.crt",
            "dns_approval.status",
        ]),
    }
}

fn request() -> impl Strategy<Value = Request> {
    let names = proptest::sample::select(
        &[
            "csr",
            "approval_method",
            "approver_email",
            "type",
            "auto_renew",
            "muted",
            "sans",
            "tags",
            "tags.x",
            "all",
            "days",
            "unknown",
        ][..],
    );
    let argument = names.prop_flat_map(|name| (Just(name.to_owned()), value(name)));
    let path = proptest::sample::select(
        &[
            "",
            "",
            "",
            "",
            "/buy",
            "/buy",
            "/buy",
            "/reissue",
            "/reissue",
            "/redo_approval",
            "/revoke",
            "/revoke",
            "/test",
            "/instances/1",
            "/instances/7",
            "/instances/x",
            "/instances/pubkey_hash:00",
            "/x",
        ][..],
    );
    let expand = proptest::sample::select(&["csr", "crt", "current.crt", "pending", "x"][..]);
    (
        0..CNS.len(),
        path,
        any::<bool>(),
        proptest::collection::vec(argument, 0..4),
        any::<bool>(),
        proptest::option::weighted(0.2, expand),
        any::<bool>(),
    )
        .prop_map(
            |(cn, path, is_post, mut arguments, is_json, expand, is_complete)| {
                if is_complete && path.is_empty() {
                    // Most creations have what they need.
                    let csr = csr(if cn == 1 { 2 } else { 0 });
                    arguments.retain(|(name, _)| name != "csr" && name != "approval_method");
                    arguments.push(("csr".into(), Value::from(csr)));
                    arguments.push(("approval_method".into(), Value::from("http")));
                }
                if !path.is_empty() && is_complete {
                    arguments.clear();
                }
                let path = format!("certs/{}{path}", CNS[cn]);
                let text = |value: &Value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                Request {
                    method: if is_post { Method::Post } else { Method::Get },
                    path: path.split('/').map(str::to_owned).collect(),
                    query: expand
                        .into_iter()
                        .map(|e| ("expand".into(), e.into()))
                        .collect(),
                    body: match is_json {
                        true => Body::Json(arguments.into_iter().collect()),
                        false => Body::Form(
                            arguments
                                .iter()
                                .map(|(name, value)| (name.clone(), text(value)))
                                .collect(),
                        ),
                    },
                }
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => request().prop_map(Step::Request),
        3 => (0..CNS.len()).prop_map(Step::Approve),
        1 => (0..CNS.len()).prop_map(Step::Reject),
        2 => prop_oneof![9 => 0..20i64, 1 => 0..400 * 86_400i64].prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

struct Model {
    account: Account,
    store: Store,
    folder: tempfile::TempDir,
    issuing: Fake,
    now: i64,
    /// Instances that were ever created: common name and ID.
    known: BTreeSet<(String, u64)>,
    /// Certificate of each issued instance, which never changes.
    issued: BTreeMap<u64, String>,
    /// States of instances so far.
    states: BTreeSet<&'static str>,
}

impl Model {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            account: Account::default(),
            store: Store::open(Some(folder.path())).unwrap(),
            folder,
            issuing: Fake::default(),
            now: NOW,
            known: BTreeSet::new(),
            issued: BTreeMap::new(),
            states: BTreeSet::new(),
        }
    }

    fn make<T>(
        &mut self,
        change: impl FnOnce(&mut Account, &mut Context<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        static POLICY: OnceLock<Policy> = OnceLock::new();
        let policy = POLICY.get_or_init(|| Policy {
            approval_delay: Some(10),
            webhooks: vec!["http://127.0.0.1:9/".into()],
            ..Policy::new("http://sandbox.example".into())
        });
        let mut next = self.account.clone();
        let result = change(
            &mut next,
            &mut Context {
                policy,
                now: Timestamp(self.now),
                issuing: &mut self.issuing,
            },
        );
        if result.is_ok() {
            self.store.save(&self.account, &next).unwrap();
            self.account = next;
        }
        result
    }

    fn restart(&mut self) {
        let other = Store::open(None).unwrap();
        drop(std::mem::replace(&mut self.store, other));
        self.store = Store::open(Some(self.folder.path())).unwrap();
        assert_eq!(self.store.account().unwrap(), self.account);
    }

    fn run(&mut self, step: &Step) {
        let failures = self.make(|account, context| Ok(account.advance(context)));
        assert_eq!(failures.unwrap(), []);
        let result = match step {
            Step::Request(request) => parse(request).and_then(|parsed| {
                self.make(|account, context| account.answer(&parsed, context))
                    .map(|_| ())
            }),
            Step::Approve(cn) => self
                .make(|account, context| account.approve(CNS[*cn], context))
                .map(|_| ()),
            Step::Reject(cn) => self.make(|account, _| account.reject(CNS[*cn])).map(|_| ()),
            Step::Pass(seconds) => {
                self.now += seconds;
                Ok(())
            }
            Step::Restart => {
                self.restart();
                Ok(())
            }
        };
        if let Err(error) = result {
            assert!(error.status() < 500, "{error}");
        }
        self.check();
    }

    fn check(&mut self) {
        let mut present = BTreeSet::new();
        for (cn, record) in &self.account.certificates {
            for state in [State::Active, State::Pending] {
                let of = record.instances.iter().filter(|i| i.state == state);
                assert!(of.count() <= 1, "{cn} has two {} instances", state.name());
            }
            for instance in &record.instances {
                assert!(present.insert((cn.clone(), instance.id)), "ID twice");
                let certificate = &instance.certificate;
                self.states.insert(instance.state.name());
                match instance.state {
                    State::Pending => assert!(certificate.is_temporary),
                    State::Canceled => {}
                    _ => assert!(!certificate.is_temporary),
                }
                if !certificate.is_temporary {
                    let known = self.issued.entry(instance.id);
                    assert_eq!(
                        known.or_insert_with(|| certificate.crt.clone()),
                        &certificate.crt
                    );
                }
            }
        }
        assert!(present.is_superset(&self.known), "an instance was lost");
        self.known = present;
        // Every issued certificate is posted, and none of them twice.
        let deliveries = self.account.deliveries.values();
        let mut bodies = BTreeSet::new();
        assert!(deliveries.map(|d| &d.body).all(|body| bodies.insert(body)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_requests_breaks_the_account(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut model = Model::new();
        for step in &steps {
            model.run(step);
        }
        model.restart();
    }
}

/// The random requests reach what they must reach.
#[test]
fn random_requests_buy_and_reissue() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 1000);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    let mut model = Model::new();
    for step in &steps {
        model.run(step);
    }
    let all = ["active", "canceled", "expired", "pending", "revoked"];
    assert_eq!(model.states, BTreeSet::from(all));
    assert!(model.issued.len() > 10, "{}", model.issued.len());
}

#[test]
fn a_certificate_that_cannot_be_signed_does_not_stop_others() {
    let mut model = Model::new();
    model.issuing.1 = &[CNS[0]];
    for (cn, csr) in [(CNS[0], P256), (CNS[1], WILDCARD)] {
        for (path, body) in [
            (
                format!("certs/{cn}"),
                vec![("csr", csr), ("approval_method", "http")],
            ),
            (format!("certs/{cn}/buy"), vec![]),
        ] {
            let body = body.into_iter();
            let request = Request {
                method: Method::Post,
                path: path.split('/').map(str::to_owned).collect(),
                query: Vec::new(),
                body: Body::Form(body.map(|(k, v)| (k.into(), v.into())).collect()),
            };
            let parsed = parse(&request).unwrap();
            let answer = model.make(|account, context| account.answer(&parsed, context));
            answer.unwrap();
        }
    }
    model.now += 10;
    let failures = model
        .make(|account, context| Ok(account.advance(context)))
        .unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, CNS[0]);
    let state = |cn: &str| model.account.certificates[cn].instances[0].state;
    assert_eq!(
        (state(CNS[0]), state(CNS[1])),
        (State::Canceled, State::Active)
    );
    assert!(!model.account.is_due(Timestamp(model.now)));
}
