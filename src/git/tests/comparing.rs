//! Merge bases and differences, held against what `git` itself says.
use std::{fs, os::unix::fs::symlink};

use super::{CommitId, Sandbox};
use crate::git::Error;

impl Sandbox {
    fn write(&self, path: &str, text: &str) {
        let file = self.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Merges without looking at trees, at a time.
    fn merge(&self, parents: &[CommitId], time: u64) -> CommitId {
        let tree = self.git(&["rev-parse", "HEAD^{tree}"]);
        let mut text = format!("tree {}\n", tree.trim());
        for parent in parents {
            text.push_str(&format!("parent {parent}\n"));
        }
        for who in ["author", "committer"] {
            text.push_str(&format!("{who} t <t@invalid> {time} +0000\n"));
        }
        text.push_str("\nm\n");
        let arguments = ["hash-object", "-t", "commit", "-w", "--stdin"];
        let id = self.git_in(&self.path(), &arguments, text.as_bytes());
        id.trim().parse().unwrap()
    }

    fn git_paths(&self, from: CommitId, to: CommitId) -> Vec<Vec<u8>> {
        let (from, to) = (from.to_string(), to.to_string());
        let options = [
            "diff",
            "--name-only",
            "-z",
            "--no-renames",
            "--ignore-submodules=none",
        ];
        let printed = self.git(&[options.as_slice(), &[&from, &to]].concat());
        let mut paths: Vec<Vec<u8>> = printed
            .split_terminator('\0')
            .map(|path| path.as_bytes().to_vec())
            .collect();
        paths.sort();
        paths
    }
}

#[test]
fn differences_are_those_of_git_whatever_changed() {
    let sandbox = Sandbox::new();
    for path in [
        "same", "a/b/c", "a/b/d", "gone/x", "swap", "mode", "link", "über/ä", "old name",
    ] {
        sandbox.write(path, path);
    }
    let first = sandbox.commit(&[]);
    sandbox.write("a/b/c", "changed");
    fs::remove_dir_all(sandbox.path().join("gone")).unwrap();
    fs::remove_file(sandbox.path().join("swap")).unwrap();
    sandbox.write("swap/inside", "a file became a folder");
    sandbox.git(&["mv", "old name", "new\tname"]);
    fs::remove_file(sandbox.path().join("link")).unwrap();
    symlink("same", sandbox.path().join("link")).unwrap();
    sandbox.write("über/漢字", "x");
    sandbox.write("a.b", "sorts before a/b");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["update-index", "--chmod=+x", "mode"]);
    let submodule = format!("160000,{first},module");
    sandbox.git(&["update-index", "--add", "--cacheinfo", &submodule]);
    sandbox.git(&["commit", "-q", "-m", "second"]);
    let second = sandbox.rev("HEAD");
    let repository = sandbox.open();
    for (from, to) in [(first, second), (second, first), (first, first)] {
        let ours = repository.changed_paths(from, to).unwrap();
        assert_eq!(ours, sandbox.git_paths(from, to));
    }
    assert_eq!(repository.changed_paths(first, second).unwrap().len(), 11);
}

#[test]
fn configuration_does_not_change_a_difference() {
    let sandbox = Sandbox::new();
    sandbox.write("ä", "1");
    let first = sandbox.commit(&[]);
    sandbox.git(&["mv", "ä", "ö"]);
    let second = sandbox.commit(&[]);
    let before = sandbox.open().changed_paths(first, second).unwrap();
    for (key, value) in [
        ("core.quotePath", "true"),
        ("diff.renames", "copies"),
        ("diff.noprefix", "true"),
        ("diff.orderFile", "order"),
        ("diff.ignoreSubmodules", "all"),
    ] {
        sandbox.git(&["config", key, value]);
    }
    sandbox.git(&["replace", &second.to_string(), &first.to_string()]);
    assert_eq!(sandbox.open().changed_paths(first, second).unwrap(), before);
    assert_eq!(before, ["ä".as_bytes(), "ö".as_bytes()]);
}

#[test]
fn merge_bases_are_those_of_git() {
    let sandbox = Sandbox::new();
    let root = sandbox.commit(&[]);
    let left = sandbox.merge(&[root], 1_700_000_010);
    let right = sandbox.merge(&[root], 1_700_000_020);
    let one = sandbox.merge(&[left, right], 1_700_000_030);
    let other = sandbox.merge(&[right, left], 1_700_000_040);
    let octopus = sandbox.merge(&[one, root, left], 1_700_000_050);
    // A clock that ran backwards: the child is older than its parents.
    let skewed = sandbox.merge(&[octopus], 1_600_000_000);
    let behind = sandbox.merge(&[skewed], 1_700_000_060);
    let unrelated = sandbox.merge(&[], 1_700_000_070);
    let all = [
        root, left, right, one, other, octopus, skewed, behind, unrelated,
    ];
    let repository = sandbox.open();
    for first in all {
        for second in all {
            let ours = repository.merge_base(first, second).unwrap();
            let (first, second) = (first.to_string(), second.to_string());
            let script = format!("git merge-base {first} {second} || true");
            let theirs = sandbox.git(&["-c", &format!("alias.base=!{script}"), "base"]);
            let theirs = theirs.trim();
            let theirs = (!theirs.is_empty()).then(|| theirs.parse().unwrap());
            assert_eq!(ours, theirs, "{first} {second}");
        }
    }
}

#[test]
fn a_history_that_is_cut_off_gives_no_merge_base_instead_of_a_wrong_one() {
    let sandbox = Sandbox::new();
    let root = sandbox.commit(&[]);
    let left = sandbox.commit(&[]);
    sandbox.git(&["checkout", "-q", "--detach", &root.to_string()]);
    sandbox.write("x", "x");
    let right = sandbox.commit(&[]);
    sandbox.git(&["update-ref", "refs/heads/right", &right.to_string()]);
    let shallow = sandbox.aside("shallow");
    let from = format!("file://{}", sandbox.path().display());
    let to = shallow.display().to_string();
    let clone = [
        "clone",
        "-q",
        "--depth",
        "1",
        "--no-single-branch",
        &from,
        &to,
    ];
    sandbox.git(&clone);
    let repository = crate::git::Repository::open(&shallow, None).unwrap();
    let answer = repository.merge_base(left, right);
    assert!(matches!(answer, Err(Error::Missing { .. })), "{answer:?}");
    assert_eq!(repository.merge_base(left, left).unwrap(), Some(left));
}
