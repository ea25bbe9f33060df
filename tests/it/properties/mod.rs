//! Properties over generated values. The seed is fixed, so that a run can be repeated; `PROPTEST_CASES` asks for more.

mod canonical;
mod chain;
mod policy;
mod resolver;
mod urls;

use proptest::test_runner::{Config, RngSeed};

fn config(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    Config {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20),
        ..Config::default()
    }
}
