//! Execution requests: recorded, checked, approved, issued, executed within their bounds.

use std::fs;

use serde_json::{Value, json};

use crate::guard::world::{Run, World};

/// A clone `a` that governs itself, and a target checkout `t`.
struct Case {
    world: World,
    commit: String,
}

impl Case {
    fn new() -> Self {
        let world = World::adopted();
        world.git("a", &["config", "permit.governedRef", "refs/heads/main"]);
        world.git("", &["init", "-q", "-b", "main", "t"]);
        world.write("t", "src/a", "one");
        world.write("t", "docs/a", "one");
        world.write("t", ".gitignore", "*.tmp\n");
        let commit = world.commit("t", "Target");
        Self { world, commit }
    }

    fn draft(&self, script: &str) -> Value {
        json!({
            "schema": "permit.execution_request.v1",
            "approval_granted": false, "execution_allowed": false, "runtime_default_activation": false,
            "request": {"schema": "permit.request.v1", "actor_id": "agent:codex",
                "capability": {"kind": "tool", "selector": "ship"},
                "operation": "execute", "target": "service/web", "context": {}},
            "target_repository": {"name": "acme/web", "url": "https://example.com/acme/web", "commit": self.commit},
            "allowed_paths": ["src/**"],
            "harness": {"argv": ["sh", "-c", script], "working_directory": "."},
            "approval_packet": {"media_type": "text/plain", "content_base64": "Z28=",
                "sha256": "52134d2a0ee8b8a2cf1ab39d7f6fe1fac9ff99b0ed5d9ae6b9a6ba6ddd0a0c3e"},
            "proof_pointers": [], "blocked_actions": ["git.push"], "required_approvers": ["human:ana"]
        })
    }

    fn with_packet(mut draft: Value) -> Value {
        let sha = permit::engine::digest::sha256(b"go").to_string();
        draft["approval_packet"]["sha256"] = sha.into();
        draft
    }

    /// Writes a record by hand, as no command would, and commits it.
    fn smuggled(&self, draft: &Value) {
        let path = self.world.save("draft.json", draft);
        let domain = "secure_execution_layer.execution_request.v1";
        let run = self.world.permit("a", &["hash", "--domain", domain, &path]);
        let id = run.stdout.trim().to_owned();
        let mut record = draft.clone();
        record["request_id"] = id.clone().into();
        let path = format!("governance/requests/{id}.request.json");
        self.world.write("a", &path, record.to_string());
        self.world.commit("a", "Record");
    }

    fn new_record(&self, draft: &Value) -> Run {
        let path = self.world.save("draft.json", draft);
        self.world.permit(
            "a",
            &["request", "new", "--draft", &path, "--format", "json"],
        )
    }

    /// Records, reviews and commits; returns the record's id.
    fn approved(&self, draft: &Value) -> String {
        let run = self.new_record(draft);
        let made = run.json();
        let id = made["request_id"].as_str().unwrap().to_owned();
        self.world.commit("a", "Record");
        self.world.pushed("a", &["main"]);
        assert_eq!(self.state(&id), "recorded");
        let shown = self.world.ok("a", &["request", "show", &id]);
        let mut request = shown["record"]["request"].clone();
        request["context"]["execution_request_id"] = id.clone().into();
        let request = self.world.save("bound.json", &request);
        let path = made["path"].as_str().unwrap().to_owned();
        self.world.review("a", &request, &[&path]);
        self.world.commit("a", "Review");
        self.world.pushed("a", &["main"]);
        id
    }

    fn issued(&self, script: &str) -> (String, String) {
        self.issued_from(&Self::with_packet(self.draft(script)))
    }

    fn issued_from(&self, draft: &Value) -> (String, String) {
        let id = self.approved(draft);
        assert_eq!(self.state(&id), "approved");
        let issued = self.world.ok("a", &["issue", "--execution-request", &id]);
        let permit = self.world.save("permit.json", &issued["permit"]);
        assert_eq!(self.state(&id), "permit_issued");
        (id, permit)
    }

    fn state(&self, id: &str) -> String {
        let listed = self.world.ok("a", &["request", "list"]);
        let all = listed["requests"].as_array().unwrap();
        let one = all.iter().find(|one| one["request_id"] == id).unwrap();
        one["state"].as_str().unwrap().to_owned()
    }

    fn exec(&self, mode: &str, id: &str, permit: &str) -> (Run, Value) {
        self.exec_in("t", mode, id, permit)
    }

    fn exec_in(&self, target: &str, mode: &str, id: &str, permit: &str) -> (Run, Value) {
        let target = self.world.path(target);
        let report = self.world.path("report.json");
        let mut command = self.world.command(env!("CARGO_BIN_EXE_permit"), "a");
        command.args(["exec", permit, "--execution-request", id, "--target"]);
        command
            .arg(target)
            .arg("--report")
            .arg(&report)
            .env("ENFORCEMENT_MODE", mode);
        let run = Run::of(&command.output().unwrap());
        let report = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        (run, report)
    }
}

#[test]
fn an_approved_record_runs_once_within_its_allowance() {
    let case = Case::new();
    let (id, permit) = case.issued("echo two > src/a; echo new > src/b");
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(run.exit, 0, "{run:?} {report}");
    assert_eq!(report["changed_paths"], json!(["src/a", "src/b"]));
    assert_eq!(report["not_enforced"], json!(["git.push"]));
    assert_eq!(case.state(&id), "used");
    case.world.pushed("a", &["refs/permit/streams/main"]);
}

#[test]
fn without_arguments_the_records_harness_runs_in_shadow_and_off_too() {
    let case = Case::new();
    let (id, permit) = case.issued("echo two > src/a; exit 5");
    for mode in ["off", "shadow"] {
        let (run, report) = case.exec(mode, &id, &permit);
        assert_eq!(run.exit, 5, "{mode}: {run:?} {report}");
        assert_eq!(
            fs::read_to_string(case.world.path("t/src/a")).unwrap(),
            "two\n",
            "{mode}"
        );
        case.world.git("t", &["checkout", "-q", "."]);
    }
    // Where shadow would have refused, the same harness runs.
    case.world.write("t", "ignored.tmp", "x");
    let (run, report) = case.exec("shadow", &id, &permit);
    assert_eq!(run.exit, 5, "{run:?} {report}");
    assert_eq!(
        fs::read_to_string(case.world.path("t/src/a")).unwrap(),
        "two\n"
    );
}

#[test]
fn a_run_of_another_program_or_target_than_the_record_names_is_no_event() {
    let case = Case::new();
    let (id, permit) = case.issued("true");
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(run.exit, 0, "{run:?} {report}");
    let stream = "refs/permit/streams/main";
    let (world, result) = (&case.world, case.world.git("a", &["rev-parse", stream]));
    let requested = world.git("a", &["rev-parse", &format!("{stream}~1")]);
    for (from, to) in [
        ("\"true\"", "\"rm -rf /\""),
        (
            case.commit.as_str(),
            "1111111111111111111111111111111111111111",
        ),
    ] {
        world.git("a", &["update-ref", stream, &requested]);
        crate::guard::streams::forge(world, "a", |bytes| {
            crate::guard::streams::reseal(bytes, from, to)
        });
        world.denied("a", &[stream], "REPLAY_MISMATCH");
    }
    world.git("a", &["update-ref", stream, &result]);
    world.pushed("a", &[stream]);
}

#[test]
fn changes_outside_the_allowance_are_reported_and_never_undone() {
    let case = Case::new();
    let script = "echo x > docs/a; echo x > a.tmp; echo x > src/a; git config user.name mallory; git branch other";
    let (id, permit) = case.issued(script);
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(run.exit, 103, "{run:?} {report}");
    assert_eq!(report["reason"], "PATH_NOT_ALLOWED");
    assert_eq!(
        report["not_allowed"],
        json!([".git/config", ".git/refs/heads/other", "a.tmp", "docs/a"])
    );
    assert_eq!(
        fs::read_to_string(case.world.path("t/docs/a")).unwrap(),
        "x\n"
    );
    case.world.pushed("a", &["refs/permit/streams/main"]);
}

#[test]
fn pipes_links_in_place_of_folders_and_another_git_directory_are_changes() {
    let case = Case::new();
    let script = "mkfifo .git/hooks/p; mkdir ../other; mv src ../other/src; ln -s ../other/src src";
    let mut draft = Case::with_packet(case.draft(script));
    draft["allowed_paths"] = json!(["*"]);
    let (id, permit) = case.issued_from(&draft);
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(run.exit, 103, "{run:?} {report}");
    assert_eq!(report["not_allowed"], json!([".git/hooks/p", "src/a"]));
    let case = Case::new();
    case.world
        .git("t", &["worktree", "add", "-q", "--detach", "../linked"]);
    let script = "git init -q ../other; echo gitdir: ../other/.git > .git";
    let (id, permit) = case.issued(script);
    let (run, report) = case.exec_in("linked", "enforce", &id, &permit);
    assert_eq!(run.exit, 103, "{run:?} {report}");
    assert_eq!(report["not_allowed"], json!([".git"]));
}

#[test]
fn a_target_that_is_dirty_or_elsewhere_or_leads_out_is_refused_before_the_claim() {
    let case = Case::new();
    let (id, permit) = case.issued("echo two > src/a");
    let refused = |reason: &str, exit: i32| {
        let (run, report) = case.exec("enforce", &id, &permit);
        assert_eq!(
            (run.exit, &report["reason"]),
            (exit, &json!(reason)),
            "{run:?} {report}"
        );
        assert_eq!(case.state(&id), "permit_issued");
    };
    case.world.write("t", "ignored.tmp", "x");
    refused("TARGET_DIRTY", 106);
    fs::remove_file(case.world.path("t/ignored.tmp")).unwrap();
    case.world.git("t", &["rm", "-q", "--cached", "docs/a"]);
    refused("TARGET_DIRTY", 106);
    case.world.git("t", &["reset", "-q"]);
    case.world
        .git("t", &["commit", "-q", "--allow-empty", "-m", "Elsewhere"]);
    refused("TARGET_COMMIT_MISMATCH", 106);
    case.world
        .git("t", &["reset", "-q", "--hard", &case.commit]);
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(run.exit, 0, "{run:?} {report}");
}

#[cfg(unix)]
#[test]
fn a_symlink_that_leads_out_of_the_allowance_is_refused_before_the_claim() {
    let mut case = Case::new();
    std::os::unix::fs::symlink("../docs", case.world.path("t/src/out")).unwrap();
    case.commit = case.world.commit("t", "A link out");
    let (id, permit) = case.issued("echo x > src/out/a");
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(
        (run.exit, &report["reason"]),
        (103, &json!("PATH_NOT_ALLOWED")),
        "{run:?}"
    );
    assert_eq!(case.state(&id), "permit_issued");
    assert_eq!(
        fs::read_to_string(case.world.path("t/docs/a")).unwrap(),
        "one"
    );
}

#[test]
fn a_permit_for_a_record_runs_only_with_it() {
    let case = Case::new();
    let (id, permit) = case.issued("true");
    let shown = case.world.ok("a", &["request", "show", &id]);
    let mut request = shown["record"]["request"].clone();
    request["context"]["execution_request_id"] = id.into();
    let request = case.world.save("bound.json", &request);
    let mut command = case.world.command(env!("CARGO_BIN_EXE_permit"), "a");
    command.args(["exec", &permit, "--request", &request, "--", "true"]);
    command.env("ENFORCEMENT_MODE", "enforce");
    let run = Run::of(&command.output().unwrap());
    assert_eq!(run.exit, 105, "{run:?}");
    assert!(run.stderr.contains("[UNBOUND_REQUEST]"), "{run:?}");
}

#[test]
fn a_record_that_says_more_than_a_proposal_is_refused() {
    let case = Case::new();
    let draft = Case::with_packet(case.draft("true"));
    let with = |path: &str, value: Value| {
        let mut draft = draft.clone();
        *draft.pointer_mut(path).unwrap() = value;
        let run = case.new_record(&draft);
        run.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        with("/approval_granted", json!(true)),
        "APPROVAL_IN_REQUEST"
    );
    assert_eq!(
        with("/execution_allowed", json!(true)),
        "APPROVAL_IN_REQUEST"
    );
    assert_eq!(
        with("/allowed_paths", json!(["/etc/*"])),
        "INVALID_EXECUTION_REQUEST"
    );
    assert_eq!(
        with("/harness/argv", json!("rm -rf /")),
        "INVALID_EXECUTION_REQUEST"
    );
    assert_eq!(
        with("/approval_packet/sha256", json!("00".repeat(32))),
        "PACKET_MISMATCH"
    );
    // What the governed state refuses is refused before it is written, and again where it would come in.
    for (path, value, reason) in [
        (
            "/proof_pointers",
            json!([{"kind": "file", "ref": "README", "sha256": "00".repeat(32)}]),
            "PACKET_MISMATCH",
        ),
        (
            "/request/context",
            json!({"execution_request_id": "x"}),
            "INVALID_EXECUTION_REQUEST",
        ),
        (
            "/target_repository/name",
            json!("acme/other"),
            "REPOSITORY_NOT_ADMITTED",
        ),
        (
            "/required_approvers",
            json!(["human:nobody"]),
            "PRINCIPAL_UNKNOWN",
        ),
        (
            "/required_approvers",
            json!(["agent:codex"]),
            "APPROVER_NOT_HUMAN",
        ),
        (
            "/request/capability/selector",
            json!("git.push"),
            "ACTION_BLOCKED",
        ),
    ] {
        assert_eq!(with(path, value.clone()), reason);
        assert!(!case.world.path("a/governance/requests").exists(), "{path}");
        let mut draft = draft.clone();
        *draft.pointer_mut(path).unwrap() = value;
        case.smuggled(&draft);
        let run = case
            .world
            .permit("a", &["request", "check", "--all", "--format", "json"]);
        assert_eq!(run.json()["reason"], reason, "{run:?}");
        case.world.denied("a", &["main"], reason);
        case.world
            .git("a", &["reset", "-q", "--hard", "origin/main"]);
    }
    let run = case.new_record(&draft);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(
        case.new_record(&draft).exit,
        7,
        "a record is never overwritten"
    );
}

#[test]
fn a_record_needs_a_review_that_its_approvers_signed() {
    let case = Case::new();
    let mut draft = Case::with_packet(case.draft("true"));
    draft["required_approvers"] = json!(["human:cy"]);
    let id = case.new_record(&draft).json()["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    case.world.commit("a", "Record");
    let issue = || {
        let run = case.world.permit(
            "a",
            &["issue", "--execution-request", &id, "--format", "json"],
        );
        run.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(issue(), "REVIEW_MISSING");
    case.world
        .git("a", &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let mut request = draft["request"].clone();
    request["context"]["execution_request_id"] = id.clone().into();
    let request = case.world.save("bound.json", &request);
    case.world.review("a", &request, &["README"]);
    case.world.commit("a", "Review");
    assert_eq!(issue(), "APPROVER_MISSING");
    assert_eq!(case.state(&id), "review_pending");
    // A record whose request the policy simply allows is never issued for.
    draft["request"]["capability"]["selector"] = "run".into();
    let id = case.new_record(&draft).json()["request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    case.world.commit("a", "Record");
    let run = case.world.permit(
        "a",
        &["issue", "--execution-request", &id, "--format", "json"],
    );
    assert_eq!(run.json()["reason"], "REVIEW_NOT_REQUIRED");
    // It hides no other record.
    assert_eq!(case.state(&id), "recorded");
}

#[test]
fn the_network_is_taken_away_where_the_system_allows_it_and_said_where_not() {
    let case = Case::new();
    let mut draft = Case::with_packet(case.draft("cat /proc/net/dev | wc -l > src/a"));
    draft["blocked_actions"] = json!(["network.egress"]);
    let (id, permit) = case.issued_from(&draft);
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(run.exit, 0, "{run:?} {report}");
    let blocked = json!(["network.egress"]);
    if report["enforced"] == blocked {
        // Two lines of heading and the loopback device.
        let devices = fs::read_to_string(case.world.path("t/src/a")).unwrap();
        assert_eq!(devices.trim(), "3");
    } else {
        assert_eq!(report["not_enforced"], blocked);
    }
}

#[test]
fn approvers_are_checked_again_before_the_run_and_the_refusal_is_recorded() {
    let case = Case::new();
    let (id, permit) = case.issued("true");
    let table = "governance/principals.json";
    let text = fs::read_to_string(case.world.path("a").join(table)).unwrap();
    let mut principals: Value = serde_json::from_str(&text).unwrap();
    principals["principals"][0]["status"] = "revoked".into();
    case.world.write("a", table, principals.to_string());
    case.world.commit("a", "Revoke ana");
    let (run, report) = case.exec("enforce", &id, &permit);
    assert_eq!(
        (run.exit, &report["reason"]),
        (105, &json!("PRINCIPAL_REVOKED")),
        "{run:?}"
    );
    let newest = case.world.git(
        "a",
        &["log", "-1", "--format=%s", "refs/permit/streams/main"],
    );
    assert!(newest.starts_with("tool.exec.blocked"), "{newest}");
}
