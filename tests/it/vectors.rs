//! Vectors: hashes made by another implementation, and one file for each kind of wrong input.
//!
//! `fixtures/vectors/{policy,request,permit}/<what_is_wrong>.json` says which `code` is expected and, where it has one,
//! `at` which JSON path the refusal names. The input is `text` or `hex` as it stands, or a good document that is changed in
//! one place: `set` (JSON pointer to value), `remove` (pointers), `repeat` (pointer to text and count), `upper` (pointers).

use std::collections::BTreeMap;
use std::fs;

use permit::engine::canonical::{self, to_bytes};
use permit::engine::chain::{Event, Order, Verdict, Verifier};
use permit::engine::code::{Code, Refusal};
use permit::engine::digest::labelled_hash;
use permit::engine::permit::Permit;
use permit::engine::policy::Policy;
use permit::engine::request::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::sandbox::{Sandbox, files_below, fixtures};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    code: Code,
    at: Option<String>,
    text: Option<String>,
    hex: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    repeat: BTreeMap<String, (String, usize)>,
    #[serde(default)]
    upper: Vec<String>,
}

impl Vector {
    fn input(&self, good: &Value) -> Vec<u8> {
        if let Some(text) = &self.text {
            return text.clone().into_bytes();
        }
        if let Some(text) = &self.hex {
            return hex::decode(text).unwrap();
        }
        let mut document = good.clone();
        for (pointer, value) in &self.set {
            set(&mut document, pointer, value.clone());
        }
        for pointer in &self.remove {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = document
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap();
            assert!(parent.remove(key).is_some(), "nothing at {pointer}");
        }
        for (pointer, (text, count)) in &self.repeat {
            set(&mut document, pointer, text.repeat(*count).into());
        }
        for pointer in &self.upper {
            let text = document.pointer(pointer).unwrap().as_str().unwrap();
            let text = text.to_ascii_uppercase();
            set(&mut document, pointer, text.into());
        }
        assert_ne!(&document, good, "the vector changes nothing");
        serde_json::to_vec(&document).unwrap()
    }
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        Value::Object(members) => drop(members.insert(key.to_owned(), value)),
        other => panic!("{other} has no member {key}"),
    }
}

/// Runs every vector of an area against a good document, which itself is accepted.
fn run(area: &str, good: &Value, parse: impl Fn(&[u8]) -> Result<(), Refusal>) {
    parse(&serde_json::to_vec(good).unwrap()).unwrap();
    let folder = fixtures().join("vectors").join(area);
    let mut wrong = Vec::new();
    for name in files_below(&folder) {
        let vector: Vector = serde_json::from_slice(&fs::read(folder.join(&name)).unwrap())
            .unwrap_or_else(|error| panic!("{area}/{name}: {error}"));
        match parse(&vector.input(good)) {
            Ok(()) => wrong.push(format!("{name}: accepted")),
            Err(refusal) if refusal.code != vector.code => {
                wrong.push(format!("{name}: {} {refusal}", refusal.code));
            }
            Err(refusal) => {
                let at = vector
                    .at
                    .iter()
                    .all(|at| refusal.to_string().contains(at.as_str()));
                if !at {
                    wrong.push(format!("{name}: names another place: {refusal}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{area}:\n{}", wrong.join("\n"));
}

fn fixture(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixtures().join(name)).unwrap()).unwrap()
}

#[test]
fn no_wrong_policy_is_accepted() {
    let good = fixture("repos/acme/governance/policy/acme.policy.json");
    run("policy", &good, |bytes| Policy::parse(bytes).map(drop));
}

#[test]
fn no_wrong_request_is_accepted() {
    let good = fixture("repos/acme/requests/read.json");
    run("request", &good, |bytes| Request::parse(bytes).map(drop));
}

#[test]
fn no_wrong_permit_is_accepted() {
    let good = Sandbox::chain().kept("read");
    run("permit", &good, |bytes| Permit::parse(bytes).map(drop));
}

#[derive(Deserialize)]
struct Hashed {
    input: String,
    canonical_hex: String,
    domain: String,
    domain_hash: String,
}

#[test]
fn canonical_bytes_and_domain_hashes_are_those_of_the_other_implementation() {
    let cases: Vec<Hashed> =
        serde_json::from_value(fixture("vectors/core/canonical_and_domain_hash.json")).unwrap();
    assert_eq!(cases.len(), 40);
    for case in cases {
        let value = canonical::parse(case.input.as_bytes()).unwrap();
        let bytes = to_bytes(&value);
        assert_eq!(hex::encode(&bytes), case.canonical_hex, "{}", case.input);
        assert_eq!(
            hex::encode(labelled_hash(&case.domain, &[&bytes])),
            case.domain_hash
        );
        let again = canonical::parse(&bytes).unwrap();
        assert_eq!(
            to_bytes(&again),
            bytes,
            "canonical bytes are their own canonical form"
        );
    }
}

/// Hashes the member `input` of every case under a domain and compares it with the member `id`.
fn same_hashes(file: &str, input: &str, id: &str, domain: &str) -> usize {
    let cases = fixture(file);
    let cases = cases.as_array().unwrap();
    for case in cases {
        let text = serde_json::to_vec(&case[input]).unwrap();
        let bytes = to_bytes(&canonical::parse(&text).unwrap());
        let hash = hex::encode(labelled_hash(domain, &[&bytes]));
        assert_eq!(Some(hash.as_str()), case[id].as_str());
    }
    cases.len()
}

#[test]
fn permit_ids_are_those_of_the_other_implementation() {
    let domain = "secure_execution_layer.execution_permit.v1";
    let count = same_hashes("vectors/core/permit_ids.json", "body", "permit_id", domain);
    assert!(count > 10);
}

#[test]
fn request_fingerprints_are_those_of_the_other_implementation() {
    let domain = "secure_execution_layer.request_fingerprint.v1";
    let file = "vectors/core/request_fingerprints.json";
    assert!(same_hashes(file, "input", "request_fingerprint", domain) > 5);
}

#[test]
fn a_stream_of_the_other_implementation_is_valid_in_the_engine_and_on_the_command_line() {
    let path = fixtures().join("vectors/core/foreign_stream.jsonl");
    let bytes = fs::read(&path).unwrap();
    let mut verifier = Verifier::new(Order::Forward, None, None);
    for line in bytes
        .strip_suffix(b"\n")
        .unwrap()
        .split(|byte| *byte == b'\n')
    {
        verifier.see(&Event::read(line).unwrap());
    }
    let chain = verifier.finish().unwrap();
    assert_eq!(chain.events(), 12);

    let sandbox = Sandbox::empty();
    let path = path.to_str().unwrap();
    let found = sandbox.json(&["verify-chain", "--jsonl", path]);
    assert_eq!(found["verdict"], Verdict::Valid.word());
    assert_eq!(found["events"], 12);
    assert_eq!(found["tip"], chain.tip().event_hash.to_string());
    let tip = chain.tip().event_hash.to_string();
    let found = sandbox.json(&["verify-chain", "--jsonl", path, "--expect-tip", &tip]);
    assert_eq!(found["verdict"], "VALID");

    let text = String::from_utf8(bytes).unwrap();
    for (what, changed) in [
        (
            "CHAIN_TRUNCATED",
            text.split_once('\n').unwrap().1.to_owned(),
        ),
        ("CHAIN_MALFORMED", text.replacen('\n', "\r\n", 1)),
        ("CHAIN_MALFORMED", format!("{text}\n")),
        (
            "CHAIN_MALFORMED",
            text.replacen(":null,\"r", ":\"\" ,\"r", 1),
        ),
        ("CHAIN_TAMPERED", text.replacen("aios-main", "aios-mein", 1)),
        ("CHAIN_TRUNCATED", String::new()),
    ] {
        let run = sandbox.run_with(
            &["verify-chain", "--format", "json", "--jsonl", "-"],
            changed.as_bytes(),
        );
        assert!(run.stdout.contains(what), "{what}: {}", run.stdout);
        assert_eq!(run.exit, 5);
    }
    let unended = text.strip_suffix('\n').unwrap();
    let run = sandbox.run_with(&["verify-chain", "--jsonl", "-"], unended.as_bytes());
    assert_eq!(run.exit, 0, "a last line without its line feed is read");
}
