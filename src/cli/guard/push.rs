//! What Git says of a push, and the state that judges it: the old tip's tables and policy.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use super::args::RangeArgs;
use super::{content, governed, streams};
use crate::cli::fault;
use crate::cli::session::{Governed, MAX_GOVERNED, Session};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::{Class, Enforcement, Finding, Intent, RefPlace, ref_place};
use crate::git::{CommitId, ObjectId};

/// One ref that is pushed; nothing stands for forty zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Update {
    pub(super) name: String,
    pub(super) old: Option<ObjectId>,
    pub(super) new: Option<ObjectId>,
}

/// A push before the state that judges it.
pub(super) struct Push<'s> {
    pub(super) session: &'s Session,
    /// The governed ref's full name.
    pub(super) governed: String,
    /// The governed ref's tip before the push.
    pub(super) base: Option<CommitId>,
    /// The old tip's policy; nothing where there is no old tip.
    pub(super) state: Option<Result<Governed<'s>, Refusal>>,
    pub(super) enforcement: Result<Option<Enforcement>, Refusal>,
    /// Who pushes, as the server states; empty if it does not.
    pub(super) pusher: String,
    updates: BTreeMap<String, Update>,
}

impl Update {
    /// Reads `<old> <new> <ref>` lines; the refs stand under a prefix.
    pub(super) fn parse(input: &[u8], prefix: &str) -> Result<Vec<Self>, Refusal> {
        input
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                let text = String::from_utf8_lossy(line);
                Self::read(&text, prefix)
                    .ok_or_else(|| fault::input(format!("`{text}` is not `<old> <new> <ref>`")))
            })
            .collect()
    }

    fn read(line: &str, prefix: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let mut id = || {
            let text = words.next()?;
            let zeros = text.len() == 40 && text.bytes().all(|byte| byte == b'0');
            if zeros {
                Some(None)
            } else {
                text.parse().ok().map(Some)
            }
        };
        let (old, new) = (id()?, id()?);
        let name = words.next().filter(|name| !name.is_empty())?;
        let name = format!("{prefix}{name}");
        Some(Self { name, old, new })
    }

    /// The ids as intents name them.
    pub(super) fn ids(&self) -> [String; 2] {
        [self.old, self.new].map(|id| id.map_or_else(String::new, |id| id.to_string()))
    }
}

/// The push that would move the governed ref over a range.
pub(super) fn of_range(session: &Session, range: &RangeArgs) -> Result<Vec<Update>, Refusal> {
    let name = governed_name(session)?;
    let base = session.repository.resolve(&range.base)?;
    let head = session.repository.resolve(&range.head)?;
    Ok(vec![Update {
        name,
        old: Some(base.into()),
        new: Some(head.into()),
    }])
}

/// The governed ref, without which nothing can be judged: `--ungoverned` names no state that could judge a push.
pub(super) fn governed_name(session: &Session) -> Result<String, Refusal> {
    session.trust.named()?;
    session.governed_ref().map(str::to_owned).ok_or_else(|| {
        Refusal::new(
            Code::Ungoverned,
            "the guard judges a push by the governed ref, and none is named",
        )
        .next("run `permit trust REF` in this repository")
    })
}

impl<'s> Push<'s> {
    pub(super) fn new(session: &'s Session, updates: Vec<Update>) -> Result<Self, Refusal> {
        let governed = governed_name(session)?;
        let mut by_name = BTreeMap::new();
        for update in updates {
            let name = update.name.clone();
            if by_name.insert(name.clone(), update).is_some() {
                return Err(fault::input(format!("`{name}` is pushed twice")));
            }
        }
        let base = match by_name.get(&governed) {
            Some(update) => update.old.map(|id| CommitId::new(*id.as_bytes())),
            None => session.repository.ref_target(&governed)?,
        };
        Ok(Self {
            state: base.map(|base| session.govern_commit(base)),
            enforcement: base.map_or(Ok(None), |base| enforcement(session, base)),
            base,
            session,
            governed,
            pusher: env::var("PERMIT_PUSHER").unwrap_or_default(),
            updates: by_name,
        })
    }

    /// What has landed, as if the governed ref had gone on from a commit just now.
    pub(super) fn landed(session: &'s Session, base: CommitId) -> Result<Self, Refusal> {
        Ok(Self {
            state: Some(session.govern_commit(base)),
            enforcement: Ok(None),
            base: Some(base),
            session,
            governed: governed_name(session)?,
            pusher: String::new(),
            updates: BTreeMap::new(),
        })
    }

    /// Every ref that is pushed, by name.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Update> {
        self.updates.values()
    }

    /// The commits that the push adds to the governed ref's first-parent chain.
    pub(super) fn new_commits(&self) -> Result<BTreeSet<CommitId>, Refusal> {
        let Some(tip) = self.pushed_tip(&self.governed)? else {
            return Ok(BTreeSet::new());
        };
        let chain = self.session.repository.first_parents(tip);
        let new = chain.take_while(|commit| !matches!(commit, Ok(id) if Some(*id) == self.base));
        Ok(new.collect::<Result<_, _>>()?)
    }

    /// The newest commit of a ref once the push is through.
    pub(super) fn pushed_tip(&self, name: &str) -> Result<Option<CommitId>, Refusal> {
        Ok(match self.updates.get(name) {
            Some(update) => update.new.map(|id| CommitId::new(*id.as_bytes())),
            None => self.session.repository.ref_target(name)?,
        })
    }

    /// One intent for each ref and class with what was found out about it, in the order of ref and class.
    pub(super) fn judge(&self) -> Vec<(Intent, Finding)> {
        let mut found = Vec::new();
        // The governed ref first: what other refs say is looked at as of where the push leaves it.
        if let Some(update) = self.updates.get(&self.governed) {
            let of_governed = self.judge_one(update);
            let sound = of_governed
                .iter()
                .all(|(_, finding)| finding.refusal.is_none());
            if let (true, Some(new)) = (sound, update.new) {
                self.session.push_governed(CommitId::new(*new.as_bytes()));
            }
            found.extend(of_governed);
        }
        for update in self.updates().filter(|one| one.name != self.governed) {
            found.extend(self.judge_one(update));
        }
        found.sort_by(|(left, _), (right, _)| {
            (&left.subject, left.class).cmp(&(&right.subject, right.class))
        });
        found
    }

    fn judge_one(&self, update: &Update) -> Vec<(Intent, Finding)> {
        let place = ref_place(&update.name, &self.governed);
        let one = |class, finding| vec![(self.intent(class, update, Vec::new()), finding)];
        match self.alias(update) {
            Ok(None) => {}
            Ok(Some((class, refusal))) => return one(class, refusal.into()),
            Err(refusal) => return one(class_of_place(place), refusal.into()),
        }
        match place {
            RefPlace::Governed => governed::judge(self, update),
            RefPlace::Stream(id) => {
                let (class, finding) = streams::judge(self, update, id);
                one(class, finding)
            }
            RefPlace::Orphan(id, hash) => {
                let (class, finding) = streams::judge_orphan(self, update, id, hash);
                one(class, finding)
            }
            RefPlace::Reserved => {
                let what = "a ref under `refs/permit/` that is no stream";
                let refusal = Refusal::new(Code::EventNotAllowed, what);
                one(Class::StreamAppend, refusal.into())
            }
            RefPlace::Hap => {
                let (class, finding) = streams::judge_hap(self, update);
                one(class, finding)
            }
            RefPlace::Replace => {
                let what = "replace refs make an object stand for another one";
                let refusal = Refusal::new(Code::ReplaceForbidden, what);
                one(Class::ReplaceChange, refusal.into())
            }
            RefPlace::Content => vec![content::judge(self, update)],
        }
    }

    /// Refuses a push that would move something governed under another name: Git writes through a symbolic ref.
    fn alias(&self, update: &Update) -> Result<Option<(Class, Refusal)>, Refusal> {
        let Some(name) = self.session.repository.stands_for(&update.name)? else {
            return Ok(None);
        };
        let [own, other] = [&update.name, &name].map(|name| ref_place(name, &self.governed));
        if (own, other) == (RefPlace::Content, RefPlace::Content) {
            return Ok(None);
        }
        let class = class_of_place(if other == RefPlace::Content {
            own
        } else {
            other
        });
        let what = format!("`{}` is a symbolic ref to `{name}`", update.name);
        let refusal =
            Refusal::new(Code::EventNotAllowed, what).next(format!("push to `{name}` itself"));
        Ok(Some((class, refusal)))
    }

    /// The intent of a class on a ref.
    pub(super) fn intent(&self, class: Class, update: &Update, paths: Vec<Vec<u8>>) -> Intent {
        let [before, after] = update.ids();
        Intent::of_ref(class, &self.pusher, &update.name, [&before, &after], paths)
    }
}

/// The intent of an update that nothing could judge: with no trust root, it may be about anything.
pub(super) fn unjudged(update: &Update) -> Intent {
    let [before, after] = update.ids();
    let pusher = env::var("PERMIT_PUSHER").unwrap_or_default();
    Intent::of_ref(
        Class::GovernanceChange,
        &pusher,
        &update.name,
        [&before, &after],
        Vec::new(),
    )
}

/// The class of what a push to a place would change.
fn class_of_place(place: RefPlace<'_>) -> Class {
    match place {
        RefPlace::Governed => Class::GovernanceChange,
        RefPlace::Stream(_) | RefPlace::Orphan(..) | RefPlace::Reserved => Class::StreamAppend,
        RefPlace::Hap => Class::HapAppend,
        RefPlace::Replace => Class::ReplaceChange,
        RefPlace::Content => Class::ContentChange,
    }
}

/// Reads what is attached beyond the classes that always are.
pub(super) fn enforcement(
    session: &Session,
    commit: CommitId,
) -> Result<Option<Enforcement>, Refusal> {
    let found = session
        .repository
        .snapshot(commit)?
        .file(Enforcement::PATH, MAX_GOVERNED)
        .map_err(fault::governed(Code::InvalidInput))?;
    found
        .map(|blob| Enforcement::parse(&blob.bytes))
        .transpose()
}
