//! The trust root that the machine's administrator names: bound over `/etc` in a mount namespace of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const MAIN: &str = "refs/heads/main";
const STATUS: [&str; 3] = ["status", "--format", "json"];

/// Runs `permit` where `/etc/permit` is the folder `etc` of the sandbox; nothing where the machine allows no such place.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Option<Value> {
    let script = r#"mount -t tmpfs none /etc 2>/dev/null && mkdir /etc/permit && mount --bind "$0" /etc/permit || exit 99
exec "$@""#;
    let mut command = sandbox.command("unshare");
    command.args(["-rm", "sh", "-c", script]);
    command.arg(sandbox.aside("etc"));
    command.arg(env!("CARGO_BIN_EXE_permit")).args(arguments);
    let output = command.output().ok()?;
    if output.status.code() == Some(99) || output.stdout.is_empty() {
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A repository and the text of a file that names it; nothing, aloud, where no mount can be made.
fn place() -> Option<(Sandbox, String, Value)> {
    let sandbox = Sandbox::opened();
    fs::create_dir(sandbox.aside("etc")).unwrap();
    if run(&sandbox, &STATUS).is_none() {
        #[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
        {
            eprintln!(
                "SKIPPED: no mount namespace can be made here, /etc/permit/trust.json is not tested"
            );
        }
        return None;
    }
    let tip = sandbox.git(&["rev-parse", MAIN]);
    let here = sandbox.path(".git").canonicalize().unwrap();
    let entry = json!({"governed_ref": MAIN, "commit": tip, "role": "supervisor"});
    let file = json!({here.to_str().unwrap(): entry});
    Some((sandbox, tip, file))
}

fn write(sandbox: &Sandbox, text: &str, mode: u32) {
    let path = sandbox.aside("etc/trust.json");
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_the_administrator_names_wins_and_another_root_is_refused() {
    let Some((sandbox, tip, file)) = place() else {
        return;
    };
    let reason = |arguments: &[&str]| {
        let found = run(&sandbox, &[arguments, &["--format", "json"]].concat()).unwrap();
        found["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(run(&sandbox, &STATUS).unwrap()["trust_root"], "user");
    write(&sandbox, &file.to_string(), 0o644);
    let found = run(&sandbox, &STATUS).unwrap();
    assert_eq!(
        (&found["reason"], &found["trust_root"]),
        (&json!("OK"), &json!("host"))
    );
    // Without a word in the configuration it governs all the same, and says which half of the work is done here.
    sandbox.git(&["config", "--unset", "permit.governedRef"]);
    assert_eq!(run(&sandbox, &STATUS).unwrap()["governed_ref"], MAIN);
    assert_eq!(reason(&["issue", "--request", "requests/read.json"]), "OK");
    sandbox.git(&["branch", "side"]);
    for (key, value) in [
        ("permit.governedRef", "refs/heads/side"),
        (
            "permit.trustedCommit",
            "0123456789012345678901234567890123456789",
        ),
        ("permit.role", "executor"),
    ] {
        sandbox.git(&["config", key, value]);
        assert_eq!(reason(&["status"]), "COMMIT_NOT_GOVERNED", "{key}");
        sandbox.git(&["config", "--unset", key]);
    }
    let side = ["status", "--governed-ref", "refs/heads/side"];
    assert_eq!(reason(&side), "COMMIT_NOT_GOVERNED");
    assert_eq!(
        reason(&["trust", "side", "--commit", &tip]),
        "COMMIT_NOT_GOVERNED"
    );
    assert_eq!(reason(&["trust", MAIN, "--commit", &tip]), "OK");
}

#[test]
fn a_file_that_is_malformed_or_not_root_s_decides_nothing() {
    let Some((sandbox, _, file)) = place() else {
        return;
    };
    let reason = || run(&sandbox, &STATUS).unwrap()["reason"].clone();
    write(&sandbox, "{}", 0o644);
    assert_eq!(reason(), "OK");
    for text in [
        "",
        "[]",
        r#"{"/a": {"governed_ref": "main", "commit": "x"}}"#,
        r#"{"/a": {"governed_ref": "refs/heads/main", "commit": "x", "role": null}}"#,
        r#"{"/a": {}, "/a": {}}"#,
    ] {
        write(&sandbox, text, 0o644);
        assert_eq!(reason(), "COMMIT_NOT_GOVERNED", "{text}");
    }
    write(&sandbox, &file.to_string(), 0o664);
    assert_eq!(reason(), "COMMIT_NOT_GOVERNED", "others can write it");
    write(&sandbox, &file.to_string(), 0o644);
    let folder = |mode| fs::set_permissions(sandbox.aside("etc"), fs::Permissions::from_mode(mode));
    folder(0o777).unwrap();
    assert_eq!(reason(), "COMMIT_NOT_GOVERNED", "others can replace it");
    folder(0o755).unwrap();
    assert_eq!(reason(), "OK");
    fs::remove_file(sandbox.aside("etc/trust.json")).unwrap();
    fs::create_dir(sandbox.aside("etc/trust.json")).unwrap();
    assert_eq!(reason(), "COMMIT_NOT_GOVERNED", "no regular file");
}
