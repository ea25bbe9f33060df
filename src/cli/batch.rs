//! `permit issue --batch`: many requests, one result a line, durable before a line is printed.
//!
//! Lines that can be had without waiting form a group; the events of a group are made durable together, in one pack and
//! one compare-and-swap. With `--atomic` the whole batch is one group, and any line that is not decided ends it all.

use std::collections::BTreeMap;

use super::args::{Format, IssueArgs};
use super::decide::{Place, Undecided, check_actor, decide};
use super::issue::{COMMAND, begin, issued, pending};
use super::outcome::Outcome;
use super::progress::Progress;
use super::session::{Governed, Session};
use super::stream::{At, Stream};
use super::{fault, files, render};
use crate::engine::chain::{SealedEvent, Tip};
use crate::engine::code::{Class, Code, Refusal};
use crate::engine::evaluate::Mapping;
use crate::engine::permit::Permit;
use crate::engine::request::{MAX_REQUEST, Request};

/// The most lines of a group.
const MOST: usize = 1024;

/// The most bytes of the requests of a group.
const MOST_BYTES: usize = 16 << 20;

/// What became of the lines so far.
#[derive(Default)]
struct Tally {
    issued: u64,
    refused: u64,
    first: Option<Refusal>,
}

/// A request, or why the line is none.
type Line = Result<Request, Refusal>;

/// What was decided about a line.
type Answer = Result<Derived, Undecided>;

/// A line that was decided and derived, but is not durable yet.
struct Derived {
    permit: Permit,
    mapping: Mapping,
    tip: Tip,
}

pub(crate) fn run(session: &Session, args: &IssueArgs) -> Result<Outcome, Refusal> {
    let path = args
        .batch
        .as_deref()
        .ok_or_else(|| Refusal::new(Code::Internal, "a batch without a file"))?;
    let governed = session.govern(&args.at)?;
    let stream = Stream::new(session, &args.stream)?;
    let batch = Batch {
        session,
        governed: &governed,
        stream: &stream,
        args,
    };
    let mut lines = files::Lines::new(files::open(path)?, MAX_REQUEST);
    let progress = Progress::new("issuing", None);
    let mut tally = Tally::default();
    let mut group = Vec::new();
    let (mut bytes, mut line) = (0_usize, Vec::new());
    while lines
        .next(&mut line)
        .map_err(|error| fault::io(path, &error))?
    {
        progress.step();
        bytes = bytes.saturating_add(line.len());
        group.push(batch.read(&line));
        let full = group.len() >= MOST || bytes >= MOST_BYTES || !lines.is_ready();
        if full && !args.atomic {
            batch.issue(&group, &mut tally)?;
            group.clear();
            bytes = 0;
        }
    }
    batch.issue(&group, &mut tally)?;
    Ok(summary(session, &tally))
}

struct Batch<'s> {
    session: &'s Session,
    governed: &'s Governed<'s>,
    stream: &'s Stream<'s>,
    args: &'s IssueArgs,
}

impl Batch<'_> {
    fn read(&self, line: &[u8]) -> Line {
        let request = Request::parse(line)?;
        check_actor(&request, self.args.actor.as_deref())?;
        Ok(request)
    }

    /// Makes a group durable, then prints its lines.
    fn issue(&self, group: &[Line], tally: &mut Tally) -> Result<(), Refusal> {
        if group.is_empty() {
            return Ok(());
        }
        let appended = self.stream.append(|before| self.derive(group, before))?;
        // The event that opened the stream, if there is one, is no line's.
        let opened = appended
            .commits
            .len()
            .saturating_sub(appended.derived.iter().filter(|line| line.is_ok()).count());
        let mut commits = appended.commits.iter().skip(opened);
        for (line, request) in appended.derived.into_iter().zip(group) {
            let outcome = match (line, request) {
                (Ok(derived), Ok(request)) => {
                    let commit = commits.next().copied().unwrap_or(appended.at.commit);
                    let at = At {
                        commit,
                        tip: derived.tip,
                    };
                    issued(&derived.permit, &derived.mapping, &at, request)
                }
                (Err(undecided), _) => pending(undecided),
                (Ok(_), Err(refusal)) => Outcome::refused(COMMAND, refusal.clone()),
            };
            tally.count(&outcome);
            render::print_line(&outcome.to_json().to_string());
        }
        render::flush();
        Ok(())
    }

    /// Decides about every line of a group and derives its events, each on the one before it.
    fn derive(
        &self,
        group: &[Line],
        before: Option<&At>,
    ) -> Result<(Vec<SealedEvent>, Vec<Answer>), Refusal> {
        let (mut events, mut tip) =
            begin(self.stream, self.governed, before, self.args.open_stream)?;
        let opened = events.len();
        let mut lines = Vec::with_capacity(group.len());
        let mut derived = BTreeMap::new();
        for request in group {
            let line = request
                .as_ref()
                .map_err(|refusal| Undecided::from(refusal.clone()))
                .and_then(|request| {
                    let place = Place {
                        stream: self.stream,
                        from: before.map(|at| at.commit),
                        sequence: tip.next_sequence(),
                        derived: &derived,
                    };
                    let decided = decide(self.session, self.governed, request, &place)?;
                    let (permit, event) = decided.derive(request, &tip, self.governed)?;
                    if let Some((review_id, _)) = decided.grant.review_ref() {
                        let count: &mut u64 = derived.entry(review_id).or_default();
                        *count = count.saturating_add(1);
                    }
                    tip = event.tip();
                    events.push(event);
                    Ok(Derived {
                        permit,
                        mapping: decided.grant.mapping().clone(),
                        tip: tip.clone(),
                    })
                });
            if let (true, Err(undecided)) = (self.args.atomic, &line)
                && undecided.refusal.class() != Class::Refused
            {
                return Err(undecided.refusal.clone());
            }
            lines.push(line);
        }
        if events.len() == opened {
            events.clear();
        }
        Ok((events, lines))
    }
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        if outcome.fields.contains_key("permit") {
            self.issued = self.issued.saturating_add(1);
        } else {
            self.refused = self.refused.saturating_add(1);
        }
        if let (None, Some(refusal)) = (&self.first, &outcome.refusal) {
            self.first = Some(refusal.clone());
        }
    }
}

fn summary(session: &Session, tally: &Tally) -> Outcome {
    let mut outcome = Outcome::ok("issue.batch")
        .field("issued", tally.issued)
        .field("refused", tally.refused)
        .field("governed_ref", session.governed_ref());
    if let Some(refusal) = &tally.first {
        outcome.refuse(refusal.clone());
    }
    if session.format == Format::Text {
        outcome.text = format!("{}\n", outcome.to_json());
    }
    outcome
}
