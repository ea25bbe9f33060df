//! The receive boundary: one push into a long history against one into a short one, and against an empty hook.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::measure::{pair, run};
use super::world::World;
use super::{Bench, MANY, count, row, text};

/// A server, and a clone that pushes to it.
struct Forge {
    server: World,
    clone: World,
}

impl Forge {
    /// Commits and events on a server with our hook, or with one that does nothing.
    fn new(bench: &Bench, name: &str, commits: usize, events: usize, guarded: bool) -> Self {
        let folder = &bench.folder;
        let source = World::of_events(folder, &format!("{name}-source"), events);
        source.grow(commits);
        let [server, clone] = ["server", "clone"].map(|word| folder.join(format!("{name}-{word}")));
        source.git(&["clone", "-q", "--mirror", ".", text(&server)]);
        source.git(&["clone", "-q", text(&server), text(&clone)]);
        let [server, clone] = [server, clone].map(|path| World { path });
        server.git(&["config", "permit.governedRef", "refs/heads/main"]);
        if guarded {
            run(&mut server.permit(&["guard", "install"]));
        } else {
            let hook = server.path.join("hooks/pre-receive");
            fs::create_dir_all(server.path.join("hooks")).unwrap();
            fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
            fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { server, clone }
    }

    /// Pushes one commit that changes one file.
    fn push(&self) -> Duration {
        let path = self.clone.path.join("src/0");
        fs::create_dir_all(self.clone.path.join("src")).unwrap();
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, format!("{before}.")).unwrap();
        self.clone.git(&["add", "src/0"]);
        self.clone.git(&["commit", "-q", "-m", "Change"]);
        let mut push = self.clone.git_command(&["push", "-q", "origin", "main"]);
        run(push.env("ENFORCEMENT_MODE", "enforce"))
    }
}

/// Prints the rows of the receive boundary.
pub(super) fn measure(bench: &Bench) {
    let (commits, events) = (bench.middle / 2, bench.middle);
    let long = Forge::new(bench, "long", commits, events, true);
    let short = Forge::new(bench, "short", 10, 100, true);
    let bare = Forge::new(bench, "bare", commits, events, false);
    let work = format!(
        "push of 1 commit, {} commits and {} events",
        count(commits),
        count(events)
    );
    let found = pair(MANY, || long.push(), || short.push());
    row(
        &work,
        "the same with 10 commits and 100 events",
        &found,
        "1.5",
    );
    let found = pair(MANY, || long.push(), || bare.push());
    row(&work, "the same with an empty hook", &found, "20 ms more");
    drop(long.server);
}
