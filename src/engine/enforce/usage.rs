//! The events of the execution boundary: their payloads, written and read back (enforcement.md, Boundary 2).

use serde::Deserialize;

use super::super::canonical::{self, Fault, Object, Value};
use super::super::chain::EventType;
use super::super::code::Code;
use super::super::digest::{CommitSha, PermitId};
use super::super::policy::Effect;
use super::Mode;

/// How a run ended; a run that never began has neither status nor signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// The child's exit status.
    pub exit_status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it changed, sorted by bytes.
    pub changed_paths: Vec<String>,
}

/// The payload of `tool.exec.requested`: `{permit_id, mode, argv, target_commit}`.
#[must_use]
pub fn requested(
    permit_id: PermitId,
    mode: Mode,
    argv: &[String],
    target_commit: &str,
) -> Object<'static> {
    Object::of([
        ("permit_id", Value::from(permit_id)),
        ("mode", Value::from(mode.word())),
        ("argv", strings(argv)),
        ("target_commit", Value::from(target_commit.to_owned())),
    ])
}

/// The payload of the result: `{permit_id, mode, reason, exit_status, signal, changed_paths}`, −1 where there is none.
#[must_use]
pub fn result(permit_id: PermitId, mode: Mode, reason: Code, ran: &Ran) -> Object<'static> {
    let number = |number: Option<i32>| Value::from(i64::from(number.unwrap_or(-1)));
    Object::of([
        ("permit_id", Value::from(permit_id)),
        ("mode", Value::from(mode.word())),
        ("reason", Value::from(reason.name())),
        ("exit_status", number(ran.exit_status)),
        ("signal", number(ran.signal)),
        ("changed_paths", strings(&ran.changed_paths)),
    ])
}

/// The kind of event that a run within its bounds, or a "no", is recorded as.
#[must_use]
pub fn exec_kind(reason: Code, decision: Effect) -> EventType {
    match (reason, decision) {
        (Code::Ok, Effect::Warn) => EventType::ToolExecWarned,
        (Code::Ok, Effect::Allow | Effect::Review | Effect::Block) => EventType::ToolExecAllowed,
        _ => EventType::ToolExecBlocked,
    }
}

fn strings(list: &[String]) -> Value<'static> {
    Value::Array(list.iter().cloned().map(Value::from).collect())
}

/// What an event of the execution boundary says, read strictly from its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRecord {
    /// Of which permit.
    pub permit_id: PermitId,
    /// In which mode.
    pub mode: Mode,
    /// Whether a program ran: what never ran needs no use of a permit.
    pub ran: bool,
    /// The reason that a result gives; nothing where this is what was asked for.
    pub reason: Option<Code>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestedPayload {
    permit_id: PermitId,
    mode: Mode,
    #[serde(rename = "argv")]
    _argv: Vec<String>,
    target_commit: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultPayload {
    permit_id: PermitId,
    mode: Mode,
    reason: String,
    exit_status: i64,
    signal: i64,
    changed_paths: Vec<String>,
}

impl ExecRecord {
    /// Reads the payload of an event of a kind; nothing where the kind is another boundary's.
    ///
    /// # Errors
    /// The JSON path of what the kind does not allow.
    pub fn read(kind: EventType, payload: &Value<'_>) -> Result<Option<Self>, Fault> {
        let allowed = match kind {
            EventType::ToolExecRequested => {
                let read: RequestedPayload = canonical::from_value(payload)?;
                let commit = &read.target_commit;
                if !commit.is_empty() && commit.parse::<CommitSha>().is_err() {
                    return Err(Fault::new("$.target_commit", "is not a commit id"));
                }
                return Self::new(read.permit_id, read.mode, true, None).map(Some);
            }
            EventType::ToolExecAllowed | EventType::ToolExecWarned => true,
            EventType::ToolExecBlocked => false,
            EventType::StreamOpened
            | EventType::PermitIssued
            | EventType::PermitUsed
            | EventType::ReviewResolved => return Ok(None),
        };
        let read: ResultPayload = canonical::from_value(payload)?;
        let reason = Code::from_name(&read.reason);
        if reason.is_none_or(|code| (code == Code::Ok) != allowed) {
            return Err(Fault::new("$.reason", "does not fit the kind of event"));
        }
        let ran = read.exit_status != -1 || read.signal != -1 || !read.changed_paths.is_empty();
        Self::new(read.permit_id, read.mode, ran || allowed, reason).map(Some)
    }

    fn new(
        permit_id: PermitId,
        mode: Mode,
        ran: bool,
        reason: Option<Code>,
    ) -> Result<Self, Fault> {
        if mode == Mode::Off {
            return Err(Fault::new("$.mode", "nothing is recorded in `off`"));
        }
        Ok(Self {
            permit_id,
            mode,
            ran,
            reason,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_fits_its_kind() {
        let id = PermitId::new([7; 32]);
        let asked = requested(id, Mode::Enforce, &["true".to_owned()], "").into();
        let read = ExecRecord::read(EventType::ToolExecRequested, &asked)
            .unwrap()
            .unwrap();
        assert_eq!(
            (read.permit_id, read.mode, read.ran),
            (id, Mode::Enforce, true)
        );
        let refused: Value<'_> = result(id, Mode::Shadow, Code::Expired, &Ran::default()).into();
        let read = ExecRecord::read(EventType::ToolExecBlocked, &refused)
            .unwrap()
            .unwrap();
        assert_eq!((read.mode, read.ran), (Mode::Shadow, false));
        assert!(ExecRecord::read(EventType::ToolExecAllowed, &refused).is_err());
        let off = result(id, Mode::Off, Code::Expired, &Ran::default()).into();
        assert!(ExecRecord::read(EventType::ToolExecBlocked, &off).is_err());
        assert_eq!(ExecRecord::read(EventType::PermitUsed, &off).unwrap(), None);
    }
}
