//! Many writers at once, and writers that are killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::sandbox::Sandbox;

/// Starts the same call many times, then collects the reasons.
fn race(sandbox: &Sandbox, count: usize, arguments: &[&str]) -> Vec<String> {
    let arguments = [arguments, &["--format", "json"]].concat();
    let start = |_| -> Child {
        let mut command = sandbox.permit_command(&arguments);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..count).map(start).collect();
    let reason = |child: Child| {
        let run = sandbox.finish(child.wait_with_output().unwrap());
        let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        value["reason"].as_str().unwrap().to_owned()
    };
    let mut reasons: Vec<_> = children.into_iter().map(reason).collect();
    reasons.sort();
    reasons
}

fn sound(sandbox: &Sandbox) -> u64 {
    assert_eq!(sandbox.reason(&["replay"]), "OK");
    assert_eq!(
        sandbox.git(&["fsck", "--strict", "--full", "--no-dangling"]),
        ""
    );
    let found = sandbox.json(&["verify-chain"]);
    assert_eq!(found["verdict"], "VALID", "{found}");
    found["events"].as_u64().unwrap()
}

#[test]
fn twenty_writers_all_arrive() {
    let sandbox = Sandbox::opened();
    let reasons = race(&sandbox, 20, &["issue", "--request", "requests/read.json"]);
    assert_eq!(reasons, vec!["OK"; 20]);
    assert_eq!(sound(&sandbox), 21);
}

#[test]
fn of_ten_users_of_a_one_shot_permit_exactly_one_succeeds() {
    let sandbox = Sandbox::opened();
    sandbox.issue("build");
    let permit = sandbox.permit_file("build");
    let reasons = race(
        &sandbox,
        10,
        &["use", &permit, "--request", "requests/build.json"],
    );
    assert_eq!(reasons, [vec!["ALREADY_USED"; 9], vec!["OK"]].concat());
    assert_eq!(sound(&sandbox), 3);
}

#[test]
fn of_six_that_open_a_stream_exactly_one_succeeds() {
    let sandbox = Sandbox::acme();
    let reasons = race(&sandbox, 6, &["stream", "open", "main"]);
    assert_eq!(reasons, [vec!["OK"], vec!["STREAM_EXISTS"; 5]].concat());
    assert_eq!(sound(&sandbox), 1);
}

#[test]
fn six_that_open_and_issue_at_once_all_arrive_on_one_stream() {
    let sandbox = Sandbox::acme();
    let reasons = race(
        &sandbox,
        6,
        &["issue", "--open-stream", "--request", "requests/read.json"],
    );
    assert_eq!(reasons, vec!["OK"; 6]);
    assert_eq!(sound(&sandbox), 7);
}

#[test]
fn a_writer_killed_at_any_instant_leaves_the_old_tip_or_the_new_one() {
    let sandbox = Sandbox::opened();
    let request = std::fs::read_to_string(sandbox.path("requests/read.json")).unwrap();
    let line = request.replace('\n', "") + "\n";
    let mut events = 1;
    for round in 0..12_u64 {
        let mut command = sandbox.permit_command(&["issue", "--batch", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = line.repeat(100);
        let writer = thread::spawn(move || while input.write_all(lines.as_bytes()).is_ok() {});
        let reader = thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .filter(|line| line.contains("\"OK\""))
                .count()
        });
        thread::sleep(Duration::from_millis(5 + round * 11));
        child.kill().unwrap();
        child.wait().unwrap();
        writer.join().unwrap();
        let printed = u64::try_from(reader.join().unwrap()).unwrap();
        let lock = sandbox.path(".git/refs/permit/streams/main.lock");
        if lock.exists() {
            // What the hint tells the user to do.
            std::fs::remove_file(lock).unwrap();
        }
        let found = sandbox.json(&["verify-chain"]);
        assert_eq!(found["verdict"], "VALID", "round {round}: {found}");
        let now = found["events"].as_u64().unwrap();
        assert!(
            now >= events + printed.saturating_sub(1),
            "round {round}: a line was printed before its event was durable"
        );
        events = now;
        assert_eq!(
            sandbox.git(&["fsck", "--strict", "--no-dangling"]),
            "",
            "round {round}"
        );
    }
    sandbox.issue("read");
    assert_eq!(sound(&sandbox), events + 1);
}
