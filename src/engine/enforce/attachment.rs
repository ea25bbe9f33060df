//! `governance/enforcement.json`: what is attached beyond the classes that always are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical;
use super::super::code::{Code, Refusal};
use super::super::text::stream_id_fault;
use super::globs::{Globs, InvalidGlob, path_fault};

/// The most boundaries that a document may hold.
const MAX_BOUNDARIES: usize = 10_000;

/// The document that was read strictly.
#[derive(Debug, Clone)]
pub struct Enforcement {
    document: Document,
    globs: Vec<(Globs, Globs)>,
}

/// `permit.enforcement.v1` as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.enforcement.v1")]
pub struct Document {
    schema: Schema,
    /// What is attached.
    pub boundaries: Vec<Attachment>,
    /// The file under the Git directory that decisions are recorded in.
    pub record: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Schema {
    #[serde(rename = "permit.enforcement.v1")]
    V1,
}

/// One thing that is demanded of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    boundary: BoundaryWord,
    class: ClassWord,
    /// Globs of the refs that it is demanded for.
    pub refs: Vec<String>,
    /// Globs of the paths that it is demanded for.
    pub paths: Vec<String>,
    /// The stream on which the permit is looked for.
    pub stream: String,
    require: RequireWord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pusher: Option<PusherWord>,
}

impl Attachment {
    /// Whether the pusher has to be an active principal.
    #[must_use]
    pub fn requires_pusher(&self) -> bool {
        self.pusher.is_some()
    }

    /// Whether a ref is named as it is, and not by a pattern.
    #[must_use]
    pub fn names(&self, reference: &str) -> bool {
        self.refs.iter().any(|name| name == reference)
    }
}

/// What a push does to a ref, as far as paths are concerned.
#[derive(Debug, Clone, Copy)]
pub enum Touched<'a> {
    /// Every path: a mark, and no list.
    Every,
    /// These.
    Paths(&'a [Vec<u8>]),
}

macro_rules! words {
    ($($name:ident = $word:literal;)+) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        enum $name {
            #[serde(rename = $word)]
            Word,
        }
    )+};
}

words! {
    BoundaryWord = "git.receive";
    ClassWord = "content.change";
    RequireWord = "permit";
    PusherWord = "required";
}

impl Enforcement {
    /// The file that decisions are recorded in where nothing else is said.
    pub const DEFAULT_RECORD: &'static str = "permit-guard.jsonl";

    /// Where the document stands in the governed tree.
    pub const PATH: &'static str = "governance/enforcement.json";

    /// Reads the document.
    ///
    /// # Errors
    /// `INVALID_INPUT` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let refused = |what: String| {
            Refusal::new(
                Code::InvalidInput,
                format!("`{}` is malformed at {what}", Self::PATH),
            )
        };
        let document: Document =
            canonical::from_slice(bytes).map_err(|fault| refused(fault.to_string()))?;
        if let Some(what) = record_fault(&document.record) {
            return Err(refused(format!("`$.record`: {what}")));
        }
        if document.boundaries.len() > MAX_BOUNDARIES {
            return Err(refused("`$.boundaries`: too many entries".to_owned()));
        }
        let mut globs = Vec::with_capacity(document.boundaries.len());
        for (index, attachment) in document.boundaries.iter().enumerate() {
            let at = |field: &str, what: &str| {
                refused(format!("`$.boundaries[{index}].{field}`: {what}"))
            };
            if let Some(what) = stream_id_fault(&attachment.stream) {
                return Err(at("stream", what));
            }
            let read = |field: &str, list: &[String]| {
                Globs::new(list).map_err(|fault: InvalidGlob| at(field, &fault.to_string()))
            };
            globs.push((
                read("refs", &attachment.refs)?,
                read("paths", &attachment.paths)?,
            ));
        }
        Ok(Self { document, globs })
    }

    /// The file that decisions are recorded in, relative to the Git directory.
    #[must_use]
    pub fn record(&self) -> &str {
        &self.document.record
    }

    /// What is attached, in the order in which it is written.
    #[must_use]
    pub fn boundaries(&self) -> &[Attachment] {
        &self.document.boundaries
    }

    /// What is attached to a ref, whatever is changed on it, each with whether it is about what is touched.
    pub fn about<'a>(&'a self, reference: &'a str) -> impl Iterator<Item = Attached<'a>> {
        self.document
            .boundaries
            .iter()
            .zip(&self.globs)
            .filter(move |(_, (refs, _))| refs.matches(reference.as_bytes()))
            .map(|(attachment, (_, paths))| Attached { attachment, paths })
    }
}

/// An attachment that is about a ref.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'a> {
    /// As it is written.
    pub attachment: &'a Attachment,
    paths: &'a Globs,
}

impl Attached<'_> {
    /// Whether it is demanded for what is touched.
    #[must_use]
    pub fn demands(&self, touched: Touched<'_>) -> bool {
        match touched {
            Touched::Every => true,
            Touched::Paths(paths) => paths.iter().any(|path| self.paths.matches(path)),
        }
    }
}

fn record_fault(record: &str) -> Option<&'static str> {
    const TAKEN: [&str; 9] = [
        "objects",
        "refs",
        "logs",
        "hooks",
        "info",
        "modules",
        "worktrees",
        "permit-claims",
        "permit-verdicts",
    ];
    path_fault(record).or_else(|| {
        let first = record.split('/').next().unwrap_or_default();
        if TAKEN.contains(&first) || record.split('/').any(|part| part == ".") {
            Some("lies in a folder that is Git's own")
        } else if record.to_ascii_lowercase().ends_with(".jsonl") {
            None
        } else {
            Some("does not end in `.jsonl`")
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn document(record: &str, refs: &str) -> String {
        format!(
            r#"{{"schema":"permit.enforcement.v1","boundaries":[{{"boundary":"git.receive","class":"content.change","refs":[{refs}],"paths":["src/**"],"stream":"main","require":"permit"}}],"record":"{record}"}}"#
        )
    }

    #[test]
    fn a_permit_is_demanded_for_the_refs_and_paths_that_are_named() {
        let text = document("permit-guard.jsonl", r#""refs/heads/main""#);
        let enforcement = Enforcement::parse(text.as_bytes()).unwrap();
        let demands = |reference, touched| {
            let mut about = enforcement.about(reference);
            about.any(|attached| attached.demands(touched))
        };
        let (source, docs) = ([b"src/a".to_vec()], [b"docs/a".to_vec()]);
        assert!(demands("refs/heads/main", Touched::Paths(&source)));
        assert!(!demands("refs/heads/main", Touched::Paths(&docs)));
        assert!(demands("refs/heads/main", Touched::Every));
        assert!(!demands("refs/heads/other", Touched::Paths(&source)));
    }

    #[test]
    fn a_record_stays_in_the_git_directory_and_out_of_gits_way() {
        for record in ["a.jsonl", "permit/a.jsonl"] {
            assert!(Enforcement::parse(document(record, "").as_bytes()).is_ok());
        }
        for record in [
            "",
            "/a.jsonl",
            "../a.jsonl",
            "HEAD",
            "config",
            "refs/a.jsonl",
            "./a.jsonl",
        ] {
            let read = Enforcement::parse(document(record, "").as_bytes());
            assert_eq!(read.unwrap_err().code, Code::InvalidInput, "{record}");
        }
        assert!(Enforcement::parse(document("a.jsonl", r#""/x""#).as_bytes()).is_err());
        assert!(Enforcement::parse(b"{}").is_err());
    }
}
