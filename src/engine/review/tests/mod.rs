//! The page's validity list, violated one line at a time and in pairs, and the formats around it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formats;
mod judging;
mod violations;
mod world;
