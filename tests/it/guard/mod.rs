//! The receive boundary: real pushes from clones into a bare repository with the hook.

mod classes;
mod modes;
mod streams;
pub(crate) mod world;
