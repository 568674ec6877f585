//! Certificate policies (RFC 5280 sections 4.2.1.4, 4.2.1.5, 4.2.1.11 and 4.2.1.14).

use super::Corpus;
use super::shapes::lengthen;
use crate::clients::der;
use crate::clients::spec::Case;
use crate::clients::spec::extension::{
    self as ext, ANY_POLICY, CERTIFICATE_POLICIES, INHIBIT_ANY_POLICY, POLICY_A, POLICY_B,
    POLICY_CONSTRAINTS, POLICY_MAPPINGS, inhibit_any_policy, policies, policy_constraints,
    policy_mappings,
};

/// Adds the same policy to every certificate below the root.
fn all(case: &mut Case, policy: &str) {
    for label in ["intermediate", "leaf"] {
        case.at(label).set(policies(&[policy]));
    }
}

pub(super) fn add(corpus: &mut Corpus) {
    for label in ["leaf", "intermediate", "root"] {
        corpus.add(format!("policies-{label}"), move |c| {
            c.at(label).set(policies(&[POLICY_A]));
        });
        corpus.add(format!("policies-critical-{label}"), move |c| {
            c.at(label).set(policies(&[POLICY_A]).into_critical());
        });
        corpus.add(format!("policies-duplicate-{label}"), move |c| {
            c.at(label).set(policies(&[POLICY_A, POLICY_A]));
        });
        corpus.add(format!("policies-empty-{label}"), move |c| {
            c.at(label).set(policies(&[]));
        });
        corpus.add(format!("policy-constraints-empty-{label}"), move |c| {
            c.at(label).set(policy_constraints(None, None));
        });
        corpus.add(format!("policies-malformed-{label}"), move |c| {
            c.at(label).set(ext::raw(CERTIFICATE_POLICIES, &[5, 0]));
        });
        corpus.add(format!("policy-constraints-malformed-{label}"), move |c| {
            c.at(label)
                .set(ext::raw(POLICY_CONSTRAINTS, &[5, 0]).into_critical());
        });
        corpus.add(format!("inhibit-any-policy-malformed-{label}"), move |c| {
            c.at(label)
                .set(ext::raw(INHIBIT_ANY_POLICY, &[5, 0]).into_critical());
        });
    }
    corpus.add("policies-qualifiers", |c| {
        let cps = der::sequence(&[
            der::oid("1.3.6.1.5.5.7.2.1"),
            der::tlv(0x16, b"http://cps.example.test/"),
        ]);
        let policy = der::sequence(&[der::oid(POLICY_A), der::sequence(&[cps])]);
        let value = der::sequence(&[policy]);
        c.at("leaf").set(ext::raw(CERTIFICATE_POLICIES, &value));
    });
    corpus.add("policies-unknown-qualifier-critical", |c| {
        let other = der::sequence(&[der::oid(ext::UNKNOWN), der::null()]);
        let policy = der::sequence(&[der::oid(POLICY_A), der::sequence(&[other])]);
        let value = der::sequence(&[policy]);
        c.at("leaf")
            .set(ext::raw(CERTIFICATE_POLICIES, &value).into_critical());
    });
    corpus.add("policies-all-the-same", |c| all(c, POLICY_A));
    corpus.add("policies-any", |c| all(c, ANY_POLICY));
    corpus.add("policies-disjoint", |c| {
        all(c, POLICY_A);
        c.at("leaf").set(policies(&[POLICY_B]));
    });
    corpus.add("policies-disjoint-critical", |c| {
        c.at("intermediate")
            .set(policies(&[POLICY_A]).into_critical());
        c.at("leaf").set(policies(&[POLICY_B]).into_critical());
    });
    for require in [0, 1, 2] {
        for label in ["intermediate", "root"] {
            corpus.add(format!("require-{require}-satisfied-{label}"), move |c| {
                all(c, POLICY_A);
                c.at(label).set(policy_constraints(Some(require), None));
            });
            corpus.add(
                format!("require-{require}-without-policies-{label}"),
                move |c| {
                    c.at(label).set(policy_constraints(Some(require), None));
                },
            );
            corpus.add(format!("require-{require}-disjoint-{label}"), move |c| {
                all(c, POLICY_A);
                c.at("leaf").set(policies(&[POLICY_B]));
                c.at(label).set(policy_constraints(Some(require), None));
            });
        }
    }
    corpus.add("require-0-any-policy-above", |c| {
        all(c, POLICY_A);
        c.at("intermediate").set(policies(&[ANY_POLICY]));
        c.at("intermediate").add(policy_constraints(Some(0), None));
    });
    corpus.add("require-0-any-policy-in-leaf", |c| {
        all(c, POLICY_A);
        c.at("leaf").set(policies(&[ANY_POLICY]));
        c.at("intermediate").add(policy_constraints(Some(0), None));
    });
    corpus.add("require-0-not-critical-without-policies", |c| {
        c.at("intermediate").set(policy_constraints(Some(0), None));
        c.at("intermediate").critical(POLICY_CONSTRAINTS, false);
    });
    corpus.add("require-0-on-leaf-without-policies", |c| {
        c.at("leaf").set(policy_constraints(Some(0), None));
    });
    corpus.add("require-0-policies-missing-in-intermediate", |c| {
        c.at("leaf").set(policies(&[POLICY_A]));
        c.at("intermediate").set(policy_constraints(Some(0), None));
    });
    corpus.add("require-0-duplicate-policies", |c| {
        all(c, POLICY_A);
        c.at("leaf").set(policies(&[POLICY_A, POLICY_A]));
        c.at("intermediate").set(policy_constraints(Some(0), None));
    });
    for (skip, intermediates) in [(0, 1), (0, 2), (1, 2), (1, 3)] {
        for required in [true, false] {
            let suffix = if required { "-required" } else { "" };
            corpus.add(
                format!("inhibit-any-{skip}-of-{intermediates}{suffix}"),
                move |c| {
                    lengthen(c, intermediates);
                    let labels: Vec<String> = c.served.clone();
                    for label in &labels {
                        c.at(label).set(policies(&[ANY_POLICY]));
                    }
                    let top = labels.last().unwrap().clone();
                    c.at(&top).set(inhibit_any_policy(skip));
                    if required {
                        c.at(&top).set(policy_constraints(Some(0), None));
                    }
                },
            );
        }
    }
    corpus.add("inhibit-any-not-critical", |c| {
        c.at("intermediate").set(inhibit_any_policy(0));
        c.at("intermediate").critical(INHIBIT_ANY_POLICY, false);
    });
    corpus.add("inhibit-any-on-leaf", |c| {
        c.at("leaf").set(inhibit_any_policy(0));
    });
    corpus.add("inhibit-any-on-root", |c| {
        c.at("root").set(inhibit_any_policy(0));
    });
    mappings(corpus);
}

fn mappings(corpus: &mut Corpus) {
    for critical in [true, false] {
        let suffix = if critical { "" } else { "-not-critical" };
        corpus.add(format!("mapping-a-to-b{suffix}"), move |c| {
            all(c, POLICY_A);
            c.at("leaf").set(policies(&[POLICY_B]));
            c.at("intermediate")
                .set(policy_mappings(&[(POLICY_A, POLICY_B)]));
            c.at("intermediate").critical(POLICY_MAPPINGS, critical);
        });
        corpus.add(format!("mapping-a-to-b-required{suffix}"), move |c| {
            all(c, POLICY_A);
            c.at("leaf").set(policies(&[POLICY_B]));
            c.at("intermediate")
                .set(policy_mappings(&[(POLICY_A, POLICY_B)]));
            c.at("intermediate").set(policy_constraints(Some(0), None));
            c.at("intermediate").critical(POLICY_MAPPINGS, critical);
        });
    }
    corpus.add("mapping-inhibited-required", |c| {
        all(c, POLICY_A);
        c.at("leaf").set(policies(&[POLICY_B]));
        c.at("intermediate")
            .set(policy_mappings(&[(POLICY_A, POLICY_B)]));
        c.at("intermediate")
            .set(policy_constraints(Some(0), Some(0)));
    });
    corpus.add("mapping-inhibited-by-root-required", |c| {
        all(c, POLICY_A);
        c.at("leaf").set(policies(&[POLICY_B]));
        c.at("root").set(policy_constraints(Some(0), Some(0)));
        c.at("intermediate")
            .set(policy_mappings(&[(POLICY_A, POLICY_B)]));
    });
    corpus.add("mapping-inhibited-above-required", |c| {
        lengthen(c, 2);
        for label in ["upper1", "intermediate"] {
            c.at(label).set(policies(&[POLICY_A]));
        }
        c.at("leaf").set(policies(&[POLICY_B]));
        c.at("upper1").set(policy_constraints(Some(0), Some(0)));
        c.at("intermediate")
            .set(policy_mappings(&[(POLICY_A, POLICY_B)]));
    });
    corpus.add("mapping-from-any", |c| {
        all(c, POLICY_A);
        c.at("intermediate")
            .set(policy_mappings(&[(ANY_POLICY, POLICY_B)]));
    });
    corpus.add("mapping-to-any-required", |c| {
        all(c, POLICY_A);
        c.at("intermediate")
            .set(policy_mappings(&[(POLICY_A, ANY_POLICY)]));
        c.at("intermediate").set(policy_constraints(Some(0), None));
    });
    corpus.add("mapping-on-leaf", |c| {
        c.at("leaf").set(policy_mappings(&[(POLICY_A, POLICY_B)]));
    });
    corpus.add("mapping-empty", |c| {
        c.at("intermediate").set(policy_mappings(&[]));
    });
    corpus.add("inhibit-mapping-alone", |c| {
        c.at("intermediate").set(policy_constraints(None, Some(0)));
    });
}
