//! The tables of codes and classes as Markdown, which the README repeats and a test compares.

use super::{Class, Code};

/// The table of all codes: code, exit, class, summary; one line feed ends each line.
#[must_use]
pub fn markdown_table() -> String {
    let head = "| code | exit | class | what happened |\n|---|---|---|---|\n".to_owned();
    Code::ALL.iter().fold(head, |table, code| {
        let class = code.class();
        table
            + &format!(
                "| `{code}` | {} | {class} | {} |\n",
                class.exit_code(),
                code.summary()
            )
    })
}

/// The table of all classes: exit, class, meaning, what a script should do; one line feed ends each line.
#[must_use]
pub fn class_table() -> String {
    let head = "| exit | class | meaning | a script should |\n|---|---|---|---|\n".to_owned();
    Class::ALL.iter().fold(head, |table, class| {
        table
            + &format!(
                "| {} | {class} | {} | {} |\n",
                class.exit_code(),
                class.meaning(),
                class.script_should()
            )
    })
}
