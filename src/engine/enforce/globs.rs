//! Lists of path globs: relative, with literal separators, never upwards.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Why a glob is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("glob `{glob}` {what}")]
pub struct InvalidGlob {
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub what: String,
}

/// Globs that were read; an empty list matches nothing.
#[derive(Debug, Clone)]
pub struct Globs {
    set: GlobSet,
    /// Matches the folders that a match may lie below; nothing where that cannot be told.
    above: Option<GlobSet>,
}

impl Globs {
    /// Reads globs whose `*` and `?` do not match `/`.
    ///
    /// # Errors
    /// One that is empty, absolute, holds `..`, `\` or a control character, or does not parse.
    pub fn new(globs: &[String]) -> Result<Self, InvalidGlob> {
        let refused = |glob: &str, what: &str| InvalidGlob {
            glob: glob.to_owned(),
            what: what.to_owned(),
        };
        let mut set = GlobSetBuilder::new();
        let mut above = Some(GlobSetBuilder::new());
        for glob in globs {
            if let Some(what) = path_fault(glob).or_else(|| alternate_fault(glob)) {
                return Err(refused(glob, what));
            }
            set.add(compile(glob).map_err(|what| refused(glob, &what))?);
            for (place, _) in glob.match_indices('/') {
                let folder = glob.get(..place).unwrap_or_default();
                match (compile(folder), &mut above) {
                    (Ok(folder), Some(set)) => {
                        set.add(folder);
                    }
                    // A separator inside `{}` or `[]` cannot be cut at.
                    _ => above = None,
                }
            }
        }
        let too_many = |error: globset::Error| refused("", &error.to_string());
        Ok(Self {
            set: set.build().map_err(too_many)?,
            above: above.and_then(|above| above.build().ok()),
        })
    }

    /// Tells whether a path matches one of them.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        // A path that is not UTF-8 is nothing that anybody wrote down.
        std::str::from_utf8(path).is_ok_and(|path| self.set.is_match(path))
    }

    /// Tells whether a path matches, or something below it could.
    #[must_use]
    pub fn touch(&self, path: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(path) else {
            return true;
        };
        self.matches(path) || self.above.as_ref().is_none_or(|above| above.is_match(text))
    }
}

fn compile(glob: &str) -> Result<globset::Glob, String> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(false)
        .build()
        .map_err(|error| error.kind().to_string())
}

/// Says what is wrong with a part of a glob that stands in `{}` or `[]`; nothing if it is sound.
fn alternate_fault(glob: &str) -> Option<&'static str> {
    let mut parts = glob.split(['/', '{', '}', ',']);
    if parts.any(|part| part.replace(['[', ']'], "") == "..") {
        Some("leads upwards")
    } else if glob.starts_with('{') && (glob.contains("{/") || glob.contains(",/")) {
        Some("is absolute")
    } else {
        None
    }
}

/// Says what is wrong with a relative path or glob; nothing if it is sound.
#[must_use]
pub fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("is empty")
    } else if path.starts_with('/') || path.get(1..).is_some_and(|rest| rest.starts_with(":/")) {
        Some("is absolute")
    } else if path.split('/').any(|part| part == "..") {
        Some("leads upwards")
    } else if path.contains('\\') || path.chars().any(char::is_control) {
        Some("holds a backslash or a control character")
    } else if path.split('/').any(str::is_empty) {
        Some("has an empty part")
    } else {
        None
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn globs(list: &[&str]) -> Result<Globs, InvalidGlob> {
        Globs::new(&list.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn separators_are_literal_and_nothing_leads_out() {
        let set = globs(&["src/**", "Cargo.lock", "docs/*.md"]).unwrap();
        for yes in ["src/a", "src/a/b", "Cargo.lock", "docs/a.md"] {
            assert!(set.matches(yes.as_bytes()), "{yes}");
        }
        for no in [
            "src",
            "srcx/a",
            "a/Cargo.lock",
            "docs/a/b.md",
            "docs/a.txt",
            ".git/HEAD",
        ] {
            assert!(!set.matches(no.as_bytes()), "{no}");
        }
        assert!(!globs(&[]).unwrap().matches(b"a"));
        for wrong in [
            "",
            "/etc",
            "../a",
            "a/../b",
            "a\\b",
            "a//b",
            "a[",
            "c:/x",
            "a\n",
            "{/etc/**,src/**}",
            "{src/**,/etc/**}",
            "{{/etc,b},c}",
            "{../**,src/**}",
            "src/{..,x}/y",
            "{a,..}",
            "[.][.]/x",
            "[.]./x",
        ] {
            assert!(globs(&[wrong]).is_err(), "{wrong}");
        }
        for right in ["src/{a,b}/**", "{src,docs}/**", "src{/a,/b}", "a[._-]b"] {
            assert!(globs(&[right]).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_folder_above_a_glob_is_touched_by_it() {
        let set = globs(&["a/b/**/c", "d/*"]).unwrap();
        for yes in ["a", "a/b", "a/b/x", "a/b/x/y", "d", "d/e", "a/b/c"] {
            assert!(set.touch(yes.as_bytes()), "{yes}");
        }
        for no in ["e", "a/x", "d/e/f"] {
            assert!(!set.touch(no.as_bytes()), "{no}");
        }
        assert!(globs(&["{a/b,c}/d"]).unwrap().touch(b"anything"));
    }
}
