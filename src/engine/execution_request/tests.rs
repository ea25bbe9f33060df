//! Records that are read and records that are refused.
use super::*;
use crate::engine::canonical::to_bytes;
use crate::engine::request::{Capability, Kind};

/// A draft whose packet is `hello`.
const DRAFT: &str = r#"{"schema":"permit.execution_request.v1",
    "approval_granted":false,"execution_allowed":false,"runtime_default_activation":false,
    "request":{"schema":"permit.request.v1","actor_id":"agent:codex","capability":{"kind":"tool","selector":"case.run"},
               "operation":"execute","target":"acme/web","context":{}},
    "target_repository":{"name":"acme/web","url":"https://example.com/acme/web","commit":"4b825dc642cb6eb9a060e54bf8d69288fbee4904"},
    "allowed_paths":["src/**"],"harness":{"argv":["cargo","test"],"working_directory":"."},
    "approval_packet":{"media_type":"text/markdown","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","content_base64":"aGVsbG8="},
    "proof_pointers":[],"blocked_actions":["git.push","network.egress"],"required_approvers":["human:jp"]}"#;

fn draft(from: &str, to: &str) -> Result<ExecutionRequest, Refusal> {
    assert!(DRAFT.contains(from), "{from}");
    ExecutionRequest::from_draft(canonical::parse(DRAFT.replace(from, to).as_bytes()).unwrap())
}

#[test]
fn a_draft_gets_its_id_and_reads_back() {
    let record = draft("{}", "{}").unwrap();
    let bytes = to_bytes(&record.to_value().unwrap());
    assert_eq!(ExecutionRequest::parse(&bytes).unwrap().id(), record.id());
    let other = String::from_utf8(bytes).unwrap().replace("cargo", "cargp");
    let refusal = ExecutionRequest::parse(other.as_bytes()).unwrap_err();
    assert_eq!(refusal.code, Code::RequestIdMismatch);
    assert_eq!(
        binding(&record.bound_request()),
        Some(record.id().to_string().as_str())
    );
    assert_ne!(
        record.bound_request().fingerprint(),
        record.document().request.fingerprint()
    );
}

#[test]
fn no_record_can_say_that_it_is_approved() {
    for guardrail in GUARDRAILS {
        for value in ["true", "null", "\"false\"", "0"] {
            let from = format!("\"{guardrail}\":false");
            let refusal = draft(&from, &format!("\"{guardrail}\":{value}")).unwrap_err();
            assert_eq!(refusal.code, Code::ApprovalInRequest, "{guardrail} {value}");
        }
        let refusal = draft(&format!("\"{guardrail}\":false,"), "").unwrap_err();
        assert_eq!(refusal.code, Code::InvalidExecutionRequest, "{guardrail}");
    }
}

#[test]
fn each_fault_is_refused_with_its_code() {
    for (from, to, code) in [
        ("\"src/**\"", "\"/src/**\"", Code::InvalidExecutionRequest),
        ("\"src/**\"", "\"src/../**\"", Code::InvalidExecutionRequest),
        (
            "[\"cargo\",\"test\"]",
            "\"cargo test\"",
            Code::InvalidExecutionRequest,
        ),
        ("[\"cargo\",\"test\"]", "[]", Code::InvalidExecutionRequest),
        (
            "\"working_directory\":\".\"",
            "\"working_directory\":\"..\"",
            Code::InvalidExecutionRequest,
        ),
        (
            "\"working_directory\":\".\"",
            "\"working_directory\":\"/tmp\"",
            Code::InvalidExecutionRequest,
        ),
        ("git.push", "git.pull", Code::InvalidExecutionRequest),
        ("aGVsbG8=", "aGVsbG8", Code::InvalidExecutionRequest),
        ("aGVsbG8=", "aGVsbG9=", Code::InvalidExecutionRequest),
        ("aGVsbG8=", "aGVsbG9v", Code::PacketMismatch),
        (
            "\"context\":{}",
            "\"context\":{\"execution_request_id\":\"x\"}",
            Code::InvalidExecutionRequest,
        ),
        (
            "\"schema\":\"permit.execution_request.v1\"",
            "\"request_id\":\"x\"",
            Code::InvalidExecutionRequest,
        ),
    ] {
        assert_eq!(draft(from, to).unwrap_err().code, code, "{to}");
    }
}

#[test]
fn a_blocked_action_covers_its_own_capabilities() {
    let capability = |kind, selector: &str| Capability {
        kind,
        selector: selector.to_owned(),
    };
    for (action, kind, selector, covered) in [
        (BlockedAction::GitPush, Kind::Tool, "git.push", true),
        (BlockedAction::GitPush, Kind::Tool, "git.push.force", true),
        (BlockedAction::GitPush, Kind::Tool, "git.pushing", false),
        (BlockedAction::Deploy, Kind::Tool, "deploy.prod", true),
        (BlockedAction::NetworkEgress, Kind::NetEgress, "https", true),
        (BlockedAction::SecretUse, Kind::SecretUse, "x", true),
        (
            BlockedAction::SecretUse,
            Kind::NetEgress,
            "secret.use",
            false,
        ),
    ] {
        assert_eq!(
            action.covers(&capability(kind, selector)),
            covered,
            "{selector}"
        );
    }
}
