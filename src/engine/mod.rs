//! The pure engine: bytes in, values out. No clock, disk, environment, process, network or Git.
pub mod canonical;
pub mod chain;
pub mod code;
pub mod digest;
pub mod evaluate;
pub mod hap;
pub mod permit;
pub mod policy;
pub mod replay;
pub mod request;
pub mod review;
pub mod sshsig;
pub mod text;
pub mod validity;
