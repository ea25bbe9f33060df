//! A stream that is verified and replayed in parts, several at a time, says what one walk of it says: whatever the index
//! of its commits holds, however its objects are stored, on however many cores.

use std::fs;

use serde_json::{Value, json};

use crate::forge::{self, Forger};
use crate::sandbox::Sandbox;

/// The variants that are read with every index; the others without one, with a stale one and with the right one.
const EVERY_INDEX: [&str; 3] = ["nothing", "one in each part", "the first of a part is gone"];

/// Where a part begins, in `permit`'s index of commits: at its multiples.
const STRIDE: usize = 512;

/// What stands where, for a chain whose commits are known: a name, and the lines of the index.
fn indexes(own: &[String], good: &[String]) -> Vec<(&'static str, Option<String>)> {
    let lines = |ids: &[String], shift: usize| {
        let at = |place: &usize| ids.get(place * STRIDE + shift);
        let named: Vec<_> = (1..).map_while(|place| at(&place)).collect();
        named.iter().fold(String::new(), |all, id| all + id + "\n")
    };
    let right = lines(own, 0);
    let mut turned: Vec<_> = right.split_inclusive('\n').collect();
    turned.reverse();
    vec![
        ("no index", None),
        ("torn", Some(right[..right.len() - 20].to_owned())),
        ("stale", Some(lines(good, 0))),
        ("one event off", Some(lines(own, 1))),
        ("in another order", Some(turned.concat())),
        (
            "commits that are not there",
            Some(format!("{}\n", "1".repeat(40)).repeat(3)),
        ),
        ("right", Some(right)),
    ]
}

/// Puts an index in place, or takes it away.
fn put(sandbox: &Sandbox, index: Option<&str>) {
    let path = sandbox.path(".git/permit/commits/main");
    match index {
        Some(lines) => fs::write(path, lines).unwrap(),
        None => drop(fs::remove_file(path)),
    }
}

/// Runs `permit` on one core; nothing where this machine cannot.
fn on_one_core(sandbox: &Sandbox, call: &[&str]) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status.split("Cpus_allowed_list:").nth(1)?.trim_start();
    let core: String = allowed.chars().take_while(char::is_ascii_digit).collect();
    let mut command = sandbox.command("taskset");
    command
        .args(["-c", &core, env!("CARGO_BIN_EXE_permit")])
        .args(call);
    Some(sandbox.finish(command.output().ok()?).stdout)
}

/// The ids of a stream's commits, the first event's first.
fn ids(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.git(&["rev-list", "--reverse", "refs/permit/streams/main"]);
    listed.lines().map(str::to_owned).collect()
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "no `{from}` in {text}");
    text.replacen(from, to, 1).into_bytes()
}

/// What is done to the chain, what comes of it, its verdict, and the sequence at which the fault shows.
type Variant = (&'static str, Vec<Vec<u8>>, &'static str, Option<u64>);

fn variants(good: &[Vec<u8>]) -> Vec<Variant> {
    let changed = |places: &[usize]| {
        let mut chain = good.to_vec();
        for at in places {
            chain[*at] = replaced(&good[*at], r#""task":"42""#, r#""task":"43""#);
        }
        chain
    };
    let with = |at: usize, from: &str, to: &str| {
        let mut chain = good.to_vec();
        chain[at] = replaced(&good[at], from, to);
        chain
    };
    let mut dropped = good.to_vec();
    dropped.remove(1024);
    let mut repeated = good.to_vec();
    repeated.insert(512, good[512].clone());
    let mut swapped = good.to_vec();
    swapped.swap(511, 512);
    let mut late = good[3..].to_vec();
    let parent = format!("parent {}\n", forge::parent(&good[3]).unwrap());
    late[0] = replaced(&good[3], &parent, "");
    let used = "permit.used #527 allow tool:build";
    vec![
        ("nothing", good.to_vec(), "VALID", None),
        (
            "a payload within a part",
            changed(&[700]),
            "TAMPERED",
            Some(700),
        ),
        (
            "the first of a part",
            changed(&[512]),
            "TAMPERED",
            Some(512),
        ),
        ("the last of a part", changed(&[511]), "TAMPERED", Some(511)),
        (
            "one in each part",
            changed(&[1060, 300, 600]),
            "TAMPERED",
            Some(300),
        ),
        (
            "the first of a part is gone",
            dropped,
            "TAMPERED",
            Some(1025),
        ),
        (
            "the first of a part stands twice",
            repeated,
            "TAMPERED",
            Some(512),
        ),
        (
            "two exchanged where parts meet",
            swapped,
            "TAMPERED",
            Some(512),
        ),
        ("the first three are gone", late, "TRUNCATED", Some(0)),
        (
            "another committer",
            with(513, "committer permit ", "committer ana "),
            "MALFORMED",
            Some(513),
        ),
        (
            "a use of what another part issued",
            with(527, used, "permit.used #527 allow tool:deploy"),
            "MALFORMED",
            Some(527),
        ),
    ]
}

#[test]
fn every_way_to_read_a_long_stream_gives_the_same_verdict() {
    let sandbox = Sandbox::long();
    let good = forge::commits(&sandbox, "main");
    let known = ids(&sandbox);
    assert_eq!((good.len(), known.len()), (1100, 1100));
    let forger = Forger::new(&sandbox);
    let call = ["verify-chain", "--format", "json"];
    let mut kept = Vec::new();
    for (what, chain, verdict, sequence) in variants(&good) {
        forger.rewrite("main", &chain);
        let own = ids(&sandbox);
        let mut expected: Option<String> = None;
        let odd = |index: &str| !["no index", "stale", "right"].contains(&index);
        for (index, lines) in indexes(&own, &known) {
            if odd(index) && !EVERY_INDEX.contains(&what) {
                continue;
            }
            put(&sandbox, lines.as_deref());
            let said = sandbox.run(&call).stdout;
            let first = expected.get_or_insert_with(|| said.clone());
            assert_eq!(&said, first, "{what}, {index}");
        }
        let said = expected.unwrap();
        let found: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (&found["verdict"], &found["fault"]["sequence"]),
            (&json!(verdict), &json!(sequence)),
            "{what}: {found}"
        );
        // Kept for the packs below.
        let tip = sandbox.tip("main");
        let name = format!("refs/heads/variant-{}", kept.len());
        fs::write(sandbox.path(".git").join(&name), format!("{tip}\n")).unwrap();
        let index = indexes(&own, &known).pop().and_then(|(_, lines)| lines);
        kept.push((what, tip, index, said));
    }
    sandbox.git(&["repack", "-a", "-d", "--quiet"]);
    for (what, tip, index, expected) in kept {
        forger.point("main", &tip);
        put(&sandbox, index.as_deref());
        assert_eq!(sandbox.run(&call).stdout, expected, "{what}, packed");
        if EVERY_INDEX.contains(&what) {
            put(&sandbox, index.as_deref());
            let alone = on_one_core(&sandbox, &call).unwrap_or_else(|| expected.clone());
            assert_eq!(alone, expected, "{what}, on one core");
        }
    }
}

#[test]
fn a_long_stream_that_lies_is_replayed_in_parts_as_in_one_walk() {
    let sandbox = Sandbox::long();
    let known = ids(&sandbox);
    sandbox.git(&["config", "permit.governedRef", "main"]);
    sandbox.write("governance/surfaces.json", "{}");
    let newer = sandbox.commit("The same policy, other governance");
    let mut events: Vec<_> = forge::commits(&sandbox, "main")
        .iter()
        .map(|bytes| forge::message(bytes).0)
        .zip(forge::events(&sandbox, "main"))
        .collect();
    let (lies, newest) = ([100, 511, 512, 513, 900, 1024, 1099], [50, 512, 526, 1023]);
    for at in lies {
        events[at].1["payload"]["mapping"]["matched_rule_id"] = json!("another");
    }
    for at in newest {
        events[at].1["payload"]["governed_commit"] = json!(newer);
    }
    Forger::new(&sandbox).rewrite_permits("main", &events);
    let own = ids(&sandbox);
    let sequences = |found: &Value, list: &str| -> Vec<u64> {
        let list = found[list].as_array().unwrap().iter();
        list.map(|one| one["sequence"].as_u64().unwrap()).collect()
    };
    let of_900 = forge::events(&sandbox, "main")[900]["event_id"].clone();
    let of_900 = of_900.as_str().unwrap();
    for (call, diverged, went_back) in [
        (
            &["replay"][..],
            &[100, 511, 512, 513, 900, 1024, 1099][..],
            // Event 527 is a use.
            &[51, 513, 528, 1024][..],
        ),
        (
            &["replay", "--from", "512", "--to", "1023"],
            &[512, 513, 900],
            &[513, 528],
        ),
        (
            &["replay", "--from", "513"],
            &[513, 900, 1024, 1099],
            &[528, 1024],
        ),
        (&["replay", "--to", "511"], &[100, 511], &[51]),
        (&["replay", "--permit-id", of_900], &[900], &[]),
    ] {
        let call = [call, &["--format", "json"]].concat();
        put(&sandbox, None);
        let expected = sandbox.run(&call).stdout;
        let found: Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(found["reason"], "REPLAY_MISMATCH", "{call:?}: {found}");
        assert_eq!(sequences(&found, "divergences"), diverged, "{call:?}");
        assert_eq!(sequences(&found, "rollbacks"), went_back, "{call:?}");
        let whole = call.len() == 3;
        for (index, lines) in indexes(&own, &known) {
            if index == "right" || whole && index != "no index" {
                put(&sandbox, lines.as_deref());
                assert_eq!(sandbox.run(&call).stdout, expected, "{call:?}, {index}");
            }
        }
        if whole {
            let alone = on_one_core(&sandbox, &call).unwrap_or_else(|| expected.clone());
            assert_eq!(alone, expected, "{call:?}, on one core");
        }
    }
}

#[test]
fn of_many_divergences_the_first_hundred_are_shown_and_all_are_counted() {
    let sandbox = Sandbox::long();
    let mut events: Vec<_> = forge::commits(&sandbox, "main")
        .iter()
        .map(|bytes| forge::message(bytes).0)
        .zip(forge::events(&sandbox, "main"))
        .collect();
    // Linked anew, but with the permits of the old links: all that come after are others.
    events[450].1["payload"]["mapping"]["matched_rule_id"] = json!("another");
    Forger::new(&sandbox).rewrite_events("main", &events);
    let own = ids(&sandbox);
    let call = ["replay", "--format", "json"];
    put(&sandbox, None);
    let expected = sandbox.run(&call).stdout;
    let found: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(
        (&found["replayed"], &found["diverged"]),
        (&json!(1098), &json!(649))
    );
    let shown: Vec<_> = found["divergences"].as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 100);
    assert_eq!(
        (&shown[0]["sequence"], &shown[99]["sequence"]),
        (&json!(450), &json!(550))
    );
    put(&sandbox, indexes(&own, &own).pop().unwrap().1.as_deref());
    assert_eq!(sandbox.run(&call).stdout, expected);
}
