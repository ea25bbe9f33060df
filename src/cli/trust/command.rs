//! `permit trust`: the one command that makes a repository trust a ref from a commit on.
//!
//! What is written first leaves less trusted than before, or the same, wherever a crash falls: the log, the pin, the role,
//! the remote with its fetch, and last the governed ref.

use std::io::{self, BufRead, IsTerminal, Read};

use serde_json::json;

use super::{GOVERNED_REF, Granted, ROLE, Role, TRUSTED_COMMIT, full_ref, host};
use crate::cli::args::{self, Global, TrustArgs};
use crate::cli::fault;
use crate::cli::init::fetch_streams;
use crate::cli::outcome::Outcome;
use crate::cli::remote::KEY as REMOTE;
use crate::cli::render::{GOOD, note, paint, safe};
use crate::cli::reviewed;
use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::git::{CommitId, Repository};

/// The file of the repository's memory that every change of trust is written to.
const LOG: &str = "trust.log";

/// One key, what it says and what it is to say.
struct Change {
    key: &'static str,
    from: Option<String>,
    to: String,
}

/// Says why arguments that clap accepts cannot be carried out: nobody was asked.
pub(crate) fn usage_fault(args: &TrustArgs) -> Option<clap::Error> {
    let asked = io::stdin().is_terminal() && io::stderr().is_terminal();
    (!args.advance && args.commit.is_none() && !asked).then(|| {
        args::command().error(
            clap::error::ErrorKind::MissingRequiredArgument,
            "a person must say what is trusted: pass `--commit`, or run it on a terminal",
        )
    })
}

/// Runs the command; the result says what is trusted from now on.
pub(crate) fn run(global: &Global, args: &TrustArgs) -> Result<Outcome, Refusal> {
    let session = Session::open(global)?;
    let (mut outcome, session) = match trust(&session, args) {
        Ok(outcome) => (outcome, Session::open(global)?),
        Err(refusal) => (Outcome::refused("trust", refusal), session),
    };
    session.say(&mut outcome);
    Ok(outcome)
}

fn trust(session: &Session, args: &TrustArgs) -> Result<Outcome, Refusal> {
    let repository = &session.repository;
    let (name, commit) = match &args.reference {
        Some(reference) => named(session, reference, args.commit.as_deref())?,
        None => advanced(session)?,
    };
    let snapshot = repository.snapshot(commit)?;
    let granted = Granted::read(session, &snapshot)?;
    let remote = remote_of(repository, args, &name)?;
    let wanted = [
        (TRUSTED_COMMIT, Some(commit.to_string())),
        (ROLE, args.role.map(|role| role.word().to_owned())),
        (REMOTE, args.remote.clone()),
        (GOVERNED_REF, Some(name.clone())),
    ];
    let changes = changes(repository, &wanted)?;
    allow(session, args, &changes)?;
    if args.commit.is_none() && !args.advance {
        confirm(&name, &granted)?;
    }
    // Nobody else may have written meanwhile what was looked at.
    let lock = repository.lock_memory();
    if self::changes(repository, &wanted)?.len() != changes.len() {
        return Err(
            fault::input("the trust root was changed meanwhile").next("run the command again")
        );
    }
    let fetched = write(repository, args, &changes, remote.as_deref())?;
    drop(lock);
    let mut text = granted.text();
    for change in &changes {
        text.push_str(&format!(
            "{} {} {}\n",
            paint(GOOD, "set"),
            change.key,
            safe(&change.to)
        ));
    }
    for line in &fetched {
        text.push_str(&format!("{} {}\n", paint(GOOD, "set"), safe(line)));
    }
    text.push_str(&format!(
        "{} {} from {commit} on\n",
        paint(GOOD, "trusted"),
        safe(&name)
    ));
    let set: Vec<_> = changes
        .iter()
        .map(|change| json!({"key": change.key, "from": change.from, "to": change.to}))
        .collect();
    Ok(Outcome::ok("trust")
        .field("trusted_commit", commit.to_string())
        .field("policy", granted.policy())
        .field("principals", granted.people())
        .field("owners", granted.owners())
        .field("changed", set)
        .field("configured", fetched)
        .next("permit issue --open-stream --request FILE")
        .text(text))
}

/// The ref's full name and its tip, which is the commit that the caller named.
fn named(
    session: &Session,
    reference: &str,
    commit: Option<&str>,
) -> Result<(String, CommitId), Refusal> {
    let repository = &session.repository;
    let symbolic = |stands_for: &str| {
        let what = format!("`{reference}` stands for whatever it names at the moment");
        fault::input(what).next(format!(
            "name the ref itself: permit trust {stands_for} --commit \"$(git rev-parse {stands_for})\""
        ))
    };
    if reference == "@" || reference == "HEAD" || reference.ends_with("_HEAD") {
        let branch = repository.stands_for("HEAD")?;
        return Err(symbolic(branch.as_deref().unwrap_or("refs/heads/main")));
    }
    let name = full_ref(reference.to_owned());
    if let Some(target) = repository.stands_for(&name)? {
        return Err(symbolic(&target));
    }
    let tip = repository.ref_target(&name)?.ok_or_else(|| {
        let what = format!("the ref `{name}` does not exist");
        Refusal::new(Code::CommitNotGoverned, what)
            .next("git for-each-ref refs/heads refs/remotes lists those that do")
    })?;
    let Some(text) = commit else {
        return Ok((name, tip));
    };
    let commit: CommitId = text.to_ascii_lowercase().parse().map_err(|_| {
        fault::input(format!("`{text}` is not the full id of a commit"))
            .next(format!("look at it, then pass it: git log -1 {name}"))
    })?;
    if commit != tip {
        return Err(Refusal::new(
            Code::CommitNotGoverned,
            format!("commit {commit} is not the tip of `{name}`, which is {tip}"),
        )
        .next(format!("look at what came after: git log {commit}..{tip}")));
    }
    Ok((name, tip))
}

/// The governed ref and its tip, after everything between it and the pinned commit was verified.
fn advanced(session: &Session) -> Result<(String, CommitId), Refusal> {
    let (Some(name), Some(tip)) = (session.governed_ref(), session.governed_tip()?) else {
        return Err(Refusal::new(Code::Ungoverned, "no governed ref is named"));
    };
    let Some(pin) = session.trust.pin else {
        return Err(Refusal::new(Code::Ungoverned, "no commit is pinned")
            .next(format!("permit trust {name} --commit {tip}")));
    };
    session.decide()?;
    reviewed::check(session, pin, tip)?;
    Ok((name.to_owned(), tip))
}

/// The remote whose streams are fetched: the one that was named, or that the governed ref follows.
fn remote_of(
    repository: &Repository,
    args: &TrustArgs,
    name: &str,
) -> Result<Option<String>, Refusal> {
    let remotes = repository.remotes()?;
    match &args.remote {
        Some(remote) if remotes.contains(remote) => Ok(Some(remote.clone())),
        Some(remote) => Err(fault::input(format!("there is no remote `{remote}`"))
            .next("git remote lists those that there are")),
        None => Ok(remotes.into_iter().find(|remote| {
            let rest = name.strip_prefix("refs/remotes/");
            rest.and_then(|rest| rest.strip_prefix(remote.as_str()))
                .is_some_and(|rest| rest.starts_with('/'))
        })),
    }
}

/// What is not yet as it is to be, in the order in which it is written.
fn changes(
    repository: &Repository,
    wanted: &[(&'static str, Option<String>)],
) -> Result<Vec<Change>, Refusal> {
    let mut changes = Vec::new();
    for (key, to) in wanted {
        let from = repository.config_string(key)?;
        if let Some(to) = to.as_ref().filter(|to| from.as_ref() != Some(to)) {
            let (key, to) = (*key, to.clone());
            changes.push(Change { key, from, to });
        }
    }
    Ok(changes)
}

/// Refuses a change that this role, the machine or a missing reason does not allow.
fn allow(session: &Session, args: &TrustArgs, changes: &[Change]) -> Result<(), Refusal> {
    if changes.is_empty() {
        return Ok(());
    }
    if session.trust.role == Role::Executor {
        return Err(Refusal::new(
            Code::RoleForbidden,
            "the repository's role `executor` may not change what it trusts",
        ));
    }
    if session.trust.by_host {
        let said = |wanted: &str| changes.iter().find(|change| change.key == wanted);
        let said = |key| said(key).map(|change| change.to.clone());
        let host = host::read(&session.repository)?;
        let reference = said(GOVERNED_REF);
        if let Some(host) = host {
            host.check(&[
                ("REF", reference),
                (TRUSTED_COMMIT, said(TRUSTED_COMMIT)),
                (ROLE, said(ROLE)),
            ])?;
        }
    }
    let present = session.repository.config_string(GOVERNED_REF)?;
    let present = present.map(full_ref);
    if let Some(old) = args.replace.clone().map(full_ref)
        && present.as_ref() != Some(&old)
    {
        let next = present.map_or_else(
            || "leave --replace and --reason out: nothing is trusted yet".to_owned(),
            |present| format!("pass --replace {present}"),
        );
        return Err(fault::input(format!("`{old}` is not the ref that governs here")).next(next));
    }
    if args.advance || args.replace.is_some() {
        return Ok(());
    }
    let replaced = changes.iter().find_map(|change| {
        let same = change.key == GOVERNED_REF && present.as_ref() == Some(&change.to);
        let from = change.from.as_ref().filter(|_| !same)?;
        Some((change.key, from, &change.to))
    });
    let Some((key, from, to)) = replaced else {
        return Ok(());
    };
    let old = present.as_deref().unwrap_or("REF");
    let next = if key == TRUSTED_COMMIT {
        format!(
            "permit trust --advance, after which everything between was verified; or add --replace {old} --reason TEXT"
        )
    } else {
        format!("add --replace {old} --reason TEXT to the command")
    };
    Err(fault::input(format!(
        "`{key}` is `{from}`, and would be `{to}`: what is trusted changes only for a reason"
    ))
    .next(next))
}

/// Shows a person what is about to be trusted, and asks.
fn confirm(name: &str, granted: &Granted) -> Result<(), Refusal> {
    const MOST: u64 = 64;
    note(granted.text().trim_end());
    note(&format!(
        "Type `trust` to have `{}` govern here from this commit on:",
        safe(name)
    ));
    let mut answer = String::new();
    let read = io::stdin().lock().take(MOST).read_line(&mut answer);
    if read.is_ok() && answer.trim_end() == "trust" {
        return Ok(());
    }
    Err(
        fault::input("the answer was not `trust`, and nothing was changed")
            .next("run it again when you have looked at the policy and the people"),
    )
}

/// Writes the log, then each key and the remote's fetch, and the governed ref last; returns what the fetch was set to.
fn write(
    repository: &Repository,
    args: &TrustArgs,
    changes: &[Change],
    remote: Option<&str>,
) -> Result<Vec<String>, Refusal> {
    if !changes.is_empty() {
        let changes: Vec<_> = changes
            .iter()
            .map(|change| json!({"key": change.key, "from": change.from, "to": change.to}))
            .collect();
        let line = json!({"changes": changes, "reason": args.reason, "advanced": args.advance});
        repository.note(LOG, &format!("{line}\n"))?;
    }
    let mut fetched = Vec::new();
    for change in changes.iter().filter(|change| change.key != GOVERNED_REF) {
        repository.set_config_string(change.key, &change.to)?;
    }
    if let Some(remote) = remote {
        fetched = fetch_streams(repository, [remote.to_owned()])?;
    }
    for change in changes.iter().filter(|change| change.key == GOVERNED_REF) {
        repository.set_config_string(change.key, &change.to)?;
    }
    Ok(fetched)
}
