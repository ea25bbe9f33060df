//! A good chain, changed in every way that one can think of: no variant may pass, and each has its code.

mod commits;
mod files;
mod links;
mod parts;

use crate::sandbox::Sandbox;

/// A stream of four events: opened, issued, used, issued.
fn short() -> Sandbox {
    let sandbox = Sandbox::opened();
    sandbox.issue("build");
    let permit = sandbox.permit_file("build");
    sandbox.ok(&["use", &permit, "--request", "requests/build.json"]);
    sandbox.issue("read");
    sandbox
}
