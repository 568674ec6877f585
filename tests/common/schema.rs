//! `docs/check.schema.json`, and the subset of JSON Schema that it uses: a library for all of it
//! would be thirty crates. An unknown keyword is an error, so that nothing is left unchecked.

use serde_json::Value;

/// Panics with every place where a result of `check --format json` violates the schema.
pub(crate) fn assert_valid(document: &Value) {
    let schema = schema();
    let mut wrong = Vec::new();
    check(&schema, &schema, document, "", &mut wrong);
    assert!(wrong.is_empty(), "{}\n{document:#}", wrong.join("\n"));
}

/// The schema.
pub(crate) fn schema() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/check.schema.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut wrong = Vec::new();
    check(root, schema, value, "", &mut wrong);
    wrong.is_empty()
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in keywords {
        let schemas = || rule.as_array().expect("a list of schemas").iter();
        let valid = |schema: &Value| is_valid(root, schema, value);
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "then" | "else" => keywords.contains_key("if"),
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                let target = root.pointer(pointer).expect(pointer);
                check(root, target, value, at, wrong);
                true
            }
            "type" => match rule {
                Value::Array(any) => any.iter().any(|kind| is_a(value, kind)),
                one => is_a(value, one),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "anyOf" => schemas().any(valid),
            "not" => !valid(rule),
            "if" => {
                let branch = if valid(rule) { "then" } else { "else" };
                if let Some(branch) = keywords.get(branch) {
                    check(root, branch, value, at, wrong);
                }
                true
            }
            "required" => value.as_object().is_none_or(|object| {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| object.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(property) = value.get(name) {
                        check(root, schema, property, &format!("{at}/{name}"), wrong);
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false), "only false is known here");
                let known = keywords["properties"].as_object().unwrap();
                value
                    .as_object()
                    .is_none_or(|object| object.keys().all(|name| known.contains_key(name)))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}/{index}"), wrong);
                }
                true
            }
            "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "minLength" => value
                .as_str()
                .is_none_or(|v| v.chars().count() as u64 >= rule.as_u64().unwrap()),
            "pattern" => value
                .as_str()
                .is_none_or(|v| is_hex(v, rule.as_str().unwrap())),
            unknown => panic!("the keyword `{unknown}` is not known here"),
        };
        if !holds {
            wrong.push(format!("{at}: {value} against {keyword}: {rule}"));
        }
    }
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("the type `{unknown}` is not known here"),
    }
}

/// Returns true if the text matches the one form of pattern in use: a number of lower-case
/// hexadecimal digits.
fn is_hex(text: &str, pattern: &str) -> bool {
    let count = pattern.strip_prefix("^[0-9a-f]{").unwrap();
    let count: usize = count.strip_suffix("}$").unwrap().parse().unwrap();
    text.len() == count && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

mod tests {
    use std::sync::Arc;

    use certvigil::certificate::Certificate;
    use certvigil::instance::{Expectation, Expected, Instance, Instances, SourceKind, State};
    use certvigil::judge::{Rules, TrustStore, judge};
    use certvigil::model::{Protocol, Target, Timestamp, Timings, Vantage};
    use certvigil::observation::{KeyProof, Observation, Outcome, Reported, Served, TlsVersion};
    use certvigil::testbed::authority::{Authority, Key, Validity};
    use serde_json::{Value, json};

    use super::{assert_valid, is_valid, schema};
    use crate::support::{Refusing, certvigil};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    /// The JSON of one probe's outcome, without a server.
    fn json_of(outcome: Outcome, expected: &Arc<Expected>) -> Value {
        let observation = Observation {
            target: Target {
                certificate: "a".into(),
                hostname: "a.example".parse().unwrap(),
                port: 443,
                protocol: Protocol::Https,
                names: Box::default(),
            }
            .into(),
            ip: Some("192.0.2.1".parse().unwrap()),
            key_type: certvigil::model::KeyType::Any,
            vantage: Vantage::local(),
            timings: Timings::default(),
            outcome,
        };
        let trust = TrustStore::default();
        let judged = judge(Some(expected), observation, &trust, &Rules::default(), NOW);
        serde_json::from_str(&certvigil::report::json(&[judged])).unwrap()
    }

    fn served(leaf: Certificate, rest: Vec<Certificate>) -> Outcome {
        Outcome::Served(Box::new(Served {
            leaf,
            rest,
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            alpn: None,
            revocation: Default::default(),
            key_proof: KeyProof::Handshake,
            parameters: Default::default(),
            failure: None,
            ech: None,
        }))
    }

    #[test]
    fn conclusive_results_match_the_json_schema() {
        let validity = Validity::around(NOW, 1, 90);
        let root = Authority::root("Root", validity).unwrap();
        let leaf = root
            .issue(&["a.example".into()], validity, &Key::generate().unwrap())
            .unwrap()
            .certificate;
        let instance = Expected {
            source: SourceKind::Sslmate,
            what: Expectation::Instances(Box::new(Instances::only(Instance {
                id: Some(331),
                state: State::Active,
                leaf: leaf.clone(),
                chain: Vec::new(),
                root: Some(root.certificate.clone()),
            }))),
        };
        let garbage = Certificate::from_der(vec![0x30, 0]);
        for expected in [Expected::trust_only(), instance] {
            let expected = Arc::new(expected);
            let right = json_of(
                served(leaf.clone(), vec![root.certificate.clone()]),
                &expected,
            );
            assert_valid(&right);
            assert_eq!(right["result"][0]["status"], "conclusive");
            assert_valid(&json_of(served(garbage.clone(), Vec::new()), &expected));
            let told = Reported {
                correct: false,
                chained: false,
                dummy: false,
                peer: None,
            };
            assert_valid(&json_of(Outcome::Reported(told), &expected));
        }
    }

    #[test]
    fn inconclusive_results_match_the_json_schema() {
        let refusing = Refusing::new();
        let place = refusing.place();
        let name_server = place.as_str();
        let runs: [&[&str]; 4] = [
            &[place.as_str()],
            &[place.as_str(), "--at", "2040-01-01T00:00:00Z"],
            &["a.example", "--dns", name_server, "--timeout", "1s"],
            &["-6", "--resolve", "a.example:443:127.0.0.1", "a.example"],
        ];
        for args in runs {
            let run = certvigil(["check", "--format", "json"].iter().chain(args));
            assert_eq!(run.code, 3, "{args:?}: {run:?}");
            assert_valid(&run.json());
        }
    }

    #[test]
    fn schema_checker_detects_invalid_documents() {
        let refusing = Refusing::new();
        let run = certvigil(["check", "--format", "json", &refusing.place()]);
        let right = run.json();
        type Change = fn(&mut Value);
        let changes: [(&str, Change); 10] = [
            ("a missing key", |d| {
                drop(d["result"][0].as_object_mut().unwrap().remove("port"));
            }),
            ("an unknown key", |d| d["result"][0]["extra"] = json!(1)),
            ("a wrong type", |d| d["result"][0]["port"] = json!("443")),
            ("a number out of its range", |d| {
                d["result"][0]["port"] = json!(0);
            }),
            ("an unknown word", |d| {
                d["result"][0]["error_kind"] = json!("bad_luck");
            }),
            ("correct, though not conclusive", |d| {
                d["result"][0]["correct"] = json!(true);
            }),
            ("conclusive, though not correct or otherwise", |d| {
                d["result"][0]["status"] = json!("conclusive");
            }),
            ("a finding without a code", |d| {
                d["result"][0]["findings"] = json!([{"severity": "info"}]);
            }),
            ("a hash that is none", |d| {
                d["result"][0]["expected"]["sha256_fingerprint"] = json!("ABCD");
            }),
            ("no summary", |d| {
                drop(d.as_object_mut().unwrap().remove("summary"));
            }),
        ];
        let schema = schema();
        assert!(is_valid(&schema, &schema, &right));
        for (what, change) in changes {
            let mut wrong = right.clone();
            change(&mut wrong);
            assert!(!is_valid(&schema, &schema, &wrong), "{what} is let through");
        }
    }
}
