//! What every command says, in text and in JSON, where it succeeds and where it fails early: one snapshot each.
//!
//! After a change that is meant to be seen, `INSTA_UPDATE=always` writes them anew.
//!
//! The calls of one list run one after another in one repository, so that a later one sees what an earlier one did.

use std::fs;

use serde_json::{Value, json};

use crate::sandbox::{Sandbox, copy_folder, fixtures, transcript};

/// Runs each call in both formats, each in a repository of its own that has seen the calls before it.
fn both(name: &str, sandbox: &Sandbox, calls: &[&[&str]]) {
    let twin = Sandbox::empty();
    copy_folder(&sandbox.path(""), &twin.path(""));
    copy_folder(&sandbox.aside("home"), &twin.aside("home"));
    if sandbox.aside("permits").exists() {
        copy_folder(&sandbox.aside("permits"), &twin.aside("permits"));
    }
    let mut seen = String::new();
    for call in calls {
        seen += &shown(sandbox, call);
        let other: Vec<String> = call
            .iter()
            .map(|word| moved(word, sandbox, &twin))
            .collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        seen += &shown(&twin, &[other.as_slice(), &["--format", "json"]].concat());
        seen += "\n";
    }
    insta::assert_snapshot!(name, seen);
}

fn moved(word: &str, from: &Sandbox, to: &Sandbox) -> String {
    let [from, to] = [from, to].map(|one| one.aside("").display().to_string());
    word.replace(&from, &to)
}

/// What a call printed, without the place of the repository.
fn shown(sandbox: &Sandbox, call: &[&str]) -> String {
    let here = sandbox.aside("").display().to_string();
    transcript(call, &sandbox.run(call)).replace(&here, "[SANDBOX]/")
}

#[test]
fn deciding() {
    let sandbox = Sandbox::opened();
    sandbox.write("batch.jsonl", batch());
    let calls: &[&[&str]] = &[
        &["eval", "--request", "requests/read.json"],
        &["eval", "--request", "requests/ship.json"],
        &["eval", "--request", "requests/none.json"],
        &["issue", "--request", "requests/read.json"],
        &["issue", "--request", "requests/unknown.json"],
        &["issue", "--request", "requests/ship.json"],
        &[
            "issue",
            "--request",
            "requests/read.json",
            "--stream",
            "none",
        ],
        &[
            "issue",
            "--request",
            "requests/read.json",
            "--actor",
            "agent:other",
        ],
        &["issue", "--batch", "batch.jsonl"],
        &["issue", "--atomic", "--batch", "batch.jsonl"],
        &["issue", "--batch", "none.jsonl"],
    ];
    both("deciding", &sandbox, calls);
}

fn batch() -> String {
    ["read", "unknown", "env"]
        .map(|name| {
            let path = fixtures().join(format!("repos/acme/requests/{name}.json"));
            fs::read_to_string(path).unwrap().replace('\n', "") + "\n"
        })
        .concat()
        + "{}\n"
}

#[test]
fn permits() {
    let sandbox = Sandbox::chain();
    let [read, build, unknown] = ["read", "build", "unknown"].map(|name| sandbox.permit_file(name));
    let id = sandbox.kept("read")["permit_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let calls: &[&[&str]] = &[
        &["verify", &read, "--request", "requests/read.json"],
        &["verify", &build, "--request", "requests/build.json"],
        &["verify", &unknown, "--request", "requests/unknown.json"],
        &["verify", &read, "--request", "requests/build.json"],
        &["verify", "none.json", "--request", "requests/build.json"],
        &["use", &read, "--request", "requests/read.json"],
        &["use", &build, "--request", "requests/build.json"],
        &["show", &id],
        &[
            "show",
            "0000000000000000000000000000000000000000000000000000000000000000",
        ],
        &["show", "none"],
    ];
    both("permits", &sandbox, calls);
}

#[test]
fn auditing() {
    let sandbox = Sandbox::chain();
    sandbox.ok(&["stream", "export", "main", "--jsonl", "events.jsonl"]);
    let text = fs::read_to_string(sandbox.path("events.jsonl")).unwrap();
    sandbox.write(
        "altered.jsonl",
        text.replacen("agent:codex", "agent:kodex", 1),
    );
    sandbox.ok(&["stream", "export", "main", "--dir", "events"]);
    let calls: &[&[&str]] = &[
        &["verify-chain"],
        &["verify-chain", "--all"],
        &["verify-chain", "--jsonl", "events.jsonl"],
        &["verify-chain", "--jsonl", "altered.jsonl"],
        &["verify-chain", "--dir", "events/audit/streams/main"],
        &["verify-chain", "--dir", "none"],
        &["verify-chain", "--stream", "none"],
        &["replay"],
        &["replay", "--all"],
        &["replay", "--stream", "none"],
        &["simulate", "--policy-at", "HEAD"],
        &["simulate", "--policy-at", "none"],
        &["checkpoint"],
        &["checkpoint", "--stream", "none"],
        &["status"],
        &["status", "--stream", "none"],
        &["log"],
        &["log", "--stream", "none"],
        &["stream", "list"],
        &["stream", "open", "other"],
        &["stream", "open", "main"],
        &["stream", "export", "main", "--jsonl", "-"],
        &["stream", "export", "none", "--jsonl", "-"],
        &["sync"],
    ];
    both("auditing", &sandbox, calls);
}

#[test]
fn beginning() {
    let sandbox = Sandbox::without_commits();
    let calls: &[&[&str]] = &[
        &["init"],
        &["init"],
        &["issue", "--request", "none.json"],
        &["stream", "open", "main"],
        &["verify-chain"],
        &["status"],
    ];
    both("beginning", &sandbox, calls);
    let nothing = Sandbox::empty();
    let calls: &[&[&str]] = &[
        &["init"],
        &["issue", "--request", "-"],
        &["log"],
        &["guard", "status"],
    ];
    both("no_repository", &nothing, calls);
}

#[test]
fn tools() {
    let sandbox = Sandbox::chain();
    sandbox.write("float.json", "{\"a\": 1.5}");
    let calls: &[&[&str]] = &[
        &["canonicalize", "requests/read.json"],
        &["canonicalize", "float.json"],
        &["hash", "--domain", "x", "requests/read.json"],
        &["hash", "--domain", "", "requests/read.json"],
        &["explain", "CHAIN_TAMPERED"],
        &["explain", "NOPE"],
        &["explain"],
        &["schema", "policy"],
        &["schema", "nope"],
        &["nope"],
        &["issue", "--nope"],
    ];
    both("tools", &sandbox, calls);
}

#[test]
fn ledger() {
    let sandbox = Sandbox::chain();
    sandbox.write("draft.json", draft().to_string());
    let calls: &[&[&str]] = &[
        &["manifest", "new", "README.md", "--purpose", "test"],
        &["manifest", "new", "none.md", "--purpose", "test"],
        &["manifest", "check", &"0".repeat(64)],
        &["review", "list"],
        &["review", "check", &"0".repeat(64)],
        &[
            "review",
            "sign",
            &"0".repeat(64),
            "--as",
            "human:ana",
            "--key",
            "none",
        ],
        &["review", "record", &"0".repeat(64)],
        &[
            "review",
            "new",
            "--request",
            "requests/ship.json",
            "--verdict",
            "approve",
            "--reviewer",
            "human:ana",
            "--role",
            "council",
            "--cross-signer",
            "human:ana",
            "--manifest",
            &"0".repeat(64),
        ],
        &["request", "list"],
        &["request", "check", "--all"],
        &["request", "show", &"0".repeat(64)],
        &["request", "new", "--draft", "draft.json"],
        &["request", "new", "--draft", "none.json"],
    ];
    both("ledger", &sandbox, calls);
}

fn draft() -> Value {
    json!({"schema": "permit.execution_request.v1"})
}

#[test]
fn boundaries() {
    let sandbox = Sandbox::chain();
    let read = sandbox.permit_file("read");
    let calls: &[&[&str]] = &[
        &["guard", "status"],
        &["guard", "report"],
        &["guard", "plan", "--base", "HEAD", "--head", "HEAD"],
        &["guard", "check", "--base", "HEAD", "--head", "HEAD"],
        &[
            "guard", "check", "--base", "HEAD", "--head", "HEAD", "--mode", "enforce",
        ],
        &[
            "guard", "check", "--base", "HEAD", "--head", "HEAD", "--mode", "off",
        ],
        &[
            "guard", "check", "--base", "HEAD", "--head", "none", "--mode", "enforce",
        ],
        &["guard", "receive", "--mode", "enforce"],
        &["guard", "install"],
        &["guard", "install"],
        &[
            "exec",
            &read,
            "--request",
            "requests/read.json",
            "--",
            "true",
        ],
        &[
            "exec",
            &read,
            "--request",
            "requests/read.json",
            "--mode",
            "enforce",
            "--",
            "true",
        ],
        &[
            "exec",
            &read,
            "--request",
            "requests/read.json",
            "--mode",
            "off",
            "--",
            "true",
        ],
    ];
    both("boundaries", &sandbox, calls);
}

#[test]
fn attestations() {
    let sandbox = Sandbox::chain();
    let calls: &[&[&str]] = &[
        &[
            "hap", "context", "--base", "HEAD", "--head", "HEAD", "--repo", "acme/web",
        ],
        &["hap", "frame", "--field", "repo=acme/web"],
        &[
            "hap",
            "request",
            "--base",
            "HEAD",
            "--head",
            "HEAD",
            "--repo",
            "acme/web",
            "--env",
            "prod",
            "--domain",
            "engineering",
            "--did",
            "did:x:y",
            "--problem",
            "README.md",
            "--objective",
            "README.md",
            "--tradeoffs",
            "README.md",
        ],
        &[
            "hap",
            "attest",
            "--request",
            "none",
            "--verified-did",
            "did:x:y",
            "--sp-key-file",
            "none",
            "--base",
            "HEAD",
            "--head",
            "HEAD",
            "--repo",
            "acme/web",
            "--env",
            "prod",
            "--commit",
        ],
        &[
            "hap",
            "authorize",
            "--base",
            "HEAD",
            "--head",
            "HEAD",
            "--repo",
            "acme/web",
            "--env",
            "prod",
            "--now",
            "1700000000",
        ],
        &["hap", "show", "README.md"],
        &[
            "hap",
            "dispute",
            "README.md",
            "--base",
            "HEAD",
            "--head",
            "HEAD",
            "--at",
            "1700000000",
        ],
        &["hap", "stream", "verify", "project"],
        &["hap", "sp", "stats"],
        &["hap", "sp", "log"],
        &["hap", "sp", "pubkey", "--sp-key-file", "none"],
        &["hap", "owners", "--at", "HEAD"],
        &["hap", "authority", "history", "did:x:y"],
        &["hap", "profiles"],
        &["hap", "gate", "verify", "--attestation", "README.md"],
    ];
    both("attestations", &sandbox, calls);
}
