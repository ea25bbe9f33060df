//! A bare repository with the hook, and clones that push to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The server, its clones, and a HOME of their own.
pub(crate) struct World {
    folder: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Who has a key in the tests.
const PEOPLE: [&str; 3] = ["ana", "bo", "cy"];

/// The policy of the tests, with a text in place of another.
pub(crate) fn policy(version: &str) -> Value {
    let rule = |id: &str, effect: &str, index: u32, selector: &str| {
        json!({"id": id, "effect": effect, "priority": 1, "order_index": index,
            "match": {"actor": {"any": true},
                "capability": {"kind": "tool", "selector": {"exact": selector}},
                "operation": {"any": true}, "target": {"any": true}}})
    };
    let with = |mut rule: Value, mode: &str, span: u32, review: Option<&str>| {
        rule["grant"] = json!({"mode": mode, "sequence_span": span});
        if let Some(review) = review {
            rule["review_type"] = review.into();
        }
        rule
    };
    // A command that is the request's own target; the operation says which of the rules.
    let shell = |id: &str, effect: &str, index: u32, operation: &str, mode: &str| {
        let mut rule = with(rule(id, effect, index, "shell.exec"), mode, 50, None);
        rule["match"]["operation"] = json!({"exact": operation});
        rule
    };
    json!({
        "schema": "permit.policy.v1", "policy_id": "acme", "policy_version": version,
        "interpretation_authority": "supervisor", "supervisor_id": "supervisor:acme",
        "default_effect": "block",
        "conflict_resolution": {"mode": "deny_wins", "tie_breaker": "stable_order", "stable_order_mode": "lexical_rule_id"},
        "severity_to_gating": {"allow": "proceed", "warn": "proceed_emit_audit", "block": "deny_emit_audit", "review": "pause_pending_ledger"},
        "admitted_repositories": ["acme/web"],
        "review_types": {"governance": {"min_cross_signers": 2, "reviewer_roles": ["council"], "require_user_presence": false}},
        "rules": [
            with(rule("content", "allow", 0, "content.change"), "bounded", 20, None),
            with(rule("governance", "review", 1, "governance.change"), "one_shot", 5, Some("governance")),
            with(rule("run", "allow", 2, "run"), "one_shot", 50, None),
            with(rule("run-often", "allow", 3, "run.often"), "bounded", 50, None),
            with(rule("run-warn", "warn", 4, "run.warn"), "one_shot", 50, None),
            with(rule("read", "allow", 5, "fs.read"), "one_shot", 50, None),
            shell("shell", "allow", 6, "run", "one_shot"),
            shell("shell-often", "allow", 7, "run.often", "bounded"),
            shell("shell-warn", "warn", 8, "run.warn", "one_shot"),
            with(rule("ship", "review", 9, "ship"), "one_shot", 50, Some("governance")),
        ]
    })
}

fn principals(keys: &Path) -> Value {
    let human = |name: &str| {
        let text = fs::read_to_string(keys.join(format!("{name}.pub"))).unwrap();
        json!({"id": format!("human:{name}"), "kind": "human", "roles": ["council"],
            "status": "active", "keys": [text.trim_end()]})
    };
    let agent = json!({"id": "agent:codex", "kind": "automated_agent", "roles": [],
        "status": "active", "keys": []});
    let [ana, bo, cy] = PEOPLE.map(human);
    json!({"schema": "permit.principals.v1", "principals": [ana, bo, cy, agent]})
}

impl World {
    /// A server with the hook and nothing pushed yet, and the clone `a` with one governed commit and an open stream.
    pub(crate) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.path("home")).unwrap();
        for name in PEOPLE {
            let mut command = world.command("ssh-keygen", "home");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
            assert!(command.status().unwrap().success());
        }
        world.git("", &["init", "-q", "--bare", "-b", "main", "server.git"]);
        world.git(
            "server.git",
            &["config", "permit.governedRef", "refs/heads/main"],
        );
        world.git(
            "server.git",
            &["config", "receive.denyDeleteCurrent", "ignore"],
        );
        let run = world.permit("server.git", &["guard", "install"]);
        assert_eq!(run.exit, 0, "{run:?}");
        world.clone_to("a");
        world.write("a", "README", "one");
        world.write(
            "a",
            "governance/policy/acme.policy.json",
            policy("1").to_string(),
        );
        world.write(
            "a",
            "governance/principals.json",
            principals(&world.path("home")).to_string(),
        );
        world.commit("a", "Adopt");
        world.ok("a", &["stream", "open", "main"]);
        world
    }

    /// The same, with all that pushed.
    pub(crate) fn adopted() -> Self {
        let world = Self::new();
        world.adopt("a");
        world
    }

    /// The server's owner reads the commit that a clone has checked out and names it for adoption; the clone pushes it,
    /// then the stream that it governs.
    pub(crate) fn adopt(&self, at: &str) {
        self.name_for_adoption(at);
        self.pushed(at, &["main"]);
        self.pushed(at, &["refs/permit/streams/main"]);
    }

    /// Brings the objects of a clone's newest commit to the server, and names it for adoption.
    pub(crate) fn name_for_adoption(&self, at: &str) -> Value {
        let head = self.git(at, &["rev-parse", "HEAD"]);
        let clone = self.path(at);
        self.git(
            "server.git",
            &["fetch", "-q", clone.to_str().unwrap(), "HEAD"],
        );
        self.ok("server.git", &["guard", "adopt", &head])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A clone that fetches streams too.
    pub(crate) fn clone_to(&self, name: &str) {
        self.git("", &["clone", "-q", "server.git", name]);
        self.git(name, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        let streams = "refs/permit/streams/*:refs/permit/streams/*";
        self.git(name, &["config", "--add", "remote.origin.fetch", streams]);
        self.git(name, &["config", "permit.governedRef", "refs/heads/main"]);
        self.git(name, &["fetch", "-q"]);
    }

    /// A command that sees nothing of the machine but PATH.
    pub(crate) fn command(&self, program: &str, at: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(at))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null());
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Ana")
                .env(format!("GIT_{who}_EMAIL"), "ana@acme.invalid")
                .env(format!("GIT_{who}_DATE"), "1700000000 +0000");
        }
        command
    }

    /// Runs `git`, which has to succeed; on the server as its owner, who switched the boundary off.
    pub(crate) fn git(&self, at: &str, arguments: &[&str]) -> String {
        let mut command = self.command("git", at);
        if at == "server.git" {
            command.env("ENFORCEMENT_MODE", "off");
        }
        let run = Run::of(&command.args(arguments).output().unwrap());
        assert_eq!(run.exit, 0, "git {arguments:?}: {run:?}");
        run.stdout.trim_end().to_owned()
    }

    pub(crate) fn permit(&self, at: &str, arguments: &[&str]) -> Run {
        let program = env!("CARGO_BIN_EXE_permit");
        Run::of(&self.command(program, at).args(arguments).output().unwrap())
    }

    /// Runs `permit --format json`, which has to succeed.
    pub(crate) fn ok(&self, at: &str, arguments: &[&str]) -> Value {
        let run = self.permit(at, &[arguments, &["--format", "json"]].concat());
        assert_eq!(run.exit, 0, "permit {arguments:?}: {run:?}");
        run.json()
    }

    pub(crate) fn write(&self, at: &str, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(at).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn commit(&self, at: &str, message: &str) -> String {
        self.git(at, &["add", "--all"]);
        self.git(at, &["commit", "-q", "--allow-empty", "-m", message]);
        self.git(at, &["rev-parse", "HEAD"])
    }

    /// Pushes with the hook in a mode; an empty mode leaves it unset.
    pub(crate) fn push(&self, at: &str, mode: &str, arguments: &[&str]) -> Run {
        let mut command = self.command("git", at);
        command.args(["push", "-q", "origin"]).args(arguments);
        if !mode.is_empty() {
            command.env("ENFORCEMENT_MODE", mode);
        }
        Run::of(&command.output().unwrap())
    }

    /// Pushes in `enforce`, which has to go through.
    pub(crate) fn pushed(&self, at: &str, arguments: &[&str]) {
        let run = self.push(at, "enforce", arguments);
        assert_eq!(run.exit, 0, "push {arguments:?}: {run:?}");
    }

    /// Pushes in `shadow`, then in `enforce`, where it has to be denied for a reason.
    ///
    /// What shadow let through is put back, so that both modes see the same state.
    pub(crate) fn denied(&self, at: &str, arguments: &[&str], reason: &str) {
        // A push also moves the refs of the clone that its fetch configuration maps to.
        let (refs, own) = (self.refs(), self.refs_of(at));
        let run = self.push(at, "shadow", arguments);
        assert_eq!(run.exit, 0, "shadow {arguments:?}: {run:?}");
        assert!(
            run.stderr.contains(&format!("[{reason}]")),
            "{reason}: {run:?}"
        );
        let last = self.record().pop().unwrap();
        assert_eq!(
            (&last["mode"], &last["effective"]),
            (&json!("shadow"), &json!("allow"))
        );
        self.put_back("server.git", &refs);
        self.put_back(at, &own);
        let run = self.push(at, "enforce", arguments);
        assert_ne!(run.exit, 0, "enforce {arguments:?}: {run:?}");
        assert!(
            run.stderr.contains(&format!("[{reason}]")),
            "{reason}: {run:?}"
        );
        assert_eq!(self.refs(), refs, "a denied push moved a ref");
        let heads = "+refs/heads/*:refs/remotes/origin/*";
        self.git(at, &["fetch", "-q", "--refmap=", "origin", heads]);
        self.put_back(at, &own);
    }

    /// Every ref of the server with its object.
    pub(crate) fn refs(&self) -> Vec<String> {
        self.refs_of("server.git")
    }

    fn refs_of(&self, at: &str) -> Vec<String> {
        let listed = self.git(at, &["for-each-ref", "--format=%(objectname) %(refname)"]);
        listed.lines().map(str::to_owned).collect()
    }

    fn put_back(&self, at: &str, refs: &[String]) {
        let now = self.refs_of(at);
        for line in now.iter().filter(|line| !refs.contains(line)) {
            let (_, name) = line.split_once(' ').unwrap();
            self.git(at, &["update-ref", "-d", name]);
        }
        for line in refs.iter().filter(|line| !now.contains(line)) {
            let (id, name) = line.split_once(' ').unwrap();
            self.git(at, &["update-ref", name, id]);
        }
    }

    /// The lines of the server's record.
    pub(crate) fn record(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("server.git/permit-guard.jsonl"));
        text.unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The server's owner takes responsibility for what was pushed in `off`.
    pub(crate) fn accept_gap(&self) {
        let open = self.ok("server.git", &["guard", "status"])["open_gap"].clone();
        let end = |key: &str| open[key].as_str().unwrap().to_owned();
        let range = format!("{}..{}", end("from"), end("to"));
        let words = ["guard", "gap", "accept", &range, "--reason", "a test"];
        self.ok("server.git", &words);
    }

    /// Writes a request for a tool and returns its path.
    pub(crate) fn request(&self, selector: &str, context: &Value) -> String {
        let argv: Option<Vec<String>> = serde_json::from_value(context["argv"].clone()).ok();
        let (tool, operation, target) = match &argv {
            Some(argv) => ("shell.exec", selector, permit::engine::enforce::words(argv)),
            None => (selector, "execute", "here".to_owned()),
        };
        let request = json!({"schema": "permit.request.v1", "actor_id": "agent:codex",
            "capability": {"kind": "tool", "selector": tool},
            "operation": operation, "target": target, "context": context});
        self.save("request.json", &request)
    }

    /// Writes a JSON file beside the clones and returns its path.
    pub(crate) fn save(&self, name: &str, value: &Value) -> String {
        let path = self.path(name);
        fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Issues a permit for a request and returns the path that it is saved under.
    pub(crate) fn issue(&self, at: &str, request: &str) -> String {
        let issued = self.ok(at, &["issue", "--request", request]);
        self.save("permit.json", &issued["permit"])
    }

    /// Gets the governance change of the newest commit reviewed by ana and bo, and commits the artifact.
    pub(crate) fn review_change(&self, at: &str) -> Value {
        let plan = self.ok(
            at,
            &[
                "guard",
                "plan",
                "--base",
                "origin/main",
                "--head",
                "HEAD",
                "--governed-ref",
                "main",
            ],
        );
        let planned = plan["requests"][0].clone();
        let request = self.save("change.json", &planned["request"]);
        self.review(at, &request, &["governance/policy/acme.policy.json"]);
        self.commit(at, "Review");
        planned
    }

    /// Writes a review of a request, signed by ana and bo, into the work tree.
    pub(crate) fn review(&self, at: &str, request: &str, artifacts: &[&str]) -> String {
        self.review_because(at, request, artifacts, "test")
    }

    /// The same, for a reason.
    pub(crate) fn review_because(
        &self,
        at: &str,
        request: &str,
        artifacts: &[&str],
        reason: &str,
    ) -> String {
        let manifest = [&["manifest", "new"], artifacts, &["--purpose", "test"]].concat();
        let manifest = self.ok(at, &manifest);
        let id = manifest["manifest_envelope_id"].as_str().unwrap();
        let made = self.ok(
            at,
            &[
                "review",
                "new",
                "--request",
                request,
                "--verdict",
                "approve",
                "--reviewer",
                "human:ana",
                "--role",
                "council",
                "--cross-signer",
                "human:ana",
                "--cross-signer",
                "human:bo",
                "--manifest",
                id,
                "--reason",
                reason,
                "--at",
                "origin/main",
            ],
        );
        let id = made["review_id"].as_str().unwrap().to_owned();
        for name in ["ana", "bo"] {
            let private = self.path("home").join(name);
            let who = format!("human:{name}");
            let key = private.to_str().unwrap();
            self.ok(at, &["review", "sign", &id, "--as", &who, "--key", key]);
        }
        id
    }
}
