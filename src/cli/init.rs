//! `permit init`: a governance folder to begin with. Never overwrites.

use std::path::Path;

use super::args::InitArgs;
use super::fault;
use super::files;
use super::outcome::Outcome;
use super::render::{DIM, GOOD, paint};
use super::session::Session;
use super::stream::Stream;
use super::stream_command::open_at;
use crate::engine::code::{Code, Refusal};

const POLICY: &str = include_str!("templates/permit.policy.json");
const README: &str = include_str!("templates/README.md");

pub(crate) fn run(session: &Session, args: &InitArgs) -> Result<Outcome, Refusal> {
    let root = session.repository.work_dir().ok_or_else(|| {
        fault::input("a bare repository has no work tree to scaffold in")
            .next("run `permit init` in a clone with a work tree, commit and push")
    })?;
    let (mut created, mut kept) = (Vec::new(), Vec::new());
    let mut scaffold = |path: &str, content: &str, there: bool| -> Result<(), Refusal> {
        let file = root.join(path);
        if there || file.symlink_metadata().is_ok() {
            kept.push(path.to_owned());
        } else {
            files::create(&file, content.as_bytes())?;
            created.push(path.to_owned());
        }
        Ok(())
    };
    let has_policy = has_policy(&root.join("governance/policy"))?;
    scaffold("governance/policy/permit.policy.json", POLICY, has_policy)?;
    scaffold("governance/README.md", README, false)?;
    let stream = Stream::new(session, &args.stream)?;
    let next = match session.govern("HEAD") {
        Ok(governed) => match open_at(session, &stream, &governed) {
            Ok(at) => {
                created.push(format!("refs/permit/streams/{}", at.tip.stream_id));
                "permit issue --request FILE".to_owned()
            }
            Err(refusal) if refusal.code == Code::StreamExists => {
                kept.push(format!("refs/permit/streams/{}", stream.id));
                "permit issue --request FILE".to_owned()
            }
            Err(refusal) => return Err(refusal),
        },
        Err(_) => format!(
            "edit governance/policy/permit.policy.json, commit it, then run `permit stream open {}`",
            stream.id
        ),
    };
    let mut text = String::new();
    for path in &created {
        text.push_str(&format!("{} {path}\n", paint(GOOD, "created")));
    }
    for path in &kept {
        text.push_str(&format!("{} {path}\n", paint(DIM, "kept   ")));
    }
    Ok(Outcome::ok("init")
        .field("created", created)
        .field("kept", kept)
        .next(next)
        .text(text))
}

fn has_policy(folder: &Path) -> Result<bool, Refusal> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(fault::io(folder, &error)),
    };
    Ok(entries.flatten().any(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .ends_with(".policy.json")
    }))
}
