//! What a commit holds, whatever else the repository says.
use std::{fs, os::unix};

use super::{
    super::{CommitId, EntryKind, Error, History, Repository},
    Sandbox,
};

fn raw_tree(entries: &[(&str, &str, &str)]) -> Vec<u8> {
    let raw = |(mode, name, id): &(&str, &str, &str)| {
        [
            mode.as_bytes(),
            b" ",
            name.as_bytes(),
            b"\0",
            &hex::decode(id).unwrap(),
        ]
        .concat()
    };
    entries.iter().flat_map(raw).collect()
}

#[test]
fn a_file_is_read_at_its_commit_and_nowhere_else() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit(&[
        ("a/b.txt", "one\r\n"),
        (".gitattributes", "* text ident eol=lf\n"),
    ]);
    sandbox.commit(&[("a/b.txt", "two")]);
    fs::write(sandbox.path().join("a/b.txt"), "three").unwrap();
    fs::write(sandbox.path().join("a/staged"), "three").unwrap();
    sandbox.git(&["add", "a/staged"]);
    let repository = sandbox.open();
    let read = |commit, path| {
        repository
            .snapshot(commit)
            .unwrap()
            .file(path, 9)
            .unwrap()
            .map(|blob| blob.bytes)
    };
    let stored = sandbox.git(&["cat-file", "blob", &format!("{first}:a/b.txt")]);
    assert_eq!(
        read(first, "a/b.txt").unwrap().trim_ascii_end(),
        stored.as_bytes()
    );
    assert_eq!(
        read(repository.resolve("HEAD").unwrap(), "a/b.txt").unwrap(),
        b"two"
    );
    for absent in [
        "a/staged",
        "nothing",
        "a/nothing/b",
        "",
        "/",
        "a/",
        "/a/b.txt",
        "a//b.txt",
        "./a/b.txt",
        "A/b.txt",
    ] {
        assert_eq!(
            read(repository.resolve("HEAD").unwrap(), absent),
            None,
            "{absent}"
        );
    }
}

#[test]
fn folders_list_their_entries_by_bytes() {
    let sandbox = Sandbox::new();
    let commit = sandbox.commit(&[("g/a/x", ""), ("g/a.b", ""), ("g/a-b", ""), ("g/é", "")]);
    let repository = sandbox.open();
    let snapshot = repository.snapshot(commit).unwrap();
    assert_eq!(snapshot.commit(), commit);
    assert_eq!(
        snapshot.tree_id().to_string(),
        sandbox.git(&["rev-parse", "HEAD^{tree}"])
    );
    let names = |folder| -> Vec<_> {
        snapshot
            .list(folder)
            .unwrap()
            .into_iter()
            .map(|entry| String::from_utf8(entry.name).unwrap())
            .collect()
    };
    assert_eq!(names("g"), ["a", "a-b", "a.b", "é"]);
    assert_eq!(names(""), ["g"]);
    assert_eq!(names("nothing"), [""; 0]);
    assert_eq!(names("g/nothing/x"), [""; 0]);
    assert_eq!(
        snapshot.entry("g/a").unwrap().unwrap().kind,
        EntryKind::Folder
    );
    assert!(matches!(
        snapshot.list("g/a.b"),
        Err(Error::NotRegular { what: "a file", .. })
    ));
}

#[test]
fn links_submodules_and_folders_do_not_pass_for_files() {
    let sandbox = Sandbox::new();
    sandbox.commit(&[("real/f", "x")]);
    let head = sandbox.rev("HEAD").to_string();
    unix::fs::symlink("real", sandbox.path().join("link")).unwrap();
    unix::fs::symlink("f", sandbox.path().join("real/link")).unwrap();
    sandbox.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},module"),
    ]);
    sandbox.git(&["add", "link", "real/link"]);
    sandbox.git(&["commit", "-q", "-m", "c"]);
    let repository = sandbox.open();
    let snapshot = repository.snapshot(sandbox.rev("HEAD")).unwrap();
    for (path, where_, is) in [
        ("link", "link", "a symlink"),
        ("link/f", "link", "a symlink"),
        ("real/link", "real/link", "a symlink"),
        ("module", "module", "a submodule"),
        ("module/x/y", "module", "a submodule"),
        ("real", "real", "a folder"),
        ("real/f/x", "real/f", "a file"),
    ] {
        let refused = matches!(snapshot.file(path, 9), Err(Error::NotRegular { path, what }) if path == where_ && what == is);
        assert!(refused, "{path}");
    }
    for path in ["link", "module", "link/f", "real/f"] {
        assert!(
            matches!(snapshot.list(path), Err(Error::NotRegular { .. })),
            "{path}"
        );
    }
    assert_eq!(
        snapshot.entry("link").unwrap().unwrap().kind,
        EntryKind::Symlink
    );
    assert_eq!(
        snapshot.entry("module").unwrap().unwrap().id.to_string(),
        head
    );
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let sandbox = Sandbox::new();
    let commit = sandbox.commit(&[("f", "12345")]);
    let repository = sandbox.open();
    let snapshot = repository.snapshot(commit).unwrap();
    assert_eq!(snapshot.file("f", 5).unwrap().unwrap().bytes, b"12345");
    assert!(
        matches!(snapshot.file("f", 4), Err(Error::TooLarge { path, size: 5, limit: 4 }) if path == "f")
    );
}

#[test]
fn a_tree_with_two_entries_of_one_name_is_refused() {
    let sandbox = Sandbox::new();
    let (one, two) = (sandbox.object("blob", b"1"), sandbox.object("blob", b"2"));
    let folder = sandbox.object("tree", &raw_tree(&[("100644", "f", &one)]));
    let repository = sandbox.open();
    for entries in [
        vec![("100644", "f", &*one), ("100644", "f", &*two)],
        vec![
            ("100644", "f", &*one),
            ("100644", "f.x", &*two),
            ("40000", "f", &*folder),
        ],
        vec![("100644", "g", &*one), ("100644", "f", &*two)],
    ] {
        let tree = sandbox.object("tree", &raw_tree(&entries));
        let commit = sandbox.commit_of(&tree);
        let snapshot = repository.snapshot(commit).unwrap();
        assert!(
            matches!(snapshot.file("f", 9), Err(Error::Corrupt { id, .. }) if id == tree),
            "{entries:?}"
        );
        assert!(matches!(snapshot.list(""), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn a_commit_with_two_trees_is_refused() {
    let sandbox = Sandbox::new();
    let tree = format!("tree {}\n", sandbox.object("tree", b""));
    let person = "t <t@invalid> 1 +0000\n";
    let bytes = format!("{tree}{tree}author {person}committer {person}\nm");
    let commit: CommitId = sandbox.object("commit", bytes.as_bytes()).parse().unwrap();
    assert!(matches!(
        sandbox.open().snapshot(commit).map(drop),
        Err(Error::Corrupt { .. })
    ));
    assert!(matches!(
        sandbox.open().resolve(&commit.to_string()),
        Err(Error::Corrupt { .. })
    ));
}

#[test]
fn replace_refs_and_grafts_change_nothing() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit(&[("f", "true")]);
    let second = sandbox.commit(&[("f", "true too")]);
    let third = sandbox.commit(&[("f", "truest")]);
    sandbox.git(&["checkout", "-q", "--orphan", "other"]);
    let other = sandbox.commit(&[("f", "false")]);
    sandbox.git(&["replace", &second.to_string(), &other.to_string()]);
    let blob = sandbox.object("blob", b"false");
    sandbox.git(&[
        "replace",
        &sandbox.git(&["rev-parse", &format!("{first}:f")]),
        &blob,
    ]);
    fs::write(
        sandbox.git_path("info/grafts"),
        format!("{third} {other}\n{second}\n"),
    )
    .unwrap();
    let repository = sandbox.open();
    let chain: Result<Vec<_>, _> = repository.first_parents(third).collect();
    assert_eq!(chain.unwrap(), [third, second, first]);
    assert_eq!(repository.resolve(&format!("{third}~2")).unwrap(), first);
    assert!(!repository.is_on_first_parent_chain(third, other).unwrap());
    assert!(repository.is_on_first_parent_chain(third, first).unwrap());
    for (commit, text) in [(second, &b"true too"[..]), (first, b"true")] {
        let file = repository.snapshot(commit).unwrap().file("f", 99).unwrap();
        assert_eq!(file.unwrap().bytes, text);
    }
}

#[test]
fn only_first_parents_are_on_the_chain() {
    let sandbox = Sandbox::new();
    let root = sandbox.commit(&[("f", "1")]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    let side = sandbox.commit(&[("g", "1")]);
    sandbox.git(&["checkout", "-q", "main"]);
    let main = sandbox.commit(&[("f", "2")]);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "m", "side"]);
    let tip = sandbox.rev("HEAD");
    let repository = sandbox.open();
    let mut history = History::new(tip);
    let positions =
        [root, side, main, tip].map(|commit| history.position(&repository, commit).unwrap());
    assert_eq!(positions, [Some(2), None, Some(1), Some(0)]);
}

#[test]
fn a_shallow_clone_lacks_objects_and_says_so() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit(&[("f", "1")]);
    let second = sandbox.commit(&[("f", "2")]);
    let url = format!("file://{}", sandbox.path().display());
    sandbox.git(&["clone", "-q", "--depth", "1", &url, "../shallow"]);
    let repository = Repository::open(&sandbox.aside("shallow"), None).unwrap();
    assert!(repository.is_shallow());
    assert!(repository.is_on_first_parent_chain(second, second).unwrap());
    let missing = |result: Result<(), Error>| matches!(result, Err(Error::Missing { id }) if id == first.to_string());
    assert!(missing(
        repository.is_on_first_parent_chain(second, first).map(drop)
    ));
    assert!(missing(repository.resolve("HEAD~1").map(drop)));
    let mut history = History::new(second);
    assert!(missing(history.position(&repository, first).map(drop)));
    assert!(
        missing(history.position(&repository, first).map(drop)),
        "a second question has the same answer"
    );
    assert_eq!(history.position(&repository, second).unwrap(), Some(0));
    let unrelated = CommitId::new([7; 20]);
    assert!(missing(
        repository
            .is_on_first_parent_chain(second, unrelated)
            .map(drop)
    ));
}

#[test]
fn bytes_that_do_not_hash_to_their_id_are_refused() {
    let sandbox = Sandbox::new();
    let commit = sandbox.commit(&[("f", "true")]);
    let file = |id: &str| sandbox.loose(id);
    let honest = sandbox.git(&["rev-parse", "HEAD:f"]);
    let forged = sandbox.object("blob", b"fake");
    fs::remove_file(file(&honest)).unwrap();
    fs::copy(file(&forged), file(&honest)).unwrap();
    let repository = sandbox.open();
    let read = || repository.snapshot(commit).unwrap().file("f", 9).map(drop);
    assert!(matches!(read(), Err(Error::Corrupt { id, .. }) if id == honest));
    for bytes in [&b""[..], b"x\x9c", b"garbage"] {
        fs::remove_file(file(&honest)).unwrap();
        fs::write(file(&honest), bytes).unwrap();
        assert!(
            matches!(read(), Err(Error::Corrupt { id, .. }) if id == honest),
            "{bytes:?}"
        );
    }
    fs::remove_file(file(&honest)).unwrap();
    assert!(matches!(read(), Err(Error::Missing { id }) if id == honest));
}

#[test]
fn objects_in_quarantine_are_seen_only_where_it_is_named() {
    let sandbox = Sandbox::new();
    sandbox.commit(&[("f", "1")]);
    sandbox.git(&["clone", "-q", "--bare", ".", "../server.git"]);
    let pushed = sandbox.commit(&[("f", "2")]);
    let server = sandbox.aside("server.git");
    let plain = Repository::open(&server, None).unwrap();
    assert!(matches!(
        plain.read_commit(pushed),
        Err(Error::Missing { .. })
    ));
    let quarantine = sandbox.git_path("objects");
    let open = Repository::open_quarantined(
        &server,
        Some(&server),
        &quarantine,
        &[server.join("objects")],
    );
    let snapshot = open.unwrap();
    let snapshot = snapshot.snapshot(pushed).unwrap();
    assert_eq!(snapshot.file("f", 9).unwrap().unwrap().bytes, b"2");
}
