//! Reading Git safely (core.md section 9): what is planted in a repository changes nothing, or is refused with its code.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

const POLICY: &str = "governance/policy/acme.policy.json";
const EVAL: [&str; 3] = ["eval", "--request", "requests/read.json"];
const ISSUE: [&str; 3] = ["issue", "--request", "requests/read.json"];

fn severity(sandbox: &Sandbox) -> String {
    let found = sandbox.json(&EVAL);
    found["mapping"]["final_severity"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn work_tree_and_index_change_nothing_but_a_warning() {
    let sandbox = Sandbox::opened();
    let text = fs::read_to_string(sandbox.path(POLICY)).unwrap();
    sandbox.write(POLICY, text.replace("\"allow\"", "\"block\""));
    assert_snapshot!("dirty", sandbox.permit(&EVAL));
    sandbox.git(&["add", "--all"]);
    assert_eq!(severity(&sandbox), "allow");
    fs::remove_dir_all(sandbox.path("governance")).unwrap();
    assert_eq!(severity(&sandbox), "allow");
    assert_eq!(sandbox.json(&ISSUE)["reason"], "OK");
}

#[test]
fn filters_and_attributes_change_nothing() {
    let sandbox = Sandbox::acme();
    let policy_hash = sandbox.json(&EVAL)["mapping"]["policy_hash"].clone();
    sandbox.write(
        ".gitattributes",
        "*.json filter=evil text eol=crlf ident working-tree-encoding=UTF-16\n",
    );
    sandbox.git(&["add", ".gitattributes"]);
    sandbox.git(&["commit", "--quiet", "--message", "Attributes"]);
    sandbox.git(&["config", "filter.evil.smudge", "sed s/allow/block/"]);
    sandbox.git(&["config", "filter.evil.clean", "sed s/allow/block/"]);
    assert_eq!(sandbox.json(&EVAL)["mapping"]["policy_hash"], policy_hash);
}

#[test]
fn replace_refs_change_nothing() {
    let sandbox = Sandbox::chain();
    let good = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["switch", "--quiet", "--create", "evil"]);
    let evil = sandbox.amend_policy(
        "\"effect\": \"block\"",
        "\"effect\": \"allow\", \"grant\": {\"mode\": \"bounded\", \"commit\": true}",
    );
    sandbox.git(&["switch", "--quiet", "main"]);
    let blob = |commit: &str| sandbox.git(&["rev-parse", &format!("{commit}:{POLICY}")]);
    let env = ["eval", "--request", "requests/env.json"];
    let before = sandbox.json(&env);
    sandbox.git(&["replace", &good, &evil]);
    sandbox.git(&["replace", &blob(&good), &blob(&evil)]);
    sandbox.git(&[
        "replace",
        &sandbox.git(&["rev-parse", "refs/permit/streams/main"]),
        &sandbox.git(&["rev-parse", "refs/permit/streams/main~3"]),
    ]);
    assert_eq!(sandbox.json(&env), before);
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 8);
    assert_eq!(sandbox.reason(&["replay"]), "OK");
}

#[test]
fn grafts_and_shallow_lists_change_nothing_that_can_be_read() {
    let sandbox = Sandbox::chain();
    let tip = sandbox.tip("main");
    fs::create_dir_all(sandbox.path(".git/info")).unwrap();
    fs::write(sandbox.path(".git/info/grafts"), format!("{tip}\n")).unwrap();
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 8);
    fs::write(sandbox.path(".git/shallow"), format!("{tip}\n")).unwrap();
    let found = sandbox.json(&["verify-chain"]);
    assert!(
        found["reason"] == "OK" && found["events"] == 8 || found["reason"] == "OBJECT_MISSING",
        "{found}"
    );
}

/// Commits a tree that was made by hand from lines of `git mktree`.
fn commit_tree(sandbox: &Sandbox, policy_folder: &str) {
    let make = |lines: &str| {
        let mut command = sandbox.command("git");
        command.args(["mktree", "--missing"]);
        let output = crate::sandbox::with_input(command, lines.as_bytes());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let policy = make(policy_folder);
    let governance = make(&format!("040000 tree {policy}\tpolicy\n"));
    let root = make(&format!("040000 tree {governance}\tgovernance\n"));
    let commit = sandbox.git(&["commit-tree", "-m", "odd", &root]);
    sandbox.git(&["update-ref", "refs/heads/main", &commit]);
}

#[test]
fn links_submodules_and_folders_at_governed_paths() {
    let sandbox = Sandbox::acme();
    let blob = sandbox.git(&["rev-parse", &format!("HEAD:{POLICY}")]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let mut found = String::new();
    for (what, lines) in [
        (
            "a plain file",
            format!("100644 blob {blob}\ta.policy.json\n"),
        ),
        (
            "an executable file",
            format!("100755 blob {blob}\ta.policy.json\n"),
        ),
        ("a symlink", format!("120000 blob {blob}\ta.policy.json\n")),
        (
            "a submodule",
            format!("160000 commit {head}\ta.policy.json\n"),
        ),
        ("a folder", format!("040000 tree {tree}\ta.policy.json\n")),
        (
            "two policies",
            format!("100644 blob {blob}\ta.policy.json\n100644 blob {blob}\tb.policy.json\n"),
        ),
        (
            "a policy and a symlink",
            format!("100644 blob {blob}\ta.policy.json\n120000 blob {blob}\tb.policy.json\n"),
        ),
        ("no policy", format!("100644 blob {blob}\tREADME\n")),
        (
            "in capitals",
            format!("100644 blob {blob}\tA.POLICY.JSON\n"),
        ),
        (
            "a missing blob",
            format!("100644 blob {}\ta.policy.json\n", "1".repeat(40)),
        ),
    ] {
        commit_tree(&sandbox, &lines);
        found.push_str(&format!("{what}: {}\n", sandbox.reason(&EVAL)));
    }
    assert_snapshot!("governed_paths", found);
}

#[test]
fn a_governance_folder_that_is_a_link_or_a_submodule() {
    let sandbox = Sandbox::acme();
    fs::rename(sandbox.path("governance"), sandbox.path("elsewhere")).unwrap();
    symlink("elsewhere", sandbox.path("governance")).unwrap();
    sandbox.commit("A link");
    assert_eq!(sandbox.reason(&EVAL), "INVALID_POLICY");
    fs::remove_file(sandbox.path("governance")).unwrap();
    let entry = format!("160000,{},governance", sandbox.git(&["rev-parse", "HEAD"]));
    sandbox.git(&["rm", "--quiet", "--cached", "governance"]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &entry]);
    sandbox.git(&["commit", "--quiet", "--message", "A submodule"]);
    assert_eq!(sandbox.reason(&EVAL), "INVALID_POLICY");
}

#[test]
fn objects_that_do_not_parse_strictly() {
    let sandbox = Sandbox::acme();
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let empty = sandbox.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let who = "a <a@b> 1 +0000";
    let mut found = String::new();
    for (what, bytes) in [
        (
            "a good commit",
            format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n"),
        ),
        (
            "two trees",
            format!("tree {tree}\ntree {empty}\nauthor {who}\ncommitter {who}\n\nx\n"),
        ),
        (
            "two authors",
            format!("tree {tree}\nauthor {who}\nauthor {who}\ncommitter {who}\n\nx\n"),
        ),
        ("no committer", format!("tree {tree}\nauthor {who}\n\nx\n")),
        ("no tree", format!("author {who}\ncommitter {who}\n\nx\n")),
        (
            "no message",
            format!("tree {tree}\nauthor {who}\ncommitter {who}\n"),
        ),
    ] {
        let commit = sandbox.object("commit", bytes.as_bytes());
        fs::write(sandbox.path(".git/refs/heads/main"), format!("{commit}\n")).unwrap();
        found.push_str(&format!("{what}: {}\n", sandbox.reason(&EVAL)));
    }
    assert_snapshot!("odd_commits", found);
}

#[test]
fn a_tree_with_an_entry_twice_is_refused() {
    let sandbox = Sandbox::acme();
    let id = sandbox.git(&["rev-parse", "HEAD:governance"]);
    let raw = hex::decode(&id).unwrap();
    let entry = [b"40000 governance\0", raw.as_slice()].concat();
    let tree = sandbox.object("tree", &[entry.as_slice(), &entry].concat());
    let commit = sandbox.git(&["commit-tree", "-m", "twice", &tree]);
    sandbox.git(&["update-ref", "refs/heads/main", &commit]);
    assert_eq!(sandbox.reason(&EVAL), "GIT_ERROR");
}

#[test]
fn an_object_that_was_changed_on_disk_is_refused() {
    let sandbox = Sandbox::acme();
    let (good, other) = (
        sandbox.git(&["rev-parse", &format!("HEAD:{POLICY}")]),
        sandbox.git(&["rev-parse", "HEAD:README.md"]),
    );
    let path = |id: &str| sandbox.path(&format!(".git/objects/{}/{}", &id[..2], &id[2..]));
    fs::set_permissions(path(&good), fs::Permissions::from_mode(0o644)).unwrap();
    fs::copy(path(&other), path(&good)).unwrap();
    assert_eq!(sandbox.reason(&EVAL), "GIT_ERROR");
    fs::remove_file(path(&good)).unwrap();
    assert_eq!(sandbox.reason(&EVAL), "OBJECT_MISSING");
}

#[test]
fn a_shallow_clone_that_lacks_what_is_needed_proves_nothing() {
    let sandbox = Sandbox::chain();
    let url = format!("file://{}", sandbox.path("").display());
    sandbox.git(&["clone", "--quiet", "--depth", "1", &url, "../shallow"]);
    let shallow = sandbox.aside("shallow");
    let there = ["--repo", shallow.to_str().unwrap()];
    assert_eq!(
        sandbox.reason(&[&there[..], &["verify-chain"]].concat()),
        "STREAM_MISSING",
        "a plain clone"
    );
    let fetch = [
        "-C",
        there[1],
        "fetch",
        "--quiet",
        "--depth",
        "3",
        "origin",
        "refs/permit/streams/main:refs/permit/streams/main",
    ];
    sandbox.git(&fetch);
    assert_eq!(
        sandbox.reason(&[&there[..], &["verify-chain"]].concat()),
        "OBJECT_MISSING"
    );
    assert_eq!(
        sandbox.reason(&[&there[..], &["replay"]].concat()),
        "OBJECT_MISSING"
    );
    let permit = sandbox.permit_file("read");
    let verify = ["verify", &permit, "--request", "requests/read.json"];
    assert_eq!(
        sandbox.reason(&[&there[..], &verify].concat()),
        "OBJECT_MISSING"
    );
    let permit = sandbox.permit_file("fetch");
    let verify = ["verify", &permit, "--request", "requests/fetch.json"];
    assert_eq!(
        sandbox.reason(&[&there[..], &verify].concat()),
        "OK",
        "recent enough"
    );
    assert_eq!(sandbox.reason(&[&there[..], &ISSUE].concat()), "OK");
    assert_eq!(
        sandbox.reason(&[&there[..], &["replay", "--from", "7"]].concat()),
        "OK"
    );
}

#[test]
fn every_kind_of_repository_gives_the_same_answer() {
    let sandbox = Sandbox::chain();
    let expected = sandbox.json(&["verify-chain"]);
    sandbox.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    sandbox.git(&["clone", "--quiet", "--mirror", ".", "../mirror.git"]);
    let mirror = sandbox.aside("mirror.git");
    let (mirror, linked) = (mirror.to_str().unwrap().to_owned(), sandbox.aside("linked"));
    fs::create_dir(sandbox.path("requests/deep")).unwrap();
    for folder in ["requests/deep", ".git", ".git/refs"] {
        let mut command = sandbox.permit_command(&["verify-chain", "--format", "json"]);
        let run = sandbox.finish(command.current_dir(sandbox.path(folder)).output().unwrap());
        assert_eq!(
            run.stdout,
            format!("{expected}\n"),
            "{folder}: {}",
            run.stderr
        );
    }
    for place in [&mirror, linked.to_str().unwrap()] {
        for option in ["--repo", "--repository"] {
            assert_eq!(
                sandbox.json(&["verify-chain", option, place]),
                expected,
                "{place}"
            );
        }
    }
    let mut command = sandbox.permit_command(&["verify-chain", "--format", "json"]);
    command.current_dir("/").env("GIT_DIR", &mirror);
    assert_eq!(
        sandbox.finish(command.output().unwrap()).stdout,
        format!("{expected}\n")
    );
    let outside = sandbox.aside("home");
    assert_eq!(
        sandbox.reason(&["verify-chain", "--repo", outside.to_str().unwrap()]),
        "GIT_ERROR"
    );
}

#[test]
fn object_folders_of_the_environment_are_ignored() {
    let sandbox = Sandbox::chain();
    let other = Sandbox::without_commits();
    let expected = sandbox.ok(&["verify-chain", "--format", "json"]);
    let elsewhere = other.path(".git/objects");
    for name in [
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_GRAFT_FILE",
        "GIT_SHALLOW_FILE",
    ] {
        let mut command = sandbox.permit_command(&["verify-chain", "--format", "json"]);
        let run = sandbox.finish(command.env(name, &elsewhere).output().unwrap());
        assert_eq!(run.stdout, expected, "{name}");
    }
    // Objects that only an alternate of the environment holds are not there.
    let mut command = other.permit_command(&[
        "eval",
        "--at",
        &sandbox.git(&["rev-parse", "HEAD"]),
        "--format",
        "json",
        "--request",
    ]);
    command.arg(sandbox.path("requests/read.json"));
    command.env(
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        sandbox.path(".git/objects"),
    );
    let run = other.finish(command.output().unwrap());
    assert_ne!(run.exit, 0, "{}", run.stdout);
}

#[test]
fn the_repository_s_own_alternates_count() {
    let sandbox = Sandbox::chain();
    sandbox.git(&[
        "clone",
        "--quiet",
        "--shared",
        "--mirror",
        ".",
        "../shared.git",
    ]);
    let shared = sandbox.aside("shared.git");
    let found = sandbox.json(&["verify-chain", "--repo", shared.to_str().unwrap()]);
    assert_eq!(found["events"], 8);
}

#[test]
fn what_libgit2_cannot_read_gets_a_clear_refusal() {
    let sandbox = Sandbox::empty();
    sandbox.git(&["init", "--quiet", "--object-format=sha256", "."]);
    assert_snapshot!("sha256", sandbox.permit(&["stream", "list"]));
    let sandbox = Sandbox::empty();
    sandbox.git(&["init", "--quiet", "--ref-format=reftable", "."]);
    assert_snapshot!("reftable", sandbox.permit(&["stream", "list"]));
    let sandbox = Sandbox::empty();
    assert_snapshot!("no_repository", sandbox.permit(&["stream", "list"]));
    let sandbox = Sandbox::without_commits();
    sandbox.write("requests/read.json", lines());
    assert_snapshot!("no_commit", sandbox.permit(&EVAL));
}

fn lines() -> Vec<u8> {
    fs::read(crate::sandbox::fixtures().join("repos/acme/requests/read.json")).unwrap()
}

#[test]
fn only_commits_of_the_governed_ref_decide() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["config", "permit.governedRef", "main"]);
    assert_eq!(sandbox.json(&ISSUE)["governed_ref"], "refs/heads/main");
    sandbox.git(&["switch", "--quiet", "--create", "side"]);
    sandbox.commit("Aside");
    assert_snapshot!("not_governed", sandbox.permit(&ISSUE));
    for call in [&EVAL[..], &["stream", "open", "other"], &["status"]] {
        assert_eq!(sandbox.reason(call), "COMMIT_NOT_GOVERNED", "{call:?}");
    }
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--at", "main"]].concat()),
        "OK"
    );
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--governed-ref", "refs/heads/side"]].concat()),
        "OK"
    );
    // A merge brings the side branch's commits in, but not on the first-parent chain.
    sandbox.git(&["switch", "--quiet", "main"]);
    sandbox.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", "side"]);
    assert_eq!(sandbox.reason(&EVAL), "OK");
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--at", "side"]].concat()),
        "COMMIT_NOT_GOVERNED"
    );
    assert_eq!(
        sandbox.reason(&[&EVAL[..], &["--at", "HEAD^1"]].concat()),
        "OK"
    );
    sandbox.git(&["config", "permit.governedRef", "refs/heads/gone"]);
    assert_eq!(sandbox.reason(&EVAL), "COMMIT_NOT_GOVERNED");
}

#[test]
fn a_tracked_file_or_the_user_s_configuration_does_not_name_the_trust_root() {
    let sandbox = Sandbox::opened();
    fs::write(
        sandbox.aside("home/.gitconfig"),
        "[permit]\n\trole = executor\n\tgovernedRef = refs/heads/gone\n",
    )
    .unwrap();
    sandbox.write(".gitconfig", "[permit]\n\trole = executor\n");
    sandbox.commit("Tracked");
    let found = sandbox.json(&ISSUE);
    assert_eq!(
        (found["reason"].as_str(), &found["governed_ref"]),
        (Some("OK"), &serde_json::Value::Null)
    );
}

#[test]
fn roles_separate_those_who_issue_from_those_who_act() {
    let sandbox = Sandbox::chain();
    let permit = sandbox.permit_file("read");
    let verify = ["verify", &permit, "--request", "requests/read.json"];
    let using = ["use", &permit, "--request", "requests/read.json"];
    let batch = ["issue", "--batch", "/dev/null"];
    sandbox.git(&["config", "permit.role", "executor"]);
    assert_snapshot!("role", sandbox.permit(&ISSUE));
    for call in [&["stream", "open", "other"][..], &["init"], &batch] {
        assert_eq!(
            sandbox.reason_of_last_line(call),
            "ROLE_FORBIDDEN",
            "{call:?}"
        );
    }
    for call in [
        &verify[..],
        &using,
        &EVAL,
        &["replay"],
        &["verify-chain"],
        &["status"],
    ] {
        assert_eq!(sandbox.reason(call), "OK", "{call:?}");
    }
    sandbox.git(&["config", "permit.role", "supervisor"]);
    assert_eq!(sandbox.reason(&using), "ROLE_FORBIDDEN");
    for call in [&ISSUE[..], &verify, &["replay"]] {
        assert_eq!(sandbox.reason(call), "OK", "{call:?}");
    }
    sandbox.git(&["config", "permit.role", "admin"]);
    assert_eq!(sandbox.reason(&ISSUE), "INVALID_INPUT");
}

#[test]
fn revisions_that_name_no_commit_or_one_behind_a_tag() {
    let sandbox = Sandbox::opened();
    sandbox.git(&["tag", "--annotate", "--message", "v1", "v1"]);
    sandbox.git(&["tag", "light"]);
    for rev in [
        "v1",
        "light",
        "HEAD",
        "main",
        "refs/heads/main",
        "HEAD^{commit}",
    ] {
        assert_eq!(
            sandbox.reason(&[&EVAL[..], &["--at", rev]].concat()),
            "OK",
            "{rev}"
        );
    }
    for rev in [
        "HEAD:README.md",
        "HEAD^{tree}",
        "HEAD~1",
        "nowhere",
        "",
        "main..HEAD",
        "-x",
        "refs/permit/streams/gone",
    ] {
        let at = format!("--at={rev}");
        assert_eq!(
            sandbox.reason(&[&EVAL[..], &[&at]].concat()),
            "INVALID_INPUT",
            "{rev}"
        );
    }
    let issued = sandbox.json(&[&ISSUE[..], &["--at", "v1"]].concat());
    assert_eq!(
        issued["governed_commit"],
        sandbox.git(&["rev-parse", "HEAD"])
    );
    sandbox.ok(&["replay"]);
}

#[test]
fn a_stream_s_ref_that_is_symbolic_or_names_a_tag() {
    let sandbox = Sandbox::chain();
    let tip = sandbox.tip("main");
    sandbox.git(&["tag", "--annotate", "--message", "x", "tip", &tip]);
    let tag = sandbox.git(&["rev-parse", "refs/tags/tip"]);
    let name = sandbox.path(".git/refs/permit/streams/main");
    let mut found = String::new();
    for (what, content) in [
        ("a tag", tag),
        (
            "a symbolic ref to a branch",
            "ref: refs/heads/main".to_owned(),
        ),
        (
            "a symbolic ref to nothing",
            "ref: refs/heads/gone".to_owned(),
        ),
        (
            "a symbolic ref to itself",
            "ref: refs/permit/streams/main".to_owned(),
        ),
        ("no id", "garbage".to_owned()),
        ("nothing", String::new()),
        ("a commit that is not there", "1".repeat(40)),
        ("zeros", "0".repeat(40)),
    ] {
        fs::write(&name, format!("{content}\n")).unwrap();
        let reasons = [
            &["verify-chain"][..],
            &ISSUE,
            &["stream", "list"],
            &["stream", "open", "main"],
        ]
        .map(|call| sandbox.reason(call));
        found.push_str(&format!("{what}: {}\n", reasons.join(" ")));
        let now = fs::read_to_string(&name).unwrap();
        assert_eq!(now.trim_end(), content, "{what}: nothing was written");
    }
    assert_snapshot!("odd_refs", found);
}

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

#[test]
fn refs_that_were_packed_are_read_and_go_on() {
    let sandbox = Sandbox::chain();
    sandbox.git(&["pack-refs", "--all"]);
    sandbox.git(&["gc", "--quiet", "--aggressive", "--prune=now"]);
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 8);
    sandbox.issue("read");
    assert_eq!(sandbox.json(&["verify-chain"])["events"], 9);
    assert_eq!(sandbox.json(&["replay"])["replayed"], 7);
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
