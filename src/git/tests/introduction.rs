//! Where a file's present bytes came from, on histories of every shape.
use super::Sandbox;

const PATH: &str = "governance/reviews/a.json";

#[test]
fn the_oldest_of_the_unbroken_run_introduced_the_bytes() {
    let sandbox = Sandbox::new();
    let root = sandbox.commit(&[("x", "0")]);
    let repository = sandbox.open();
    assert_eq!(repository.introduction(root, PATH).unwrap(), None);

    let first = sandbox.commit(&[(PATH, "one")]);
    sandbox.commit(&[("x", "1")]);
    let beside = sandbox.commit(&[("governance/other", "1")]);
    let repository = sandbox.open();
    let found = repository.introduction(beside, PATH).unwrap().unwrap();
    assert_eq!((found.commit, found.parent), (first, Some(root)));
    assert_eq!(found.time, 1_700_000_000);

    // Other bytes break the run, and so does a gap.
    let other = sandbox.commit(&[(PATH, "two")]);
    let again = sandbox.commit(&[(PATH, "one")]);
    let repository = sandbox.open();
    let found = repository.introduction(again, PATH).unwrap().unwrap();
    assert_eq!((found.commit, found.parent), (again, Some(other)));

    // Its mode is no part of the bytes.
    sandbox.git(&["update-index", "--chmod=+x", PATH]);
    sandbox.git(&["commit", "-q", "-m", "mode"]);
    let head = sandbox.rev("HEAD");
    let found = sandbox.open().introduction(head, PATH).unwrap().unwrap();
    assert_eq!(found.commit, again);
}

#[test]
fn a_root_introduces_without_a_parent() {
    let sandbox = Sandbox::new();
    let root = sandbox.commit(&[(PATH, "one")]);
    let found = sandbox.open().introduction(root, PATH).unwrap().unwrap();
    assert_eq!((found.commit, found.parent), (root, None));
}

#[test]
fn a_merge_introduces_what_its_second_parent_brings() {
    let sandbox = Sandbox::new();
    let root = sandbox.commit(&[("x", "0")]);
    sandbox.git(&["checkout", "-q", "-b", "topic"]);
    let topic = sandbox.commit(&[(PATH, "one")]);
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    let merge = sandbox.rev("HEAD");
    let repository = sandbox.open();
    let found = repository.introduction(merge, PATH).unwrap().unwrap();
    assert_eq!((found.commit, found.parent), (merge, Some(root)));
    let found = repository.introduction(topic, PATH).unwrap().unwrap();
    assert_eq!(found.commit, topic);
}

#[test]
fn what_was_ever_there_is_found_under_the_first_parents_only() {
    let sandbox = Sandbox::new();
    sandbox.commit(&[("x", "0")]);
    sandbox.git(&["checkout", "-q", "-b", "topic"]);
    sandbox.commit(&[("governance/table", "one")]);
    sandbox.git(&["rm", "-q", "governance/table"]);
    let gone = sandbox.commit(&[("y", "0")]);
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    let merge = sandbox.rev("HEAD");
    let repository = sandbox.open();
    assert!(repository.ever_held(gone, "governance/table").unwrap());
    assert!(!repository.ever_held(merge, "governance/table").unwrap());
    assert!(repository.ever_held(merge, "x").unwrap());
}
