//! The codes are stable for ever: one that is renamed, reclassed or gone shows here.

use insta::assert_snapshot;
use permit::engine::code::{Code, markdown_table};

use crate::sandbox::Sandbox;

#[test]
fn the_table_of_codes() {
    assert_snapshot!(markdown_table());
}

#[test]
fn every_code_has_a_cause_and_a_step() {
    let mut text = String::new();
    for code in Code::ALL {
        text.push_str(&format!("{code}\n  {}\n  {}\n", code.cause(), code.hint()));
    }
    assert_snapshot!(text);
}

#[test]
fn explain_says_what_the_table_says() {
    let sandbox = Sandbox::empty();
    assert_snapshot!(sandbox.permit(&["explain", "CHAIN_TAMPERED"]));
    assert_snapshot!(sandbox.permit(&["explain", "NO_SUCH_CODE"]));
    let found = sandbox.json(&["explain", "expired"]);
    assert_eq!(found["code"], "EXPIRED");
    assert_eq!(found["exit"], 6);
}
