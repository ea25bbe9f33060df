//! A good chain, changed in every way that one can think of: no variant may pass, and each has its code.

use std::fs;

use permit::engine::chain::{Event, Order, Verifier};
use permit::engine::code::Code;
use serde_json::Value;

use crate::forge::{self, EMPTY_TREE, Forger};
use crate::sandbox::Sandbox;

/// A stream of four events: opened, issued, used, issued.
fn short() -> Sandbox {
    let sandbox = Sandbox::opened();
    sandbox.issue("build");
    let permit = sandbox.permit_file("build");
    sandbox.ok(&["use", &permit, "--request", "requests/build.json"]);
    sandbox.issue("read");
    sandbox
}

fn lines(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    let text = sandbox.ok(&["stream", "export", "main", "--jsonl", "-"]);
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// The verdict of the engine about lines, read forward.
fn judge<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Code {
    let mut verifier = Verifier::new(Order::Forward, None, None);
    for line in lines {
        match Event::read(line) {
            Ok(event) => verifier.see(&event),
            Err(what) => {
                let at = verifier.next_sequence();
                verifier.note(permit::engine::chain::Verdict::Malformed, at, what);
            }
        }
    }
    verifier
        .finish()
        .map_or_else(|fault| fault.verdict.code(), |_| Code::Ok)
}

/// What is wrong with the bytes of an event that were changed, by another JSON parser: their form, or else their hash.
fn oracle(line: &[u8], original: &Value) -> Code {
    let is_hash = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let keys = |value: &Value| {
        let members = value
            .as_object()
            .map(|object| object.keys().cloned().collect::<Vec<_>>());
        members.unwrap_or_default()
    };
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return Code::ChainMalformed;
    };
    let event = &value["event"];
    let (prev, first) = (
        &event["prev_event_hash"],
        original["event"]["sequence"] == 0,
    );
    let in_form = serde_json::to_vec(&value).unwrap() == line
        && keys(&value) == keys(original)
        && keys(event) == keys(&original["event"])
        && value["version"] == 1
        && value["written_by"] == "supervisor"
        && is_hash(&value["event_hash"])
        && (is_hash(prev) || first && prev == "")
        && event["sequence"].is_u64();
    if in_form {
        Code::ChainTampered
    } else {
        Code::ChainMalformed
    }
}

#[test]
fn each_byte_flipped_in_a_file() {
    let good = lines(&short());
    assert_eq!(judge(good.iter().map(Vec::as_slice)), Code::Ok);
    let mut wrong = Vec::new();
    for (number, line) in good.iter().enumerate() {
        let original: Value = serde_json::from_slice(line).unwrap();
        for at in 0..line.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = line.clone();
                changed[at] ^= flip;
                let variant = good.iter().enumerate().map(|(other, line)| {
                    if other == number {
                        changed.as_slice()
                    } else {
                        line.as_slice()
                    }
                });
                let (found, expected) = (judge(variant), oracle(&changed, &original));
                if found != expected {
                    wrong.push(format!(
                        "event {number}, byte {at} ^ {flip:#x}: {found}, not {expected}"
                    ));
                }
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
fn each_event_cut_at_each_length() {
    let good = lines(&short());
    for (number, line) in good.iter().enumerate() {
        for length in 0..line.len() {
            let variant = good.iter().enumerate().map(|(other, line)| {
                if other == number {
                    &line[..length]
                } else {
                    line.as_slice()
                }
            });
            assert_eq!(
                judge(variant),
                Code::ChainMalformed,
                "event {number} cut at {length}"
            );
        }
    }
}

#[test]
fn each_byte_inserted_and_each_byte_removed() {
    let good = lines(&short());
    for (number, line) in good.iter().enumerate() {
        for at in 0..=line.len() {
            let mut longer = line.clone();
            longer.insert(at, b' ');
            let mut shorter = line.clone();
            if at < line.len() {
                shorter.remove(at);
            }
            for changed in [longer, shorter] {
                if changed == *line {
                    continue;
                }
                let variant = good.iter().enumerate().map(|(other, line)| {
                    if other == number {
                        changed.as_slice()
                    } else {
                        line.as_slice()
                    }
                });
                assert_ne!(judge(variant), Code::Ok, "event {number}, byte {at}");
            }
        }
    }
}

/// Each way to leave out, repeat or exchange whole events, with the code that it has to get.
fn rearrangements(good: &[Vec<u8>]) -> Vec<(String, Vec<Vec<u8>>, Code)> {
    let mut variants = Vec::new();
    for at in 0..good.len() {
        let mut dropped = good.to_vec();
        dropped.remove(at);
        let code = match at {
            0 => Code::ChainTruncated,
            _ if at + 1 == good.len() => Code::Ok,
            _ => Code::ChainTampered,
        };
        variants.push((format!("event {at} dropped"), dropped, code));
        let mut repeated = good.to_vec();
        repeated.insert(at, good[at].clone());
        variants.push((
            format!("event {at} repeated"),
            repeated,
            Code::ChainTampered,
        ));
        let mut event: Value = serde_json::from_slice(&good[at]).unwrap();
        event["event"]["policy_hash"] = "0".repeat(64).into();
        let mut forked = good.to_vec();
        forked.insert(at + 1, forge::artifact(&event["event"]));
        variants.push((
            format!("event {at} twice, different"),
            forked,
            Code::ChainForked,
        ));
        if at + 1 < good.len() {
            let mut swapped = good.to_vec();
            swapped.swap(at, at + 1);
            let code = if at == 0 {
                Code::ChainTruncated
            } else {
                Code::ChainTampered
            };
            variants.push((format!("events {at} and {} swapped", at + 1), swapped, code));
        }
    }
    variants.push(("nothing left".to_owned(), Vec::new(), Code::ChainTruncated));
    variants
}

#[test]
fn events_dropped_repeated_swapped_in_a_file() {
    let sandbox = short();
    let good = lines(&sandbox);
    let tip = sandbox.json(&["checkpoint"])["event_hash"]
        .as_str()
        .unwrap()
        .to_owned();
    for (what, variant, code) in rearrangements(&good) {
        let text = variant
            .iter()
            .flat_map(|line| [line.as_slice(), b"\n"].concat());
        let text: Vec<u8> = text.collect();
        let call = ["verify-chain", "--format", "json", "--jsonl", "-"];
        let run = sandbox.run_with(&call, &text);
        let reason = format!("\"reason\":\"{code}\"");
        assert!(run.stdout.contains(&reason), "{what}: {}", run.stdout);
        // The point that is known shows what is missing at the end, too.
        let run = sandbox.run_with(&[&call[..], &["--expect-tip", &tip]].concat(), &text);
        assert_eq!(run.exit, 5, "{what}: {}", run.stdout);
    }
}

#[test]
fn files_dropped_renamed_exchanged_in_a_folder() {
    let sandbox = short();
    let target = sandbox.aside("export");
    sandbox.ok(&[
        "stream",
        "export",
        "main",
        "--dir",
        target.to_str().unwrap(),
    ]);
    let good = target.join("audit/streams/main");
    let file = |number: usize| format!("{number}.audit.json");
    let verdict = |what: &str, change: &dyn Fn(&std::path::Path)| {
        let folder = sandbox.aside("variant");
        drop(fs::remove_dir_all(&folder));
        crate::sandbox::copy_folder(&good, &folder);
        change(&folder);
        let found = sandbox.reason(&["verify-chain", "--dir", folder.to_str().unwrap()]);
        (what.to_owned(), found)
    };
    let remove =
        |name: String| move |folder: &std::path::Path| fs::remove_file(folder.join(&name)).unwrap();
    let rename = |from: String, to: String| {
        move |folder: &std::path::Path| fs::rename(folder.join(&from), folder.join(&to)).unwrap()
    };
    let found = [
        verdict("nothing changed", &|_| {}),
        verdict("other files beside", &|folder| {
            fs::write(folder.join("README"), "x").unwrap()
        }),
        verdict("the first is gone", &remove(file(0))),
        verdict("one in the middle is gone", &remove(file(1))),
        verdict("the last is gone", &remove(file(3))),
        verdict("another name", &rename(file(2), file(7))),
        verdict(
            "a leading zero",
            &rename(file(2), "02.audit.json".to_owned()),
        ),
        verdict("no number", &rename(file(2), "two.audit.json".to_owned())),
        verdict("a copy under another name", &|folder| {
            fs::copy(folder.join(file(1)), folder.join(file(4)))
                .map(drop)
                .unwrap();
        }),
        verdict("two exchanged", &|folder| {
            fs::rename(folder.join(file(1)), folder.join("x")).unwrap();
            fs::rename(folder.join(file(2)), folder.join(file(1))).unwrap();
            fs::rename(folder.join("x"), folder.join(file(2))).unwrap();
        }),
        verdict("a line feed at the end", &|folder| {
            let mut bytes = fs::read(folder.join(file(1))).unwrap();
            bytes.push(b'\n');
            fs::write(folder.join(file(1)), bytes).unwrap();
        }),
        verdict("an empty file", &|folder| {
            fs::write(folder.join(file(1)), "").unwrap()
        }),
        verdict("a folder in its place", &|folder| {
            fs::remove_file(folder.join(file(1))).unwrap();
            fs::create_dir(folder.join(file(1))).unwrap();
        }),
        verdict("a symlink in its place", &|folder| {
            fs::rename(folder.join(file(1)), folder.join("x")).unwrap();
            std::os::unix::fs::symlink("x", folder.join(file(1))).unwrap();
        }),
        verdict("all gone", &|folder| {
            (0..4).for_each(|number| fs::remove_file(folder.join(file(number))).unwrap());
        }),
    ];
    let text: Vec<_> = found
        .iter()
        .map(|(what, found)| format!("{what}: {found}\n"))
        .collect();
    insta::assert_snapshot!(text.concat());
}

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
