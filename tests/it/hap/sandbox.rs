//! A sealed repository in which an organization uses the Human Agency Protocol, and the built binary to drive it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The time of every decision in these tests.
pub(crate) const NOW: i64 = 1_735_890_000;

/// The seed of the provider's test key, from RFC 8032.
pub(crate) const SP_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// Its public key.
pub(crate) const SP_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// A folder with a repository `work`, keys and files beside it, and a HOME of its own.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    /// The reason in JSON output, and the exit code.
    pub(crate) fn reason(&self) -> (String, i32) {
        let reason = self.json()["reason"].as_str().unwrap().to_owned();
        (reason, self.exit)
    }
}

impl Sandbox {
    /// Makes an empty repository.
    pub(crate) fn empty() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(sandbox.work()).unwrap();
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox
    }

    /// Makes a repository on whose `main` the organization, its owners, keys and provider are registered.
    pub(crate) fn onboarded() -> Self {
        let sandbox = Self::empty();
        sandbox.keys();
        sandbox.write("src/app.rs", "fn main() {}\n");
        let words = [
            "hap",
            "onboard",
            "--organization",
            "acme",
            "--repo",
            "owner/repo",
            "--owner",
            "engineering=did:github:alice",
            "--owner",
            "marketing=did:github:mara",
            "--signer",
            "did:github:alice=../alice.pub",
            "--signer",
            "did:github:mara=../mara.pub",
            "--sp-key",
            SP_KEY,
            "--sp-name",
            "local,acme,CH,sp@acme.example",
            "--by",
            "did:github:root",
            "--now",
            "1735800000",
        ];
        let answer = sandbox.permit(&words);
        assert_eq!(answer.exit, 0, "{answer:?}");
        sandbox.commit("adopt");
        sandbox.git(&["config", "permit.governedRef", "main"]);
        sandbox
    }

    /// Makes the people's SSH keys and the provider's key.
    pub(crate) fn keys(&self) {
        for name in ["alice", "mara", "mallory"] {
            let file = self.path(name).display().to_string();
            self.run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file],
                b"",
            );
        }
        self.write_aside("sp.key", SP_SEED);
        set_mode(&self.path("sp.key"), 0o600);
    }

    /// Branches off `main` and declares an execution path.
    pub(crate) fn declare(&self, branch: &str, path: &str) -> String {
        self.git(&["switch", "-q", "-c", branch, "main"]);
        let declaration = json!({"profile": "deploy-gate@0.3", "execution_path": path});
        self.write(".hap/decision.json", &declaration.to_string());
        self.write("src/change.rs", branch);
        self.commit(branch)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.work().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(crate) fn write_aside(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, words: &[&str]) -> String {
        self.run("git", words, b"")
    }

    /// Runs a program in the repository; fails the test where it fails.
    pub(crate) fn run(&self, program: &str, words: &[&str], input: &[u8]) -> String {
        let output = self.spawn(Command::new(program).args(words), input);
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words:?}: {problem}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Runs `permit` in the repository.
    pub(crate) fn permit(&self, words: &[&str]) -> Answer {
        self.permit_with(words, b"", &[])
    }

    /// Runs `permit` with JSON output.
    pub(crate) fn json(&self, words: &[&str]) -> Answer {
        self.permit(&[words, &["--format", "json"]].concat())
    }

    pub(crate) fn permit_with(&self, words: &[&str], input: &[u8], env: &[(&str, &str)]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_permit"));
        command.args(words).envs(env.iter().copied());
        let output = self.spawn(&mut command, input);
        Answer {
            exit: output.status.code().unwrap(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn spawn(&self, command: &mut Command, input: &[u8]) -> Output {
        let given: Vec<_> = command
            .get_envs()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect();
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ALLOW_PROTOCOL", "file")
            .envs(given);
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "t")
                .env(format!("GIT_{who}_EMAIL"), "t@invalid")
                .env(format!("GIT_{who}_DATE"), "1735800000 +0000");
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that reads nothing may be gone before the input is written.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Prints the request of a person for a domain and keeps it in `<name>.request`.
    pub(crate) fn request(&self, head: &str, name: &str, domain: &str) -> Answer {
        for gate in ["problem", "objective", "tradeoffs"] {
            self.write_aside(
                &format!("{gate}.txt"),
                format!("{gate} of {name}, in secret\n"),
            );
        }
        let did = format!("did:github:{name}");
        let answer = self.permit(
            &[
                &["hap", "request"],
                action(head).as_slice(),
                &["--domain", domain, "--did", &did],
                &[
                    "--problem",
                    "../problem.txt",
                    "--objective",
                    "../objective.txt",
                ],
                &["--tradeoffs", "../tradeoffs.txt"],
            ]
            .concat(),
        );
        self.write_aside(&format!("{name}.request"), &answer.stdout);
        answer
    }

    /// Signs `<name>.request` with somebody's key, for a namespace.
    pub(crate) fn sign(&self, name: &str, key: &str, namespace: &str) {
        let request = self.path(&format!("{name}.request"));
        let _ = fs::remove_file(self.path(&format!("{name}.request.sig")));
        let (key, request) = (self.path(key), request.display().to_string());
        let key = key.display().to_string();
        self.run(
            "ssh-keygen",
            &["-q", "-Y", "sign", "-n", namespace, "-f", &key, &request],
            b"",
        );
    }

    /// Asks the provider to attest `<name>.request` with its signature, at [`NOW`]; keeps `<name>.blob`.
    pub(crate) fn attest(&self, head: &str, name: &str, more: &[&str]) -> Answer {
        let request = format!("../{name}.request");
        let signature = format!("../{name}.request.sig");
        let identity = ["--signature", &signature];
        self.attest_as(
            head,
            name,
            &[&["--request", &request], identity.as_slice(), more].concat(),
        )
    }

    /// The same with the whole choice of options.
    pub(crate) fn attest_as(&self, head: &str, name: &str, more: &[&str]) -> Answer {
        let now = NOW.to_string();
        let words = [
            &["hap", "attest"],
            action(head).as_slice(),
            &["--sp-key-file", "../sp.key", "--commit", "--now", &now],
            more,
        ]
        .concat();
        let answer = self.json(&words);
        if answer.exit == 0 {
            let blob = answer.json()["blob"].as_str().unwrap().to_owned();
            self.write_aside(&format!("{name}.blob"), blob + "\n");
        }
        answer
    }

    /// Takes a person through request, signature and attestation.
    pub(crate) fn full(&self, head: &str, name: &str, domain: &str, more: &[&str]) -> Answer {
        assert_eq!(self.request(head, name, domain).exit, 0);
        self.sign(name, name, "hap-attest@v0.3");
        self.attest(head, name, more)
    }

    /// Asks the executor about blobs of people.
    pub(crate) fn authorize(&self, head: &str, names: &[&str], more: &[&str]) -> Answer {
        let now = (NOW + 10).to_string();
        let files: Vec<String> = names.iter().map(|name| format!("../{name}.blob")).collect();
        let mut words = vec!["hap", "authorize"];
        words.extend(action(head));
        for file in &files {
            words.extend(["--attestation", file]);
        }
        words.extend(more);
        if !more.contains(&"--now") {
            words.extend(["--now", &now]);
        }
        self.json(&words)
    }
}

/// The words that name an action on a branch, in `prod`.
pub(crate) fn action(head: &str) -> [&str; 8] {
    [
        "--base",
        "main",
        "--head",
        head,
        "--repo",
        "owner/repo",
        "--env",
        "prod",
    ]
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
