//! `permit issue`.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

fn issue(sandbox: &Sandbox, name: &str) -> String {
    sandbox.permit(&["issue", "--request", &format!("requests/{name}.json")])
}

#[test]
fn every_effect_in_one_stream() {
    let sandbox = Sandbox::opened();
    assert_snapshot!("allow_bounded", issue(&sandbox, "read"));
    assert_snapshot!("allow_one_shot", issue(&sandbox, "build"));
    assert_snapshot!("warn_for_one_commit", issue(&sandbox, "write"));
    assert_snapshot!("block_by_rule", issue(&sandbox, "env"));
    assert_snapshot!("block_by_default", issue(&sandbox, "unknown"));
    assert_snapshot!("net_egress", issue(&sandbox, "fetch"));
    assert_snapshot!("secret_use", issue(&sandbox, "token"));
    assert_snapshot!("review_is_pending", issue(&sandbox, "ship"));
}
