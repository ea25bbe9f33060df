//! Hands over to the command line and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(permit::cli::run(std::env::args_os()))
}
