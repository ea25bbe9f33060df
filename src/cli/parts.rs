//! Long walks on every core: parts of a stream are verified at once, and joined where one walk arrives at the next.
//!
//! The walk from the tip is the one that counts. What the repository remembers of a stream (`git::STRIDE`) only says
//! where further walks may begin ahead of it; when it arrives at the commit that one of them began with, it takes over
//! what that one found, and where it does not, it goes on by itself. So every event is read, whatever was remembered,
//! and the verdict is that of one walk alone.
//!
//! Parts are worked off in rounds. Git's packs are mapped into memory and let go of with the last handle of the
//! repository, so each round opens it anew: memory stays the same however long a stream is.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::progress::Progress;
use super::session::{Opener, Session};
use super::stream::Stream;
use crate::engine::chain::{Event, Expectation, Order, Verifier};
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, EventBytes, STRIDE, is_named};

/// The most parts of a round.
const PARTS: usize = 128;

/// The bytes of events after which a round ends.
const ROUND: u64 = 64 << 20;

/// How many events pass between two looks at what a round has spent.
const LOOK: u64 = 64;

/// What a visitor finds in a part of a stream, beside what is verified.
pub(crate) trait Find: Default + Send {
    /// Takes over what was found in the part before, which is older.
    fn join(&mut self, earlier: Self);
}

impl Find for () {
    fn join(&mut self, (): Self) {}
}

/// A stream that is being verified from its tip back.
pub(crate) struct Chain<F> {
    pub(crate) stream_id: String,
    pub(crate) verifier: Verifier,
    pub(crate) found: F,
    /// Where the walk goes on.
    next: Option<CommitId>,
    /// Whether it came to the stream's first event.
    whole: bool,
    /// The commit at which it stopped because that is no event.
    pub(crate) stopped: Option<CommitId>,
    failed: Option<Refusal>,
    /// The events at multiples of [`STRIDE`], as they were met.
    met: Vec<CommitId>,
    /// The same as they are remembered, from the first on; walks have begun at all but so many of them.
    remembered: Vec<CommitId>,
    waiting: usize,
    /// What was found ahead of the walk, by the commit where it begins.
    ahead: BTreeMap<CommitId, Found<F>>,
}

/// What came of a part.
type Found<F> = Result<(Walked, F), Refusal>;

/// How far a walk came.
pub(crate) struct Walked {
    verifier: Verifier,
    next: Option<CommitId>,
    whole: bool,
    stopped: Option<CommitId>,
    met: Vec<CommitId>,
}

/// A walk that is to be made.
pub(crate) struct Walk<'c> {
    pub(crate) stream_id: &'c str,
    chain: usize,
    from: CommitId,
    /// The place in `remembered`; beyond it for the walk that counts.
    place: usize,
    verifier: Verifier,
    /// After how many events it ends.
    most: u64,
    /// Where others begin: it ends where it arrives at one of them.
    remembered: &'c [CommitId],
}

/// What the walks of a round share.
pub(crate) struct Round<'p> {
    spent: AtomicU64,
    progress: &'p Progress,
}

impl<F: Find> Chain<F> {
    /// Begins at a stream's tip.
    pub(crate) fn new(
        session: &Session,
        stream_id: &str,
        tip: CommitId,
        expectation: Option<Expectation>,
    ) -> Self {
        let remembered = session.repository.remembered_commits(stream_id);
        Self {
            stream_id: stream_id.to_owned(),
            verifier: Verifier::new(Order::Backward, Some(stream_id), expectation),
            found: F::default(),
            next: Some(tip),
            whole: false,
            stopped: None,
            failed: None,
            met: Vec::new(),
            waiting: remembered.len(),
            remembered,
            ahead: BTreeMap::new(),
        }
    }

    /// Adds the walks of the next round: where this one goes on, and where others may begin ahead of it.
    fn plan<'c>(&'c self, chain: usize, walks: &mut Vec<Walk<'c>>) {
        let Some(next) = self.next else { return };
        let walk = |from, place, most| Walk {
            stream_id: &self.stream_id,
            chain,
            from,
            place,
            verifier: self.verifier.part(),
            most,
            remembered: &self.remembered,
        };
        walks.push(walk(next, usize::MAX, u64::MAX));
        for (place, from) in self.remembered.iter().enumerate().take(self.waiting).rev() {
            if walks.len() >= PARTS {
                return;
            }
            let passed = self.verifier.events() > 0 && at(place) > self.verifier.next_sequence();
            if !passed && *from != next {
                // The last part has the stream's first event too.
                let most = STRIDE.saturating_add(u64::from(place == 0));
                walks.push(walk(*from, place, most));
            }
        }
    }

    /// Takes over what was found where this walk has arrived.
    fn join(&mut self) {
        while let Some(found) = self.next.and_then(|next| self.ahead.remove(&next)) {
            self.next = None;
            match found {
                Ok((walked, found)) => {
                    self.verifier.join(walked.verifier);
                    self.found.join(found);
                    self.met.extend(walked.met);
                    self.whole = walked.whole;
                    self.stopped = walked.stopped;
                    self.next = walked.next;
                }
                Err(refusal) => self.failed = Some(refusal),
            }
        }
    }

    /// Remembers where the walk has been, for the next one.
    fn remember(&mut self, session: &Session) {
        self.met.reverse();
        if self.whole && self.verifier.is_sound() && self.met != self.remembered {
            let repository = &session.repository;
            repository.remember_commits(&self.stream_id, &self.met);
        }
    }
}

impl Walk<'_> {
    /// Makes the walk; the visitor sees each event after the verifier.
    ///
    /// # Errors
    /// As [`Stream::walk`].
    pub(crate) fn run(
        self,
        stream: &Stream<'_>,
        round: &Round<'_>,
        mut visit: impl FnMut(&Event<'_>, &EventBytes<'_>) -> Result<ControlFlow<()>, Refusal>,
    ) -> Result<Walked, Refusal> {
        let mut walked = Walked {
            verifier: self.verifier,
            next: None,
            whole: false,
            stopped: None,
            met: Vec::new(),
        };
        let (mut left, mut bytes) = (self.most, 0_usize);
        let stopped = stream.walk_on(self.from, &mut walked.verifier, |event, found| {
            if is_named(event.sequence) {
                walked.met.push(found.id());
            }
            if visit(event, found)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let Some(before) = found.parent() else {
                walked.whole = true;
                return Ok(ControlFlow::Break(()));
            };
            left = left.saturating_sub(1);
            bytes = bytes.saturating_add(found.bytes().len());
            let mut is_over = false;
            if left.is_multiple_of(LOOK) {
                is_over = round.spend(bytes);
                bytes = 0;
            }
            if left == 0 || is_over || arrives_at(self.remembered, event.sequence, before) {
                walked.next = Some(before);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        walked.stopped = stopped;
        Ok(walked)
    }
}

impl Round<'_> {
    /// Counts events that were read; tells whether the round is over.
    fn spend(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.progress.advance(LOOK);
        self.spent.fetch_add(bytes, Ordering::Relaxed) >= ROUND
    }
}

/// Tells whether a walk may have begun at the commit before the event at a sequence.
fn arrives_at(remembered: &[CommitId], sequence: u64, before: CommitId) -> bool {
    let sequence = sequence.saturating_sub(1);
    let place = usize::try_from(sequence / STRIDE).ok();
    let other = place.and_then(|place| remembered.get(place.checked_sub(1)?));
    is_named(sequence) && other == Some(&before)
}

/// The sequence of the event at a place of what is remembered.
fn at(place: usize) -> u64 {
    let place = u64::try_from(place).unwrap_or(u64::MAX);
    place.saturating_add(1).saturating_mul(STRIDE)
}

/// Verifies streams, on every core, and shows each of their events to the visitor of its part.
///
/// `visit` makes one walk, with a repository of its own. What it finds is kept in the order of the parts, from the tip
/// back.
///
/// # Errors
/// Where a walk could not be made; of several, that of the first stream.
pub(crate) fn survey<F: Find>(
    session: &Session,
    chains: &mut [Chain<F>],
    visit: impl Fn(&Session, Walk<'_>, &Round<'_>) -> Found<F> + Sync,
) -> Result<(), Refusal> {
    let progress = Progress::new("verifying", None);
    let opener = session.opener();
    loop {
        let mut walks = Vec::new();
        for (index, chain) in chains.iter().enumerate() {
            if walks.len() < PARTS {
                chain.plan(index, &mut walks);
            }
        }
        if walks.is_empty() {
            break;
        }
        let round = Round {
            spent: AtomicU64::new(0),
            progress: &progress,
        };
        for made in run(&opener, walks, &round, &visit)? {
            if let Some(chain) = chains.get_mut(made.chain) {
                chain.waiting = chain.waiting.min(made.place);
                chain.ahead.insert(made.from, made.found);
            }
        }
        chains.iter_mut().for_each(Chain::join);
    }
    for chain in chains {
        if let Some(refusal) = chain.failed.take() {
            return Err(refusal);
        }
        chain.remember(session);
    }
    Ok(())
}

/// A walk that was made.
struct Made<F> {
    chain: usize,
    place: usize,
    from: CommitId,
    found: Found<F>,
}

/// Makes the walks of a round, each core one after the other.
fn run<F: Find>(
    opener: &Opener,
    walks: Vec<Walk<'_>>,
    round: &Round<'_>,
    visit: &(impl Fn(&Session, Walk<'_>, &Round<'_>) -> Found<F> + Sync),
) -> Result<Vec<Made<F>>, Refusal> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = cores.min(walks.len());
    let walks = Mutex::new(walks.into_iter());
    let next = || {
        let open = round.spent.load(Ordering::Relaxed) < ROUND;
        let mut walks = walks.lock().ok().filter(|_| open)?;
        walks.next()
    };
    let work = |thread| {
        let session = opener.open(thread)?;
        let mut made = Vec::new();
        while let Some(walk) = next() {
            made.push(Made {
                chain: walk.chain,
                place: walk.place,
                from: walk.from,
                found: visit(&session, walk, round),
            });
        }
        Ok(made)
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        let mut all = work(0)?;
        for other in others {
            let lost = |_| Err(Refusal::new(Code::Internal, "a thread broke off"));
            all.extend(other.join().unwrap_or_else(lost)?);
        }
        Ok(all)
    })
}
