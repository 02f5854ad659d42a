//! A simulated disk for tests: files in memory that can fail, fill up, change and lose what was not
//! synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::RngCore;

use crate::disk::{Disk, DiskFile};
use crate::runtime::Random;

const BLOCK: usize = 512;

/// A data folder in memory. All clones share it.
///
/// It behaves like a file system with a journal on a disk with blocks of 512 bytes:
/// - What was written can be read at once, but it is on disk only after the sync that
///   [`DiskFile::write`] ends with.
/// - Creating, renaming and removing take effect at once, but they are on disk only after
///   [`Disk::sync`].
/// - A sync that fails leaves it open what is on disk, and later syncs do not repeat it.
///
/// Calls to its functions are counted, and a test can choose which of them fail.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    /// How many files were created. The next one gets this number.
    created: u64,
    /// The files as the process sees them.
    names: BTreeMap<String, u64>,
    /// The files as they are on disk.
    durable: BTreeMap<String, u64>,
    /// What was done to `names` and not yet to `durable`.
    unsynced: Vec<Operation>,
    capacity: Option<u64>,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    /// From this call on, all fail.
    dead_from: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Content {
    /// The bytes as the process sees them.
    bytes: Vec<u8>,
    /// The bytes on disk.
    durable: Vec<u8>,
    /// The blocks that the next sync writes.
    dirty: BTreeSet<usize>,
    /// The blocks whose sync failed. Either content may be on disk.
    uncertain: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
enum Operation {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has no effect.
    Before,
    /// It has its effect, as far as the process can see, but what of it is on disk is not known.
    During,
}

/// An open file of a [`SimulatedDisk`].
#[derive(Debug)]
pub struct SimulatedFile {
    disk: SimulatedDisk,
    number: u64,
}

impl SimulatedDisk {
    /// An empty folder without faults.
    #[must_use]
    pub fn new() -> SimulatedDisk {
        SimulatedDisk::default()
    }

    /// Limits the sum of the lengths of all files.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets the `n`th call from now on fail, counted from 1.
    pub fn fail(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let call = state.calls + n;
        state.faults.insert(call, fault);
    }

    /// Lets the `n`th call from now on, counted from 1, fail in its middle, and all later ones have
    /// no effect. So [`crash`](Self::crash) then returns what a power cut during the `n`th call
    /// leaves.
    pub fn fail_from(&self, n: u64) {
        let mut state = self.state();
        let call = state.calls + n;
        state.faults.insert(call, Fault::During);
        state.dead_from = Some(call + 1);
    }

    /// Lets no call fail any more.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.dead_from = None;
    }

    /// What a machine finds after a power cut at this moment. The folder itself is not changed.
    #[must_use]
    pub fn crash(&self, seed: u64) -> SimulatedDisk {
        let state = self.state();
        let mut random = Random::new(seed);
        let mut choose = |options: u64| random.next_u64() % options;
        let mut names = state.durable.clone();
        let done = choose(state.unsynced.len() as u64 + 1);
        for (_, operation) in (0..done).zip(&state.unsynced) {
            operation.apply(&mut names);
        }
        let mut after = State { capacity: state.capacity, ..State::default() };
        for (name, number) in names {
            let file = &state.files[&number];
            let mut bytes = file.durable.clone();
            if file.bytes.len() != bytes.len() && choose(2) == 0 {
                bytes.resize(file.bytes.len(), 0);
            }
            for block in file.dirty.union(&file.uncertain) {
                let (start, end) = (block * BLOCK, ((block + 1) * BLOCK).min(bytes.len()));
                if start < end && choose(2) == 0 {
                    bytes[start..end].copy_from_slice(&file.bytes[start..end]);
                }
            }
            after.put(name, bytes);
        }
        SimulatedDisk(Arc::new(Mutex::new(after)))
    }

    /// A copy with the same files, all of them on disk, without faults.
    #[must_use]
    pub fn copy(&self) -> SimulatedDisk {
        let state = self.state();
        let mut copy = State { capacity: state.capacity, ..State::default() };
        for (name, number) in &state.names {
            copy.put(name.clone(), state.files[number].bytes.clone());
        }
        SimulatedDisk(Arc::new(Mutex::new(copy)))
    }

    /// The names of all files, in ascending order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The bytes of a file, as the process sees them.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|number| state.files[number].bytes.clone())
    }

    /// Replaces a file, or creates it. It is on disk at once.
    pub fn replace(&self, name: &str, bytes: Vec<u8>) {
        self.state().put(name.into(), bytes);
    }

    /// Removes a file if there is one. It is gone from the disk at once.
    pub fn delete(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable.remove(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call. `Ok(true)` means that it fails in its middle.
    fn call(&self) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        state.calls += 1;
        let call = state.calls;
        let dead = state.dead_from.is_some_and(|from| call >= from);
        match state.faults.get(&call) {
            _ if dead => Err(failure()),
            Some(Fault::Before) => Err(failure()),
            Some(Fault::During) => Ok((state, true)),
            None => Ok((state, false)),
        }
    }

    /// Changes the names, unless there is no file with the name `exists`.
    fn change(&self, exists: Option<&str>, operation: Operation) -> io::Result<()> {
        let (mut state, fails) = self.call()?;
        if exists.is_some_and(|name| !state.names.contains_key(name)) {
            return Err(ErrorKind::NotFound.into());
        }
        operation.apply(&mut state.names);
        state.unsynced.push(operation);
        if fails { Err(failure()) } else { Ok(()) }
    }

    fn file(&self, number: u64) -> SimulatedFile {
        SimulatedFile { disk: self.clone(), number }
    }
}

/// The error of a call that a test lets fail.
fn failure() -> Error {
    Error::other("a simulated failure")
}

impl State {
    /// Adds or replaces a file that is on disk.
    fn put(&mut self, name: String, bytes: Vec<u8>) {
        let content = Content { durable: bytes.clone(), bytes, ..Content::default() };
        self.files.insert(self.created, content);
        self.names.insert(name.clone(), self.created);
        self.durable.insert(name, self.created);
        self.created += 1;
    }

    /// Checks whether files can grow by this much.
    fn reserve(&self, more: u64) -> io::Result<()> {
        if self.free() < more { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn free(&self) -> u64 {
        let used: u64 =
            self.names.values().map(|number| self.files[number].bytes.len() as u64).sum();
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used))
    }

    fn content(&mut self, number: u64) -> io::Result<&mut Content> {
        self.files.get_mut(&number).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Operation {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Operation::Create(name, number) => _ = names.insert(name.clone(), *number),
            Operation::Rename(from, to) => {
                if let Some(number) = names.remove(from) {
                    names.insert(to.clone(), number);
                }
            }
            Operation::Remove(name) => _ = names.remove(name),
        }
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    async fn list(&self) -> io::Result<Vec<String>> {
        match self.call()? {
            (state, false) => Ok(state.names.keys().cloned().collect()),
            (_, true) => Err(failure()),
        }
    }

    async fn create(&self, name: &str, len: u64) -> io::Result<SimulatedFile> {
        let (mut state, fails) = self.call()?;
        if let Some(old) = state.names.get(name).copied() {
            // Like `O_TRUNC`: the old content is gone at once.
            *state.content(old)? = Content::default();
        }
        state.reserve(len)?;
        let number = state.created;
        state.created += 1;
        let bytes = vec![0; usize::try_from(len).map_err(Error::other)?];
        state.files.insert(number, Content { bytes, ..Content::default() });
        let operation = Operation::Create(name.into(), number);
        operation.apply(&mut state.names);
        state.unsynced.push(operation);
        if fails { Err(failure()) } else { Ok(self.file(number)) }
    }

    async fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let (state, fails) = self.call()?;
        if fails {
            return Err(failure());
        }
        let number = state.names.get(name).copied();
        Ok(self.file(number.ok_or(ErrorKind::NotFound)?))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Some(from), Operation::Rename(from.into(), to.into()))
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.change(Some(name), Operation::Remove(name.into()))
    }

    async fn sync(&self) -> io::Result<()> {
        let (count, fails) = {
            let (state, fails) = self.call()?;
            (state.unsynced.len(), fails)
        };
        tokio::task::yield_now().await;
        if fails {
            return Err(failure());
        }
        let mut state = self.state();
        let State { files, names, durable, unsynced, .. } = &mut *state;
        // Another sync may have ended meanwhile.
        for operation in unsynced.drain(..count.min(unsynced.len())) {
            operation.apply(durable);
        }
        let named: BTreeSet<u64> = names.values().chain(durable.values()).copied().collect();
        if unsynced.is_empty() {
            files.retain(|number, _| named.contains(number));
        }
        Ok(())
    }

    async fn free(&self) -> io::Result<u64> {
        match self.call()? {
            (state, false) => Ok(state.free()),
            (_, true) => Err(failure()),
        }
    }
}

impl DiskFile for SimulatedFile {
    async fn len(&self) -> io::Result<u64> {
        match self.disk.call()? {
            (mut state, false) => Ok(state.content(self.number)?.bytes.len() as u64),
            (_, true) => Err(failure()),
        }
    }

    async fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let (mut state, fails) = self.disk.call()?;
        if fails {
            return Err(failure());
        }
        let bytes = &state.content(self.number)?.bytes;
        let at = usize::try_from(at).map_err(Error::other)?.min(bytes.len());
        Ok(bytes[at..at.saturating_add(len).min(bytes.len())].to_vec())
    }

    async fn write(&mut self, at: u64, bytes: Vec<u8>) -> io::Result<()> {
        let fails = {
            let (mut state, fails) = self.disk.call()?;
            let at = usize::try_from(at).map_err(Error::other)?;
            let end = at + bytes.len();
            let more = end.saturating_sub(state.content(self.number)?.bytes.len());
            state.reserve(more as u64)?;
            let file = state.content(self.number)?;
            if more > 0 {
                file.bytes.resize(end, 0);
            }
            file.bytes[at..end].copy_from_slice(&bytes);
            let blocks = at / BLOCK..end.div_ceil(BLOCK);
            file.uncertain.retain(|block| !blocks.contains(block));
            file.dirty.extend(blocks);
            fails
        };
        tokio::task::yield_now().await;
        let mut state = self.disk.state();
        let file = state.content(self.number)?;
        let dirty = std::mem::take(&mut file.dirty);
        if fails {
            file.uncertain.extend(dirty);
            return Err(failure());
        }
        file.durable.resize(file.bytes.len(), 0);
        for block in dirty {
            let range = block * BLOCK..((block + 1) * BLOCK).min(file.bytes.len());
            file.durable[range.clone()].copy_from_slice(&file.bytes[range]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn file(disk: &SimulatedDisk, name: &str, bytes: Vec<u8>) {
        let mut file = disk.create(name, bytes.len() as u64).await.unwrap();
        file.write(0, bytes).await.unwrap();
        disk.sync().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_synced_survives_every_crash() {
        let disk = SimulatedDisk::new();
        file(&disk, "a", vec![1; 2_000]).await;
        disk.rename("a", "b").await.unwrap();
        disk.sync().await.unwrap();
        for seed in 0..50 {
            let after = disk.crash(seed);
            assert_eq!(after.names(), ["b"]);
            assert_eq!(after.contents("b").unwrap(), vec![1; 2_000]);
        }
    }

    #[tokio::test]
    async fn any_subset_of_the_blocks_of_an_unfinished_write_survives() {
        let disk = SimulatedDisk::new();
        file(&disk, "a", vec![0; 3 * BLOCK]).await;
        for fail in [false, true] {
            let mut file = disk.open("a").await.unwrap();
            if fail {
                disk.fail(1, Fault::During);
                file.write(BLOCK as u64 - 1, vec![1; BLOCK + 2]).await.unwrap_err();
                // A later sync does not write what a failed one may have lost.
                file.write(0, vec![0]).await.unwrap();
            } else {
                // The future is dropped at its first wait.
                let write = file.write(BLOCK as u64 - 1, vec![1; BLOCK + 2]);
                assert!(futures_util::FutureExt::now_or_never(write).is_none());
            }
            assert_eq!(disk.contents("a").unwrap()[BLOCK], 1, "the process sees what it wrote");
            let mut seen = BTreeSet::new();
            for seed in 0..200 {
                let bytes = disk.crash(seed).contents("a").unwrap();
                let mark = |at: usize| bytes[at] == 1;
                assert_eq!(mark(BLOCK), mark(2 * BLOCK - 1), "a block is not torn");
                seen.insert((mark(BLOCK - 1), mark(BLOCK), mark(2 * BLOCK)));
            }
            // The later write has brought the first block to disk.
            assert_eq!(seen.len(), if fail { 4 } else { 8 });
        }
    }

    #[tokio::test]
    async fn a_prefix_of_what_was_done_to_the_folder_survives() {
        let disk = SimulatedDisk::new();
        file(&disk, "a", vec![1]).await;
        disk.create("b", 7).await.unwrap();
        disk.rename("b", "c").await.unwrap();
        disk.remove("a").await.unwrap();
        let seen: BTreeSet<Vec<String>> = (0..100).map(|seed| disk.crash(seed).names()).collect();
        let expected = [&["a"][..], &["a", "b"], &["a", "c"], &["c"]];
        assert_eq!(
            seen,
            expected.map(|names| names.iter().map(|name| (*name).into()).collect()).into()
        );
    }

    #[tokio::test]
    async fn a_chosen_call_fails() {
        let disk = SimulatedDisk::new();
        disk.fail(2, Fault::Before);
        disk.create("a", 1).await.unwrap();
        disk.create("b", 1).await.unwrap_err();
        disk.create("c", 1).await.unwrap();
        assert_eq!(disk.names(), ["a", "c"]);
        disk.fail_from(1);
        disk.create("d", 1).await.unwrap_err();
        disk.create("e", 1).await.unwrap_err();
        disk.list().await.unwrap_err();
        assert_eq!(disk.names(), ["a", "c", "d"]);
        disk.heal();
        assert_eq!(disk.list().await.unwrap(), ["a", "c", "d"]);
    }

    #[tokio::test]
    async fn a_full_disk_takes_no_more_bytes() {
        let disk = SimulatedDisk::new();
        disk.set_capacity(Some(10));
        let mut file = disk.create("a", 6).await.unwrap();
        file.write(0, vec![1; 10]).await.unwrap();
        assert_eq!(file.write(1, vec![1; 10]).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.create("b", 1).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.free().await.unwrap(), 0);
        disk.remove("a").await.unwrap();
        assert_eq!(disk.free().await.unwrap(), 10);
    }
}
