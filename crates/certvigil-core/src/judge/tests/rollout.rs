//! State of the monitor that a probe does not have: a rollout in progress, and a source that does
//! not respond.

use super::super::Grace;
use super::*;
use crate::judge::next_change;
use crate::observation::Reported;

const HOUR: i64 = 3_600;

/// A newly renewed certificate, and the certificates of a server that has not been reloaded.
struct Renewed {
    right: Case,
    before: Certificate,
    chain: Certificate,
}

fn renewed(before: Certificate, before_is: State, state: State) -> Renewed {
    let pki = pki();
    let mut instances = Instances::only(Instance {
        id: Some(8),
        ..instance(&pki.leaf(), &[pki.mid.cert()])
    });
    match before_is {
        State::Pending => instances.pending = Some(pending(&before)),
        _ => {
            instances.previous = vec![Instance {
                id: Some(7),
                state,
                ..instance(&before, &[])
            }]
        }
    }
    let mut right = pki.right.expecting(expect(instances));
    right.rules.grace = Some(Grace {
        before: before.sha256(),
        until: Timestamp(now().0 + HOUR),
    });
    Renewed {
        right,
        chain: pki.mid.cert(),
        before,
    }
}

fn old_leaf() -> Certificate {
    root("Elsewhere").leaf(HOST, days(300, 100)).certificate
}

#[test]
fn previous_instance_is_a_warning_until_grace_ends() {
    let case = renewed(old_leaf(), State::Active, State::Active);
    let case = case.right.serving([case.before, case.chain]);
    let code = |seconds| {
        let codes = case.at(Timestamp(now().0 + seconds)).codes();
        codes
            .into_iter()
            .find(|c| c.starts_with("previous"))
            .unwrap()
    };
    assert_eq!(code(0), "previous_instance!warning");
    assert_eq!(code(HOUR - 1), "previous_instance!warning");
    assert_eq!(code(HOUR), "previous_instance");
    assert!(
        case.reported("previous_instance")
            .0
            .ends_with("; a rollout is under way until 2026-11-24T13:00:00Z")
    );
    assert!(!case.flags().correct);
    // A monitor judges the result again when grace ends.
    let change = next_change(&case.judged(), &case.rules, case.now).unwrap();
    assert_eq!(change, Timestamp(now().0 + HOUR));
}

#[test]
fn grace_applies_only_to_the_previous_certificate() {
    let case = renewed(old_leaf(), State::Active, State::Active);
    let other = case.right.serving([old_leaf(), case.chain.clone()]);
    assert!(other.codes().contains(&"wrong_certificate".into()));

    // An instance two renewals old is not part of the rollout in progress.
    let mut still_older = case.right.serving([case.before.clone(), case.chain]);
    still_older.rules.grace = Some(Grace {
        before: old_leaf().sha256(),
        until: Timestamp(i64::MAX),
    });
    assert!(still_older.codes().contains(&"previous_instance".into()));
}

#[test]
fn a_revoked_certificate_has_no_grace() {
    let case = renewed(old_leaf(), State::Active, State::Revoked);
    let codes = case.right.serving([case.before, case.chain]).codes();
    assert!(codes.contains(&"previous_instance".into()), "{codes:?}");
}

#[test]
fn temporary_certificate_has_grace_after_an_instance_is_issued() {
    let case = renewed(self_signed(&key()), State::Pending, State::Active);
    let case = case.right.serving([case.before]);
    assert!(case.codes().contains(&"dummy_certificate".into()));
    let late = case.at(Timestamp(now().0 + HOUR));
    assert!(late.codes().contains(&"dummy_certificate!critical".into()));
}

#[test]
fn incorrect_remote_result_is_a_rollout_during_grace() {
    let case = renewed(old_leaf(), State::Active, State::Active).right;
    let reported = |correct, at| {
        let reported = Reported {
            correct,
            chained: true,
            dummy: false,
            peer: None,
        };
        let observation = observation(HOST, Outcome::Reported(reported));
        let expected = Arc::new(case.expected.clone());
        judge(Some(&expected), observation, &case.trust, &case.rules, at).codes()
    };
    assert_eq!(reported(false, now()), ["previous_instance!warning"]);
    assert_eq!(reported(true, now()), [""; 0]);
    let late = Timestamp(now().0 + HOUR);
    assert_eq!(reported(false, late), ["wrong_certificate"]);
}

#[test]
fn stale_source_is_reported_with_its_last_success() {
    let mut case = pki().right;
    case.rules.stale_since = Some(Timestamp(now().0 - HOUR));
    assert_eq!(case.codes(), ["source_stale"]);
    assert!(
        case.reported("source_stale")
            .0
            .contains("since 2026-11-24T11:00:00Z")
    );
    assert!(case.flags().correct);
}
