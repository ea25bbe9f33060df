//! Objects are read raw, by id, and checked: what is planted in the object database changes nothing or is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use insta::assert_snapshot;

use super::{EVAL, ISSUE, POLICY};
use crate::sandbox::{Sandbox, with_input};

#[test]
fn filters_and_attributes_change_nothing() {
    let sandbox = Sandbox::acme();
    let policy_hash = sandbox.json(&EVAL)["mapping"]["policy_hash"].clone();
    sandbox.write(
        ".gitattributes",
        "*.json filter=evil text eol=crlf ident working-tree-encoding=UTF-16\n",
    );
    sandbox.git(&["add", ".gitattributes"]);
    sandbox.git(&["commit", "--quiet", "--message", "Attributes"]);
    sandbox.git(&["config", "filter.evil.smudge", "sed s/allow/block/"]);
    sandbox.git(&["config", "filter.evil.clean", "sed s/allow/block/"]);
    assert_eq!(sandbox.json(&EVAL)["mapping"]["policy_hash"], policy_hash);
}

#[test]
fn replace_refs_change_nothing() {
    let sandbox = Sandbox::chain();
    let good = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["switch", "--quiet", "--create", "evil"]);
    let evil = sandbox.amend_policy(
        "\"effect\": \"block\"",
        "\"effect\": \"allow\", \"grant\": {\"mode\": \"bounded\", \"commit\": true}",
    );
    sandbox.git(&["switch", "--quiet", "main"]);
    let blob = |commit: &str| sandbox.git(&["rev-parse", &format!("{commit}:{POLICY}")]);
    let env = ["eval", "--request", "requests/env.json"];
    let before = sandbox.json(&env);
    sandbox.git(&["replace", &good, &evil]);
    sandbox.git(&["replace", &blob(&good), &blob(&evil)]);
    sandbox.git(&[
        "replace",
        &sandbox.git(&["rev-parse", "refs/permit/streams/main"]),
        &sandbox.git(&["rev-parse", "refs/permit/streams/main~3"]),
    ]);
    assert_eq!(sandbox.json(&env), before);
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 8);
    assert_eq!(sandbox.reason(&["replay"]), "OK");
}

#[test]
fn grafts_and_shallow_lists_change_nothing_that_can_be_read() {
    let sandbox = Sandbox::chain();
    let tip = sandbox.tip("main");
    fs::create_dir_all(sandbox.path(".git/info")).unwrap();
    fs::write(sandbox.path(".git/info/grafts"), format!("{tip}\n")).unwrap();
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 8);
    fs::write(sandbox.path(".git/shallow"), format!("{tip}\n")).unwrap();
    let found = sandbox.json(&["verify-chain"]);
    assert!(
        found["reason"] == "OK" && found["events"] == 8 || found["reason"] == "OBJECT_MISSING",
        "{found}"
    );
}

/// Commits a tree that was made by hand from lines of `git mktree`.
fn commit_tree(sandbox: &Sandbox, policy_folder: &str) {
    let make = |lines: &str| {
        let mut command = sandbox.command("git");
        command.args(["mktree", "--missing"]);
        let output = with_input(command, lines.as_bytes());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let policy = make(policy_folder);
    let governance = make(&format!("040000 tree {policy}\tpolicy\n"));
    let root = make(&format!("040000 tree {governance}\tgovernance\n"));
    let commit = sandbox.git(&["commit-tree", "-m", "odd", &root]);
    sandbox.git(&["update-ref", "refs/heads/main", &commit]);
}

#[test]
fn links_submodules_and_folders_at_governed_paths() {
    let sandbox = Sandbox::acme();
    let blob = sandbox.git(&["rev-parse", &format!("HEAD:{POLICY}")]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let mut found = String::new();
    for (what, lines) in [
        (
            "a plain file",
            format!("100644 blob {blob}\ta.policy.json\n"),
        ),
        (
            "an executable file",
            format!("100755 blob {blob}\ta.policy.json\n"),
        ),
        ("a symlink", format!("120000 blob {blob}\ta.policy.json\n")),
        (
            "a submodule",
            format!("160000 commit {head}\ta.policy.json\n"),
        ),
        ("a folder", format!("040000 tree {tree}\ta.policy.json\n")),
        (
            "two policies",
            format!("100644 blob {blob}\ta.policy.json\n100644 blob {blob}\tb.policy.json\n"),
        ),
        (
            "a policy and a symlink",
            format!("100644 blob {blob}\ta.policy.json\n120000 blob {blob}\tb.policy.json\n"),
        ),
        ("no policy", format!("100644 blob {blob}\tREADME\n")),
        (
            "in capitals",
            format!("100644 blob {blob}\tA.POLICY.JSON\n"),
        ),
        (
            "a missing blob",
            format!("100644 blob {}\ta.policy.json\n", "1".repeat(40)),
        ),
    ] {
        commit_tree(&sandbox, &lines);
        found.push_str(&format!("{what}: {}\n", sandbox.reason(&EVAL)));
    }
    assert_snapshot!("governed_paths", found);
}

#[test]
fn a_governance_folder_that_is_a_link_or_a_submodule() {
    let sandbox = Sandbox::acme();
    fs::rename(sandbox.path("governance"), sandbox.path("elsewhere")).unwrap();
    symlink("elsewhere", sandbox.path("governance")).unwrap();
    sandbox.commit("A link");
    assert_eq!(sandbox.reason(&EVAL), "INVALID_POLICY");
    fs::remove_file(sandbox.path("governance")).unwrap();
    let entry = format!("160000,{},governance", sandbox.git(&["rev-parse", "HEAD"]));
    sandbox.git(&["rm", "--quiet", "--cached", "governance"]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &entry]);
    sandbox.git(&["commit", "--quiet", "--message", "A submodule"]);
    assert_eq!(sandbox.reason(&EVAL), "INVALID_POLICY");
}

#[test]
fn objects_that_do_not_parse_strictly() {
    let sandbox = Sandbox::acme();
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let empty = sandbox.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let who = "a <a@b> 1 +0000";
    let mut found = String::new();
    for (what, bytes) in [
        (
            "a good commit",
            format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n"),
        ),
        (
            "two trees",
            format!("tree {tree}\ntree {empty}\nauthor {who}\ncommitter {who}\n\nx\n"),
        ),
        (
            "two authors",
            format!("tree {tree}\nauthor {who}\nauthor {who}\ncommitter {who}\n\nx\n"),
        ),
        ("no committer", format!("tree {tree}\nauthor {who}\n\nx\n")),
        ("no tree", format!("author {who}\ncommitter {who}\n\nx\n")),
        (
            "no message",
            format!("tree {tree}\nauthor {who}\ncommitter {who}\n"),
        ),
    ] {
        let commit = sandbox.object("commit", bytes.as_bytes());
        fs::write(sandbox.path(".git/refs/heads/main"), format!("{commit}\n")).unwrap();
        found.push_str(&format!("{what}: {}\n", sandbox.reason(&EVAL)));
    }
    assert_snapshot!("odd_commits", found);
}

#[test]
fn a_tree_with_an_entry_twice_is_refused() {
    let sandbox = Sandbox::acme();
    let id = sandbox.git(&["rev-parse", "HEAD:governance"]);
    let raw = hex::decode(&id).unwrap();
    let entry = [b"40000 governance\0", raw.as_slice()].concat();
    let tree = sandbox.object("tree", &[entry.as_slice(), &entry].concat());
    let commit = sandbox.git(&["commit-tree", "-m", "twice", &tree]);
    sandbox.git(&["update-ref", "refs/heads/main", &commit]);
    assert_eq!(sandbox.reason(&EVAL), "GIT_ERROR");
}

#[test]
fn an_object_that_was_changed_on_disk_is_refused() {
    let sandbox = Sandbox::acme();
    let (good, other) = (
        sandbox.git(&["rev-parse", &format!("HEAD:{POLICY}")]),
        sandbox.git(&["rev-parse", "HEAD:README.md"]),
    );
    let path = |id: &str| sandbox.path(&format!(".git/objects/{}/{}", &id[..2], &id[2..]));
    fs::set_permissions(path(&good), fs::Permissions::from_mode(0o644)).unwrap();
    fs::copy(path(&other), path(&good)).unwrap();
    assert_eq!(sandbox.reason(&EVAL), "GIT_ERROR");
    fs::remove_file(path(&good)).unwrap();
    assert_eq!(sandbox.reason(&EVAL), "OBJECT_MISSING");
}

#[test]
fn an_object_that_a_crash_cut_short_is_refused_and_not_waited_for() {
    // libgit2 inflates such a file without end.
    let sandbox = Sandbox::chain();
    let permit = sandbox.permit_file("read");
    let verify = ["verify", &permit, "--request", "requests/read.json"];
    let calls = [
        &["verify-chain"][..],
        &verify,
        &ISSUE,
        &["replay"],
        &["log"],
        &["status"],
    ];
    for (name, places) in [
        ("refs/permit/streams/main", "CHAIN_MALFORMED"),
        ("refs/permit/streams/main~1", "CHAIN_MALFORMED"),
        ("HEAD", "GIT_ERROR"),
        ("HEAD^{tree}", "GIT_ERROR"),
        ("HEAD:governance/policy/acme.policy.json", "GIT_ERROR"),
    ] {
        let id = sandbox.git(&["rev-parse", name]);
        let path = sandbox.path(&format!(".git/objects/{}/{}", &id[..2], &id[2..]));
        let whole = fs::read(&path).unwrap();
        let mut mode = fs::metadata(&path).unwrap().permissions();
        mode.set_mode(0o644);
        fs::set_permissions(&path, mode).unwrap();
        for length in [whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let tip = sandbox.tip("main");
            for call in calls {
                // A verdict on the stream alone needs nothing that is governed.
                let of_stream =
                    places.starts_with("CHAIN") || ["replay", "issue", "verify"].contains(&call[0]);
                let expected = if of_stream { places } else { "OK" };
                if places == "GIT_ERROR" && call[0] == "status" {
                    continue;
                }
                assert_eq!(sandbox.reason(call), expected, "{name}, {length}: {call:?}");
            }
            assert_eq!(sandbox.tip("main"), tip, "{name}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(sandbox.reason(&["verify-chain"]), "OK");
}

#[test]
fn a_shallow_clone_that_lacks_what_is_needed_proves_nothing() {
    let sandbox = Sandbox::chain();
    let url = format!("file://{}", sandbox.path("").display());
    sandbox.git(&["clone", "--quiet", "--depth", "1", &url, "../shallow"]);
    let shallow = sandbox.aside("shallow");
    let there = ["--repo", shallow.to_str().unwrap()];
    sandbox.git(&[
        "-C",
        there[1],
        "config",
        "permit.governedRef",
        "refs/heads/main",
    ]);
    assert_eq!(
        sandbox.reason(&[&there[..], &["verify-chain"]].concat()),
        "STREAM_MISSING",
        "a plain clone"
    );
    let fetch = [
        "-C",
        there[1],
        "fetch",
        "--quiet",
        "--depth",
        "3",
        "origin",
        "refs/permit/streams/main:refs/permit/streams/main",
    ];
    sandbox.git(&fetch);
    assert_eq!(
        sandbox.reason(&[&there[..], &["verify-chain"]].concat()),
        "OBJECT_MISSING"
    );
    assert_eq!(
        sandbox.reason(&[&there[..], &["replay"]].concat()),
        "OBJECT_MISSING"
    );
    let permit = sandbox.permit_file("read");
    let verify = ["verify", &permit, "--request", "requests/read.json"];
    assert_eq!(
        sandbox.reason(&[&there[..], &verify].concat()),
        "OBJECT_MISSING"
    );
    let permit = sandbox.permit_file("fetch");
    let verify = ["verify", &permit, "--request", "requests/fetch.json"];
    assert_eq!(
        sandbox.reason(&[&there[..], &verify].concat()),
        "OK",
        "recent enough"
    );
    assert_eq!(sandbox.reason(&[&there[..], &ISSUE].concat()), "OK");
    assert_eq!(
        sandbox.reason(&[&there[..], &["replay", "--from", "7"]].concat()),
        "OK"
    );
}

#[test]
fn object_folders_of_the_environment_are_ignored() {
    let sandbox = Sandbox::chain();
    let other = Sandbox::without_commits();
    let expected = sandbox.ok(&["verify-chain", "--format", "json"]);
    let elsewhere = other.path(".git/objects");
    for name in [
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_GRAFT_FILE",
        "GIT_SHALLOW_FILE",
    ] {
        let mut command = sandbox.permit_command(&["verify-chain", "--format", "json"]);
        let run = sandbox.finish(command.env(name, &elsewhere).output().unwrap());
        assert_eq!(run.stdout, expected, "{name}");
    }
    // Objects that only an alternate of the environment holds are not there.
    let mut command = other.permit_command(&[
        "eval",
        "--at",
        &sandbox.git(&["rev-parse", "HEAD"]),
        "--format",
        "json",
        "--request",
    ]);
    command.arg(sandbox.path("requests/read.json"));
    command.env(
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        sandbox.path(".git/objects"),
    );
    let run = other.finish(command.output().unwrap());
    assert_ne!(run.exit, 0, "{}", run.stdout);
}

#[test]
fn the_repository_s_own_alternates_count() {
    let sandbox = Sandbox::chain();
    sandbox.git(&[
        "clone",
        "--quiet",
        "--shared",
        "--mirror",
        ".",
        "../shared.git",
    ]);
    let shared = sandbox.aside("shared.git");
    let found = sandbox.json(&["verify-chain", "--repo", shared.to_str().unwrap()]);
    assert_eq!(found["events"], 8);
}
