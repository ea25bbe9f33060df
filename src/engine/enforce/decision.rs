//! Intent and finding to a decision; the same intent and the same state give the same bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{self, Fault, Object, Value, to_bytes};
use super::super::code::{Code, Refusal};
use super::class::Class;
use super::mode::Mode;
use super::paths::Paths;

/// Where a mutation is judged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Boundary {
    /// A push into a governed repository.
    #[serde(rename = "git.receive")]
    GitReceive,
    /// The run of a program.
    #[serde(rename = "exec")]
    Exec,
}

/// What somebody is about to change: `permit.mutation_intent.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    schema: IntentSchema,
    /// Where it was seen.
    pub boundary: Boundary,
    /// Which class of mutation.
    pub class: Class,
    /// Who asks, as the boundary was told; empty if unknown.
    pub actor_id: String,
    /// The ref, or the permit's id.
    pub subject: String,
    /// The object before, empty if there is none.
    pub before: String,
    /// The object after, empty if there is none.
    pub after: String,
    /// The paths that are touched; nothing where no rule asks for them, or where every path counts.
    pub paths: Option<Paths>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum IntentSchema {
    #[serde(rename = "permit.mutation_intent.v1")]
    V1,
}

impl Intent {
    /// Makes the intent to change a ref.
    #[must_use]
    pub fn of_ref(
        class: Class,
        actor_id: &str,
        subject: &str,
        [before, after]: [&str; 2],
        paths: Option<Paths>,
    ) -> Self {
        Self {
            schema: IntentSchema::V1,
            boundary: Boundary::GitReceive,
            class,
            actor_id: actor_id.to_owned(),
            subject: subject.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            paths,
        }
    }
}

impl Intent {
    /// The intent of a push of which not even the refs are known.
    #[must_use]
    pub fn of_push() -> Self {
        Self::of_ref(Class::GovernanceChange, "", "", ["", ""], None)
    }
}

/// What was found out about an intent: nothing against it, or the reason, and the state that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Why not; nothing where the intent is allowed.
    pub refusal: Option<Refusal>,
    /// The part of the projection that decided.
    pub context: Object<'static>,
}

impl Finding {
    /// Finds nothing against an intent.
    #[must_use]
    pub fn allowed() -> Self {
        Self {
            refusal: None,
            context: Object::new(),
        }
    }

    /// Adds what the decision rests on.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value<'static>>) -> Self {
        self.context.insert(key, value.into());
        self
    }
}

impl From<Refusal> for Finding {
    fn from(refusal: Refusal) -> Self {
        let mut context = Object::new();
        for (name, values) in refusal.grouped() {
            let value = match values.as_slice() {
                [value] => Value::from((*value).to_owned()),
                values => Value::Array(
                    values
                        .iter()
                        .map(|value| Value::from((*value).to_owned()))
                        .collect(),
                ),
            };
            context.insert(name.to_owned(), value);
        }
        context.insert("message", Value::from(refusal.message.clone()));
        Self {
            refusal: Some(refusal),
            context,
        }
    }
}

impl From<Result<(), Refusal>> for Finding {
    fn from(result: Result<(), Refusal>) -> Self {
        result.map_or_else(Self::from, |()| Self::allowed())
    }
}

/// The decision about one intent: `permit.enforcement_decision.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    schema: DecisionSchema,
    /// What the policy model says, whatever the mode.
    pub allow: bool,
    /// The reason; `OK` where it is allowed.
    pub reason: String,
    /// The part of the projection that decided.
    pub context: Object<'static>,
    /// The mode that the boundary ran in.
    pub mode: Mode,
    /// What became of it.
    pub effective: Effective,
    /// What was decided about.
    pub intent: Intent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum DecisionSchema {
    #[serde(rename = "permit.enforcement_decision.v1")]
    V1,
}

/// What became of an intent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Effective {
    /// It went through.
    Allow,
    /// It was blocked.
    Deny,
}

impl Effective {
    /// The word that stands in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Effective::Allow => "allow",
            Effective::Deny => "deny",
        }
    }
}

impl Decision {
    /// Decides: the finding says what is right, the mode only whether a "no" blocks.
    #[must_use]
    pub fn new(intent: Intent, finding: &Finding, mode: Mode) -> Self {
        let reason = finding.refusal.as_ref().map_or(Code::Ok, |r| r.code);
        let allow = reason == Code::Ok;
        Self {
            schema: DecisionSchema::V1,
            allow,
            reason: reason.name().to_owned(),
            context: finding.context.clone(),
            mode,
            effective: if allow || mode != Mode::Enforce {
                Effective::Allow
            } else {
                Effective::Deny
            },
            intent,
        }
    }

    /// Under which name the context holds the open gap that the decision was about.
    pub const GAP: &'static str = "gap";

    /// Under which name the context says whether the refs stood where the line says; only a "no" is written.
    pub const UNCOMPARED: &'static str = "compared";

    /// Whether nobody compared the line with the refs: it says nothing of where one stands.
    #[must_use]
    pub fn is_uncompared(&self) -> bool {
        self.context.get(Self::UNCOMPARED) == Some(&Value::Bool(false))
    }

    /// Says that nobody compared the line with the refs.
    #[must_use]
    pub fn uncompared(mut self) -> Self {
        self.context.insert(Self::UNCOMPARED, Value::Bool(false));
        self
    }

    /// The open gap that the decision was about, as `FROM..TO`.
    #[must_use]
    pub fn gap(&self) -> Option<&str> {
        self.context.get(Self::GAP).and_then(Value::as_str)
    }

    /// The canonical bytes, without a line end: at most 64 KiB, so that whoever reads a record knows how long a line is.
    ///
    /// Where the context is what makes it longer, a line names the size of the context in place of it, beside what says
    /// how the line is to be read.
    ///
    /// # Errors
    /// Never: the fields are strings, words and canonical values.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        const MOST: usize = 64 << 10;
        let bytes = canonical::to_value(self).map(|value| to_bytes(&value))?;
        if bytes.len() < MOST {
            return Ok(bytes);
        }
        let context = to_bytes(&Value::Object(self.context.clone()));
        let length = i64::try_from(context.len()).unwrap_or(i64::MAX);
        let mut context = Object::of([("bytes_left_out", Value::from(length))]);
        for key in [Self::GAP, Self::UNCOMPARED] {
            if let Some(value) = self.context.get(key) {
                context.insert(key, value.clone());
            }
        }
        let cut = Self {
            context,
            ..self.clone()
        };
        canonical::to_value(&cut).map(|value| to_bytes(&value))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn intent() -> Intent {
        let paths: [&[u8]; 2] = [b"a/\xff", b"b"];
        Intent::of_ref(
            Class::ContentChange,
            "human:ana",
            "refs/heads/main",
            ["1", ""],
            Some(Paths::of(paths)),
        )
    }

    #[test]
    fn the_same_intent_and_finding_give_the_same_bytes_and_read_back() {
        let finding =
            Finding::from(Refusal::new(Code::PermitRequired, "no").detail("stream", "main"));
        let decision = Decision::new(intent(), &finding, Mode::Enforce);
        let bytes = decision.to_bytes().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            r#"{"allow":false,"context":{"message":"no","stream":"main"},"effective":"deny","intent":{"actor_id":"human:ana","after":"","before":"1","boundary":"git.receive","class":"content.change","paths":{"count":2,"digest":"67677a15e60335ba134598437a5ebe30b949d3fcc95512f4dc6b776f6ddc99cf","first":["a/\\xff","b"]},"schema":"permit.mutation_intent.v1","subject":"refs/heads/main"},"mode":"enforce","reason":"PERMIT_REQUIRED","schema":"permit.enforcement_decision.v1"}"#
        );
        assert_eq!(
            Decision::new(intent(), &finding, Mode::Enforce)
                .to_bytes()
                .unwrap(),
            bytes
        );
        assert_eq!(canonical::from_slice::<Decision>(&bytes).unwrap(), decision);
    }

    #[test]
    fn the_mode_changes_what_is_blocked_and_nothing_else() {
        let no = Finding::from(Refusal::new(Code::StreamDelete, "no"));
        let in_mode = |mode, finding| {
            let decision = Decision::new(intent(), finding, mode);
            (decision.allow, decision.reason, decision.effective)
        };
        let reason = "STREAM_DELETE".to_owned();
        assert_eq!(
            in_mode(Mode::Enforce, &no),
            (false, reason.clone(), Effective::Deny)
        );
        assert_eq!(
            in_mode(Mode::Shadow, &no),
            (false, reason, Effective::Allow)
        );
        let yes = Finding::allowed();
        assert_eq!(
            in_mode(Mode::Enforce, &yes),
            (true, "OK".to_owned(), Effective::Allow)
        );
    }
}
