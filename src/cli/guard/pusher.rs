//! Who pushes, as the server states it or a push certificate shows it.

use std::env;

use crate::cli::ledger::TableAt;
use crate::cli::session::Session;
use crate::engine::code::{Code, Refusal};
use crate::engine::review::Principals;
use crate::engine::sshsig::PublicKey;
use crate::git::CommitId;

/// What the environment of the hook says of the pusher.
#[derive(Default)]
pub(super) struct Pusher {
    /// `PERMIT_PUSHER`, which the server sets; empty if it does not.
    stated: String,
    /// The key of a push certificate that Git verified, with a nonce that is the server's own.
    key: Option<String>,
}

impl Pusher {
    pub(super) fn of_environment() -> Self {
        let text = |name| env::var(name).unwrap_or_default();
        let verified =
            text("GIT_PUSH_CERT_STATUS") == "G" && text("GIT_PUSH_CERT_NONCE_STATUS") == "OK";
        Self {
            stated: text("PERMIT_PUSHER"),
            key: verified.then(|| text("GIT_PUSH_CERT_KEY")),
        }
    }

    /// Who pushes, as the server states; empty if it does not.
    pub(super) fn stated(&self) -> &str {
        &self.stated
    }

    /// The active principal who pushes, by the table that landed.
    ///
    /// # Errors
    /// `PERMIT_REQUIRED` where nobody is named, or two are; `PRINCIPAL_UNKNOWN`, `PRINCIPAL_REVOKED`; an unusable table.
    pub(super) fn principal(&self, session: &Session, base: CommitId) -> Result<String, Refusal> {
        let table = match TableAt::load(session, &session.repository.snapshot(base)?)? {
            TableAt::Sound(table) => Some(table),
            TableAt::Missing => None,
            TableAt::Invalid(refusal) => return Err(refusal),
        };
        let unknown = |who: &str| {
            let what = format!("the pusher `{who}` is not in the principals table");
            Refusal::new(Code::PrincipalUnknown, what)
        };
        let table = table.as_deref();
        let certified = match self.key.as_deref() {
            None => None,
            Some(key) => Some(holder(table, key).ok_or_else(|| unknown(key))?),
        };
        let required = |what: &str| {
            Refusal::new(Code::PermitRequired, what.to_owned()).next(
                "have the server state the pusher in PERMIT_PUSHER, or push with a signed certificate: git push --signed",
            )
        };
        let stated = Some(self.stated.as_str()).filter(|stated| !stated.is_empty());
        let who = match (stated, certified) {
            (None, None) => return Err(required("the attachment requires to know who pushes")),
            (Some(stated), Some(certified)) if stated != certified => {
                return Err(required(
                    "the push certificate is another principal's than the pusher's",
                )
                .detail("stated", stated)
                .detail("certified", certified));
            }
            (Some(who), _) | (None, Some(who)) => who,
        };
        let found = table.and_then(|table| table.get(who));
        let principal = found.ok_or_else(|| unknown(who))?;
        if principal.is_active() {
            return Ok(who.to_owned());
        }
        let what = format!("the pusher `{who}` is revoked");
        Err(Refusal::new(Code::PrincipalRevoked, what))
    }
}

/// The principal who signs with the key of a fingerprint.
fn holder<'t>(table: Option<&'t Principals>, fingerprint: &str) -> Option<&'t str> {
    let holds = |key: &PublicKey| key.fingerprint() == fingerprint;
    let mut people = table?.iter();
    let found = people.find(|principal| principal.keys.iter().any(holds))?;
    Some(&found.id)
}
