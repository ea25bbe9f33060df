//! A sealed place for one test: its own HOME, Git configuration, author, dates, time zone and locale.
//!
//! Repositories come from `fixtures/repos/<name>/`: the tree is committed once a process, and each test takes a copy.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

use permit::engine::code::Code;
use serde_json::Value;
use tempfile::TempDir;

/// Text that a test compares: what a command printed and how it ended.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder with a repository in `work` and room beside it.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// The folder of fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The files below a folder, by path, with `/` between names.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(folder).unwrap();
                found.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Sandbox {
    /// An empty folder: no repository, no file.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("permit-")
            .tempdir()
            .unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder }
    }

    /// A repository without commits.
    pub(crate) fn without_commits() -> Self {
        let sandbox = Self::empty();
        sandbox.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
        sandbox
    }

    /// The repository of `fixtures/repos/acme`, without a stream.
    pub(crate) fn acme() -> Self {
        Self::copy_of("acme", |sandbox| {
            copy_folder(&fixtures().join("repos/acme"), &sandbox.path(""));
            sandbox.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
            sandbox.git(&["add", "--all"]);
            sandbox.git(&["commit", "--quiet", "--message", "The policy of acme"]);
            sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
        })
    }

    /// The same with the stream `main` open.
    pub(crate) fn opened() -> Self {
        Self::copy_of("opened", |sandbox| {
            sandbox.become_copy_of(&Self::acme());
            sandbox.ok(&["stream", "open", "main"]);
        })
    }

    /// The same with a stream of eight events: opened, three grants, one use, two denials, a warning; the permits lie
    /// in `permits/` beside the work tree, under the names of their requests.
    pub(crate) fn chain() -> Self {
        Self::copy_of("chain", |sandbox| {
            sandbox.become_copy_of(&Self::opened());
            for name in ["read", "build"] {
                sandbox.issue(name);
            }
            let permit = sandbox.permit_file("build");
            sandbox.ok(&["use", &permit, "--request", "requests/build.json"]);
            for name in ["env", "write", "unknown", "fetch"] {
                sandbox.issue(name);
            }
        })
    }

    /// The same with a stream of 1100 events, longer than two strides of the index of its commits: 512 and 1024 begin a
    /// part. Event 501 issues `build` (one shot), event 527 uses it; every other but the first reads another file.
    pub(crate) fn long() -> Self {
        Self::copy_of("long", |sandbox| {
            sandbox.become_copy_of(&Self::opened());
            let read = fs::read_to_string(sandbox.path("requests/read.json")).unwrap();
            let read = read.replace('\n', "");
            let issue = |sequences: std::ops::Range<u64>| {
                let line = |at: u64| read.replace("README.md", &at.to_string()) + "\n";
                let lines: String = sequences.map(line).collect();
                let call = ["issue", "--atomic", "--batch", "-"];
                let run = sandbox.run_with(&call, lines.as_bytes());
                assert_eq!(run.exit, 0, "{}", run.stderr);
            };
            issue(1..501);
            sandbox.issue("build");
            issue(502..527);
            let permit = sandbox.permit_file("build");
            sandbox.ok(&["use", &permit, "--request", "requests/build.json"]);
            issue(528..1100);
        })
    }

    fn copy_of(name: &'static str, build: impl FnOnce(&Self)) -> Self {
        static MADE: OnceLock<Mutex<BTreeMap<&'static str, Sandbox>>> = OnceLock::new();
        let made = MADE.get_or_init(Mutex::default);
        let copy = |from: &Self| {
            let sandbox = Self::empty();
            sandbox.become_copy_of(from);
            sandbox
        };
        if let Some(original) = made.lock().unwrap().get(name) {
            return copy(original);
        }
        let original = Self::empty();
        build(&original);
        let sandbox = copy(&original);
        made.lock().unwrap().entry(name).or_insert(original);
        sandbox
    }

    fn become_copy_of(&self, other: &Self) {
        copy_folder(other.folder.path(), self.folder.path());
    }

    /// A path in the work tree; `""` is the work tree.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.aside("work").join(name)
    }

    /// A path beside the work tree.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the work tree, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits everything in the work tree and returns the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Replaces text in the committed policy and commits that.
    pub(crate) fn amend_policy(&self, from: &str, to: &str) -> String {
        let name = "governance/policy/acme.policy.json";
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "the policy holds no `{from}`");
        self.write(name, text.replace(from, to));
        self.commit("Another policy")
    }

    /// A command that sees nothing of the machine but PATH.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.aside("home"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", self.folder.path())
            .stdin(Stdio::null());
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Ana")
                .env(format!("GIT_{who}_EMAIL"), "ana@acme.invalid")
                .env(format!("GIT_{who}_DATE"), "1700000000 +0100");
        }
        command
    }

    /// The built `permit` with arguments.
    pub(crate) fn permit_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_permit"));
        command.args(arguments);
        command
    }

    /// Runs `git`, which has to succeed, and returns what it printed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {problem}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Stores raw bytes as a Git object, well-formed or not, and returns its id.
    pub(crate) fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let mut command = self.command("git");
        command.args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"]);
        let output = with_input(command, bytes);
        assert!(output.status.success());
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Runs `permit`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.finish(self.permit_command(arguments).output().unwrap())
    }

    /// Runs `permit` with bytes on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        self.finish(with_input(self.permit_command(arguments), input))
    }

    /// What a command printed, with the sandbox's own path taken out.
    pub(crate) fn finish(&self, output: Output) -> Run {
        let here = self.folder.path().to_str().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(here, "[SANDBOX]");
        Run {
            exit: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs `permit` and returns one text to compare: the call, the exit code, both outputs.
    pub(crate) fn permit(&self, arguments: &[&str]) -> String {
        let here = self.folder.path().to_str().unwrap();
        transcript(arguments, &self.run(arguments)).replace(here, "[SANDBOX]")
    }

    /// Runs `permit`, which has to succeed, and returns its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.exit, 0, "{}", transcript(arguments, &run));
        run.stdout
    }

    /// Runs `permit --format json` and returns the one object; its reason is that of the exit code.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        let run = self.run(&arguments);
        let object = object(&run).unwrap_or_else(|what| {
            panic!("{what}: {}", transcript(&arguments, &run));
        });
        let code: Code = object["reason"].as_str().unwrap().parse().unwrap();
        assert_eq!(
            run.exit,
            i32::from(code.class().exit_code()),
            "{}",
            transcript(&arguments, &run)
        );
        let step = &object["next_step"];
        assert!(code == Code::Ok || step.is_string(), "{object}");
        object
    }

    /// Runs `permit --format json` and returns the reason alone.
    pub(crate) fn reason(&self, arguments: &[&str]) -> String {
        self.json(arguments)["reason"].as_str().unwrap().to_owned()
    }

    /// Runs `permit --format json` and returns the reason in the last line, for commands that print a line a result.
    pub(crate) fn reason_of_last_line(&self, arguments: &[&str]) -> String {
        let run = self.run(&[arguments, &["--format", "json"]].concat());
        let line = run.stdout.lines().next_back().unwrap_or_default();
        let object: Value = serde_json::from_str(line).unwrap();
        object["reason"].as_str().unwrap().to_owned()
    }

    /// Issues a permit for a request of the fixture and keeps it; returns its id.
    pub(crate) fn issue(&self, request: &str) -> String {
        let path = format!("requests/{request}.json");
        let run = self.run(&["issue", "--request", &path]);
        let permit: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| {
            panic!("{}", transcript(&["issue", request], &run));
        });
        fs::create_dir_all(self.aside("permits")).unwrap();
        fs::write(self.permit_file(request), run.stdout).unwrap();
        permit["permit_id"].as_str().unwrap().to_owned()
    }

    /// Where the permit for a request of the fixture was kept.
    pub(crate) fn permit_file(&self, request: &str) -> String {
        let path = self.aside(&format!("permits/{request}.json"));
        path.to_str().unwrap().to_owned()
    }

    /// The permit for a request of the fixture.
    pub(crate) fn kept(&self, request: &str) -> Value {
        serde_json::from_slice(&fs::read(self.permit_file(request)).unwrap()).unwrap()
    }

    /// Gives up what this clone has seen of the stream `main`, as one that never saw it.
    pub(crate) fn forget(&self) {
        self.ok(&["stream", "forget", "main", "--reason", "a test"]);
    }

    /// The commit that a stream's ref names.
    pub(crate) fn tip(&self, stream: &str) -> String {
        self.git(&[
            "rev-parse",
            "--verify",
            &format!("refs/permit/streams/{stream}"),
        ])
    }
}

/// Runs a command with bytes on its standard input.
pub(crate) fn with_input(mut command: Command, input: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who refuses early does not read to the end.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

/// One text of a call and what came of it.
pub(crate) fn transcript(arguments: &[&str], run: &Run) -> String {
    let call: Vec<_> = arguments
        .iter()
        .map(|argument| {
            argument
                .rsplit_once("/permits/")
                .map_or(*argument, |(_, name)| name)
        })
        .collect();
    let mut text = format!("$ permit {}\nexit {}\n", call.join(" "), run.exit);
    for (name, output) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        if !output.is_empty() {
            text.push_str(&format!("--- {name}\n{output}"));
            if !output.ends_with('\n') {
                text.push_str("⏎ no line feed\n");
            }
        }
    }
    text
}

/// The one JSON object on standard output.
fn object(run: &Run) -> Result<Value, String> {
    let line = run
        .stdout
        .strip_suffix('\n')
        .ok_or("no line feed at the end")?;
    if line.contains('\n') {
        return Err("more than one line".to_owned());
    }
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let named = value["schema"].is_string() && value["reason"].is_string();
    if named && value.get("next_step").is_some() {
        Ok(value)
    } else {
        Err("no `schema`, `reason` or `next_step`".to_owned())
    }
}
