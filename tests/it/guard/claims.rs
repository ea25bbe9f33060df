//! A permit lets one update of one ref through, once, whatever dies in between.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::world::{Run, World, policy};

const ABSENT: &str = "";
const POLICY: &str = "governance/policy/acme.policy.json";
const PROD: &str = "refs/heads/prod";
const STREAM: &str = "refs/permit/streams/main";

/// A world whose branch `prod` needs a permit for whatever is in it, which is `one_shot` or `bounded`.
pub(super) fn protected(mode: &str) -> World {
    let world = World::new();
    let attached = json!({"schema": "permit.enforcement.v1", "record": "permit-guard.jsonl", "boundaries": [
        {"boundary": "git.receive", "class": "content.change", "refs": [PROD],
         "paths": ["**"], "stream": "main", "require": "permit"}]});
    let mut rules = policy("1");
    rules["rules"][0]["grant"] = json!({"mode": mode, "sequence_span": 50});
    world.write("a", POLICY, rules.to_string());
    world.write("a", "governance/enforcement.json", attached.to_string());
    world.commit("a", "Adopt with enforcement");
    world.adopt("a");
    world
}

/// Issues a permit for an update of `prod`, which arrives on the server.
pub(super) fn permit(world: &World, before: &str, after: &str) -> String {
    let request = json!({"schema": "permit.request.v1", "actor_id": "boundary:git.receive",
        "capability": {"kind": "tool", "selector": "content.change"},
        "operation": "push", "target": PROD, "context": {"before": before, "after": after}});
    let request = world.save("content.json", &request);
    let arguments = ["issue", "--request", &request, "--at", "origin/main"];
    let issued = world.ok("a", &arguments);
    world.pushed("a", &[STREAM]);
    issued["permit"]["permit_id"].as_str().unwrap().to_owned()
}

/// The claim of a permit, if there is one.
fn claim(world: &World, permit: &str) -> Option<Value> {
    let path = world.path(&format!("server.git/permit-claims/{permit}.json"));
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn state(world: &World, permit: &str) -> String {
    let claim = claim(world, permit).unwrap();
    claim["state"].as_str().unwrap().to_owned()
}

/// Commits two changes on top of each other that never get to main.
pub(super) fn two(world: &World) -> (String, String) {
    let main = world.git("a", &["rev-parse", "HEAD"]);
    let [one, two] = ["one", "two"].map(|content| {
        world.write("a", "src/x", content);
        world.commit("a", "For prod")
    });
    world.git("a", &["branch", "-f", "two"]);
    world.git("a", &["reset", "-q", "--hard", &main]);
    (one, two)
}

/// Moves `prod` to a commit, and says how that ended.
pub(super) fn push(world: &World, commit: &str) -> Run {
    world.push("a", "enforce", &[&format!("+{commit}:{PROD}")])
}

fn lands(world: &World, commit: &str) {
    let run = push(world, commit);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(world.git("server.git", &["rev-parse", PROD]), commit);
}

fn refused(world: &World, commit: &str, reason: &str) {
    let before = world.refs();
    let run = push(world, commit);
    assert_ne!(run.exit, 0, "{run:?}");
    assert!(run.stderr.contains(&format!("[{reason}]")), "{run:?}");
    assert_eq!(world.refs(), before);
}

/// Writes a hook of the server.
pub(super) fn hook(world: &World, name: &str, script: &str) {
    let path = world.path("server.git/hooks").join(name);
    drop(fs::remove_file(&path));
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
}

/// What the hook that `permit guard install` writes does.
pub(super) fn call(arguments: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_permit"));
    format!("'{}' guard {arguments}", program.display())
}

#[test]
fn attack_4_a_content_permit_lets_content_through_once() {
    for mode in ["one_shot", "bounded"] {
        let world = protected(mode);
        let (one, two) = two(&world);
        permit(&world, ABSENT, &one);
        lands(&world, &one);
        let there = permit(&world, &one, &two);
        lands(&world, &two);
        assert_eq!(
            claim(&world, &there).unwrap(),
            json!({"permit": there, "ref": PROD, "before": one, "after": two, "state": "committed"})
        );
        permit(&world, &two, &one);
        lands(&world, &one);
        // The same update again: its permit is spent, though no stream says so.
        world.denied("a", &[&format!("{two}:{PROD}")], "PERMIT_CLAIMED");
        // Honest: another permit for it.
        permit(&world, &one, &two);
        lands(&world, &two);
    }
}

#[test]
fn an_update_that_git_gave_up_comes_again_under_the_same_permit() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    let id = permit(&world, ABSENT, &one);
    hook(&world, "update", "exit 1");
    assert_ne!(push(&world, &one).exit, 0);
    assert_eq!(state(&world, &id), "claimed");
    fs::remove_file(world.path("server.git/hooks/update")).unwrap();
    // A push that passes the hook and lands nothing, since one name stands in the way of the other.
    let lines = [format!("{one}:{PROD}"), format!("{one}:{PROD}/x")];
    let run = world.push("a", "enforce", &["--atomic", &lines[0], &lines[1]]);
    assert_ne!(run.exit, 0, "{run:?}");
    assert!(!run.stderr.contains("[PERMIT_CLAIMED]"), "{run:?}");
    assert_ne!(state(&world, &id), "committed");
    lands(&world, &one);
    assert_eq!(state(&world, &id), "committed");
}

#[test]
fn attack_15_a_transaction_that_is_given_up_leaves_an_aborted_claim() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    let id = permit(&world, ABSENT, &one);
    // The verdict is used up, then something else vetoes.
    let call = call("transaction \"$1\"");
    let vetoes = format!("{call} || exit 1\ntest \"$1\" != prepared");
    hook(&world, "reference-transaction", &vetoes);
    assert_ne!(push(&world, &one).exit, 0);
    assert_eq!(state(&world, &id), "aborted");
    hook(&world, "reference-transaction", &call);
    lands(&world, &one);
    assert_eq!(state(&world, &id), "committed");
}

#[test]
fn a_hook_that_is_killed_after_its_claim_and_before_its_answer_lands_nothing_and_loses_nothing() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    let id = permit(&world, ABSENT, &one);
    let receive = call("receive");
    let killed = format!("{receive} >answer || exit 1\nkill -9 $$");
    hook(&world, "pre-receive", &killed);
    let before = world.refs();
    assert_ne!(push(&world, &one).exit, 0);
    assert_eq!(world.refs(), before);
    assert_eq!(state(&world, &id), "claimed");
    hook(&world, "pre-receive", &receive);
    lands(&world, &one);
    assert_eq!(state(&world, &id), "committed");
}

#[test]
fn a_server_that_is_killed_between_answer_and_transaction_lands_nothing_and_loses_nothing() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    let id = permit(&world, ABSENT, &one);
    let receive = call("receive");
    // The hook's parent is `git receive-pack`, which reads the answer and dies.
    hook(&world, "update", "kill -9 $PPID");
    let before = world.refs();
    assert_ne!(push(&world, &one).exit, 0);
    assert_eq!(world.refs(), before);
    assert_eq!(state(&world, &id), "claimed");
    fs::remove_file(world.path("server.git/hooks/update")).unwrap();
    hook(&world, "pre-receive", &receive);
    lands(&world, &one);
    assert_eq!(state(&world, &id), "committed");
}

#[test]
fn a_server_that_is_killed_before_it_says_committed_spends_the_permit_all_the_same() {
    let world = protected("one_shot");
    let (one, two) = two(&world);
    permit(&world, ABSENT, &one);
    lands(&world, &one);
    let id = permit(&world, &one, &two);
    let call = call("transaction \"$1\"");
    let killed = format!("test \"$1\" = committed && {{ kill -9 $PPID; exit; }}\n{call}");
    hook(&world, "reference-transaction", &killed);
    push(&world, &two);
    assert_eq!(world.git("server.git", &["rev-parse", PROD]), two);
    assert_eq!(state(&world, &id), "claimed");
    hook(&world, "reference-transaction", &call);
    permit(&world, &two, &one);
    lands(&world, &one);
    assert_eq!(state(&world, &id), "committed");
    refused(&world, &two, "PERMIT_CLAIMED");
}

#[test]
fn claims_that_are_lost_deny_until_the_owner_begins_anew() {
    let world = protected("one_shot");
    let (one, two) = two(&world);
    permit(&world, ABSENT, &one);
    lands(&world, &one);
    permit(&world, &one, &two);
    let folder = world.path("server.git/permit-claims");
    let id = world.git("server.git", &["config", "permit.claims"]);
    // Another folder, and none.
    fs::write(folder.join("id"), "another\n").unwrap();
    refused(&world, &two, "CLAIMS_LOST");
    fs::remove_dir_all(&folder).unwrap();
    refused(&world, &two, "CLAIMS_LOST");
    let installed = world.ok("server.git", &["guard", "install"]);
    assert_eq!(installed["claims"], "lost");
    assert!(!folder.exists());
    refused(&world, &two, "CLAIMS_LOST");
    // What needs no permit goes on.
    world.pushed("a", &[&format!("{one}:refs/heads/other")]);
    let run = world.permit("server.git", &["guard", "claims", "reset", "--reason", " "]);
    assert_eq!(run.exit, 7, "{run:?}");
    let reset = ["guard", "claims", "reset", "--reason", "disk broke"];
    let reset = world.ok("server.git", &reset);
    assert_eq!(reset["reason_given"], "disk broke");
    assert_ne!(world.git("server.git", &["config", "permit.claims"]), id);
    // A permit from before may have been used.
    refused(&world, &two, "PERMIT_REQUIRED");
    permit(&world, &one, &two);
    lands(&world, &two);
}

#[test]
fn a_permit_is_not_honoured_where_nothing_would_tell_that_its_update_landed() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    permit(&world, ABSENT, &one);
    let path = world.path("server.git/hooks/reference-transaction");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&path, mode).unwrap();
    refused(&world, &one, "PERMIT_REQUIRED");
    fs::remove_file(&path).unwrap();
    refused(&world, &one, "PERMIT_REQUIRED");
    let run = push(&world, &one);
    assert!(run.stderr.contains("permit guard install"), "{run:?}");
    world.ok("server.git", &["guard", "install"]);
    lands(&world, &one);
}

#[test]
fn shadow_claims_nothing() {
    let world = protected("one_shot");
    let (one, _) = two(&world);
    let id = permit(&world, ABSENT, &one);
    let run = world.push("a", "shadow", &[&format!("{one}:{PROD}")]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(claim(&world, &id), None);
}

#[test]
fn another_hook_is_never_overwritten_and_then_none_is_written() {
    let world = World::new();
    let hooks = world.path("server.git/hooks");
    fs::remove_file(hooks.join("pre-receive")).unwrap();
    hook(&world, "reference-transaction", "exit 0");
    let run = world.permit("server.git", &["guard", "install"]);
    assert_eq!(run.exit, 7, "{run:?}");
    assert!(
        run.stderr.contains("permit guard transaction \"$1\""),
        "{run:?}"
    );
    assert!(!hooks.join("pre-receive").exists());
    let kept = fs::read_to_string(hooks.join("reference-transaction")).unwrap();
    assert_eq!(kept, "#!/bin/sh\nexit 0\n");
    fs::remove_file(hooks.join("reference-transaction")).unwrap();
    world.ok("server.git", &["guard", "install"]);
}
