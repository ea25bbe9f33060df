//! The pure engine: bytes in, values out.
pub mod canonical;
pub mod code;
pub mod digest;
pub mod text;
