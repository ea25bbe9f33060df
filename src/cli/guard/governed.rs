//! The governed ref: every new first-parent commit is judged against its own first parent.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::content::Touch;
use super::push::{Judged, Push, Update};
use super::{closed, content, coverage, reviews};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Change, Class, Finding, Paths, class_of};
use crate::git::{Bounds, CommitId, Differences, Entry, Error, Snapshot};

/// One new commit of the governed ref with what it changes.
pub(super) struct Step<'s> {
    pub(super) commit: CommitId,
    /// What it holds.
    pub(super) after: Snapshot<'s>,
    /// What its first parent holds; nothing for a root.
    pub(super) before: Option<Snapshot<'s>>,
    /// What it changes, by class, each path once in the order of bytes.
    pub(super) changes: BTreeMap<Class, Vec<Path>>,
}

/// A path that a commit changes, with what is there before and after.
pub(super) struct Path {
    pub(super) name: Vec<u8>,
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
}

/// What was found for one class so far: its paths, and the first finding that is against it.
#[derive(Default)]
struct Sum {
    paths: BTreeSet<Vec<u8>>,
    finding: Option<Finding>,
}

/// Judges the governed ref's update.
pub(super) fn judge(push: &Push<'_>, update: &Update) -> Vec<Judged> {
    let whole =
        |refusal: Refusal| vec![push.found(Class::GovernanceChange, update, refusal.into())];
    let Some(new) = update.new else {
        let what = format!("the governed ref `{}` must not be deleted", update.name);
        return whole(Refusal::new(Code::GovernedRefDeleted, what));
    };
    let new = CommitId::new(*new.as_bytes());
    let found = steps(push, new).and_then(|steps| match push.gap.as_ref() {
        Err(refusal) => Err(refusal.clone()),
        Ok(Some(gap)) => gap.judge(push, update, new, &steps),
        Ok(None) if push.base.is_none() && !brings_governance(&steps) => {
            Err(push.nothing_governed())
        }
        Ok(None) => Ok(sum(
            push,
            update,
            &steps,
            &coverage::Judge::new(push, &steps),
        )),
    });
    found.unwrap_or_else(whole)
}

fn brings_governance(steps: &[Step<'_>]) -> bool {
    let mut changes = steps.iter().flat_map(|step| step.changes.keys());
    changes.any(|class| *class == Class::GovernanceChange)
}

/// The new commits of the governed ref, oldest first.
pub(super) fn steps<'s>(push: &Push<'s>, new: CommitId) -> Result<Vec<Step<'s>>, Refusal> {
    let repository = &push.session.repository;
    let (mut commits, mut met) = (Vec::new(), push.base.is_none());
    for commit in repository.first_parents(new) {
        let commit = commit?;
        if Some(commit) == push.base {
            met = true;
            break;
        }
        commits.push(commit);
    }
    if !met {
        let what = "the old tip is not on the first-parent chain of the new one";
        let base = push.base.map(|base| base.to_string()).unwrap_or_default();
        return Err(Refusal::new(Code::FirstParentBroken, what)
            .detail("old tip", base)
            .detail("new tip", new.to_string()));
    }
    let all = push.asks_for_paths(&push.governed);
    let mut parent = push.base;
    let mut steps = Vec::with_capacity(commits.len());
    for commit in commits.into_iter().rev() {
        // What is content is looked at where a rule asks for it; that there is any, everywhere.
        let wanted = |name: &[u8]| all || is_governed(name);
        let found = push.compare(parent, commit, wanted)?;
        let step = step(push, parent, commit, found)?;
        check_time(&step.after)?;
        steps.push(step);
        parent = Some(commit);
    }
    Ok(steps)
}

/// Refuses a commit whose time no record could hold: a review that it brings in would be worth nothing.
fn check_time(commit: &Snapshot<'_>) -> Result<(), Refusal> {
    const LATEST: i64 = (1 << 53) - 1;
    let time = commit.committer_time();
    if (0..=LATEST).contains(&time) {
        return Ok(());
    }
    let what = format!(
        "commit {} has the committer time {time}, outside 0 to {LATEST}",
        commit.commit()
    );
    Err(Refusal::new(Code::InvalidInput, what)
        .next("commit again with a time that a clock shows, and push that"))
}

/// What a commit changes where governance lies, against its first parent.
pub(super) fn between<'s>(
    push: &Push<'s>,
    parent: Option<CommitId>,
    commit: CommitId,
) -> Result<Step<'s>, Refusal> {
    let repository = &push.session.repository;
    let found = repository.differences(parent, commit, &mut Bounds::default(), is_governed)?;
    step(push, parent, commit, found)
}

/// Whether a name of the root is one that governance lies at or below.
fn is_governed(name: &[u8]) -> bool {
    matches!(name, b"governance" | b".hap")
}

/// Sorts what a commit changes into classes.
fn step<'s>(
    push: &Push<'s>,
    parent: Option<CommitId>,
    commit: CommitId,
    found: Differences,
) -> Result<Step<'s>, Refusal> {
    let repository = &push.session.repository;
    let mut changes: BTreeMap<Class, Vec<Path>> = BTreeMap::new();
    if found.more {
        changes.insert(Class::ContentChange, Vec::new());
    }
    for found in found.paths {
        let change = match (&found.before, &found.after) {
            (None, _) => Change::Added,
            (Some(_), Some(_)) => Change::Altered,
            (Some(_), None) => Change::Deleted,
        };
        let class = class_of(&found.path, change);
        if class != Class::ContentChange {
            utf8(&found.path)?;
        }
        changes.entry(class).or_default().push(Path {
            name: found.path,
            before: found.before,
            after: found.after,
        });
    }
    Ok(Step {
        commit,
        after: repository.snapshot(commit)?,
        before: parent
            .map(|parent| repository.snapshot(parent))
            .transpose()?,
        changes,
    })
}

/// What is at a path, unless it is a folder.
pub(super) fn entry(snapshot: &Snapshot<'_>, path: &[u8]) -> Result<Option<Entry>, Refusal> {
    let text = utf8(path)?;
    match snapshot.entry(text) {
        Ok(found) => Ok(found.filter(|entry| entry.kind != crate::git::EntryKind::Folder)),
        // Something else stands on the way, so nothing is at the path itself.
        Err(Error::NotRegular { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// A governed path, which must be UTF-8.
pub(super) fn utf8(path: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(path).map_err(|_| {
        let shown = String::from_utf8_lossy(path);
        Refusal::new(
            Code::InvalidInput,
            format!("the governed path `{shown}` is not UTF-8"),
        )
    })
}

/// Sums what is found of each class: of content in the push's commits, of all else in those that are judged, which may
/// begin before the push.
pub(super) fn sum(
    push: &Push<'_>,
    update: &Update,
    steps: &[Step<'_>],
    judge: &coverage::Judge<'_, '_>,
) -> Vec<Judged> {
    let mut sums: BTreeMap<Class, Sum> = BTreeMap::new();
    let is_content = |class: &Class| *class == Class::ContentChange;
    let content = steps.iter().map(|step| (step, true));
    for (step, content) in content.chain(judge.steps.iter().map(|step| (step, false))) {
        for (class, paths) in &step.changes {
            if is_content(class) != content {
                continue;
            }
            let sum = sums.entry(*class).or_default();
            sum.paths.extend(paths.iter().map(|path| path.name.clone()));
            let refused = |sum: &Sum| {
                let finding = sum.finding.as_ref();
                finding.is_some_and(|finding| finding.refusal.is_some())
            };
            if !content && !refused(sum) {
                let finding = closed(one(judge, step, *class, paths));
                sum.finding = Some(in_commit(finding, step.commit));
            }
        }
    }
    if sums.is_empty() {
        // The ref stays where it is, or moves along commits that change nothing.
        sums.insert(Class::ContentChange, Sum::default());
    }
    sums.into_iter()
        .map(|(class, sum)| {
            if class == Class::ContentChange {
                let paths: Rc<[Vec<u8>]> = sum.paths.into_iter().collect();
                return content::demanded(push, update, |_| Ok(Touch::Paths(Rc::clone(&paths))));
            }
            Judged {
                intent: push.intent(
                    class,
                    update,
                    Some(Paths::of(sum.paths.iter().map(Vec::as_slice))),
                ),
                finding: sum.finding.unwrap_or_else(Finding::allowed),
                permits: Vec::new(),
            }
        })
        .collect()
}

/// Names the commit that a "no" is about.
fn in_commit(finding: Finding, commit: CommitId) -> Finding {
    if finding.refusal.is_some() {
        finding.with("commit", commit.to_string())
    } else {
        finding
    }
}

/// Judges what one commit changes of one class.
fn one(
    judge: &coverage::Judge<'_, '_>,
    step: &Step<'_>,
    class: Class,
    paths: &[Path],
) -> Result<Finding, Refusal> {
    let never = |what: &str| Refusal::new(Code::RecordImmutable, what.to_owned());
    match class {
        Class::GovernanceChange => judge.governance(step, paths),
        Class::ReviewAdd => each(paths, |path| reviews::add(judge, step, path)),
        Class::ReviewChange => each(paths, |path| reviews::change(judge, step, path)),
        Class::ManifestAdd => each(paths, |path| reviews::manifest(judge, step, path)),
        Class::RequestAdd => each(paths, |path| reviews::request(judge, step, path)),
        Class::ReviewDelete => Err(never("a review must not be removed")),
        Class::RequestChange => Err(never("an execution request must not be altered")),
        Class::RequestDelete => Err(never("an execution request must not be removed")),
        Class::ManifestChange => Err(never("a manifest must not be altered")),
        Class::ManifestDelete => Err(never("a manifest must not be removed")),
        Class::ContentChange
        | Class::HapAppend
        | Class::HapRewrite
        | Class::ReplaceChange
        | Class::StreamAppend
        | Class::StreamDelete
        | Class::StreamRewrite => Ok(Finding::allowed()),
    }
}

fn each(
    paths: &[Path],
    mut judge: impl FnMut(&Path) -> Result<(), Refusal>,
) -> Result<Finding, Refusal> {
    for path in paths {
        judge(path).map_err(|refusal| {
            let shown = String::from_utf8_lossy(&path.name).into_owned();
            refusal.detail("path", shown)
        })?;
    }
    Ok(Finding::allowed())
}
