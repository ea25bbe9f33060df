//! `permit stream open|list|export`.

use std::fs;

use insta::assert_snapshot;

use crate::forge::Forger;
use crate::sandbox::{Sandbox, files_below};

#[test]
fn open_then_list() {
    let sandbox = Sandbox::acme();
    assert_snapshot!("list_of_nothing", sandbox.permit(&["stream", "list"]));
    assert_snapshot!("open", sandbox.permit(&["stream", "open", "main"]));
    assert_snapshot!("open_again", sandbox.permit(&["stream", "open", "main"]));
    let second = ["stream", "open", "ci.2024_a-b", "--format", "json"];
    assert_snapshot!("open_json", sandbox.permit(&second));
    assert_snapshot!("list", sandbox.permit(&["stream", "list"]));
    assert_snapshot!(
        "list_json",
        sandbox.permit(&["stream", "list", "--format", "json"])
    );
}

#[test]
fn the_commit_of_an_event_is_byte_for_byte_what_the_pages_say() {
    let sandbox = Sandbox::chain();
    let mut text = String::new();
    for back in [7, 6, 4] {
        let commit = format!("refs/permit/streams/main~{back}");
        text.push_str(&sandbox.git(&["cat-file", "-p", &commit]));
        text.push_str("\n======\n");
    }
    assert_snapshot!("commits", text);
    assert_snapshot!(
        "git_log",
        sandbox.git(&[
            "log",
            "--format=%h %at %aN <%aE>%n    %s",
            "refs/permit/streams/main"
        ])
    );
    assert_eq!(sandbox.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn a_subject_is_printable_ascii_of_at_most_200_bytes() {
    let sandbox = Sandbox::opened();
    let target = "workspace/\u{1F600}";
    for actor in ["agent:zoë".to_owned(), format!("agent:{}", "é".repeat(300))] {
        let request = serde_json::json!({
            "schema": "permit.request.v1", "actor_id": actor, "operation": "read", "target": target,
            "capability": {"kind": "tool", "selector": "fs.read"}, "context": {}
        });
        sandbox.write("requests/odd.json", request.to_string());
        sandbox.issue("odd");
    }
    let log = sandbox.git(&["log", "--format=%s", "-2", "refs/permit/streams/main"]);
    let (cut, odd) = log.split_once('\n').unwrap();
    assert_eq!(odd, "permit.issued #1 allow tool:fs.read agent:zo\\u{eb}");
    assert_eq!(cut.len(), 200);
    assert!(cut.ends_with("\\u{e9}\\u{e9}\\u"), "{cut}");
    sandbox.ok(&["verify-chain"]);
    sandbox.ok(&["replay"]);
}

#[test]
fn ids_that_are_no_stream_ids() {
    let sandbox = Sandbox::acme();
    for id in [
        "Main",
        "",
        ".a",
        "a..b",
        "a.lock",
        "a.",
        "a/b",
        "-a",
        "ä",
        "a b",
        &"a".repeat(129),
    ] {
        let call = ["stream", "open", "--", id];
        assert_eq!(sandbox.run(&call).exit, 7, "`{id}`");
    }
    for id in ["0", "a-b_c.d", &"a".repeat(128)] {
        sandbox.ok(&["stream", "open", id]);
    }
}

#[test]
fn a_stream_is_never_made_silently() {
    let sandbox = Sandbox::acme();
    let issue = ["issue", "--request", "requests/read.json"];
    assert_snapshot!("issue_without_a_stream", sandbox.permit(&issue));
    for call in [
        &["verify-chain"][..],
        &["replay"],
        &["status"],
        &["log"],
        &["checkpoint"],
        &["stream", "export", "main", "--jsonl", "-"],
        &["simulate", "--policy-at", "HEAD"],
        &["issue", "--batch", "requests/read.json"],
    ] {
        assert_eq!(
            sandbox.reason_of_last_line(call),
            "STREAM_MISSING",
            "{call:?}"
        );
    }
    assert_eq!(
        sandbox.json(&["stream", "list"])["streams"],
        serde_json::json!([])
    );
    let opened = [&issue[..], &["--open-stream"]].concat();
    assert_eq!(sandbox.json(&opened)["sequence"], 1);
    assert_eq!(sandbox.json(&opened)["sequence"], 2);
}

#[test]
fn a_deleted_stream_does_not_pass_for_an_empty_one() {
    let sandbox = Sandbox::chain();
    sandbox.git(&["update-ref", "-d", "refs/permit/streams/main"]);
    assert_snapshot!(
        "open_a_lost_stream",
        sandbox.permit(&["stream", "open", "main"])
    );
    let issue = ["issue", "--request", "requests/read.json", "--open-stream"];
    assert_eq!(sandbox.reason(&issue), "STREAM_LOST");
    assert_eq!(sandbox.reason(&["init"]), "STREAM_LOST");
    sandbox.ok(&["stream", "open", "other"]);
}

#[test]
fn a_stream_that_only_was_read_is_not_remembered() {
    let sandbox = Sandbox::chain();
    sandbox.git(&["clone", "--quiet", "--mirror", ".", "../mirror"]);
    let mirror = sandbox.aside("mirror");
    let mirror = ["--repo", mirror.to_str().unwrap()];
    sandbox.git(&[
        "-C",
        mirror[1],
        "config",
        "permit.governedRef",
        "refs/heads/main",
    ]);
    sandbox.ok(&[&mirror[..], &["verify-chain"]].concat());
    sandbox.git(&[
        "-C",
        mirror[1],
        "update-ref",
        "-d",
        "refs/permit/streams/main",
    ]);
    assert_eq!(
        sandbox.reason(&[&mirror[..], &["stream", "open", "main"]].concat()),
        "OK"
    );
}

#[test]
fn exports_hold_the_same_bytes_and_are_read_again() {
    let sandbox = Sandbox::chain();
    let (lines, folder) = (sandbox.aside("main.jsonl"), sandbox.aside("export"));
    let (lines, folder) = (lines.to_str().unwrap(), folder.to_str().unwrap());
    let to_lines = ["stream", "export", "main", "--jsonl", lines];
    let to_folder = ["stream", "export", "main", "--dir", folder];
    assert_snapshot!("export_lines", sandbox.permit(&to_lines));
    assert_snapshot!("export_folder", sandbox.permit(&to_folder));
    assert_snapshot!(
        "export_json",
        sandbox.permit(&[&to_folder[..], &["--format", "json"]].concat())
    );
    let text = fs::read_to_string(lines).unwrap();
    assert_eq!(
        text,
        sandbox.ok(&["stream", "export", "main", "--jsonl", "-"])
    );
    let inner = sandbox.aside("export/audit/streams/main");
    for (sequence, line) in text.lines().enumerate() {
        let file = fs::read_to_string(inner.join(format!("{sequence}.audit.json"))).unwrap();
        assert_eq!(file, line);
    }
    assert_eq!(files_below(&inner).len(), 8);
    let tip = sandbox.json(&["checkpoint"])["event_hash"].clone();
    for source in [["--jsonl", lines], ["--dir", inner.to_str().unwrap()]] {
        let found = sandbox.json(&[&["verify-chain"][..], &source].concat());
        assert_eq!((&found["tip"], &found["events"]), (&tip, &8.into()));
    }
    sandbox.ok(&[
        "stream",
        "export",
        "main",
        "--dir",
        sandbox.path("exported").to_str().unwrap(),
    ]);
    sandbox.commit("The stream as files");
    let found = sandbox.json(&["verify-chain", "--tree", "HEAD:exported/audit/streams/main"]);
    assert_eq!((&found["tip"], &found["events"]), (&tip, &8.into()));
}

#[test]
fn an_export_goes_on_where_one_ended_and_never_overwrites_another_history() {
    let sandbox = Sandbox::opened();
    let folder = sandbox.aside("export");
    let export = [
        "stream",
        "export",
        "main",
        "--dir",
        folder.to_str().unwrap(),
    ];
    sandbox.ok(&export);
    sandbox.issue("read");
    sandbox.ok(&export);
    assert_eq!(files_below(&folder).len(), 2);
    fs::write(folder.join("audit/streams/main/0.audit.json"), "{}").unwrap();
    assert_eq!(sandbox.reason(&export), "IO_ERROR");
    assert_eq!(
        fs::read(folder.join("audit/streams/main/0.audit.json")).unwrap(),
        b"{}"
    );
}

#[test]
fn a_broken_stream_is_not_exported() {
    let sandbox = Sandbox::chain();
    let mut commits = crate::forge::commits(&sandbox, "main");
    commits.remove(3);
    Forger::new(&sandbox).rewrite("main", &commits);
    let target = sandbox.aside("main.jsonl");
    let export = [
        "stream",
        "export",
        "main",
        "--jsonl",
        target.to_str().unwrap(),
    ];
    assert_eq!(sandbox.reason(&export), "CHAIN_TAMPERED");
    assert!(!target.exists());
}

#[test]
fn a_full_disk_is_an_error() {
    let sandbox = Sandbox::chain();
    let export = ["stream", "export", "main", "--jsonl", "/dev/full"];
    assert_eq!(sandbox.reason(&export), "IO_ERROR");
}
