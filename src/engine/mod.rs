//! The pure engine: bytes in, values out.
pub mod code;
