//! What a permit lets run (hardening.md section 5): matchers do not see `context`, so something else must cover it.

use super::super::canonical::Value;
use super::super::code::{Code, Refusal};
use super::super::policy::Effect;
use super::super::request::{Kind, Request};

/// The selector whose target is the command itself.
const SHELL: &str = "shell.exec";

/// Tells whether a decision covers what would run: a review covers its whole request, since people signed it; an `allow` or
/// a `warn` only a command of the shell that is the request's own target, which the matchers did see.
///
/// # Errors
/// `EXEC_NOT_COVERED`.
pub fn check_covered(decision: Effect, request: &Request, argv: &[String]) -> Result<(), Refusal> {
    let context = &request.context;
    let is_own_target = request.capability.kind == Kind::Tool
        && request.capability.selector == SHELL
        && request.target == words(argv)
        && ["env", "cwd", "allowed_paths"]
            .iter()
            .all(|member| context.get(member).is_none());
    if decision == Effect::Review || is_own_target {
        return Ok(());
    }
    let what = "no review was signed for it, and the request is no `shell.exec` whose target is the command and nothing more";
    Err(Refusal::new(Code::ExecNotCovered, what)
        .detail("target", request.target.clone())
        .detail("command", words(argv))
        .next("request it as tool `shell.exec` with the command as target, or map the request to a review"))
}

/// The program that a request names in its `context.argv`; nothing where that is no list of strings.
#[must_use]
pub fn argv_of(request: &Request) -> Option<Vec<String>> {
    strings(request.context.get("argv")?).filter(|argv| !argv.is_empty())
}

/// A command in one line: each word bare where nothing in it means anything to a shell, else in single quotes.
#[must_use]
pub fn words(argv: &[String]) -> String {
    let bare = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte))
    };
    let quoted: Vec<String> = argv
        .iter()
        .map(|word| {
            if bare(word) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect();
    quoted.join(" ")
}

fn strings(value: &Value<'_>) -> Option<Vec<String>> {
    let items = value.as_array()?.iter();
    items.map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_command_is_written_in_one_way_only() {
        for (argv, written) in [
            (
                &["git", "push", "a@b:c,d=e+f%"][..],
                "git push a@b:c,d=e+f%",
            ),
            (&["sh", "-c", "a b"], "sh -c 'a b'"),
            (&["echo", "it's"], r"echo 'it'\''s'"),
            (&["echo", ""], "echo ''"),
            (&["echo", "~", "*", "é"], "echo '~' '*' 'é'"),
        ] {
            let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(words(&argv), written);
        }
    }
}
