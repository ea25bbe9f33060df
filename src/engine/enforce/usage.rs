//! The events of the execution boundary: their payloads, written and read back (enforcement.md, Boundary 2).

use super::super::canonical::{Object, Value};
use super::super::chain::EventType;
use super::super::code::Code;
use super::super::digest::PermitId;
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
