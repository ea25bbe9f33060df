//! Execution permits decided, chained and audited from Git alone: no server, no key, no clock.
//!
//! ```text
//!           argv                                                        stdout / stderr / exit code
//!             |                                                                  ^
//!             v                                                                  |
//!    cli:  Args ----> load ----------> decide ----------> commit ----------> render
//!                      |                  |                  |
//!                      v                  v                  v
//!    git:   Snapshot (bytes at      engine: values     append (compare-and-swap)
//!            one commit)            in, values out
//! ```
//!
//! Every command is that one line, left to right, once. [`engine`] is pure: bytes in, values out. [`git`] hands out
//! bytes and takes commits, and never interprets what it carries. The two do not know each other; [`cli`] joins them.

pub mod cli;
pub mod engine;
pub mod git;
