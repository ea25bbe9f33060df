//! What Git says of a push, and the state that judges it: what landed before, and no line of the push.
//!
//! An old value on the wire is a claim. Every ref's real value is read first, and a push with a line that says otherwise
//! is denied as a whole: what Git refuses of it could have vouched for what it lets through. For the same reason
//! nothing in a push counts for another ref of the same push.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::env;

use serde::{Deserialize, Serialize};

use super::gap::{self, OpenGap};
use super::pusher::Pusher;
use super::{content, governed, streams};
use crate::cli::fault;
use crate::cli::session::{Governed, MAX_GOVERNED, Session};
use crate::cli::spending;
use crate::cli::stream::Stream;
use crate::cli::stream::push_limit;
use crate::engine::chain::Event;
use crate::engine::code::{Code, Refusal};
use crate::engine::digest::Digest;
use crate::engine::enforce::{Class, Enforcement, Finding, Intent, Paths, RefPlace, ref_place};
use crate::engine::permit::Permit;
use crate::git::{self, Bounds, CommitId, Differences, ObjectId};

/// The longest name of a ref, in bytes: no file system takes more.
const MAX_NAME: usize = 4096;

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
    /// The governed ref's full name where the push lands, which is not always that of the ref whose tip is the base.
    pub(super) governed: String,
    /// The governed ref's tip before the push.
    pub(super) base: Option<CommitId>,
    /// The old tip's policy; nothing where there is no old tip.
    pub(super) state: Option<Result<Governed<'s>, Refusal>>,
    pub(super) enforcement: Result<Option<Enforcement>, Refusal>,
    pub(super) pusher: Pusher,
    updates: BTreeMap<String, Update>,
    /// What the push stands on of the governed ref, where nobody judged it.
    pub(super) gap: Result<Option<OpenGap>, Refusal>,
    /// A line of the push whose old value is not the ref's.
    moved: Option<Refusal>,
    new_commits: OnceCell<Result<BTreeSet<CommitId>, Refusal>>,
    /// How many events, and bytes of them, the push may still append.
    room: Cell<(u64, u64)>,
    /// How much the push may still have compared.
    bounds: RefCell<Bounds>,
    /// The attestations that its permits rest on, by canonical payload, each with the stream.
    spent: RefCell<BTreeMap<Digest, String>>,
}

/// A permit that lets one update of one ref through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Honoured {
    pub(super) permit: String,
    /// Where it was issued, and when.
    pub(super) stream: String,
    pub(super) sequence: u64,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// One intent of a push with what was found out about it.
pub(super) struct Judged {
    pub(super) intent: Intent,
    pub(super) finding: Finding,
    /// The permits that let it through.
    pub(super) permits: Vec<Permit>,
}

impl Judged {
    /// The permits that let the update through; what is denied rests on none.
    pub(super) fn honoured(&self) -> impl Iterator<Item = Honoured> {
        let permits = match self.finding.refusal {
            None => self.permits.as_slice(),
            Some(_) => &[],
        };
        permits.iter().map(|permit| Honoured {
            permit: permit.permit_id.to_string(),
            stream: permit.stream_id.clone(),
            sequence: permit.issued_at_sequence,
            reference: self.intent.subject.clone(),
            before: self.intent.before.clone(),
            after: self.intent.after.clone(),
        })
    }
}

impl Update {
    /// Reads `<old> <new> <ref>` lines; the refs stand under a prefix.
    pub(super) fn parse(input: &[u8], prefix: &str) -> Result<Vec<Self>, Refusal> {
        let lines = input.strip_suffix(b"\n").ok_or_else(|| {
            fault::input("standard input is empty, or its last line has no line feed")
        })?;
        let mut names = BTreeSet::new();
        let mut updates = Vec::new();
        for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
            let number = index.saturating_add(1);
            let malformed = |what: &str| {
                fault::input(format!("line {number} of standard input {what}"))
                    .next("call `permit guard receive` with the standard input that Git gives the hook, unchanged")
            };
            let text = std::str::from_utf8(line).map_err(|_| malformed("is not UTF-8"))?;
            let update =
                Self::read(text, prefix).ok_or_else(|| malformed("is not `<old> <new> <ref>`"))?;
            if !names.insert(update.name.clone()) {
                return Err(malformed("names a ref a second time"));
            }
            updates.push(update);
        }
        Ok(updates)
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
        let name = words.next().filter(|name| name.starts_with("refs/"))?;
        let name = format!("{prefix}{name}");
        (name.len() <= MAX_NAME && (old, new) != (None, None)).then_some(Self { name, old, new })
    }

    /// The ids as intents name them.
    pub(super) fn ids(&self) -> [String; 2] {
        [self.old, self.new].map(|id| id.map_or_else(String::new, |id| id.to_string()))
    }
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

/// The name that the governed ref has where a push lands: `refs/remotes/<remote>/B` stands for `refs/heads/B`.
pub(super) fn landing_name(session: &Session) -> Result<String, Refusal> {
    let name = governed_name(session)?;
    let Some(tracking) = name.strip_prefix("refs/remotes/") else {
        return Ok(name);
    };
    let of_remote = |remote: &str| tracking.strip_prefix(remote)?.strip_prefix('/');
    let remotes = session.repository.remotes()?;
    // A remote's name may hold slashes; where none is known it holds none.
    let known = remotes.iter().filter_map(|remote| of_remote(remote));
    let branch = known.min_by_key(|branch| branch.len());
    let branch = branch.or_else(|| Some(tracking.split_once('/')?.1));
    Ok(branch.map_or_else(|| name.clone(), |branch| format!("refs/heads/{branch}")))
}

impl<'s> Push<'s> {
    /// What Git is about to receive.
    pub(super) fn received(session: &'s Session, updates: Vec<Update>) -> Result<Self, Refusal> {
        let governed = governed_name(session)?;
        let base = session.repository.ref_target(&governed)?;
        let lie = moved(session, &updates)?;
        let mut push = Self::new(session, governed, base, updates, lie)?;
        if push.touches(&push.governed) && !push.lies() {
            push.gap = gap::open(session, &push.enforcement, &push.governed, base);
        }
        Ok(push)
    }

    /// The push that would move the governed ref, by its name where it lands, over a range.
    pub(super) fn of_range(
        session: &'s Session,
        governed: String,
        base: CommitId,
        head: CommitId,
    ) -> Result<Self, Refusal> {
        let update = Update {
            name: governed.clone(),
            old: Some(base.into()),
            new: Some(head.into()),
        };
        Self::new(session, governed, Some(base), vec![update], None)
    }

    fn new(
        session: &'s Session,
        governed: String,
        base: Option<CommitId>,
        updates: Vec<Update>,
        moved: Option<Refusal>,
    ) -> Result<Self, Refusal> {
        let enforcement = base.map_or(Ok(None), |base| enforcement(session, base));
        let by_name = updates
            .into_iter()
            .map(|update| (update.name.clone(), update));
        Ok(Self {
            state: base.map(|base| session.govern_commit(base)),
            enforcement,
            gap: Ok(None),
            base,
            session,
            governed,
            pusher: Pusher::of_environment(),
            updates: by_name.collect(),
            moved,
            new_commits: OnceCell::new(),
            bounds: RefCell::default(),
            spent: RefCell::default(),
            room: Cell::new((push_limit::events(&session.repository)?, push_limit::BYTES)),
        })
    }

    /// What has landed, as if the governed ref had gone on from a commit just now.
    pub(super) fn landed(session: &'s Session, base: CommitId) -> Result<Self, Refusal> {
        Ok(Self {
            state: Some(session.govern_commit(base)),
            enforcement: Ok(None),
            base: Some(base),
            session,
            governed: landing_name(session)?,
            pusher: Pusher::default(),
            updates: BTreeMap::new(),
            gap: Ok(None),
            moved: None,
            new_commits: OnceCell::new(),
            bounds: RefCell::default(),
            spent: RefCell::default(),
            room: Cell::new((0, 0)),
        })
    }

    /// Notes what a permit of this push rests on; two streams of one push do not both spend an attestation.
    ///
    /// # Errors
    /// `REVIEW_CONSUMED` where another stream of this push does.
    pub(super) fn spend(&self, stream: &Stream<'_>, event: &Event<'_>) -> Result<(), Refusal> {
        let mut spent = self.spent.borrow_mut();
        for payload in spending::rests_on(self.session, event)? {
            let by = spent.entry(payload).or_insert_with(|| stream.id.clone());
            if *by != stream.id {
                let what = format!(
                    "event {} rests on an attestation that the stream `{by}` of the same push spends",
                    event.sequence
                );
                return Err(Refusal::new(Code::ReviewConsumed, what)
                    .next("push the stream that the permit is to stand on alone"));
            }
        }
        Ok(())
    }

    /// Every ref that is pushed, by name.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Update> {
        self.updates.values()
    }

    /// What the push says of a ref.
    pub(super) fn update(&self, name: &str) -> Option<&Update> {
        self.updates.get(name)
    }

    /// Counts an event that the push appends.
    ///
    /// # Errors
    /// `PUSH_TOO_LARGE` where there is one too many.
    pub(super) fn count_event(&self, length: usize) -> Result<(), Refusal> {
        let (events, bytes) = self.room.get();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let left = events.checked_sub(1).zip(bytes.checked_sub(length));
        let left = left.ok_or_else(|| {
            let what = format!(
                "the push appends more events than `{}` allows, or more than {} bytes of them",
                push_limit::KEY,
                push_limit::BYTES
            );
            Refusal::new(Code::PushTooLarge, what)
        })?;
        self.room.set(left);
        Ok(())
    }

    /// Whether a rule asks which paths a ref changes.
    pub(super) fn asks_for_paths(&self, name: &str) -> bool {
        let attached = self.enforcement.as_ref().ok().and_then(Option::as_ref);
        attached.is_some_and(|attached| attached.about(name).next().is_some())
    }

    /// Compares two commits within what is left of the push's bounds.
    ///
    /// # Errors
    /// `PUSH_TOO_LARGE` beyond them.
    pub(super) fn compare(
        &self,
        from: Option<CommitId>,
        to: CommitId,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Differences, Refusal> {
        let repository = &self.session.repository;
        let found = repository.differences(from, to, &mut self.bounds.borrow_mut(), wanted);
        found.map_err(|error| {
            if let git::Error::TooMuch { .. } = error {
                let what = format!("what the push changes is too much to compare: {error}");
                Refusal::new(Code::PushTooLarge, what).next("push fewer changes at a time")
            } else {
                error.into()
            }
        })
    }

    /// Whether a line of the push says of its ref what is not so.
    pub(super) fn lies(&self) -> bool {
        self.moved.is_some()
    }

    /// Whether the push also moves a ref.
    pub(super) fn touches(&self, name: &str) -> bool {
        self.updates.contains_key(name)
    }

    /// Whether the push would bring a commit onto the governed ref's first-parent chain. Until it landed, that counts for
    /// nothing; it only tells what to push first.
    pub(super) fn brings(&self, commit: CommitId) -> bool {
        let new = self.new_commits.get_or_init(|| {
            let update = self.updates.get(&self.governed);
            let Some(new) = update.and_then(|update| update.new) else {
                return Ok(BTreeSet::new());
            };
            let chain = self
                .session
                .repository
                .first_parents(CommitId::new(*new.as_bytes()));
            let new = chain.take_while(|id| !matches!(id, Ok(id) if Some(*id) == self.base));
            Ok(new.collect::<Result<_, _>>()?)
        });
        new.as_ref().is_ok_and(|new| new.contains(&commit))
    }

    /// One intent for each ref and class with what was found out about it, in the order of ref and class.
    ///
    /// It reads what landed and the objects of the push, and writes nothing: the refs that it read are the repository's
    /// held refs, and what is claimed of the permits that it honours is claimed when all is judged.
    pub(super) fn judge(&self) -> Vec<Judged> {
        let mut found: Vec<Judged> = match &self.moved {
            Some(refusal) => self
                .updates()
                .map(|update| {
                    let class = class_of_place(ref_place(&update.name, &self.governed));
                    self.found(class, update, refusal.clone().into())
                })
                .collect(),
            None => self
                .updates()
                .flat_map(|update| self.judge_one(update))
                .collect(),
        };
        found.sort_by(|left, right| {
            let key = |judged: &Judged| (judged.intent.subject.clone(), judged.intent.class);
            key(left).cmp(&key(right))
        });
        found
    }

    fn judge_one(&self, update: &Update) -> Vec<Judged> {
        let place = ref_place(&update.name, &self.governed);
        let one = |class, finding| vec![self.found(class, update, finding)];
        match self.alias(update) {
            Ok(None) => {}
            Ok(Some((class, refusal))) => return one(class, refusal.into()),
            Err(refusal) => return one(class_of_place(place), refusal.into()),
        }
        if let Err(refusal) = self.check_present(update) {
            return one(class_of_place(place), refusal.into());
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
            RefPlace::Hap | RefPlace::Content if self.base.is_none() => {
                one(class_of_place(place), self.nothing_governed().into())
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

    /// Refuses an update to what the push did not bring and the repository does not hold.
    fn check_present(&self, update: &Update) -> Result<(), Refusal> {
        let Some(new) = update.new else {
            return Ok(());
        };
        if self.session.repository.holds(new)? {
            return Ok(());
        }
        let what = format!(
            "`{}` would name {new}, which is not in the repository",
            update.name
        );
        Err(Refusal::new(Code::ObjectMissing, what).detail("object", new.to_string()))
    }

    /// Says that nothing can be judged before the governed ref is there.
    pub(super) fn nothing_governed(&self) -> Refusal {
        let what = format!("the governed ref `{}` does not exist", self.governed);
        Refusal::new(Code::CommitNotGoverned, what).next(format!(
            "push {} first: the commit that `permit guard adopt COMMIT` named on the server",
            self.governed
        ))
    }

    /// What was found about a class on a ref, where no paths are named and no permit was asked for.
    pub(super) fn found(&self, class: Class, update: &Update, finding: Finding) -> Judged {
        Judged {
            intent: self.intent(class, update, None),
            finding,
            permits: Vec::new(),
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
    pub(super) fn intent(&self, class: Class, update: &Update, paths: Option<Paths>) -> Intent {
        let [before, after] = update.ids();
        Intent::of_ref(
            class,
            self.pusher.stated(),
            &update.name,
            [&before, &after],
            paths,
        )
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
        None,
    )
}

/// Finds a line whose old value is not the ref's.
fn moved(session: &Session, updates: &[Update]) -> Result<Option<Refusal>, Refusal> {
    let repository = &session.repository;
    let mut found = None;
    for update in updates {
        // Git tells the hook where a symbolic ref leads to.
        let name = repository.stands_for(&update.name)?;
        let real = repository.ref_target(name.as_deref().unwrap_or(&update.name))?;
        if found.is_none() && real.map(ObjectId::from) != update.old {
            let [old, _] = update.ids();
            let what = format!("the push says of `{}` what is not so", update.name);
            let real = real.map(|id| id.to_string()).unwrap_or_default();
            let refusal = Refusal::new(Code::Moved, what);
            found = Some(refusal.detail("claimed", old).detail("real", real));
        }
    }
    Ok(found)
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
