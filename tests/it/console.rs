//! Runs the `console` blocks of a page, one shell for the whole page, and compares what they print.
//!
//! `$ command`, with `> ` before each further line, then what is printed on both outputs, then `? N` for an exit code but
//! 0. In a printed line `[..]` stands for any text, a line `...` for any lines. A command that prints something must
//! say so in the page.

/// A command of a page with what it is to print.
struct Step {
    command: String,
    expected: Vec<String>,
    exit: i32,
    line: usize,
}

/// Reads the steps of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step {
                command: command.to_owned(),
                expected: Vec::new(),
                exit: 0,
                line: number + 1,
            });
        } else if inside {
            let step = steps.last_mut().unwrap();
            if let Some(more) = line.strip_prefix('>').filter(|_| step.expected.is_empty()) {
                step.command.push('\n');
                step.command
                    .push_str(more.strip_prefix(' ').unwrap_or(more));
            } else if let Some(exit) = line.strip_prefix("? ") {
                step.exit = exit.parse().unwrap();
            } else {
                step.expected.push(line.to_owned());
            }
        }
    }
    steps
}

/// The sections of the README that begin in a shell of their own, each run by a test of its own.
const APART: [&str; 2] = ["## Reviews", "## Human Agency Protocol"];

/// The README's section whose heading begins like this.
pub(crate) fn section(heading: &str) -> String {
    let page = include_str!("../../README.md");
    let (_, rest) = page.split_once(&format!("\n{heading}")).unwrap();
    let end = rest.find("\n## ").unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// The README without the sections that begin in a shell of their own.
pub(crate) fn main_page() -> String {
    let page = include_str!("../../README.md").to_owned();
    APART
        .iter()
        .fold(page, |page, heading| page.replace(&section(heading), ""))
}

/// Runs a page in a shell that the caller prepared; `shell` gets the script and returns what it printed.
pub(crate) fn run(page: &str, shell: impl FnOnce(&str) -> String) {
    const MARK: &str = "--- end of step";
    let steps = steps(page);
    assert!(!steps.is_empty());
    let mut script = String::from("exec 2>&1\n");
    for step in &steps {
        script.push_str(&step.command);
        script.push_str(&format!("\necho \"{MARK} $?\"\n"));
    }
    let printed = shell(&script);
    let mut lines = printed.lines();
    for step in &steps {
        let place = format!("line {}: {}", step.line, step.command);
        let mut found = Vec::new();
        let exit = loop {
            let line = lines.next().unwrap_or_else(|| panic!("{place}: {found:?}"));
            if let Some((last, exit)) = line.split_once(MARK) {
                // What was printed last may lack its line feed.
                found.extend((!last.is_empty()).then_some(last));
                break exit.trim().parse::<i32>().unwrap();
            }
            found.push(line);
        };
        let shown = found.join("\n");
        assert_eq!(exit, step.exit, "{place}\n{shown}");
        assert!(
            matches(&step.expected, &found),
            "{place}\nexpected:\n{}\nfound:\n{shown}",
            step.expected.join("\n")
        );
    }
}

/// Whether printed lines are those of the page; `...` stands for any number of them.
fn matches(expected: &[String], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=found.len()).any(|skipped| matches(rest, &found[skipped..]))
        }
        Some((first, rest)) => found
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && matches(rest, others)),
    }
}

/// Whether a printed line is that of the page; `[..]` stands for any text.
fn line_matches(expected: &str, found: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == found.trim_end(),
        Some((before, after)) => found.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| line_matches(after, &rest[at..]))
        }),
    }
}
