//! The Human Agency Protocol, version 0.3: were the right humans asked, about exactly this commit?
//!
//! Turns file contents, changed paths and times that the caller hands over into contexts, attestations and verdicts.
//! Imports nothing outside the engine: no Git, clock, disk or network.
//!
//! A change declares its [`profile`] and execution path in its own commit ([`declaration`]). From that, the base and
//! the changed paths everybody computes the same [`context`] and [`frame`]. The owner of each domain that the path
//! requires answers three questions, of which only hashes travel ([`gate`]), and signs a [`request`]; the Service
//! Provider checks who that was ([`identity`]), that the person owns the domain ([`owners`]) and holds a live grant
//! ([`authority`]), and signs an [`attestation`] ([`provider`]). An executor decides from these proofs alone
//! ([`authorize`]). Attestations can be chained into a decision [`stream`]; a disputed one is judged again as of the
//! time at which it was issued ([`dispute`]). [`guides`] are the structural checks that stand before an attestation.
//!
//! What is verified is commitment, not comprehension (section 3.2): that a key which speaks for a person committed
//! to this frame, in this context, at this time, with declared authority. Nothing here knows whether anybody read or
//! understood anything, and gate texts are hashed and forgotten.

pub mod attestation;
pub mod authority;
pub mod authorize;
pub mod context;
pub mod declaration;
pub mod dispute;
pub mod execution;
pub mod frame;
pub mod gate;
pub mod guides;
pub mod hash;
pub mod identity;
pub mod key;
pub mod names;
pub mod owners;
pub mod profile;
pub mod provider;
pub mod providers;
pub mod received;
pub mod record;
pub mod request;
pub mod stream;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

/// What a path holds in one commit's tree, as the caller found it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// The tree has no such path.
    Absent,
    /// A regular file with these bytes.
    File(&'a [u8]),
    /// A symlink, a submodule or a folder: present, but nothing that could be read as a file.
    Irregular,
}
