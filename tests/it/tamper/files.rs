//! Changed as files: lines and folders.

use std::fs;

use permit::engine::chain::{Event, Order, Verdict, Verifier};
use permit::engine::code::Code;
use serde_json::Value;

use super::short;
use crate::forge;
use crate::sandbox::{Sandbox, copy_folder};

/// The verdict of the engine about lines, read forward.
fn judge<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Code {
    let mut verifier = Verifier::new(Order::Forward, None, None);
    for line in lines {
        match Event::read(line) {
            Ok(event) => verifier.see(&event),
            Err(what) => {
                let at = verifier.next_sequence();
                verifier.note(Verdict::Malformed, at, what);
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
        copy_folder(&good, &folder);
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
            fs::write(folder.join("README"), "x").unwrap();
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
            fs::write(folder.join(file(1)), "").unwrap();
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

fn lines(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    let text = sandbox.ok(&["stream", "export", "main", "--jsonl", "-"]);
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}
