#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;

fn draft() -> serde_json::Value {
    serde_json::json!({
        "schema": "permit.execution_request.v1",
        "approval_granted": false, "execution_allowed": false, "runtime_default_activation": false,
        "request": {"schema": "permit.request.v1", "actor_id": "agent:codex",
            "capability": {"kind": "tool", "selector": "deploy.prod"},
            "operation": "execute", "target": "service/web", "context": {}},
        "target_repository": {"name": "acme/web", "url": "https://example.com/acme/web", "commit": "11".repeat(20)},
        "allowed_paths": ["src/**"],
        "harness": {"argv": ["true"], "working_directory": "."},
        "approval_packet": {"media_type": "text/plain", "sha256": sha256(b"go").to_string(), "content_base64": "Z28="},
        "proof_pointers": [], "blocked_actions": ["git.push"], "required_approvers": ["human:jp"]
    })
}

fn complete(draft: &serde_json::Value) -> Result<ExecutionRequest, Code> {
    ExecutionRequest::complete(draft.to_string().as_bytes()).map_err(|refusal| refusal.code)
}

fn with(path: &str, value: serde_json::Value) -> Result<ExecutionRequest, Code> {
    let mut draft = draft();
    *draft.pointer_mut(path).unwrap() = value;
    complete(&draft)
}

#[test]
fn a_draft_becomes_a_record_that_reads_back() {
    let record = complete(&draft()).unwrap();
    let bytes = canonical::to_bytes(&canonical::to_value(&record).unwrap());
    assert_eq!(ExecutionRequest::parse(&bytes).unwrap(), record);
    assert!(
        record
            .is_named(&format!("{}.request.json", record.request_id))
            .is_ok()
    );
    assert_eq!(
        record.is_named("x.request.json").unwrap_err().code,
        Code::RequestIdMismatch
    );
    let altered = String::from_utf8(bytes).unwrap().replace("src/**", "src/*");
    let refused = ExecutionRequest::parse(altered.as_bytes()).unwrap_err();
    assert_eq!(refused.code, Code::RequestIdMismatch);
    let bound = record.bound_request();
    assert_eq!(
        bound.context.get(CONTEXT_KEY).and_then(Value::as_str),
        Some(record.request_id.to_string().as_str())
    );
}

#[test]
fn a_record_cannot_express_an_approval() {
    for flag in APPROVALS {
        for value in [
            serde_json::json!(true),
            "false".into(),
            0.into(),
            serde_json::Value::Null,
        ] {
            let refused = with(&format!("/{flag}"), value);
            assert_eq!(refused, Err(Code::ApprovalInRequest), "{flag}");
        }
    }
}

#[test]
fn what_leads_out_or_hides_something_is_refused() {
    for (path, value) in [
        ("/allowed_paths", serde_json::json!(["/etc/**"])),
        ("/allowed_paths", serde_json::json!(["../x"])),
        ("/allowed_paths", serde_json::json!(["a/../../x"])),
        ("/harness/argv", "cargo test".into()),
        ("/harness/argv", serde_json::json!([])),
        ("/harness/working_directory", "..".into()),
        ("/harness/working_directory", "/tmp".into()),
        (
            "/request/context",
            serde_json::json!({"execution_request_id": "x"}),
        ),
        ("/blocked_actions", serde_json::json!(["rm"])),
        ("/schema", "permit.execution_request.v2".into()),
    ] {
        assert_eq!(
            with(path, value.clone()),
            Err(Code::InvalidExecutionRequest),
            "{path} {value}"
        );
    }
    assert_eq!(
        with("/approval_packet/content_base64", "Z28h".into()),
        Err(Code::PacketMismatch)
    );
}

#[test]
fn a_blocked_action_covers_its_selectors_and_its_kind() {
    let capability = |kind, selector: &str| Capability {
        kind,
        selector: selector.to_owned(),
    };
    assert!(BlockedAction::Deploy.covers(&capability(Kind::Tool, "deploy")));
    assert!(BlockedAction::Deploy.covers(&capability(Kind::Tool, "deploy.prod")));
    assert!(!BlockedAction::Deploy.covers(&capability(Kind::Tool, "deployer")));
    assert!(BlockedAction::NetworkEgress.covers(&capability(Kind::NetEgress, "http")));
    assert!(!BlockedAction::NetworkEgress.covers(&capability(Kind::SecretUse, "http")));
    assert!(BlockedAction::SecretUse.covers(&capability(Kind::SecretUse, "vault")));
}

#[test]
fn everybody_who_must_approve_has_signed() {
    let record = complete(&draft()).unwrap();
    assert!(record.is_approved_by(&["human:jp".to_owned()]).is_ok());
    let refused = record.is_approved_by(&["human:bo".to_owned()]).unwrap_err();
    assert_eq!(refused.code, Code::ApproverMissing);
    assert_eq!(
        ExecutionRequest::needs_review(Effect::Allow)
            .unwrap_err()
            .code,
        Code::ReviewNotRequired
    );
}
