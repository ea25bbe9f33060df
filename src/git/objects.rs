//! Raw objects in and out of the object database: an id becomes bytes that hash to it, and bytes become durable.
use std::{collections::BTreeSet, io::Write, path::Path};

use flate2::{Compression, write::ZlibEncoder};
use git2::{ErrorClass, ErrorCode, ObjectType, Odb};

use super::{Error, ObjectId, Result, durable};

/// The id of the empty tree, which every commit of a stream has.
pub(super) const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Commits, trees and tags larger than this many bytes are not read.
pub(super) const MAX_STRUCTURE_BYTES: u64 = 64 << 20;

/// What an object database said it holds under an id.
pub(super) struct Header {
    /// The object's kind.
    pub(super) kind: ObjectType,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// Tells an object that is not there from one that cannot be read.
pub(super) fn read_fault(id: ObjectId, error: &git2::Error) -> Error {
    if error.code() == ErrorCode::NotFound {
        Error::Missing { id: id.to_string() }
    } else if error.class() == ErrorClass::Os {
        Error::Git(format!("cannot read object `{id}`: {}", error.message()))
    } else {
        Error::corrupt(&id, error.message())
    }
}

/// Reads an object's kind and size without its bytes.
pub(super) fn header(odb: &Odb<'_>, id: ObjectId) -> Result<Header> {
    let (size, kind) = odb
        .read_header(id.to_git()?)
        .map_err(|error| read_fault(id, &error))?;
    Ok(Header {
        kind,
        size: u64::try_from(size).unwrap_or(u64::MAX),
    })
}

/// Reads the bytes of an object of this kind, not larger than `limit` bytes, and computes its id again.
///
/// # Errors
/// [`Error::Missing`], [`Error::TooLarge`] (with the id as the path), and [`Error::Corrupt`] where the object is of
/// another kind, cannot be inflated, does not hash to its id, or shows the pattern of a SHA-1 collision attack.
pub(super) fn read(odb: &Odb<'_>, id: ObjectId, kind: ObjectType, limit: u64) -> Result<Vec<u8>> {
    let header = header(odb, id)?;
    if header.kind != kind {
        return Err(Error::corrupt(
            &id,
            format!("it is a {}, not a {kind}", header.kind),
        ));
    }
    if header.size > limit {
        return Err(Error::TooLarge {
            path: id.to_string(),
            size: header.size,
            limit,
        });
    }
    let object = odb
        .read(id.to_git()?)
        .map_err(|error| read_fault(id, &error))?;
    let computed = git2::Oid::hash_object(kind, object.data())
        .map_err(|error| Error::corrupt(&id, error.message()))?;
    if object.kind() != kind || computed.as_bytes() != id.as_bytes() {
        return Err(Error::corrupt(
            &id,
            format!("its bytes hash to `{computed}`"),
        ));
    }
    Ok(object.data().to_vec())
}

/// Writes loose objects under `objects` so that they survive a crash: each file, then each folder that changed.
///
/// An object that a pack already holds intact is left alone. A loose one is written again even where a file is there:
/// the file may be what a crash left of an earlier try.
pub(super) fn write_loose(
    odb: &Odb<'_>,
    objects: &Path,
    list: &[(ObjectId, ObjectType, &[u8])],
) -> Result<()> {
    let mut folders = BTreeSet::new();
    for &(id, kind, bytes) in list {
        let hex = id.to_string();
        let (folder, file) = hex.split_at(2);
        let folder = objects.join(folder);
        let path = folder.join(file);
        if !path.exists() && odb.exists(id.to_git()?) && read(odb, id, kind, u64::MAX).is_ok() {
            continue;
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let written =
            write!(encoder, "{kind} {}\0", bytes.len()).and_then(|()| encoder.write_all(bytes));
        let deflated = written
            .and_then(|()| encoder.finish())
            .map_err(Error::io(&path))?;
        let mut temporary = durable::Temporary::create(objects, "tmp_obj_")?;
        temporary.write(&deflated)?;
        durable::create_folders(&folder)?;
        temporary.publish(&path)?;
        folders.insert(folder);
    }
    folders
        .iter()
        .try_for_each(|folder| durable::sync_folder(folder))
}
