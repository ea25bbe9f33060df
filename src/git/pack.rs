//! Many objects become one pack file and its index, durable with three flushes however many they are.
//!
//! Git's pack format, version 2, without deltas (the next `git gc` makes those), and its index, version 2.
use std::{io::Write, path::Path};

use flate2::{Compression, Crc, write::ZlibEncoder};
use git2::ObjectType;
use sha1::{Digest, Sha1};

use super::{Error, ObjectId, Result, durable};

/// Objects of more bytes than this go into several packs, so that every offset has 31 bits.
const MOST_BYTES: usize = 1 << 30;

/// Writes the objects to packs under `objects/pack`, so that they survive a crash.
///
/// # Errors
/// [`Error::Io`]; then no pack of these objects is visible, or a whole one.
pub(super) fn write(objects: &Path, list: &[(ObjectId, ObjectType, &[u8])]) -> Result<()> {
    let folder = objects.join("pack");
    durable::create_folders(&folder)?;
    let mut rest = list;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = rest.iter().take_while(|(_, _, object)| {
            bytes = bytes.saturating_add(object.len());
            bytes <= MOST_BYTES
        });
        let (now, later) = rest
            .split_at_checked(fits.count().max(1))
            .unwrap_or((rest, &[]));
        write_one(&folder, now)?;
        rest = later;
    }
    durable::sync_folder(&folder)
}

/// What the index says of one object.
struct Place {
    id: ObjectId,
    crc: u32,
    offset: u32,
}

fn write_one(folder: &Path, list: &[(ObjectId, ObjectType, &[u8])]) -> Result<()> {
    let too_large = || Error::Git("an object is too large for a pack".to_owned());
    let mut pack = Hashed {
        file: durable::Temporary::create(folder, "tmp_pack_")?,
        hash: Sha1::new(),
    };
    let count = u32::try_from(list.len()).map_err(|_| too_large())?;
    pack.write(&[b"PACK", &2_u32.to_be_bytes()[..], &count.to_be_bytes()].concat())?;
    let mut offset = 12_u32;
    let mut places = Vec::with_capacity(list.len());
    for &(id, kind, bytes) in list {
        let mut entry = entry_header(kind, bytes.len()).ok_or_else(too_large)?;
        let mut encoder = ZlibEncoder::new(&mut entry, Compression::fast());
        encoder
            .write_all(bytes)
            .and_then(|()| encoder.try_finish())
            .map_err(Error::io(folder))?;
        drop(encoder);
        let mut crc = Crc::new();
        crc.update(&entry);
        places.push(Place {
            id,
            crc: crc.sum(),
            offset,
        });
        pack.write(&entry)?;
        let length = u32::try_from(entry.len()).ok();
        offset = length
            .and_then(|length| offset.checked_add(length))
            .ok_or_else(too_large)?;
    }
    let (pack, trailer) = pack.finish()?;
    places.sort_by_key(|place| place.id);
    places.dedup_by_key(|place| place.id);
    let mut index = Hashed {
        file: durable::Temporary::create(folder, "tmp_idx_")?,
        hash: Sha1::new(),
    };
    index.write(&index_of(&places, trailer))?;
    let (index, _) = index.finish()?;
    // INVARIANT: the pack first, since a pack is looked for by its index.
    let name = format!("pack-{}", hex::encode(trailer));
    pack.publish(&folder.join(format!("{name}.pack")))?;
    index.publish(&folder.join(format!("{name}.idx")))
}

/// A file that ends with the SHA-1 of what stands before.
struct Hashed {
    file: durable::Temporary,
    hash: Sha1,
}

impl Hashed {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.file.write(bytes)
    }

    fn finish(mut self) -> Result<(durable::Temporary, [u8; 20])> {
        let trailer: [u8; 20] = self.hash.finalize().into();
        self.file.write(&trailer)?;
        Ok((self.file, trailer))
    }
}

/// Writes an entry's kind (three bits) and size: four bits, then seven a byte, the top bit saying that more follow.
fn entry_header(kind: ObjectType, size: usize) -> Option<Vec<u8>> {
    let kind = match kind {
        ObjectType::Commit => 1_u8,
        ObjectType::Tree => 2,
        ObjectType::Blob => 3,
        ObjectType::Tag => 4,
        ObjectType::Any => return None,
    };
    let mut bytes = Vec::with_capacity(16);
    let mut byte = (kind << 4) | u8::try_from(size & 0x0f).ok()?;
    let mut rest = size >> 4;
    while rest > 0 {
        bytes.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).ok()?;
        rest >>= 7;
    }
    bytes.push(byte);
    Some(bytes)
}

/// Writes the index but for its own hash: how many ids begin with at most each byte, ids, checksums, offsets.
fn index_of(places: &[Place], trailer: [u8; 20]) -> Vec<u8> {
    let mut bytes = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=u8::MAX {
        let count = places.partition_point(|place| place.id.as_bytes().first() <= Some(&first));
        bytes.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    }
    bytes.extend(places.iter().flat_map(|place| *place.id.as_bytes()));
    bytes.extend(places.iter().flat_map(|place| place.crc.to_be_bytes()));
    bytes.extend(places.iter().flat_map(|place| place.offset.to_be_bytes()));
    bytes.extend(trailer);
    bytes
}
