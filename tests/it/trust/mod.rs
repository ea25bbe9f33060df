//! The trust root: who names it, where that counts, and what moves it.

mod host;
mod origins;
mod pin;
