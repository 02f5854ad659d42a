//! Reads and checks the segments of a data folder when a node starts.

use std::collections::VecDeque;

use super::memory::Memory;
use super::record::{Marks, Record, index, next_index};
use super::segment::{self, Current, Header, Segment};
use crate::disk::{DataError, Disk, DiskFile, FOLDER, TEMPORARY};
use crate::identity::Identity;
use crate::raft::LogId;
use crate::snapshots;

/// A sealed segment.
pub(crate) struct Sealed {
    pub(crate) number: u64,
    /// The length of the file.
    pub(crate) len: u64,
    /// The index of the last entry before the next segment.
    pub(crate) last: Option<u64>,
}

/// A log that was read.
pub(crate) struct Opened<F> {
    pub(crate) memory: Memory,
    /// What the segments contain. The entries of the snapshot may still be among them.
    pub(crate) written: Marks,
    pub(crate) sealed: VecDeque<Sealed>,
    pub(crate) current: Current<F>,
}

/// Opens the log of a folder, or creates it if the folder is being founded. `snapshot` is the last
/// entry that the snapshot on disk contains. `segment_bytes` is the length of a new segment.
pub(crate) async fn open<D: Disk>(
    disk: &D,
    identity: &mut Identity,
    segment_bytes: u64,
    snapshot: Option<LogId>,
) -> Result<Opened<D::File>, DataError> {
    // A process that was killed may not have synced what it did to the folder.
    disk.sync().await.map_err(DataError::io(FOLDER))?;
    let numbers = list(disk).await?;
    if !identity.is_founded() {
        return found(disk, identity, segment_bytes, &numbers).await;
    }
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else {
        let why = "the file identity says that this folder has a log, and the log is gone";
        let file = "the log (files like 00000001.log)".into();
        return Err(DataError::Missing { file, why: why.into() });
    };
    if let Some(missing) = (first..=last).zip(&numbers).find(|(expected, found)| expected != *found)
    {
        let (file, why) = (segment::name(missing.0), "there are older and newer segments");
        return Err(DataError::Missing { file, why: why.into() });
    }

    let mut chain = Chain::default();
    for number in numbers {
        chain.add(segment::read(disk, number, identity).await?)?;
    }
    let Chain { mut memory, begin, sealed, before, last: Some(last), .. } = chain else {
        unreachable!("there is a first segment");
    };
    let current = recover(disk, before, last).await?;
    let written = memory.marks();
    drop_snapshot(&mut memory, &segment::name(first), begin, snapshot)?;
    Ok(Opened { memory, written, sealed, current })
}

/// The numbers of all segments, in ascending order. Removes leftovers.
async fn list<D: Disk>(disk: &D) -> Result<Vec<u64>, DataError> {
    let mut numbers = Vec::new();
    for name in disk.list().await.map_err(DataError::io(FOLDER))? {
        if let Some(complete) = name.strip_suffix(TEMPORARY) {
            if segment::number(complete).is_some() {
                disk.remove(&name).await.map_err(DataError::io(&name))?;
            }
        } else if let Some(number) = segment::number(&name) {
            numbers.push(number);
        } else if name.ends_with(".log") {
            let what = "no segment of the log has such a name";
            return Err(DataError::damaged(&name, 0, what));
        }
    }
    // Names with more digits are listed earlier.
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates the first segment, unless it was created before a crash.
async fn found<D: Disk>(
    disk: &D,
    identity: &mut Identity,
    segment_bytes: u64,
    numbers: &[u64],
) -> Result<Opened<D::File>, DataError> {
    let current = match numbers {
        [] => {
            let Identity { cluster, node, .. } = *identity;
            let len = segment::len_for(segment_bytes, 1);
            let header = Header { cluster, node, number: 1, len, marks: Marks::default() };
            let name = segment::name(1);
            segment::create(disk, header).await.map_err(DataError::io(&name))?
        }
        [1] => {
            let first = segment::read(disk, 1, identity).await?;
            if first.current.has_records() || first.torn.is_some() {
                return Err(from_the_past(&first.name()));
            }
            first.current
        }
        [number, ..] => return Err(from_the_past(&segment::name(*number))),
    };
    identity.finish_founding(disk).await?;
    let (memory, written) = (Memory::default(), current.header.marks);
    Ok(Opened { memory, written, sealed: VecDeque::new(), current })
}

/// The error if an identity knows of no log, but there is one.
fn from_the_past(segment: &str) -> DataError {
    let what = format!("the file says that the log is empty, but {segment} is not");
    DataError::damaged(crate::identity::FILE, 0, what)
}

/// Segments that were read and follow each other.
struct Chain<F> {
    memory: Memory,
    /// The last entry before the first segment.
    begin: Option<LogId>,
    /// All segments but the last.
    sealed: VecDeque<Sealed>,
    /// The segment before the last, and the last.
    before: Option<Segment<F>>,
    last: Option<Segment<F>>,
}

impl<F> Default for Chain<F> {
    fn default() -> Chain<F> {
        let (memory, sealed) = (Memory::default(), VecDeque::new());
        Chain { memory, begin: None, sealed, before: None, last: None }
    }
}

impl<F: DiskFile> Chain<F> {
    /// Adds the next segment, and checks that it continues the ones before it.
    fn add(&mut self, mut next: Segment<F>) -> Result<(), DataError> {
        let (name, header) = (next.name(), next.current.header);
        if let Some(last) = &self.last {
            let damaged = |segment: &Segment<F>, what: String| {
                Err(DataError::damaged(&segment.name(), segment.current.at, what))
            };
            // A segment that is not sealed is the last, or the next one was just created.
            if let Some(before) = &self.before
                && !before.sealed
            {
                return damaged(before, format!("the segment has no end, but {name} exists"));
            }
            if !last.sealed && (next.current.has_records() || next.torn.is_some()) {
                return damaged(last, format!("the segment has no end, but {name} continues it"));
            }
            if self.memory.marks() != header.marks {
                return damaged(last, format!("{name} does not begin where the segment ends"));
            }
            self.sealed.push_back(Sealed {
                number: last.current.header.number,
                len: last.current.header.len,
                last: index(header.marks.last),
            });
        } else {
            self.memory = Memory::new(header.marks);
            self.begin = header.marks.last;
        }
        for (at, record) in std::mem::take(&mut next.records) {
            let following = header.number.wrapping_add(1);
            let wrong = matches!(&record, Record::Sealed { next } if *next != following);
            if wrong {
                return Err(DataError::damaged(&name, at, "the segment names a wrong next one"));
            }
            self.memory.apply(record).map_err(|what| DataError::damaged(&name, at, what))?;
        }
        self.before = self.last.replace(next);
        Ok(())
    }
}

/// Completes what a crash interrupted, and returns the segment to write to.
///
/// A process that was killed, or whose sync failed, may have left a frame that can be read and is
/// not on disk. So the last frame is written once more before anybody relies on it.
async fn recover<D: Disk>(
    disk: &D,
    before: Option<Segment<D::File>>,
    mut last: Segment<D::File>,
) -> Result<Current<D::File>, DataError> {
    let name = last.name();
    if last.sealed {
        let (file, why) = (segment::name(last.current.header.number.wrapping_add(1)), &name);
        return Err(DataError::Missing { file, why: format!("{why} says that it follows") });
    }
    if let Some(mut before) = before
        && !last.current.has_records()
    {
        let name = before.name();
        settle(&mut before).await.map_err(DataError::io(&name))?;
        if !before.sealed {
            let sealed = Record::Sealed { next: last.current.header.number };
            before.current.write(&sealed.encode()).await.map_err(DataError::io(&name))?;
        }
    }
    settle(&mut last).await.map_err(DataError::io(&name))?;
    // Leftovers were removed, too.
    disk.sync().await.map_err(DataError::io(FOLDER))?;
    Ok(last.current)
}

/// Makes sure that what was read of a segment is on disk, and that there are only zeros after it.
async fn settle<F: DiskFile>(segment: &mut Segment<F>) -> std::io::Result<()> {
    let Segment { current, last, torn, .. } = segment;
    if let Some(end) = torn.take() {
        let (from, to) = (current.at, end);
        let name = segment::name(current.header.number);
        tracing::warn!(
            "{name}: cut off bytes {from} to {to}: a write was interrupted before it was acknowledged"
        );
        // The frame before was on disk before this one was begun.
        current.file.write(from as u64, vec![0; to.saturating_sub(from)]).await
    } else {
        current.file.write(last.0 as u64, std::mem::take(&mut last.1)).await
    }
}

/// Drops the entries that the snapshot contains. `begin` is the last entry before the first
/// segment.
fn drop_snapshot(
    memory: &mut Memory,
    first: &str,
    begin: Option<LogId>,
    snapshot: Option<LogId>,
) -> Result<(), DataError> {
    let marks = memory.marks();
    let Some(snapshot) = snapshot else {
        // Without a snapshot, the log has all entries from the very first on.
        return match index(begin).max(index(marks.purged)) {
            None => Ok(()),
            Some(upto) => Err(DataError::Missing {
                file: format!("{}, or a newer one,", snapshots::name(upto)),
                why: format!("the log from {first} on does not contain the entries up to {upto}"),
            }),
        };
    };
    if index(begin).max(index(marks.purged)) > Some(snapshot.index) {
        let from = next_index(Some(snapshot));
        return Err(DataError::Missing {
            file: "a segment of the log or a newer snapshot".into(),
            why: format!(
                "the snapshot ends at entry {}, and {first} and the segments after it do not \
                 contain entry {from}",
                snapshot.index
            ),
        });
    }
    if index(marks.last) > Some(snapshot.index) {
        let known = [memory.id_at(snapshot.index), marks.purged, begin];
        let same = known.into_iter().flatten().find(|id| id.index == snapshot.index);
        if same.is_some_and(|same| same != snapshot) {
            let what = format!("entry {} is not the one in the snapshot", snapshot.index);
            return Err(DataError::damaged(first, 0, what));
        }
    }
    // If the log ends before the snapshot, its last entries may be others than those in the
    // snapshot, even of a later term. They were never committed.
    memory.purge(snapshot);
    Ok(())
}
