//! Changed as commits: header, subject, artifact, parents, the whole stream.

use std::fs;

use super::short;
use crate::forge::{self, EMPTY_TREE, Forger};
use crate::sandbox::Sandbox;

/// Rewrites the stream and asks for its verdict.
fn verdict(sandbox: &Sandbox, commits: &[Vec<u8>]) -> String {
    Forger::new(sandbox).rewrite("main", commits);
    sandbox.reason(&["verify-chain"])
}

/// Replaces text in raw commit bytes, once.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "no `{from}` in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn each_byte_flipped_in_the_head_and_subject_of_a_commit() {
    let sandbox = short();
    let good = forge::commits(&sandbox, "main");
    let mut wrong = Vec::new();
    for (number, bytes) in good.iter().enumerate() {
        let end = bytes.len() - forge::message(bytes).1.len();
        // The parent's id is given anew; that it must be the event before is tested with whole commits.
        let parent = 46..46 + forge::parent(bytes).map_or(0, |id| id.len() + 8);
        for at in (0..end).filter(|at| !parent.contains(at)) {
            let mut variant = good.clone();
            variant[number][at] ^= 0x01;
            let found = verdict(&sandbox, &variant);
            if found != "CHAIN_MALFORMED" {
                wrong.push(format!("event {number}, byte {at}: {found}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} variants:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn bytes_flipped_in_the_artifact_of_a_commit() {
    let sandbox = short();
    let good = forge::commits(&sandbox, "main");
    for (number, bytes) in good.iter().enumerate() {
        let start = bytes.len() - forge::message(bytes).1.len();
        for at in (start..bytes.len()).step_by(41) {
            let mut variant = good.clone();
            variant[number][at] ^= 0x01;
            let found = verdict(&sandbox, &variant);
            let fits = ["CHAIN_MALFORMED", "CHAIN_TAMPERED"].contains(&found.as_str());
            assert!(fits, "event {number}, byte {at}: {found}");
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of forms")]
fn commits_of_another_form() {
    let sandbox = short();
    let good = forge::commits(&sandbox, "main");
    assert_eq!(verdict(&sandbox, &good), "OK");
    let other_tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let author = "author permit <permit@invalid>";
    let used = "permit.used #2 allow tool:build ci:nightly";
    let form = [
        (1, "another author", author, "author root <permit@invalid>"),
        (
            1,
            "another address",
            author,
            "author permit <permit@example.com>",
        ),
        (
            1,
            "another author's time",
            "invalid> 1 +0000\nc",
            "invalid> 2 +0000\nc",
        ),
        (
            1,
            "another committer",
            "committer permit ",
            "committer ana ",
        ),
        (1, "another zone", "1 +0000\n\n", "1 +0100\n\n"),
        (
            1,
            "both times",
            "1 +0000\ncommitter permit <permit@invalid> 1 ",
            "7 +0000\ncommitter permit <permit@invalid> 7 ",
        ),
        (1, "another tree", EMPTY_TREE, &other_tree),
        (
            1,
            "an encoding",
            "+0000\n\npermit",
            "+0000\nencoding UTF-8\n\npermit",
        ),
        (
            1,
            "a signature",
            "+0000\n\npermit",
            "+0000\ngpgsig x\n y\n\npermit",
        ),
        (
            1,
            "an unknown header",
            "+0000\n\npermit",
            "+0000\nx y\n\npermit",
        ),
        (
            1,
            "a second author",
            author,
            "author permit <permit@invalid> 1 +0000\nauthor permit <permit@invalid>",
        ),
        (
            1,
            "a line feed before the subject",
            "+0000\n\n",
            "+0000\n\n\n",
        ),
        (
            1,
            "carriage returns",
            "ci:nightly\n\n{",
            "ci:nightly\r\n\r\n{",
        ),
        (1, "no empty line", "ci:nightly\n\n{", "ci:nightly\n{"),
        (1, "two empty lines", "ci:nightly\n\n{", "ci:nightly\n\n\n{"),
        (1, "another decision in the subject", "#1 allow", "#1 block"),
        (
            1,
            "another actor in the subject",
            "build ci:nightly\n",
            "build human:ana\n",
        ),
        (
            1,
            "another sequence in the subject",
            "issued #1 ",
            "issued #2 ",
        ),
        (
            1,
            "more in the subject",
            "ci:nightly\n\n",
            "ci:nightly (approved)\n\n",
        ),
        (
            2,
            "a decision that a use never had",
            used,
            "permit.used #2 block tool:build ci:nightly",
        ),
        (
            2,
            "a capability that a use never had",
            used,
            "permit.used #2 allow tool:deploy ci:nightly",
        ),
        (
            2,
            "an actor who never used it",
            used,
            "permit.used #2 allow tool:build human:ana",
        ),
        (
            0,
            "a parent of the first",
            &format!("tree {EMPTY_TREE}\n"),
            &format!(
                "tree {EMPTY_TREE}\nparent {}\n",
                sandbox.git(&["rev-parse", "HEAD"])
            ),
        ),
    ];
    let mut wrong = Vec::new();
    for (number, what, from, to) in form {
        let mut variant = good.clone();
        variant[number] = replaced(&good[number], from, to);
        let found = verdict(&sandbox, &variant);
        if found != "CHAIN_MALFORMED" {
            wrong.push(format!("{what}: {found}"));
        }
    }
    for (what, more) in [
        ("a line feed at the end", &b"\n"[..]),
        ("a space at the end", b" "),
        ("a NUL at the end", b"\0"),
    ] {
        for number in 0..good.len() {
            let mut variant = good.clone();
            variant[number].extend_from_slice(more);
            let found = verdict(&sandbox, &variant);
            if found != "CHAIN_MALFORMED" {
                wrong.push(format!("{what} of event {number}: {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_first_fault_in_stream_order_is_told_whatever_stands_behind_it() {
    let sandbox = short();
    let good = forge::commits(&sandbox, "main");
    let forger = Forger::new(&sandbox);
    let fault = |commits: &[Vec<u8>]| {
        forger.rewrite("main", commits);
        let found = sandbox.json(&["verify-chain"]);
        (found["verdict"].clone(), found["fault"]["sequence"].clone())
    };
    let payload = |number: usize| {
        let key = "\"operation\":\"";
        replaced(&good[number], key, &format!("{key}x"))
    };
    let time = |number: usize| {
        let (from, to) = (format!("{number} +0000"), format!("{number}0 +0000"));
        replaced(&good[number], &from, &to)
    };
    let with = |changes: &[(usize, Vec<u8>)]| {
        let mut commits = good.clone();
        for (number, bytes) in changes {
            commits[*number].clone_from(bytes);
        }
        fault(&commits)
    };
    let told = |verdict: &str, sequence: u64| (verdict.into(), sequence.into());
    assert_eq!(with(&[(3, time(3))]), told("MALFORMED", 3));
    assert_eq!(with(&[(1, payload(1)), (3, time(3))]), told("TAMPERED", 1));
    assert_eq!(with(&[(2, time(2)), (3, time(3))]), told("MALFORMED", 2));
    assert_eq!(
        with(&[(1, payload(1)), (2, time(2)), (3, time(3))]),
        told("TAMPERED", 1)
    );
}

#[test]
fn commits_with_other_parents() {
    let sandbox = short();
    let good = forge::commits(&sandbox, "main");
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    let ids: Vec<_> = (0..4)
        .rev()
        .map(|back| sandbox.git(&["rev-parse", &format!("refs/permit/streams/main~{back}")]))
        .collect();
    let forger = Forger::new(&sandbox);
    let mut found = Vec::new();
    let mut tell = |what: &str, bytes: Vec<u8>| {
        forger.point("main", &forger.write(&bytes));
        found.push(format!("{what}: {}\n", sandbox.reason(&["verify-chain"])));
    };
    let parent = format!("parent {}\n", ids[2]);
    tell("no parent", replaced(&good[3], &parent, ""));
    tell(
        "two parents",
        replaced(&good[3], &parent, &format!("{parent}parent {head}\n")),
    );
    tell(
        "the same parent twice",
        replaced(&good[3], &parent, &format!("{parent}{parent}")),
    );
    tell(
        "an older event",
        replaced(&good[3], &parent, &format!("parent {}\n", ids[1])),
    );
    tell(
        "the newest event itself",
        replaced(&good[3], &parent, &format!("parent {}\n", ids[3])),
    );
    tell(
        "a commit that is no event",
        replaced(&good[3], &parent, &format!("parent {head}\n")),
    );
    tell(
        "a commit that is not there",
        replaced(&good[3], &parent, &format!("parent {}\n", "1".repeat(40))),
    );
    forger.point("main", &head);
    found.push(format!(
        "the ref names a commit that is no event: {}\n",
        sandbox.reason(&["verify-chain"])
    ));
    forger.point("main", &sandbox.git(&["rev-parse", "HEAD^{tree}"]));
    found.push(format!(
        "the ref names a tree: {}\n",
        sandbox.reason(&["verify-chain"])
    ));
    forger.point("main", &ids[1]);
    found.push(format!(
        "the ref was set back: {}\n",
        sandbox.reason(&["verify-chain"])
    ));
    insta::assert_snapshot!(found.concat());
}

#[test]
fn a_whole_stream_rewritten_consistently_is_told_by_replay_and_by_a_checkpoint() {
    let sandbox = short();
    let checkpoint = sandbox.aside("checkpoint.json");
    fs::write(&checkpoint, sandbox.ok(&["checkpoint"])).unwrap();
    let checkpoint = checkpoint.to_str().unwrap();
    let subjects = forge::commits(&sandbox, "main")
        .iter()
        .map(|bytes| forge::message(bytes).0)
        .collect::<Vec<_>>();
    let mut events: Vec<_> = subjects
        .into_iter()
        .zip(forge::events(&sandbox, "main"))
        .collect();
    // One more shot for a permit that was used: its use is replaced by that of nobody.
    events[2].1["event_id"] = "0".repeat(64).into();
    events[2].1["payload"]["permit_id"] = "0".repeat(64).into();
    Forger::new(&sandbox).rewrite_events("main", &events);
    assert_eq!(
        sandbox.reason(&["verify-chain", "--checkpoint", checkpoint]),
        "CHAIN_FORKED"
    );
    assert_eq!(sandbox.reason(&["verify-chain"]), "STREAM_REWOUND");
    // A clone that never saw the other events has its checkpoint.
    sandbox.forget();
    assert_eq!(sandbox.reason(&["replay"]), "REPLAY_MISMATCH");
    let permit = sandbox.permit_file("build");
    let call = [
        "use",
        &permit,
        "--request",
        "requests/build.json",
        "--checkpoint",
        checkpoint,
    ];
    assert_eq!(sandbox.reason(&call), "CHAIN_FORKED");
}
