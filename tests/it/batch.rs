//! `permit issue --batch`: JSON Lines in, JSON Lines out, durable before a line is printed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::sandbox::{Run, Sandbox};

/// Requests of the fixture, one a line.
fn lines(names: &[&str]) -> String {
    let folder = crate::sandbox::fixtures().join("repos/acme/requests");
    let read = |name: &&str| {
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        text.replace('\n', "") + "\n"
    };
    names.iter().map(read).collect()
}

/// Issues a batch; returns the results of its lines, the summary and the exit code.
fn batch(sandbox: &Sandbox, input: &str, more: &[&str]) -> (Vec<Value>, Value, Run) {
    let call = [&["issue", "--batch", "-"], more].concat();
    let run = sandbox.run_with(&call, input.as_bytes());
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let mut results: Vec<_> = run.stdout.lines().map(parse).collect();
    let summary = results.pop().unwrap();
    (results, summary, run)
}

fn reasons(results: &[Value]) -> Vec<&str> {
    results
        .iter()
        .map(|result| result["reason"].as_str().unwrap())
        .collect()
}

#[test]
fn results_stand_in_the_order_of_the_requests() {
    let sandbox = Sandbox::opened();
    let input =
        lines(&["read", "env", "ship", "build"]) + "{\"schema\": 1}\n\n" + &lines(&["fetch"]);
    let (results, summary, run) = batch(&sandbox, &input, &[]);
    assert_eq!(
        reasons(&results),
        [
            "OK",
            "DECISION_BLOCK",
            "REVIEW_MISSING",
            "OK",
            "INVALID_REQUEST",
            "INVALID_REQUEST",
            "OK"
        ]
    );
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(
        (count("issued"), count("blocked"), count("pending")),
        (4, 1, 1)
    );
    assert_eq!(count("allowed") + count("warned"), 3);
    assert_eq!((count("refused"), count("failed")), (2, 0));
    assert_eq!(
        (&summary["reason"], run.exit),
        (&json!("INVALID_REQUEST"), 7),
        "the gravest class, not the first"
    );
    let numbers: Vec<_> = results
        .iter()
        .map(|result| result["line"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7], "each names its line");
    let sequences: Vec<_> = results
        .iter()
        .filter_map(|result| result["sequence"].as_u64())
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
    assert!(results[2]["review_id"].is_string() && results[2]["path"].is_string());
    assert_eq!(sandbox.json(&["replay"])["replayed"], 4);
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 5);
}

#[test]
fn a_batch_makes_the_commits_that_single_calls_make() {
    let names = ["read", "build", "env", "write", "unknown", "fetch", "token"];
    let (one, other) = (Sandbox::opened(), Sandbox::opened());
    for name in names {
        one.issue(name);
    }
    let (results, summary, _) = batch(&other, &lines(&names), &[]);
    assert_eq!(summary["issued"], 7);
    assert_eq!(one.tip("main"), other.tip("main"));
    for (name, result) in names.iter().zip(&results) {
        assert_eq!(result["permit"], one.kept(name), "{name}");
    }
    let commits: Vec<_> = results
        .iter()
        .map(|result| result["commit"].as_str().unwrap().to_owned())
        .collect();
    let log = other.git(&["rev-list", "--reverse", "refs/permit/streams/main"]);
    assert_eq!(commits, log.lines().skip(1).collect::<Vec<_>>());
    assert_eq!(
        other.git(&["fsck", "--strict", "--full", "--no-dangling"]),
        ""
    );
}

#[test]
fn an_atomic_batch_is_appended_whole_or_not_at_all() {
    let sandbox = Sandbox::opened();
    let before = sandbox.tip("main");
    for (bad, code, exit) in [
        (lines(&["ship"]), "REVIEW_MISSING", 4),
        ("{}\n".to_owned(), "INVALID_REQUEST", 7),
    ] {
        let input = lines(&["read"]) + &bad + &lines(&["build"]);
        let run = sandbox.run_with(
            &["issue", "--batch", "-", "--atomic", "--format", "json"],
            input.as_bytes(),
        );
        assert_eq!(run.exit, exit, "{}", run.stdout);
        // Nothing but the summary, in the shape of every other batch.
        let summary: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(summary["schema"], "permit.result.issue.batch.v1");
        let (pending, refused) = if exit == 4 { (3, 0) } else { (0, 3) };
        assert_eq!(
            (&summary["issued"], &summary["pending"], &summary["refused"]),
            (&json!(0), &json!(pending), &json!(refused))
        );
        assert_eq!(
            (&summary["reason"], &summary["details"]["line"]),
            (&json!(code), &json!("2"))
        );
        let message = summary["message"].as_str().unwrap();
        assert!(
            message.starts_with("nothing of the batch is appended, for line 2: "),
            "{message}"
        );
        assert!(summary["next_step"].is_string());
        assert_eq!(sandbox.tip("main"), before);
    }
    let (results, summary, run) = batch(&sandbox, &lines(&["read", "env", "build"]), &["--atomic"]);
    assert_eq!(
        reasons(&results),
        ["OK", "DECISION_BLOCK", "OK"],
        "a denial is a decision"
    );
    assert_eq!((summary["issued"].as_u64(), run.exit), (Some(3), 3));
}

#[test]
fn a_batch_that_cannot_go_on_ends_with_its_summary() {
    let sandbox = Sandbox::acme();
    for more in [&[][..], &["--atomic"]] {
        let (results, summary, run) = batch(&sandbox, &lines(&["read", "build"]), more);
        assert_eq!((results.len(), run.exit), (0, 7));
        assert_eq!(summary["schema"], "permit.result.issue.batch.v1");
        assert_eq!(summary["reason"], "STREAM_MISSING");
        assert_eq!(summary["issued"], 0);
    }
    let run = sandbox.run(&["issue", "--batch", "absent.jsonl", "--format", "json"]);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&summary["reason"], run.exit), (&json!("IO_ERROR"), 1));
}

#[test]
fn atomic_is_a_word_about_batches() {
    let sandbox = Sandbox::opened();
    for call in [
        &["issue", "--request", "requests/read.json", "--atomic"][..],
        &["issue", "--execution-request", "x", "--atomic"],
        &["issue", "--atomic"],
    ] {
        let run = sandbox.run(call);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{call:?}");
    }
}

#[test]
fn empty_input_and_a_line_without_its_end() {
    let sandbox = Sandbox::opened();
    let (results, summary, run) = batch(&sandbox, "", &[]);
    assert_eq!(
        (results.len(), summary["issued"].as_u64(), run.exit),
        (0, Some(0), 0)
    );
    let (results, _, run) = batch(&sandbox, lines(&["read"]).trim_end(), &[]);
    assert_eq!((reasons(&results), run.exit), (vec!["OK"], 0));
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
    let sandbox = Sandbox::opened();
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat((1 << 20) + 10));
    let (results, _, _) = batch(&sandbox, &(long + &lines(&["read"])), &[]);
    assert_eq!(reasons(&results), ["INVALID_REQUEST", "OK"]);
}

#[test]
fn a_stream_is_opened_once_for_a_batch() {
    let sandbox = Sandbox::acme();
    let (results, _, run) = batch(
        &sandbox,
        &lines(&["read", "build"]),
        &["--open-stream", "--stream", "ci"],
    );
    assert_eq!((reasons(&results), run.exit), (vec!["OK", "OK"], 0));
    assert_eq!(results[0]["sequence"], 1);
    let log = sandbox.git(&["rev-list", "--reverse", "refs/permit/streams/ci"]);
    assert_eq!(results[0]["commit"].as_str(), log.lines().nth(1));
}

#[test]
fn the_authenticated_actor_holds_for_every_line() {
    let sandbox = Sandbox::opened();
    let (results, _, run) = batch(
        &sandbox,
        &lines(&["read", "build"]),
        &["--actor", "agent:codex"],
    );
    assert_eq!(
        (reasons(&results), run.exit),
        (vec!["OK", "ACTOR_MISMATCH"], 5)
    );
}

#[test]
fn a_line_is_answered_before_the_next_one_is_written() {
    let sandbox = Sandbox::opened();
    let mut command = sandbox.permit_command(&["issue", "--batch", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for sequence in 1..4 {
        input.write_all(lines(&["read"]).as_bytes()).unwrap();
        input.flush().unwrap();
        let line: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["sequence"], sequence);
        assert_eq!(
            line["commit"],
            sandbox.tip("main"),
            "durable before it is printed"
        );
    }
    drop(input);
    let summary: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
    assert_eq!(summary["issued"], 3);
    assert!(child.wait().unwrap().success());
}
