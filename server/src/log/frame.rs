//! Frames: how the records of a segment are laid out in blocks of 512 bytes.
//!
//! A disk writes whole blocks. After a crash, each block that was not synced has its old or its new
//! content. A segment is preallocated with zeros, so its old content is zeros. Two cases must be
//! told apart:
//!
//! - The last frame was being written when the process or the machine stopped, and some of its
//!   blocks are missing. Nobody was told that it is on disk, so it is cut off. The frame is *torn*.
//! - Bytes that were on disk have changed. The segment is *damaged*, and must not be used.
//!
//! So every block begins with a *mark*: a byte that is not zero, and that says in which frame the
//! block begins. A block whose mark is zero was never written. A frame is torn if one of its blocks
//! was never written, and no later block was written for another frame. A flip of one bit never
//! makes a mark zero, so it is always damage.
//!
//! A frame is a start byte, the length of its content, a checksum of the content, a checksum of
//! these three, and the content. The next frame follows at once, in the same block. One frame is
//! written and synced before the next one, so only the last frame can be torn.

/// The size of a block.
pub(crate) const BLOCK: usize = 512;
/// The most bytes of content.
pub(crate) const MAX_CONTENT: usize = 8 << 20;

/// The first byte of a frame. It is not zero, so that a frame whose first block was not written can
/// be recognised.
const START: u8 = 0xa5;
/// The bytes of a frame before its content.
const HEAD: usize = 13;

/// The mark of a block that begins in the frame with this number. It has two bits or more.
#[expect(clippy::cast_possible_truncation, reason = "the value is below 128")]
const fn mark(frame: u64) -> u8 {
    0x80 | (1 + frame % 127) as u8
}

/// What there is at a position of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A frame.
    Frame {
        /// Its content.
        content: Vec<u8>,
        /// Where the next frame begins.
        next: usize,
    },
    /// Only zeros, up to the end of the segment.
    End,
    /// A frame that was not written completely. Nothing else follows.
    Torn,
    /// Bytes that were never written like this.
    Damaged {
        /// The position of the first wrong byte that was found.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// The bytes to write at `at` for a frame. Its content has 1 to [`MAX_CONTENT`] bytes.
pub(crate) fn encode(at: usize, frame: u64, content: &[u8]) -> Vec<u8> {
    let mut head = [0; HEAD];
    head[0] = START;
    let len = u32::try_from(content.len()).expect("the caller keeps to MAX_CONTENT");
    head[1..5].copy_from_slice(&len.to_le_bytes());
    head[5..9].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    let sum = crc32fast::hash(&head[..9]);
    head[9..].copy_from_slice(&sum.to_le_bytes());

    let mut bytes = Vec::with_capacity(end(at, HEAD + content.len()) - at);
    for mut part in [&head[..], content] {
        while !part.is_empty() {
            let position = at + bytes.len();
            if position.is_multiple_of(BLOCK) {
                bytes.push(mark(frame));
                continue;
            }
            let (now, later) = part.split_at(part.len().min(BLOCK - position % BLOCK));
            bytes.extend_from_slice(now);
            part = later;
        }
    }
    bytes
}

/// Where `len` bytes that begin at `at` end, with the marks between them.
const fn end(at: usize, len: usize) -> usize {
    let room = BLOCK - 1;
    // The bytes before `at` in its block, without the mark.
    let before = (at % BLOCK).saturating_sub(1);
    let total = before + len;
    let start = at - at % BLOCK;
    // The last byte decides, so that a frame that fills its block ends at the block's end.
    start + (total - 1) / room * BLOCK + 1 + (total - 1) % room + 1
}

/// Where a frame of `content` bytes that begins at `at` ends.
pub(crate) fn frame_end(at: usize, content: usize) -> usize {
    end(at, HEAD + content)
}

/// The most bytes that a frame of `content` bytes takes, wherever it begins.
pub(crate) const fn most_bytes(content: usize) -> usize {
    end(0, HEAD + content) + 1
}

/// Reads what there is at `at`. `frame` is the number that a frame there would have.
pub(crate) fn decode(segment: &[u8], at: usize, frame: u64) -> Found {
    let rest = segment.get(at..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == 0) {
        return Found::End;
    }
    let first_block = &rest[..rest.len().min(BLOCK - at % BLOCK)];
    if first_block.iter().all(|byte| *byte == 0) {
        return incomplete(segment, at, frame, segment.len());
    }
    let mut head = Vec::new();
    let next = match gather(segment, at, frame, HEAD, &mut head) {
        Ok(next) => next,
        Err(Gap::Unwritten) => return incomplete(segment, at, frame, segment.len()),
        Err(Gap::Damaged { at, what }) => return Found::Damaged { at, what },
    };
    let word = |from: usize| {
        u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]])
    };
    if head[0] != START || crc32fast::hash(&head[..9]) != word(9) {
        return Found::Damaged { at, what: "the head of a frame does not match its checksum" };
    }
    let len = word(1) as usize;
    if len == 0 || len > MAX_CONTENT {
        return Found::Damaged { at, what: "a frame has an impossible length" };
    }
    let mut content = Vec::new();
    match gather(segment, next, frame, len, &mut content) {
        Err(Gap::Unwritten) => incomplete(segment, at, frame, end(next, len)),
        Err(Gap::Damaged { at, what }) => Found::Damaged { at, what },
        Ok(_) if crc32fast::hash(&content) != word(5) => {
            Found::Damaged { at, what: "a frame does not match its checksum" }
        }
        Ok(next) => Found::Frame { content, next },
    }
}

/// Why bytes cannot be read.
enum Gap {
    /// A block was never written.
    Unwritten,
    Damaged {
        at: usize,
        what: &'static str,
    },
}

/// Appends the next `len` bytes after `at` to `out`, without marks. Returns where they end.
fn gather(
    segment: &[u8],
    mut at: usize,
    frame: u64,
    len: usize,
    out: &mut Vec<u8>,
) -> Result<usize, Gap> {
    if end(at, len) > segment.len() {
        return Err(Gap::Damaged { at, what: "a frame is longer than the segment" });
    }
    let full = out.len() + len;
    while out.len() < full {
        if at.is_multiple_of(BLOCK) {
            match segment[at] {
                0 => return Err(Gap::Unwritten),
                byte if byte == mark(frame) => at += 1,
                _ => {
                    return Err(Gap::Damaged { at, what: "a block has the mark of another frame" });
                }
            }
        }
        let now = (full - out.len()).min(BLOCK - at % BLOCK);
        out.extend_from_slice(&segment[at..at + now]);
        at += now;
    }
    Ok(at)
}

/// A frame at `at` has blocks that were never written. It is torn if nothing was written for
/// another frame after it, which `end` limits if the head of the frame was written.
fn incomplete(segment: &[u8], at: usize, frame: u64, end: usize) -> Found {
    if segment[end..].iter().any(|byte| *byte != 0) {
        return Found::Damaged { at, what: "a block is missing" };
    }
    let first = at.next_multiple_of(BLOCK);
    let blocks = segment.get(first..).unwrap_or_default().chunks(BLOCK);
    for (number, block) in blocks.enumerate() {
        let at = first + number * BLOCK;
        match block[0] {
            0 if block.iter().any(|byte| *byte != 0) => {
                return Found::Damaged { at, what: "a block has no mark" };
            }
            byte if byte != 0 && byte != mark(frame) => {
                return Found::Damaged { at, what: "a block before is missing" };
            }
            _ => {}
        }
    }
    Found::Torn
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEGMENT: usize = 16 * BLOCK;

    /// A segment with these frames, and where each of them begins.
    fn segment(contents: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (frame, content) in (0..).zip(contents) {
            starts.push(bytes.len());
            let encoded = encode(bytes.len(), frame, content);
            assert!(encoded.len() <= most_bytes(content.len()));
            bytes.extend(encoded);
        }
        starts.push(bytes.len());
        bytes.resize(SEGMENT, 0);
        (bytes, starts)
    }

    /// All frames up to the end, and what there is at the end.
    fn read(segment: &[u8]) -> (Vec<Vec<u8>>, Found) {
        let (mut at, mut contents) = (0, Vec::new());
        loop {
            match decode(segment, at, contents.len() as u64) {
                Found::Frame { content, next } => {
                    contents.push(content);
                    at = next;
                }
                end => return (contents, end),
            }
        }
    }

    fn contents() -> impl Strategy<Value = Vec<Vec<u8>>> {
        // Zeros are frequent, since they look like what was never written.
        let byte = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
        let content = prop_oneof![
            4 => prop::collection::vec(byte.clone(), 1..40),
            2 => prop::collection::vec(byte.clone(), 400..600),
            1 => prop::collection::vec(byte, 1_000..1_500),
        ];
        prop::collection::vec(content, 1..5)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(contents in contents()) {
            let (bytes, _) = segment(&contents);
            prop_assert_eq!(read(&bytes), (contents, Found::End));
        }

        /// Each subset of the blocks of the last frame may be on disk. The frame is then there, or
        /// torn, or not there at all; never damaged.
        #[test]
        fn a_frame_that_was_not_synced_is_torn(contents in contents(), written in any::<u32>()) {
            let (bytes, starts) = segment(&contents);
            let (before, _) = segment(&contents[..contents.len() - 1]);
            let start = starts[contents.len() - 1];
            let mut mixed = before.clone();
            for (number, block) in (start / BLOCK..=(starts[contents.len()] - 1) / BLOCK).enumerate() {
                if written & (1 << number) != 0 {
                    let block = block * BLOCK..(block + 1) * BLOCK;
                    mixed[block.clone()].copy_from_slice(&bytes[block]);
                }
            }
            let (found, end) = read(&mixed);
            if mixed == bytes {
                prop_assert_eq!((found, end), (contents, Found::End));
            } else {
                prop_assert_eq!(&found[..], &contents[..contents.len() - 1]);
                let expected = if mixed == before { Found::End } else { Found::Torn };
                prop_assert_eq!(end, expected);
            }
        }

        #[test]
        fn a_flipped_bit_is_damage(contents in contents(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let (bytes, starts) = segment(&contents);
            let at = at.index(*starts.last().unwrap());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1_u8 << bit;
            let (_, end) = read(&flipped);
            prop_assert!(matches!(end, Found::Damaged { .. }), "{:?}", end);
        }
    }

    /// A segment with these frames, of which the blocks from `first` to `last` are lost.
    fn lost(contents: &[Vec<u8>], first: usize, last: usize) -> (Vec<Vec<u8>>, Found) {
        let (mut bytes, _) = segment(contents);
        bytes[first * BLOCK..=last * BLOCK + BLOCK - 1].fill(0);
        read(&bytes)
    }

    #[test]
    fn a_lost_block_in_the_middle_of_an_earlier_frame_is_damage() {
        // The head of the frame says where it ends, and something follows.
        let contents = [vec![1; 2_000], vec![2; 3]];
        for block in [1, 2] {
            let (found, end) = lost(&contents, block, block);
            let what = "a block is missing";
            assert_eq!((found, end), (vec![], Found::Damaged { at: 0, what }), "{block}");
        }
    }

    #[test]
    fn a_lost_block_with_several_frames_is_damage_if_a_frame_begins_in_a_later_block() {
        let contents = [vec![1; 100], vec![2; 100], vec![3; 600], vec![4; 600], vec![5; 3]];
        let what = "a block before is missing";
        assert_eq!(lost(&contents, 0, 0), (vec![], Found::Damaged { at: BLOCK, what }));
    }

    #[test]
    fn a_lost_last_block_cannot_be_told_from_a_torn_frame() {
        // A frame that is wholly within the lost block is lost too.
        let contents = [vec![1; 480], vec![2; 600], vec![3; 3]];
        assert_eq!(lost(&contents, 2, 2), (contents[..1].to_vec(), Found::Torn));
        // The first frame fills its block.
        let contents = [vec![1; BLOCK - 1 - HEAD], vec![2; 3], vec![3; 3]];
        assert_eq!(lost(&contents, 1, 1), (contents[..1].to_vec(), Found::End));
    }

    /// The limit of the format: the disk lost a block long after it was synced, with the head of
    /// the frame before the last, and the last frame lies wholly in the last block of that frame,
    /// so that no mark shows it. No crash and no flipped bits leave this.
    #[test]
    fn a_lost_head_of_the_last_frame_but_one_may_look_torn() {
        let contents = [vec![1; 600], vec![2; 3]];
        assert_eq!(lost(&contents, 0, 0), (vec![], Found::Torn));
        // If the last frame reaches into a block of its own, it is noticed.
        let contents = [vec![1; 600], vec![2; 600]];
        let what = "a block before is missing";
        assert_eq!(lost(&contents, 0, 0), (vec![], Found::Damaged { at: 2 * BLOCK, what }));
    }

    #[test]
    fn a_frame_ends_where_the_next_one_begins() {
        for at in 0..2 * BLOCK {
            for content in [1, 2, 490, 498, 499, 511, 512, 1_100] {
                let encoded = encode(at, 3, &vec![7; content]);
                assert_eq!(frame_end(at, content), at + encoded.len());
                assert!(encoded.len() <= most_bytes(content));
            }
        }
    }

    #[test]
    fn a_flipped_bit_after_the_end_is_damage_or_torn_but_no_frame() {
        let (bytes, starts) = segment(&[vec![1; 700], vec![2; 3]]);
        for at in starts[2]..SEGMENT {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1_u8 << bit;
                let (contents, end) = read(&flipped);
                assert_eq!(contents.len(), 2);
                assert!(matches!(end, Found::Damaged { .. } | Found::Torn), "{at} {bit}: {end:?}");
            }
        }
    }
}
