//! The only module that knows git2.
