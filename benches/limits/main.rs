//! What the machine allows and how near `permit` stands to it: every figure is a ratio against something that ran in
//! the same turn on the same disk.
//!
//! `cargo bench --bench limits` builds the streams, measures and prints the tables of the README; a number after `--`
//! is the longest stream (1,000,000 unless told). Streams are packed by `git gc`, what is measured is a whole process,
//! and the file cache is warm.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a measurement stops where its preparation fails, and ratios have fractions"
)]

mod documents;
mod measure;
mod receive;
mod world;

use std::env;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use measure::{Pair, median, pair, peak, run, time};
use permit::engine::evaluate::evaluate;
use permit::engine::policy::Policy;
use permit::engine::request::Request;
use serde_json::Value;
use world::World;

/// How often two works run in turn.
const TURNS: usize = 7;

/// The same for works that take milliseconds.
const MANY: usize = 31;

fn main() {
    let number = env::args().skip(1).find_map(|word| word.parse().ok());
    let most = number.unwrap_or(1_000_000_usize).max(10_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bench = Bench {
        folder: folder.path().to_owned(),
        most,
        middle: most / 10,
        small: World::of_events(folder.path(), "small", 100),
        large: World::of_events(folder.path(), "large", most / 10),
        largest: World::of_events(folder.path(), "largest", most),
    };
    // What was written goes to the disk before anything is measured beside it.
    run(&mut Command::new("sync"));
    bench.note("built");
    println!("| work | against | permit | the other | ratio | goal |");
    println!("|---|---|---|---|---|---|");
    bench.policies();
    bench.single_processes();
    bench.verification();
    bench.replay();
    bench.growth_of_verification();
    bench.many_streams();
    bench.batches();
    receive::measure(&bench);
    println!();
    bench.table_of_growth();
}

/// The repositories that are measured.
struct Bench {
    folder: PathBuf,
    most: usize,
    middle: usize,
    small: World,
    large: World,
    largest: World,
}

impl Bench {
    fn note(&self, what: &str) {
        eprintln!("{what} in {}", self.folder.display());
    }

    /// `verify-chain` against what Git does with the same commits and SHA-256 with the same bytes.
    fn verification(&self) {
        let (events, world) = (count(self.middle), &self.large);
        let verify = || run(&mut world.permit(&["verify-chain"]));
        let work = format!("`verify-chain`, {events} events");
        let log = ["log", "--format=%B", "refs/permit/streams/main"];
        let found = pair(TURNS, verify, || run(&mut world.git_command(&log)));
        row(
            &work,
            "`git log --format=%B`, which verifies nothing",
            &found,
            "0.75",
        );
        let fsck = || run(&mut world.git_command(&["fsck", "--no-progress"]));
        row(&work, "`git fsck`", &pair(TURNS, verify, fsck), "0.3");
        let index = world.path.join(".git/permit/commits");
        let anew = || {
            fs::remove_dir_all(&index).unwrap();
            verify()
        };
        row(
            &format!("{work}, the local index deleted before"),
            "the same with it",
            &pair(TURNS, anew, verify),
            "–",
        );

        let path = self.folder.join("events.jsonl");
        let name = path.to_str().unwrap();
        let world = &self.largest;
        let mut export = world.permit(&["stream", "export", "main", "--jsonl", name]);
        run(&mut export);
        let work = format!("`verify-chain --jsonl`, {} events", count(self.most));
        let lines = || run(&mut world.permit(&["verify-chain", "--jsonl", name]));
        let mut hash = Command::new("openssl");
        hash.args(["dgst", "-sha256", name]);
        let found = pair(TURNS, lines, || run(&mut hash));
        row(
            &work,
            "`openssl dgst -sha256` of the same file",
            &found,
            "1.5",
        );
        fs::remove_file(&path).unwrap();
    }

    fn replay(&self) {
        let world = &self.large;
        let replay = || run(&mut world.permit(&["replay"]));
        let verify = || run(&mut world.permit(&["verify-chain"]));
        let work = format!("`replay`, {} events, 100 rules", count(self.middle));
        row(
            &work,
            "`verify-chain` of the same",
            &pair(TURNS, replay, verify),
            "2",
        );
    }

    /// `issue --batch` against `git fast-import` of the same commits, and against single processes.
    fn batches(&self) {
        let world = World::new(&self.folder, "batches");
        let batch = world.batch(self.middle - 1);
        let exported = self.folder.join("events.fast-import");
        let output = self
            .large
            .git_command(&["fast-export", "--all"])
            .output()
            .unwrap();
        fs::write(&exported, output.stdout).unwrap();
        let mut turn = 0_usize;
        let atomic = || {
            turn += 1;
            let stream = format!("turn-{turn}");
            let line = [
                "issue",
                "--atomic",
                "--open-stream",
                "--stream",
                &stream,
                "--batch",
            ];
            run(world.permit(&line).arg(&batch))
        };
        let bare = self.folder.join("imported");
        let import = || {
            let _ = fs::remove_dir_all(&bare);
            fs::create_dir(&bare).unwrap();
            let world = World { path: bare.clone() };
            world.git(&["init", "-q", "--bare", "."]);
            let mut command = world.git_command(&["fast-import", "--quiet"]);
            run(command.stdin(fs::File::open(&exported).unwrap()))
        };
        let work = format!("`issue --batch --atomic`, {} requests", count(self.middle));
        row(
            &work,
            "`git fast-import` of the same commits",
            &pair(5, atomic, import),
            "1.0",
        );

        let requests = 500;
        let batch = world.batch(requests);
        run(&mut world.permit(&["stream", "open", "main"]));
        let group = || run(world.permit(&["issue", "--batch"]).arg(&batch));
        let request = self.request(0);
        let single = || {
            let one = |_| run(world.permit(&["issue", "--request"]).arg(&request));
            (0..requests).map(one).sum()
        };
        let work =
            format!("`issue --batch`, {requests} requests, each durable before it is printed");
        row(
            &work,
            "as many single processes",
            &pair(3, group, single),
            "0.1",
        );
    }

    /// Events a second of a stream ten times as long, as a ratio of times an event.
    fn growth_of_verification(&self) {
        let verify = |world: &World| run(&mut world.permit(&["verify-chain"]));
        let per_event =
            |time: Duration, events: usize| time / u32::try_from(events / 1000).unwrap();
        let found = pair(
            3,
            || per_event(verify(&self.large), self.middle),
            || per_event(verify(&self.largest), self.most),
        );
        let work = format!(
            "`verify-chain`, {} events: time for 1,000",
            count(self.middle)
        );
        row(
            &work,
            &format!("the same of {} events", count(self.most)),
            &found,
            "at least 0.9",
        );
    }

    fn many_streams(&self) {
        let world = World::new(&self.folder, "many");
        for number in 0..self.middle / 100 {
            world.issue(&format!("stream-{number}"), 100);
        }
        world.git(&["gc", "-q", "--prune=now"]);
        let all = || run(&mut world.permit(&["verify-chain", "--all"]));
        let one = || run(&mut self.large.permit(&["verify-chain"]));
        let work = format!(
            "`verify-chain --all`, {} streams of 100",
            count(self.middle / 100)
        );
        let against = format!("one stream of {}", count(self.middle));
        row(&work, &against, &pair(TURNS, all, one), "1.5");
    }

    /// Single processes: against Git's own commit, and on long streams against short ones.
    fn single_processes(&self) {
        let request = self.request(1);
        let issue = |world: &World| run(world.permit(&["issue", "--request"]).arg(&request));
        let commit = [
            "-c",
            "core.fsync=loose-object,reference",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "Nothing",
        ];
        let other = World::new(&self.folder, "commits");
        run(&mut other.permit(&["stream", "open", "main"]));
        let found = pair(
            MANY,
            || issue(&other),
            || run(&mut other.git_command(&commit)),
        );
        row(
            "`issue`, durable",
            "`git commit --allow-empty` with `core.fsync`",
            &found,
            "1.0",
        );
        for (world, events, goal) in [
            (&self.large, self.middle, "1.3"),
            (&self.largest, self.most, "1.2"),
        ] {
            let found = pair(MANY, || issue(world), || issue(&self.small));
            row(
                &format!("`issue` at {} events", count(events)),
                "at 100 events",
                &found,
                goal,
            );
        }
        let permit = |world: &World| {
            let path = world.path.with_extension("permit.json");
            let answer = world.json(&["issue", "--request", request.to_str().unwrap()]);
            fs::write(&path, answer["permit"].to_string()).unwrap();
            path
        };
        for (word, goal) in [("verify", "1.2"), ("use", "1.2")] {
            let act = |world: &World| {
                let permit = permit(world);
                let mut command = world.permit(&[word, "--request"]);
                run(command.arg(&request).arg(&permit))
            };
            let found = pair(MANY, || act(&self.largest), || act(&self.small));
            row(
                &format!("`{word}` at {} events", count(self.most)),
                "at 100 events",
                &found,
                goal,
            );
        }
    }

    /// A policy of 10,000 rules: read, hashed and asked, in this process.
    fn policies(&self) {
        let text = documents::policy(10_000).to_string();
        let request = Request::parse(documents::request(7).to_string().as_bytes()).unwrap();
        let ours = || {
            time(|| {
                let policy = Policy::parse(text.as_bytes()).unwrap();
                black_box(evaluate(&request, &policy).unwrap());
                black_box(policy.hash());
            })
        };
        let theirs = || time(|| black_box(serde_json::from_str::<Value>(&text).unwrap()));
        let work = "read, hash and ask a policy of 10,000 rules";
        row(
            work,
            "`serde_json` to a `Value`",
            &pair(TURNS, ours, theirs),
            "3",
        );
        self.note("measured");
    }

    /// What grows with a stream, and what does not.
    fn table_of_growth(&self) {
        println!(
            "| events | `issue --batch --atomic` | `verify-chain` | `replay` | most memory of either | `issue` |"
        );
        println!("|---|---|---|---|---|---|");
        for events in [self.most / 1000, self.most / 100] {
            if events >= 1000 {
                let world = World::of_events(&self.folder, &format!("growth-{events}"), events);
                self.row_of_growth(&world, events);
            }
        }
        self.row_of_growth(&self.large, self.middle);
        self.row_of_growth(&self.largest, self.most);
    }

    fn row_of_growth(&self, world: &World, events: usize) {
        let batch = world.batch(events - 1);
        let line = [
            "issue",
            "--atomic",
            "--open-stream",
            "--stream",
            "again",
            "--batch",
        ];
        let issued = run(world.permit(&line).arg(batch));
        let verify = || world.permit(&["verify-chain"]);
        let replay = || world.permit(&["replay"]);
        let request = self.request(2);
        let single = (0..MANY).map(|_| run(world.permit(&["issue", "--request"]).arg(&request)));
        let single = median(single);
        let most = peak(&mut verify()).max(peak(&mut replay()));
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            count(events),
            rate(events, issued),
            rate(events, median((0..3).map(|_| run(&mut verify())))),
            rate(events, median((0..3).map(|_| run(&mut replay())))),
            most.map_or("–".to_owned(), |mib| format!("{mib} MiB")),
            milliseconds(single),
        );
    }

    /// A file with one request.
    fn request(&self, number: usize) -> PathBuf {
        let path = self.folder.join(format!("request-{number}.json"));
        fs::write(&path, documents::request(number).to_string()).unwrap();
        path
    }
}

/// Prints a row of the table.
fn row(work: &str, against: &str, found: &Pair, goal: &str) {
    println!(
        "| {work} | {against} | {} | {} | {:.2} | {goal} |",
        milliseconds(found.ours),
        milliseconds(found.theirs),
        found.ratio
    );
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        0.0..100.0 => format!("{milliseconds:.1} ms"),
        _ => format!("{milliseconds:.0} ms"),
    }
}

/// Events a second, to the thousand.
fn rate(events: usize, time: Duration) -> String {
    let micros = usize::try_from(time.as_micros()).unwrap().max(1);
    format!("{},000 /s", count(events * 1000 / micros))
}

/// A number with commas.
fn count(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{},{rest:03}", count(thousands)),
    }
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
