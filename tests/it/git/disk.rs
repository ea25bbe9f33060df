//! Locks that were left behind, file modes, owners and a full disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use insta::assert_snapshot;

use super::ISSUE;
use crate::sandbox::Sandbox;

#[test]
fn a_lock_that_a_killed_writer_left_is_named_and_stays() {
    let sandbox = Sandbox::opened();
    let lock = sandbox.path(".git/refs/permit/streams/main.lock");
    fs::write(&lock, "").unwrap();
    assert_snapshot!("stale_lock", sandbox.permit(&ISSUE));
    assert!(lock.exists());
    assert_eq!(
        sandbox.reason(&["verify-chain"]),
        "OK",
        "reading needs no lock"
    );
    fs::remove_file(&lock).unwrap();
    assert_eq!(sandbox.reason(&ISSUE), "OK");
}

/// The id of a user who owns nothing; root becomes it, because file modes do not stop root.
const NOBODY: u32 = 65534;

#[test]
fn a_repository_that_cannot_be_written_is_read_and_issues_nothing() {
    let sandbox = Sandbox::chain();
    fs::remove_dir_all(sandbox.path(".git/permit")).unwrap();
    let config = "[safe]\n\tdirectory = *\n";
    fs::write(sandbox.aside("home/.gitconfig"), config).unwrap();
    let is_root = fs::metadata(sandbox.path("")).unwrap().uid() == 0;
    set_modes(&sandbox.aside(""), 0o555, 0o444);
    let reason = |arguments: &[&str]| {
        let mut command = sandbox.permit_command(arguments);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let run = sandbox.finish(command.args(["--format", "json"]).output().unwrap());
        let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        value["reason"].as_str().unwrap().to_owned()
    };
    let reads = ["verify-chain", "replay", "status"].map(|verb| reason(&[verb]));
    let permit = sandbox.permit_file("read");
    let verified = reason(&["verify", &permit, "--request", "requests/read.json"]);
    let written = [
        &ISSUE[..],
        &["use", &permit, "--request", "requests/read.json"],
        &["stream", "open", "other"],
    ]
    .map(reason);
    set_modes(&sandbox.aside(""), 0o755, 0o644);
    assert_eq!(
        (reads, verified.as_str()),
        (["OK", "OK", "OK"].map(str::to_owned), "OK")
    );
    assert_eq!(written, ["IO_ERROR", "IO_ERROR", "IO_ERROR"]);
    assert_eq!(sandbox.tip("main"), Sandbox::chain().tip("main"));
}

/// Sets the modes of a folder and of everything below it.
fn set_modes(folder: &Path, folders: u32, files: u32) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            set_modes(&path, folders, files);
        } else {
            fs::set_permissions(path, fs::Permissions::from_mode(files)).unwrap();
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(folders)).unwrap();
}

/// A file system of 512 KiB, where this test may mount one.
#[test]
fn a_full_disk_loses_nothing_and_leaves_nothing_half_written() {
    let sandbox = Sandbox::empty();
    let script = r#"
        mount -t tmpfs -o size=512k tmpfs "$1" || exit 77
        cp -r "$2/." "$1" || exit 77
        cd "$1" || exit 77
        git rev-parse refs/permit/streams/main > ../before
        head -c 600k /dev/zero > fill 2> ../full
        "$3" issue --request requests/read.json --format json > ../issued; echo $? > ../exit
        git rev-parse refs/permit/streams/main > ../after
        git fsck --strict --no-dangling > ../fsck 2>&1; echo $? >> ../fsck
        find .git -name '*.lock' -o -name 'tmp_*' > ../left
        rm fill
        "$3" issue --request requests/read.json --format json > ../again; echo $? > ../exit_again
        "$3" verify-chain --format json > ../chain
    "#;
    let source = Sandbox::chain();
    let mut command = sandbox.command("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    command
        .args([&sandbox.path(""), &source.path("")])
        .arg(env!("CARGO_BIN_EXE_permit"));
    let mounted = command.output().is_ok_and(|output| output.status.success());
    if !mounted {
        skipped("this machine grants no mount");
        return;
    }
    let read = |name: &str| fs::read_to_string(sandbox.aside(name)).unwrap();
    assert_eq!(read("before"), read("after"), "{}", read("issued"));
    assert_eq!(
        (
            read("exit").as_str(),
            read("fsck").as_str(),
            read("left").as_str()
        ),
        ("1\n", "0\n", "")
    );
    assert!(read("issued").contains("IO_ERROR"), "{}", read("issued"));
    assert_eq!(read("exit_again"), "0\n", "{}", read("again"));
    assert!(read("chain").contains("\"events\":9"), "{}", read("chain"));
}

#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn skipped(because: &str) {
    eprintln!("SKIPPED: {because}");
}

#[test]
fn a_repository_of_another_owner_is_refused_unless_it_is_safe() {
    let sandbox = Sandbox::chain();
    let change = |folder: &Path, owner: u32| {
        std::os::unix::fs::chown(folder, Some(owner), None).is_ok()
            && std::os::unix::fs::chown(folder.join(".git"), Some(owner), None).is_ok()
    };
    let work = sandbox.path("");
    if !change(&work, 12345) {
        skipped("only root gives files away");
        return;
    }
    let refused = sandbox.permit(&["verify-chain"]);
    fs::write(
        sandbox.aside("home/.gitconfig"),
        format!(
            "[safe]\n\tdirectory = {}\n",
            work.display().to_string().trim_end_matches('/')
        ),
    )
    .unwrap();
    let allowed = sandbox.reason(&["verify-chain"]);
    change(&work, 0);
    assert_snapshot!("another_owner", refused);
    assert_eq!(allowed, "OK");
}
