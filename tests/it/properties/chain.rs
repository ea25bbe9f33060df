//! A chain that was changed in any way is not valid, unless what is left is its beginning.

use permit::engine::chain::{Event, Order, Verdict, Verifier};
use proptest::prelude::*;

use super::config;
use crate::sandbox::Sandbox;

/// A short chain, as lines.
fn chain() -> &'static [Vec<u8>] {
    static CHAIN: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    CHAIN.get_or_init(|| {
        let text = Sandbox::chain().ok(&["stream", "export", "main", "--jsonl", "-"]);
        text.lines().map(|line| line.as_bytes().to_vec()).collect()
    })
}

fn is_valid(lines: &[Vec<u8>]) -> bool {
    let mut verifier = Verifier::new(Order::Forward, None, None);
    for line in lines {
        match Event::read(line) {
            Ok(event) => verifier.see(&event),
            Err(what) => verifier.note(Verdict::Malformed, verifier.next_sequence(), what),
        }
    }
    verifier.finish().is_ok()
}

#[derive(Debug, Clone)]
enum Change {
    Byte(prop::sample::Index, prop::sample::Index, u8),
    Insert(prop::sample::Index, prop::sample::Index, u8),
    Remove(prop::sample::Index, prop::sample::Index),
    Drop(prop::sample::Index),
    Copy(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Splice(
        prop::sample::Index,
        prop::sample::Index,
        prop::sample::Index,
    ),
}

fn changes() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), index(), any::<u8>()).prop_map(|(a, b, c)| Change::Byte(a, b, c)),
        (index(), index(), any::<u8>()).prop_map(|(a, b, c)| Change::Insert(a, b, c)),
        (index(), index()).prop_map(|(a, b)| Change::Remove(a, b)),
        index().prop_map(Change::Drop),
        (index(), index()).prop_map(|(a, b)| Change::Copy(a, b)),
        (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        (index(), index(), index()).prop_map(|(a, b, c)| Change::Splice(a, b, c)),
    ]
}

fn apply(lines: &mut Vec<Vec<u8>>, change: &Change) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len();
    match change {
        Change::Byte(line, at, byte) => {
            let line = &mut lines[line.index(count)];
            if !line.is_empty() {
                let at = at.index(line.len());
                line[at] = *byte;
            }
        }
        Change::Insert(line, at, byte) => {
            let line = &mut lines[line.index(count)];
            line.insert(at.index(line.len() + 1), *byte);
        }
        Change::Remove(line, at) => {
            let line = &mut lines[line.index(count)];
            if !line.is_empty() {
                line.remove(at.index(line.len()));
            }
        }
        Change::Drop(line) => drop(lines.remove(line.index(count))),
        Change::Copy(from, to) => {
            let line = lines[from.index(count)].clone();
            lines.insert(to.index(count + 1), line);
        }
        Change::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
        Change::Splice(from, to, at) => {
            // The end of one event behind the beginning of another.
            let end = lines[from.index(count)].clone();
            let line = &mut lines[to.index(count)];
            let at = at.index(line.len().min(end.len()) + 1);
            line.truncate(at);
            line.extend_from_slice(&end[at.min(end.len())..]);
        }
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_mutated_chain_is_never_valid(changes in prop::collection::vec(changes(), 1..4)) {
        let mut lines = chain().to_vec();
        for change in &changes {
            apply(&mut lines, change);
        }
        // What is left when only the tail is cut off is a chain: a checkpoint tells (README, limits).
        let is_beginning = !lines.is_empty() && chain().starts_with(&lines);
        prop_assert_eq!(is_valid(&lines), is_beginning, "{:?}", changes);
    }
}
