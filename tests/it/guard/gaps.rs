//! What was changed while nobody judged does not judge what follows.

use serde_json::{Value, json};

use super::world::{World, policy};

const POLICY: &str = "governance/policy/acme.policy.json";
const UNREVIEWED: &str = "[GOVERNANCE_UNREVIEWED]";

/// A policy of the attacker's own lands while the guard is off; returns the gap.
fn pushed_in_off(world: &World) -> String {
    let from = world.git("a", &["rev-parse", "HEAD"]);
    let mut own = policy("2");
    own["review_types"]["governance"]["min_cross_signers"] = json!(1);
    world.write("a", POLICY, own.to_string());
    let to = world.commit("a", "A policy of my own");
    let run = world.push("a", "off", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    format!("{from}..{to}")
}

fn denied(world: &World, name: &str) {
    let refs = world.refs();
    let run = world.push("a", "enforce", &[name]);
    assert!(run.exit != 0 && run.stderr.contains(UNREVIEWED), "{run:?}");
    assert_eq!(world.refs(), refs);
}

fn status(world: &World) -> Value {
    world.ok("server.git", &["guard", "status"])
}

fn content(world: &World, text: &str) {
    world.write("a", "README", text);
    world.commit("a", text);
}

#[test]
fn a_policy_that_was_pushed_in_off_judges_nothing_until_somebody_accepts_it() {
    let world = World::adopted();
    let gap = pushed_in_off(&world);
    content(&world, "on again");
    // It stays so, however often it is tried, and whatever else is denied or lied about meanwhile.
    denied(&world, "main");
    denied(&world, "main");
    let run = world.push("a", "enforce", &["main:refs/permit/other"]);
    assert_ne!(run.exit, 0);
    denied(&world, "main");
    let last = world.record().pop().unwrap();
    assert_eq!(last["context"]["gap"], json!(gap));
    let shown = status(&world);
    let (from, to) = gap.split_once("..").unwrap();
    assert_eq!(shown["open_gap"]["from"], json!(from));
    assert_eq!(shown["open_gap"]["to"], json!(to));

    // Only the gap that is open, and only for a reason.
    let accept = |gap: &str, reason: &str| {
        let words = ["guard", "gap", "accept", gap, "--reason", reason];
        world.permit("server.git", &words).exit
    };
    assert_eq!(accept(&format!("{to}..{from}"), "why"), 7);
    assert_eq!(accept(&gap, " "), 7);
    denied(&world, "main");
    assert_eq!(accept(&gap, "the policy was agreed on in a call"), 0);
    let shown = status(&world);
    assert_eq!(shown["open_gap"], json!(null));
    assert_eq!(
        shown["accepted_gaps"][0]["reason"],
        json!("the policy was agreed on in a call")
    );
    world.pushed("a", &["main"]);
    assert_eq!(accept(&gap, "again"), 7);
    content(&world, "and on");
    world.pushed("a", &["main"]);
}

#[test]
fn a_review_covers_what_was_pushed_in_off_and_may_come_with_the_next_push() {
    let world = World::adopted();
    let from = world.git("a", &["rev-parse", "HEAD"]);
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Policy 2");
    world.review_change("a");
    // The change alone lands in `off`; its review stays behind.
    let run = world.push("a", "off", &["main~1:main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let gap = status(&world)["open_gap"].clone();
    assert_eq!(gap["from"], json!(from));
    world.pushed("a", &["main"]);
    assert_eq!(status(&world)["open_gap"], json!(null));
    content(&world, "and on");
    world.pushed("a", &["main"]);
    assert_eq!(world.record().pop().unwrap()["context"]["gap"], json!(null));
}

#[test]
fn a_reviewed_change_that_landed_in_off_goes_on() {
    let world = World::adopted();
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Policy 2");
    world.review_change("a");
    let run = world.push("a", "off", &["main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    content(&world, "and on");
    world.pushed("a", &["main"]);
    assert_eq!(status(&world)["open_gap"], json!(null));
}

#[test]
fn a_reviewed_change_that_was_taken_back_in_off_stays_in_force() {
    let world = World::adopted();
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Policy 2");
    world.review_change("a");
    world.pushed("a", &["main"]);
    let reviewed = world.git("a", &["rev-parse", "HEAD"]);
    // Back to the older policy, whose people and rules were withdrawn.
    world.git("a", &["reset", "-q", "--hard", "HEAD~2"]);
    let run = world.push("a", "off", &["+main"]);
    assert_eq!(run.exit, 0, "{run:?}");
    content(&world, "under the older policy");
    denied(&world, "main");
    // Whoever goes on from what was reviewed is let through.
    world.git("a", &["reset", "-q", "--hard", &reviewed]);
    content(&world, "under what was reviewed");
    world.pushed("a", &["main"]);
    assert_eq!(status(&world)["open_gap"], json!(null));
}

#[test]
fn a_lie_about_a_ref_makes_no_gap_and_closes_none() {
    let world = World::adopted();
    let junk = world.git("a", &["commit-tree", "-m", "junk", "HEAD^{tree}"]);
    let lie = |world: &World| {
        let tip = world.git("a", &["rev-parse", "origin/main"]);
        let line = format!("{junk} {tip} refs/heads/main\n");
        let path = world.save("lie", &Value::Null);
        std::fs::write(&path, line).unwrap();
        let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
        command.args(["guard", "receive", "--mode", "enforce"]);
        command.stdin(std::fs::File::open(path).unwrap());
        assert_ne!(command.status().unwrap().code(), Some(0));
    };
    lie(&world);
    content(&world, "on");
    world.pushed("a", &["main"]);
    assert!(
        world
            .record()
            .iter()
            .all(|line| line["schema"] != "permit.enforcement_gap.v1")
    );
    pushed_in_off(&world);
    content(&world, "and on");
    denied(&world, "main");
    lie(&world);
    denied(&world, "main");
}
