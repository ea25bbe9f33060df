//! What the pure engine costs: canonical JSON, one event, one decision.
//!
//! `cargo bench --bench engine`. Events and policies are those of the `limits` bench.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    reason = "a measurement stops where its preparation fails, and uses a part of what the other bench makes"
)]

#[path = "limits/documents.rs"]
mod documents;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use permit::engine::canonical::{parse, to_bytes};
use permit::engine::chain::{Event, Order, SealedEvent, Tip, Verifier};
use permit::engine::digest::{CommitSha, Domain, domain_hash};
use permit::engine::evaluate::{Decision, Grant, evaluate};
use permit::engine::permit::Permit;
use permit::engine::policy::Policy;
use permit::engine::request::Request;

/// A decision that everything else is made of.
struct Case {
    policy: Policy,
    request: Request,
    grant: Grant,
    tip: Tip,
    commit: CommitSha,
}

impl Case {
    fn new() -> Self {
        let policy = Policy::parse(documents::policy(100).to_string().as_bytes()).unwrap();
        let request = Request::parse(documents::request(7).to_string().as_bytes()).unwrap();
        let Decision::Granted(grant) = evaluate(&request, &policy).unwrap() else {
            panic!("the policy asks for a review");
        };
        let commit = "1".repeat(40).parse().unwrap();
        let tip = SealedEvent::open("main", policy.hash(), commit)
            .unwrap()
            .tip();
        Self {
            policy,
            request,
            grant,
            tip,
            commit,
        }
    }

    /// Derives the permit and seals its event.
    fn issue(&self) -> SealedEvent {
        let permit = Permit::derive(&self.grant, &self.tip, self.commit).unwrap();
        SealedEvent::issue(
            &permit,
            &self.request,
            self.grant.mapping(),
            self.commit,
            None,
        )
        .unwrap()
    }
}

/// One event of about 1.5 KB: parsed as a value, written, hashed, read as an event, verified, made.
fn events(bench: &mut Criterion) {
    let case = Case::new();
    let sealed = case.issue();
    let artifact = sealed.artifact();
    let bytes = artifact.as_bytes();
    let value = parse(bytes).unwrap();
    let object = value.as_object().unwrap();
    let event = Event::read(bytes).unwrap();
    let verifier = Verifier::new(Order::Backward, Some("main"), None);
    let mut group = bench.benchmark_group("event");
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap()));
    group.bench_function("parse a value", |b| {
        b.iter(|| parse(black_box(bytes)).unwrap());
    });
    group.bench_function("write it canonically", |b| {
        b.iter(|| to_bytes(black_box(&value)));
    });
    group.bench_function("hash it under a domain", |b| {
        b.iter(|| domain_hash(Domain::AuditEvent, black_box(object)));
    });
    group.bench_function("read and hash an event", |b| {
        b.iter(|| Event::read(black_box(bytes)).unwrap().hash_fits());
    });
    group.bench_function("verify it", |b| {
        b.iter_batched_ref(
            || verifier.part(),
            |part| part.see(&event),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("derive a permit and seal its event", |b| {
        b.iter(|| case.issue());
    });
    group.finish();
}

/// From a policy's bytes to a mapping, by number of rules and mode.
fn decisions(bench: &mut Criterion) {
    let request = Case::new().request;
    for mode in ["deny_wins", "most_specific", "explicit_priority"] {
        let mut group = bench.benchmark_group(mode);
        for rules in [10, 100, 1_000, 10_000] {
            let mut document = documents::policy(rules);
            document["conflict_resolution"]["mode"] = mode.into();
            let text = document.to_string();
            let policy = Policy::parse(text.as_bytes()).unwrap();
            group.bench_with_input(BenchmarkId::new("ask", rules), &policy, |b, policy| {
                b.iter(|| evaluate(black_box(&request), policy).unwrap());
            });
            group.bench_with_input(
                BenchmarkId::new("read and hash", rules),
                &text,
                |b, text| {
                    b.iter(|| Policy::parse(text.as_bytes()).unwrap().hash());
                },
            );
        }
        group.finish();
    }
}

criterion_group!(benches, events, decisions);
criterion_main!(benches);
