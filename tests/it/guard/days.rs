//! Honest days at the boundary: what has to work.

use serde_json::json;

use super::world::{World, policy};

const STREAM: &str = "refs/permit/streams/main";

#[test]
fn a_bare_server_with_the_hook_from_adoption_to_a_reviewed_change() {
    // The owner reads what is to be adopted, on the server, and names it.
    let world = World::new();
    let named = world.name_for_adoption("a");
    let people = named["principals"].as_array().unwrap();
    assert!(people.iter().any(|person| person["id"] == "human:ana"));
    world.pushed("a", &["main"]);
    // The first stream, under what landed.
    world.pushed("a", &[STREAM]);
    let request = world.request("run", &json!({}));
    let permit = world.issue("a", &request);
    world.ok("a", &["use", &permit, "--request", &request]);
    world.pushed("a", &[STREAM]);
    // A reviewed change of governance and its review in one push, seen by everybody.
    world.write(
        "a",
        "governance/policy/acme.policy.json",
        policy("2").to_string(),
    );
    world.commit("a", "Change the policy");
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    world.review_change("a");
    world.pushed("a", &["main"]);
    world.clone_to("b");
    world.issue("b", &world.request("run.often", &json!({})));
    world.pushed("b", &[STREAM]);
}
