//! `permit hap sp`: the Service Provider's key, registrations and log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::args::{KeyFileArgs, RegisterArgs};
use super::clock::Now;
use super::commits::read_blob;
use super::key;
use super::ledger::Ledger;
use crate::cli::outcome::Outcome;
use crate::cli::render::{DIM, GOOD, paint, safe};
use crate::cli::session::Session;
use crate::engine::canonical;
use crate::engine::code::Refusal;
use crate::engine::hap::hash::HashText;
use crate::engine::hap::key::ProviderKey;
use crate::engine::hap::record::{LOG, read_issuance};
use crate::engine::hap::stream::Registration;

/// The members of a log record by which issuances are counted.
const COUNTED: [(&str, &str); 7] = [
    ("by_organization", "organization"),
    ("by_repo", "repo"),
    ("by_profile", "profile"),
    ("by_path", "execution_path"),
    ("by_domain", "domain"),
    ("by_env", "env"),
    ("by_identity", "identity"),
];

pub(super) fn init(session: Option<&Session>, args: &KeyFileArgs) -> Result<Outcome, Refusal> {
    let public = key::create(session, &args.sp_key_file)?.public();
    let created = format!(
        "{} {}\n",
        paint(GOOD, "created"),
        args.sp_key_file.display()
    );
    Ok(show_key("hap.sp.init", public)
        .field("created", args.sp_key_file.display().to_string())
        .summary(created)
        .next("publish the public key in governance/hap/service-providers.json"))
}

pub(super) fn pubkey(args: &KeyFileArgs) -> Result<Outcome, Refusal> {
    Ok(show_key(
        "hap.sp.pubkey",
        key::read(&args.sp_key_file)?.public(),
    ))
}

fn show_key(command: &'static str, public: ProviderKey) -> Outcome {
    Outcome::ok(command)
        .field("public_key", public.to_string())
        .field("did", public.did())
        .text(format!("{public}\n"))
}

pub(super) fn register(args: &RegisterArgs) -> Result<Outcome, Refusal> {
    let secret = key::read(&args.key.sp_key_file)?;
    let now = Now::of(&args.clock)?;
    let registration = Registration::sign(&read_blob(&args.attestation)?, now.time, &secret)?;
    let link = registration.claimed_link()?;
    let text = format!("{}\n", String::from_utf8_lossy(&registration.to_bytes()));
    Ok(now.show(
        Outcome::ok("hap.sp.register")
            .field("registration", &registration)
            .field(
                "attestation_hash",
                HashText::of(registration.attestation.as_bytes()),
            )
            .field("project", &link.project_id)
            .field("sequence", link.sequence)
            .text(text)
            .summary(now.line())
            .next(format!(
                "permit hap stream append {} --registration FILE",
                link.project_id
            )),
    ))
}

pub(super) fn stats(session: &Session) -> Result<Outcome, Refusal> {
    let mut counts: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let (mut total, mut first, mut last) = (0_u64, None, None);
    walk(session, |record| {
        total = total.saturating_add(1);
        let time = record.at("issued_at").and_then(canonical::Value::as_int);
        first = first.or(time);
        last = time.or(last);
        for (name, member) in COUNTED {
            let value = text(record, member);
            let count = counts.entry(name).or_default().entry(value).or_default();
            *count = count.saturating_add(1);
        }
    })?;
    let mut shown = format!("{} {total}\n", paint(DIM, "attestations"));
    let mut outcome = Outcome::ok("hap.sp.stats")
        .field("attestations", total)
        .field("first_issued_at", first)
        .field("last_issued_at", last);
    for (name, _) in COUNTED {
        let counted = counts.remove(name).unwrap_or_default();
        for (value, count) in &counted {
            let label = name.replace("by_", "");
            shown.push_str(&format!("{} {} {count}\n", paint(DIM, &label), safe(value)));
        }
        outcome.set(name, counted);
    }
    Ok(outcome.text(shown))
}

pub(super) fn log(session: &Session) -> Result<Outcome, Refusal> {
    let (mut entries, mut lines): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    walk(session, |record| {
        lines.push(format!(
            "{} {} {} {} {} {}\n",
            paint(DIM, &issued_at(record).to_string()),
            safe(&text(record, "execution_path")),
            safe(&text(record, "domain")),
            safe(&text(record, "env")),
            safe(&text(record, "did")),
            text(record, "attestation_hash"),
        ));
        entries.push(json!(record));
    })?;
    lines.reverse();
    entries.reverse();
    Ok(Outcome::ok("hap.sp.log")
        .field("issued", entries)
        .text(lines.concat()))
}

fn walk(session: &Session, mut visit: impl FnMut(&canonical::Value<'_>)) -> Result<(), Refusal> {
    let ledger = Ledger::new(session, LOG)?;
    for commit in ledger.commits()? {
        let found = ledger.read(commit)?;
        visit(&read_issuance(found.message())?);
    }
    Ok(())
}

fn text(record: &canonical::Value<'_>, member: &str) -> String {
    let value = record.at(member).and_then(canonical::Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn issued_at(record: &canonical::Value<'_>) -> i64 {
    let value = record.at("issued_at").and_then(canonical::Value::as_int);
    value.unwrap_or_default()
}
