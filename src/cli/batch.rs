//! `permit issue --batch`: many requests, one result a line, durable before a line is printed.
//!
//! Lines that can be had without waiting form a group; the events of a group are made durable together, in one pack and
//! one compare-and-swap. With `--atomic` the whole batch is one group, and any line that is not decided ends it all.

use super::args::{Format, IssueArgs};
use super::decide::{self, Decided, Place, Undecided, check_actor, decide};
use super::in_force::{Course, InForce};
use super::issue::{begin, issued, pending};
use super::outcome::{Durable, Outcome};
use super::progress::Progress;
use super::session::{Governed, Session};
use super::stream::{At, Sink, Stream};
use super::{fault, files, render};
use crate::engine::chain::{SealedEvent, Tip};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::permit::Permit;
use crate::engine::policy::Effect;
use crate::engine::request::{MAX_REQUEST, Request};
use crate::engine::rules::Rules;

/// The command as it stands in the `schema` of its summary.
pub(crate) const COMMAND: &str = "issue.batch";

/// Which class counts as graver than those behind it; of lines of one class the first counts.
const GRAVEST: [Class; 7] = [
    Class::Unverified,
    Class::Failed,
    Class::Moved,
    Class::Invalid,
    Class::Refused,
    Class::Pending,
    Class::Stale,
];

/// The most lines of a group.
const MOST: usize = 1024;

/// The most bytes of the requests of a group.
const MOST_BYTES: usize = 16 << 20;

/// What became of the lines so far, by decision.
#[derive(Default)]
struct Tally {
    /// Permits, denials among them.
    issued: u64,
    allowed: u64,
    warned: u64,
    blocked: u64,
    pending: u64,
    refused: u64,
    /// Lines about which nothing could be decided here and now: classes 1 and 8.
    failed: u64,
    /// Lines that were read, answered or not.
    lines: u64,
    gravest: Option<Refusal>,
}

/// What a line comes to: the decision, the permit and its event.
type Derived = (Decided, Permit, SealedEvent);

/// What became of a line: the result as it is printed once it is durable.
struct Answer {
    result: String,
    /// The decision of the permit, where one was issued.
    issued: Option<Effect>,
    refusal: Option<Refusal>,
}

/// Issues a batch; however it ends, the last line is the summary.
pub(crate) fn run(session: &Session, args: &IssueArgs) -> Outcome {
    let mut tally = Tally::default();
    let ended = issue_all(session, args, &mut tally);
    summary(session, tally, ended.err())
}

/// Issues group after group.
///
/// # Errors
/// What ends the batch: with `--atomic` a line that is not decided, else nothing that concerns one line alone.
fn issue_all(session: &Session, args: &IssueArgs, tally: &mut Tally) -> Result<(), Refusal> {
    let path = args
        .batch
        .as_deref()
        .ok_or_else(|| Refusal::new(Code::Internal, "a batch without a file"))?;
    let governed = session.govern_at(args.at.as_deref())?;
    let in_force = InForce::now(session)?;
    in_force.check(&governed.snapshot, [])?;
    let stream = Stream::new(session, &args.stream)?;
    let batch = Batch {
        session,
        governed: &governed,
        in_force: &in_force,
        stream: &stream,
        args,
    };
    let mut lines = files::Lines::new(files::open(path)?, MAX_REQUEST);
    let progress = Progress::new("issuing", None);
    let mut group: Vec<Vec<u8>> = Vec::new();
    let (mut bytes, mut line) = (0_usize, Vec::new());
    while lines
        .next(&mut line)
        .map_err(|error| fault::io(path, &error))?
    {
        progress.step();
        bytes = bytes.saturating_add(line.len());
        group.push(line.clone());
        let full = group.len() >= MOST || bytes >= MOST_BYTES || !lines.is_ready();
        if full && !args.atomic {
            batch.issue(&group, tally)?;
            group.clear();
            bytes = 0;
        }
    }
    batch.issue(&group, tally)
}

struct Batch<'s> {
    session: &'s Session,
    governed: &'s Governed<'s>,
    in_force: &'s InForce<'s>,
    stream: &'s Stream<'s>,
    args: &'s IssueArgs,
}

impl Batch<'_> {
    /// Makes a group durable, then prints its lines.
    fn issue(&self, group: &[Vec<u8>], tally: &mut Tally) -> Result<(), Refusal> {
        if group.is_empty() {
            return Ok(());
        }
        let appended = self
            .stream
            .append_each(|before, sink| self.derive(group, tally.lines, before, sink))
            .inspect_err(|refusal| tally.note_ended(group.len(), refusal))?;
        let answers = appended.derived;
        let printed = render::print_lines(answers.iter().map(|answer| answer.result.as_str()));
        let issued = answers
            .iter()
            .filter(|answer| answer.issued.is_some())
            .count();
        for answer in answers {
            tally.count(answer);
        }
        match printed {
            // Who stopped reading still wanted the rest to be issued.
            Ok(_) => Ok(()),
            Err(refusal) if issued == 0 => Err(refusal),
            Err(refusal) => {
                let see = format!("permit log --stream {}", self.stream.id);
                let durable = Durable::newest(&appended.at.tip, see);
                Err(render::still(refusal, Some(&durable)))
            }
        }
    }

    /// Decides about every line of a group and derives its events, each on the one before it.
    fn derive(
        &self,
        group: &[Vec<u8>],
        behind: u64,
        before: Option<&At>,
        sink: &mut Sink<'_>,
    ) -> Result<Vec<Answer>, Refusal> {
        let (opening, mut tip) = begin(self.stream, self.governed, before, self.args.open_stream)?;
        let from = before.map(|at| at.commit);
        let snapshot = &self.governed.snapshot;
        Course::default().follow(self.in_force, self.stream, from, snapshot)?;
        let mut opening = opening.into_iter();
        let mut answers = Vec::with_capacity(group.len());
        let mut derived = decide::Derived::default();
        for (number, line) in (behind.saturating_add(1)..).zip(group) {
            let place = Place {
                stream: self.stream,
                from,
                sequence: tip.next_sequence(),
                derived: &derived,
                rules: Rules::New,
            };
            let mut effect = None;
            let outcome = match self.decide(line, &place, &tip) {
                Ok((decided, permit, event)) => {
                    effect = Some(permit.decision);
                    derived.note(&decided);
                    // A stream is opened for a permit, not for requests that get none.
                    for opened in opening.by_ref() {
                        sink.push(&opened)?;
                    }
                    let commit = sink.push(&event)?;
                    tip = event.tip();
                    let at = At {
                        commit,
                        tip: tip.clone(),
                    };
                    issued(&permit, decided.grant.mapping(), &at)
                }
                Err(undecided)
                    if self.args.atomic && undecided.refusal.class() != Class::Refused =>
                {
                    return Err(of_line(number, undecided.refusal));
                }
                Err(undecided) => pending(undecided),
            };
            let actor = self.args.actor.as_deref().unwrap_or("unauthenticated");
            let mut outcome = outcome.field("actor", actor).field("line", number);
            self.session.say_freshness(&mut outcome);
            answers.push(Answer::of(outcome, effect));
        }
        Ok(answers)
    }

    /// Reads a line, decides about its request and derives its event.
    fn decide(&self, line: &[u8], place: &Place<'_>, tip: &Tip) -> Result<Derived, Undecided> {
        let request = Request::parse(line)?;
        check_actor(&request, self.args.actor.as_deref())?;
        let decided = decide(self.session, self.governed, &request, place)?;
        let snapshot = &self.governed.snapshot;
        self.in_force.check(snapshot, decided.read.iter())?;
        let (permit, event) = decided.derive(&request, tip, self.governed)?;
        Ok((decided, permit, event))
    }
}

impl Answer {
    fn of(outcome: Outcome, issued: Option<Effect>) -> Self {
        Self {
            issued,
            refusal: outcome.refusal.clone(),
            result: format!("{}\n", outcome.into_json()),
        }
    }
}

/// Names the line that ended a batch which is appended whole or not at all.
fn of_line(number: u64, refusal: Refusal) -> Refusal {
    Refusal {
        message: format!(
            "nothing of the batch is appended, for line {number}: {}",
            refusal.message
        ),
        ..refusal
    }
    .detail("line", number.to_string())
}

impl Tally {
    /// Counts lines that were read and got nothing, since their batch ended.
    fn note_ended(&mut self, lines: usize, refusal: &Refusal) {
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        let count = self.of(None, Some(refusal));
        *count = count.saturating_add(lines);
        self.lines = self.lines.saturating_add(lines);
    }

    fn count(&mut self, answer: Answer) {
        self.lines = self.lines.saturating_add(1);
        let count = self.of(answer.issued, answer.refusal.as_ref());
        *count = count.saturating_add(1);
        if answer.issued.is_some() {
            self.issued = self.issued.saturating_add(1);
        }
        if let Some(refusal) = answer.refusal {
            self.note(refusal);
        }
    }

    /// Where a line counts: by the permit's decision, or by why there is none.
    fn of(&mut self, issued: Option<Effect>, refusal: Option<&Refusal>) -> &mut u64 {
        match (issued, refusal.map(Refusal::class)) {
            (Some(Effect::Allow | Effect::Review), _) => &mut self.allowed,
            (Some(Effect::Warn), _) => &mut self.warned,
            (Some(Effect::Block), _) => &mut self.blocked,
            (None, Some(Class::Pending)) => &mut self.pending,
            (None, None | Some(Class::Failed | Class::Moved)) => &mut self.failed,
            (
                None,
                Some(
                    Class::Ok
                    | Class::Usage
                    | Class::Refused
                    | Class::Unverified
                    | Class::Stale
                    | Class::Invalid,
                ),
            ) => &mut self.refused,
        }
    }

    /// Keeps the gravest reason; returns the one that gives way to it.
    fn note(&mut self, refusal: Refusal) -> Option<Refusal> {
        let gravity =
            |refusal: &Refusal| GRAVEST.iter().position(|class| *class == refusal.class());
        match &self.gravest {
            Some(known) if gravity(known) <= gravity(&refusal) => Some(refusal),
            Some(_) | None => self.gravest.replace(refusal),
        }
    }
}

/// The summary: the gravest of what ended the batch and of its lines gives the reason.
fn summary(session: &Session, mut tally: Tally, ended: Option<Refusal>) -> Outcome {
    let mut outcome = Outcome::ok(COMMAND);
    // In text format, too, the summary is one JSON object.
    session.say(&mut outcome);
    session.say_freshness(&mut outcome);
    for (name, count) in [
        ("issued", tally.issued),
        ("allowed", tally.allowed),
        ("warned", tally.warned),
        ("blocked", tally.blocked),
        ("pending", tally.pending),
        ("refused", tally.refused),
        ("failed", tally.failed),
    ] {
        outcome.set(name, count);
    }
    if let Some(ended) = ended {
        let told = ended.message.clone();
        tally.note(ended);
        // What ended the batch is said, also where a line before it is graver.
        if tally
            .gravest
            .as_ref()
            .is_some_and(|gravest| gravest.message != told)
        {
            outcome.warnings.push(told);
        }
    }
    if let Some(refusal) = tally.gravest {
        outcome.refuse(refusal);
    }
    if session.format == Format::Text {
        outcome.text = format!("{}\n", outcome.to_json());
    }
    outcome
}
