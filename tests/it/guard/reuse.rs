//! An approval of one change covers one change, however often somebody makes it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::world::{World, policy};

const POLICY: &str = "governance/policy/acme.policy.json";
const STREAM: &str = "refs/permit/streams/main";

/// Commits the policy in a version.
fn change(world: &World, version: &str) {
    world.write("a", POLICY, policy(version).to_string());
    world.commit("a", &format!("Policy {version}"));
}

/// Has the newest commit reviewed, beside a file that never changes; leaves the artifacts in the work tree.
fn review(world: &World) -> String {
    let range = ["--base", "origin/main", "--head", "HEAD"];
    let plan = [
        &["guard", "plan"],
        range.as_slice(),
        &["--governed-ref", "main"],
    ]
    .concat();
    let plan = world.ok("a", &plan);
    let planned = plan["requests"].as_array().unwrap().last().unwrap();
    let request = world.save("change.json", &planned["request"]);
    let id = world.review("a", &request, &["README"]);
    format!("governance/reviews/{id}.review.json")
}

/// Changes, has it reviewed and pushes both.
fn reviewed(world: &World, version: &str) {
    change(world, version);
    review(world);
    world.commit("a", "Review");
    world.pushed("a", &["main"]);
}

/// Writes an artifact in another form.
type Form<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn a_review_does_not_cover_the_same_change_a_second_time() {
    let world = World::adopted();
    reviewed(&world, "2");
    reviewed(&world, "1");
    change(&world, "2");
    world.denied("a", &["main"], "REVIEW_CONSUMED");
    // A merge that brings the same change is the same change.
    world.git("a", &["reset", "-q", "--hard", "origin/main"]);
    world.git("a", &["checkout", "-q", "-b", "side"]);
    change(&world, "2");
    world.git("a", &["checkout", "-q", "main"]);
    world.git("a", &["merge", "-q", "--no-ff", "-m", "Merge", "side"]);
    world.denied("a", &["main"], "REVIEW_CONSUMED");
    // Reviewed again, on a stream that has gone on, it takes the place of the consumed one.
    world.git("a", &["reset", "-q", "--hard", "origin/main"]);
    world.ok(
        "a",
        &["issue", "--request", &world.request("run", &json!({}))],
    );
    world.pushed("a", &[STREAM]);
    reviewed(&world, "2");
    reviewed(&world, "1");
    change(&world, "2");
    world.denied("a", &["main"], "REVIEW_CONSUMED");
}

#[test]
fn nor_does_it_within_one_push_whichever_comes_first() {
    let world = World::adopted();
    for version in ["2", "1"] {
        change(&world, version);
        review(&world);
    }
    let folders = ["governance/reviews", "governance/manifests"];
    let list = [["ls-files", "-o", "-c"].as_slice(), &folders].concat();
    let artifacts = world.git("a", &list);
    let read = |path: &str| fs::read_to_string(world.path("a").join(path)).unwrap();
    let artifacts: Vec<(&str, String)> = artifacts.lines().map(|path| (path, read(path))).collect();
    let push = |versions: &[&str], reason: &str| {
        world.git("a", &["reset", "-q", "--hard", "origin/main"]);
        for version in versions {
            if version.is_empty() {
                for (path, text) in &artifacts {
                    world.write("a", path, text);
                }
                world.commit("a", "Reviews");
            } else {
                change(&world, version);
            }
        }
        if reason.is_empty() {
            world.pushed("a", &["main"]);
        } else {
            world.denied("a", &["main"], reason);
        }
    };
    push(&["", "2", "1", "2"], "REVIEW_CONSUMED");
    push(&["2", "1", "2", ""], "GOVERNANCE_UNREVIEWED");
    push(&["2", "", "1", "2"], "REVIEW_CONSUMED");
    // Made and taken back before its review comes: nobody could tell later that it was made.
    push(&["2", "1", ""], "GOVERNANCE_UNREVIEWED");
    push(&["2", "", "1"], "");
    // The review came after the change that it covered.
    change(&world, "2");
    world.denied("a", &["main"], "REVIEW_CONSUMED");
}

#[test]
fn a_review_that_came_before_its_change_covers_it_once() {
    let world = World::adopted();
    change(&world, "2");
    review(&world);
    world.git("a", &["reset", "-q", "--soft", "HEAD~1"]);
    world.git("a", &["checkout", "-q", "HEAD", "--", POLICY]);
    world.commit("a", "Review of what is to come");
    world.pushed("a", &["main"]);
    world.write("a", "README2", "x");
    world.commit("a", "In between");
    change(&world, "2");
    world.pushed("a", &["main"]);
    reviewed(&world, "1");
    change(&world, "2");
    world.denied("a", &["main"], "REVIEW_CONSUMED");
}

#[test]
fn a_review_is_judged_where_it_comes_in_and_not_where_the_push_ends() {
    let world = World::adopted();
    change(&world, "2");
    review(&world);
    world.commit("a", "Review");
    world.write("a", "README", "what the manifest listed goes on");
    world.commit("a", "Content");
    world.pushed("a", &["main"]);
}

#[test]
fn an_approval_is_not_replayed_by_a_space_in_its_file() {
    let world = World::adopted();
    reviewed(&world, "2");
    reviewed(&world, "1");
    let folder = world.path("a").join("governance/reviews");
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    // A leading space, and another layout: the file is another one, and the approval is the same.
    for form in [" ", "\n"] {
        change(&world, "2");
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            fs::write(file, format!("{form}{text}")).unwrap();
        }
        world.commit("a", "The same approval");
        world.denied("a", &["main"], "INVALID_REVIEW");
        world.git("a", &["reset", "-q", "--hard", "origin/main"]);
    }
    change(&world, "2");
    world.denied("a", &["main"], "REVIEW_CONSUMED");
}

#[test]
fn nor_by_other_files_of_the_message_that_was_signed() {
    let world = World::adopted();
    reviewed(&world, "2");
    reviewed(&world, "1");
    let folder = world.path("a").join("governance/reviews");
    let files: Vec<(PathBuf, String)> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect();
    let spread = |text: &str| {
        let artifact: Value = serde_json::from_str(text).unwrap();
        format!("{artifact:#}\n")
    };
    let reordered = |text: &str| {
        let (front, back) = text.trim_end().rsplit_once(",\"verdict\":").unwrap();
        format!(
            "{{\"verdict\":{},{}}}\n",
            back.trim_end_matches('}'),
            &front[1..]
        )
    };
    let escaped = |text: &str| text.replacen("\"approve\"", "\"\\u0061pprove\"", 1);
    let unended = |text: &str| text.trim_end().to_owned();
    // Canonical bytes of the same message, with the same signatures wrapped otherwise.
    let wrapped = |text: &str| {
        let mut artifact: Value = serde_json::from_str(text).unwrap();
        for signature in artifact["signatures"].as_array_mut().unwrap() {
            let armor = signature["sshsig"].as_str().unwrap();
            let lines: Vec<&str> = armor.lines().collect();
            let (body, rest) = (lines[1..lines.len() - 1].concat(), lines.len() - 1);
            let (half, other) = body.split_at(40);
            let lines = [lines[0], half, other, lines[rest]];
            signature["sshsig"] = json!(lines.join("\n") + "\n");
        }
        format!("{artifact}\n")
    };
    let forms: [(Form<'_>, &str); 5] = [
        (&spread, "INVALID_REVIEW"),
        (&reordered, "INVALID_REVIEW"),
        (&escaped, "INVALID_REVIEW"),
        (&unended, "INVALID_REVIEW"),
        (&wrapped, "REVIEW_IMMUTABLE"),
    ];
    for (form, reason) in forms {
        world.git("a", &["reset", "-q", "--hard", "origin/main"]);
        change(&world, "2");
        for (file, text) in &files {
            let other = form(text);
            assert_ne!(&other, text);
            fs::write(file, other).unwrap();
        }
        world.commit("a", "The same approval");
        let refs = world.refs();
        let run = world.push("a", "enforce", &["main"]);
        assert_ne!(run.exit, 0, "{run:?}");
        assert!(
            run.stderr.contains(&format!("[{reason}]")),
            "{reason}: {run:?}"
        );
        assert_eq!(world.refs(), refs);
    }
}
