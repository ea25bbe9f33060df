//! Events, commits and streams made by hand from the pages, independently of the program: what an attacker can write.

use std::collections::BTreeMap;
use std::path::Path;

use permit::engine::canonical;
use permit::engine::digest::labelled_hash;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// The tree without entries.
pub(crate) const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Canonical JSON.
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    let text = serde_json::to_vec(value).unwrap();
    canonical::to_bytes(&canonical::parse(&text).unwrap())
}

/// `domain_hash` of core.md section 1, by the last part of the domain.
pub(crate) fn hash(domain: &str, object: &Value) -> String {
    let label = format!("secure_execution_layer.{domain}");
    hex::encode(labelled_hash(&label, &[&canonical(object)]))
}

/// The hash of an event, core.md section 6.
pub(crate) fn event_hash(event: &Value) -> String {
    let mut identity = event.clone();
    let payload = identity.as_object_mut().unwrap().remove("payload").unwrap();
    if identity["prev_event_hash"].is_null() {
        identity["prev_event_hash"] = "".into();
    }
    hash(
        "audit_event.v1",
        &json!({"identity": identity, "body": {"payload": payload}}),
    )
}

/// The artifact of an event.
pub(crate) fn artifact(event: &Value) -> Vec<u8> {
    let hash = event_hash(event);
    canonical(
        &json!({"event": event, "event_hash": hash, "version": 1, "written_by": "supervisor"}),
    )
}

/// A permit with the id that its content gives.
pub(crate) fn with_id(mut permit: Value) -> Value {
    permit.as_object_mut().unwrap().remove("permit_id");
    permit["permit_id"] = hash("execution_permit.v1", &permit).into();
    permit
}

/// The bytes of an event's commit.
pub(crate) fn commit(
    parent: Option<&str>,
    sequence: u64,
    subject: &str,
    artifact: &[u8],
) -> Vec<u8> {
    let parent = parent.map_or_else(String::new, |id| format!("parent {id}\n"));
    let who = format!("permit <permit@invalid> {sequence} +0000");
    let head = format!("tree {EMPTY_TREE}\n{parent}author {who}\ncommitter {who}\n\n{subject}\n\n");
    [head.as_bytes(), artifact].concat()
}

/// The raw commits of a stream, the first event's first.
pub(crate) fn commits(sandbox: &Sandbox, stream: &str) -> Vec<Vec<u8>> {
    let repository = git2::Repository::open(sandbox.path("")).unwrap();
    let database = repository.odb().unwrap();
    let mut found = Vec::new();
    let mut next = Some(sandbox.tip(stream));
    while let Some(id) = next {
        let bytes = database.read(id.parse().unwrap()).unwrap().data().to_vec();
        next = parent(&bytes).map(str::to_owned);
        found.push(bytes);
    }
    found.reverse();
    found
}

/// The first parent that raw commit bytes name.
pub(crate) fn parent(bytes: &[u8]) -> Option<&str> {
    let line = bytes.split(|byte| *byte == b'\n').nth(1)?;
    std::str::from_utf8(line.strip_prefix(b"parent ")?).ok()
}

/// The subject and the artifact in raw commit bytes.
pub(crate) fn message(bytes: &[u8]) -> (String, Vec<u8>) {
    let text = std::str::from_utf8(bytes).unwrap();
    let (_, message) = text.split_once("\n\n").unwrap();
    let (subject, artifact) = message.split_once("\n\n").unwrap();
    (subject.to_owned(), artifact.as_bytes().to_vec())
}

/// The events of a stream, without their hashes.
pub(crate) fn events(sandbox: &Sandbox, stream: &str) -> Vec<Value> {
    let read = |bytes: &Vec<u8>| {
        let artifact: Value = serde_json::from_slice(&message(bytes).1).unwrap();
        artifact["event"].clone()
    };
    commits(sandbox, stream).iter().map(read).collect()
}

/// Writes raw bytes as objects and moves refs, as somebody with the right to push can.
pub(crate) struct Forger {
    repository: git2::Repository,
}

impl Forger {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        Self::at(&sandbox.path(""))
    }

    pub(crate) fn at(path: &Path) -> Self {
        let repository = git2::Repository::open(path).unwrap();
        Self { repository }
    }

    /// Writes a commit and returns its id.
    pub(crate) fn write(&self, bytes: &[u8]) -> String {
        let database = self.repository.odb().unwrap();
        let id = database.write(git2::ObjectType::Commit, bytes).unwrap();
        id.to_string()
    }

    /// Points a stream at a commit.
    pub(crate) fn point(&self, stream: &str, commit: &str) {
        let name = format!("refs/permit/streams/{stream}");
        let path = self.repository.commondir().join(name);
        std::fs::write(path, format!("{commit}\n")).unwrap();
    }

    /// Points a stream at these commits; each but the first is given the id of the one before as its parent.
    pub(crate) fn rewrite(&self, stream: &str, commits: &[Vec<u8>]) {
        let mut last: Option<String> = None;
        for bytes in commits {
            let bytes = match (&last, parent(bytes)) {
                (Some(id), Some(old)) => {
                    let at = "tree \nparent ".len() + EMPTY_TREE.len();
                    let mut bytes = bytes.clone();
                    bytes.splice(at..at + old.len(), id.bytes());
                    bytes
                }
                _ => bytes.clone(),
            };
            last = Some(self.write(&bytes));
        }
        self.point(stream, &last.unwrap());
    }

    /// Points a stream at these events, linked and hashed anew: a consistent rewriting of history.
    pub(crate) fn rewrite_events(&self, stream: &str, events: &[(String, Value)]) {
        let (mut last, mut prev): (Option<String>, _) = (None, String::new());
        for (sequence, (subject, event)) in (0_u64..).zip(events) {
            let mut event = event.clone();
            event["prev_event_hash"] = prev.into();
            event["sequence"] = sequence.into();
            let bytes = commit(last.as_deref(), sequence, subject, &artifact(&event));
            prev = event_hash(&event);
            last = Some(self.write(&bytes));
        }
        self.point(stream, &last.unwrap());
    }

    /// Points a stream at these events, linked and hashed anew with every permit derived for its new link: what a program
    /// with the same rules would have written, but for what the events say that it would not.
    pub(crate) fn rewrite_permits(&self, stream: &str, events: &[(String, Value)]) {
        let mut prev = String::new();
        let mut ids = BTreeMap::new();
        let mut rewritten = Vec::with_capacity(events.len());
        for (subject, event) in events {
            let mut event = event.clone();
            let old = event["payload"]["permit_id"].clone();
            if event["event_type"] == "permit.issued" {
                let payload = &mut event["payload"];
                payload["prev_event_hash"] = json!(prev);
                payload["permit"]["prev_event_hash"] = json!(prev);
                payload["permit"] = with_id(payload["permit"].take());
                payload["permit_id"] = payload["permit"]["permit_id"].clone();
                ids.insert(old.to_string(), payload["permit_id"].clone());
                event["event_id"] = payload["permit_id"].clone();
            } else if let Some(new) = ids.get(&old.to_string()) {
                event["payload"]["permit_id"] = new.clone();
                event["event_id"] = new.clone();
            }
            event["prev_event_hash"] = json!(prev);
            prev = event_hash(&event);
            rewritten.push((subject.clone(), event));
        }
        self.rewrite_events(stream, &rewritten);
    }

    /// Appends an event as its page says, whatever it records.
    pub(crate) fn append(&self, sandbox: &Sandbox, stream: &str, subject: &str, mut event: Value) {
        let before = commits(sandbox, stream);
        let newest: Value = serde_json::from_slice(&message(before.last().unwrap()).1).unwrap();
        event["prev_event_hash"] = newest["event_hash"].clone();
        let sequence = u64::try_from(before.len()).unwrap();
        event["sequence"] = sequence.into();
        let bytes = commit(
            Some(&sandbox.tip(stream)),
            sequence,
            subject,
            &artifact(&event),
        );
        self.point(stream, &self.write(&bytes));
    }
}
