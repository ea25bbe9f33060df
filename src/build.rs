//! Links what has to run before Rust's own runtime into the program, and into nothing else.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    const SOURCE: &str = "src/closed_output.c";
    let mut cargo = io::stdout();
    writeln!(cargo, "cargo::rerun-if-changed={SOURCE}")?;
    for object in cc::Build::new().file(SOURCE).compile_intermediates() {
        writeln!(cargo, "cargo::rustc-link-arg-bins={}", object.display())?;
    }
    Ok(())
}
