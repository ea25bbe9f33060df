//! What a decision is about, down to the bytes: a manifest envelope (reviews.md, Manifest envelope).
//!
//! `id = domain_hash(manifest_envelope.v1, {"purpose", "artifacts"})`. A changed artifact makes the approval stale.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::canonical::{self, Fault, Object, Value};
use super::super::code::{Code, Refusal};
use super::super::digest::{Digest, Domain, ManifestId, domain_hash};
use super::super::policy::MAX_ENTRIES;
use super::super::text::text_fault;
use super::MAX_FILE;

/// The largest artifact that a manifest may list, in bytes.
pub const MAX_ARTIFACT: u64 = 512 << 20;

/// A manifest envelope: what a decision is about, down to the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "permit.manifest.v1")]
pub struct Manifest {
    schema: Schema,
    /// The id that it states.
    pub manifest_envelope_id: ManifestId,
    /// What the artifacts are for.
    pub purpose: String,
    /// The artifacts, sorted by path.
    pub artifacts: Vec<Listed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Schema {
    #[serde(rename = "permit.manifest.v1")]
    V1,
}

/// One artifact as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its path in the tree.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What stands at an artifact's path in the governed commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A directory, a symlink or a submodule.
    NotAFile,
    /// A regular file of more than [`MAX_ARTIFACT`] bytes, which was not read.
    TooLarge,
    /// A regular file.
    File {
        /// SHA-256 of its bytes.
        sha256: Digest,
        /// Its size in bytes.
        size: u64,
    },
}

impl Manifest {
    /// Makes an envelope of artifacts in any order.
    ///
    /// # Errors
    /// `INVALID_MANIFEST` where there is no artifact, a path twice, or a path that could not be listed.
    pub fn new(purpose: impl Into<String>, mut artifacts: Vec<Listed>) -> Result<Self, Refusal> {
        artifacts.sort_by(|left, right| left.path.as_bytes().cmp(right.path.as_bytes()));
        let mut manifest = Self {
            schema: Schema::V1,
            manifest_envelope_id: ManifestId::new([0; 32]),
            purpose: purpose.into(),
            artifacts,
        };
        manifest.check().map_err(|fault| refusal(&fault))?;
        manifest.manifest_envelope_id = manifest.computed_id()?;
        Ok(manifest)
    }

    /// Reads an envelope; its id is not compared yet.
    ///
    /// # Errors
    /// `INVALID_MANIFEST` with the JSON path of the first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let read = || {
            if bytes.len() > MAX_FILE {
                return Err(Fault::new("$", "larger than 8 MiB"));
            }
            let manifest: Self = canonical::from_slice(bytes)?;
            manifest.check()?;
            Ok(manifest)
        };
        read().map_err(|fault| refusal(&fault))
    }

    fn check(&self) -> Result<(), Fault> {
        if self.artifacts.is_empty() {
            return Err(Fault::new("$.artifacts", "names no artifact"));
        }
        if self.artifacts.len() > MAX_ENTRIES {
            return Err(Fault::new("$.artifacts", "names more than 10000 artifacts"));
        }
        let mut before: Option<&str> = None;
        for (index, listed) in self.artifacts.iter().enumerate() {
            let fault = |member: &str, what: &str| {
                Err(Fault::new("$", what)
                    .within_member(member)
                    .within_item(index)
                    .within_member("artifacts"))
            };
            if let Some(what) = artifact_path_fault(&listed.path) {
                return fault("path", what);
            }
            if before.is_some_and(|before| before.as_bytes() >= listed.path.as_bytes()) {
                return fault("path", "is there twice, or not sorted by its bytes");
            }
            if listed.size > MAX_ARTIFACT {
                return fault("size", "is more than 512 MiB");
            }
            before = Some(&listed.path);
        }
        Ok(())
    }

    /// The id that the content gives: `domain_hash(manifest_envelope.v1, {"purpose", "artifacts"})`.
    ///
    /// # Errors
    /// `INTERNAL` where it cannot be represented.
    pub fn computed_id(&self) -> Result<ManifestId, Refusal> {
        let artifacts = canonical::value_of(&self.artifacts)?;
        let content = Object::of([
            ("purpose", Value::from(self.purpose.as_str())),
            ("artifacts", artifacts),
        ]);
        Ok(ManifestId::new(domain_hash(
            Domain::ManifestEnvelope,
            &content,
        )))
    }

    /// Checks that the envelope states the id that its file is named after.
    ///
    /// # Errors
    /// `MANIFEST_MISMATCH`.
    pub fn is_named(&self, id: ManifestId) -> Result<(), Refusal> {
        if self.manifest_envelope_id == id {
            return Ok(());
        }
        Err(Refusal::new(
            Code::ManifestMismatch,
            "the manifest file states another id than its name",
        )
        .detail("stated", self.manifest_envelope_id.to_string())
        .detail("expected", id.to_string()))
    }

    /// Checks the id against the content, and every artifact against what the governed commit holds at its path.
    ///
    /// `found` is in the order of [`Manifest::artifacts`].
    ///
    /// # Errors
    /// `MANIFEST_MISMATCH` with the first differences; `INVALID_MANIFEST` where it lists what is no regular file.
    pub fn verify(&self, found: &[Found]) -> Result<(), Refusal> {
        let mismatch = |message: &str| Refusal::new(Code::ManifestMismatch, message);
        let computed = self.computed_id()?;
        if self.manifest_envelope_id != computed {
            return Err(mismatch("the manifest's id is not that of its content")
                .detail("stated", self.manifest_envelope_id.to_string())
                .detail("computed", computed.to_string()));
        }
        if found.len() != self.artifacts.len() {
            return Err(mismatch(
                "not every artifact of the manifest was looked for",
            ));
        }
        let pairs = || self.artifacts.iter().zip(found);
        if let Some((listed, _)) = pairs().find(|(_, found)| **found == Found::NotAFile) {
            return Err(Refusal::new(
                Code::InvalidManifest,
                "the manifest lists what is not a regular file in the governed commit",
            )
            .detail("path", listed.path.as_str()));
        }
        let differences: Vec<(&str, String)> = pairs()
            .filter_map(|(listed, found)| Some((listed.path.as_str(), listed.difference(found)?)))
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        let mut refusal = mismatch(&format!(
            "{} of {} artifacts are not what the manifest lists",
            differences.len(),
            self.artifacts.len()
        ));
        for (path, difference) in differences.into_iter().take(SHOWN) {
            refusal = refusal.detail(path, difference);
        }
        Err(refusal)
    }

    /// The folder of envelopes in the governed tree.
    pub const FOLDER: &str = "governance/manifests";

    /// Where the envelope of an id stands in the governed tree.
    #[must_use]
    pub fn path_of(id: ManifestId) -> String {
        format!("{}/{id}.manifest.json", Self::FOLDER)
    }
}

/// How many differences one refusal shows.
const SHOWN: usize = 10;

impl Listed {
    /// Says how what was found differs from what is listed; nothing if it does not.
    #[must_use]
    pub fn difference(&self, found: &Found) -> Option<String> {
        match found {
            Found::Absent => Some("is not in the governed commit".to_owned()),
            Found::NotAFile => Some("is not a regular file in the governed commit".to_owned()),
            Found::TooLarge => Some("is larger than 512 MiB in the governed commit".to_owned()),
            Found::File { sha256, size } if *sha256 == self.sha256 && *size == self.size => None,
            Found::File { sha256, size } => Some(format!(
                "listed as {} bytes of {}, found {size} bytes of {sha256}",
                self.size, self.sha256
            )),
        }
    }
}

/// Says why a text cannot be the path of an artifact; nothing if it can.
#[must_use]
pub fn artifact_path_fault(path: &str) -> Option<&'static str> {
    text_fault(path).or_else(|| {
        if path.starts_with('/') {
            Some("is not relative")
        } else if path
            .split('/')
            .any(|part| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git"))
        {
            Some("is not the plain path of a file in the tree")
        } else {
            None
        }
    })
}

fn refusal(fault: &Fault) -> Refusal {
    Refusal::new(
        Code::InvalidManifest,
        format!("the manifest is malformed at {fault}"),
    )
}
