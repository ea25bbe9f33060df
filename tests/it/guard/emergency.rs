//! An emergency is agreed to beforehand, and looked back on.

use std::fs;

use serde_json::{Value, json};

use super::world::{World, policy};

const POLICY: &str = "governance/policy/acme.policy.json";

/// The policy of the tests, with a rule for emergencies.
fn agreed(version: &str) -> Value {
    let mut agreed = policy(version);
    let rule = json!({"id": "emergency", "effect": "review", "priority": 1, "order_index": 9, "review_type": "governance",
        "match": {"actor": {"exact": "boundary:git.receive"},
            "capability": {"kind": "tool", "selector": {"exact": "governance.emergency"}},
            "operation": {"exact": "change"}, "target": {"exact": "governance"}},
        "grant": {"mode": "one_shot", "sequence_span": 0}});
    agreed["rules"].as_array_mut().unwrap().push(rule);
    agreed
}

fn change(world: &World, version: &str) -> Value {
    world.write("a", POLICY, agreed(version).to_string());
    world.commit("a", &format!("Policy {version}"));
    let words = [
        "guard",
        "plan",
        "--base",
        "origin/main",
        "--head",
        "HEAD",
        "--governed-ref",
        "main",
    ];
    world.ok("a", &words)["requests"][0].clone()
}

fn open(world: &World) -> Value {
    world.ok("server.git", &["guard", "report"])["emergencies"].clone()
}

#[test]
fn an_emergency_is_listed_until_a_later_review_names_it() {
    let world = World::adopted();
    // Nothing that was not agreed to beforehand: the plan knows no emergency yet.
    let planned = change(&world, "2");
    assert_eq!(planned["emergency"], json!(null));
    world.review_change("a");
    world.pushed("a", &["main"]);

    let planned = change(&world, "3");
    let request = world.save("emergency.json", &planned["emergency"]["request"]);
    let id = world.review("a", &request, &["README"]);
    assert_eq!(planned["emergency"]["review_id"], json!(id));
    world.commit("a", "Emergency");
    world.pushed("a", &["main"]);
    let listed = open(&world);
    assert_eq!(listed[0]["review_id"], json!(id), "{listed}");

    // A file that names it and that nobody signed closes nothing.
    let planned = change(&world, "4");
    let request = world.save("change.json", &planned["request"]);
    let because = format!("looks back on {id}");
    let review = world.review_because("a", &request, &["README"], &because);
    let path = format!("governance/reviews/{review}.review.json");
    let signed = fs::read_to_string(world.path("a").join(&path)).unwrap();
    world.git("a", &["reset", "-q", "--hard", "origin/main"]);
    let mut unsigned: Value = serde_json::from_str(&signed).unwrap();
    unsigned["signatures"] = json!([]);
    world.write("a", &path, format!("{unsigned}\n"));
    world.commit("a", "Nobody looked back");
    let run = world.push("a", "off", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(open(&world), listed);
    world.accept_gap();

    change(&world, "4");
    fs::remove_file(world.path("a").join(&path)).unwrap();
    let because = format!("we looked back on {id}");
    world.review_because("a", &request, &["README"], &because);
    world.commit("a", "Review");
    world.pushed("a", &["main"]);
    assert_eq!(open(&world), json!([]));
}
