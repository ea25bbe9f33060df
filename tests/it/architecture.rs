//! The layering holds: `main → cli → { engine | git }`, the engine is pure, one place prints.
//!
//! Each rule names what may not stand in some files; a violation is reported with its file and line. Comments do not
//! count. What a lint can see (panics, indexing) is a lint in Cargo.toml.

use std::fs;
use std::path::Path;

use crate::sandbox::files_below;

/// What may not stand in the files of a folder.
struct Rule {
    folder: &'static str,
    /// Files and folders to which it does not apply.
    except: &'static [&'static str],
    words: &'static [&'static str],
    because: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        folder: "engine/",
        except: &[],
        words: &[
            "git2",
            "clap",
            "anstream",
            "anstyle",
            "indicatif",
            "std::fs",
            "std::env",
            "std::process",
            "std::time",
            "std::net::Tcp",
            "std::net::Udp",
            "std::thread",
            "std::io",
            "SystemTime",
            "Instant::",
        ],
        because: "the engine is pure: bytes in, values out",
    },
    Rule {
        folder: "engine/",
        except: &[],
        words: &["crate::git", "crate::cli", "super::git::", "super::cli::"],
        because: "the engine knows neither edge",
    },
    Rule {
        folder: "git/",
        except: &[],
        words: &["crate::engine", "crate::cli", "super::engine", "super::cli"],
        because: "git hands out bytes and knows nobody",
    },
    Rule {
        folder: "git/",
        except: &[],
        words: &["serde_json", "serde::", "sha2", "clap"],
        because: "git never interprets what it carries",
    },
    Rule {
        folder: "",
        except: &["git/"],
        words: &["git2::"],
        because: "git is the only user of git2",
    },
    Rule {
        folder: "",
        except: &["cli/"],
        words: &["clap", "anstream", "anstyle", "indicatif"],
        because: "only the command line parses arguments and paints",
    },
    Rule {
        folder: "",
        except: &["cli/render.rs", "cli/progress.rs", "build.rs"],
        words: &[
            "print!(",
            "println!(",
            "eprint!(",
            "eprintln!(",
            "dbg!(",
            "io::stdout()",
            "io::stderr()",
        ],
        because: "only render prints, and progress shows itself",
    },
    Rule {
        folder: "",
        except: &["engine/digest.rs", "engine/sshsig/", "engine/hap/", "git/"],
        words: &["Sha256", "Sha512", "sha2::"],
        because: "every hash has its domain in digest; signatures and the other protocol have their own forms",
    },
    Rule {
        folder: "",
        except: &[],
        words: &["HashMap", "HashSet"],
        because: "iteration order must not depend on chance",
    },
    Rule {
        folder: "",
        except: &[],
        words: &["unsafe {", "todo!(", "unimplemented!(", "#[allow("],
        because: "every exception is an `expect` with its reason",
    },
    Rule {
        folder: "",
        except: &[],
        words: &["unwrap_or(Value::Null)", "unwrap_or(Null)"],
        because: "a value that cannot be represented is a refusal, never `null`",
    },
];

/// The lines of a source file with their numbers, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//") && !line.contains("is_terminal()"))
        .map(|(number, line)| (number + 1, line))
}

/// The source files, by path below `src`, with their text.
fn sources() -> Vec<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rust = |name: &String| Path::new(name).extension().is_some_and(|kind| kind == "rs");
    let read = |name: String| {
        let text = fs::read_to_string(source.join(&name)).unwrap();
        (name, text)
    };
    files_below(&source)
        .into_iter()
        .filter(rust)
        .map(read)
        .collect()
}

fn is_test(name: &str) -> bool {
    let tests = |part: &str| ["tests", "tests.rs", "testing.rs", "vectors.rs"].contains(&part);
    name.split('/').any(tests)
}

#[test]
fn nothing_is_imported_where_it_does_not_belong() {
    let mut found = Vec::new();
    for (name, text) in sources() {
        if is_test(&name) {
            continue;
        }
        let text = text.split("\n#[cfg(test)]\n").next().unwrap();
        for rule in RULES {
            let excepted = rule.except.iter().any(|part| name.starts_with(part));
            if excepted || !name.starts_with(rule.folder) {
                continue;
            }
            for (number, line) in code(text) {
                for word in rule.words.iter().filter(|word| line.contains(**word)) {
                    found.push(format!("src/{name}:{number}: `{word}`: {}", rule.because));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_forbidden_import_is_found() {
    let rule = &RULES[0];
    let line = "use std::fs;\n// use std::env;";
    let hits: Vec<_> = code(line)
        .filter(|(_, line)| rule.words.iter().any(|word| line.contains(word)))
        .collect();
    assert_eq!(hits, [(1, "use std::fs;")]);
}

#[test]
fn every_module_says_what_it_is() {
    for (name, text) in sources() {
        let told = text.starts_with("//! ");
        assert!(told, "src/{name} begins without a module comment");
    }
}
