//! Gaps: refs that stand where no recorded decision left them, because the mode was `off` or another way led there.
//!
//! The newest line of a ref says where its run left it: at `after` where it was let through, at `before` where it was
//! denied. A ref that the push touches and that stands elsewhere has a gap from there (empty for nothing) to where it
//! stands. A ref that the record does not know has one from nothing, unless the record is empty: then nothing was judged
//! yet, and there is no state to compare with. One thing the record leaves open: a decision that was allowed in
//! `enforce` beside a denied one of the same run moved nothing, so that `before` is as good as `after` there.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::{ControlFlow, Range};

use super::push::Push;
use crate::engine::code::Code;
use crate::engine::enforce::{Decision, Effective, Gap, Line, Mode};

/// Up to how many refs a stretch of the record is searched for before its lines are read.
const FEW: usize = 4;

/// How much of the record is looked at in one step back, in bytes.
const STEP: u64 = 1 << 16;

/// How far around a line the other decisions of its run are looked for, in bytes.
const AROUND: u64 = 1 << 16;

/// The newest line of a ref.
pub(super) struct Newest {
    offset: u64,
    pub(super) before: String,
    pub(super) left: String,
    mode: Option<Mode>,
    /// Whether it is a "yes".
    pub(super) allowed: bool,
    /// Where the open gap begins that it was about.
    pub(super) gap: Option<String>,
}

/// Finds the gaps of the refs that a push touches, in the order of their names; reads back to their newest lines.
pub(super) fn find(push: &Push<'_>, file: &mut File) -> io::Result<Vec<Gap>> {
    if file.metadata()?.len() == 0 {
        return Ok(Vec::new());
    }
    let newest = newest(file, push.updates().map(|update| update.name.clone()))?;
    let (mut gaps, mut run) = (Vec::new(), None::<Run>);
    for update in push.updates() {
        let [old, _] = update.ids();
        let found = newest.get(&update.name).and_then(Option::as_ref);
        let left = found.map_or("", |newest| newest.left.as_str());
        if old == left {
            continue;
        }
        if let Some(newest) = found
            && newest.before == old
            && newest.mode == Some(Mode::Enforce)
        {
            // The refs of one push stand side by side in the record, so that one look answers for many.
            let known = run.take().filter(|run| run.place.contains(&newest.offset));
            let known = match known {
                Some(known) => known,
                None => run_around(file, newest.offset)?,
            };
            if run.insert(known).may_be_denied {
                continue;
            }
        }
        gaps.push(Gap::new(&update.name, left, &old));
    }
    Ok(gaps)
}

/// Whether a line is a "no", or its run may have denied something else: what it let through may have stayed where it was.
pub(super) fn may_be_denied(file: &mut File, newest: &Newest) -> io::Result<bool> {
    Ok(
        newest.mode.is_some()
            && (!newest.allowed || run_around(file, newest.offset)?.may_be_denied),
    )
}

/// Looks for the newest lines of refs, going back.
pub(super) fn newest(
    file: &mut File,
    names: impl Iterator<Item = String>,
) -> io::Result<BTreeMap<String, Option<Newest>>> {
    let mut newest: BTreeMap<String, Option<Newest>> = names.map(|name| (name, None)).collect();
    let mut open = newest.len();
    backwards(file, |offset, lines| {
        if open <= FEW && !could_name(lines, newest.keys()) {
            return ControlFlow::Continue(());
        }
        let mut end = lines.len();
        for line in lines.rsplit(|byte| *byte == b'\n') {
            let start = end.saturating_sub(line.len());
            end = start.saturating_sub(1);
            let Some((subject, found)) = read(line) else {
                continue;
            };
            // Only the newest line of a ref counts: what stood there earlier may have been restored in `off`.
            if let Some(place @ None) = newest.get_mut(&subject) {
                let offset = offset.saturating_add(u64::try_from(start).unwrap_or(0));
                *place = Some(Newest { offset, ..found });
                open = open.saturating_sub(1);
            }
        }
        if open == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(newest)
}

/// Tells whether a stretch of lines could be about one of a few refs; one whose name JSON would escape always could.
fn could_name<'n>(lines: &[u8], mut names: impl Iterator<Item = &'n String>) -> bool {
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    std::str::from_utf8(lines).map_or(true, |text| {
        names.any(|name| !plain(name) || text.contains(name.as_str()))
    })
}

/// A ref, where a line found it, and where it left it; nothing where the line says nothing of where the ref stood.
fn read(line: &[u8]) -> Option<(String, Newest)> {
    Some(match Line::parse(line).ok()? {
        Line::Decision(decision) => {
            if decision.is_uncompared() || decision.reason == Code::Moved.name() {
                return None;
            }
            let gap = decision.gap().map(|gap| {
                let (from, _) = gap.split_once("..").unwrap_or((gap, ""));
                from.to_owned()
            });
            let intent = decision.intent;
            let left = match decision.effective {
                Effective::Allow => intent.after,
                Effective::Deny => intent.before.clone(),
            };
            let newest = Newest {
                offset: 0,
                before: intent.before,
                left,
                mode: Some(decision.mode),
                allowed: decision.allow,
                gap,
            };
            (intent.subject, newest)
        }
        // Its decisions were cut off.
        Line::Gap(gap) => (gap.reference, Newest::told(gap.to, Some(gap.from))),
        Line::Accepted(accepted) => (accepted.reference, Newest::told(accepted.to, None)),
    })
}

impl Newest {
    /// Whether a decision let the ref go to where it stands.
    pub(super) fn landed_at(&self, stands: &str) -> bool {
        self.mode.is_some() && self.left == stands
    }

    /// Whether it let a commit through of which nobody said that it landed.
    pub(super) fn may_wait(&self) -> bool {
        self.mode.is_some() && self.left != self.before && !self.left.is_empty()
    }

    /// What a line says of a ref that decides about nothing.
    fn told(stands: String, gap: Option<String>) -> Self {
        Self {
            offset: 0,
            before: stands.clone(),
            left: stands,
            mode: None,
            allowed: true,
            gap,
        }
    }
}

/// The decisions around one that are in the order of one run, as far as they were looked at.
struct Run {
    /// From where to where they stand in the record, in bytes.
    place: Range<u64>,
    /// Whether one of them is denied, or they go on where nobody looked.
    may_be_denied: bool,
}

/// Looks at the run that wrote the decision at an offset.
fn run_around(file: &mut File, offset: u64) -> io::Result<Run> {
    let (start, end) = (offset.saturating_sub(AROUND), offset.saturating_add(AROUND));
    let whole = [start == 0, end >= file.metadata()?.len()];
    let bytes = stretch(file, start, end)?;
    let place = usize::try_from(offset.saturating_sub(start)).unwrap_or(0);
    let (earlier, later) = bytes.split_at(place.min(bytes.len()));
    let mut later = later.split(|byte| *byte == b'\n');
    let mut run = Run {
        place: offset..offset.saturating_add(1),
        may_be_denied: true,
    };
    let Some(Ok(Line::Decision(own))) = later.next().map(Line::parse) else {
        return Ok(run);
    };
    let earlier = earlier.strip_suffix(b"\n").unwrap_or(earlier);
    let earlier = earlier.rsplit(|byte| *byte == b'\n');
    let [from_start, to_end] = whole;
    let (back, denied_before) = beside(&own, earlier, from_start, Ordering::Less);
    let (on, denied_after) = beside(&own, later, to_end, Ordering::Greater);
    run.place = offset.saturating_sub(back)..run.place.end.saturating_add(on);
    run.may_be_denied = denied_before || denied_after;
    Ok(run)
}

/// Looks on one side of a decision: each further one of the same run lies before the last in its order, or after it.
/// Returns how many bytes of them there are, and whether one is denied or something remained unseen.
fn beside<'l>(
    own: &Decision,
    lines: impl Iterator<Item = &'l [u8]>,
    whole: bool,
    side: Ordering,
) -> (u64, bool) {
    let key = |decision: &Decision| (decision.intent.subject.clone(), decision.intent.class);
    let (mut last, mut length, mut denied) = (key(own), 0_u64, false);
    for line in lines {
        match Line::parse(line) {
            Ok(Line::Decision(decision)) if key(&decision).cmp(&last) == side => {
                denied |= !decision.allow;
                last = key(&decision);
                let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
                length = length.saturating_add(bytes).saturating_add(1);
            }
            Ok(_) => return (length, denied),
            Err(_) => break,
        }
    }
    (length, denied || !whole)
}

fn stretch(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    Read::by_ref(file)
        .take(to.saturating_sub(from))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Shows stretches of whole lines with their offsets, the last first, until the visitor has enough.
fn backwards(
    file: &mut File,
    mut visit: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut end = file.metadata()?.len();
    let mut rest: Vec<u8> = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut block = stretch(file, start, end)?;
        block.append(&mut rest);
        // The first piece goes on in the block before, unless that is the beginning.
        let cut = if start == 0 {
            0
        } else {
            let first = block.iter().position(|byte| *byte == b'\n');
            first.map_or(block.len(), |place| place.saturating_add(1))
        };
        let lines = block.split_off(cut);
        let offset = start.saturating_add(u64::try_from(cut).unwrap_or(0));
        if visit(offset, &lines).is_break() {
            return Ok(());
        }
        rest = block;
        end = start;
    }
    Ok(())
}
