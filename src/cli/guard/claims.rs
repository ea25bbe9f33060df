//! Which permit let which update of a ref through: evidence on the disk, not memory (hardening.md, section 3).
//!
//! A permit for content names one update of one ref, so that it has one claim, whatever its mode says of a stream: the
//! same change lands once for one permit. The file is named by the permit; those that are not settled have an empty file
//! more, so that no run costs more because of the claims that are:
//!
//! ```text
//!   permit-claims/id              the id that `permit.claims` of the configuration also holds
//!   permit-claims/PERMIT.json     {permit, ref, before, after, state}
//!   permit-claims/open/PERMIT     its state is claimed or aborted
//!   permit-claims/reset.json      why the claims before were given up, and how far each stream had come
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args::ResetArgs;
use super::install;
use super::keep::{self, Place};
use super::push::{Honoured, Judged, governed_name};
use super::transaction::Change;
use super::verdict::value;
use crate::cli::fault;
use crate::cli::outcome::Outcome;
use crate::cli::render::{GOOD, paint};
use crate::cli::session::Session;
use crate::cli::stream::{STREAMS, Stream};
use crate::engine::code::{Code, Refusal};
use crate::engine::enforce::Finding;

/// The folder, in the Git directory.
const FOLDER: &str = "permit-claims";
/// Where the configuration holds the folder's id.
const KEY: &str = "permit.claims";
/// The command that begins anew.
const RESET: &str = "permit guard claims reset --reason TEXT";

/// The folder of claims of a server.
pub(super) struct Claims<'s> {
    session: &'s Session,
    folder: PathBuf,
    /// What was given up, if anything was.
    reset: Option<Reset>,
}

/// One permit with the one update that it lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    permit: String,
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    state: State,
}

/// How far an update came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It was let through; whether it landed is not known yet.
    Claimed,
    /// It landed.
    Committed,
    /// Git gave it up.
    Aborted,
}

/// Claims that were given up: what was issued before counts no more.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    reason: String,
    /// The newest event of each stream at that moment.
    streams: BTreeMap<String, u64>,
}

impl Claim {
    fn is_of(&self, update: &Honoured) -> bool {
        (&self.reference, &self.before, &self.after)
            == (&update.reference, &update.before, &update.after)
    }

    fn is_open(&self) -> bool {
        self.state != State::Committed
    }

    fn refusal(&self) -> Refusal {
        let known = |id: &str| if id.is_empty() { "nothing" } else { id }.to_owned();
        let what = format!(
            "permit {} let `{}` go from {} to {} already",
            self.permit,
            self.reference,
            known(&self.before),
            known(&self.after)
        );
        Refusal::new(Code::PermitClaimed, what)
    }
}

impl<'s> Claims<'s> {
    /// Makes folder and id together, where neither is there; tells whether both are there in the end.
    pub(super) fn install(session: &'s Session) -> Result<bool, Refusal> {
        let folder = folder(session);
        let id = session.repository.config_string(KEY)?;
        if id.is_none() && !folder.exists() {
            make(session, None)?;
        }
        match Self::open(session) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.code == Code::ClaimsLost => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// Opens the folder that belongs to this repository.
    ///
    /// # Errors
    /// `CLAIMS_LOST` where it is missing or another one.
    pub(super) fn open(session: &'s Session) -> Result<Self, Refusal> {
        let folder = folder(session);
        let wanted = session.repository.config_string(KEY)?;
        let found = keep::read_bytes(&folder.join("id"))?;
        let found = found.and_then(|bytes| String::from_utf8(bytes).ok());
        let found = found.as_deref().map(str::trim_end);
        let Some(wanted) = wanted else {
            let what = format!("`{KEY}` names no folder of claims");
            let step = if folder.exists() {
                RESET
            } else {
                "permit guard install"
            };
            return Err(lost(what).next(format!("{step}, on the server")));
        };
        if found != Some(wanted.as_str()) {
            return Err(lost(format!(
                "`{}` is missing, or is not the folder that `{KEY}` names",
                folder.display()
            )));
        }
        Ok(Self {
            reset: keep::read(&folder.join("reset.json")).map_err(broken)?,
            session,
            folder,
        })
    }

    /// Sets each claim to `committed` whose ref is at its new value.
    ///
    /// That is enough: a ref that goes on from there was judged by this value, and that run settled first.
    pub(super) fn settle(&self) -> Result<(), Refusal> {
        self.each_open(|claim| {
            let landed = self.value(&claim.reference)? == claim.after;
            Ok(landed.then_some(State::Committed))
        })
    }

    /// Sets each claim to `aborted` whose update was among changes that Git gave up.
    pub(super) fn abort(&self, given_up: &[Change]) -> Result<(), Refusal> {
        self.each_open(|claim| {
            let named = given_up
                .iter()
                .any(|change| change.reference == claim.reference && change.after == claim.after);
            Ok((named && self.value(&claim.reference)? != claim.after).then_some(State::Aborted))
        })
    }

    /// Gives each claim that is not settled the state that it has come to, if any.
    fn each_open(
        &self,
        find: impl Fn(&Claim) -> Result<Option<State>, Refusal>,
    ) -> Result<(), Refusal> {
        let folder = self.folder.join("open");
        if keep::names(&folder, 1)?.is_empty() {
            return Ok(());
        }
        let _lock = keep::lock(&self.folder)?;
        for permit in keep::names(&folder, usize::MAX)? {
            let claim = self.read(&permit)?;
            if let Some(claim) = claim.filter(Claim::is_open) {
                match find(&claim)? {
                    None => continue,
                    Some(state) if state == claim.state => continue,
                    Some(state) => self.write(&Claim { state, ..claim }, Place::Any)?,
                };
            }
            if self.read(&permit)?.is_none_or(|claim| !claim.is_open()) {
                keep::remove(&folder.join(&permit))?;
            }
        }
        Ok(())
    }

    /// Tells whether a permit may let an update through, now.
    ///
    /// # Errors
    /// `PERMIT_CLAIMED`; `PERMIT_REQUIRED` where it was issued before the claims were given up.
    pub(super) fn check(&self, update: &Honoured) -> Result<(), Refusal> {
        if let Some(reset) = &self.reset
            && let Some(tip) = reset.streams.get(&update.stream)
            && update.sequence <= *tip
        {
            return Err(Refusal::new(
                Code::PermitRequired,
                format!(
                    "permit {} was issued before the server's claims were given up ({})",
                    update.permit, reset.reason
                ),
            )
            .next("issue a new permit for this update and push its stream, then push again"));
        }
        let Some(claim) = self.read(&update.permit)? else {
            return Ok(());
        };
        let again = claim.is_of(update)
            && claim.is_open()
            && self.value(&update.reference)? == update.before;
        if again { Ok(()) } else { Err(claim.refusal()) }
    }

    /// Tells whether an update that was let through is not settled yet, when it is about to land.
    ///
    /// # Errors
    /// `PERMIT_CLAIMED`: the same update landed meanwhile, or the claim is gone.
    pub(super) fn still_holds(&self, update: &Honoured) -> Result<(), Refusal> {
        match self.read(&update.permit)? {
            Some(claim) if claim.is_of(update) && claim.is_open() => Ok(()),
            Some(claim) => Err(claim.refusal()),
            None => {
                let what = format!("the claim of permit {} is gone", update.permit);
                Err(Refusal::new(Code::PermitClaimed, what))
            }
        }
    }

    /// Claims permits for the updates that they let through.
    ///
    /// # Errors
    /// As [`Claims::check`]; `IO_ERROR`: a claim is not durable.
    pub(super) fn take(&self, updates: &[Honoured]) -> Result<(), Refusal> {
        let _lock = keep::lock(&self.folder)?;
        for update in updates {
            self.check(update)?;
            let claim = Claim {
                permit: update.permit.clone(),
                reference: update.reference.clone(),
                before: update.before.clone(),
                after: update.after.clone(),
                state: State::Claimed,
            };
            let known = self.read(&update.permit)?;
            if known.as_ref() == Some(&claim) {
                continue;
            }
            // First what makes it found, then the claim itself.
            keep::write_bytes(
                &self.folder.join("open").join(&update.permit),
                b"",
                Place::Any,
            )?;
            let place = if known.is_some() {
                Place::Any
            } else {
                Place::Free
            };
            if !self.write(&claim, place)? {
                let what = format!("permit {} was claimed just now", update.permit);
                return Err(Refusal::new(Code::PermitClaimed, what));
            }
        }
        Ok(())
    }

    fn read(&self, permit: &str) -> Result<Option<Claim>, Refusal> {
        keep::read(&self.path(permit)).map_err(broken)
    }

    fn write(&self, claim: &Claim, place: Place) -> Result<bool, Refusal> {
        keep::write(&self.path(&claim.permit), claim, place)
    }

    fn path(&self, permit: &str) -> PathBuf {
        self.folder.join(format!("{permit}.json"))
    }

    fn value(&self, reference: &str) -> Result<String, Refusal> {
        value(self.session, reference)
    }
}

/// Refuses what rests on permits that are claimed already, or whose claims could not be kept; settles the others first.
pub(super) fn check(session: &Session, judged: &mut [Judged]) -> Result<(), Refusal> {
    let claims = Claims::open(session);
    let settled = match &claims {
        Ok(claims) => claims.settle(),
        Err(refusal) if refusal.code == Code::ClaimsLost => Ok(()),
        Err(refusal) => Err(refusal.clone()),
    };
    for judged in judged {
        let honoured: Vec<Honoured> = judged.honoured().collect();
        if honoured.is_empty() {
            continue;
        }
        let checked = installed(session).and_then(|()| {
            let claims = claims.as_ref().map_err(Clone::clone)?;
            settled.clone()?;
            honoured.iter().try_for_each(|update| claims.check(update))
        });
        if let Err(refusal) = checked {
            judged.finding = Finding::from(refusal);
        }
    }
    settled
}

/// Claims the permits of a push that is let through; where one cannot be claimed, what rests on it is refused.
pub(super) fn take(session: &Session, judged: &mut [Judged]) {
    for judged in judged {
        let honoured: Vec<Honoured> = judged.honoured().collect();
        if honoured.is_empty() {
            continue;
        }
        if let Err(refusal) = Claims::open(session).and_then(|claims| claims.take(&honoured)) {
            judged.finding = Finding::from(refusal);
        }
    }
}

/// Refuses to honour a permit where nothing would tell whether its update landed.
fn installed(session: &Session) -> Result<(), Refusal> {
    let hook = install::transaction_path(session)?;
    if install::is_transaction_installed(&hook) {
        return Ok(());
    }
    let what = format!(
        "no permit is honoured: `{}` does not call `permit guard transaction`",
        hook.display()
    );
    Err(Refusal::new(Code::PermitRequired, what).next("permit guard install, on the server"))
}

/// Gives up the claims that there were, if any, and begins anew.
pub(super) fn reset(session: &Session, args: &ResetArgs) -> Result<Outcome, Refusal> {
    governed_name(session)?;
    let reason = args.reason.trim();
    if reason.is_empty() {
        return Err(fault::input("the reason is empty"));
    }
    let mut streams = BTreeMap::new();
    for (name, tip) in session.repository.refs_with_prefix(STREAMS)? {
        let stream = Stream::new(session, name.strip_prefix(STREAMS).unwrap_or_default())?;
        let at = stream.read_at(tip)?;
        streams.insert(stream.id, at.tip.sequence);
    }
    let reset = Reset {
        reason: reason.to_owned(),
        streams,
    };
    let aside = make(session, Some(&reset))?;
    let aside = aside.map(|path| path.display().to_string());
    Ok(Outcome::ok("guard.claims.reset")
        .field("reason_given", &reset.reason)
        .field("streams", &reset.streams)
        .field("claims", folder(session).display().to_string())
        .field("kept", &aside)
        .next("issue a new permit for each update that waits: the older ones count no more")
        .text(format!(
            "{} {}\n{}",
            paint(GOOD, "begun anew"),
            folder(session).display(),
            aside.map_or_else(String::new, |path| format!("kept {path}\n"))
        )))
}

/// Makes a folder and its id; what was there is kept aside, under the name that is returned.
fn make(session: &Session, reset: Option<&Reset>) -> Result<Option<PathBuf>, Refusal> {
    let folder = folder(session);
    let id = random_id()?;
    let common = session.repository.common_dir();
    let new = common.join(format!("{FOLDER}.{id}.new"));
    let failed = |path: &Path, error: &io::Error| fault::io(path, error);
    fs::create_dir_all(new.join("open")).map_err(|error| failed(&new, &error))?;
    keep::write_bytes(&new.join("id"), format!("{id}\n").as_bytes(), Place::Free)?;
    if let Some(reset) = reset {
        keep::write(&new.join("reset.json"), reset, Place::Free)?;
    }
    let mut aside = None;
    if reset.is_some() && folder.exists() {
        let old = common.join(format!("{FOLDER}.{id}.old"));
        fs::rename(&folder, &old).map_err(|error| failed(&folder, &error))?;
        aside = Some(old);
    }
    fs::rename(&new, &folder).map_err(|error| failed(&folder, &error))?;
    keep::sync_folder(common)?;
    session.repository.set_config_string(KEY, &id)?;
    Ok(aside)
}

fn random_id() -> Result<String, Refusal> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Refusal::new(
            Code::IoError,
            format!("the system gives no random bytes: {error}"),
        )
    })?;
    Ok(hex::encode(bytes))
}

fn folder(session: &Session) -> PathBuf {
    session.repository.common_dir().join(FOLDER)
}

fn lost(what: impl Into<String>) -> Refusal {
    Refusal::new(Code::ClaimsLost, what).next(format!(
        "restore `{FOLDER}/` from a backup, or {RESET}, on the server"
    ))
}

/// A claim that says nothing: which permits were used is not known any more.
fn broken(refusal: Refusal) -> Refusal {
    if refusal.code == Code::InvalidInput {
        lost(refusal.message)
    } else {
        refusal
    }
}
