//! Which table judges: that of the first parent of the commit that introduced the artifact.

use serde_json::{Value, json};

use super::ledger::{Ledger, PRINCIPALS, human};
use crate::forge::{self, Forger};
use crate::sandbox::copy_folder;

/// A new person in the table, who signs beside ana.
fn appoint_eve(ledger: &mut Ledger) {
    let key = ledger.sandbox.keygen("eve", &["-t", "ed25519"]);
    ledger.alter_table(|people| people.push(human("human:eve", &key)));
    ledger.artifact["cross_signers"] = json!(["human:ana", "human:eve"]);
    ledger.signing[1] = ("human:eve", "eve");
}

#[test]
fn nobody_appoints_themselves_in_the_commit_that_they_approve_with() {
    let mut ledger = Ledger::new();
    appoint_eve(&mut ledger);
    ledger.commit();
    ledger.refused(5, "SELF_APPOINTMENT", "table and review in one commit");
    // Later commits do not make it better; the same bytes brought in again after the appointment do.
    ledger.sandbox.write("x", "x");
    ledger.sandbox.commit();
    ledger.refused(5, "SELF_APPOINTMENT", "later");
    ledger.sandbox.remove(&ledger.path());
    ledger.sandbox.commit();
    ledger.commit();
    ledger.refused(0, "OK", "appointed before it came in again");
}

#[test]
fn a_new_key_of_a_known_person_is_an_appointment_too() {
    let mut ledger = Ledger::new();
    let key = ledger.sandbox.keygen("bo2", &["-t", "ed25519"]);
    ledger.alter_table(|people| people[1]["keys"] = json!([key]));
    ledger.signing[1].1 = "bo2";
    ledger.commit();
    ledger.refused(5, "SELF_APPOINTMENT", "a new key");
    let ledger = Ledger::new();
    ledger.commit();
    let key = ledger.sandbox.keygen("bo2", &["-t", "ed25519"]);
    ledger.alter_table(|people| people[1]["keys"] = json!([key]));
    ledger.sandbox.commit();
    ledger.refused(5, "PRINCIPAL_REVOKED", "the key that signed was withdrawn");
}

type Alter = fn(&mut Vec<Value>);

#[test]
fn a_role_or_a_person_that_is_gone_counts_no_longer() {
    let ledger = Ledger::new();
    ledger.commit();
    let restore = |ledger: &Ledger| {
        ledger
            .sandbox
            .git(&["checkout", "-q", "HEAD~1", "--", PRINCIPALS]);
        ledger.sandbox.commit();
        ledger.refused(0, "OK", "restored");
    };
    let alterations: [(&str, Alter); 3] = [
        ("PRINCIPAL_REVOKED", |people| {
            people[0]["status"] = json!("revoked");
        }),
        ("REVIEW_ROLE_INVALID", |people| {
            people[0]["roles"] = json!([]);
        }),
        ("PRINCIPAL_UNKNOWN", |people| drop(people.remove(1))),
    ];
    for (code, alter) in alterations {
        let ledger = Ledger::new();
        ledger.commit();
        ledger.alter_table(alter);
        ledger.sandbox.commit();
        ledger.refused(5, code, code);
        restore(&ledger);
    }
    ledger.refused(0, "OK", "untouched");
}

#[test]
fn what_a_merge_brings_in_is_judged_by_the_branch_that_was_merged_into() {
    let mut ledger = Ledger::new();
    let sandbox = &ledger.sandbox;
    let govern = ["config", "permit.governedRef"];
    sandbox.git(&["checkout", "-q", "-b", "topic"]);
    sandbox.git(&[&govern[..], &["refs/heads/topic"]].concat());
    let key = sandbox.keygen("eve", &["-t", "ed25519"]);
    ledger.alter_table(|people| people.push(human("human:eve", &key)));
    // On the branch the appointment comes first; on the first-parent chain both arrive with the merge.
    ledger.sandbox.commit();
    ledger.artifact["cross_signers"] = json!(["human:ana", "human:eve"]);
    ledger.signing[1] = ("human:eve", "eve");
    ledger.commit();
    ledger.refused(0, "OK", "on the branch, after the appointment");
    ledger
        .sandbox
        .git(&["update-ref", "-d", "refs/permit/streams/main"]);
    ledger.sandbox.git(&["checkout", "-q", "main"]);
    ledger
        .sandbox
        .git(&[&govern[..], &["refs/heads/main"]].concat());
    std::fs::remove_dir_all(ledger.sandbox.root().join(".git/permit")).unwrap();
    let (_, opened) = ledger.sandbox.json(&["stream", "open", "main"]);
    assert_eq!(
        opened["event_hash"],
        ledger.artifact["anchor"]["event_hash"]
    );
    ledger
        .sandbox
        .git(&["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    ledger.refused(5, "SELF_APPOINTMENT", "both arrive with the merge");
}

#[test]
fn a_review_that_a_merge_brings_in_passes() {
    let ledger = Ledger::new();
    let sandbox = &ledger.sandbox;
    sandbox.git(&["checkout", "-q", "-b", "other"]);
    sandbox.write("other", "x");
    sandbox.commit();
    sandbox.git(&["checkout", "-q", "-b", "topic", "main"]);
    ledger.commit();
    sandbox.git(&["checkout", "-q", "main"]);
    // An octopus: its first parent is what counts.
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "octopus", "other", "topic"]);
    let parents = sandbox.git(&["rev-list", "--parents", "-n", "1", "HEAD"]);
    assert_eq!(parents.split(' ').count(), 4);
    let permit = ledger.issue_permit();
    let (_, shown) = sandbox.json(&["show", permit["permit_id"].as_str().unwrap()]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        shown["events"][0]["payload"]["review"]["introduced_by"],
        head
    );
    assert_eq!(sandbox.reason(&["replay"]), (0, "OK".to_owned()));
}

#[test]
fn first_adoption_takes_the_commit_s_own_table_and_only_then() {
    let ledger = Ledger::new();
    let table = std::fs::read(ledger.sandbox.root().join(PRINCIPALS)).unwrap();
    // A history that never held a table before the review came in.
    ledger.sandbox.git(&["checkout", "-q", "--orphan", "fresh"]);
    let govern = ["config", "permit.governedRef", "refs/heads/fresh"];
    ledger.sandbox.git(&govern);
    ledger.sandbox.remove(PRINCIPALS);
    ledger.sandbox.commit();
    ledger.sandbox.write(PRINCIPALS, &table);
    ledger.commit();
    ledger.refused(0, "OK", "first adoption");

    // The same, and a table long ago.
    let ledger = Ledger::new();
    ledger.sandbox.remove(PRINCIPALS);
    ledger.sandbox.commit();
    ledger.sandbox.write(PRINCIPALS, table_of(&ledger));
    ledger.commit();
    ledger.refused(7, "PRINCIPALS_MISSING", "an earlier one was removed");

    // A malformed table before is not an absent one.
    let ledger = Ledger::new();
    let sound = table_of(&ledger);
    ledger.sandbox.write(PRINCIPALS, "{}");
    ledger.sandbox.commit();
    ledger.sandbox.write(PRINCIPALS, &sound);
    ledger.commit();
    ledger.refused(7, "INVALID_PRINCIPALS", "a malformed one before");
}

fn table_of(ledger: &Ledger) -> Vec<u8> {
    let show = format!("HEAD:{PRINCIPALS}");
    let root = ledger.sandbox.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let first = format!("{root}:{PRINCIPALS}");
    let found = ledger.sandbox.command("git").args(["show", &show]).output();
    match found.unwrap() {
        output if output.status.success() => output.stdout,
        _ => ledger.sandbox.run("git", &["show", &first], b""),
    }
}

#[test]
fn a_shallow_clone_is_not_taken_for_first_adoption() {
    let ledger = Ledger::new();
    ledger.commit();
    let sandbox = &ledger.sandbox;
    let clone = sandbox.aside("clone");
    let from = format!("file://{}", sandbox.root().display());
    let to = clone.to_str().unwrap();
    sandbox.git(&["clone", "-q", "--depth", "1", &from, to]);
    sandbox.git(&[
        "-C",
        to,
        "fetch",
        "-q",
        "origin",
        "refs/permit/*:refs/permit/*",
    ]);
    sandbox.git(&["-C", to, "config", "permit.governedRef", "refs/heads/main"]);
    let issue = ["issue", "--request", "../request.json", "--repo", to];
    assert_eq!(sandbox.reason(&issue), (1, "OBJECT_MISSING".to_owned()));
    sandbox.git(&["-C", to, "fetch", "-q", "--unshallow"]);
    assert_eq!(sandbox.reason(&issue), (0, "OK".to_owned()));
}

#[test]
fn replace_refs_do_not_bring_in_another_past() {
    let mut ledger = Ledger::new();
    appoint_eve(&mut ledger);
    let head = ledger.commit();
    // A replacement in which eve was appointed before.
    let sandbox = &ledger.sandbox;
    let parent = sandbox.git(&["rev-parse", "HEAD~1"]);
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let forged = sandbox.git(&["commit-tree", &tree, "-p", &parent, "-m", "appointed"]);
    let second = sandbox.git(&["commit-tree", &tree, "-p", &forged, "-m", "reviewed"]);
    sandbox.git(&["replace", &head, &second]);
    ledger.refused(5, "SELF_APPOINTMENT", "a replaced commit");
}

#[test]
fn nothing_older_than_the_commit_before_the_artifact_is_read() {
    let ledger = Ledger::new();
    let sandbox = &ledger.sandbox;
    let root = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.write("x", "x");
    sandbox.commit();
    ledger.commit();
    for number in 0..3 {
        sandbox.write("x", format!("{number}"));
        sandbox.commit();
    }
    let (folder, name) = root.split_at(2);
    let object = sandbox.root().join(".git/objects").join(folder).join(name);
    std::fs::remove_file(object).unwrap();
    // What was seen of the governed ref may lie further back.
    std::fs::remove_dir_all(sandbox.root().join(".git/permit")).unwrap();
    ledger.issue_permit();
    assert_eq!(ledger.verify(), (0, "OK".to_owned()));
}

#[test]
fn issue_at_old_where_what_people_looked_at_differs_at_the_tip() {
    let ledger = Ledger::new();
    ledger.commit();
    let sandbox = &ledger.sandbox;
    let issue = ["issue", "--request", "../request.json", "--at", "HEAD~1"];
    sandbox.write("release/web.txt", "web 6.6.6\n");
    sandbox.commit();
    let (exit, found) = sandbox.json(&issue);
    assert_eq!((exit, &found["reason"]), (6, &json!("GOVERNED_STALE")));
    assert_eq!(found["details"]["path"], "release/web.txt");
    sandbox.git(&["checkout", "-q", "HEAD~1", "--", "release"]);
    sandbox.write("release/other.txt", "nobody looked at it");
    sandbox.commit();
    let issue = [&issue[..4], &["HEAD~2"]].concat();
    assert_eq!(sandbox.reason(&issue), (0, "OK".to_owned()));
}

#[test]
fn a_recorded_review_of_an_older_form_is_superseded_and_not_used_again() {
    let ledger = Ledger::new();
    let sandbox = &ledger.sandbox;
    let fork = sandbox.aside("fork");
    copy_folder(&sandbox.root(), &fork);
    ledger.commit();
    ledger.issue_permit();
    let event = sandbox.git(&["log", "-1", "--format=%b", "refs/permit/streams/main"]);
    let subject = sandbox.git(&["log", "-1", "--format=%s", "refs/permit/streams/main"]);
    let opened = sandbox.git(&["rev-parse", "refs/permit/streams/main~1"]);
    let mut event: Value = serde_json::from_str::<Value>(&event).unwrap()["event"].take();
    // The same review in a file that is not canonical, as it was taken before that rule.
    let at = fork.to_str().unwrap();
    for path in [ledger.path(), ledger.manifest_path()] {
        let text = std::fs::read_to_string(sandbox.root().join(&path)).unwrap();
        sandbox.write(&format!("../fork/{path}"), format!(" {text}"));
    }
    sandbox.git(&["-C", at, "add", "--all"]);
    sandbox.git(&["-C", at, "commit", "-q", "-m", "c"]);
    let commit = sandbox.git(&["-C", at, "rev-parse", "HEAD"]);
    event["payload"]["governed_commit"] = json!(commit);
    event["payload"]["review"]["introduced_by"] = json!(commit);
    let forger = Forger::at(&fork);
    let bytes = forge::commit(Some(&opened), 1, &subject, &forge::artifact(&event));
    forger.point("main", &forger.write(&bytes));
    let (exit, found) = sandbox.json(&["--repository", at, "replay"]);
    assert_eq!((exit, &found["reason"]), (0, &json!("OK")), "{found}");
    assert_eq!(found["divergences"], json!([]));
    assert_eq!(found["superseded"][0]["sequence"], 1, "{found}");
    assert_eq!(found["superseded"][0]["reason"], "INVALID_REVIEW");
    let request = ["--request", "../request.json"];
    for command in [
        &["verify", "../permit.json"][..],
        &["use", "../permit.json"],
    ] {
        let call = [&["--repository", at], command, &request].concat();
        assert_eq!(
            sandbox.reason(&call),
            (7, "INVALID_REVIEW".to_owned()),
            "{command:?}"
        );
    }
    // What meets every rule is no part of the list.
    assert_eq!(sandbox.json(&["replay"]).1["superseded"], json!([]));
}
