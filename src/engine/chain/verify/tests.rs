//! A chain walked whole, in either direction and in parts: the same verdict.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::engine::canonical::{Object, Value};
use crate::engine::chain::{EventType, SealedEvent};
use crate::engine::digest::{Fingerprint, PolicyHash};

/// A chain whose events record their numbers; events from `fork` on record other ones.
fn chain(length: u64, fork: u64) -> Vec<String> {
    let policy = PolicyHash::new([1; 32]);
    let mut events = vec![
        SealedEvent::open(
            "main",
            policy,
            crate::engine::digest::CommitSha::new([2; 20]),
        )
        .unwrap(),
    ];
    for number in 1..length {
        let tip = events.last().unwrap().tip();
        let note = if number >= fork {
            -1
        } else {
            i64::try_from(number).unwrap()
        };
        let payload = Object::of([("note", Value::Int(note))]);
        let print = Fingerprint::new([3; 32]);
        let kind = EventType::ToolExecAllowed;
        events.push(SealedEvent::record(kind, &tip, policy, print, payload).unwrap());
    }
    events.iter().map(SealedEvent::artifact).collect()
}

fn verdicts(lines: &[String], point: Option<Expectation>) -> (Verdict, Option<u64>) {
    let run = |order: Order| {
        let mut verifier = Verifier::new(order, None, point);
        let mut show = |line: &String| match Event::read(line.as_bytes()) {
            Ok(event) => verifier.see(&event),
            Err(what) => verifier.note(Verdict::Malformed, verifier.next_sequence(), what),
        };
        match order {
            Order::Forward => lines.iter().for_each(&mut show),
            Order::Backward => lines.iter().rev().for_each(&mut show),
        }
        verifier.finish().map_or_else(
            |fault| (fault.verdict, Some(fault.sequence)),
            |_| (Verdict::Valid, None),
        )
    };
    let forward = run(Order::Forward);
    let malformed = forward.0 == Verdict::Malformed;
    if !malformed {
        assert_eq!(forward, run(Order::Backward), "both directions agree");
    }
    forward
}

fn point(lines: &[String], sequence: usize) -> Expectation {
    let line = lines.get(sequence).unwrap();
    Expectation {
        sequence: u64::try_from(sequence).ok(),
        event_hash: Event::read(line.as_bytes()).unwrap().computed_hash,
    }
}

#[test]
fn a_good_chain_is_valid_and_extends_each_of_its_points() {
    let good = chain(6, 9);
    assert_eq!(verdicts(&good, None), (Verdict::Valid, None));
    for sequence in 0..6 {
        assert_eq!(
            verdicts(&good, Some(point(&good, sequence))),
            (Verdict::Valid, None)
        );
    }
}

#[test]
fn the_first_fault_in_stream_order_gives_the_verdict_in_both_directions() {
    let good = chain(6, 9);
    let edit = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = good.clone();
        change(&mut lines);
        verdicts(&lines, None)
    };
    assert_eq!(verdicts(&[], None), (Verdict::Truncated, Some(0)));
    assert_eq!(edit(&|lines| drop(lines.remove(0))).0, Verdict::Truncated);
    assert_eq!(
        edit(&|lines| drop(lines.remove(3))),
        (Verdict::Tampered, Some(4))
    );
    assert_eq!(edit(&|lines| lines.swap(2, 3)).0, Verdict::Tampered);
    assert_eq!(
        edit(&|lines| lines.insert(3, lines.get(2).unwrap().clone())),
        (Verdict::Tampered, Some(2))
    );
    let other = chain(6, 2);
    let forked = edit(&|lines| lines.insert(3, other.get(2).unwrap().clone()));
    assert_eq!(forked, (Verdict::Forked, Some(2)));
    let tampered = edit(&|lines| {
        let line = lines.get_mut(4).unwrap();
        *line = line.replace("\"note\":4", "\"note\":5");
    });
    assert_eq!(tampered, (Verdict::Tampered, Some(4)));
}

#[test]
fn a_known_point_shows_a_cut_tail_and_another_history() {
    let good = chain(6, 9);
    let cut: Vec<_> = good.iter().take(4).cloned().collect();
    assert_eq!(verdicts(&cut, None), (Verdict::Valid, None));
    assert_eq!(
        verdicts(&cut, Some(point(&good, 5))),
        (Verdict::Truncated, Some(4))
    );
    assert_eq!(
        verdicts(&chain(6, 3), Some(point(&good, 5))),
        (Verdict::Forked, Some(5))
    );
    let unplaced = Some(Expectation {
        sequence: None,
        ..point(&good, 5)
    });
    assert_eq!(verdicts(&good, unplaced), (Verdict::Valid, None));
    assert_eq!(verdicts(&cut, unplaced).0, Verdict::Truncated);
}

/// What is said of a chain that is shown whole, or in parts that begin at each of `cuts` and are then joined.
fn said(order: Order, lines: &[String], point: Option<Expectation>, cuts: &[usize]) -> String {
    let mut shown: Vec<_> = lines.iter().enumerate().collect();
    if order == Order::Backward {
        shown.reverse();
    }
    let stream_id = (order == Order::Backward).then_some("main");
    let mut whole = Verifier::new(order, stream_id, point);
    let mut part = None;
    let mut stopped = false;
    for (index, (_, line)) in shown.into_iter().enumerate() {
        if cuts.contains(&index) {
            if let Some(part) = part.replace(whole.part()) {
                whole.join(part);
            }
            // What comes after the end of a walk is verified in vain.
            if whole.is_decided() || stopped {
                part = None;
                break;
            }
        }
        let verifier = part.as_mut().unwrap_or(&mut whole);
        if stopped || verifier.is_decided() {
            continue;
        }
        match Event::read(line.as_bytes()) {
            Ok(event) => verifier.see(&event),
            Err(what) => {
                verifier.note(Verdict::Malformed, verifier.next_sequence(), what);
                stopped = true;
            }
        }
    }
    if let Some(part) = part {
        whole.join(part);
    }
    format!(
        "{:?} {:?} {:?}",
        whole.events(),
        whole.tip(),
        whole.finish()
    )
}

#[test]
fn parts_that_are_joined_say_what_the_whole_says() {
    let good = chain(6, 9);
    let other = chain(6, 2);
    let mut variants = vec![good.clone(), other.clone(), Vec::new()];
    for at in 0..good.len() {
        let mut vary = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = good.clone();
            change(&mut lines);
            variants.push(lines);
        };
        let replace = |from: &'static str, to: &'static str| {
            move |lines: &mut Vec<String>| {
                let line = lines.get_mut(at).unwrap();
                *line = line.replace(from, to);
            }
        };
        vary(&|lines| drop(lines.remove(at)));
        vary(&|lines| lines.insert(at, good.get(at).unwrap().clone()));
        vary(&|lines| lines.insert(at, other.get(at).unwrap().clone()));
        vary(&|lines| lines.swap(at, at.saturating_sub(1)));
        vary(&|lines| lines.truncate(at));
        vary(&replace("{", "["));
        vary(&replace("\"note\":", "\"none\":"));
        vary(&replace(
            "\"stream_id\":\"main\"}",
            "\"stream_id\":\"mine\"}",
        ));
        vary(&replace("\"sequence\":", "\"sequence\":1"));
        vary(&replace(
            "\"prev_event_hash\":\"\"",
            "\"prev_event_hash\":null",
        ));
        vary(&replace("\"event_hash\":\"", "\"event_hash\":\"0"));
        vary(&replace("d\"}", "e\"}"));
    }
    let points = [None, Some(point(&good, 3)), Some(point(&other, 3))];
    let anywhere = points.map(|point| {
        point.map(|point| Expectation {
            sequence: None,
            ..point
        })
    });
    for lines in &variants {
        for point in points.into_iter().chain(anywhere) {
            for order in [Order::Forward, Order::Backward] {
                let whole = said(order, lines, point, &[]);
                for first in 0..=lines.len() {
                    for second in first..=lines.len() {
                        let parts = said(order, lines, point, &[first, second]);
                        assert_eq!(
                            parts, whole,
                            "{order:?} cut at {first} and {second}: {lines:#?}"
                        );
                    }
                }
            }
        }
    }
}
