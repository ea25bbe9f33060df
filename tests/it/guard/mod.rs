//! The receive boundary: real pushes from clones into a bare repository with the hook.

mod attacks;
mod check;
mod claims;
mod classes;
mod days;
mod emergency;
mod forge;
mod gaps;
mod landed;
mod modes;
mod offline;
mod raw;
mod reuse;
pub(crate) mod streams;
mod transaction;
mod walkthrough;
mod worker;
pub(crate) mod world;
