//! Attack 10: the trust root set where it does not count, misspelt, or through the environment.

use std::fs;

use serde_json::Value;

use crate::sandbox::Sandbox;

const ISSUE: [&str; 3] = ["issue", "--request", "requests/read.json"];
const EVIL: &str = "[permit]\n\trole = executor\n";

/// Runs `permit issue` under variables and returns the one object.
fn issue(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Value {
    let mut command = sandbox.permit_command(&ISSUE);
    command.args(["--format", "json"]);
    command.envs(variables.iter().copied());
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

fn refused(sandbox: &Sandbox, variables: &[(&str, &str)], origin: &str) {
    let found = issue(sandbox, variables);
    assert_eq!(found["reason"], "INVALID_INPUT", "{origin}: {found}");
    assert!(
        found["details"].to_string().contains(origin),
        "{origin}: {found}"
    );
}

#[test]
fn attack_10_a_key_in_the_work_tree_s_the_user_s_or_an_included_file_is_refused_with_its_origin() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["config", "extensions.worktreeConfig", "true"]);
    sandbox.git(&[
        "config",
        "--worktree",
        "permit.governedRef",
        "refs/heads/evil",
    ]);
    refused(&sandbox, &[], "config.worktree");
    // Also where the repository's own file has no such key, and where Git does not read the work tree's file.
    sandbox.git(&["config", "--unset", "permit.governedRef"]);
    refused(&sandbox, &[], "config.worktree");
    sandbox.git(&["config", "--unset", "extensions.worktreeConfig"]);
    refused(&sandbox, &[], "config.worktree");
    fs::remove_file(sandbox.path(".git/config.worktree")).unwrap();
    sandbox.git(&[
        "config",
        "--global",
        "permit.governedRef",
        "refs/heads/main",
    ]);
    refused(&sandbox, &[], ".gitconfig");
    let found = issue(&sandbox, &[]);
    let step = found["next_step"].as_str().unwrap();
    // The step works as typed.
    assert!(
        sandbox
            .command("sh")
            .args(["-c", step])
            .status()
            .unwrap()
            .success(),
        "{step}"
    );
    assert_eq!(issue(&sandbox, &[])["reason"], "UNGOVERNED");
    sandbox.git(&["config", "permit.governedRef", "refs/heads/main"]);
    fs::write(sandbox.aside("more"), EVIL).unwrap();
    for file in [".git/config", "../home/.gitconfig"] {
        let path = sandbox.path(file);
        let before = fs::read(&path).unwrap_or_default();
        let include = format!("[include]\n\tpath = {}\n", sandbox.aside("more").display());
        fs::write(&path, [before.as_slice(), include.as_bytes()].concat()).unwrap();
        refused(&sandbox, &[], "includes");
        fs::write(&path, before).unwrap();
    }
    assert_eq!(issue(&sandbox, &[])["reason"], "OK");
}

#[test]
fn attack_10_a_linked_work_tree_has_no_trust_root_of_its_own() {
    let sandbox = Sandbox::opened();
    let linked = sandbox.aside("linked");
    let linked = linked.to_str().unwrap();
    sandbox.git(&["worktree", "add", "-q", linked]);
    sandbox.git(&["config", "extensions.worktreeConfig", "true"]);
    sandbox.git(&[
        "-C",
        linked,
        "config",
        "--worktree",
        "permit.role",
        "supervisor",
    ]);
    let there = [&ISSUE[..], &["--repo", linked]].concat();
    assert_eq!(sandbox.reason(&there), "INVALID_INPUT");
    // The other work tree is not concerned.
    assert_eq!(sandbox.reason(&ISSUE), "OK");
    sandbox.git(&[
        "-C",
        linked,
        "config",
        "--worktree",
        "--unset",
        "permit.role",
    ]);
    assert_eq!(sandbox.reason(&there), "OK");
}

#[test]
fn attack_10_a_key_through_the_environment_is_refused() {
    let sandbox = Sandbox::opened();
    fs::write(sandbox.aside("evil"), EVIL).unwrap();
    let evil = sandbox.aside("evil");
    let evil = evil.to_str().unwrap();
    refused(
        &sandbox,
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "permit.governedRef"),
            ("GIT_CONFIG_VALUE_0", "refs/heads/evil"),
        ],
        "GIT_CONFIG_KEY_0",
    );
    let words = "'permit.role'='executor'";
    refused(
        &sandbox,
        &[("GIT_CONFIG_PARAMETERS", words)],
        "GIT_CONFIG_PARAMETERS",
    );
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        refused(&sandbox, &[(name, evil)], name);
        assert_eq!(issue(&sandbox, &[(name, "/dev/null")])["reason"], "OK");
    }
    // What concerns others may be given so.
    let words = "'user.name'='permit.role'";
    assert_eq!(
        issue(&sandbox, &[("GIT_CONFIG_PARAMETERS", words)])["reason"],
        "OK"
    );
}

#[test]
fn attack_10_a_misspelt_key_is_refused_with_the_nearest_name() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["config", "permit.governdRef", "refs/heads/main"]);
    let found = issue(&sandbox, &[]);
    assert_eq!(found["reason"], "INVALID_INPUT");
    assert_eq!(found["details"]["nearest"], "permit.governedRef");
    let step = found["next_step"].as_str().unwrap();
    assert!(
        sandbox
            .command("sh")
            .args(["-c", step])
            .status()
            .unwrap()
            .success(),
        "{step}"
    );
    // Keys that others read, in any case, and those of one stream.
    for key in [
        "permit.EXEC.home",
        "permit.guard.MEMORY",
        "permit.main.logKey",
    ] {
        sandbox.git(&["config", key, "1"]);
    }
    assert_eq!(
        issue(&sandbox, &[])["details"]["nearest"],
        "permit.exec.home"
    );
    sandbox.git(&["config", "--unset", "permit.EXEC.home"]);
    assert_eq!(issue(&sandbox, &[])["reason"], "OK");
}
