//! The keys of the configuration that are read, and the one place where they count: the repository's own `config` file.
//!
//! Whoever may set a variable, a file of the user or one of the work tree must not be able to name another trust root;
//! and a key that is misspelt must not look as if it were set.

use std::env;
use std::path::PathBuf;

use crate::cli::fault;
use crate::engine::code::Refusal;
use crate::git::{Origin, Repository};

/// The section of every key.
const SECTION: &str = "permit";

/// Every key, without the section.
const KEYS: [&str; 21] = [
    "adopt",
    "claims",
    "exec.containment",
    "exec.env",
    "exec.home",
    "exec.path",
    "exec.timeout",
    "exec.writable",
    "governance",
    "governedRef",
    "guard.cpu",
    "guard.memory",
    "guard.wall",
    "logKey",
    "logOrigin",
    "maxEventsPerPush",
    "remote",
    "remote.timeout",
    "role",
    "stream",
    "trustedCommit",
];

/// The keys that a stream may have of its own, with its id between section and name.
const OF_A_STREAM: [&str; 2] = ["logKey", "logOrigin"];

/// Refuses a key that stands anywhere else than in the repository's own file, and one that nothing reads.
///
/// # Errors
/// `INVALID_INPUT`; failures to read the files.
pub(super) fn check(repository: &Repository) -> Result<(), Refusal> {
    from_environment(env::vars_os().filter_map(|(name, value)| {
        // What is no text names no key.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    }))?;
    let named = [
        ("the file that GIT_CONFIG_GLOBAL names", "GIT_CONFIG_GLOBAL"),
        ("the file that GIT_CONFIG_SYSTEM names", "GIT_CONFIG_SYSTEM"),
    ];
    let named =
        named.map(|(what, variable)| env::var_os(variable).map(|path| (what, PathBuf::from(path))));
    let others: Vec<_> = named.into_iter().flatten().collect();
    for setting in repository.settings(SECTION, &others)? {
        match &setting.origin {
            Origin::Own => known(&setting.key)?,
            elsewhere @ (Origin::Included(_) | Origin::Other(..)) => {
                return Err(misplaced(&setting.key, elsewhere));
            }
        }
    }
    Ok(())
}

/// Refuses a key that the environment gives.
fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<(), Refusal> {
    let variables: Vec<_> = variables
        .filter(|(name, _)| name.starts_with("GIT_CONFIG_"))
        .collect();
    let counted = variables.iter().any(|(name, _)| name == "GIT_CONFIG_COUNT");
    for (name, value) in &variables {
        let (given, variable) = if name == "GIT_CONFIG_PARAMETERS" {
            (parameters(value), name.as_str())
        } else if counted && name.starts_with("GIT_CONFIG_KEY_") {
            (vec![value.clone()], "GIT_CONFIG_COUNT")
        } else {
            continue;
        };
        if let Some(key) = given.into_iter().find(|key| is_ours(key)) {
            return Err(fault::input(format!(
                "`{key}` is given through the environment, by {name}, and counts only in the repository's own file"
            ))
            .detail("origin", name)
            .next(format!("unset {variable}")));
        }
    }
    Ok(())
}

/// The keys in what `git -c` hands on: words in single quotes, `'key=value'` or `'key'='value'`, between spaces.
fn parameters(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut characters = text.chars();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => word.extend(characters.next()),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    let key = |word: String| word.split('=').next().unwrap_or_default().to_owned();
    words.into_iter().map(key).collect()
}

/// Tells whether a key is one of this program's section.
fn is_ours(key: &str) -> bool {
    key.split_once('.')
        .is_some_and(|(section, _)| section.eq_ignore_ascii_case(SECTION))
}

fn misplaced(key: &str, origin: &Origin) -> Refusal {
    let next = match origin {
        Origin::Other(_, path) => {
            let path = path.display().to_string().replace('\'', r"'\''");
            format!("git config --file '{path}' --unset-all {key}")
        }
        Origin::Own | Origin::Included(_) => {
            format!("git config --show-origin --get-all {key} names the file; take it out there")
        }
    };
    fault::input(format!(
        "`{key}` stands in {origin}, and counts only in the repository's own file"
    ))
    .detail("origin", origin.to_string())
    .next(next)
}

/// Refuses a key that nothing reads; section and name are compared without case, as Git does.
fn known(key: &str) -> Result<(), Refusal> {
    let rest = key.split_once('.').map_or("", |(_, rest)| rest);
    let (between, name) = rest.rsplit_once('.').map_or(("", rest), |parts| parts);
    let is = |known: &str| {
        let (before, last) = known.rsplit_once('.').map_or(("", known), |parts| parts);
        before == between && last.eq_ignore_ascii_case(name)
    };
    let of_a_stream = !between.is_empty()
        && OF_A_STREAM
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name));
    if of_a_stream || KEYS.iter().any(|known| is(known)) {
        return Ok(());
    }
    let rest = rest.to_ascii_lowercase();
    let distance = |known: &&&str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &rest);
    let nearest = KEYS
        .iter()
        .min_by_key(distance)
        .copied()
        .unwrap_or_default();
    Err(fault::input(format!(
        "`{key}` is no key that is read; the nearest is `{SECTION}.{nearest}`"
    ))
    .detail("nearest", format!("{SECTION}.{nearest}"))
    .next(format!("git config --unset-all {key}")))
}

#[cfg(test)]
mod tests {
    use super::{from_environment, known, parameters};

    fn given(pairs: &[(&str, &str)]) -> bool {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        from_environment(pairs).is_err()
    }

    #[test]
    fn what_git_hands_on_is_read_in_both_forms() {
        assert_eq!(
            parameters("'a.b'='c d' 'e.f=g' 'h.i'"),
            ["a.b", "e.f", "h.i"]
        );
        assert_eq!(parameters(r"'a.b'='it'\''s permit.role=x'"), ["a.b"]);
        assert!(given(&[(
            "GIT_CONFIG_PARAMETERS",
            "'Permit.Role'='executor'"
        )]));
        assert!(given(&[(
            "GIT_CONFIG_PARAMETERS",
            "'a.b=c' 'permit.x.y=z'"
        )]));
        assert!(!given(&[(
            "GIT_CONFIG_PARAMETERS",
            "'user.name'='permit.role'"
        )]));
        assert!(given(&[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "permit.role")
        ]));
        assert!(!given(&[("GIT_CONFIG_KEY_0", "permit.role")]));
        assert!(!given(&[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.bare")
        ]));
    }

    #[test]
    fn a_key_is_known_by_its_name_without_case_and_by_what_stands_between_with_case() {
        for key in [
            "permit.governedref",
            "permit.exec.home",
            "permit.main.logkey",
        ] {
            assert!(known(key).is_ok(), "{key}");
        }
        for (key, nearest) in [
            ("permit.governdref", "permit.governedRef"),
            ("permit.Exec.home", "permit.exec.home"),
            ("permit.trustedcommits", "permit.trustedCommit"),
        ] {
            let message = known(key).err().map(|refusal| refusal.message);
            let message = message.unwrap_or_default();
            assert!(message.contains(nearest), "{message}");
        }
    }
}
