//! The same inputs give the same bytes: in any time zone, locale and HOME, in any clone, from any folder.

use std::fs;
use std::process::Command;

use crate::sandbox::{Sandbox, copy_folder};

/// What is compared: everything that is printed, and the id of the newest commit.
type Trace = Vec<String>;

/// A name, and what makes a command run otherwise.
type Variant = (&'static str, fn(&Sandbox, &mut Command));

/// Issues, uses, verifies and replays; `prepare` makes each command run elsewhere or otherwise.
fn trace(sandbox: &Sandbox, prepare: &dyn Fn(&mut Command)) -> Trace {
    let run = |arguments: &[&str]| {
        let mut command = sandbox.permit_command(arguments);
        prepare(&mut command);
        let run = sandbox.finish(command.output().unwrap());
        format!("{arguments:?} {} {}", run.exit, run.stdout)
    };
    let request = |name: &str| {
        sandbox
            .aside(&format!("requests/{name}.json"))
            .display()
            .to_string()
    };
    let permit = sandbox.aside("build.json").display().to_string();
    copy_folder(&sandbox.path("requests"), &sandbox.aside("requests"));
    let mut trace = vec![run(&["stream", "open", "main"])];
    for name in ["read", "env", "write", "unknown", "build"] {
        let line = run(&["issue", "--request", &request(name)]);
        let issued = line.split_once("] ").unwrap().1.split_once(' ').unwrap().1;
        fs::write(&permit, issued).unwrap();
        trace.push(line);
    }
    trace.push(run(&[
        "use",
        &permit,
        "--request",
        &request("build"),
        "--format",
        "json",
    ]));
    trace.push(run(&["replay"]));
    trace.push(run(&["verify-chain", "--format", "json"]));
    trace.push(run(&["status", "--format", "json"]));
    let here = sandbox.aside("").display().to_string();
    // Where a repository lies is the one thing that differs.
    let place = |line: String| match line.split_once(r#""repository":""#) {
        Some((before, after)) => before.to_owned() + after.split_once('"').unwrap().1,
        None => line,
    };
    trace
        .into_iter()
        .map(|line| place(line).replace(&here, ""))
        .collect()
}

#[test]
fn the_environment_changes_nothing() {
    let expected = trace(&Sandbox::acme(), &|_| {});
    let variants: [Variant; 6] = [
        ("time zone", |_, command| {
            command.env("TZ", "Pacific/Kiritimati");
        }),
        ("locale", |_, command| {
            command
                .env("LC_ALL", "tr_TR.UTF-8")
                .env("LANG", "ja_JP.eucJP");
        }),
        ("identity", |_, command| {
            command
                .env("GIT_COMMITTER_NAME", "Mallory")
                .env("EMAIL", "m@x");
        }),
        ("no variables at all", |_, command| {
            command.env_clear();
        }),
        ("another home", |sandbox, command| {
            let home = sandbox.aside("elsewhere");
            fs::create_dir_all(&home).unwrap();
            let config = "[user]\n\tname = M\n[core]\n\tautocrlf = true\n\tcompression = 0\n[i18n]\n\tcommitEncoding = latin1\n[commit]\n\tgpgSign = true\n";
            fs::write(home.join(".gitconfig"), config).unwrap();
            command.env("HOME", home).env_remove("GIT_CONFIG_NOSYSTEM");
        }),
        ("replacement and trace variables", |_, command| {
            command
                .env("GIT_NO_REPLACE_OBJECTS", "1")
                .env("GIT_TRACE", "1")
                .env("GIT_DEFAULT_HASH", "sha256");
        }),
    ];
    for (what, prepare) in variants {
        let sandbox = Sandbox::acme();
        assert_eq!(
            trace(&sandbox, &|command| prepare(&sandbox, command)),
            expected,
            "{what}"
        );
    }
}

#[test]
fn the_place_changes_nothing() {
    let expected = trace(&Sandbox::acme(), &|_| {});
    let in_folder = |sandbox: &Sandbox, folder: &str| {
        let folder = sandbox.aside(folder);
        let at = folder.to_str().unwrap();
        sandbox.git(&["-C", at, "config", "permit.governedRef", "refs/heads/main"]);
        trace(sandbox, &|command| {
            command.current_dir(&folder);
        })
    };
    let sandbox = Sandbox::acme();
    assert_eq!(
        in_folder(&sandbox, "work/governance/policy"),
        expected,
        "a subfolder"
    );
    let sandbox = Sandbox::acme();
    sandbox.git(&["clone", "--quiet", ".", "../a clone with spaces"]);
    assert_eq!(
        in_folder(&sandbox, "a clone with spaces"),
        expected,
        "a clone"
    );
    let sandbox = Sandbox::acme();
    sandbox.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    assert_eq!(in_folder(&sandbox, "bare.git"), expected, "a bare clone");
    let sandbox = Sandbox::acme();
    sandbox.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    assert_eq!(
        in_folder(&sandbox, "linked"),
        expected,
        "a linked work tree"
    );
    let sandbox = Sandbox::acme();
    let git_dir = sandbox.path(".git");
    let from_outside = trace(&sandbox, &|command| {
        command.current_dir("/").env("GIT_DIR", &git_dir);
    });
    assert_eq!(from_outside, expected, "GIT_DIR");
    let sandbox = Sandbox::acme();
    sandbox.git(&["gc", "--quiet", "--aggressive"]);
    sandbox.git(&["pack-refs", "--all"]);
    assert_eq!(trace(&sandbox, &|_| {}), expected, "a packed repository");
}

#[test]
fn two_clones_that_issue_the_same_meet_in_the_same_commit() {
    let (one, other) = (Sandbox::chain(), Sandbox::acme());
    other.ok(&["stream", "open", "main"]);
    for name in ["read", "build"] {
        other.issue(name);
    }
    other.ok(&[
        "use",
        &other.permit_file("build"),
        "--request",
        "requests/build.json",
    ]);
    for name in ["env", "write", "unknown", "fetch"] {
        other.issue(name);
    }
    assert_eq!(one.tip("main"), other.tip("main"));
}
