//! Every class of the page: what is allowed, and what is denied with which reason.

use std::fs;

use serde_json::json;

use super::world::{Run, World, policy};

const POLICY: &str = "governance/policy/acme.policy.json";

#[test]
fn first_adoption_is_allowed_once() {
    let world = World::new();
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    let named = world.name_for_adoption("a");
    assert_eq!(named["policy"]["policy_id"], "acme");
    assert_eq!(named["principals"].as_array().unwrap().len(), 4);
    world.pushed("a", &["main"]);
    world.write("a", "governance/README.md", "more");
    world.commit("a", "More");
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
}

/// Names a commit for adoption past `permit guard adopt`, which would refuse it.
fn name_anyway(world: &World, commit: &str) {
    world.git("server.git", &["config", "permit.adopt", commit]);
}

#[test]
fn a_policy_that_leaves_governance_without_review_is_refused() {
    let world = World::new();
    let mut open = policy("1");
    open["rules"][1]["effect"] = "allow".into();
    open["rules"][1]
        .as_object_mut()
        .unwrap()
        .remove("review_type");
    world.write("a", POLICY, open.to_string());
    let head = world.commit("a", "Adopt badly");
    name_anyway(&world, &head);
    world.denied("a", &["main"], "GOVERNANCE_UNGOVERNED");
    fs::remove_file(world.path("a").join(POLICY)).unwrap();
    let head = world.commit("a", "Adopt nothing");
    name_anyway(&world, &head);
    world.denied("a", &["main"], "GOVERNANCE_UNGOVERNED");
}

#[test]
fn a_reviewed_change_goes_through_and_only_exactly_that_one() {
    let world = World::adopted();
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Change the policy");
    let planned = world.review_change("a");
    assert_eq!(planned["request"]["context"]["changes"][0]["path"], POLICY);
    // The same review does not cover another change.
    let reviewed = world.git("a", &["rev-parse", "HEAD"]);
    world.git("a", &["checkout", "-q", "-b", "other", "HEAD~2"]);
    world.write("a", POLICY, policy("3").to_string());
    world.commit("a", "Another change");
    world.git("a", &["cherry-pick", &reviewed]);
    let run = world.push("a", "enforce", &["other:main"]);
    assert!(run.stderr.contains("[GOVERNANCE_UNREVIEWED]"), "{run:?}");
    world.pushed("a", &[&format!("{reviewed}:main")]);
    // What is reviewed cannot be altered or removed.
    world.git("a", &["checkout", "-q", "-B", "main", &reviewed]);
    let path = planned["path"].as_str().unwrap();
    let text = fs::read_to_string(world.path("a").join(path)).unwrap();
    world.write("a", path, text.replace("\"test\"", "\"other\""));
    world.commit("a", "Alter the review");
    world.denied("a", &["main"], "REVIEW_IMMUTABLE");
    world.git("a", &["reset", "-q", "--hard", &reviewed]);
    world.git("a", &["rm", "-q", path]);
    world.commit("a", "Remove the review");
    world.denied("a", &["main"], "RECORD_IMMUTABLE");
}

#[test]
fn a_review_by_a_table_of_the_same_push_counts_for_nothing() {
    let world = World::adopted();
    let table = "governance/principals.json";
    let text = fs::read_to_string(world.path("a").join(table)).unwrap();
    // The pusher makes cy sign in place of bo by swapping their names in the table.
    let swapped = text
        .replace("human:bo", "human:x")
        .replace("human:cy", "human:bo")
        .replace("human:x", "human:cy");
    world.write("a", table, swapped);
    world.commit("a", "Appoint");
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Change the policy");
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
}

#[test]
fn malformed_governance_is_refused_with_its_own_reason() {
    // Sound, but the file of another id.
    let permit_profile = std::str::from_utf8(permit::engine::hap::profile::SHIPPED).unwrap();
    for (path, content, reason) in [
        (POLICY, "{}", "INVALID_POLICY"),
        ("governance/policy/b.policy.json", "{}", "INVALID_POLICY"),
        ("governance/principals.json", "{}", "INVALID_PRINCIPALS"),
        ("governance/enforcement.json", "{}", "INVALID_INPUT"),
        ("governance/reviews/x.review.json", "{}", "INVALID_REVIEW"),
        (
            "governance/manifests/x.manifest.json",
            "{}",
            "INVALID_MANIFEST",
        ),
        (
            "governance/requests/x.request.json",
            "{}",
            "INVALID_EXECUTION_REQUEST",
        ),
        (
            "governance/requests/x.request.json",
            "{\"approval_granted\":true}",
            "APPROVAL_IN_REQUEST",
        ),
        (".hap/owners.json", "{}", "AUTHORIZATION_SOURCE_INVALID"),
        (".hap/owners.json/x", "{}", "AUTHORIZATION_SOURCE_INVALID"),
        (
            "governance/hap/registry.json",
            "{}",
            "AUTHORIZATION_SOURCE_INVALID",
        ),
        (
            "governance/hap/service-providers.json",
            "{}",
            "AUTHORIZATION_SOURCE_INVALID",
        ),
        (
            "governance/hap/allowed_signers",
            "* ssh-ed25519 AAAA",
            "AUTHORIZATION_SOURCE_INVALID",
        ),
        (
            "governance/hap/profiles/x@1.0.profile.json",
            "{}",
            "PROFILE_INVALID",
        ),
        (
            "governance/hap/profiles/x@1.0.profile.json",
            permit_profile,
            "PROFILE_INVALID",
        ),
        ("governance/hap/profiles", "x", "PROFILE_INVALID"),
        (
            ".hap/owners.json",
            "{\"domains\":{}}",
            "GOVERNANCE_UNREVIEWED",
        ),
        ("governance/README.md", "x", "GOVERNANCE_UNREVIEWED"),
    ] {
        let world = World::adopted();
        world.write("a", path, content);
        world.commit("a", "Malformed");
        world.denied("a", &["main"], reason);
    }
}

#[test]
fn malformed_governance_is_refused_at_first_adoption_and_under_review() {
    let world = World::new();
    let registry = "governance/hap/registry.json";
    world.write("a", registry, "{}");
    let head = world.commit("a", "Adopt with a malformed registry");
    name_anyway(&world, &head);
    world.denied("a", &["main"], "AUTHORIZATION_SOURCE_INVALID");
    world.git("a", &["reset", "-q", "--hard", "HEAD~1"]);
    world.write("a", registry, json!({"schema": "permit.hap_registry.v1",
        "organizations": [{"id": "acme", "repos": ["acme/web"], "profiles": []}],
        "authority": [{"event": "grant", "organization": "acme", "did": "did:github:ana", "domain": "x",
            "envs": ["prod"], "by": "ana", "at": 1, "expires": null}]}).to_string());
    world.commit("a", "Adopt with a sound one");
    world.adopt("a");
    // What is recorded of people's authority is never taken back, whoever signs for it.
    world.write(
        "a",
        registry,
        json!({"schema": "permit.hap_registry.v1",
        "organizations": [{"id": "acme", "repos": ["acme/web"], "profiles": []}], "authority": []})
        .to_string(),
    );
    world.commit("a", "Forget a grant");
    world.review_change("a");
    world.denied("a", &["main"], "AUTHORIZATION_SOURCE_INVALID");
}

#[test]
fn expressions_that_nobody_agreed_to_are_not_compiled() {
    let world = World::adopted();
    let mut costly = policy("2");
    costly["rules"][2]["match"]["target"] = json!({"regex": "^(a{1000}){1000}$"});
    world.write("a", POLICY, costly.to_string());
    world.commit("a", "Expressions that take all the memory there is");
    // Nothing was said of what the policy holds.
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
    world.review_change("a");
    world.denied("a", &["main"], "LIMIT_EXCEEDED");
}

#[test]
fn the_governed_ref_only_moves_along_its_first_parents() {
    let world = World::adopted();
    world.denied("a", &[":main"], "GOVERNED_REF_DELETED");
    world.git("a", &["commit", "-q", "--amend", "-m", "Rewritten"]);
    world.denied("a", &["+main"], "FIRST_PARENT_BROKEN");
    // A merge whose first parent is the side line would let its commits through unseen.
    world.git("a", &["reset", "-q", "--hard", "origin/main"]);
    world.git("a", &["checkout", "-q", "-b", "side"]);
    world.write("a", "side", "x");
    world.commit("a", "Side");
    world.git("a", &["checkout", "-q", "main"]);
    world.write("a", "ahead", "x");
    world.commit("a", "Ahead");
    world.pushed("a", &["main"]);
    world.git("a", &["checkout", "-q", "side"]);
    world.git("a", &["merge", "-q", "-m", "Merge main into side", "main"]);
    world.denied("a", &["side:main"], "FIRST_PARENT_BROKEN");
    world.git("a", &["reset", "-q", "--hard", "HEAD~1"]);
    world.git("a", &["checkout", "-q", "main"]);
    world.git(
        "a",
        &[
            "merge",
            "-q",
            "--no-ff",
            "-m",
            "Merge side into main",
            "side",
        ],
    );
    world.pushed("a", &["main"]);
}

#[test]
fn a_merge_is_judged_by_what_it_brings_to_the_first_parent() {
    let world = World::adopted();
    world.git("a", &["checkout", "-q", "-b", "side"]);
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "A policy on a branch");
    world.pushed("a", &["side"]);
    world.git("a", &["checkout", "-q", "main"]);
    world.git("a", &["merge", "-q", "--no-ff", "-m", "Merge", "side"]);
    world.denied("a", &["main"], "GOVERNANCE_UNREVIEWED");
}

#[test]
fn refs_that_nobody_needs_are_refused_and_branches_and_tags_are_content() {
    let world = World::adopted();
    world.denied("a", &["main:refs/permit/other"], "EVENT_NOT_ALLOWED");
    world.denied("a", &["main:refs/permit/orphans/main"], "EVENT_NOT_ALLOWED");
    let replace = format!("main:refs/replace/{}", "1".repeat(40));
    world.denied("a", &[&replace], "REPLACE_FORBIDDEN");
    world.git("a", &["tag", "-a", "-m", "t", "v1"]);
    let tree = world.git("a", &["rev-parse", "HEAD^{tree}"]);
    world.pushed(
        "a",
        &["v1", &format!("{tree}:refs/tags/tree"), "main:refs/heads/b"],
    );
    world.pushed("a", &[":refs/heads/b", ":v1"]);
}

#[test]
fn nothing_governed_is_moved_through_a_symbolic_ref() {
    let world = World::adopted();
    let link = |name: &str, to: &str| world.git("server.git", &["symbolic-ref", name, to]);
    link("refs/heads/master", "refs/heads/main");
    link("refs/heads/twice", "refs/heads/master");
    link("refs/heads/stream", "refs/permit/streams/main");
    link(
        "refs/heads/replace",
        "refs/replace/1111111111111111111111111111111111111111",
    );
    link("refs/heads/alias", "refs/heads/other");
    world.write("a", POLICY, policy("2").to_string());
    world.commit("a", "Change the policy");
    let before = world.refs();
    for name in ["master", "twice", "stream", "replace"] {
        let run = world.push("a", "enforce", &[&format!("+main:refs/heads/{name}")]);
        assert!(
            run.stderr.contains("[EVENT_NOT_ALLOWED]"),
            "{name}: {run:?}"
        );
        assert_eq!(world.refs(), before, "{name}");
    }
    world.pushed("a", &["main:refs/heads/alias"]);
}

#[test]
fn a_push_into_a_namespace_is_about_the_refs_that_it_moves() {
    let world = World::adopted();
    world.write("a", POLICY, "{}");
    world.commit("a", "Malformed");
    let mut command = world.command("git", "a");
    command.args(["push", "-q", "origin", "main"]);
    command.envs([("GIT_NAMESPACE", "x/y"), ("ENFORCEMENT_MODE", "enforce")]);
    let run = Run::of(&command.output().unwrap());
    assert_eq!(run.exit, 0, "{run:?}");
    let intent = &world.record().pop().unwrap()["intent"];
    let name = "refs/namespaces/x/refs/namespaces/y/refs/heads/main";
    assert_eq!(
        (&intent["subject"], &intent["class"]),
        (&json!(name), &json!("content.change"))
    );
    world.denied("a", &["main"], "INVALID_POLICY");
}

/// Gives the hook's lines to the guard as Git would, without the time that Git itself needs for so many refs.
fn receive(world: &World, lines: &str) -> Run {
    std::fs::write(world.path("updates"), lines).unwrap();
    let mut command = world.command(env!("CARGO_BIN_EXE_permit"), "server.git");
    command.args(["guard", "receive", "--mode", "enforce"]);
    command.stdin(std::fs::File::open(world.path("updates")).unwrap());
    Run::of(&command.output().unwrap())
}

#[test]
fn ten_thousand_refs_in_one_push_are_all_judged() {
    let world = World::adopted();
    let tip = world.git("a", &["rev-parse", "HEAD"]);
    let absent = "0".repeat(40);
    let line = |n: u32| format!("{absent} {tip} refs/heads/many/{n}\n");
    let lines: String = (0..10_000).map(line).collect();
    let run = receive(&world, &lines);
    assert_eq!(run.exit, 0, "{run:?}");
    let judged = |line: &&serde_json::Value| {
        let subject = line["intent"]["subject"].as_str();
        subject.is_some_and(|name| name.starts_with("refs/heads/many/"))
    };
    assert_eq!(world.record().iter().filter(judged).count(), 10_000);
    // One that is not allowed denies all of them, and is found among them.
    let denied = format!("{lines}{absent} {tip} refs/permit/other\n");
    let run = receive(&world, &denied);
    assert_eq!(run.exit, 5, "{run:?}");
    assert!(run.stderr.contains("[EVENT_NOT_ALLOWED]"), "{run:?}");
}

#[test]
fn content_needs_a_permit_where_enforcement_demands_one() {
    let world = World::new();
    let attached = json!({"schema": "permit.enforcement.v1", "record": "permit-guard.jsonl", "boundaries": [
        {"boundary": "git.receive", "class": "content.change", "refs": ["refs/heads/main"],
         "paths": ["src/**"], "stream": "main", "require": "permit"}]});
    world.write("a", "governance/enforcement.json", attached.to_string());
    world.commit("a", "Adopt with enforcement");
    world.adopt("a");
    world.write("a", "docs/x", "free");
    world.commit("a", "Docs");
    world.pushed("a", &["main"]);
    let before = world.git("a", &["rev-parse", "HEAD"]);
    world.write("a", "src/x", "guarded");
    let after = world.commit("a", "Source");
    world.denied("a", &["main"], "PERMIT_REQUIRED");
    let request = json!({"schema": "permit.request.v1", "actor_id": "boundary:git.receive",
        "capability": {"kind": "tool", "selector": "content.change"},
        "operation": "push", "target": "refs/heads/main", "context": {"before": before, "after": after}});
    let request = world.save("content.json", &request);
    world.ok(
        "a",
        &["issue", "--request", &request, "--at", "origin/main"],
    );
    // A permit of the same push is none yet: Git may land one ref and not the other.
    world.denied(
        "a",
        &["main", "refs/permit/streams/main"],
        "PERMIT_REQUIRED",
    );
    world.pushed("a", &["refs/permit/streams/main"]);
    world.pushed("a", &["main"]);
    world.write("a", "src/x", "guarded still");
    world.commit("a", "Again");
    world.denied("a", &["main"], "PERMIT_REQUIRED");
}

#[test]
fn a_permit_that_is_bound_to_the_old_tip_is_found_behind_newer_events() {
    let world = World::new();
    let attached = json!({"schema": "permit.enforcement.v1", "record": "permit-guard.jsonl", "boundaries": [
        {"boundary": "git.receive", "class": "content.change", "refs": ["refs/heads/main"],
         "paths": ["src/**"], "stream": "main", "require": "permit"}]});
    let mut bound = policy("1");
    bound["rules"][0]["grant"] = json!({"mode": "bounded", "commit": true});
    world.write("a", POLICY, bound.to_string());
    world.write("a", "governance/enforcement.json", attached.to_string());
    world.commit("a", "Adopt with enforcement");
    world.adopt("a");
    for round in 0..2 {
        let before = world.git("a", &["rev-parse", "HEAD"]);
        world.write("a", "src/x", format!("guarded {round}"));
        let after = world.commit("a", "Source");
        world.denied("a", &["main"], "PERMIT_REQUIRED");
        let request = json!({"schema": "permit.request.v1", "actor_id": "boundary:git.receive",
            "capability": {"kind": "tool", "selector": "content.change"},
            "operation": "push", "target": "refs/heads/main", "context": {"before": before, "after": after}});
        let request = world.save("content.json", &request);
        let issue = ["issue", "--request", &request, "--at", "origin/main"];
        world.ok("a", &issue);
        // Other events under the old tip stand after it.
        for selector in ["run", "run.often"] {
            let other = world.request(selector, &json!({}));
            world.ok("a", &["issue", "--request", &other, "--at", "origin/main"]);
        }
        world.pushed("a", &["refs/permit/streams/main"]);
        world.pushed("a", &["main"]);
    }
}
