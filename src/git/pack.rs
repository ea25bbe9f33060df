//! Many objects become one pack file and its index, durable with few flushes however many they are.
//!
//! Git's pack format, version 2, without deltas (the next `git gc` makes those), and its index, version 2. A thread of
//! its own compresses and writes, so that whoever derives the objects need not wait.
use std::{
    io::{Read, Seek, SeekFrom, Write},
    mem,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use git2::ObjectType;
use sha1::{Digest, Sha1};

use super::{Error, ObjectId, Result, durable};

/// A pack of more bytes than this is ended and another begun, so that every offset has 31 bits.
const MOST_BYTES: u32 = 1 << 30;

/// How many objects go to the thread at a time, and how often it may lag behind by so many.
const BATCH: usize = 256;
const LAG: usize = 8;

/// An object that is to be packed.
type Object = (ObjectId, ObjectType, Vec<u8>);

/// Packs that are being written to `objects/pack`; nobody finds them there before [`PackWriter::finish`].
pub(super) struct PackWriter {
    folder: PathBuf,
    batch: Vec<Object>,
    sender: Option<SyncSender<Vec<Object>>>,
    thread: Option<JoinHandle<Result<Vec<Written>>>>,
}

/// A pack and its index under names of their own.
struct Written {
    name: String,
    pack: durable::Temporary,
    index: durable::Temporary,
}

/// A pack that is open, and what its index will say.
struct Open {
    file: durable::Temporary,
    offset: u32,
    places: Vec<Place>,
}

/// What the index says of one object.
struct Place {
    id: ObjectId,
    crc: u32,
    offset: u32,
}

impl PackWriter {
    /// Begins to write below the folder `objects`.
    pub(super) fn begin(objects: &Path) -> Result<Self> {
        let folder = objects.join("pack");
        durable::create_folders(&folder)?;
        let (sender, receiver) = sync_channel(LAG);
        let place = folder.clone();
        Ok(Self {
            folder,
            batch: Vec::with_capacity(BATCH),
            sender: Some(sender),
            thread: Some(thread::spawn(move || write_all(&place, &receiver))),
        })
    }

    /// Adds an object.
    ///
    /// # Errors
    /// Why the thread could not go on.
    pub(super) fn push(&mut self, id: ObjectId, kind: ObjectType, bytes: Vec<u8>) -> Result<()> {
        self.batch.push((id, kind, bytes));
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.send()
    }

    /// Makes the packs durable and lets them be found.
    ///
    /// # Errors
    /// [`Error::Io`]; then no pack of these objects is visible, or whole ones.
    pub(super) fn finish(mut self) -> Result<()> {
        self.send()?;
        for written in self.join()? {
            // INVARIANT: the pack first, since a pack is looked for by its index.
            let path = self.folder.join(written.name);
            written.pack.publish(&path.with_extension("pack"))?;
            written.index.publish(&path.with_extension("idx"))?;
        }
        durable::sync_folder(&self.folder)
    }

    fn send(&mut self) -> Result<()> {
        let batch = mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let sent = self.sender.as_ref().map(|sender| sender.send(batch));
        if matches!(sent, Some(Ok(()))) {
            return Ok(());
        }
        // The thread has ended before its time, and says why.
        self.join()?;
        Err(Error::Git("the pack writer has ended".to_owned()))
    }

    fn join(&mut self) -> Result<Vec<Written>> {
        self.sender = None;
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.unwrap_or_else(|| Err(Error::Git("the pack writer broke off".to_owned())))
    }
}

impl Drop for PackWriter {
    /// Waits for the thread, which takes its files away again.
    fn drop(&mut self) {
        drop(self.join());
    }
}

fn write_all(folder: &Path, objects: &Receiver<Vec<Object>>) -> Result<Vec<Written>> {
    let mut deflate = Compress::new(Compression::fast(), true);
    let mut written = Vec::new();
    let mut open: Option<Open> = None;
    for (id, kind, bytes) in objects.iter().flatten() {
        if let Some(full) = open.take_if(|open| open.offset > MOST_BYTES) {
            written.push(full.finish(folder)?);
        }
        if open.is_none() {
            open = Some(Open::begin(folder)?);
        }
        if let Some(open) = &mut open {
            open.add(id, kind, &bytes, &mut deflate)?;
        }
    }
    if let Some(open) = open {
        written.push(open.finish(folder)?);
    }
    Ok(written)
}

impl Open {
    fn begin(folder: &Path) -> Result<Self> {
        let mut file = durable::Temporary::create(folder, "tmp_pack_")?;
        // How many objects there are is written at the end.
        file.write(b"PACK\0\0\0\x02\0\0\0\0")?;
        Ok(Self {
            file,
            offset: 12,
            places: Vec::new(),
        })
    }

    fn add(
        &mut self,
        id: ObjectId,
        kind: ObjectType,
        bytes: &[u8],
        deflate: &mut Compress,
    ) -> Result<()> {
        let too_large = || Error::Git("an object is too large for a pack".to_owned());
        let mut entry = entry_header(kind, bytes.len()).ok_or_else(too_large)?;
        // Deflate stores what it cannot compress in blocks of up to 65535 bytes, five bytes more each.
        entry.reserve(
            bytes
                .len()
                .saturating_add(bytes.len() / 1024)
                .saturating_add(128),
        );
        deflate.reset();
        let status = deflate.compress_vec(bytes, &mut entry, FlushCompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) {
            return Err(Error::Git("an object cannot be compressed".to_owned()));
        }
        let mut crc = Crc::new();
        crc.update(&entry);
        self.places.push(Place {
            id,
            crc: crc.sum(),
            offset: self.offset,
        });
        self.file.write(&entry)?;
        let length = u32::try_from(entry.len()).ok();
        let next = length.and_then(|length| self.offset.checked_add(length));
        self.offset = next.filter(|next| *next >> 31 == 0).ok_or_else(too_large)?;
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> Result<Written> {
        let too_many = |_| Error::Git("a pack of too many objects".to_owned());
        let count = u32::try_from(self.places.len()).map_err(too_many)?;
        let trailer = self.file.edit(|file| {
            file.seek(SeekFrom::Start(8))?;
            file.write_all(&count.to_be_bytes())?;
            file.seek(SeekFrom::Start(0))?;
            let mut hash = Sha1::new();
            let mut buffer = vec![0; 1 << 18];
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hash.update(buffer.get(..read).unwrap_or_default());
            }
            let trailer: [u8; 20] = hash.finalize().into();
            file.write_all(&trailer)?;
            Ok(trailer)
        })?;
        self.places.sort_by_key(|place| place.id);
        self.places.dedup_by_key(|place| place.id);
        let bytes = index_of(&self.places, trailer);
        let mut index = durable::Temporary::create(folder, "tmp_idx_")?;
        index.write(&bytes)?;
        index.write(&Sha1::digest(&bytes))?;
        Ok(Written {
            name: format!("pack-{}", hex::encode(trailer)),
            pack: self.file,
            index,
        })
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
