//! The policy format, one fault at a time, and every way to decide a conflict.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::too_many_lines, reason = "a table of cases is read as one")]

use super::super::canonical::Object;
use super::super::request::{Capability, Kind, Request};
use super::*;

/// A policy with these rules and these switches.
pub(crate) fn policy(mode: &str, tie: &str, order: &str, rules: &str) -> String {
    format!(
        r#"{{"schema":"permit.policy.v1","policy_id":"p","policy_version":"v1","interpretation_authority":"supervisor",
        "supervisor_id":"supervisor:x","default_effect":"block",
        "conflict_resolution":{{"mode":"{mode}","tie_breaker":"{tie}","stable_order_mode":"{order}"}},
        "severity_to_gating":{{"allow":"proceed","warn":"proceed_emit_audit","block":"deny_emit_audit","review":"pause_pending_ledger"}},
        "admitted_repositories":["acme/web"],
        "review_types":{{"t":{{"min_cross_signers":2,"reviewer_roles":["council"],"require_user_presence":false}},
                        "a":{{"attestations":{{"profile":"deploy-gate@0.3","env":"prod"}}}}}},
        "rules":[{rules}]}}"#
    )
}

fn plain(rules: &str) -> String {
    policy("deny_wins", "stable_order", "lexical_rule_id", rules)
}

/// A `tool` rule with these matchers.
fn rule(id: &str, effect: &str, priority: u32, order: u32, target: &str) -> String {
    let rest = match effect {
        "block" => "",
        "review" => r#","grant":{"mode":"one_shot","sequence_span":0},"review_type":"t""#,
        _ => r#","grant":{"mode":"bounded","sequence_span":3}"#,
    };
    format!(
        r#"{{"id":"{id}","effect":"{effect}","priority":{priority},"order_index":{order},
        "match":{{"actor":{{"any":true}},"capability":{{"kind":"tool","selector":{{"exact":"fs.read"}}}},
        "operation":{{"any":true}},"target":{target}}}{rest}}}"#
    )
}

fn egress(effect: &str, url: &str) -> String {
    rule("net", effect, 1, 1, "0")
        .replace(r#""kind":"tool""#, r#""kind":"net_egress""#)
        .replace(r#""target":0"#, &format!(r#""url":{url}"#))
}

fn secret(effect: &str, body: &str) -> String {
    rule("sec", effect, 1, 1, "0")
        .replace(r#""kind":"tool""#, r#""kind":"secret_use""#)
        .replace(r#""target":0"#, &format!(r#""secret":{body}"#))
}

fn request(kind: Kind, operation: &str, target: &str) -> Request {
    let capability = Capability {
        kind,
        selector: "fs.read".to_owned(),
    };
    Request::new("agent:x", capability, operation, target, Object::new()).unwrap()
}

fn decide(policy: &str, request: &Request) -> String {
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    match policy.resolve(&Subject::new(request)) {
        Ok(resolution) => resolution
            .rule
            .map_or("default", |rule| &rule.id)
            .to_owned(),
        Err(refusal) => refusal.code.name().to_owned(),
    }
}

fn fault(policy: &str) -> String {
    let refusal = Policy::parse(policy.as_bytes()).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidPolicy);
    let message = refusal.message;
    message
        .strip_prefix("the governed policy is malformed at ")
        .unwrap_or(&message)
        .to_owned()
}

#[test]
fn every_fault_is_refused_with_its_path() {
    let any = r#"{"any":true}"#;
    let url = |body: &str| plain(&egress("allow", body));
    let mut wrong = Vec::new();
    for (policy, expected) in [
        (
            plain(&rule("a", "allow", 1, 1, r#"{"any":false}"#)),
            "`$.rules[0].match.target.any`: is `false`, only `true` can stand here",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"a$"}"#)),
            "`$.rules[0].match.target.regex`: must be anchored: written `^…$`",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"^a)|(?:b$"}"#)),
            "`$.rules[0].match.target.regex`: unopened group",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"^a\\$"}"#)),
            "`$.rules[0].match.target.regex`: incomplete escape sequence, reached end of pattern prematurely",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"regex":"^(?x)a # $"}"#)),
            "`$.rules[0].match.target.regex`: unclosed group",
        ),
        (
            plain(&rule("a", "allow", 1, 1, r#"{"exact":"a","any":true}"#)),
            "`$.rules[0].match.target`: must have exactly one member, `exact`, `one_of`, `prefix`, `glob`, `regex`, `any`; found 2",
        ),
        (
            plain(&rule("default", "allow", 1, 1, any)),
            "`$.rules[0].id`: `default` names the default effect",
        ),
        (
            plain(&rule("", "allow", 1, 1, any)),
            "`$.rules[0].id`: is empty",
        ),
        (
            plain(&rule("a", "allow", 2_147_483_648, 1, any)),
            "`$.rules[0].priority`: must be at most 2147483647, found 2147483648",
        ),
        (
            plain(&[rule("a", "allow", 1, 1, any), rule("a", "block", 1, 2, any)].join(",")),
            "`$.rules[1].id`: is the id of another rule too",
        ),
        (
            policy(
                "deny_wins",
                "stable_order",
                "order_index",
                &[rule("a", "allow", 1, 1, any), rule("b", "block", 1, 1, any)].join(","),
            ),
            "`$.rules[1].order_index`: is the order index of another rule too, and it decides the stable order",
        ),
        (
            plain(
                &rule("a", "block", 1, 1, any)
                    .replace(r#""effect":"block""#, r#""effect":"allow""#),
            ),
            "`$.rules[0].grant`: is missing",
        ),
        (
            plain(
                &rule("a", "allow", 1, 1, any)
                    .replace(r#""effect":"allow""#, r#""effect":"block""#),
            ),
            "`$.rules[0].grant`: stands on a `block`, which grants nothing",
        ),
        (
            plain(
                &rule("a", "review", 1, 1, any)
                    .replace(r#""review_type":"t""#, r#""review_type":"u""#),
            ),
            "`$.rules[0].review_type`: is not one of the policy's review types; did you mean `a`?",
        ),
        (
            plain(
                &rule("a", "review", 1, 1, any)
                    .replace(r#""effect":"review""#, r#""effect":"warn""#),
            ),
            "`$.rules[0].review_type`: stands only on a `review`",
        ),
        (
            plain(&rule("a", "allow", 1, 1, any).replace(
                "bounded\",\"sequence_span\":3",
                "bounded\",\"sequence_span\":0",
            )),
            "`$.rules[0].grant.sequence_span`: must be at least 1, found 0",
        ),
        (
            plain(&rule("a", "allow", 1, 1, any)).replace("deny_wins", "allow_wins"),
            "`$.conflict_resolution.mode`: must be one of `deny_wins`, `most_specific`, `explicit_priority`, found `allow_wins`",
        ),
        (
            plain("").replace(
                "\"default_effect\":\"block\"",
                "\"default_effect\":\"allow\"",
            ),
            "`$.default_effect`: must be `block`, found `allow`",
        ),
        (
            plain("").replace("\"warn\":\"proceed_emit_audit\"", "\"warn\":\"proceed\""),
            "`$.severity_to_gating.warn`: must be `proceed_emit_audit`, found `proceed`",
        ),
        (
            plain("").replace("\"min_cross_signers\":2,", ""),
            "`$.review_types.t.min_cross_signers`: is missing",
        ),
        (
            plain("").replace("[\"council\"]", "[\"boss\"]"),
            "`$.review_types.t.reviewer_roles[0]`: must be one of `domain_admin`, `company_admin`, `council`, `sovereign`, found `boss`",
        ),
        (
            plain("").replace("\"rules\"", "\"more\":1,\"rules\""),
            "`$.more`: is not a field",
        ),
        (
            plain("").replace("\"policy_version\":\"v1\",", ""),
            "`$.policy_version`: is missing",
        ),
        (
            plain(&egress("allow", "0").replace(r#""url":0"#, r#""target":{"any":true}"#)),
            "`$.rules[0].match.target`: stands in a rule of kind `net_egress` that permits, which has `url` instead",
        ),
        (
            url(r#"{"host":"*","path_prefix":"/","methods":["GET"],"max_subdomain_depth":1}"#),
            "`$.rules[0].match.url.host`: holds a bare or inner `*`, which covers too much",
        ),
        (
            url(r#"{"host":"API.example.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"api.example.com:8443","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"u@api.example.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"a.example/b","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: is not a host in its normal form",
        ),
        (
            url(r#"{"host":"api.example.com","path_prefix":"v1","methods":["GET"]}"#),
            "`$.rules[0].match.url.path_prefix`: does not begin with `/`",
        ),
        (
            url(r#"{"host":"api.example.com","path_prefix":"/a/../b","methods":["GET"]}"#),
            "`$.rules[0].match.url.path_prefix`: is not a path in its normal form",
        ),
        (
            url(r#"{"host":"api.example.com","path_prefix":"/","methods":[]}"#),
            "`$.rules[0].match.url.methods`: is empty",
        ),
        (
            url(r#"{"host":"a..com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: has an empty label",
        ),
        (
            url(r#"{"host":".a.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.host`: has an empty label",
        ),
        (
            url(r#"{"host":"*.com.","path_prefix":"/","methods":["GET"],"max_subdomain_depth":1}"#),
            "`$.rules[0].match.url.host`: has an empty label",
        ),
        (
            url(r#"{"host":"a.com","path_prefix":"/a%2","methods":["GET"]}"#),
            "`$.rules[0].match.url.path_prefix`: holds a `%` without its two hex digits",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"exact":""}"#)),
            "`$.rules[0].match.target.exact`: is empty",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"exact":"a\tb"}"#)),
            "`$.rules[0].match.target.exact`: holds a control character",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"prefix":"a\n"}"#)),
            "`$.rules[0].match.target.prefix`: holds a control character",
        ),
        (
            url(r#"{"host":"*.example.com","path_prefix":"/","methods":["GET"]}"#),
            "`$.rules[0].match.url.max_subdomain_depth`: is missing",
        ),
        (
            url(
                r#"{"host":"example.com","path_prefix":"/","methods":["GET"],"max_subdomain_depth":1}"#,
            ),
            "`$.rules[0].match.url.max_subdomain_depth`: stands only beside a wildcard host",
        ),
        (
            plain(&secret(
                "allow",
                r#"{"provider":"vault","key":{"any":true},"injection":["header","url_path"]}"#,
            )),
            "`$.rules[0].match.secret.injection[1]`: stands only in a `review` or `block` rule: a URL is logged wherever it passes",
        ),
        (
            plain(&secret(
                "allow",
                r#"{"provider":"disk","key":{"any":true},"injection":["header"]}"#,
            )),
            "`$.rules[0].match.secret.provider`: must be one of `vault`, `env`, `keychain`, `kms`, found `disk`",
        ),
    ] {
        let found = fault(&policy);
        if found != expected {
            wrong.push(format!("- {expected}\n+ {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_could_match_nothing_or_means_something_else_is_refused() {
    let get = r#"{"host":"api.example.com","path_prefix":"/","methods":["GET"]}"#;
    let with = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        plain(&text.replace(from, to))
    };
    let operation = r#""operation":{"any":true}"#;
    let grant = r#""grant":{"mode":"bounded","sequence_span":3}"#;
    let read = || rule("a", "allow", 1, 1, r#"{"any":true}"#);
    let target = |target: &str| plain(&rule("a", "allow", 1, 1, target));
    let exec = |exec: &str| with(read(), grant, &format!(r#"{grant},"exec":{exec}"#));
    for (policy, expected) in [
        (
            with(egress("allow", get), "GET", "get"),
            "`$.rules[0].match.url.methods[0]`: must be upper-case: no request has another",
        ),
        (
            with(
                egress("allow", get),
                operation,
                r#""operation":{"exact":"POST"}"#,
            ),
            "`$.rules[0].match.operation`: excludes every one of `methods`, so that the rule matches nothing",
        ),
        (
            with(
                secret(
                    "allow",
                    r#"{"provider":"vault","key":{"any":true},"injection":["header"]}"#,
                ),
                operation,
                r#""operation":{"one_of":["bearer","body_field"]}"#,
            ),
            "`$.rules[0].match.operation`: excludes every one of `injection`, so that the rule matches nothing",
        ),
        (
            target(r#"{"prefix":""}"#),
            "`$.rules[0].match.target.prefix`: is empty",
        ),
        (
            plain("").replace(r#""min_cross_signers":2"#, r#""min_cross_signers":1"#),
            "`$.review_types.t.min_cross_signers`: must be at least 2, found 1",
        ),
        (
            target(r#"{"one_of":["a","b","a"]}"#),
            "`$.rules[0].match.target.one_of[2]`: stands there twice",
        ),
        (
            target(r#"{"one_of":[]}"#),
            "`$.rules[0].match.target.one_of`: must hold 1 to 256 strings, found 0",
        ),
        (
            target(r#"{"glob":"a/../b"}"#),
            "`$.rules[0].match.target.glob`: holds a segment `..`, which no path that is allowed has",
        ),
        (
            target(r#"{"glob":"a/{b,..}/c"}"#),
            "`$.rules[0].match.target.glob`: holds a segment `..`, which no path that is allowed has",
        ),
        (
            target(r#"{"glob":"a/b**"}"#),
            "`$.rules[0].match.target.glob`: holds `**` that does not stand alone between two `/`",
        ),
        (
            target(r#"{"glob":"a\\*"}"#),
            "`$.rules[0].match.target.glob`: holds a backslash: a glob has no escapes",
        ),
        (
            target(r#"{"glob":"a/[/]"}"#),
            "`$.rules[0].match.target.glob`: holds a class that matches nothing: a class never matches `/`",
        ),
        (
            with(read(), operation, r#""operation":{"glob":"a*"}"#),
            "`$.rules[0].match.operation.glob`: stands only on a target",
        ),
        (
            target(r#"{"prefx":"a"}"#),
            "`$.rules[0].match.target.prefx`: is not a matcher; did you mean `prefix`?",
        ),
        (
            with(read(), grant, &format!(r#"{grant},"description":"""#)),
            "`$.rules[0].description`: is empty",
        ),
        (
            with(read(), grant, &format!(r#"{grant},"descripton":"x""#)),
            "`$.rules[0].descripton`: is not a field; did you mean `description`?",
        ),
        (
            with(
                read(),
                grant,
                &format!(r#"{grant},"description":"{}""#, "é".repeat(501)),
            ),
            "`$.rules[0].description`: is longer than 500 characters",
        ),
        (exec("{}"), "`$.rules[0].exec.argv`: is missing"),
        (
            exec(r#"{"argv":[{"rest":{"any":true}},{"any":true}]}"#),
            "`$.rules[0].exec.argv[0].rest`: stands only in the last place",
        ),
        (
            exec(r#"{"argv":[{"exact":"ls"}],"shell":true}"#),
            "`$.rules[0].exec.shell`: is not a field",
        ),
        (
            exec(r#"{"argv":[{"exact":"ls"}],"allowed_paths":["a/../b"]}"#),
            "`$.rules[0].exec.allowed_paths[0]`: holds a segment `..`, which no path that is allowed has",
        ),
        (
            exec(r#"{"argv":[{"exact":"ls"}],"env":["LANG","LD_PRELOAD"]}"#),
            "`$.rules[0].exec.env[1]`: names a variable that changes what a program is, which nobody may set",
        ),
        (
            exec(r#"{"argv":[{"regex":"a"}]}"#),
            "`$.rules[0].exec.argv[0].regex`: must be anchored: written `^…$`",
        ),
        (
            plain(&rule("a", "block", 1, 1, r#"{"any":true}"#).replace(
                r#""order_index":1,"#,
                r#""order_index":1,"exec":{"argv":[{"exact":"ls"}]},"#,
            )),
            "`$.rules[0].exec`: stands only on an `allow` or `warn` rule of kind `tool`",
        ),
    ] {
        assert_eq!(fault(&policy), expected, "{policy}");
    }
    // A rule that denies may say what can never be: it only says it in vain.
    for url in [
        get.replace("api.example.com", "10.0.0.1"),
        get.replace("GET", "get"),
    ] {
        assert!(
            Policy::parse(plain(&egress("block", &url)).as_bytes()).is_ok(),
            "{url}"
        );
    }
}

#[test]
fn every_fault_is_found_at_once() {
    let text = plain(
        &[
            rule("a", "alow", 1, 1, r#"{"prefx":"a"}"#),
            rule("b", "allow", 1, 1, r#"{"any":1}"#)
                .replace(r#""sequence_span":3"#, r#""sequence_span":"3""#),
        ]
        .join(","),
    )
    .replace(r#""policy_id":"p","#, "");
    let faults = Draft::read(text.as_bytes()).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`policy_id` is missing",
            "rule `a`: `effect` must be one of `allow`, `warn`, `review`, `block`, found `alow`; did you mean `allow`?",
            "rule `a`: `match.target.prefx` is not a matcher; did you mean `prefix`?",
            "rule `b`: `match.target.any` must be `true` or `false`, found an integer",
            "rule `b`: `grant.sequence_span` must be an integer, found text",
        ]
    );
}

#[test]
fn one_of_and_globs_match_and_count_as_they_should() {
    let glob = |glob: &str, target: &str| {
        let policy = plain(&rule(
            "a",
            "allow",
            1,
            1,
            &format!(r#"{{"glob":"{glob}"}}"#),
        ));
        decide(&policy, &request(Kind::Tool, "read", target)) == "a"
    };
    for (pattern, target, expected) in [
        ("workspace/src/**", "workspace/src/a/b.rs", true),
        ("workspace/src/**", "workspace/source/a.rs", false),
        ("workspace/*.rs", "workspace/a.rs", true),
        ("workspace/*.rs", "workspace/a/b.rs", false),
        ("workspace/**/*.rs", "workspace/b.rs", true),
        ("**/x", "a/b/x", true),
        ("a?c", "aéc", true),
        ("a?c", "a/c", false),
        ("a[!b]c", "a/c", false),
        ("a[!b]c", "aéc", true),
        ("a[!b]c", "abc", false),
        ("a[+-9]c", "a/c", false),
        ("a[+-9]c", "a.c", true),
        ("a[+-9]c", "a-c", true),
        ("a[]]c", "a]c", true),
        ("a[a^!-]c", "a^c", true),
        ("a[a^!-]c", "a-c", true),
        ("a{b,c/d}e", "ac/de", true),
        ("a{,b}", "a", true),
        ("A", "a", false),
        ("a.c", "abc", false),
    ] {
        assert_eq!(glob(pattern, target), expected, "{pattern} {target}");
    }
    let specific = [
        rule("glob", "allow", 1, 1, r#"{"glob":"workspace/src/**"}"#),
        rule("prefix", "block", 1, 2, r#"{"prefix":"workspace/"}"#),
        rule("one", "warn", 1, 3, r#"{"one_of":["workspace/src/a","b"]}"#),
    ]
    .join(",");
    let specific = policy("most_specific", "fail_closed", "lexical_rule_id", &specific);
    for (target, expected) in [
        ("workspace/src/a", "one"),
        ("workspace/src/b", "glob"),
        ("workspace/x", "prefix"),
        ("b", "one"),
    ] {
        assert_eq!(
            decide(&specific, &request(Kind::Tool, "read", target)),
            expected
        );
    }
    // `one_of` names no path as it is written: a fault is met by `exact` alone.
    let faulty = plain(&rule("a", "allow", 1, 1, r#"{"one_of":["a/../b"]}"#));
    assert_eq!(
        decide(&faulty, &request(Kind::Tool, "read", "a/../b")),
        "default"
    );
}

#[test]
fn a_pattern_is_bounded_and_all_patterns_share_one_budget() {
    let regex = |id: &str, pattern: &str| {
        rule(
            id,
            "allow",
            1,
            1,
            &format!(r#"{{"regex":"{}"}}"#, pattern.replace('\\', r"\\")),
        )
    };
    let answer = |patterns: &[&str]| {
        let rules: Vec<_> = patterns
            .iter()
            .enumerate()
            .map(|(index, pattern)| regex(&format!("r{index}"), pattern))
            .collect();
        Policy::parse(plain(&rules.join(",")).as_bytes()).map_err(|refusal| refusal.code)
    };
    let long = format!("^{}$", "a".repeat(20_000));
    let folded = format!("^(?:{})$", r"[\w&&a]".repeat(1_500));
    for pattern in [
        "^(?:a{1000}){1000}{1000}$",
        "^[a-z]{9999}[0-9]{9999}$",
        "^\\w{1000}$",
        &long,
        &folded,
    ] {
        assert_eq!(
            answer(&[pattern]).unwrap_err(),
            Code::LimitExceeded,
            "{pattern}"
        );
    }
    for pattern in ["^[a-z]{4000}[0-9]{4000}$", "^\\w{20}$", "^(?i)[a-z]{500}$"] {
        assert!(answer(&[pattern]).is_ok(), "{pattern}");
    }
    let heavy = vec!["^[a-z]{4000}[0-9]{4000}$"; 200];
    assert_eq!(answer(&heavy).unwrap_err(), Code::LimitExceeded);
}

#[test]
fn a_draft_is_read_without_a_look_at_its_patterns() {
    let text = plain(&rule(
        "a",
        "allow",
        1,
        1,
        r#"{"regex":"^(?:a{1000}){1000}{1000}$"}"#,
    ));
    let draft = Draft::parse(text.as_bytes()).unwrap();
    let same = plain(&rule(
        "a",
        "allow",
        1,
        1,
        r#"{"regex":"^(?:a{1000}){1000}{1000}$"}"#,
    ));
    assert_eq!(draft.hash(), Draft::parse(same.as_bytes()).unwrap().hash());
    assert_eq!(draft.compile().unwrap_err().code, Code::LimitExceeded);
}

#[test]
fn a_path_fault_meets_every_rule_that_denies_and_only_an_exact_one_that_allows() {
    let faulty = "workspace/src/../governance/x";
    let matches = |effect: &str, target: &str, asked: &str| {
        let policy = plain(&rule("a", effect, 1, 1, target));
        decide(&policy, &request(Kind::Tool, "read", asked)) == "a"
    };
    for effect in ["allow", "warn"] {
        for target in [
            r#"{"any":true}"#,
            r#"{"prefix":"workspace/"}"#,
            r#"{"regex":"^workspace/.*$"}"#,
        ] {
            assert!(!matches(effect, target, faulty), "{effect} {target}");
            assert!(
                matches(effect, target, "workspace/a..b/..c"),
                "{effect} {target}"
            );
        }
        let exact = format!(r#"{{"exact":"{faulty}"}}"#);
        assert!(matches(effect, &exact, faulty));
        assert!(!matches(effect, &exact, "workspace/src/../governance/y"));
    }
    for effect in ["review", "block"] {
        for target in [
            r#"{"exact":"z"}"#,
            r#"{"prefix":"other/"}"#,
            r#"{"regex":"^z$"}"#,
        ] {
            assert!(matches(effect, target, faulty), "{effect} {target}");
            assert!(!matches(effect, target, "workspace/x"), "{effect} {target}");
        }
    }
    let other = plain(&rule("a", "block", 1, 1, r#"{"any":true}"#).replace(
        r#""operation":{"any":true}"#,
        r#""operation":{"exact":"write"}"#,
    ));
    assert_eq!(
        decide(&other, &request(Kind::Tool, "read", faulty)),
        "default"
    );
}

#[test]
fn the_hash_is_free_of_layout_and_bound_to_all_else() {
    let rules = [
        rule("b", "allow", 1, 1, r#"{"any":true}"#),
        rule("a", "block", 1, 2, r#"{"any":true}"#),
    ];
    let hash = |text: &str| Policy::parse(text.as_bytes()).unwrap().hash();
    let written = plain(&rules.join(","));
    let mut turned = rules.clone();
    turned.reverse();
    assert_eq!(hash(&written), hash(&plain(&turned.join(","))));
    assert_eq!(hash(&written), hash(&written.replace(',', " ,\n\t")));
    for (from, to) in [
        ("\"policy_version\":\"v1\"", "\"policy_version\":\"v2\""),
        ("\"policy_id\":\"p\"", "\"policy_id\":\"q\""),
        ("supervisor:x", "supervisor:y"),
        ("deny_wins", "most_specific"),
        ("\"stable_order\"", "\"fail_closed\""),
        ("lexical_rule_id", "order_index"),
        ("acme/web", "acme/app"),
        ("\"min_cross_signers\":2", "\"min_cross_signers\":3"),
        ("\"sequence_span\":3", "\"sequence_span\":4"),
        ("\"priority\":1", "\"priority\":2"),
    ] {
        assert_ne!(hash(&written), hash(&written.replace(from, to)), "{from}");
    }
}

#[test]
fn each_mode_picks_by_its_own_rank() {
    let read = request(Kind::Tool, "read", "workspace/a");
    let rules = [
        rule("wide-block", "block", 1, 3, r#"{"prefix":"work"}"#),
        rule("long-allow", "allow", 5, 2, r#"{"prefix":"workspace/"}"#),
        rule("exact-warn", "warn", 3, 1, r#"{"exact":"workspace/a"}"#),
    ]
    .join(",");
    for (mode, expected) in [
        ("deny_wins", "wide-block"),
        ("most_specific", "exact-warn"),
        ("explicit_priority", "long-allow"),
    ] {
        for tie in ["stable_order", "fail_closed"] {
            assert_eq!(
                decide(&policy(mode, tie, "order_index", &rules), &read),
                expected
            );
        }
    }
    let tied = [
        rule("b", "allow", 1, 1, r#"{"any":true}"#),
        rule("a", "warn", 1, 2, r#"{"any":true}"#),
    ]
    .join(",");
    for (tie, order, expected) in [
        ("stable_order", "lexical_rule_id", "a"),
        ("stable_order", "order_index", "b"),
        ("fail_closed", "order_index", "AMBIGUOUS_MAPPING"),
    ] {
        assert_eq!(
            decide(&policy("explicit_priority", tie, order, &tied), &read),
            expected
        );
    }
    assert_eq!(decide(&plain(""), &read), "default");
}

#[test]
fn a_url_matches_only_in_its_normal_form_and_on_the_public_web() {
    let url = r#"{"host":"*.example.com","path_prefix":"/v1/","methods":["GET"],"max_subdomain_depth":1}"#;
    let allows = plain(&egress("allow", url));
    let blocks = plain(&egress("block", url));
    for (target, operation, allowed, blocked) in [
        ("https://api.example.com/v1/x?q=..", "GET", true, true),
        ("https://api.example.com/v1/", "POST", false, false),
        ("https://example.com/v1/", "GET", false, false),
        ("https://a.b.example.com/v1/", "GET", false, false),
        ("https://api.example.com.evil.org/v1/", "GET", false, false),
        ("http://api.example.com/v1/", "GET", false, false),
        ("https://u:p@api.example.com/v1/", "GET", false, false),
        ("https://api.example.com/v1/#f", "GET", false, false),
        ("https://api.example.com./v1/", "GET", false, false),
        // Not in normal form: no rule that allows, every rule that denies.
        ("https://api.example.com/v1/../v2/", "GET", false, true),
        ("https://api.example.com/v1/%2e%2e/v2/", "GET", false, true),
        ("https://api.example.com/v1/a%2Fb", "GET", false, true),
        ("https://api.example.com/v1\\x", "GET", false, true),
        ("https://API.example.com/v1/", "GET", false, true),
        ("https://api.example.com:443/v1/", "GET", false, true),
        ("https://api.example.com:8443/v1/", "GET", false, true),
        ("https://api.example.com", "GET", false, true),
        ("nonsense", "GET", false, true),
    ] {
        let request = request(Kind::NetEgress, operation, target);
        assert_eq!(
            decide(&allows, &request) == "net",
            allowed,
            "allow {target}"
        );
        assert_eq!(
            decide(&blocks, &request) == "net",
            blocked,
            "block {target}"
        );
    }
}

#[test]
fn no_address_that_is_not_public_is_ever_matched() {
    for (host, public) in [
        ("93.184.216.34", true),
        ("10.0.0.1", false),
        ("127.0.0.1", false),
        ("169.254.169.254", false),
        ("100.64.0.1", false),
        ("192.168.1.1", false),
        ("198.18.0.1", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("[2606:4700::1111]", true),
        ("[::1]", false),
        ("[::ffff:a00:1]", false),
        ("[fd00::1]", false),
        ("[fe80::1]", false),
        ("[2001:db8::1]", false),
        ("[2002:a00:1::]", false),
        ("localhost", false),
        ("a.localhost", false),
    ] {
        let url = format!(r#"{{"host":"{host}","path_prefix":"/","methods":["GET"]}}"#);
        let asked = request(Kind::NetEgress, "GET", &format!("https://{host}/"));
        let (allows, blocks) = (plain(&egress("allow", &url)), plain(&egress("block", &url)));
        if public {
            assert_eq!(decide(&allows, &asked), "net", "{host}");
        } else {
            // What could never match is refused where it would allow, and matches nothing where it denies.
            assert!(fault(&allows).contains("match.url.host"), "{host}");
            assert_eq!(decide(&blocks, &asked), "default", "{host}");
        }
    }
}

#[test]
fn a_secret_is_matched_by_provider_key_and_injection() {
    let allows = plain(&secret(
        "allow",
        r#"{"provider":"vault","key":{"prefix":"db/"},"injection":["bearer"]}"#,
    ));
    let blocks = plain(&secret(
        "block",
        r#"{"provider":"vault","key":{"prefix":"db/"},"injection":["query_param"]}"#,
    ));
    for (target, operation, allowed, blocked) in [
        ("vault:db/pass", "bearer", true, false),
        ("vault:db/pass", "query_param", false, true),
        ("env:db/pass", "bearer", false, false),
        ("vault:web", "bearer", false, false),
        ("vault:", "bearer", false, true),
        ("disk:db/pass", "bearer", false, true),
        ("db/pass", "bearer", false, true),
    ] {
        let request = request(Kind::SecretUse, operation, target);
        assert_eq!(
            decide(&allows, &request) == "sec",
            allowed,
            "allow {target}"
        );
        assert_eq!(
            decide(&blocks, &request) == "sec",
            blocked,
            "block {target}"
        );
    }
}

#[test]
fn names_that_people_decide_by_hold_nothing_that_is_not_shown() {
    let fine = r#"{"host":"api.example.com","path_prefix":"/","methods":["GET"]}"#;
    assert!(
        Policy::parse(plain(&egress("allow", fine)).as_bytes())
            .unwrap()
            .check_form()
            .is_ok()
    );
    for (from, to, path) in [
        (
            r#""GET""#,
            "\"GET\u{200b}\"",
            "`$.rules[0].match.url.methods[0]`",
        ),
        (r#""net""#, "\"n\u{ad}et\"", "`$.rules[0].id`"),
        (r#""p""#, "\"p\u{feff}\"", "`$.policy_id`"),
    ] {
        let written = plain(&egress("allow", fine)).replacen(from, to, 1);
        // An old record is read as it was decided; nothing new is decided by it.
        let refusal = Policy::parse(written.as_bytes())
            .unwrap()
            .check_form()
            .unwrap_err();
        assert_eq!(refusal.code, Code::InvalidPolicy);
        assert!(refusal.message.contains(path), "{}", refusal.message);
    }
}
