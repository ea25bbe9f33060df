//! The requests that stand for a push: one for a governance change, one for a change of content.

use super::super::canonical::{Object, Value};
use super::super::code::Refusal;
use super::super::digest::Digest;
use super::super::request::{Capability, Kind, Request};
use super::super::review::NamedAction;

/// Who asks where the server does not say who pushes.
pub const BOUNDARY_ACTOR: &str = "boundary:git.receive";

/// One path of a governance change with the SHA-256 of its bytes before and after; nothing where it is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The path, as it is shown.
    pub path: String,
    /// The bytes before.
    pub before: Option<Digest>,
    /// The bytes after.
    pub after: Option<Digest>,
}

/// The selectors under which a policy may agree to a governance change, in the order in which they are tried: the second
/// is for an emergency, under a rule that was agreed beforehand.
pub const GOVERNANCE_SELECTORS: [&str; 2] = ["governance.change", "governance.emergency"];

/// The address that the reviews of an emergency state.
pub const EMERGENCY_ADDRESS: &str = "tool:governance.emergency/governance";

/// The request that a review of a governance change decides about.
///
/// `changes` are all paths of the class that one commit changes, sorted by bytes; `hap` names the action, where the
/// policy asks for attestations to it.
///
/// # Errors
/// Never: every part is fixed.
pub fn governance_request(
    selector: &str,
    changes: &[Changed],
    hap: Option<&NamedAction>,
) -> Result<Request, Refusal> {
    let digest = |digest: Option<Digest>| digest.map_or_else(String::new, |d| d.to_string());
    let changes = changes
        .iter()
        .map(|changed| {
            Value::Object(Object::of([
                ("path", Value::from(changed.path.clone())),
                ("before_sha256", Value::from(digest(changed.before))),
                ("after_sha256", Value::from(digest(changed.after))),
            ]))
        })
        .collect();
    let mut context = Object::of([("changes", Value::Array(changes))]);
    if let Some(NamedAction {
        repo,
        base,
        head,
        env,
    }) = hap
    {
        let named = Object::of([
            ("repo", Value::from(repo.clone())),
            ("base", Value::from(*base)),
            ("head", Value::from(*head)),
            ("env", Value::from(env.clone())),
        ]);
        context.insert("hap", Value::Object(named));
    }
    Request::new(
        BOUNDARY_ACTOR,
        tool(selector),
        "change",
        "governance",
        context,
    )
}

/// The request of the permit that a change of content needs where `enforcement.json` demands one.
///
/// # Errors
/// `INVALID_REQUEST` where the pusher's name or the ref is no id.
pub fn content_request(
    pusher: &str,
    reference: &str,
    before: &str,
    after: &str,
) -> Result<Request, Refusal> {
    let actor = if pusher.is_empty() {
        BOUNDARY_ACTOR
    } else {
        pusher
    };
    Request::new(
        actor,
        tool("content.change"),
        "push",
        reference,
        Object::of([
            ("before", Value::from(before.to_owned())),
            ("after", Value::from(after.to_owned())),
        ]),
    )
}

fn tool(selector: &str) -> Capability {
    Capability {
        kind: Kind::Tool,
        selector: selector.to_owned(),
    }
}
