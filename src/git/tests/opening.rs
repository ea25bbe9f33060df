//! Which repository is found, and which revisions and refs it has.
use std::{fs, os::unix::fs::PermissionsExt};

use super::{
    super::{Error, Repository},
    Sandbox,
};

#[test]
fn every_kind_of_repository_is_found() {
    let sandbox = Sandbox::new();
    let head = sandbox.commit(&[("a/b/c", "x")]);
    let work = sandbox.path();
    sandbox.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    sandbox.git(&["clone", "-q", "--mirror", ".", "../mirror.git"]);
    sandbox.git(&["worktree", "add", "-q", "../linked", "-b", "side"]);
    for (start, git_dir) in [
        (work.clone(), None),
        (work.join("a/b"), None),
        (work.join(".git"), None),
        (sandbox.aside("bare.git"), None),
        (sandbox.aside("mirror.git/refs"), None),
        (sandbox.aside("linked/a"), None),
        (sandbox.aside("."), Some(work.join(".git"))),
        (sandbox.aside("."), Some(sandbox.aside("bare.git"))),
        (work.clone(), Some(sandbox.aside("linked/.git"))),
    ] {
        let repository = Repository::open(&start, git_dir.as_deref()).unwrap();
        assert_eq!(repository.resolve("HEAD").unwrap(), head, "{start:?}");
    }
    let linked = Repository::open(&sandbox.aside("linked"), None).unwrap();
    let canonical = |path: &std::path::Path| path.canonicalize().unwrap();
    assert_eq!(
        canonical(linked.common_dir()),
        canonical(&work.join(".git"))
    );
    assert_ne!(canonical(linked.git_dir()), canonical(linked.common_dir()));
    assert_eq!(
        canonical(linked.work_dir().unwrap()),
        canonical(&sandbox.aside("linked"))
    );
    let bare = Repository::open(&sandbox.aside("bare.git"), None).unwrap();
    assert_eq!(bare.work_dir(), None);
    assert!(!bare.is_shallow());
}

#[test]
fn what_cannot_be_opened_is_told_apart() {
    let sandbox = Sandbox::new();
    let open = |start: &str, git_dir: Option<&str>| {
        let git_dir = git_dir.map(|name| sandbox.aside(name));
        Repository::open(&sandbox.aside(start), git_dir.as_deref()).map(drop)
    };
    sandbox.git(&["init", "-q", "--object-format=sha256", "../sha256"]);
    sandbox.git(&["init", "-q", "--ref-format=reftable", "../reftable"]);
    sandbox.git(&["init", "-q", "../partial"]);
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
    ] {
        sandbox.git(&["-C", "../partial", "config", key, value]);
    }
    assert!(matches!(
        open("partial", None),
        Err(Error::Unsupported { .. })
    ));
    fs::create_dir(sandbox.aside("empty")).unwrap();
    assert!(matches!(
        open("sha256", None),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        open("reftable", None),
        Err(Error::Unsupported { .. })
    ));
    let error = open("empty", None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("there is no git repository at or above `"),
        "{error}"
    );
    assert!(matches!(
        open("work", Some("empty")),
        Err(Error::NoRepository { .. })
    ));
    assert!(
        matches!(open("work", Some("work")), Err(Error::NoRepository { .. })),
        "GIT_DIR is not searched from"
    );
}

#[test]
fn revisions_resolve_as_git_resolves_them() {
    let sandbox = Sandbox::new();
    for text in ["1", "2", "3"] {
        sandbox.commit(&[("f", text)]);
    }
    sandbox.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    sandbox.commit(&[("g", "1")]);
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "m", "side"]);
    sandbox.git(&["tag", "-a", "-m", "t", "v1"]);
    sandbox.git(&["tag", "-a", "-m", "t", "v2", "v1"]);
    let repository = sandbox.open();
    let short = &sandbox.git(&["rev-parse", "--short=9", "HEAD~1"]);
    for rev in [
        "HEAD",
        "@",
        "main",
        "refs/heads/side",
        "heads/side",
        "v1",
        "v2",
        "HEAD~0",
        "HEAD~",
        "HEAD~2",
        "HEAD^",
        "HEAD^2",
        "HEAD^2~1",
        "HEAD^^",
        "HEAD^0",
        "v2^{}",
        "v2^{commit}~1",
        "v2~1^1",
        "main@{0}",
        short,
        &format!("{short}~1"),
    ] {
        let git = sandbox.rev(&format!("{rev}^{{commit}}"));
        assert_eq!(repository.resolve(rev).unwrap(), git, "{rev}");
    }
    let head = sandbox.rev("HEAD");
    assert_eq!(
        repository
            .resolve(&head.to_string().to_uppercase())
            .unwrap(),
        head
    );
    for rev in [
        "",
        "~",
        "^",
        "nothing",
        "HEAD~9",
        "HEAD^3",
        "HEAD~x",
        "HEAD^{tree}",
        "HEAD^{/c}",
        "HEAD:f",
        ":/c",
        ":f",
        "HEAD^-",
        "HEAD..side",
        "HEAD~99999999999",
        "--all",
        "HEAD^{",
        "-",
    ] {
        let resolved = repository.resolve(rev);
        assert!(
            matches!(resolved, Err(Error::Unresolved { .. })),
            "{rev}: {resolved:?}"
        );
    }
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    assert!(matches!(
        repository.resolve(&tree),
        Err(Error::Unresolved { .. })
    ));
    assert!(matches!(
        repository.resolve(&"1".repeat(40)),
        Err(Error::Missing { .. })
    ));
    assert!(matches!(
        Sandbox::new().open().resolve("HEAD"),
        Err(Error::Unborn { .. })
    ));
}

#[test]
fn forty_hex_digits_are_an_id_even_where_a_branch_has_that_name() {
    let sandbox = Sandbox::new();
    let first = sandbox.commit(&[("f", "1")]);
    sandbox.commit(&[("f", "2")]);
    sandbox.git(&["update-ref", &format!("refs/heads/{first}"), "HEAD"]);
    assert_eq!(sandbox.open().resolve(&first.to_string()).unwrap(), first);
}

#[test]
fn only_the_repository_s_own_configuration_counts() {
    let sandbox = Sandbox::new();
    sandbox.git(&["config", "permit.role", "executor"]);
    let repository = sandbox.open();
    assert_eq!(
        repository.config_string("permit.role").unwrap().as_deref(),
        Some("executor")
    );
    assert_eq!(
        repository.config_string("permit.governedRef").unwrap(),
        None
    );
    let linked = sandbox.aside("linked");
    sandbox.commit(&[]);
    sandbox.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let linked = Repository::open(&linked, None).unwrap();
    assert_eq!(
        linked.config_string("permit.role").unwrap().as_deref(),
        Some("executor")
    );
    fs::write(sandbox.git_path("config"), "[permit\n").unwrap();
    assert!(Repository::open(&sandbox.path(), None).is_err());
}

#[test]
fn refs_are_listed_loose_and_packed_and_none_is_skipped() {
    let sandbox = Sandbox::new();
    let head = sandbox.commit(&[]);
    let text = head.to_string();
    for name in ["b", "a", "a-b/c", "packed"] {
        sandbox.git(&["update-ref", &format!("refs/permit/streams/{name}"), &text]);
    }
    sandbox.git(&["pack-refs", "--all"]);
    let later = sandbox.commit(&[]);
    sandbox.git(&["update-ref", "refs/permit/streams/b", "HEAD"]);
    sandbox.git(&["update-ref", "refs/permit/streamsx/b", "HEAD"]);
    fs::write(sandbox.git_path("refs/permit/streams/a.lock"), "").unwrap();
    let repository = sandbox.open();
    let listed = repository.refs_with_prefix("refs/permit/streams/").unwrap();
    let expected = [("a", head), ("a-b/c", head), ("b", later), ("packed", head)];
    let expected = expected.map(|(name, id)| (format!("refs/permit/streams/{name}"), id));
    assert_eq!(listed, expected);
    assert_eq!(repository.refs_with_prefix("refs/nothing/").unwrap(), []);
    assert_eq!(
        repository.ref_target("refs/permit/streams/z").unwrap(),
        None
    );

    for broken in [
        "",
        "not an id\n",
        "ref: refs/heads/main\n",
        "ref: refs/heads/nothing\n",
    ] {
        fs::write(sandbox.git_path("refs/permit/streams/z"), broken).unwrap();
        let corrupt = |result| matches!(result, Err(Error::Corrupt { .. }));
        assert!(
            corrupt(repository.ref_target("refs/permit/streams/z").map(drop)),
            "{broken:?}"
        );
        assert!(
            corrupt(
                repository
                    .refs_with_prefix("refs/permit/streams/")
                    .map(drop)
            ),
            "{broken:?}"
        );
    }
}

#[test]
fn a_repository_that_belongs_to_somebody_else_is_refused() {
    let sandbox = Sandbox::new();
    let path = sandbox.path();
    // Only root can give a repository away; elsewhere there is nothing to see.
    let given = [path.clone(), path.join(".git")]
        .iter()
        .all(|path| std::os::unix::fs::chown(path, Some(54_321), None).is_ok());
    if given {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let opened = Repository::open(&path, None).map(drop);
        assert!(matches!(opened, Err(Error::Ownership { path: named }) if named == path));
    }
}
