//! `permit sync`: streams go to and come from the authority, forward only (enforcement.md, "Several repositories").
//!
//! A stream is brought even by single steps, each one durable move of one ref: forward to what the authority holds, a
//! push of what it lacks, or, where both went on, the local tail is set aside or derived again on the authority's
//! newest event. A crash between two steps leaves a state from which the next run goes on.

mod refs;

use std::collections::BTreeSet;

use refs::{Refs, Sent};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::SyncArgs;
use super::fault;
use super::outcome::Outcome;
use super::remote::{KEY, Pushed, Remote};
use super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::session::Session;
use super::stream::{Published, STREAMS, Standing, Stream, TRIES};
use super::tail::{self, ORPHANS, Orphan, Rederived, Tail};
use crate::engine::code::{Code, Refusal};
use crate::git::CommitId;

const COMMAND: &str = "sync";

/// What became of one stream.
#[derive(Debug, Default, Serialize)]
struct Report {
    stream_id: String,
    /// How many events came from the authority, and how many it took.
    fetched: u64,
    pushed: u64,
    /// Permits that were derived again under new ids.
    rederived: Vec<Rederived>,
    /// The tail that was set aside.
    orphan: Option<Orphan>,
    /// The newest event then.
    sequence: Option<u64>,
    event_hash: Option<String>,
    commit: Option<String>,
    reason: String,
    message: Option<String>,
    #[serde(skip)]
    refusal: Option<Refusal>,
    /// Whether the authority refused some of it, so that nothing goes there that may rest on it.
    #[serde(skip)]
    is_unaccepted: bool,
}

pub(crate) fn run(session: &Session, args: &SyncArgs) -> Result<Outcome, Refusal> {
    session.trust.named()?;
    let remote = remote(session)?;
    let refs = Refs {
        session,
        remote: &remote,
    };
    let named = args
        .refs
        .iter()
        .map(|name| refs.full_name(name))
        .collect::<Result<Vec<_>, _>>()?;
    // What the streams are governed by goes first.
    let mut sent = Vec::new();
    if args.governed {
        sent.push(refs.send_governed()?);
    }
    session.follow_governed()?;
    session.decide()?;
    let reports = streams(session, args, &remote)?;
    let mut warnings = send_orphans(session, &remote, &reports)?;
    if reports.iter().any(|report| report.is_unaccepted) {
        warnings
            .push("no other ref was pushed, since one of the streams was not accepted".to_owned());
    } else {
        let hap = if args.stream.is_none() {
            refs.send_hap()?
        } else {
            Vec::new()
        };
        let go_on = hap.iter().all(Sent::is_there);
        sent.extend(hap);
        if go_on {
            sent.extend(refs.send_named(&named)?);
        }
    }
    outcome(session, &remote, &reports, &sent, warnings)
}

/// Brings every stream even, or the one that was named.
fn streams(session: &Session, args: &SyncArgs, remote: &Remote) -> Result<Vec<Report>, Refusal> {
    let pattern = match &args.stream {
        Some(id) => Stream::new(session, id)?.reference().to_owned(),
        None => format!("{STREAMS}*"),
    };
    let tips = remote.tips(&[&pattern])?;
    let local = Stream::all(session)?;
    if tips.is_empty() && local.is_empty() {
        remote.refuse_empty()?;
    }
    let mut names: BTreeSet<String> = tips.keys().cloned().collect();
    match &args.stream {
        Some(id) => {
            names.insert(format!("{STREAMS}{id}"));
        }
        None => names.extend(local.iter().map(|stream| stream.reference().to_owned())),
    }
    let (mut streams, mut reports) = (Vec::new(), Vec::new());
    for name in &names {
        let id = name.strip_prefix(STREAMS).unwrap_or(name);
        match Stream::new(session, id) {
            Ok(stream) => streams.push(stream),
            // What the remote names badly is told, and the others go on.
            Err(refusal) => reports.push(Report {
                stream_id: id.to_owned(),
                reason: refusal.code.name().to_owned(),
                message: Some(refusal.message.clone()),
                refusal: Some(refusal),
                ..Report::default()
            }),
        }
    }
    let lacking: Vec<&str> = streams
        .iter()
        .map(Stream::reference)
        .filter(|name| tips.get(*name).is_some_and(|tip| !is_here(session, *tip)))
        .collect();
    // Where one of several cannot be fetched, each is asked for by itself.
    match remote.fetch(&lacking) {
        Err(refusal) if lacking.len() < 2 => return Err(refusal),
        Err(_) | Ok(()) => {}
    }
    for stream in &streams {
        let theirs = tips.get(stream.reference()).copied();
        reports.push(
            Sync {
                session,
                remote,
                stream,
            }
            .report(theirs),
        );
    }
    Ok(reports)
}

/// Brings the tails that are kept aside of some streams to the authority, which keeps each once; returns a warning for
/// each that it did not take.
fn send_orphans(
    session: &Session,
    remote: &Remote,
    reports: &[Report],
) -> Result<Vec<String>, Refusal> {
    let mut warnings = Vec::new();
    let is_of = |name: &str, report: &Report| {
        let rest = name.strip_prefix(ORPHANS);
        let id = rest.and_then(|rest| rest.split_once('/')).map(|(id, _)| id);
        id == Some(&report.stream_id)
    };
    let mut kept = tail::orphans(session)?;
    kept.retain(|(name, _)| reports.iter().any(|report| is_of(name, report)));
    if kept.is_empty() {
        return Ok(warnings);
    }
    let there = remote.tips(&[&format!("{ORPHANS}*")])?;
    for (name, commit) in kept {
        if there.get(&name) == Some(&commit) {
            continue;
        }
        match remote.push(&name, None, commit) {
            Pushed::Accepted => {}
            Pushed::Raced if remote.tip(&name)? == Some(commit) => {}
            Pushed::Raced => warnings.push(format!("`{name}` is another commit at the remote")),
            Pushed::Refused(why) | Pushed::Unanswered(why) => {
                let said = why.details.iter().map(|(_, value)| value.as_str());
                let said = said.collect::<Vec<_>>().join("; ");
                warnings.push(format!(
                    "`{name}` is kept here only: {}: {said}",
                    why.message
                ));
            }
        }
    }
    Ok(warnings)
}

/// The authority; where none is configured, the remote that Git itself would take.
fn remote(session: &Session) -> Result<Remote, Refusal> {
    if let Some(remote) = &session.authority {
        return Ok(remote.clone());
    }
    if session
        .repository
        .remotes()?
        .iter()
        .any(|name| name == "origin")
    {
        return Remote::named(&session.repository, "origin");
    }
    Err(
        fault::input(format!("`{KEY}` names no remote to sync with")).next(format!(
            "git remote add origin URL, then: git config {KEY} origin"
        )),
    )
}

fn is_here(session: &Session, commit: CommitId) -> bool {
    session.repository.read_commit(commit).is_ok()
}

/// One stream on its way.
struct Sync<'s> {
    session: &'s Session,
    remote: &'s Remote,
    stream: &'s Stream<'s>,
}

impl Sync<'_> {
    fn report(&self, theirs: Option<CommitId>) -> Report {
        let mut report = Report {
            stream_id: self.stream.id.clone(),
            ..Report::default()
        };
        let mut refusal = self.bring_even(theirs, &mut report).err();
        match self.stream.tip() {
            Ok(Some(at)) => {
                report.sequence = Some(at.tip.sequence);
                report.event_hash = Some(at.tip.event_hash.to_string());
                report.commit = Some(at.commit.to_string());
            }
            Ok(None) => {}
            Err(broken) => {
                refusal.get_or_insert(broken);
            }
        }
        // A fork stands before what came after it.
        let refusal = report
            .orphan
            .as_ref()
            .map(|orphan| self.forked(orphan))
            .or(refusal);
        let code = refusal.as_ref().map_or(Code::Ok, |refusal| refusal.code);
        code.name().clone_into(&mut report.reason);
        report.message = refusal.as_ref().map(|refusal| refusal.message.clone());
        report.refusal = refusal;
        report
    }

    fn bring_even(&self, first: Option<CommitId>, report: &mut Report) -> Result<(), Refusal> {
        let mut theirs = first;
        for turn in 0..TRIES {
            let ours = self.stream.present_tip()?;
            match self.stream.standing(self.remote, ours, theirs)? {
                Standing::Even if ours.is_none() => {
                    self.stream.refuse_reopening()?;
                    return Err(self.stream.missing());
                }
                Standing::Even => {
                    self.seen(ours);
                    return Ok(());
                }
                Standing::Behind(to) => {
                    if let Some(events) = self.stream.follow(ours, to)? {
                        report.fetched = report.fetched.saturating_add(events);
                    }
                }
                Standing::Ahead(Some(from)) if self.is_withdrawn(ours, from)? => {
                    let ours = ours.ok_or_else(|| self.stream.missing())?;
                    self.resolve(ours, from, Some(from), report)?;
                }
                Standing::Ahead(from) => {
                    let newest = ours.ok_or_else(|| self.stream.missing())?;
                    theirs = from;
                    match self.push(&mut theirs, newest, report)? {
                        Published::Taken => return Ok(()),
                        Published::Raced => {
                            self.stream.back_off(turn);
                            theirs = self.remote.tip(self.stream.reference())?;
                        }
                        Published::Refused(refusal) => {
                            report.is_unaccepted = true;
                            return self.set_refused_aside(newest, theirs, refusal, report);
                        }
                    }
                }
                Standing::Forked(common) => {
                    let (Some(ours), Some(theirs)) = (ours, theirs) else {
                        return Err(self.stream.missing());
                    };
                    self.resolve(ours, theirs, common, report)?;
                }
            }
        }
        Err(self.stream.contention())
    }

    /// Pushes what the authority lacks, as many events at a time as it takes; `theirs` is where it is then.
    fn push(
        &self,
        theirs: &mut Option<CommitId>,
        newest: CommitId,
        report: &mut Report,
    ) -> Result<Published, Refusal> {
        for portion in self.stream.portions(newest, *theirs)? {
            let published = if portion.newest == newest {
                self.stream
                    .publish(self.remote, *theirs, Some(newest), newest, false)?
            } else {
                let name = self.stream.reference();
                match self.remote.push(name, *theirs, portion.newest) {
                    Pushed::Accepted => Published::Taken,
                    Pushed::Raced => Published::Raced,
                    Pushed::Refused(refusal) => Published::Refused(refusal),
                    Pushed::Unanswered(refusal) => return Err(refusal),
                }
            };
            let Published::Taken = published else {
                return Ok(published);
            };
            *theirs = Some(portion.newest);
            report.pushed = report.pushed.saturating_add(portion.events);
        }
        Ok(Published::Taken)
    }

    /// Sets a refused tail aside where it holds more than unused permits and what governed it was withdrawn since: no
    /// later try would bring it there, and it was done.
    fn set_refused_aside(
        &self,
        ours: CommitId,
        theirs: Option<CommitId>,
        refusal: Refusal,
        report: &mut Report,
    ) -> Result<(), Refusal> {
        let Some(theirs) = theirs else {
            return Err(refusal);
        };
        let tail = Tail::read(self.stream, ours, Some(theirs))?;
        let (Some(what), true) = (&tail.contested, tail::is_withdrawn(self.session, &tail)?) else {
            return Err(refusal);
        };
        let why = format!("{what}, and what governed it was withdrawn since");
        let orphan = tail.keep(self.session, self.stream, ours, Code::GovernedStale, why)?;
        if self.stream.replace(Some(ours), theirs)? {
            report.orphan = Some(orphan);
            return Ok(());
        }
        Err(self.stream.contention())
    }

    /// Remembers a tip that both hold.
    fn seen(&self, tip: Option<CommitId>) {
        if let Some(tip) = tip {
            self.stream
                .remember(Some(self.remote.name()), Some(tip), tip);
        }
    }

    /// Tells whether what the authority lacks are unused permits, of which one is no longer in force as it was issued.
    fn is_withdrawn(&self, ours: Option<CommitId>, from: CommitId) -> Result<bool, Refusal> {
        let ours = ours.ok_or_else(|| self.stream.missing())?;
        let tail = Tail::read(self.stream, ours, Some(from))?;
        Ok(tail.contested.is_none() && tail::is_withdrawn(self.session, &tail)?)
    }

    /// Takes the local tail off: derives it again where it is only unused permits, sets it aside where it is more.
    fn resolve(
        &self,
        ours: CommitId,
        theirs: CommitId,
        common: Option<CommitId>,
        report: &mut Report,
    ) -> Result<(), Refusal> {
        let events = self.stream.verify_since(theirs, common)?;
        let tail = Tail::read(self.stream, ours, common)?;
        let again = match &tail.contested {
            None => tail::derive_again(self.session, self.stream, &tail, theirs)?,
            Some(what) => Err(what.clone()),
        };
        let moved = match again {
            Ok((sealed, permits)) => {
                let new = self.stream.store(theirs, &sealed)?;
                let moved = self.stream.replace(Some(ours), new)?;
                if moved {
                    self.stream.remember_instead(ours, new);
                    tail::note(&mut report.rederived, permits);
                }
                moved
            }
            Err(why) => {
                let code = Code::ChainForked;
                let orphan = tail.keep(self.session, self.stream, ours, code, why)?;
                let moved = self.stream.replace(Some(ours), theirs)?;
                if moved {
                    report.orphan = Some(orphan);
                    report.is_unaccepted = true;
                }
                moved
            }
        };
        if moved {
            report.fetched = report.fetched.saturating_add(events);
        }
        Ok(())
    }

    fn forked(&self, orphan: &Orphan) -> Refusal {
        let what = if orphan.code == Code::GovernedStale {
            "are refused by the authority"
        } else {
            "contradict the authority"
        };
        Refusal::new(
            orphan.code,
            format!(
                "{} local events of the stream `{}` {what} and were kept aside: {}",
                orphan.events, self.stream.id, orphan.why
            ),
        )
        .detail("kept_under", orphan.reference.as_str())
        .next(format!(
            "find out what was done under them: git log {}",
            orphan.reference
        ))
    }
}

fn outcome(
    session: &Session,
    remote: &Remote,
    reports: &[Report],
    sent: &[Sent],
    warnings: Vec<String>,
) -> Result<Outcome, Refusal> {
    let orphans = tail::orphans(session)?;
    let lines = reports.iter().map(text).chain(sent.iter().map(Sent::text));
    let mut outcome = Outcome::ok(COMMAND)
        .text(lines.collect::<String>())
        .field("remote", remote.name())
        .field("streams", reports)
        .field("refs", sent)
        .field("orphans", orphans.iter().map(orphan).collect::<Vec<_>>());
    let new: Vec<_> = reports
        .iter()
        .filter_map(|report| report.orphan.as_ref())
        .map(|orphan| orphan.reference.as_str())
        .collect();
    let older = orphans
        .iter()
        .filter(|(name, _)| !new.contains(&name.as_str()))
        .map(|(name, _)| format!("`{name}` keeps events that the authority never accepted"));
    outcome.warnings.extend(warnings);
    outcome.warnings.extend(older);
    let forked = |report: &&Report| report.orphan.is_some();
    let refused = reports
        .iter()
        .find(forked)
        .or_else(|| reports.iter().find(|report| report.refusal.is_some()));
    let refused = refused.and_then(|report| report.refusal.clone());
    if let Some(refusal) = refused.or_else(|| sent.iter().find_map(Sent::refusal)) {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}

fn orphan((name, commit): &(String, CommitId)) -> Value {
    json!({"ref": name, "commit": commit.to_string()})
}

fn text(report: &Report) -> String {
    let (style, word) = match (&report.refusal, &report.orphan) {
        (_, Some(orphan)) if orphan.code == Code::GovernedStale => (BAD, "not accepted"),
        (_, Some(_)) => (BAD, "forked"),
        (Some(_), None) => (BAD, "not synced"),
        (None, None) if report.rederived.is_empty() => (GOOD, "in sync"),
        (None, None) => (WARN, "in sync, derived again"),
    };
    let counts = format!("{} fetched, {} pushed", report.fetched, report.pushed);
    let mut text = format!(
        "{} {} {}\n",
        safe(&report.stream_id),
        paint(style, word),
        paint(DIM, &counts)
    );
    for permit in &report.rederived {
        text.push_str(&format!("  {} -> {}\n", permit.old, permit.new));
    }
    if let Some(orphan) = &report.orphan {
        text.push_str(&format!("  kept under {}\n", orphan.reference));
    } else if let Some(refusal) = &report.refusal {
        let line = format!("{}: {}", refusal.code, refusal.message);
        text.push_str(&format!("  {}\n", safe(&line)));
    }
    text
}
