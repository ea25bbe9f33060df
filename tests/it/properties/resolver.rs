//! Which rule decides, found by reading core.md section 3 line by line over plain JSON; shares no code with the program
//! but the `url` crate. It knows the matchers that `policy.rs` generates.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// The rule that decides and its effect; nothing for a tie that the policy refuses to break.
pub(super) fn resolve(policy: &Value, request: &Value) -> Option<(String, String)> {
    let rules = policy["rules"].as_array().unwrap().iter();
    let applying: Vec<&Value> = rules.filter(|rule| applies(rule, request)).collect();
    let switches = &policy["conflict_resolution"];
    let rank = |rule: &Value| match text(&switches["mode"]) {
        "deny_wins" => (severity(rule), 0),
        "most_specific" => specificity(rule),
        _ => (number(&rule["priority"]), 0),
    };
    let Some(highest) = applying.iter().map(|rule| rank(rule)).max() else {
        return Some(("default".to_owned(), "block".to_owned()));
    };
    let by_index = switches["stable_order_mode"] == "order_index";
    let place = |rule: &Value| {
        let index = if by_index {
            number(&rule["order_index"])
        } else {
            0
        };
        (index, text(&rule["id"]).as_bytes().to_vec())
    };
    let left: BTreeMap<_, _> = applying
        .into_iter()
        .filter(|rule| rank(rule) == highest)
        .map(|rule| (place(rule), rule))
        .collect();
    let first = left.values().next().unwrap();
    let differ = left.values().any(|rule| rule["effect"] != first["effect"]);
    let decided = !differ || switches["tie_breaker"] == "stable_order";
    decided.then(|| {
        (
            text(&first["id"]).to_owned(),
            text(&first["effect"]).to_owned(),
        )
    })
}

fn severity(rule: &Value) -> usize {
    let order = ["allow", "warn", "review", "block"];
    order
        .iter()
        .position(|word| rule["effect"] == *word)
        .unwrap()
}

fn specificity(rule: &Value) -> (usize, usize) {
    let wanted = &rule["match"];
    let parts = [
        &wanted["actor"],
        &wanted["capability"]["selector"],
        &wanted["operation"],
        &wanted["target"],
        &wanted["secret"]["key"],
    ];
    let exact = parts
        .iter()
        .filter(|part| part.get("exact").or(part.get("one_of")).is_some())
        .count();
    let prefixes = parts.iter().filter_map(|part| part.get("prefix"));
    let mut bytes: usize = prefixes.map(|prefix| text(prefix).len()).sum();
    if let Some(url) = wanted.get("url") {
        let host = text(&url["host"]);
        bytes += host.strip_prefix("*.").unwrap_or(host).len() + text(&url["path_prefix"]).len();
    }
    (exact, bytes)
}

fn matches(matcher: &Value, found: &str) -> bool {
    let (kind, wanted) = matcher.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "exact" => text(wanted) == found,
        "one_of" => wanted.as_array().unwrap().iter().any(|one| one == found),
        "prefix" => found.starts_with(text(wanted)),
        "regex" => {
            let either = text(wanted)
                .strip_prefix("^(?:")
                .unwrap()
                .strip_suffix(")$")
                .unwrap();
            either.split('|').any(|one| one == found)
        }
        _ => true,
    }
}

fn applies(rule: &Value, request: &Value) -> bool {
    let (wanted, asked) = (&rule["match"], &request["capability"]);
    if wanted["capability"]["kind"] != asked["kind"]
        || !matches(&wanted["actor"], text(&request["actor_id"]))
        || !matches(&wanted["capability"]["selector"], text(&asked["selector"]))
    {
        return false;
    }
    let (operation, target) = (text(&request["operation"]), text(&request["target"]));
    let operates = matches(&wanted["operation"], operation);
    // A target that cannot be read matches every rule that restricts and none that permits.
    let restricts = severity(rule) > 1;
    match text(&asked["kind"]) {
        "net_egress" => match url(target) {
            None => restricts,
            Some(url) => operates && covers_url(wanted, operation, target, &url),
        },
        "secret_use" => match secret(target) {
            None => restricts,
            Some(secret) => operates && covers_secret(wanted, operation, target, secret),
        },
        _ if path_fault(target) => {
            operates && (restricts || wanted["target"].get("exact") == Some(&request["target"]))
        }
        _ => operates && matches(&wanted["target"], target),
    }
}

/// A path that names another place than it seems to (policy.md section 1), as far as `policy.rs` generates such.
fn path_fault(target: &str) -> bool {
    let decoded = target.replace("%252e", ".").replace("%2e", ".");
    let (first, rest) = decoded.split_once('/').unwrap_or((&decoded, ""));
    let rest = match (first.ends_with(':'), rest.strip_prefix('/')) {
        (true, Some(rest)) => rest,
        _ => rest,
    };
    let faulty = |segment: &str| [".", ".."].contains(&segment);
    let last = rest.split('/').count().saturating_sub(1);
    faulty(first)
        || rest
            .split('/')
            .enumerate()
            .any(|(place, segment)| faulty(segment) || (segment.is_empty() && place < last))
}

/// A target that is a URL and in its normal form.
fn url(target: &str) -> Option<Url> {
    let url = Url::parse(target).ok()?;
    let hidden = target.to_lowercase().contains("%2e");
    (url.as_str() == target && url.port().is_none() && !hidden).then_some(url)
}

fn secret(target: &str) -> Option<(&str, &str)> {
    let providers = ["vault", "env", "keychain", "kms"];
    target
        .split_once(':')
        .filter(|(provider, _)| providers.contains(provider))
}

fn covers_url(wanted: &Value, method: &str, target: &str, url: &Url) -> bool {
    let Some(rule) = wanted.get("url") else {
        return matches(&wanted["target"], target);
    };
    let (own, host) = (text(&rule["host"]), url.host_str().unwrap_or_default());
    let covered = match own.strip_prefix("*.") {
        None => own == host,
        Some(domain) => {
            let below = host.strip_suffix(&format!(".{domain}")).unwrap_or_default();
            !below.is_empty() && below.split('.').count() <= number(&rule["max_subdomain_depth"])
        }
    };
    covered
        && url.scheme() == "https"
        && url.fragment().is_none()
        && url.path().starts_with(text(&rule["path_prefix"]))
        && rule["methods"]
            .as_array()
            .unwrap()
            .iter()
            .any(|own| own == method)
}

fn covers_secret(wanted: &Value, way: &str, target: &str, (provider, key): (&str, &str)) -> bool {
    let Some(rule) = wanted.get("secret") else {
        return matches(&wanted["target"], target);
    };
    rule["provider"] == provider
        && matches(&rule["key"], key)
        && rule["injection"]
            .as_array()
            .unwrap()
            .iter()
            .any(|own| own == way)
}
