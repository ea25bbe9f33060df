//! Refs and paths to classes of mutation (enforcement.md, Boundary 1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)+) => {
        /// The classes of mutation that the receive boundary tells apart, in the order of their words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Class {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl Class {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that stands in intents.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

classes! {
    /// Anything that is no governed state.
    ContentChange = "content.change";
    /// A file of the governance folder that no other class names, the owners table, or the governed ref itself.
    GovernanceChange = "governance.change";
    /// Frames of the Human Agency Protocol are appended.
    HapAppend = "hap.append";
    /// Such a history is rewritten or deleted.
    HapRewrite = "hap.rewrite";
    /// A manifest envelope comes in.
    ManifestAdd = "manifest.add";
    /// One is altered.
    ManifestChange = "manifest.change";
    /// One is removed.
    ManifestDelete = "manifest.delete";
    /// A replace ref is made, moved or removed.
    ReplaceChange = "replace.change";
    /// An execution request comes in.
    RequestAdd = "request.add";
    /// One is altered.
    RequestChange = "request.change";
    /// One is removed.
    RequestDelete = "request.delete";
    /// A review comes in.
    ReviewAdd = "review.add";
    /// One is altered.
    ReviewChange = "review.change";
    /// One is removed.
    ReviewDelete = "review.delete";
    /// Events are appended to a stream.
    StreamAppend = "stream.append";
    /// A stream is deleted.
    StreamDelete = "stream.delete";
    /// A stream is rewritten.
    StreamRewrite = "stream.rewrite";
}

/// What a ref is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefPlace<'a> {
    /// The governed ref.
    Governed,
    /// An audit stream, by its id.
    Stream(&'a str),
    /// A tail of a stream that was kept aside: the stream's id and the hash of its newest event.
    Orphan(&'a str, &'a str),
    /// Another ref under `refs/permit/`.
    Reserved,
    /// A stream of the Human Agency Protocol.
    Hap,
    /// A replace ref.
    Replace,
    /// A branch, a tag, a note: content.
    Content,
}

/// Says what a ref is for.
#[must_use]
pub fn ref_place<'a>(name: &'a str, governed: &str) -> RefPlace<'a> {
    if name == governed {
        RefPlace::Governed
    } else if let Some(id) = name.strip_prefix("refs/permit/streams/") {
        RefPlace::Stream(id)
    } else if let Some((id, hash)) = orphan(name) {
        RefPlace::Orphan(id, hash)
    } else if name == "refs/permit" || name.starts_with("refs/permit/") {
        RefPlace::Reserved
    } else if name.starts_with("refs/hap/") {
        RefPlace::Hap
    } else if name.starts_with("refs/replace/") {
        RefPlace::Replace
    } else {
        RefPlace::Content
    }
}

/// The stream and the hash that the name of a tail kept aside holds.
fn orphan(name: &str) -> Option<(&str, &str)> {
    let (id, hash) = name.strip_prefix("refs/permit/orphans/")?.split_once('/')?;
    (!hash.contains('/')).then_some((id, hash))
}

/// How a path changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing was there before.
    Added,
    /// Something else was there before.
    Altered,
    /// Nothing is there after.
    Deleted,
}

/// Says which class a change of a path on the governed ref falls into.
#[must_use]
pub fn class_of(path: &[u8], change: Change) -> Class {
    let record = |folder: &[u8], suffix: &[u8]| {
        path.strip_prefix(folder)
            .is_some_and(|name| name.ends_with(suffix) && !name.contains(&b'/'))
    };
    if record(b"governance/reviews/", b".review.json") {
        return match change {
            Change::Added => Class::ReviewAdd,
            Change::Altered => Class::ReviewChange,
            Change::Deleted => Class::ReviewDelete,
        };
    }
    if record(b"governance/requests/", b".request.json") {
        return match change {
            Change::Added => Class::RequestAdd,
            Change::Altered => Class::RequestChange,
            Change::Deleted => Class::RequestDelete,
        };
    }
    if record(b"governance/manifests/", b".manifest.json") {
        return match change {
            Change::Added => Class::ManifestAdd,
            Change::Altered => Class::ManifestChange,
            Change::Deleted => Class::ManifestDelete,
        };
    }
    // A file or link in place of a folder counts as what would be below it, and a folder in place of a file as the file.
    let governed = path.starts_with(b"governance/")
        || path.starts_with(b".hap/owners.json/")
        || matches!(path, b"governance" | b".hap" | b".hap/owners.json");
    if governed {
        Class::GovernanceChange
    } else {
        Class::ContentChange
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_class() {
        for (path, class) in [
            ("src/main.rs", Class::ContentChange),
            ("Governance/policy/x", Class::ContentChange),
            ("governancex", Class::ContentChange),
            (".hap/other.json", Class::ContentChange),
            (".hap/owners.json", Class::GovernanceChange),
            (".hap/owners.json/x", Class::GovernanceChange),
            (".hap/owners.jsonx", Class::ContentChange),
            ("governance", Class::GovernanceChange),
            ("governance/README.md", Class::GovernanceChange),
            ("governance/enforcement.json", Class::GovernanceChange),
            ("governance/reviews/README.md", Class::GovernanceChange),
            (
                "governance/reviews/x/a.review.json",
                Class::GovernanceChange,
            ),
            ("governance/reviews/a.review.json", Class::ReviewAdd),
            ("governance/requests/a.request.json", Class::RequestAdd),
            ("governance/manifests/a.manifest.json", Class::ManifestAdd),
        ] {
            assert_eq!(class_of(path.as_bytes(), Change::Added), class, "{path}");
        }
        let review = b"governance/reviews/a.review.json";
        assert_eq!(class_of(review, Change::Deleted), Class::ReviewDelete);
        assert_eq!(class_of(review, Change::Altered), Class::ReviewChange);
        assert_eq!(
            class_of(b"governance/x\xff", Change::Added),
            Class::GovernanceChange
        );
    }

    #[test]
    fn classes_are_in_the_order_of_their_words() {
        assert!(Class::ALL.is_sorted_by_key(|class| class.word()));
    }

    #[test]
    fn every_ref_has_one_place() {
        let place = |name| ref_place(name, "refs/heads/main");
        assert_eq!(place("refs/heads/main"), RefPlace::Governed);
        assert_eq!(place("refs/heads/main2"), RefPlace::Content);
        assert_eq!(place("refs/permit/streams/a"), RefPlace::Stream("a"));
        assert_eq!(place("refs/permit/orphans/a"), RefPlace::Reserved);
        assert_eq!(place("refs/permit/orphans/a/b/c"), RefPlace::Reserved);
        assert_eq!(place("refs/permit/orphans/a/b"), RefPlace::Orphan("a", "b"));
        assert_eq!(place("refs/hap/x"), RefPlace::Hap);
        assert_eq!(place("refs/replace/1"), RefPlace::Replace);
        assert_eq!(place("refs/tags/v1"), RefPlace::Content);
    }
}
