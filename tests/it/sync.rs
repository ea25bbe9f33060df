//! One authority and its clones: real pushes and fetches through a bare repository.

mod memory;
mod order;
mod remotes;

use std::fs;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::sandbox::{Run, Sandbox};

const STREAM: &str = "refs/permit/streams/main";

/// A bare repository `authority.git` and clones of it, beside each other.
struct World {
    sandbox: Sandbox,
}

impl World {
    /// The repository of acme as the authority, and the clones `one` and `two`; `one` has opened the stream.
    fn new() -> Self {
        let world = Self {
            sandbox: Sandbox::acme(),
        };
        let bare = world.aside("authority.git");
        world
            .sandbox
            .git(&["clone", "--quiet", "--bare", ".", &bare]);
        for name in ["one", "two"] {
            let folder = world.aside(name);
            world.sandbox.git(&["clone", "--quiet", &bare, &folder]);
            world.git(name, &["config", "permit.remote", "origin"]);
            world.git(name, &["config", "permit.governedRef", "refs/heads/main"]);
        }
        world.ok("one", &["stream", "open", "main"]);
        world.ok("two", &["sync"]);
        world
    }

    fn aside(&self, name: &str) -> String {
        self.sandbox.aside(name).to_str().unwrap().to_owned()
    }

    fn git(&self, at: &str, arguments: &[&str]) -> String {
        let mut command = self.sandbox.command("git");
        command.args(arguments).current_dir(self.sandbox.aside(at));
        let run = self.sandbox.finish(command.output().unwrap());
        assert_eq!(run.exit, 0, "git {arguments:?}: {}", run.stderr);
        run.stdout.trim_end().to_owned()
    }

    fn spawn(&self, at: &str, arguments: &[&str]) -> Child {
        let mut command = self.sandbox.permit_command(arguments);
        command
            .args(["--format", "json"])
            .current_dir(self.sandbox.aside(at))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs `permit` in a clone.
    fn run(&self, at: &str, arguments: &[&str]) -> (Run, Value) {
        let output = self.spawn(at, arguments).wait_with_output().unwrap();
        let run = self.sandbox.finish(output);
        let value = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
        (run, value)
    }

    /// Runs `permit` with these words alone.
    fn run_plainly(&self, at: &str, words: &[&str]) -> Run {
        let mut command = self.sandbox.permit_command(words);
        command.current_dir(self.sandbox.aside(at));
        self.sandbox.finish(command.output().unwrap())
    }

    fn ok(&self, at: &str, arguments: &[&str]) -> Value {
        let (run, value) = self.run(at, arguments);
        assert_eq!(run.exit, 0, "{arguments:?}: {} {}", run.stdout, run.stderr);
        value
    }

    fn refused(&self, at: &str, arguments: &[&str], reason: &str) -> Value {
        let (run, value) = self.run(at, arguments);
        assert_eq!(value["reason"], reason, "{} {}", run.stdout, run.stderr);
        assert!(value["next_step"].is_string());
        value
    }

    /// Issues a permit and keeps it in `<name>.permit`; returns its id.
    fn issue(&self, at: &str, request: &str, name: &str) -> String {
        let value = self.ok(at, &["issue", "--request", &request_file(request)]);
        self.keep(&value["permit"], name)
    }

    fn keep(&self, permit: &Value, name: &str) -> String {
        let file = self.sandbox.aside(&format!("{name}.permit"));
        fs::write(file, permit.to_string()).unwrap();
        permit["permit_id"].as_str().unwrap().to_owned()
    }

    fn tip(&self, at: &str) -> String {
        self.git(at, &["rev-parse", "--verify", STREAM])
    }

    /// The subjects of the stream's events, oldest first.
    fn subjects(&self, at: &str) -> Vec<String> {
        let text = self.git(at, &["log", "--reverse", "--format=%s", STREAM]);
        text.lines().map(str::to_owned).collect()
    }

    /// Cuts a clone off, lets it do something alone, and connects it again.
    fn alone<T>(&self, at: &str, act: impl FnOnce() -> T) -> T {
        self.git(at, &["config", "--unset", "permit.remote"]);
        let done = act();
        self.git(at, &["config", "permit.remote", "origin"]);
        done
    }

    /// Puts a program in place of `git`, which a push goes through.
    fn run_with_git(&self, at: &str, on_push: &str, arguments: &[&str]) -> Run {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::var("PATH").unwrap();
        let script = format!(
            "#!/bin/sh\ngit() {{ PATH='{path}' command git \"$@\"; }}\ncase \" $* \" in *' push '*) {on_push};; *) git \"$@\";; esac\n"
        );
        let folder = self.sandbox.aside("bin");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("git"), script).unwrap();
        fs::set_permissions(folder.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.sandbox.permit_command(arguments);
        command
            .args(["--format", "json"])
            .current_dir(self.sandbox.aside(at))
            .env("PATH", format!("{}:{path}", folder.display()));
        self.sandbox.finish(command.output().unwrap())
    }

    /// Puts a script in place of the remote: it speaks for `git-upload-pack` and `git-receive-pack`.
    fn remote_is(&self, at: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.sandbox.aside("remote.sh");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let file = file.to_str().unwrap();
        self.git(at, &["config", "core.sshCommand", file]);
        self.git(
            at,
            &["config", "remote.origin.url", "ssh://nowhere.invalid/x"],
        );
    }

    fn hook(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.sandbox.aside("authority.git/hooks/pre-receive");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, script).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Every clone holds what the authority holds, and that is whole.
    fn is_even(&self) {
        for at in ["one", "two"] {
            self.ok(at, &["sync"]);
            assert_eq!(self.tip(at), self.tip("authority.git"));
            assert_eq!(self.ok(at, &["verify-chain"])["verdict"], "VALID");
        }
        self.git("authority.git", &["fsck", "--strict"]);
        let replayed = self.ok("one", &["replay"]);
        assert_eq!(replayed["divergences"], serde_json::json!([]));
    }
}

fn request_file(name: &str) -> String {
    format!("requests/{name}.json")
}

#[test]
fn a_one_shot_permit_raced_from_two_clones_is_used_once() {
    let world = World::new();
    world.issue("one", "build", "build");
    let call = ["use", "../build.permit", "--request", "requests/build.json"];
    let racers: Vec<_> = ["one", "two", "one", "two", "two", "one"]
        .map(|at| world.spawn(at, &call))
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code())
        .collect();
    let won = racers.iter().filter(|code| **code == Some(0)).count();
    let late = racers.iter().filter(|code| **code == Some(6)).count();
    assert_eq!((won, late), (1, 5), "{racers:?}");
    world.refused("one", &call, "ALREADY_USED");
    world.refused("two", &call, "ALREADY_USED");
    assert_eq!(world.subjects("authority.git").len(), 3);
    world.is_even();
}

#[test]
fn two_clones_issue_at_the_same_time_and_nothing_is_lost() {
    let world = World::new();
    let lines = fs::read_to_string(world.sandbox.path("requests/read.json"))
        .unwrap()
        .replace('\n', "");
    fs::write(
        world.sandbox.aside("batch.jsonl"),
        format!("{lines}\n").repeat(5),
    )
    .unwrap();
    let single = ["issue", "--request", "requests/read.json"];
    let batch = ["issue", "--batch", "../batch.jsonl"];
    // Equal requests on one newest event give equal commits: only one of the writers may take it for its own.
    let mut running = Vec::new();
    for at in ["one", "two"] {
        running.extend((0..3).map(|_| world.spawn(at, &single)));
        running.push(world.spawn(at, &batch));
    }
    let mut ids = Vec::new();
    for child in running {
        let run = world.sandbox.finish(child.wait_with_output().unwrap());
        assert_eq!(run.exit, 0, "{} {}", run.stdout, run.stderr);
        for line in run.stdout.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            ids.extend(value["permit"]["permit_id"].as_str().map(str::to_owned));
        }
    }
    assert_eq!(ids.len(), 16);
    world.is_even();
    let status = world.ok("two", &["status"]);
    let recorded: Vec<_> = status["permits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|permit| permit["permit_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recorded.len(), 16);
    assert!(ids.iter().all(|id| recorded.contains(id)));
}

#[test]
fn equal_events_of_two_writers_are_not_taken_for_one() {
    let world = World::new();
    let theirs = world.alone("two", || world.issue("two", "build", "theirs"));
    let lines: Vec<_> = ["build", "read"]
        .map(|name| fs::read_to_string(world.sandbox.path(&request_file(name))).unwrap())
        .map(|text| text.replace('\n', ""))
        .into();
    fs::write(world.sandbox.aside("batch.jsonl"), lines.join("\n")).unwrap();
    // The other clone's event arrives first, and is the very first one of the batch.
    let first = format!("git -C ../two push -q origin {STREAM} || true; git \"$@\"");
    let run = world.run_with_git("one", &first, &["issue", "--batch", "../batch.jsonl"]);
    assert_eq!(run.exit, 0, "{} {}", run.stdout, run.stderr);
    assert!(!run.stdout.contains(&theirs), "{}", run.stdout);
    assert_eq!(world.subjects("authority.git").len(), 4);
    world.is_even();
}

#[test]
fn a_local_tail_of_unused_permits_is_derived_again() {
    let world = World::new();
    let old = world.alone("two", || {
        let ids = [
            world.issue("two", "build", "old"),
            world.issue("two", "read", "read"),
        ];
        world.refused(
            "two",
            &["issue", "--request", "requests/env.json"],
            "DECISION_BLOCK",
        );
        ids
    });
    world.issue("one", "read", "theirs");
    let fork = world.refused(
        "two",
        &["issue", "--request", "requests/read.json"],
        "CHAIN_FORKED",
    );
    assert_eq!(fork["next_step"], "permit sync --stream main");

    world.git("two", &["config", "permit.role", "executor"]);
    let before = world.tip("two");
    world.refused("two", &["sync"], "ROLE_FORBIDDEN");
    assert_eq!(world.tip("two"), before);
    world.git("two", &["config", "--unset", "permit.role"]);

    let synced = world.ok("two", &["sync", "--all"]);
    let stream = &synced["streams"][0];
    assert_eq!(synced["schema"], "permit.result.sync.v1");
    assert_eq!(
        (&stream["fetched"], &stream["pushed"]),
        (&1.into(), &3.into())
    );
    assert_eq!(stream["orphan"], Value::Null);
    let rederived = stream["rederived"].as_array().unwrap();
    assert_eq!(rederived.len(), 3);
    assert_eq!(rederived[0]["old"], old[0].as_str());
    assert_eq!(rederived[0]["sequence"], 2);
    let use_of = |permit: &str| {
        let file = format!("../{permit}.permit");
        world
            .run("one", &["use", &file, "--request", "requests/build.json"])
            .1["reason"]
            .clone()
    };
    world.ok("one", &["sync"]);
    assert_eq!(use_of("old"), "NOT_ISSUED");
    let new = rederived[0]["new"].as_str().unwrap();
    let shown = world.ok("one", &["show", new]);
    world.keep(&shown["permit"], "new");
    assert_eq!(use_of("new"), "OK");
    world.is_even();
}

#[test]
fn a_local_tail_that_was_used_is_kept_aside_and_reported() {
    let world = World::new();
    world.alone("two", || {
        world.issue("two", "build", "build");
        let call = ["use", "../build.permit", "--request", "requests/build.json"];
        world.ok("two", &call);
    });
    world.issue("one", "read", "read");
    let tail = world.tip("two");
    let hash = world.ok("two", &["checkpoint"])["event_hash"].clone();
    let kept = format!("refs/permit/orphans/main/{}", hash.as_str().unwrap());

    let report = world.refused("two", &["sync"], "CHAIN_FORKED");
    let orphan = &report["streams"][0]["orphan"];
    assert_eq!(orphan["ref"], kept.as_str());
    assert_eq!(
        (&orphan["events"], &orphan["commit"]),
        (&2.into(), &tail.as_str().into())
    );
    assert_eq!(orphan["used"].as_array().unwrap().len(), 1);
    assert_eq!(world.git("two", &["rev-parse", &kept]), tail);
    assert_eq!(world.tip("two"), world.tip("authority.git"));

    // It is there too, stays, is named again, and no fetch takes it away.
    let again = world.ok("two", &["sync"]);
    assert_eq!(again["orphans"][0]["ref"], kept.as_str());
    assert!(again["warnings"][0].as_str().unwrap().contains(&kept));
    world.ok("two", &["init"]);
    world.git("two", &["fetch", "--quiet", "--prune"]);
    assert_eq!(world.git("two", &["rev-parse", &kept]), tail);
    let refs = world.git("authority.git", &["for-each-ref", "refs/permit/orphans"]);
    assert_eq!(refs, format!("{tail} commit\t{kept}"));
    world.is_even();
}

#[test]
fn two_streams_of_one_name_have_nothing_in_common() {
    let world = World::new();
    world.git(
        "two",
        &["commit", "--quiet", "--allow-empty", "--message", "Another"],
    );
    world.git("two", &["update-ref", "-d", STREAM]);
    fs::remove_dir_all(world.sandbox.aside("two/.git/permit")).unwrap();
    world.alone("two", || world.ok("two", &["stream", "open", "main"]));
    let report = world.refused("two", &["sync"], "CHAIN_FORKED");
    assert_eq!(report["streams"][0]["orphan"]["events"], 1);
    assert_eq!(world.tip("two"), world.tip("authority.git"));
}

#[test]
fn what_the_authority_refuses_or_cannot_answer_goes_on_nowhere() {
    let world = World::new();
    let permit = world.issue("one", "build", "build");
    let before = world.tip("one");
    let issue = ["issue", "--request", "requests/read.json"];
    let used = ["use", "../build.permit", "--request", "requests/build.json"];

    world.hook("#!/bin/sh\necho closed for today >&2\nexit 1\n");
    let refused = world.refused("one", &issue, "GIT_ERROR");
    let said = refused["details"]["git"].as_str().unwrap();
    assert!(said.contains("closed for today"), "{said}");
    world.refused("one", &used, "GIT_ERROR");
    world.hook("#!/bin/sh\nexit 0\n");

    let (here, there) = (
        world.sandbox.aside("authority.git"),
        world.sandbox.aside("gone"),
    );
    fs::rename(&here, &there).unwrap();
    for call in [&issue[..], &used, &["sync"]] {
        world.refused("one", call, "GIT_ERROR");
    }
    fs::rename(&there, &here).unwrap();
    assert_eq!(world.tip("one"), before);
    assert_eq!(world.tip("authority.git"), before);
    assert_eq!(world.ok("one", &used)["permit_id"], permit.as_str());

    // A stream that the authority lost is not made again from a clone that may be older.
    world.git("authority.git", &["update-ref", "-d", STREAM]);
    world.refused("one", &issue, "STREAM_LOST");
    world.refused("one", &["sync"], "STREAM_LOST");
    world.git("one", &["push", "--quiet", "origin", STREAM]);
    world.ok("one", &issue);

    for name in ["--upload-pack=touch x", "", "a\nb"] {
        world.git("one", &["config", "permit.remote", name]);
        world.refused("one", &issue, "INVALID_INPUT");
    }
}

#[test]
fn killed_on_either_side_of_the_push() {
    let world = World::new();
    world.issue("one", "build", "build");
    let used = ["use", "../build.permit", "--request", "requests/build.json"];
    let before = world.tip("one");

    let run = world.run_with_git("one", "kill -9 $PPID", &used);
    assert_eq!((run.exit, run.stdout.as_str()), (-1, ""));
    assert_eq!(world.tip("one"), before);
    assert_eq!(world.tip("authority.git"), before);

    let run = world.run_with_git("one", "git \"$@\"; kill -9 $PPID", &used);
    assert_eq!((run.exit, run.stdout.as_str()), (-1, ""));
    assert_eq!(world.tip("one"), before);
    assert_ne!(world.tip("authority.git"), before);
    // The event is there: the same command finds it, once.
    world.ok("one", &used);
    world.refused("one", &used, "ALREADY_USED");
    world.is_even();
}

#[test]
fn a_push_whose_answer_is_lost_is_found_at_the_next_try_once() {
    let world = World::new();
    world.issue("one", "build", "build");
    let used = ["use", "../build.permit", "--request", "requests/build.json"];
    let run = world.run_with_git("one", "git \"$@\" >/dev/null; exit 128", &used);
    assert_eq!(run.exit, 1, "{} {}", run.stdout, run.stderr);
    assert_eq!(world.subjects("authority.git").len(), 3);
    world.refused("two", &used, "ALREADY_USED");
    let other = world.issue("one", "read", "read");
    let found = world.ok("one", &used);
    assert_eq!(
        (&found["sequence"], &found["executable"]),
        (&2.into(), &true.into())
    );
    world.refused("one", &used, "ALREADY_USED");
    // A permit that was issued without an answer is the one that comes out, not a second.
    let issue = ["issue", "--request", "requests/read.json"];
    let run = world.run_with_git("one", "git \"$@\" >/dev/null; exit 128", &issue);
    assert_eq!(run.exit, 1, "{} {}", run.stdout, run.stderr);
    let count = world.subjects("authority.git").len();
    assert_ne!(world.issue("one", "read", "read"), other);
    assert_eq!(world.subjects("authority.git").len(), count);
    world.issue("one", "read", "read");
    assert_eq!(world.subjects("authority.git").len(), count + 1);
    world.is_even();
}

#[test]
fn attack_a_push_that_did_not_move_the_ref_counts_for_anothers_equal_event() {
    let used = ["use", "../build.permit", "--request", "requests/build.json"];
    // It never arrived, and this clone knows so; then the other clone brings the very same commit.
    let world = World::new();
    world.issue("one", "build", "build");
    let run = world.run_with_git("one", "exit 128", &used);
    assert_eq!(run.exit, 1, "{} {}", run.stdout, run.stderr);
    world.ok("two", &used);
    world.refused("one", &used, "ALREADY_USED");
    world.is_even();
    // The other clone's push is faster by a moment: what is there already was not brought by this one.
    let world = World::new();
    world.issue("one", "build", "build");
    world.ok("two", &["sync"]);
    world.alone("two", || world.ok("two", &used));
    let first = format!("git -C ../two push -q origin {STREAM}; git \"$@\"");
    let run = world.run_with_git("one", &first, &used);
    assert_eq!(run.exit, 6, "{} {}", run.stdout, run.stderr);
    assert!(run.stdout.contains("ALREADY_USED"), "{}", run.stdout);
    world.refused("one", &used, "ALREADY_USED");
    world.is_even();
}

#[test]
fn a_killed_sync_is_taken_up_by_the_next() {
    let world = World::new();
    world.alone("two", || world.issue("two", "build", "old"));
    world.issue("one", "read", "read");
    let run = world.run_with_git("two", "kill -9 $PPID", &["sync"]);
    assert_eq!(run.exit, -1);
    assert_eq!(world.subjects("authority.git").len(), 2);
    let synced = world.ok("two", &["sync"]);
    assert_eq!(synced["streams"][0]["pushed"], 1);
    assert_eq!(world.subjects("authority.git").len(), 3);
    world.is_even();
}

#[test]
fn broken_events_of_the_authority_move_no_local_ref() {
    let world = World::new();
    let before = world.tip("one");
    let forged = world.git(
        "authority.git",
        &["commit-tree", "-p", &before, "-m", "forged", "main^{tree}"],
    );
    world.git("authority.git", &["update-ref", STREAM, &forged]);
    for call in [&["sync"][..], &["issue", "--request", "requests/read.json"]] {
        world.refused("one", call, "CHAIN_MALFORMED");
    }
    assert_eq!(world.tip("one"), before);
}

#[test]
fn init_sets_the_refspecs_once_and_asks_the_remotes_first() {
    let world = World::new();
    let bare = world.aside("authority.git");
    let three = world.aside("three");
    world.sandbox.git(&["clone", "--quiet", &bare, &three]);
    world.git("three", &["remote", "add", "other", "nowhere"]);
    let first = world.ok("three", &["init"]);
    let lines = first["configured"].as_array().unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        lines[0],
        "remote.origin.fetch=refs/permit/streams/*:refs/permit/streams/*"
    );
    assert_eq!(lines[1], "remote.origin.prune=false");
    assert!(
        first["next_step"]
            .as_str()
            .unwrap()
            .ends_with("git fetch origin")
    );
    world.git("three", &["fetch", "--quiet", "origin"]);
    assert_eq!(world.tip("three"), world.tip("authority.git"));
    let second = world.ok("three", &["init"]);
    assert_eq!(second["configured"], serde_json::json!([]));
    assert_eq!(second["kept"][2], STREAM);
    let specs = world.git("three", &["config", "--get-all", "remote.origin.fetch"]);
    assert_eq!(specs.lines().count(), 2);

    // A stream that only this clone has survives a fetch under `fetch.prune`.
    world.git("three", &["config", "fetch.prune", "true"]);
    world.git(
        "three",
        &["config", "permit.governedRef", "refs/heads/main"],
    );
    world.ok("three", &["stream", "open", "own"]);
    world.git("three", &["fetch", "--quiet", "origin"]);
    world.ok("three", &["verify-chain", "--stream", "own"]);
    // Without `permit.remote`, `sync` takes `origin`.
    let synced = world.ok("three", &["sync"]);
    assert_eq!(synced["streams"][1]["pushed"], 1);
    world.refused("three", &["sync", "--stream", "none"], "STREAM_MISSING");
}
