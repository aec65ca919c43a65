//! Which parts of trunk files are free: event in, lines of the trunk binlog out. No disk, no clock.
//!
//! The log is read as ranges, and the last line about a byte counts. So lines that come twice do no harm, nor does a block
//! that was joined without a line, as the original does it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
    time::Instant,
};

use super::{Block, TrunkFile, TrunkPolicy};

/// The free blocks of a group.
#[derive(Debug, Default)]
pub(crate) struct FreeSpace {
    /// All of them, by place.
    files: BTreeMap<TrunkFile, BTreeMap<u32, u32>>,
    /// Those that may be given away: the smallest that fits is taken, of equal ones the one that was freed last.
    usable: BTreeSet<(u8, u32, Reverse<u64>, TrunkFile, u32)>,
    /// When a block was added, for those that are usable.
    stamps: BTreeMap<(TrunkFile, u32), u64>,
    /// Those that rest until a time.
    resting: VecDeque<(Instant, Block)>,
    stamp: u64,
    total: u64,
}

impl FreeSpace {
    /// Reads a log; lines that cannot be understood are counted.
    pub(crate) fn replay(&mut self, text: &str) -> u64 {
        let mut damaged = 0;
        for line in text.lines() {
            match parse_line(line) {
                Some((true, block)) => self.put(block),
                Some((false, block)) => self.cut(block),
                None => damaged += 1,
            }
        }
        damaged
    }

    /// Makes everything that is free usable, from a time on where one is given.
    pub(crate) fn make_usable(&mut self, from: Option<Instant>) {
        self.usable.clear();
        self.stamps.clear();
        self.resting.clear();
        for block in self.blocks() {
            match from {
                Some(at) => self.resting.push_back((at, block)),
                None => self.offer(block),
            }
        }
    }

    /// Takes a block of at least `size` bytes, an aligned size, from a store path. The rest stays free where it is as
    /// large as the smallest slot.
    pub(crate) fn take(
        &mut self,
        store_path: u8,
        size: u32,
        policy: &TrunkPolicy,
        now: Instant,
        time: i64,
        lines: &mut String,
    ) -> Option<Block> {
        self.wake(now);
        let whole = self.smallest(store_path, size)?;
        let Block { file, offset, size: found } = whole;
        self.remove(whole);
        line(lines, time, 'D', whole);
        let left = found - size;
        if left < policy.slot_min_size.max(1) {
            return Some(whole);
        }
        let rest = Block { file, offset: offset + size, size: left };
        self.insert(rest);
        self.offer(rest);
        line(lines, time, 'A', rest);
        Some(Block { file, offset, size })
    }

    /// Takes up to `count` blocks of at least `size` bytes, an aligned size, side by side out of the smallest that has one.
    #[expect(clippy::too_many_arguments, reason = "the clock, the rules and the log are the caller's")]
    pub(crate) fn take_many(
        &mut self,
        store_path: u8,
        size: u32,
        count: u32,
        policy: &TrunkPolicy,
        now: Instant,
        time: i64,
        lines: &mut String,
    ) -> Vec<Block> {
        self.wake(now);
        let Some(found) = self.smallest(store_path, size) else { return Vec::new() };
        let count = (found.size / size.max(1)).clamp(1, count.max(1));
        let Some(run) = self.take(store_path, size * count, policy, now, time, lines) else {
            return Vec::new();
        };
        let at = |index: u32| Block { offset: run.offset + index * size, size, ..run };
        let mut blocks: Vec<Block> = (0..count).map(at).collect();
        // What is left and no slot goes along with the last.
        if let Some(last) = blocks.last_mut() {
            last.size = run.size - (count - 1) * size;
        }
        blocks
    }

    /// Adds a block, which may be given away at once or from a time on; false where any of it is free already. With
    /// `merge`, free neighbours and it become one block.
    pub(crate) fn add(
        &mut self,
        block: Block,
        from: Option<Instant>,
        merge: bool,
        time: i64,
        lines: &mut String,
    ) -> bool {
        if block.size == 0 || self.overlaps(block) {
            return false;
        }
        let mut union = block;
        if merge {
            let neighbours = self.neighbours(block);
            for neighbour in neighbours.into_iter().flatten() {
                self.remove(neighbour);
                line(lines, time, 'D', neighbour);
                union.offset = union.offset.min(neighbour.offset);
                union.size += neighbour.size;
            }
        }
        self.insert(union);
        match from {
            Some(at) => self.resting.push_back((at, union)),
            None => self.offer(union),
        }
        line(lines, time, 'A', union);
        true
    }

    /// A part turns out to be in use: it is free no more, and what is left of the blocks it lies in is told anew.
    pub(crate) fn withdraw(&mut self, part: Block, time: i64, lines: &mut String) {
        for block in self.overlapping(part) {
            self.remove(block);
            line(lines, time, 'D', block);
            for rest in without(block, part).into_iter().flatten() {
                self.insert(rest);
                self.offer(rest);
                line(lines, time, 'A', rest);
            }
        }
    }

    /// Whether any byte of a block is free.
    pub(crate) fn overlaps(&self, block: Block) -> bool {
        !self.overlapping(block).is_empty()
    }

    /// The free blocks of a trunk file, by offset.
    pub(crate) fn of_file(&self, file: TrunkFile) -> Vec<Block> {
        let blocks = self.files.get(&file).into_iter().flatten();
        blocks.map(|(offset, size)| Block { file, offset: *offset, size: *size }).collect()
    }

    /// All free blocks, by place.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let of = |(file, blocks): (&TrunkFile, &BTreeMap<u32, u32>)| {
            let file = *file;
            blocks
                .iter()
                .map(move |(offset, size)| Block { file, offset: *offset, size: *size })
                .collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of).collect()
    }

    /// The log that says what is free now, in the fewest lines.
    pub(crate) fn snapshot(&self, time: i64) -> String {
        let mut lines = String::new();
        for block in self.blocks() {
            line(&mut lines, time, 'A', block);
        }
        lines
    }

    /// Free bytes.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Gives away what has rested long enough.
    fn wake(&mut self, now: Instant) {
        while let Some((at, block)) = self.resting.front().copied() {
            if at > now {
                break;
            }
            self.resting.pop_front();
            // It may have become part of another meanwhile.
            if self.files.get(&block.file).and_then(|blocks| blocks.get(&block.offset)) == Some(&block.size)
                && !self.stamps.contains_key(&(block.file, block.offset))
            {
                self.offer(block);
            }
        }
    }

    /// The smallest block that may be given away and has `size` bytes.
    fn smallest(&self, store_path: u8, size: u32) -> Option<Block> {
        let none = TrunkFile { store_path: 0, high: 0, low: 0, id: 0 };
        let from = (store_path, size, Reverse(u64::MAX), none, 0);
        let (path, size, _, file, offset) = *self.usable.range(from..).next()?;
        (path == store_path).then_some(Block { file, offset, size })
    }

    fn put(&mut self, block: Block) {
        let mut parts = vec![block];
        for taken in self.overlapping(block) {
            parts = parts.into_iter().flat_map(|part| without(part, taken)).flatten().collect();
        }
        for part in parts {
            self.insert(part);
        }
    }

    fn cut(&mut self, part: Block) {
        for block in self.overlapping(part) {
            self.remove(block);
            for rest in without(block, part).into_iter().flatten() {
                self.insert(rest);
            }
        }
    }

    fn overlapping(&self, block: Block) -> Vec<Block> {
        let Some(blocks) = self.files.get(&block.file) else { return Vec::new() };
        let file = block.file;
        let as_block = |(offset, size): (&u32, &u32)| Block { file, offset: *offset, size: *size };
        let mut found: Vec<Block> = Vec::new();
        found.extend(
            blocks
                .range(..block.offset)
                .next_back()
                .map(as_block)
                .filter(|left| left.end() > block.offset.into()),
        );
        found.extend(
            blocks
                .range(block.offset..)
                .map(as_block)
                .take_while(|right| u64::from(right.offset) < block.end()),
        );
        found
    }

    fn neighbours(&self, block: Block) -> [Option<Block>; 2] {
        let Some(blocks) = self.files.get(&block.file) else { return [None, None] };
        let file = block.file;
        let as_block = |(offset, size): (&u32, &u32)| Block { file, offset: *offset, size: *size };
        let left = blocks.range(..block.offset).next_back().map(as_block);
        let right = blocks.range(block.offset..).next().map(as_block);
        // What rests must not be given away early as a part of another.
        let awake = |block: &Block| self.stamps.contains_key(&(block.file, block.offset));
        [
            left.filter(|left| left.end() == u64::from(block.offset)).filter(awake),
            right.filter(|right| u64::from(right.offset) == block.end()).filter(awake),
        ]
    }

    fn insert(&mut self, block: Block) {
        self.files.entry(block.file).or_default().insert(block.offset, block.size);
        self.total += u64::from(block.size);
    }

    fn offer(&mut self, block: Block) {
        self.stamp += 1;
        self.stamps.insert((block.file, block.offset), self.stamp);
        let Block { file, offset, size } = block;
        self.usable.insert((file.store_path, size, Reverse(self.stamp), file, offset));
    }

    fn remove(&mut self, block: Block) {
        let Block { file, offset, size } = block;
        if let Some(blocks) = self.files.get_mut(&file) {
            blocks.remove(&offset);
            if blocks.is_empty() {
                self.files.remove(&file);
            }
        }
        if let Some(stamp) = self.stamps.remove(&(file, offset)) {
            self.usable.remove(&(file.store_path, size, Reverse(stamp), file, offset));
        }
        self.total -= u64::from(size);
    }
}

/// What is left of a block without a part, on either side of it.
fn without(block: Block, part: Block) -> [Option<Block>; 2] {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let left = part.offset.saturating_sub(block.offset).min(block.size);
    let right = small(block.end().saturating_sub(part.end())).min(block.size);
    let some = |block: Block| (block.size > 0).then_some(block);
    [
        some(Block { size: left, ..block }),
        some(Block { offset: small(block.end() - u64::from(right)), size: right, ..block }),
    ]
}

/// One line of the trunk binlog: whether a block becomes free, and which.
pub(crate) fn parse_line(line: &str) -> Option<(bool, Block)> {
    let mut fields = line.split_ascii_whitespace();
    let _time: i64 = fields.next()?.parse().ok()?;
    let is_free = match fields.next()? {
        "A" => true,
        "D" => false,
        _ => return None,
    };
    let file = TrunkFile {
        store_path: fields.next()?.parse().ok()?,
        high: fields.next()?.parse().ok()?,
        low: fields.next()?.parse().ok()?,
        id: fields.next()?.parse().ok()?,
    };
    let (offset, size) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    u32::checked_add(offset, size)?;
    fields.next().is_none().then_some((is_free, Block { file, offset, size }))
}

fn line(lines: &mut String, time: i64, letter: char, block: Block) {
    let Block { file: TrunkFile { store_path, high, low, id }, offset, size } = block;
    // Writing to a string does not fail.
    let _ = writeln!(lines, "{time} {letter} {store_path} {high} {low} {id} {offset} {size}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const POLICY: TrunkPolicy =
        TrunkPolicy { slot_min_size: 256, slot_max_size: 1 << 20, alignment: 256, file_size: 4 << 20 };
    const FILE: TrunkFile = TrunkFile { store_path: 0, high: 0, low: 0, id: 1 };

    fn block(offset: u32, size: u32) -> Block {
        Block { file: FILE, offset, size }
    }

    #[test]
    fn an_allocation_takes_the_smallest_block_that_fits_and_says_what_is_left() {
        let mut free = FreeSpace::default();
        let (now, mut lines) = (Instant::now(), String::new());
        assert!(free.add(block(0, 4096), None, false, 7, &mut lines));
        assert!(free.add(block(8192, 1024), None, false, 7, &mut lines));
        lines.clear();
        assert_eq!(free.take(0, 512, &POLICY, now, 7, &mut lines), Some(block(8192, 512)));
        assert_eq!(lines, "7 D 0 0 0 1 8192 1024\n7 A 0 0 0 1 8704 512\n");
        lines.clear();
        // A rest that is no slot goes along.
        assert_eq!(free.take(0, 384, &POLICY, now, 7, &mut lines), Some(block(8704, 512)));
        assert_eq!(lines, "7 D 0 0 0 1 8704 512\n");
        assert_eq!(free.take(1, 256, &POLICY, now, 7, &mut lines), None);
        assert_eq!(free.take(0, 8192, &POLICY, now, 7, &mut lines), None);
    }

    #[test]
    fn slots_side_by_side_are_taken_with_one_pair_of_lines() {
        let mut free = FreeSpace::default();
        let (now, mut lines) = (Instant::now(), String::new());
        free.add(block(0, 4096 + 100), None, false, 7, &mut lines);
        lines.clear();
        let taken = free.take_many(0, 1024, 3, &POLICY, now, 7, &mut lines);
        assert_eq!(taken, [block(0, 1024), block(1024, 1024), block(2048, 1024)]);
        assert_eq!(lines, "7 D 0 0 0 1 0 4196\n7 A 0 0 0 1 3072 1124\n");
        // No more than there are, and what is no slot goes along.
        assert_eq!(
            free.take_many(0, 512, 9, &POLICY, now, 7, &mut lines),
            [block(3072, 512), block(3584, 612)]
        );
        assert_eq!(free.take_many(0, 512, 9, &POLICY, now, 7, &mut lines), []);
        assert_eq!(free.total(), 0);
    }

    #[test]
    fn a_block_that_rests_is_free_and_not_given_away() {
        let mut free = FreeSpace::default();
        let (now, mut lines) = (Instant::now(), String::new());
        let later = now + Duration::from_secs(30);
        assert!(free.add(block(0, 1024), Some(later), true, 7, &mut lines));
        assert!(!free.add(block(512, 256), None, true, 7, &mut lines));
        assert_eq!(free.take(0, 256, &POLICY, now, 7, &mut lines), None);
        assert_eq!(free.take(0, 256, &POLICY, later, 7, &mut lines), Some(block(0, 256)));
    }

    #[test]
    fn free_neighbours_become_one_block_and_the_log_says_so() {
        let mut free = FreeSpace::default();
        let mut lines = String::new();
        free.add(block(0, 256), None, true, 7, &mut lines);
        free.add(block(512, 256), None, true, 7, &mut lines);
        lines.clear();
        assert!(free.add(block(256, 256), None, true, 7, &mut lines));
        assert_eq!(lines, "7 D 0 0 0 1 0 256\n7 D 0 0 0 1 512 256\n7 A 0 0 0 1 0 768\n");
        assert_eq!(free.blocks(), [block(0, 768)]);
    }

    #[test]
    fn the_captured_logs_say_the_same_before_and_after_they_were_compressed() {
        let mut before = FreeSpace::default();
        assert_eq!(before.replay(&crate::tests::vector("trunk_binlog.before_compress")), 0);
        let mut after = FreeSpace::default();
        assert_eq!(after.replay(&crate::tests::vector("trunk_binlog.after_compress")), 0);
        let bytes = |free: &FreeSpace| free.total();
        assert_eq!(bytes(&before), bytes(&after));
    }

    #[test]
    fn lines_that_make_no_sense_are_counted() {
        let mut free = FreeSpace::default();
        assert_eq!(
            free.replay("1 A 0 0 0 1 0 256\n1 A 0 0\n1 X 0 0 0 1 0 256\n1 A 0 0 0 1 4294967295 256\n"),
            3
        );
        assert_eq!(free.total(), 256);
    }

    proptest! {
        /// What is given away is never free, nothing is given away twice, and the log tells the same wherever it is cut and
        /// whatever of its end comes twice.
        #[test]
        fn the_log_tells_what_is_free_after_any_allocations_and_frees(
            steps in prop::collection::vec((any::<bool>(), 1_u32..5000, any::<usize>()), 1..200),
            again in 0_usize..50,
            merge in any::<bool>(),
        ) {
            let mut free = FreeSpace::default();
            let (now, mut log) = (Instant::now(), String::new());
            let mut owned: Vec<Block> = Vec::new();
            free.add(block(0, 256 * 1024), None, merge, 1, &mut log);
            for (is_alloc, size, pick) in steps {
                if is_alloc || owned.is_empty() {
                    if let Some(got) = free.take(0, POLICY.aligned(size), &POLICY, now, 1, &mut log) {
                        prop_assert!(got.size >= size);
                        prop_assert!(owned.iter().all(|other| other.end() <= got.offset.into() || got.end() <= other.offset.into()));
                        owned.push(got);
                    }
                } else {
                    let back = owned.swap_remove(pick % owned.len());
                    prop_assert!(free.add(back, None, merge, 1, &mut log));
                    prop_assert!(!free.add(back, None, merge, 1, &mut log));
                }
                let used: u64 = owned.iter().map(|block| u64::from(block.size)).sum();
                prop_assert_eq!(free.total() + used, 256 * 1024);
                prop_assert!(owned.iter().all(|block| !free.overlaps(*block)));
            }
            let mut replayed = FreeSpace::default();
            prop_assert_eq!(replayed.replay(&log), 0);
            prop_assert_eq!(replayed.blocks(), free.blocks());
            let lines: Vec<&str> = log.split_inclusive('\n').collect();
            let end = lines[lines.len().saturating_sub(again)..].concat();
            replayed.replay(&end);
            prop_assert_eq!(replayed.total(), free.total());
            prop_assert!(owned.iter().all(|block| !replayed.overlaps(*block)));
            let mut compressed = FreeSpace::default();
            compressed.replay(&free.snapshot(1));
            prop_assert_eq!(compressed.blocks(), free.blocks());
        }
    }
}
