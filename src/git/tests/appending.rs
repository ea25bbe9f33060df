//! Streams: what is appended stays, what is not an event is not one, and of two writers one wins.
use std::{fs, sync::Barrier, thread};

use super::{
    super::{
        CommitId, Error, EventBytes, EventCommit, EventFault, Recalled, Repository, StreamRef,
        Subject, event_commit_bytes, event_commit_id,
    },
    Sandbox,
};

const REF: &str = "refs/permit/streams/main";

/// Appends one event on what the stream is at now; `Moved` is for the caller.
fn append(stream: &StreamRef<'_>, message: &str) -> Result<CommitId, Error> {
    let tip = stream.tip()?;
    let time = match tip {
        None => 0,
        Some(tip) => stream.read_event(tip).unwrap().time().saturating_add(1),
    };
    append_all(
        stream,
        tip,
        &[event_commit_bytes(tip, time, message.as_bytes())],
    )
}

/// Appends commits on `tip`, each on the one before it.
fn append_all(
    stream: &StreamRef<'_>,
    tip: Option<CommitId>,
    commits: &[Vec<u8>],
) -> Result<CommitId, Error> {
    let mut storing = stream.begin(tip);
    for bytes in commits {
        storing.push(bytes.clone())?;
    }
    stream.append(tip, storing)
}

/// Makes a line of commits, each the child of the one before.
fn line(mut parent: Option<CommitId>, times: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let make = |time: u64| {
        let bytes = event_commit_bytes(
            parent,
            time,
            format!("event #{time}\n\n{}", "x".repeat(1500)).as_bytes(),
        );
        parent = Some(event_commit_id(&bytes));
        bytes
    };
    times.map(make).collect()
}

#[test]
fn what_was_appended_is_read_and_git_agrees() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    assert_eq!(stream.tip().unwrap(), None);
    let first = append(&stream, "opened #0\n\n{}").unwrap();
    let second = append(&stream, "issued #1\n\n{\"a\":\u{2028}1}").unwrap();
    assert_eq!(stream.tip().unwrap(), Some(second));
    assert_eq!(sandbox.rev(REF), second);
    let event = stream.read_event(second).unwrap();
    assert_eq!(
        (event.id(), event.parent(), event.time()),
        (second, Some(first), 1)
    );
    assert_eq!(event.message(), "issued #1\n\n{\"a\":\u{2028}1}".as_bytes());
    assert_eq!(
        sandbox.git(&["log", "--format=%s|%an|%ae|%at|%ct|%T", REF]),
        format!(
            "issued #1|permit|permit@invalid|1|1|{0}\nopened #0|permit|permit@invalid|0|0|{0}",
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        )
    );
    assert_eq!(
        sandbox.git(&["fsck", "--strict", "--full", "--no-dangling"]),
        ""
    );
    assert_eq!(stream.walk(second).filter_map(Result::ok).count(), 2);
    sandbox.git(&["gc", "-q", "--prune=now"]);
    assert!(!sandbox.git_path(REF).exists(), "the ref is packed");
    let third = append(&stream, "used #2\n\n{}").unwrap();
    assert_eq!(sandbox.rev(REF), third);
    assert_eq!(sandbox.git(&["rev-list", "--count", REF]), "3");
}

#[test]
fn a_linked_work_tree_appends_to_the_shared_stream() {
    let sandbox = Sandbox::new();
    sandbox.commit(&[]);
    sandbox.git(&["worktree", "add", "-q", "../linked"]);
    let linked = Repository::open(&sandbox.aside("linked"), None).unwrap();
    let tip = append(&linked.stream(REF).unwrap(), "opened #0\n\n{}").unwrap();
    assert_eq!(
        sandbox.open().stream(REF).unwrap().tip().unwrap(),
        Some(tip)
    );
}

#[test]
fn a_batch_is_one_pack_that_git_accepts() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    let opened = append_all(&stream, None, &line(None, 0..3)).unwrap();
    let commits = line(Some(opened), 3..500);
    let tip = append_all(&stream, Some(opened), &commits).unwrap();
    assert_eq!(event_commit_id(commits.last().unwrap()), tip);
    assert_eq!(
        stream
            .walk(tip)
            .map(Result::unwrap)
            .map(|event| event.time())
            .max(),
        Some(499)
    );
    assert_eq!(stream.walk(tip).count(), 500);
    assert_eq!(
        sandbox.git(&["fsck", "--strict", "--full", "--no-dangling"]),
        ""
    );
    assert_eq!(sandbox.git(&["rev-list", "--count", REF]), "500");
    let pack = fs::read_dir(sandbox.git_path("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let index = pack
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .last()
        .unwrap();
    sandbox.git(&["verify-pack", index.to_str().unwrap()]);
    let again = append_all(&stream, Some(opened), &commits);
    assert!(matches!(again, Err(Error::Moved)));
    assert!(matches!(
        append_all(&stream, Some(tip), &[]),
        Err(Error::Git(_))
    ));
    assert!(matches!(
        append_all(&stream, Some(tip), &line(None, 0..1)),
        Err(Error::Corrupt { .. })
    ));
    assert!(matches!(
        append_all(&stream, Some(tip), &[b"tree".to_vec()]),
        Err(Error::Corrupt { .. })
    ));
    assert_eq!(stream.tip().unwrap(), Some(tip));
}

#[test]
fn only_the_one_form_is_an_event() {
    let good = String::from_utf8(event_commit_bytes(
        Some(CommitId::new([0x11; 20])),
        7,
        b"m\n\nx",
    ))
    .unwrap();
    let parsed = EventCommit::parse(good.as_bytes()).unwrap();
    assert_eq!(
        parsed,
        EventCommit {
            parent: Some(CommitId::new([0x11; 20])),
            time: 7,
            message: b"m\n\nx"
        }
    );
    let parent = "parent 1111111111111111111111111111111111111111\n";
    for (from, to) in [
        (
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4905",
        ),
        ("tree 4", "tree  4"),
        ("parent 1", "parent 2\nparent 1"),
        (parent, "parent 111111111111111111111111111111111111111\n"),
        (parent, "parent 111111111111111111111111111111111111111A\n"),
        (parent, &parent.repeat(2)),
        ("author permit", "author Permit"),
        (
            "author permit <permit@invalid> 7 +0000",
            "author permit <permit@invalid> 8 +0000",
        ),
        (" 7 +0000", " 07 +0000"),
        (" 7 +0000", " -7 +0000"),
        (" 7 +0000", " +7 +0000"),
        (" 7 +0000", "  +0000"),
        (" 7 +0000", " 7 -0000"),
        (" 7 +0000", " 99999999999999999999 +0000"),
        ("+0000\n\nm", "+0000\nencoding UTF-8\n\nm"),
        ("+0000\n\nm", "+0000\ngpgsig x\n\nm"),
        ("+0000\n\nm", "+0000\n \n\nm"),
        ("+0000\n\nm\n\nx", "+0000\n"),
        ("\ncommitter", "\r\ncommitter"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(good, bad, "{from:?}");
        assert!(
            matches!(EventCommit::parse(bad.as_bytes()), Err(EventFault::Form(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn what_is_no_event_is_told_apart() {
    let sandbox = Sandbox::new();
    let plain = sandbox.commit(&[("f", "1")]);
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    let fault = |id| stream.read_event(id).map(drop).unwrap_err();
    assert!(matches!(fault(plain), EventFault::Form(_)));
    assert_eq!(fault(CommitId::new([5; 20])), EventFault::Missing);
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]).parse().unwrap();
    assert_eq!(
        fault(tree),
        EventFault::Unreadable("it is a tree".to_owned())
    );
    let (one, two) = (
        append(&stream, "a").unwrap().to_string(),
        append(&stream, "b").unwrap().to_string(),
    );
    let file = |id: &str| sandbox.loose(id);
    fs::remove_file(file(&one)).unwrap();
    fs::copy(file(&two), file(&one)).unwrap();
    assert!(matches!(
        fault(one.parse().unwrap()),
        EventFault::Unreadable(_)
    ));
    let faults: Vec<_> = stream
        .walk(two.parse().unwrap())
        .map(|event| event.map(drop).map_err(|(id, _)| id.to_string()))
        .collect();
    assert_eq!(faults, [Ok(()), Err(one)]);
}

#[test]
fn of_two_creators_one_wins() {
    let sandbox = Sandbox::new();
    let barrier = Barrier::new(2);
    let won = thread::scope(|scope| {
        let creator = |message: &'static str| {
            let (barrier, path) = (&barrier, sandbox.path());
            scope.spawn(move || {
                let repository = Repository::open(&path, None).unwrap();
                let stream = repository.stream(REF).unwrap();
                let commit = event_commit_bytes(None, 0, message.as_bytes());
                barrier.wait();
                append_all(&stream, None, &[commit])
            })
        };
        let creators = [creator("one"), creator("two")];
        creators.map(|creator| creator.join().unwrap())
    });
    assert_eq!(
        won.iter().filter(|result| result.is_ok()).count(),
        1,
        "{won:?}"
    );
    assert_eq!(
        won.iter()
            .filter(|result| matches!(result, Err(Error::Moved)))
            .count(),
        1,
        "{won:?}"
    );
    let tip = won.into_iter().find_map(Result::ok).unwrap();
    assert_eq!(sandbox.rev(REF), tip);
}

#[test]
fn twenty_writers_all_arrive_in_one_line() {
    const WRITERS: usize = 20;
    const EACH: usize = 10;
    let sandbox = Sandbox::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = sandbox.path();
            scope.spawn(move || {
                let repository = Repository::open(&path, None).unwrap();
                let stream = repository.stream(REF).unwrap();
                for number in 0..EACH {
                    let message = format!("{writer}/{number}");
                    while let Err(error) = append(&stream, &message) {
                        assert!(matches!(error, Error::Moved), "{error}");
                    }
                }
            });
        }
    });
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    let tip = stream.tip().unwrap().unwrap();
    let events: Vec<_> = stream.walk(tip).map(Result::unwrap).collect();
    let times: Vec<_> = events.iter().rev().map(EventBytes::time).collect();
    assert!(
        times
            .iter()
            .copied()
            .eq(0..u64::try_from(WRITERS * EACH).unwrap()),
        "{times:?}"
    );
    let messages: std::collections::BTreeSet<_> = events
        .iter()
        .map(|event| event.message().to_vec())
        .collect();
    assert_eq!(messages.len(), WRITERS * EACH);
    assert_eq!(
        sandbox.git(&["fsck", "--strict", "--full", "--no-dangling"]),
        ""
    );
    let left: Vec<_> = fs::read_dir(sandbox.git_path("refs/permit/streams"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["main"], "no lock is left");
}

#[test]
fn a_lock_that_stays_is_named_and_left_alone() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    let tip = append(&stream, "a").unwrap();
    let lock = sandbox.git_path(&format!("{REF}.lock"));
    fs::write(&lock, "theirs").unwrap();
    let refused = append(&stream, "b");
    assert!(
        matches!(refused, Err(Error::Locked { path }) if path.canonicalize().unwrap() == lock.canonicalize().unwrap())
    );
    assert_eq!(fs::read(&lock).unwrap(), b"theirs");
    assert_eq!(stream.tip().unwrap(), Some(tip));
    fs::remove_file(&lock).unwrap();
    assert!(append(&stream, "b").is_ok());
}

#[test]
fn a_writer_killed_before_the_ref_moved_leaves_the_old_tip() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    let tip = append(&stream, "a").unwrap();
    let commit = event_commit_bytes(Some(tip), 1, b"b");
    let id = sandbox.object("commit", &commit);
    assert_eq!(
        stream.tip().unwrap(),
        Some(tip),
        "the object alone moves nothing"
    );
    // What a power cut can leave of a file that was not flushed.
    let file = sandbox.loose(&id);
    fs::remove_file(&file).unwrap();
    fs::write(&file, b"").unwrap();
    assert_eq!(
        append_all(&stream, Some(tip), &[commit])
            .unwrap()
            .to_string(),
        id
    );
    assert_eq!(
        sandbox.git(&["fsck", "--strict", "--full", "--no-dangling"]),
        ""
    );
}

#[test]
fn a_disk_that_refuses_leaves_nothing_half_written() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let stream = repository.stream(REF).unwrap();
    let tip = append(&stream, "a").unwrap();
    let one = event_commit_bytes(Some(tip), 1, b"b");
    let folder = sandbox.loose(&event_commit_id(&one).to_string());
    fs::write(folder.parent().unwrap(), "a file where a folder must be").unwrap();
    let many = line(Some(tip), 1..40);
    fs::remove_dir_all(sandbox.git_path("objects/pack")).unwrap();
    fs::write(sandbox.git_path("objects/pack"), "likewise").unwrap();
    for commits in [&[one][..], &many] {
        let refused = append_all(&stream, Some(tip), commits);
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
        assert_eq!(stream.tip().unwrap(), Some(tip));
    }
    let objects = fs::read_dir(sandbox.git_path("objects")).unwrap();
    let mut names = objects.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(
        names.all(|name| !name.contains("tmp")),
        "a temporary file is left"
    );
    assert!(!sandbox.git_path(&format!("{REF}.lock")).exists());
}

#[test]
fn a_ref_that_cannot_be_written_stays_as_it_was() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    append(&repository.stream("refs/hap/streams/a").unwrap(), "a").unwrap();
    let below = repository.stream("refs/hap/streams/a/b").unwrap();
    assert!(append(&below, "b").is_err());
    sandbox.git(&["pack-refs", "--all"]);
    assert!(matches!(append(&below, "b"), Err(Error::Git(_))));
    let above = repository.stream("refs/hap/streams").unwrap();
    assert!(matches!(append(&above, "b"), Err(Error::Git(_))));
    fs::create_dir_all(sandbox.git_path("refs/hap/empty")).unwrap();
    assert!(
        append(&repository.stream("refs/hap/empty").unwrap(), "c").is_ok(),
        "an empty folder is not in the way"
    );
    for name in [
        "main",
        "heads/main",
        "refs/a..b",
        "refs/a.lock",
        "refs/a\n",
        "refs/../x",
    ] {
        assert!(
            matches!(repository.stream(name).map(drop), Err(Error::Git(_))),
            "{name:?}"
        );
    }
    let names: Vec<_> = repository
        .refs_with_prefix("refs/hap/")
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["refs/hap/empty", "refs/hap/streams/a"]);
}

#[test]
fn a_repository_remembers_the_newest_tip_of_a_stream() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let [one, two] = [1, 2].map(|byte| CommitId::new([byte; 20]));
    let main = Subject::Stream("main");
    assert_eq!(repository.recall(None, main), Recalled::Nothing);
    repository.remember(None, main, one).unwrap();
    repository.remember(None, main, two).unwrap();
    repository
        .remember(Some("ssh://x/y.git"), main, one)
        .unwrap();
    assert_eq!(repository.recall(None, main), Recalled::Newest(two));
    let there = repository.recall(Some("ssh://x/y.git"), main);
    assert_eq!(there, Recalled::Newest(one));
    assert_eq!(repository.recall(Some("other"), main), Recalled::Nothing);
    let governed = Subject::Governed("refs/heads/main");
    assert_eq!(repository.recall(None, governed), Recalled::Nothing);
    for id in ["", ".", "..", "../main", "a/b", "/", ".hidden"] {
        repository.remember(None, Subject::Stream(id), one).unwrap();
        assert_eq!(
            repository.recall(None, Subject::Stream(id)),
            Recalled::Nothing
        );
    }
    let kept = fs::read_dir(sandbox.git_path("permit/streams"))
        .unwrap()
        .count();
    assert_eq!(kept, 1, "no temporary file is left");
    for garbage in ["garbage", "", &"1".repeat(40)] {
        fs::write(sandbox.git_path("permit/streams/main"), garbage).unwrap_or_default();
        fs::remove_file(sandbox.git_path("permit/streams/main")).unwrap();
        fs::write(sandbox.git_path("permit/streams/main"), garbage).unwrap();
        let recalled = repository.recall(None, main);
        let place = match recalled {
            Recalled::SetAside(place) => Some(place),
            Recalled::Nothing | Recalled::Newest(_) => None,
        };
        assert_eq!(fs::read_to_string(place.unwrap()).unwrap(), garbage);
        assert_eq!(repository.recall(None, main), Recalled::Nothing);
    }
    fs::remove_dir_all(sandbox.git_path("permit")).unwrap();
    fs::write(sandbox.git_path("permit"), "in the way").unwrap();
    assert!(repository.remember(None, main, one).is_err());
    assert_eq!(repository.recall(None, main), Recalled::Nothing);
}
