//! `permit sync`: streams go to and come from the authority, forward only (enforcement.md, "Several repositories").
//!
//! A stream is brought even by single steps, each one durable move of one ref: forward to what the authority holds, a
//! push of what it lacks, or, where both went on, the local tail is set aside or derived again on the authority's
//! newest event. A crash between two steps leaves a state from which the next run goes on.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::SyncArgs;
use super::fault;
use super::outcome::Outcome;
use super::remote::{KEY, Remote};
use super::render::{BAD, DIM, GOOD, WARN, paint, safe};
use super::session::Session;
use super::stream::{STREAMS, Standing, Stream, TRIES};
use super::tail::{self, Orphan, Rederived, Tail};
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
}

pub(crate) fn run(session: &Session, args: &SyncArgs) -> Result<Outcome, Refusal> {
    session.follow_governed()?;
    session.decide()?;
    let remote = remote(session)?;
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
                remote: &remote,
                stream,
            }
            .report(theirs),
        );
    }
    outcome(session, &remote, &reports)
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
                    let events = self.stream.verify_since(newest, from)?;
                    if self
                        .stream
                        .publish(self.remote, theirs, ours, newest, false)?
                    {
                        report.pushed = report.pushed.saturating_add(events);
                        return Ok(());
                    }
                    self.stream.back_off(turn);
                    theirs = self.remote.tip(self.stream.reference())?;
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
                let orphan = tail.keep(self.session, self.stream, ours, why)?;
                let moved = self.stream.replace(Some(ours), theirs)?;
                if moved {
                    report.orphan = Some(orphan);
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
        Refusal::new(
            Code::ChainForked,
            format!(
                "{} local events of the stream `{}` contradict the authority and were kept aside: {}",
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

fn outcome(session: &Session, remote: &Remote, reports: &[Report]) -> Result<Outcome, Refusal> {
    let orphans = tail::orphans(session)?;
    let mut outcome = Outcome::ok(COMMAND)
        .text(reports.iter().map(text).collect::<String>())
        .field("remote", remote.name())
        .field("streams", reports)
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
    outcome.warnings.extend(older);
    let forked = |report: &&Report| report.orphan.is_some();
    let refused = reports
        .iter()
        .find(forked)
        .or_else(|| reports.iter().find(|report| report.refusal.is_some()));
    if let Some(refusal) = refused.and_then(|report| report.refusal.clone()) {
        outcome.refuse(refusal);
    }
    Ok(outcome)
}

fn orphan((name, commit): &(String, CommitId)) -> Value {
    json!({"ref": name, "commit": commit.to_string()})
}

fn text(report: &Report) -> String {
    let (style, word) = match (&report.refusal, &report.orphan) {
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
