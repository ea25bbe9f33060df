//! What a permit of a rule may run: the `exec` member (hardening.md section 5, policy.md section 2).

use schemars::JsonSchema;

use super::super::canonical::Value;
use super::super::text::text_fault;
use super::faults::{At, Reader, found};
use super::glob;
use super::matcher::{About, Matcher};
use super::pattern::Pattern;

/// Within what a program that is run under the rule has to stay.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExecTerms {
    /// One matcher an argument, the program first; the last may be `{"rest": matcher}` for all that follow.
    pub argv: Vec<Argument>,
    /// The names of the variables that a request may set.
    #[schemars(default)]
    pub env: Vec<String>,
    /// The folder, relative to the target's root; absent: the root itself.
    #[schemars(default)]
    pub cwd: Option<Matcher>,
    /// The paths that a request may write to; absent: none.
    #[schemars(default)]
    pub allowed_paths: Vec<Pattern>,
}

/// How one argument, or all that follow, are compared.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Argument {
    /// Each of those that follow, however many.
    Rest {
        /// How each is compared.
        rest: Matcher,
    },
    /// Exactly one.
    One(Matcher),
}

/// The variables, and the beginnings and ends of names, that change what a program is: nobody may set them.
const NEVER: [&str; 6] = [
    "BASH_ENV",
    "ENV",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "RUSTC_WRAPPER",
    "ENFORCEMENT_MODE",
];
const NEVER_BEGIN: [&str; 8] = [
    "GIT_", "LD_", "DYLD_", "PYTHON", "NODE_", "PERL", "RUBY", "SSH_",
];
const NEVER_END: &str = "_OPTIONS";

/// Says why a variable cannot be set for a program that is run; nothing where it can.
#[must_use]
pub fn env_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains('=') || text_fault(name).is_some() {
        Some("is not the name of a variable")
    } else if NEVER.contains(&name)
        || NEVER_BEGIN.iter().any(|start| name.starts_with(start))
        || name.ends_with(NEVER_END)
    {
        Some("names a variable that changes what a program is, which nobody may set")
    } else {
        None
    }
}

impl ExecTerms {
    pub(super) fn read(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Self> {
        let known = ["argv", "env", "cwd", "allowed_paths"];
        let object = reader.object(value, at, &known)?;
        let argv = reader.need(object, at, "argv", arguments);
        let env = reader.may(object, at, "env", |reader, value, at| {
            reader.list(value, at, |reader, item, at| {
                reader.checked(item, at, env_fault)
            })
        });
        let cwd = reader.may(object, at, "cwd", |reader, value, at| {
            Matcher::read(reader, value, at, About::Target)
        });
        let paths = reader.may(object, at, "allowed_paths", |reader, value, at| {
            reader.list(value, at, |reader, item, at| {
                reader
                    .checked(item, at, glob::glob_fault)
                    .map(Pattern::glob)
            })
        });
        Some(Self {
            argv: argv?,
            env: env?.unwrap_or_default(),
            cwd: cwd?,
            allowed_paths: paths?.unwrap_or_default(),
        })
    }

    /// Tells whether the words of a command are covered.
    ///
    /// # Errors
    /// What the regex compiler said; never for a policy that was checked.
    pub fn covers_argv(&self, words: &[String]) -> Result<bool, String> {
        let mut words = words.iter();
        for argument in &self.argv {
            match argument {
                Argument::One(matcher) => match words.next() {
                    Some(word) if matcher.matches(word)? => {}
                    _ => return Ok(false),
                },
                Argument::Rest { rest } => {
                    return words.try_fold(true, |all, word| Ok(all && rest.matches(word)?));
                }
            }
        }
        Ok(words.next().is_none())
    }

    /// Whether any program at all may be run.
    #[must_use]
    pub fn runs_anything(&self) -> bool {
        matches!(
            self.argv.first(),
            Some(
                Argument::One(Matcher::Any(_))
                    | Argument::Rest {
                        rest: Matcher::Any(_)
                    }
            )
        )
    }

    /// The patterns, each with its path below the member.
    pub(super) fn patterns(&mut self) -> Vec<(Vec<Result<&'static str, usize>>, &mut Pattern)> {
        let mut found = Vec::new();
        for (index, argument) in self.argv.iter_mut().enumerate() {
            let (rest, matcher) = match argument {
                Argument::One(matcher) => (None, matcher),
                Argument::Rest { rest } => (Some(Ok("rest")), rest),
            };
            if let Some((key, pattern)) = matcher.pattern() {
                let path = [Ok("argv"), Err(index)].into_iter().chain(rest);
                found.push((path.chain([Ok(key)]).collect(), pattern));
            }
        }
        if let Some((key, pattern)) = self.cwd.as_mut().and_then(Matcher::pattern) {
            found.push((vec![Ok("cwd"), Ok(key)], pattern));
        }
        for (index, pattern) in self.allowed_paths.iter_mut().enumerate() {
            found.push((vec![Ok("allowed_paths"), Err(index)], pattern));
        }
        found
    }
}

/// Reads the matchers of the arguments.
fn arguments(reader: &mut Reader, value: &Value<'_>, at: &At<'_>) -> Option<Vec<Argument>> {
    let last = value
        .as_array()
        .map_or(0, |items| items.len().saturating_sub(1));
    let mut index = 0_usize;
    let read = reader.list(value, at, |reader, item, at| {
        let is_last = index == last;
        index = index.saturating_add(1);
        match item.as_object().and_then(|object| object.get("rest")) {
            None => Matcher::read(reader, item, at, About::Name).map(Argument::One),
            Some(_) if !is_last => {
                reader.surplus(&at.key("rest"), "stands only in the last place");
                None
            }
            Some(rest) => {
                reader.object(item, at, &["rest"])?;
                Matcher::read(reader, rest, &at.key("rest"), About::Name)
                    .map(|rest| Argument::Rest { rest })
            }
        }
    })?;
    if read.is_empty() {
        reader.wrong(
            at,
            format!("must name a program, found {} without items", found(value)),
        );
        return None;
    }
    Some(read)
}
