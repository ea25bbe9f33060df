//! Reading Git safely (core.md section 9): what is planted in a repository changes nothing, or is refused with its code.

mod disk;
mod governed;
mod objects;
mod places;

const POLICY: &str = "governance/policy/acme.policy.json";
const EVAL: [&str; 3] = ["eval", "--request", "requests/read.json"];
const ISSUE: [&str; 3] = ["issue", "--request", "requests/read.json"];
