//! An honest day of a team with a forge that runs no hooks, and the README's workflow, run as it stands, in between.

use std::fs;

use super::walkthrough::path;
use super::world::{Run, World, policy};
use crate::console;

const POLICY: &str = "governance/policy/acme.policy.json";

/// A forge: a bare repository without a hook, that merges pull requests and runs the workflow of the README.
struct Forge {
    world: World,
    trusted: String,
}

/// What happened on the forge, as GitHub names it.
#[derive(Clone, Copy)]
enum Event<'a> {
    PullRequest(&'a str),
    Queue(&'a str),
    Push { before: &'a str, after: &'a str },
}

/// The commands of the workflow in their order, but for the build.
fn steps() -> Vec<String> {
    let page = console::section("## Enforcement");
    let (_, workflow) = page.split_once("```yaml\nname: guard\n").unwrap();
    let (workflow, _) = workflow.split_once("```").unwrap();
    for event in ["pull_request_target:", "merge_group:", "push:"] {
        assert!(workflow.contains(event), "{event}");
    }
    // What is judged never builds the judge: the checkout is the base's.
    assert!(workflow.contains(r#"ref: "${{ env.BASE }}""#) && !workflow.contains("pull_request:"));
    let steps = workflow.lines().filter_map(|line| {
        let command = line.trim_start().strip_prefix("- run: ")?;
        (!command.starts_with("cargo ")).then(|| command.to_owned())
    });
    steps.collect()
}

impl Forge {
    /// A team that adopted governance; from this commit on the forge's checks judge.
    fn new() -> Self {
        let world = World::adopted();
        fs::remove_dir_all(world.path("server.git/hooks")).unwrap();
        let trusted = world.git("a", &["rev-parse", "HEAD"]);
        Self { world, trusted }
    }

    fn tip(&self) -> String {
        self.world.git("server.git", &["rev-parse", "main"])
    }

    /// A runner that is new each time checks out the base and runs the workflow.
    fn runs(&self, event: Event<'_>) -> Run {
        let world = &self.world;
        let _ = fs::remove_dir_all(world.path("runner"));
        world.git("", &["clone", "-q", "server.git", "runner"]);
        let base = match event {
            Event::PullRequest(_) | Event::Queue(_) => self.tip(),
            Event::Push { before, .. } => before.to_owned(),
        };
        world.git("runner", &["checkout", "-q", "--detach", &base]);
        let (name, change) = match event {
            Event::PullRequest(change) => ("pull_request_target", change),
            Event::Queue(change) => ("merge_group", change),
            Event::Push { after, .. } => ("push", after),
        };
        let mut shell = world.command("bash", "runner");
        let script = steps().join("\n");
        shell.args(["-e", "-c", &script]).env("PATH", path());
        shell
            .env("ENFORCEMENT_MODE", "enforce")
            .env("GITHUB_EVENT_NAME", name)
            .env("TRUSTED", &self.trusted)
            .env("BASE", &base)
            .env("CHANGE", change);
        Run::of(&shell.output().unwrap())
    }

    /// Pushes a branch, for which the forge makes the merge commit that its checks are about.
    fn opens(&self, branch: &str) -> String {
        let world = &self.world;
        world.git("a", &["push", "-q", "origin", branch]);
        let name = format!("refs/pull/{branch}/merge");
        self.merges(branch, &name);
        name
    }

    /// Merges a branch onto the tip, as the forge does it, under a name.
    fn merges(&self, branch: &str, name: &str) -> String {
        let world = &self.world;
        let _ = fs::remove_dir_all(world.path("merging"));
        world.git("", &["clone", "-q", "server.git", "merging"]);
        world.git("merging", &["checkout", "-q", "--detach", "origin/main"]);
        let from = format!("origin/{branch}");
        world.git("merging", &["merge", "-q", "--no-ff", "-m", "Merge", &from]);
        world.git(
            "merging",
            &["push", "-q", "origin", &format!("+HEAD:{name}")],
        );
        world.git("merging", &["rev-parse", "HEAD"])
    }

    /// Queues a branch, lands exactly the commit that was judged, and judges the push of it once more.
    fn lands(&self, branch: &str) {
        let before = self.tip();
        let commit = self.merges(branch, &format!("refs/heads/queue/{branch}"));
        let run = self.runs(Event::Queue(&commit));
        assert_eq!(run.exit, 0, "{run:?}");
        let world = &self.world;
        world.git("server.git", &["update-ref", "refs/heads/main", &commit]);
        let run = self.runs(Event::Push {
            before: &before,
            after: &commit,
        });
        assert_eq!(run.exit, 0, "{run:?}");
        world.git("a", &["fetch", "-q"]);
        world.git("a", &["switch", "-q", "-C", "main", "origin/main"]);
    }

    /// A branch of somebody's clone with one file changed.
    fn branch(&self, name: &str, path: &str, content: &str) {
        self.world.git("a", &["switch", "-q", "-c", name]);
        self.world.write("a", path, content);
        self.world.commit("a", name);
    }
}

#[test]
fn a_team_with_a_forge_and_ci() {
    let forge = Forge::new();
    // A change of content: opened, judged, queued, landed, judged again.
    forge.branch("content", "README", "two");
    let run = forge.runs(Event::PullRequest(&forge.opens("content")));
    assert_eq!(run.exit, 0, "{run:?}");
    forge.lands("content");
    // The policy changes: not without a review, and with it in the same pull request.
    forge.branch("policy", POLICY, &policy("2").to_string());
    let change = forge.opens("policy");
    let run = forge.runs(Event::PullRequest(&change));
    assert!(
        run.exit == 3 && run.stderr.contains("[GOVERNANCE_UNREVIEWED]"),
        "{run:?}"
    );
    forge.world.git("a", &["switch", "-q", "main"]);
    forge.branch("reviewed", POLICY, &policy("2").to_string());
    forge.world.git("a", &["switch", "-q", "main"]);
    let merge = ["merge", "-q", "--no-ff", "-m", "Policy", "reviewed"];
    forge.world.git("a", &merge);
    forge.world.review_change("a");
    forge.world.git("a", &["switch", "-q", "-C", "with-review"]);
    let run = forge.runs(Event::PullRequest(&forge.opens("with-review")));
    assert_eq!(run.exit, 0, "{run:?}");
}

#[test]
fn a_merge_past_the_checks_is_found_by_the_push_that_made_it() {
    let forge = Forge::new();
    forge.branch("policy", POLICY, &policy("2").to_string());
    let before = forge.tip();
    forge
        .world
        .git("a", &["push", "-q", "origin", "policy:main"]);
    let after = forge.tip();
    let run = forge.runs(Event::Push {
        before: &before,
        after: &after,
    });
    assert!(
        run.exit == 3 && run.stderr.contains("[GOVERNANCE_UNREVIEWED]"),
        "{run:?}"
    );
    // And by every pull request after it, until it is reverted.
    forge
        .world
        .git("a", &["switch", "-q", "-C", "main", "origin/main"]);
    forge.branch("content", "README", "two");
    let run = forge.runs(Event::PullRequest(&forge.opens("content")));
    assert!(run.stderr.contains("[GOVERNANCE_UNREVIEWED]"), "{run:?}");
}
