//! Only a URL in its normal form can be allowed.

use permit::engine::evaluate::evaluate;
use permit::engine::policy::Policy;
use permit::engine::request::Request;
use proptest::prelude::*;
use serde_json::json;
use url::Url;

use super::config;
use crate::sandbox::fixtures;

/// The policy of acme, where one host may be read and nothing else.
fn acme() -> Policy {
    let path = fixtures().join("repos/acme/governance/policy/acme.policy.json");
    Policy::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn asks(target: &str) -> Option<Request> {
    let request = json!({"schema": "permit.request.v1", "actor_id": "agent:a", "operation": "GET", "target": target,
                         "capability": {"kind": "net_egress", "selector": "https"}, "context": {}});
    Request::parse(&serde_json::to_vec(&request).unwrap()).ok()
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn only_a_url_in_its_normal_form_is_allowed(
        scheme in prop::sample::select(vec!["https", "HTTPS", "http", "wss"]),
        user in prop::sample::select(vec!["", "", "", "ana@", "ana:x@", "@"]),
        host in prop::sample::select(vec!["api.example.com", "API.example.com", "api.example.com.", "example.com", "a.b.example.com", "127.0.0.1", "[::1]", "localhost", "api.example.com%2eevil.org", "api。example.com", "xn--api.example.com", "api.example.com\\@evil.org"]),
        port in prop::sample::select(vec!["", "", "", ":443", ":", ":8443", ":0443"]),
        path in prop::collection::vec(prop::sample::select(vec!["/", "v1", "v1/", "..", ".", "%2e%2E", "%2f", "\\", "a", "//", "%41", "é", " ", "?", "#", ";", "%"]), 0..6),
    ) {
        let target = format!("{scheme}://{user}{host}{port}/{}", path.concat());
        let (policy, Some(request)) = (acme(), asks(&target)) else { return Ok(()); };
        let decision = evaluate(&request, &policy).unwrap();
        let severity = decision.mapping().final_severity.word();
        if severity == "allow" {
            let url = Url::parse(&target).unwrap();
            prop_assert_eq!(url.as_str(), &target);
            prop_assert!(target.starts_with("https://api.example.com/v1/"), "{}", target);
            let before_query = target.split('?').next().unwrap();
            for hidden in ["..", "/./", "%2e", "%2f", "\\", "#"] {
                prop_assert!(!before_query.to_lowercase().contains(hidden), "{}", target);
            }
        } else {
            let plain = target.starts_with("https://api.example.com/v1/") && path.iter().all(|part| ["v1", "v1/", "a", "/"].contains(part));
            prop_assert!(!plain || target.contains("//v1") , "{} was refused", target);
        }
    }
}
