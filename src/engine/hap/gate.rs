//! Gate texts to gate hashes: what an owner wrote, as a hash that proves it if they ever publish it (section 16).
//!
//! `gate hash = sha256(exact UTF-8 bytes)`: no trimming, no other line ends, no Unicode normalization. A gate is closed
//! when its text holds anything but white space; nothing looks at what the text means. Texts are never kept, and no
//! message repeats them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hash::HashText;
use super::profile::{Gate, Profile};
use crate::engine::code::{Code, Refusal};

/// The three hashes of an attestation; all are present, whatever the profile requires to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateHashes {
    /// Of the text about the problem.
    pub problem: HashText,
    /// Of the text about the outcome that is wanted.
    pub objective: HashText,
    /// Of the text about what is given up.
    pub tradeoffs: HashText,
}

/// The exact bytes that an owner entered for each gate.
#[derive(Clone, Copy)]
pub struct GateTexts<'a> {
    /// What problem is being solved.
    pub problem: &'a [u8],
    /// What outcome is wanted.
    pub objective: &'a [u8],
    /// What is given up.
    pub tradeoffs: &'a [u8],
}

impl GateTexts<'_> {
    /// Closes the gates: checks that each that the profile requires says something, and hashes all three.
    ///
    /// # Errors
    /// `GATE_UNRESOLVED`: a required gate holds only white space. `INVALID_INPUT`: a text is not UTF-8.
    pub fn close(&self, profile: &Profile) -> Result<GateHashes, Refusal> {
        for gate in Gate::ALL {
            let closed = is_closed(gate, self.of(gate))?;
            if !closed && profile.required_gates.contains(&gate) {
                return Err(open(gate));
            }
        }
        Ok(GateHashes {
            problem: HashText::of(self.problem),
            objective: HashText::of(self.objective),
            tradeoffs: HashText::of(self.tradeoffs),
        })
    }

    fn of(&self, gate: Gate) -> &[u8] {
        match gate {
            Gate::Problem => self.problem,
            Gate::Objective => self.objective,
            Gate::Tradeoffs => self.tradeoffs,
        }
    }
}

impl GateHashes {
    /// The hash of one gate.
    #[must_use]
    pub fn of(&self, gate: Gate) -> HashText {
        match gate {
            Gate::Problem => self.problem,
            Gate::Objective => self.objective,
            Gate::Tradeoffs => self.tradeoffs,
        }
    }

    /// Refuses hashes that show by themselves that a required gate is open: that of no text at all.
    ///
    /// A provider sees hashes only, and cannot tell white space from words.
    ///
    /// # Errors
    /// `GATE_UNRESOLVED`.
    pub fn check_closed(&self, profile: &Profile) -> Result<(), Refusal> {
        let nothing = HashText::of(b"");
        match profile
            .required_gates
            .iter()
            .find(|gate| self.of(**gate) == nothing)
        {
            Some(gate) => Err(open(*gate)),
            None => Ok(()),
        }
    }

    /// Compares published texts with the hashes: for each gate that was published, whether it is what was attested to.
    #[must_use]
    pub fn matches(&self, published: &BTreeMap<Gate, &[u8]>) -> BTreeMap<Gate, bool> {
        published
            .iter()
            .map(|(gate, text)| (*gate, HashText::of(text) == self.of(*gate)))
            .collect()
    }
}

/// Tells whether a gate's text closes it: whether it holds a character that is no white space.
///
/// # Errors
/// `INVALID_INPUT`: the text is not UTF-8.
pub fn is_closed(gate: Gate, text: &[u8]) -> Result<bool, Refusal> {
    let text = std::str::from_utf8(text).map_err(|_| {
        Refusal::new(
            Code::InvalidInput,
            format!("the text of gate `{}` is not UTF-8", gate.key()),
        )
    })?;
    Ok(!text.chars().all(is_white_space))
}

/// The white space that ECMAScript's `trim` removes, which is what the protocol's other programs test with.
const fn is_white_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

fn open(gate: Gate) -> Refusal {
    Refusal::new(
        Code::GateUnresolved,
        format!("gate `{}` is open: its text says nothing", gate.key()),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::engine::hap::profile::SHIPPED;

    #[test]
    fn white_space_of_any_kind_leaves_a_gate_open() {
        for text in ["", " \n\t", "\u{a0}", "\u{feff}", "\u{2003}\r\n"] {
            assert_eq!(
                is_closed(Gate::Problem, text.as_bytes()),
                Ok(false),
                "{text:?}"
            );
        }
        for text in ["x", " x ", "\u{200b}", "\u{85}"] {
            assert_eq!(
                is_closed(Gate::Problem, text.as_bytes()),
                Ok(true),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_refusal_never_repeats_the_text() {
        let refusal = is_closed(Gate::Problem, b"secret plan \xff").unwrap_err();
        assert_eq!(refusal.code, Code::InvalidInput);
        assert!(!refusal.message.contains("secret"));
    }

    #[test]
    fn an_open_gate_is_seen_by_its_owner_and_in_its_hash() {
        let profile = Profile::parse(SHIPPED).unwrap();
        let texts = GateTexts {
            problem: b"p",
            objective: b"o",
            tradeoffs: b" \n",
        };
        assert_eq!(
            texts.close(&profile).unwrap_err().code,
            Code::GateUnresolved
        );
        let hashes = GateHashes {
            problem: HashText::of(b"p"),
            objective: HashText::of(b""),
            tradeoffs: HashText::of(b"t"),
        };
        assert_eq!(
            hashes.check_closed(&profile).unwrap_err().code,
            Code::GateUnresolved
        );
    }
}
