//! Which commit decides, and who may do what: the governed commit, the governed ref, the role.

use std::fs;

use insta::assert_snapshot;

use super::{EVAL, ISSUE, POLICY};
use crate::sandbox::Sandbox;

fn severity(sandbox: &Sandbox) -> String {
    let found = sandbox.json(&EVAL);
    found["mapping"]["final_severity"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn work_tree_and_index_change_nothing_but_a_warning() {
    let sandbox = Sandbox::opened();
    let text = fs::read_to_string(sandbox.path(POLICY)).unwrap();
    sandbox.write(POLICY, text.replace("\"allow\"", "\"block\""));
    assert_snapshot!("dirty", sandbox.permit(&EVAL));
    sandbox.git(&["add", "--all"]);
    assert_eq!(severity(&sandbox), "allow");
    fs::remove_dir_all(sandbox.path("governance")).unwrap();
    assert_eq!(severity(&sandbox), "allow");
    assert_eq!(sandbox.json(&ISSUE)["reason"], "OK");
}

#[test]
fn only_commits_of_the_governed_ref_decide() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["config", "permit.governedRef", "main"]);
    assert_eq!(sandbox.json(&ISSUE)["governed_ref"], "refs/heads/main");
    sandbox.git(&["switch", "--quiet", "--create", "side"]);
    sandbox.commit("Aside");
    let at_side = |call: &[&'static str]| [call, &["--at", "side"]].concat();
    assert_snapshot!("not_governed", sandbox.permit(&at_side(&ISSUE)));
    for call in [&EVAL[..], &["stream", "open", "other"], &["status"]] {
        assert_eq!(
            sandbox.reason(&at_side(call)),
            "COMMIT_NOT_GOVERNED",
            "{call:?}"
        );
    }
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--at", "main"]].concat()),
        "OK"
    );
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--governed-ref", "refs/heads/side"]].concat()),
        "COMMIT_NOT_GOVERNED"
    );
    // A merge brings the side branch's commits in, but not on the first-parent chain.
    sandbox.git(&["switch", "--quiet", "main"]);
    sandbox.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", "side"]);
    assert_eq!(sandbox.reason(&EVAL), "OK");
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--at", "side"]].concat()),
        "COMMIT_NOT_GOVERNED"
    );
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--at", "HEAD^1"]].concat()),
        "OK"
    );
    sandbox.git(&["config", "permit.governedRef", "refs/heads/gone"]);
    assert_eq!(sandbox.reason(&EVAL), "COMMIT_NOT_GOVERNED");
}

#[test]
fn a_tracked_file_does_not_name_the_trust_root() {
    let sandbox = Sandbox::opened();
    sandbox.write(".gitconfig", "[permit]\n\trole = executor\n");
    sandbox.commit("Tracked");
    let found = sandbox.json(&ISSUE);
    assert_eq!(
        (found["reason"].as_str(), &found["governed_ref"]),
        (Some("OK"), &serde_json::json!("refs/heads/main"))
    );
}

#[test]
fn roles_separate_those_who_issue_from_those_who_act() {
    let sandbox = Sandbox::chain();
    let permit = sandbox.permit_file("read");
    let verify = ["verify", &permit, "--request", "requests/read.json"];
    let using = ["use", &permit, "--request", "requests/read.json"];
    let batch = ["issue", "--batch", "/dev/null"];
    sandbox.git(&["config", "permit.role", "executor"]);
    assert_snapshot!("role", sandbox.permit(&ISSUE));
    for call in [&["stream", "open", "other"][..], &["init"], &batch] {
        assert_eq!(
            sandbox.reason_of_last_line(call),
            "ROLE_FORBIDDEN",
            "{call:?}"
        );
    }
    for call in [
        &verify[..],
        &using,
        &EVAL,
        &["replay"],
        &["verify-chain"],
        &["status"],
    ] {
        assert_eq!(sandbox.reason(call), "OK", "{call:?}");
    }
    sandbox.git(&["config", "permit.role", "supervisor"]);
    assert_eq!(sandbox.reason(&using), "ROLE_FORBIDDEN");
    for call in [&ISSUE[..], &verify, &["replay"]] {
        assert_eq!(sandbox.reason(call), "OK", "{call:?}");
    }
    sandbox.git(&["config", "permit.role", "admin"]);
    assert_eq!(sandbox.reason(&ISSUE), "INVALID_INPUT");
}

#[test]
fn revisions_that_name_no_commit_or_one_behind_a_tag() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["tag", "--annotate", "--message", "v1", "v1"]);
    sandbox.git(&["tag", "light"]);
    for rev in [
        "v1",
        "light",
        "HEAD",
        "main",
        "refs/heads/main",
        "HEAD^{commit}",
    ] {
        assert_eq!(
            sandbox.reason(&[&EVAL[..], &["--at", rev]].concat()),
            "OK",
            "{rev}"
        );
    }
    for rev in [
        "HEAD:README.md",
        "HEAD^{tree}",
        "HEAD~1",
        "nowhere",
        "",
        "main..HEAD",
        "-x",
        "refs/permit/streams/gone",
    ] {
        let at = format!("--at={rev}");
        assert_eq!(
            sandbox.reason(&[&EVAL[..], &[&at]].concat()),
            "INVALID_INPUT",
            "{rev}"
        );
    }
    let issued = sandbox.json(&[&ISSUE[..], &["--at", "v1"]].concat());
    assert_eq!(
        issued["governed_commit"],
        sandbox.git(&["rev-parse", "HEAD"])
    );
    sandbox.ok(&["replay"]);
}
