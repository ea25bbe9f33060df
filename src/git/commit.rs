//! A commit's raw bytes become its parts, strictly: what two readers could read in two ways is refused.
use std::{collections::BTreeSet, ops::Range, str};

use super::{CommitId, Error, ObjectId, Result, id::parse_hex};

/// The parts of a commit, as its bytes say and nothing else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCommit {
    /// The commit's id, which the bytes hash to.
    pub id: CommitId,
    /// The root tree.
    pub tree: ObjectId,
    /// The parents in order; grafts and the shallow file do not count.
    pub parents: Vec<CommitId>,
    /// The committer's time in seconds since 1970.
    pub committer_time: i64,
    author: Range<usize>,
    committer: Range<usize>,
    message: usize,
    bytes: Vec<u8>,
}

impl RawCommit {
    /// Parses the bytes of a commit whose id is already known to be `id`.
    ///
    /// The headers are `tree`, any number of `parent`, `author`, `committer`, then others; no header but `parent` and
    /// `mergetag` stands twice; a line that begins with a space continues the one before.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the header that is wrong.
    pub(super) fn parse(id: CommitId, bytes: Vec<u8>) -> Result<Self> {
        let corrupt = |what: &str| Error::corrupt(&id, what);
        let mut lines = Lines {
            bytes: &bytes,
            next: 0,
        };
        let tree = lines.take("tree").and_then(|range| hex_at(&bytes, range));
        let tree = tree.ok_or_else(|| corrupt("it has no well-formed `tree` header"))?;
        let mut parents = Vec::new();
        while let Some(range) = lines.take("parent") {
            let parent =
                hex_at(&bytes, range).ok_or_else(|| corrupt("a `parent` header is malformed"))?;
            parents.push(CommitId::new(parent));
        }
        let mut person = |name| {
            let range = lines.take(name)?;
            let time = time_of(bytes.get(range.clone())?)?;
            Some((range, time))
        };
        let (author, _) =
            person("author").ok_or_else(|| corrupt("it has no well-formed `author` header"))?;
        let (committer, committer_time) = person("committer")
            .ok_or_else(|| corrupt("it has no well-formed `committer` header"))?;
        lines.skip_others().map_err(|what| corrupt(&what))?;
        let message = lines.next;
        Ok(Self {
            id,
            tree: ObjectId::new(tree),
            parents,
            committer_time,
            author,
            committer,
            message,
            bytes,
        })
    }

    /// Returns the whole commit as the object database holds it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the author's line without the word `author`: name, address, time and zone.
    #[must_use]
    pub fn author(&self) -> &[u8] {
        self.bytes.get(self.author.clone()).unwrap_or_default()
    }

    /// Returns the committer's line without the word `committer`: name, address, time and zone.
    #[must_use]
    pub fn committer(&self) -> &[u8] {
        self.bytes.get(self.committer.clone()).unwrap_or_default()
    }

    /// Returns what stands after the first empty line.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.bytes.get(self.message..).unwrap_or_default()
    }
}

/// The header lines of a commit, read from the front.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    next: usize,
}

impl<'a> Lines<'a> {
    /// Returns the next line without its line feed, and where the line after it begins.
    fn peek(&self) -> Option<(&'a [u8], usize)> {
        let rest = self.bytes.get(self.next..)?;
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        Some((
            rest.get(..length)?,
            self.next.checked_add(length)?.checked_add(1)?,
        ))
    }

    /// Takes the next line where it is the header `name`, and returns the place of its value.
    fn take(&mut self, name: &str) -> Option<Range<usize>> {
        let (line, after) = self.peek()?;
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
        let end = after.checked_sub(1)?;
        let range = end.checked_sub(value.len())?..end;
        self.next = after;
        Some(range)
    }

    /// Takes the headers after `committer` and the empty line that ends them.
    ///
    /// Git also takes a commit that ends with its last header; its message is empty.
    fn skip_others(&mut self) -> std::result::Result<(), String> {
        let mut seen = BTreeSet::from([&b"tree"[..], b"parent", b"author", b"committer"]);
        let mut continues = false;
        while self.next < self.bytes.len() {
            let (line, after) = self.peek().ok_or("its last header has no end")?;
            self.next = after;
            if line.is_empty() {
                return Ok(());
            }
            if line.contains(&0) {
                return Err("a header holds a zero byte".to_owned());
            }
            if !(line.starts_with(b" ") && continues) {
                let name = line.split(|&byte| byte == b' ').next().unwrap_or_default();
                let shown = String::from_utf8_lossy(name);
                if name.is_empty() || name.len() == line.len() {
                    return Err(format!("header `{shown}` is malformed"));
                }
                if !seen.insert(name) && name != b"mergetag" {
                    return Err(format!("header `{shown}` stands twice or out of order"));
                }
            }
            continues = true;
        }
        Ok(())
    }
}

fn hex_at(bytes: &[u8], range: Range<usize>) -> Option<[u8; 20]> {
    parse_hex(bytes.get(range)?)
}

/// Reads the time of `name <address> time zone`.
fn time_of(person: &[u8]) -> Option<i64> {
    if person.contains(&0) {
        return None;
    }
    let after_address = person
        .rsplit(|&byte| byte == b'>')
        .next()
        .filter(|rest| rest.len() < person.len())?;
    let mut words = str::from_utf8(after_address)
        .ok()?
        .strip_prefix(' ')?
        .split(' ');
    let (time, zone) = (words.next()?, words.next()?);
    let digits = zone.strip_prefix(['+', '-'])?;
    let well_formed = words.next().is_none() && !time.starts_with('+') && !digits.is_empty();
    (well_formed && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| time.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        reason = "a test stops where its preparation fails"
    )]
    use super::*;

    const TREE: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";
    const PARENT: &str = "parent 1111111111111111111111111111111111111111\n";
    const AUTHOR: &str = "author A <a@b> 7 +0000\n";
    const COMMITTER: &str = "committer C <c@d> -8 -0130\n";

    fn parse(text: &str) -> Result<RawCommit> {
        RawCommit::parse(CommitId::new([9; 20]), text.as_bytes().to_vec())
    }

    #[test]
    fn every_part_is_found() {
        let text = format!(
            "{TREE}{PARENT}{PARENT}{AUTHOR}{COMMITTER}encoding x\nmergetag a\n b\n \nmergetag c\ngpgsig -----\n  y\n\nhello\n\nparent z\n"
        );
        let commit = parse(&text).unwrap();
        assert_eq!(commit.parents, [CommitId::new([0x11; 20]); 2]);
        assert_eq!(commit.author(), b"A <a@b> 7 +0000");
        assert_eq!(commit.committer(), b"C <c@d> -8 -0130");
        assert_eq!(commit.committer_time, -8);
        assert_eq!(commit.message(), b"hello\n\nparent z\n");
        assert_eq!(commit.bytes(), text.as_bytes());
        assert_eq!(
            parse(&format!("{TREE}{AUTHOR}{COMMITTER}"))
                .unwrap()
                .message(),
            b""
        );
    }

    #[test]
    fn a_second_or_misplaced_header_is_refused() {
        for text in [
            String::new(),
            format!("{AUTHOR}{COMMITTER}\n"),
            format!("{TREE}{TREE}{AUTHOR}{COMMITTER}\n"),
            format!("{TREE}{COMMITTER}{AUTHOR}\n"),
            format!("{PARENT}{TREE}{AUTHOR}{COMMITTER}\n"),
            format!("{TREE}{AUTHOR}{PARENT}{COMMITTER}\n"),
            format!("{TREE}{AUTHOR}{AUTHOR}{COMMITTER}\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}{COMMITTER}\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}{PARENT}\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}{TREE}\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}encoding a\nencoding b\n\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}gpgsig a\ngpgsig b\n\n"),
            format!("{TREE}{AUTHOR}{COMMITTER} continued\n\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}word\n\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}word a\0b\n\n"),
            format!("{TREE}{AUTHOR}{COMMITTER}no end"),
            format!("{TREE}author A <a@b> 7\n{COMMITTER}\n"),
            format!("{TREE}author A 7 +0000\n{COMMITTER}\n"),
            format!("{TREE}author A <a@b> x +0000\n{COMMITTER}\n"),
            format!("{TREE}author A\0 <a@b> 7 +0000\n{COMMITTER}\n"),
            format!("{}{AUTHOR}{COMMITTER}\n", TREE.to_uppercase()),
            format!("{}{AUTHOR}{COMMITTER}\n", TREE.replace("04\n", "\n")),
        ] {
            assert!(
                matches!(parse(&text), Err(Error::Corrupt { .. })),
                "{text:?}"
            );
        }
    }
}
