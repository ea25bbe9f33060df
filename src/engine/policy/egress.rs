//! Which URLs a `net_egress` rule covers (core.md section 3).
//!
//! A target is compared only in its normal form, as the `url` crate writes it; any other writing of the same place
//! (dot segments, encoded dots or slashes, back slashes, capitals, an explicit port) is [`None`] here and so can match
//! no rule that allows.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use url::{Host, Url};

use super::super::canonical::{Fault, Value};
use super::super::text::{text_fault, unseen_fault};
use super::faults::{At, Reader};

/// The URL part of a `net_egress` rule.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct UrlMatch {
    /// `api.example.com`, or `*.example.com` for its subdomains.
    pub(super) host: String,
    /// What the path begins with.
    pub(super) path_prefix: String,
    /// The methods that are covered; the request's operation is one of them.
    pub(super) methods: Vec<String>,
    /// How many labels may stand for the `*`; exactly when the host is a wildcard.
    #[schemars(default)]
    pub(super) max_subdomain_depth: Option<u32>,
}

/// A target that is a URL in its normal form.
#[derive(Debug)]
pub(super) struct NormalUrl(Url);

impl NormalUrl {
    /// Reads a target; nothing if it does not parse or is not in its normal form.
    pub(super) fn parse(target: &str) -> Option<Self> {
        let url = Url::parse(target).ok()?;
        let (before_query, _) = target.split_once(['?', '#']).unwrap_or((target, ""));
        let lower = before_query.to_ascii_lowercase();
        let hidden = ["%2e", "%2f", "%5c"]
            .iter()
            .any(|code| lower.contains(code));
        (url.as_str() == target && url.port().is_none() && !hidden && !before_query.contains('\\'))
            .then_some(Self(url))
    }

    /// Tells whether this is a place that `net_egress` can ever allow: https on port 443 of a public host.
    fn is_public_https(&self) -> bool {
        let url = &self.0;
        let public = match url.host() {
            Some(Host::Domain(name)) => {
                name != "localhost" && !name.ends_with(".localhost") && has_labels(name)
            }
            Some(Host::Ipv4(address)) => is_public_v4(address),
            Some(Host::Ipv6(address)) => is_public_v6(address),
            None => false,
        };
        public
            && url.scheme() == "https"
            && url.port_or_known_default() == Some(443)
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    }
}

impl UrlMatch {
    /// Refuses a method with characters that nobody sees: it would never be the operation of a request.
    pub(super) fn check_form(&self) -> Result<(), Fault> {
        for (index, method) in self.methods.iter().enumerate() {
            if let Some(what) = unseen_fault(method) {
                return Err(Fault::new(format!("$.methods[{index}]"), what));
            }
        }
        Ok(())
    }

    /// Reads a URL part; of a rule that permits it refuses what could never match.
    pub(super) fn read(
        reader: &mut Reader,
        value: &Value<'_>,
        at: &At<'_>,
        permits: bool,
    ) -> Option<Self> {
        let known = ["host", "path_prefix", "methods", "max_subdomain_depth"];
        let object = reader.object(value, at, &known)?;
        let host = reader.need(object, at, "host", Reader::text);
        let path_prefix = reader.need(object, at, "path_prefix", Reader::text);
        let methods = reader.need(object, at, "methods", |reader, value, at| {
            reader.list(value, at, |reader, item, at| {
                let method = reader.checked(item, at, text_fault)?;
                if permits && method.chars().any(char::is_lowercase) {
                    reader.wrong(at, "must be upper-case: no request has another");
                    return None;
                }
                Some(method)
            })
        });
        let depth = reader.may(object, at, "max_subdomain_depth", |reader, value, at| {
            reader.integer(value, at, (1, u32::MAX.into()))
        });
        if let Some(host) = &host {
            if let Some(what) = host_fault(host).or_else(|| {
                (permits && !is_public_host(host))
                    .then_some("is never allowed: it is not on the public web")
            }) {
                reader.wrong(&at.key("host"), what);
            }
            if let Some(prefix) = &path_prefix
                && let Some(what) = path_prefix_fault(host, prefix)
            {
                reader.wrong(&at.key("path_prefix"), what);
            }
            let beside = at.key("max_subdomain_depth");
            match (host.starts_with("*."), object.get("max_subdomain_depth")) {
                (true, Some(_)) | (false, None) => {}
                (false, Some(_)) => reader.surplus(&beside, "stands only beside a wildcard host"),
                (true, None) => reader.missing(&beside),
            }
        }
        if methods.as_ref().is_some_and(Vec::is_empty) {
            reader.wrong(&at.key("methods"), "is empty");
        }
        Some(Self {
            host: host?,
            path_prefix: path_prefix?,
            methods: methods?,
            max_subdomain_depth: depth?.and_then(|depth| u32::try_from(depth).ok()),
        })
    }

    /// Tells whether a URL in normal form, asked for with this method, is covered.
    pub(super) fn matches(&self, url: &NormalUrl, method: &str) -> bool {
        url.is_public_https()
            && url.0.host_str().is_some_and(|host| self.covers_host(host))
            && url.0.path().starts_with(&self.path_prefix)
            && self.methods.iter().any(|own| own == method)
    }

    fn covers_host(&self, host: &str) -> bool {
        let Some(domain) = self.host.strip_prefix("*.") else {
            return host == self.host;
        };
        let labels = host
            .strip_suffix(domain)
            .and_then(|rest| rest.strip_suffix('.'))
            .filter(|rest| !rest.is_empty())
            .map(|rest| rest.split('.').count());
        let depth = self.max_subdomain_depth.unwrap_or_default();
        labels.is_some_and(|labels| u32::try_from(labels).is_ok_and(|labels| labels <= depth))
    }

    /// The bytes that count for specificity: the host without `*.`, and the path prefix.
    pub(super) fn specific_bytes(&self) -> usize {
        let host = self.host.strip_prefix("*.").unwrap_or(&self.host);
        host.len().saturating_add(self.path_prefix.len())
    }
}

/// Says why a host, or the host below a `*.`, cannot stand in a rule.
fn host_fault(written: &str) -> Option<&'static str> {
    let wildcard = written.strip_prefix("*.");
    let host = wildcard.unwrap_or(written);
    if written == "*" || host.is_empty() || host.contains('*') {
        return Some("holds a bare or inner `*`, which covers too much");
    }
    let parsed = Url::parse(&format!("https://{host}/")).ok().filter(|url| {
        url.host_str() == Some(host) && url.as_str().len() == host.len().saturating_add(9)
    });
    let Some(parsed) = parsed else {
        return Some("is not a host in its normal form");
    };
    // `.a.com` reads as if it covered subdomains, and no host is written `a..com` or `a.com.` where egress is allowed.
    if !has_labels(host) {
        Some("has an empty label")
    } else if wildcard.is_some() && parsed.domain().is_none() {
        Some("is an address, which has no subdomains")
    } else {
        None
    }
}

/// Says why a path prefix cannot stand in a rule.
fn path_prefix_fault(host: &str, prefix: &str) -> Option<&'static str> {
    let host = host.strip_prefix("*.").unwrap_or(host);
    if !prefix.starts_with('/') {
        Some("does not begin with `/`")
    // Cut short, an escape would cover what is written with other digits: `/a%2` covers `/a%20b` and `/a%25`.
    } else if !has_whole_escapes(prefix) {
        Some("holds a `%` without its two hex digits")
    } else if prefix.contains(['?', '#'])
        || (host_fault(host).is_none()
            && NormalUrl::parse(&format!("https://{host}{prefix}")).is_none())
    {
        Some("is not a path in its normal form")
    } else {
        None
    }
}

/// Tells whether a host, or the hosts below a `*.`, can ever be allowed.
fn is_public_host(written: &str) -> bool {
    let host = written.strip_prefix("*.").unwrap_or(written);
    NormalUrl::parse(&format!("https://{host}/")).is_none_or(|url| url.is_public_https())
}

/// Tells whether no label of a host name is empty.
fn has_labels(name: &str) -> bool {
    name.split('.').all(|label| !label.is_empty())
}

/// Tells whether two hex digits stand after each `%`.
fn has_whole_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() == 2
    })
}

/// Neither private, shared, loopback, link-local, benchmark, documentation, multicast nor reserved.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Global unicast (`2000::/3`) that neither is set aside nor carries an IPv4 address inside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0..=0x01FF | 0x0DB8, ..] | [0x2002 | 0x3FFF, ..] => false,
        [first, ..] => (0x2000..=0x3FFF).contains(&first),
    }
}

impl fmt::Display for UrlMatch {
    /// Writes `GET https://*.example.com/v1/…, up to 1 label for the *`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.methods.join(", ");
        write!(f, "{methods} https://{}{}…", self.host, self.path_prefix)?;
        match self.max_subdomain_depth {
            Some(1) => f.write_str(" (one label for the `*`)"),
            Some(depth) => write!(f, " (up to {depth} labels for the `*`)"),
            None => Ok(()),
        }
    }
}
