//! Results that cannot be written: a full disk behind standard output is an error, whatever was decided; a closed pipe
//! is none.

use std::fs::File;
use std::process::Stdio;

use crate::sandbox::{Run, Sandbox};

/// Runs `permit` with a full disk behind its standard output.
fn full(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.permit_command(arguments);
    command.stdout(full);
    sandbox.finish(command.output().unwrap())
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let sandbox = Sandbox::chain();
    let permit = sandbox.permit_file("read");
    let kept = sandbox.kept("read")["permit_id"].clone();
    sandbox.write("line.jsonl", "{}\n");
    for call in [
        &["init"][..],
        &["stream", "list"],
        &["stream", "export", "main", "--jsonl", "-"],
        &["issue", "--batch", "line.jsonl"],
        &["eval", "--request", "requests/read.json"],
        &["verify", &permit, "--request", "requests/read.json"],
        &["verify", &permit, "--request", "requests/build.json"],
        &["replay"],
        &["simulate", "--policy-at", "HEAD"],
        &["verify-chain"],
        &["verify-chain", "--all"],
        &["checkpoint"],
        &["status"],
        &["show", kept.as_str().unwrap()],
        &["log"],
        &["canonicalize", "requests/read.json"],
        &["hash", "--domain", "x", "requests/read.json"],
        &["explain", "OK"],
        &["schema", "policy"],
        &["completions", "bash"],
        &["man"],
    ] {
        let before = sandbox.tip("main");
        for format in ["text", "json"] {
            let run = full(&sandbox, &[call, &["--format", format]].concat());
            assert_eq!(run.exit, 1, "{call:?}: {}", run.stderr);
            assert!(
                run.stderr.contains("error[IO_ERROR]: the result cannot be written to standard output: No space left"),
                "{call:?}: {}",
                run.stderr
            );
            assert!(!run.stderr.contains("appended"), "{call:?}");
        }
        assert_eq!(sandbox.tip("main"), before, "{call:?}");
    }
}

#[test]
fn an_output_that_is_not_open_for_writing_is_an_error() {
    let sandbox = Sandbox::chain();
    for call in [
        &["status"][..],
        &["log"],
        &["man"],
        &["checkpoint", "--format", "json"],
    ] {
        let mut command = sandbox.permit_command(call);
        let run = sandbox.finish(
            command
                .stdout(File::open("/dev/null").unwrap())
                .output()
                .unwrap(),
        );
        assert_eq!(run.exit, 1, "{call:?}: {}", run.stderr);
        assert!(
            run.stderr.contains("error[IO_ERROR]"),
            "{call:?}: {}",
            run.stderr
        );
    }
}

#[test]
fn an_export_goes_into_a_pipe_too() {
    let sandbox = Sandbox::chain();
    let run = |to: &str| sandbox.run(&["stream", "export", "main", "--jsonl", to]);
    let (named, plain) = (run("/dev/stdout"), run("-"));
    assert_eq!((named.exit, plain.exit), (0, 0), "{}", named.stderr);
    assert!(named.stdout.starts_with(&plain.stdout));
}

#[test]
fn a_refusal_that_cannot_be_written_is_told_beside_the_error() {
    let sandbox = Sandbox::chain();
    let call = [
        "issue",
        "--request",
        "requests/ship.json",
        "--format",
        "json",
    ];
    let run = full(&sandbox, &call);
    assert!(
        run.stderr.contains("pending[REVIEW_MISSING]"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_is_appended_stands_and_is_told() {
    let sandbox = Sandbox::chain();
    let used = sandbox.permit_file("read");
    sandbox.write("two.jsonl", {
        let line = std::fs::read_to_string(sandbox.path("requests/read.json")).unwrap();
        (line.replace('\n', "") + "\n").repeat(2)
    });
    for (call, sequence) in [
        (&["issue", "--request", "requests/read.json"][..], 8),
        (&["issue", "--request", "requests/env.json"], 9),
        (&["use", &used, "--request", "requests/read.json"], 10),
        (&["issue", "--batch", "two.jsonl"], 12),
    ] {
        let run = full(&sandbox, call);
        assert_eq!(run.exit, 1, "{}", run.stderr);
        let told = format!(
            "error[IO_ERROR]: event {sequence} of `main` is appended, and the result cannot"
        );
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        assert_eq!(sandbox.json(&["checkpoint"])["sequence"], sequence);
        // The command that is named shows it.
        let (_, step) = run
            .stderr
            .rsplit_once("see what stands with `permit ")
            .unwrap();
        let step: Vec<_> = step.split('`').next().unwrap().split(' ').collect();
        sandbox.ok(&step);
    }
    let run = full(&sandbox, &["stream", "open", "ci"]);
    assert!(
        run.stderr.contains("event 0 of `ci` is appended"),
        "{}",
        run.stderr
    );
    assert_eq!(
        sandbox.json(&["checkpoint", "--stream", "ci"])["sequence"],
        0
    );
}

#[test]
fn a_reader_that_left_changes_no_exit_status() {
    let sandbox = Sandbox::chain();
    for (call, exit) in [
        (&["issue", "--request", "requests/read.json"][..], 0),
        (&["issue", "--request", "requests/env.json"], 3),
        (&["issue", "--request", "requests/ship.json"], 4),
        (&["checkpoint", "--stream", "absent"], 7),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.permit_command(&[call, &["--format", "json"]].concat());
        let run = sandbox.finish(
            command
                .stdout(writer)
                .stderr(Stdio::piped())
                .output()
                .unwrap(),
        );
        assert_eq!((run.exit, run.stderr.as_str()), (exit, ""), "{call:?}");
    }
}

/// Runs `permit` from a shell that redirects its standard streams.
fn redirected(sandbox: &Sandbox, arguments: &str, redirect: &str) -> Run {
    let program = env!("CARGO_BIN_EXE_permit");
    let mut command = sandbox.command("sh");
    command.args(["-c", &format!("exec '{program}' {arguments} {redirect}")]);
    sandbox.finish(command.output().unwrap())
}

#[test]
fn attack_a_closed_output_is_taken_for_a_written_one() {
    let sandbox = Sandbox::chain();
    let issue = "issue --request requests/read.json";
    let before = sandbox.json(&["checkpoint"])["sequence"].as_u64().unwrap();
    for (count, redirect) in [">&-", "<&- >&-", ">&- --format json"].iter().enumerate() {
        let run = redirected(&sandbox, issue, redirect);
        let sequence = before + 1 + u64::try_from(count).unwrap();
        assert_eq!(run.exit, 1, "{redirect}: {}", run.stderr);
        let told = format!(
            "error[IO_ERROR]: event {sequence} of `main` is appended, and the result cannot be written to standard output: it is closed"
        );
        assert!(run.stderr.contains(&told), "{redirect}: {}", run.stderr);
        assert_eq!(sandbox.json(&["checkpoint"])["sequence"], sequence);
    }
    // All three closed: nobody hears it, and the exit status says it.
    assert_eq!(redirected(&sandbox, "status", "<&- >&- 2>&-").exit, 1);
    // What is thrown away on purpose is written.
    for redirect in [">/dev/null", "<&- >/dev/null", "2>&-"] {
        let run = redirected(&sandbox, issue, redirect);
        assert_eq!(run.exit, 0, "{redirect}: {}", run.stderr);
        assert!(!run.stderr.contains("IO_ERROR"), "{}", run.stderr);
    }
}
