//! Conditions narrow the permit and are seen in it; anchors and consumption bound how often a review counts.

use serde_json::{Value, json};

use super::ledger::Ledger;

fn conditional(grant: &Value, conditions: Value) -> Ledger {
    let mut ledger = Ledger::with_grant(grant);
    ledger.artifact["verdict"] = json!("approve_with_conditions");
    ledger.artifact["conditions"] = conditions;
    ledger.commit();
    ledger
}

#[test]
fn conditions_show_in_the_permit() {
    let bounded = json!({"mode": "bounded", "sequence_span": 9});
    for (conditions, mode, range) in [
        (
            json!([{"type": "sequence_span", "max": 3}]),
            "bounded",
            [1, 4],
        ),
        (
            json!([{"type": "sequence_span", "max": 30}]),
            "bounded",
            [1, 10],
        ),
        (json!([{"type": "one_shot"}]), "one_shot", [1, 10]),
        (
            json!([{"type": "target_prefix", "prefix": "service/"}]),
            "bounded",
            [1, 10],
        ),
    ] {
        let ledger = conditional(&bounded, conditions.clone());
        let permit = ledger.issue_permit();
        assert_eq!(permit["permit_scope"]["mode"], mode, "{conditions}");
        assert_eq!(
            permit["expiry_condition"]["sequence_range"],
            json!(range),
            "{conditions}"
        );
        assert_eq!(ledger.verify(), (0, "OK".to_owned()));
        assert_eq!(ledger.sandbox.reason(&["replay"]), (0, "OK".to_owned()));
    }
}

#[test]
fn a_commit_bound_grant_takes_no_span() {
    let commit = json!({"mode": "bounded", "commit": true});
    for conditions in [
        json!([{"type": "sequence_span", "max": 3}]),
        json!([{"type": "one_shot"}]),
    ] {
        let ledger = conditional(&commit, conditions);
        ledger.refused(5, "REVIEW_CONDITION_VIOLATED", "commit-bound");
    }
}

#[test]
fn a_reusable_review_is_counted_within_a_batch_too() {
    let grant = json!({"mode": "one_shot", "sequence_span": 9});
    let ledger = conditional(&grant, json!([{"type": "reusable", "max": 2}]));
    let line = super::ledger::request().to_string();
    ledger
        .sandbox
        .write("../batch.jsonl", format!("{line}\n{line}\n{line}\n"));
    let ended = ledger
        .sandbox
        .permit(&["issue", "--batch", "../batch.jsonl"]);
    let reasons: Vec<String> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["reason"].to_string())
        .collect();
    assert_eq!(reasons[..3], ["\"OK\"", "\"OK\"", "\"REVIEW_CONSUMED\""]);
    assert_eq!(ended.exit, 6);
    assert_eq!(ledger.sandbox.reason(&["replay"]), (0, "OK".to_owned()));
    ledger.refused(6, "REVIEW_CONSUMED", "two are two");
}

#[test]
fn a_consumed_review_is_made_anew_at_the_present_tip() {
    let mut ledger = Ledger::new();
    ledger.commit();
    ledger.issue_permit();
    ledger.refused(6, "REVIEW_CONSUMED", "used up");
    let (_, tip) = ledger.sandbox.json(&["checkpoint"]);
    ledger.artifact = ledger.draft(&tip["event_hash"], tip["sequence"].as_u64().unwrap());
    ledger.commit();
    ledger.issue_permit();
    assert_eq!(ledger.verify(), (0, "OK".to_owned()));
    assert_eq!(ledger.sandbox.reason(&["replay"]), (0, "OK".to_owned()));
}

#[test]
fn a_review_of_one_stream_is_not_one_of_another() {
    let ledger = Ledger::new();
    ledger.commit();
    assert_eq!(ledger.sandbox.permit(&["stream", "open", "other"]).exit, 0);
    let issue = ["issue", "--request", "../request.json", "--stream", "other"];
    assert_eq!(
        ledger.sandbox.reason(&issue),
        (5, "REVIEW_ANCHOR_MISMATCH".to_owned())
    );
    ledger.refused(0, "OK", "on its own stream");
}
