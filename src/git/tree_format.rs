//! A tree's raw bytes become its entries, strictly: every entry has one name and one place.
use std::{cmp::Ordering, collections::BTreeSet};

use super::ObjectId;

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A regular file that may be run.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A submodule: a commit of another repository.
    Submodule,
    /// A folder.
    Folder,
}

impl EntryKind {
    /// Returns the kind in words, for messages.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::File | Self::Executable => "a file",
            Self::Symlink => "a symlink",
            Self::Submodule => "a submodule",
            Self::Folder => "a folder",
        }
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name inside its folder; any bytes but `/` and zero.
    pub name: Vec<u8>,
    /// The mode, in octal `100644` and so on.
    pub mode: u32,
    /// The object that the entry names.
    pub id: ObjectId,
    /// What the mode says the object is.
    pub kind: EntryKind,
}

/// Parses a whole tree.
///
/// Modes are `100644`, `100664`, `100755`, `120000`, `160000` and `40000`, written just so; names are not empty, not
/// `.`, `..` or `.git`, hold no `/`, stand in Git's order, and no name stands twice (not even as a file and a folder).
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = BTreeSet::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (mode, after) = split_once(rest, b' ').ok_or("an entry has no mode")?;
        let (name, after) = split_once(after, 0).ok_or("an entry's name has no end")?;
        let (id, after) = after
            .split_first_chunk::<20>()
            .ok_or("an entry's id is cut off")?;
        rest = after;
        let (mode, kind) = mode_of(mode).ok_or("an entry has an unknown mode")?;
        if matches!(name, b"" | b"." | b".." | b".git") || name.contains(&b'/') {
            return Err("an entry has a forbidden name");
        }
        if !names.insert(name) {
            return Err("a name stands twice");
        }
        let entry = Entry {
            name: name.to_vec(),
            mode,
            id: ObjectId::new(*id),
            kind,
        };
        if entries
            .last()
            .is_some_and(|last| git_order(last, &entry) != Ordering::Less)
        {
            return Err("its entries are not in order");
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|&byte| byte == separator)?;
    let (before, from) = bytes.split_at_checked(place)?;
    Some((before, from.split_first()?.1))
}

fn mode_of(text: &[u8]) -> Option<(u32, EntryKind)> {
    Some(match text {
        b"100644" => (0o100_644, EntryKind::File),
        b"100664" => (0o100_664, EntryKind::File),
        b"100755" => (0o100_755, EntryKind::Executable),
        b"120000" => (0o120_000, EntryKind::Symlink),
        b"160000" => (0o160_000, EntryKind::Submodule),
        b"40000" => (0o40_000, EntryKind::Folder),
        _ => return None,
    })
}

/// Compares as Git sorts: by bytes, a folder as if its name ended in `/`.
fn git_order(left: &Entry, right: &Entry) -> Ordering {
    sort_key(left).cmp(sort_key(right))
}

fn sort_key(entry: &Entry) -> impl Iterator<Item = &u8> {
    let slash: &[u8] = if entry.kind == EntryKind::Folder {
        b"/"
    } else {
        b""
    };
    entry.name.iter().chain(slash)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        reason = "a test stops where its preparation fails"
    )]
    use super::{
        EntryKind::{Executable, File, Folder, Submodule, Symlink},
        *,
    };

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        let raw = |(mode, name): &(&str, &str)| {
            [mode.as_bytes(), b" ", name.as_bytes(), &[0; 21]].concat()
        };
        entries.iter().flat_map(raw).collect()
    }

    #[test]
    fn every_mode_is_known_and_git_order_is_kept() {
        let bytes = tree(&[
            ("100644", "a"),
            ("100755", "a-b"),
            ("40000", "a0"),
            ("120000", "b"),
            ("100644", "b.c"),
            ("40000", "bb"),
            ("160000", "c"),
            ("100664", "d"),
        ]);
        let entries = parse(&bytes).unwrap();
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(
            kinds,
            [
                File, Executable, Folder, Symlink, File, Folder, Submodule, File
            ]
        );
        assert!(parse(&tree(&[("100644", "a.b"), ("40000", "a")])).is_ok());
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn what_git_would_not_write_is_refused() {
        for (entries, what) in [
            (
                &[("100644", "a"), ("100644", "a")][..],
                "a name stands twice",
            ),
            (
                &[("100644", "a"), ("100644", "a.b"), ("40000", "a")],
                "a name stands twice",
            ),
            (
                &[("100644", "b"), ("100644", "a")],
                "its entries are not in order",
            ),
            (
                &[("40000", "a"), ("100644", "a.b")],
                "its entries are not in order",
            ),
            (&[("040000", "a")], "an entry has an unknown mode"),
            (&[("100600", "a")], "an entry has an unknown mode"),
            (&[("", "a")], "an entry has an unknown mode"),
            (&[("100644", "")], "an entry has a forbidden name"),
            (&[("100644", "..")], "an entry has a forbidden name"),
            (&[("100644", "a/b")], "an entry has a forbidden name"),
        ] {
            assert_eq!(parse(&tree(entries)), Err(what), "{entries:?}");
        }
        let whole = tree(&[("100644", "a")]);
        for length in 1..whole.len() {
            assert!(parse(whole.get(..length).unwrap()).is_err(), "{length}");
        }
    }
}
