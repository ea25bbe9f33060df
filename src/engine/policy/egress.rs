//! Which URLs a `net_egress` rule covers (core.md section 3).
//!
//! A target is compared only in its normal form, as the `url` crate writes it; any other writing of the same place
//! (dot segments, encoded dots or slashes, back slashes, capitals, an explicit port) is [`None`] here and so can match
//! no rule that allows.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use super::super::canonical::{self, Fault};
use super::super::text::{text_fault, unseen_fault};

/// The URL part of a `net_egress` rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UrlMatch {
    /// `api.example.com`, or `*.example.com` for its subdomains.
    host: String,
    /// What the path begins with.
    path_prefix: String,
    /// The methods that are covered; the request's operation is one of them.
    methods: Vec<String>,
    /// How many labels may stand for the `*`; exactly when the host is a wildcard.
    #[serde(default, deserialize_with = "canonical::present")]
    max_subdomain_depth: Option<u32>,
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

    pub(super) fn check(&self) -> Result<(), Fault> {
        let wildcard = self.host.strip_prefix("*.");
        let host = wildcard.unwrap_or(&self.host);
        let written = format!("https://{host}{}", self.path_prefix);
        if self.host == "*" || host.is_empty() || host.contains('*') {
            return Err(Fault::new("$.host", "a bare or inner `*` covers too much"));
        }
        let parsed = Url::parse(&format!("https://{host}/")).ok().filter(|url| {
            url.host_str() == Some(host) && url.as_str().len() == host.len().saturating_add(9)
        });
        let Some(parsed) = parsed else {
            return Err(Fault::new("$.host", "is not a host in its normal form"));
        };
        // `.a.com` reads as if it covered subdomains, and no host is written `a..com` or `a.com.` where egress is allowed.
        if !has_labels(host) {
            return Err(Fault::new("$.host", "has an empty label"));
        }
        if wildcard.is_some() && parsed.domain().is_none() {
            return Err(Fault::new("$.host", "an address has no subdomains"));
        }
        if !self.path_prefix.starts_with('/') {
            return Err(Fault::new("$.path_prefix", "does not begin with `/`"));
        }
        // Cut short, an escape would cover what is written with other digits: `/a%2` covers `/a%20b` and `/a%25`.
        if !has_whole_escapes(&self.path_prefix) {
            return Err(Fault::new(
                "$.path_prefix",
                "holds a `%` without its two hex digits",
            ));
        }
        if self.path_prefix.contains(['?', '#']) || NormalUrl::parse(&written).is_none() {
            return Err(Fault::new(
                "$.path_prefix",
                "is not a path in its normal form",
            ));
        }
        if self.methods.is_empty() {
            return Err(Fault::new("$.methods", "is empty"));
        }
        for (index, method) in self.methods.iter().enumerate() {
            if let Some(what) = text_fault(method) {
                return Err(Fault::new(format!("$.methods[{index}]"), what));
            }
        }
        match (wildcard, self.max_subdomain_depth) {
            (None, None) | (Some(_), Some(1..)) => Ok(()),
            (None, Some(_)) => Err(Fault::new(
                "$.max_subdomain_depth",
                "stands only beside a wildcard host",
            )),
            (Some(_), Some(0)) => Err(Fault::new("$.max_subdomain_depth", "is 0")),
            (Some(_), None) => Err(Fault::new("$.max_subdomain_depth", "missing field")),
        }
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
