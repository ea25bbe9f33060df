//! Every kind of repository that is supported, those that are not, and refs in every form.

use std::fs;

use insta::assert_snapshot;

use super::{EVAL, ISSUE};
use crate::sandbox::Sandbox;

#[test]
fn every_kind_of_repository_gives_the_same_answer() {
    let sandbox = Sandbox::chain();
    // Of another repository the answer is the same, and says so.
    let seen = |arguments: &[&str]| {
        let mut object = sandbox.json(arguments);
        for name in [
            "repository",
            "governed_ref",
            "governed_commit",
            "governance",
            "trust_root",
            "ungoverned",
        ] {
            object.as_object_mut().unwrap().remove(name);
        }
        object
    };
    let expected = sandbox.json(&["verify-chain"]);
    sandbox.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    sandbox.git(&["clone", "--quiet", "--mirror", ".", "../mirror.git"]);
    let mirror = sandbox.aside("mirror.git");
    let (mirror, linked) = (mirror.to_str().unwrap().to_owned(), sandbox.aside("linked"));
    fs::create_dir(sandbox.path("requests/deep")).unwrap();
    for folder in ["requests/deep", ".git", ".git/refs"] {
        let mut command = sandbox.permit_command(&["verify-chain", "--format", "json"]);
        let run = sandbox.finish(command.current_dir(sandbox.path(folder)).output().unwrap());
        assert_eq!(
            run.stdout,
            format!("{expected}\n"),
            "{folder}: {}",
            run.stderr
        );
    }
    for place in [&mirror, linked.to_str().unwrap()] {
        for option in ["--repo", "--repository"] {
            assert_eq!(
                seen(&["verify-chain", option, place]),
                seen(&["verify-chain"]),
                "{place}"
            );
        }
    }
    let mut command = sandbox.permit_command(&["verify-chain", "--format", "json"]);
    command.current_dir("/").env("GIT_DIR", &mirror);
    let inherited = sandbox.finish(command.output().unwrap()).stdout;
    let named = sandbox.json(&["verify-chain", "--repo", &mirror]);
    assert_eq!(inherited, format!("{named}\n"));
    assert_eq!(named["repository"], "[SANDBOX]/mirror.git", "it shows");
    let outside = sandbox.aside("home");
    assert_eq!(
        sandbox.reason(&["verify-chain", "--repo", outside.to_str().unwrap()]),
        "GIT_ERROR"
    );
}

#[test]
fn what_libgit2_cannot_read_gets_a_clear_refusal() {
    let sandbox = Sandbox::empty();
    sandbox.git(&["init", "--quiet", "--object-format=sha256", "."]);
    assert_snapshot!("sha256", sandbox.permit(&["stream", "list"]));
    let sandbox = Sandbox::empty();
    sandbox.git(&["init", "--quiet", "--ref-format=reftable", "."]);
    assert_snapshot!("reftable", sandbox.permit(&["stream", "list"]));
    let sandbox = Sandbox::empty();
    assert_snapshot!("no_repository", sandbox.permit(&["stream", "list"]));
    let sandbox = Sandbox::without_commits();
    sandbox.write("requests/read.json", lines());
    assert_snapshot!("no_commit", sandbox.permit(&EVAL));
}

fn lines() -> Vec<u8> {
    fs::read(crate::sandbox::fixtures().join("repos/acme/requests/read.json")).unwrap()
}

#[test]
fn refs_that_were_packed_are_read_and_go_on() {
    let sandbox = Sandbox::chain();
    sandbox.git(&["pack-refs", "--all"]);
    sandbox.git(&["gc", "--quiet", "--aggressive", "--prune=now"]);
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 8);
    sandbox.issue("read");
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 9);
    assert_eq!(sandbox.json(&["replay"])["replayed"], 7);
}

#[test]
fn a_stream_s_ref_that_is_symbolic_or_names_a_tag() {
    let sandbox = Sandbox::chain();
    let tip = sandbox.tip("main");
    sandbox.git(&["tag", "--annotate", "--message", "x", "tip", &tip]);
    let tag = sandbox.git(&["rev-parse", "refs/tags/tip"]);
    let name = sandbox.path(".git/refs/permit/streams/main");
    let mut found = String::new();
    for (what, content) in [
        ("a tag", tag),
        (
            "a symbolic ref to a branch",
            "ref: refs/heads/main".to_owned(),
        ),
        (
            "a symbolic ref to nothing",
            "ref: refs/heads/gone".to_owned(),
        ),
        (
            "a symbolic ref to itself",
            "ref: refs/permit/streams/main".to_owned(),
        ),
        ("no id", "garbage".to_owned()),
        ("nothing", String::new()),
        ("a commit that is not there", "1".repeat(40)),
        ("zeros", "0".repeat(40)),
    ] {
        fs::write(&name, format!("{content}\n")).unwrap();
        let reasons = [
            &["verify-chain"][..],
            &ISSUE,
            &["stream", "list"],
            &["stream", "open", "main"],
        ]
        .map(|call| sandbox.reason(call));
        found.push_str(&format!("{what}: {}\n", reasons.join(" ")));
        let now = fs::read_to_string(&name).unwrap();
        assert_eq!(now.trim_end(), content, "{what}: nothing was written");
    }
    assert_snapshot!("odd_refs", found);
}
