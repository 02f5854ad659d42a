//! Segments: the files of the log.
//!
//! A segment has a fixed length and is filled with frames. Its first frame is its header. The last
//! frame of a full segment is the record [`Sealed`](Record::Sealed), which names the next segment.
//! So a missing segment is noticed.
//!
//! The next segment is created before the old one is sealed, so at every moment the log can be
//! read:
//! 1. The next segment is created under a temporary name, with its header, and synced.
//! 2. It is renamed, and the folder is synced. Now the last segment has a header only, and the one
//!    before it is not sealed.
//! 3. The old segment is sealed. Only then are records written to the next one.

use std::io;

use serde::{Deserialize, Serialize};

use super::frame::{self, BLOCK, Found};
use super::record::{Marks, Record};
use crate::disk::{DataError, Disk, DiskFile, TEMPORARY};
use crate::identity::{self, Identity};

const MAGIC: &[u8; 8] = b"disbandL";
const VERSION: u32 = 1;
/// The bytes before the encoded header.
const PREFIX: usize = 12;
/// A header is much shorter than this.
const HEADER: usize = BLOCK;
/// The room at the end of each segment for the record that seals it. That record is 11 bytes long
/// at most: one for its kind, and ten for a number.
pub(crate) const SEAL_ROOM: usize = frame::most_bytes(11);

/// The first frame of a segment. The log can be read from any segment on, because the header
/// repeats what the segments before it contain, except for the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) cluster: u64,
    pub(crate) node: u64,
    pub(crate) number: u64,
    /// The length of the file.
    pub(crate) len: u64,
    /// What the log had come to when the segment was created.
    pub(crate) marks: Marks,
}

/// The name of a segment's file.
pub(crate) fn name(number: u64) -> String {
    format!("{number:08}.log")
}

/// The number of the segment in a file. `None` if the file has another kind of name.
pub(crate) fn number(file: &str) -> Option<u64> {
    let number = file.strip_suffix(".log")?.parse().ok()?;
    (name(number) == file).then_some(number)
}

/// The segment that is written to.
pub(crate) struct Current<F> {
    pub(crate) header: Header,
    pub(crate) file: F,
    /// Where the next frame begins.
    pub(crate) at: usize,
    /// The number of the next frame.
    pub(crate) frame: u64,
}

impl<F: DiskFile> Current<F> {
    /// Whether a frame of this many bytes fits, and the room to seal the segment is left.
    pub(crate) fn fits(&self, content: usize) -> bool {
        let end = frame::frame_end(self.at, content) + SEAL_ROOM;
        end as u64 <= self.header.len
    }

    /// Writes a frame. It is on disk when this returns.
    pub(crate) async fn write(&mut self, content: &[u8]) -> io::Result<u64> {
        let bytes = frame::encode(self.at, self.frame, content);
        let len = bytes.len();
        self.file.write(self.at as u64, bytes).await?;
        self.at += len;
        self.frame += 1;
        Ok(len as u64)
    }

    /// Whether the segment contains a record besides its header.
    pub(crate) fn has_records(&self) -> bool {
        self.frame > 1
    }
}

/// The length of a segment that has room for a frame of `content` bytes.
pub(crate) fn len_for(wanted: u64, content: usize) -> u64 {
    let least = HEADER + frame::most_bytes(content) + SEAL_ROOM;
    wanted.max(least as u64).next_multiple_of(BLOCK as u64)
}

/// Creates a segment with a header only. It is on disk when this returns.
pub(crate) async fn create<D: Disk>(disk: &D, header: Header) -> io::Result<Current<D::File>> {
    let mut content = MAGIC.to_vec();
    content.extend_from_slice(&VERSION.to_le_bytes());
    content.extend(postcard::to_stdvec(&header).map_err(io::Error::other)?);
    let (name, temporary) = (name(header.number), name(header.number) + TEMPORARY);
    let file = disk.create(&temporary, header.len).await?;
    let mut current = Current { header, file, at: 0, frame: 0 };
    current.write(&content).await?;
    disk.rename(&temporary, &name).await?;
    disk.sync().await?;
    Ok(current)
}

/// A segment that was read.
pub(crate) struct Segment<F> {
    /// The segment as it can be written to.
    pub(crate) current: Current<F>,
    /// The records, and where their frames begin.
    pub(crate) records: Vec<(usize, Record)>,
    /// Where the last frame begins, and its bytes.
    pub(crate) last: (usize, Vec<u8>),
    /// Whether the last record seals the segment.
    pub(crate) sealed: bool,
    /// If a frame was not written completely: where its bytes end.
    pub(crate) torn: Option<usize>,
}

impl<F> Segment<F> {
    pub(crate) fn name(&self) -> String {
        name(self.current.header.number)
    }
}

/// Reads a segment and checks everything that can be checked without its neighbours.
pub(crate) async fn read<D: Disk>(
    disk: &D,
    number: u64,
    identity: &Identity,
) -> Result<Segment<D::File>, DataError> {
    let name = name(number);
    let io = || DataError::io(&name);
    let damaged = |at, what: &str| DataError::damaged(&name, at, what);
    let file = disk.open(&name).await.map_err(io())?;
    let len = file.len().await.map_err(io())?;
    let start = file.read(0, HEADER).await.map_err(io())?;
    let header = header(&name, &start)?;
    if (header.cluster, header.node) != (identity.cluster, identity.node) {
        let (found, own) = (identity::owner(header.cluster, header.node), identity.to_string());
        return Err(DataError::Foreign { file: name, found, own });
    }
    if header.number != number {
        let what = format!("the file has the content of segment {}", header.number);
        return Err(DataError::damaged(&name, 0, what));
    }
    if header.len != len {
        let what = format!("the file has {len} bytes instead of {}", header.len);
        return Err(DataError::Damaged { file: name, at: len.min(header.len), what });
    }
    // The length was checked by the header's checksum, so a wrong one asks for no memory.
    let len = usize::try_from(len).map_err(|_| damaged(0, "the file is too long"))?;
    let bytes = file.read(0, len).await.map_err(io())?;
    if bytes.len() != len {
        return Err(damaged(bytes.len(), "the file cannot be read to its end"));
    }

    let mut current = Current { header, file, at: 0, frame: 0 };
    let (mut records, mut last, mut sealed) = (Vec::new(), 0, false);
    let torn = loop {
        let Current { at, frame, .. } = current;
        match frame::decode(&bytes, at, frame) {
            Found::End => break None,
            Found::Damaged { at, what } => return Err(damaged(at, what)),
            _ if sealed => return Err(damaged(at, "the segment goes on after its end")),
            Found::Torn => break bytes.iter().rposition(|byte| *byte != 0).map(|last| last + 1),
            Found::Frame { content, next } => {
                if frame > 0 {
                    let some = Record::decode_all(&content)
                        .ok_or_else(|| damaged(at, "a frame holds no records"))?;
                    sealed = matches!(some.last(), Some(Record::Sealed { .. }));
                    records.extend(some.into_iter().map(|record| (at, record)));
                }
                last = at;
                (current.at, current.frame) = (next, frame + 1);
            }
        }
    };
    let last = (last, bytes[last..current.at].to_vec());
    Ok(Segment { current, records, last, sealed, torn })
}

/// Reads the header from the first bytes of a segment.
fn header(name: &str, start: &[u8]) -> Result<Header, DataError> {
    let damaged = |at, what: &str| Err(DataError::damaged(name, at, what));
    if start.is_empty() {
        return damaged(0, "the file is empty");
    }
    let content = match frame::decode(start, 0, 0) {
        Found::Frame { content, .. } => content,
        Found::End | Found::Torn => return damaged(0, "the header is missing"),
        Found::Damaged { at, what } => return damaged(at, what),
    };
    let Some((prefix, encoded)) = content.split_first_chunk::<PREFIX>() else {
        return damaged(0, "the file does not begin like a segment");
    };
    let Some(version) = prefix.strip_prefix(MAGIC).and_then(|version| version.first_chunk()) else {
        return damaged(0, "the file does not begin like a segment");
    };
    let (found, known) = (u32::from_le_bytes(*version), VERSION);
    if found != known {
        return Err(DataError::Version { file: name.into(), found, known });
    }
    match postcard::from_bytes(encoded) {
        Ok(header) => Ok(header),
        Err(_) => damaged(0, "the header cannot be decoded"),
    }
}
