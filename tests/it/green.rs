//! Nothing is green that was not looked at, and no fault is told wrongly.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::{Run, Sandbox};

/// A user without rights of their own.
const NOBODY: u32 = 65_534;

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// Runs as a user whom the system can refuse something.
fn unprivileged(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let home = sandbox.path("").parent().unwrap().to_owned();
    let mut command = sandbox.permit_command(&[arguments, &["--format", "json"]].concat());
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        give_away(&home);
        command.uid(NOBODY).gid(NOBODY);
    }
    sandbox.finish(command.output().unwrap())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn told(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{} {}", run.stdout, run.stderr))
}

#[test]
fn green_without_looking_is_no_longer() {
    let sandbox = Sandbox::acme();
    for call in [
        &["replay", "--all"][..],
        &["verify-chain", "--all"],
        &["replay"],
        &["verify-chain"],
    ] {
        let run = sandbox.run(&[call, &["--format", "json"]].concat());
        assert_eq!(
            (run.exit, &told(&run)["reason"]),
            (7, &json!("STREAM_MISSING")),
            "{call:?}"
        );
        let run = sandbox.run(&[call, &["--allow-empty"]].concat());
        assert_eq!(run.exit, 0, "{call:?}: {}", run.stderr);
    }
    // A plain clone fetches no streams: the next step does, as it is typed.
    let served = Sandbox::chain();
    let clone = Sandbox::empty();
    clone.git(&["clone", "--quiet", served.path("").to_str().unwrap(), "."]);
    let run = clone.run(&["replay", "--all", "--format", "json"]);
    let step = told(&run)["next_step"].as_str().unwrap().to_owned();
    let (fetch, _) = step.split_once(';').unwrap();
    let words: Vec<_> = fetch
        .split(' ')
        .skip(1)
        .map(|word| word.trim_matches('\''))
        .collect();
    clone.git(&words);
    assert_eq!(clone.run(&["replay", "--all"]).exit, 0);
    assert_eq!(clone.run(&["verify-chain", "--all"]).exit, 0);
}

#[test]
fn a_range_that_holds_nothing_is_refused() {
    let sandbox = Sandbox::chain();
    for call in [
        &["replay", "--from", "100"][..],
        &["replay", "--all", "--from", "100"],
        &["simulate", "--policy-at", "HEAD", "--from", "100"],
        &["replay", "--from", "5", "--to", "4"],
    ] {
        let run = sandbox.run(&[call, &["--format", "json"]].concat());
        assert_eq!(
            (run.exit, &told(&run)["reason"]),
            (7, &json!("INVALID_INPUT")),
            "{call:?}"
        );
    }
    assert_eq!(
        sandbox.json(&["replay", "--from", "1", "--to", "2"])["replayed"],
        2
    );
}

#[test]
fn a_folder_without_events_is_refused_and_leads_to_the_right_one() {
    let sandbox = Sandbox::chain();
    sandbox.ok(&["stream", "export", "main", "--dir", "out"]);
    let run = sandbox.run(&["verify-chain", "--dir", "out", "--format", "json"]);
    assert_eq!(
        (run.exit, &told(&run)["reason"]),
        (7, &json!("INVALID_INPUT"))
    );
    let step = told(&run)["next_step"].as_str().unwrap().to_owned();
    let words: Vec<_> = step.split(' ').skip(1).collect();
    sandbox.ok(&words);
}

#[test]
fn a_missing_stream_is_told_with_those_that_exist() {
    let sandbox = Sandbox::opened();
    let run = sandbox.run(&["status", "--stream", "mian", "--format", "json"]);
    assert_eq!(told(&run)["details"]["exists"], "main");
    sandbox.ok(&["stream", "open", "ci"]);
    let run = sandbox.run(&["status", "--stream", "mian", "--format", "json"]);
    assert_eq!(told(&run)["details"]["exists"], json!(["ci", "main"]));
}

#[test]
fn hints_do_not_go_in_circles() {
    let sandbox = Sandbox::without_commits();
    let run = sandbox.run(&["stream", "open", "main", "--ungoverned", "--format", "json"]);
    assert_eq!(run.exit, 7);
    let step = told(&run)["next_step"].as_str().unwrap().to_owned();
    assert!(step.starts_with("git commit --allow-empty"), "{step}");
    let nowhere = Sandbox::empty();
    let run = nowhere.run(&["status", "--format", "json"]);
    assert_eq!((run.exit, &told(&run)["reason"]), (1, &json!("GIT_ERROR")));
    assert!(
        told(&run)["next_step"]
            .as_str()
            .unwrap()
            .contains("git init")
    );
    let opened = Sandbox::opened();
    for (call, step) in [
        (&["show", "x"][..], "permit status"),
        (&["review", "check", "x"], "permit review list"),
        (&["request", "show", "x"], "permit request list"),
        (
            &["manifest", "check", "x"],
            "git ls-files governance/manifests",
        ),
    ] {
        let run = opened.run(&[call, &["--format", "json"]].concat());
        assert_eq!(
            (run.exit, &told(&run)["next_step"]),
            (7, &json!(step)),
            "{call:?}"
        );
    }
}

#[test]
fn an_append_whose_flush_fails_says_that_it_stands() {
    let sandbox = Sandbox::opened();
    let folder = sandbox.path(".git/refs/permit/streams");
    let call = ["issue", "--request", "requests/read.json"];
    // A folder that can be changed and not opened: the rename is done, the flush is not.
    mode(&folder, 0o300);
    let run = unprivileged(&sandbox, &call);
    mode(&folder, 0o700);
    let told = told(&run);
    assert_eq!(
        (run.exit, &told["reason"]),
        (1, &json!("IO_ERROR")),
        "{told}"
    );
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with("event 1 of `main` is appended, and"),
        "{message}"
    );
    let run = unprivileged(&sandbox, &["checkpoint"]);
    assert_eq!(self::told(&run)["sequence"], 1, "it stands");
    assert_eq!(
        unprivileged(&sandbox, &call).exit,
        0,
        "and the next one works"
    );
}

#[test]
fn an_event_that_cannot_be_opened_is_no_false_alarm() {
    let sandbox = Sandbox::opened();
    let tip = sandbox.tip("main");
    let object = sandbox.path(&format!(".git/objects/{}/{}", &tip[..2], &tip[2..]));
    mode(&object, 0o000);
    for call in [&["verify-chain"][..], &["replay"], &["checkpoint"]] {
        let run = unprivileged(&sandbox, call);
        assert_eq!(
            (run.exit, &told(&run)["reason"]),
            (1, &json!("GIT_ERROR")),
            "{call:?}"
        );
    }
    mode(&object, 0o444);
    assert_eq!(unprivileged(&sandbox, &["verify-chain"]).exit, 0);
}

#[test]
fn a_branch_that_cannot_be_opened_is_no_missing_commit() {
    let sandbox = Sandbox::opened();
    let branch = sandbox.path(".git/refs/heads/main");
    mode(&branch, 0o000);
    let run = unprivileged(&sandbox, &["eval", "--request", "requests/read.json"]);
    assert_eq!((run.exit, &told(&run)["reason"]), (1, &json!("GIT_ERROR")));
    mode(&branch, 0o644);
    assert_eq!(
        unprivileged(&sandbox, &["eval", "--request", "requests/read.json"]).exit,
        0
    );
}

#[test]
fn nothing_is_written_through_a_symlink_out_of_the_work_tree() {
    let sandbox = Sandbox::opened();
    let outside = sandbox.path("").parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::rename(sandbox.path("governance"), sandbox.path("kept")).unwrap();
    symlink(&outside, sandbox.path("governance")).unwrap();
    for call in [
        &["init"][..],
        &["manifest", "new", "requests/read.json", "--purpose", "p"],
    ] {
        let run = sandbox.run(&[call, &["--format", "json"]].concat());
        let told = told(&run);
        assert_eq!(
            (run.exit, &told["reason"]),
            (7, &json!("INVALID_INPUT")),
            "{call:?}: {told}"
        );
        assert_eq!(told["details"]["symlink"], "governance", "{call:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{call:?}");
    }
    fs::remove_file(sandbox.path("governance")).unwrap();
    fs::rename(sandbox.path("kept"), sandbox.path("governance")).unwrap();
    sandbox.ok(&["init"]);
    let made = sandbox.json(&["manifest", "new", "requests/read.json", "--purpose", "p"]);
    assert!(sandbox.path(made["path"].as_str().unwrap()).is_file());
}

#[test]
fn a_batch_that_is_killed_leaves_no_pack_behind() {
    use std::io::Write as _;
    use std::process::Stdio;
    let sandbox = Sandbox::opened();
    let line = fs::read_to_string(sandbox.path("requests/read.json"))
        .unwrap()
        .replace('\n', "")
        + "\n";
    let mut command = sandbox.permit_command(&["issue", "--batch", "-", "--atomic"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(line.repeat(300).as_bytes()).unwrap();
    input.flush().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);
    let packs = fs::read_dir(sandbox.path(".git/objects/pack"));
    let left = packs
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("tmp_"));
    assert_eq!(left.count(), 0);
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 1);
}

#[test]
fn no_schema_cites_a_page_that_nobody_has() {
    let sandbox = Sandbox::empty();
    for name in [
        "policy",
        "review",
        "principals",
        "manifest",
        "request",
        "permit",
        "checkpoint",
        "execution_request",
        "enforcement",
        "enforcement_decision",
        "mutation_intent",
        "hap-attestation",
        "hap-decision",
        "hap-execution-request",
        "hap-owners",
        "hap-profile",
        "hap-registration",
        "hap-registry",
        "hap-request",
        "hap-service-providers",
    ] {
        let schema = sandbox.ok(&["schema", name]);
        for word in [".md", "section ", "[`"] {
            assert!(!schema.contains(word), "{name}: {word}");
        }
    }
}
