//! Small files in slots of trunk files.

use std::{fs, io::Write as _, path::Path, time::Duration};

use fdfs_types::{RemoteFilename, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    Block, Mended, NewFile, OfficeSettings, Placed, Replicated, StorePathChoice, StoredFile, TrunkFault,
    TrunkFile, TrunkPolicy, Upload,
};

const POLICY: TrunkPolicy =
    TrunkPolicy { slot_min_size: 256, slot_max_size: 1 << 20, alignment: 0, file_size: 4 << 20 };
const OFFICE: OfficeSettings = OfficeSettings {
    policy: POLICY,
    merge: true,
    delete_unused: false,
    rest: Duration::ZERO,
    settle: Duration::ZERO,
};

fn open_with_trunk(base: &Path) -> Store {
    let mut options = options(base);
    options.policy.trunk = Some(POLICY);
    Store::open(&options).unwrap()
}

fn in_office(base: &Path) -> Store {
    let store = open_with_trunk(base);
    store.take_trunk_office(OFFICE, 0).unwrap();
    store
}

fn begin(store: &Store, content: &[u8]) -> Upload {
    let new =
        NewFile { store_path: StorePathChoice::Any, size: Some(content.len() as u64), ..new_file("bin") };
    let mut upload = store.create(&new).unwrap();
    upload.write(content).unwrap();
    upload
}

fn place(store: &Store, content: &[u8]) -> Placed {
    let upload = begin(store, content);
    let (path, size) = upload.wanted_slot().unwrap();
    let block = store.alloc_slot(path, size).unwrap();
    upload.place(block).unwrap()
}

fn put(store: &Store, content: &[u8]) -> StoredFile {
    let placed = place(store, content);
    store.confirm_slot(placed.block(), false, false).unwrap();
    placed.record().unwrap()
}

fn content_of(store: &Store, name: &RemoteFilename) -> Option<Vec<u8>> {
    store.open_file(name).ok()?.checked(false).unwrap()
}

fn reclaim(store: &Store) {
    for gap in store.trunk_gaps().unwrap() {
        store.reclaim_gap(gap).unwrap();
    }
}

fn assert_sound(store: &Store) {
    let check = store.check_trunk().unwrap();
    assert!(check.faults.is_empty(), "{:#?}", check.faults);
}

#[test]
fn a_small_file_lies_in_a_slot_and_gives_it_back_when_it_is_deleted() {
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let stored = put(&store, b"small");
    assert_eq!(stored.filename.as_str().len(), RemoteFilename::TRUNK_LEN);
    assert_eq!(content_of(&store, &stored.filename).unwrap(), b"small");
    let info = store.info(&stored.filename, true).unwrap();
    assert_eq!((info.size, info.crc32), (5, Some(crc32fast::hash(b"small"))));
    assert!(store.is_there(&stored.filename) && !store.lacks(&stored.filename).unwrap());
    let metadata = fdfs_types::Metadata::decode(b"a\x02b").unwrap();
    store.set_metadata(&stored.filename, crate::MetadataFlag::Overwrite, metadata).unwrap();
    assert_eq!(store.metadata(&stored.filename).unwrap(), b"a\x02b");
    assert_sound(&store);
    let free = store.trunk_free().unwrap();
    assert_eq!(store.delete(&stored.filename).unwrap().len(), 2);
    assert_eq!(store.trunk_free().unwrap(), free + 256);
    assert!(content_of(&store, &stored.filename).is_none() && !store.is_there(&stored.filename));
    assert_eq!(errno(store.delete(&stored.filename)), 2);
    assert_sound(&store);
}

#[test]
fn a_damaged_slot_is_found_and_sound_ones_are_not() {
    use std::os::unix::fs::FileExt as _;
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let stored: Vec<_> = (0..5).map(|at| put(&store, &[at; 3000])).collect();
    let [file] = store.trunk_files().unwrap()[..] else { panic!("one trunk file") };
    let scan = |store: &Store| {
        let (mut slots, mut damaged, mut from) = (0, Vec::new(), 0);
        loop {
            let scan = store.scan_slots(file, from, 4000).unwrap();
            slots += scan.slots;
            damaged.extend(scan.damaged);
            match scan.next {
                Some(next) => from = next,
                None => return (slots, damaged),
            }
        }
    };
    assert_eq!(scan(&store), (5, Vec::new()));
    let block = Block::of_name(&stored[2].filename).unwrap();
    let path = base.path().join("data").join(file.local_path());
    let open = fs::File::options().write(true).open(path).unwrap();
    open.write_all_at(b"x", u64::from(block.offset) + 1000).unwrap();
    assert_eq!(scan(&store), (5, vec![block]));
}

#[test]
fn a_lost_header_is_written_again_where_the_content_is_sound_and_else_the_slot_is_fetched() {
    use std::os::unix::fs::FileExt as _;
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let stored: Vec<_> = (1..6).map(|at| put(&store, &[at; 3000])).collect();
    let blocks: Vec<_> = stored.iter().map(|file| Block::of_name(&file.filename).unwrap()).collect();
    let path = base.path().join("data").join(blocks[0].file.local_path());
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let damage = |at: usize, from: u64, bytes: &[u8]| {
        file.write_all_at(bytes, u64::from(blocks[at].offset) + from).unwrap();
    };
    let mut sound = vec![0; 3024];
    file.read_exact_at(&mut sound, blocks[1].offset.into()).unwrap();
    damage(0, 0, &[0; 24]);
    damage(1, 0, b"FFFF");
    damage(1, 1000, b"x");
    damage(2, 9, b"crc3");
    store.delete(&stored[3].filename).unwrap();
    let mend = |at: usize| store.mend_header(&stored[at].filename).unwrap();
    assert_eq!(content_of(&store, &stored[0].filename), None);
    assert_eq!([mend(0), mend(1), mend(2)], [Mended::Yes, Mended::No, Mended::Yes]);
    assert_eq!([mend(3), mend(4)], [Mended::IsNotThere, Mended::IsNotThere], "one deleted, one sound");
    assert_eq!(content_of(&store, &stored[0].filename), Some(vec![1; 3000]));
    assert_eq!(content_of(&store, &stored[2].filename), Some(vec![3; 3000]));
    // A member has the other.
    assert!(!store.heal_slot(blocks[3], &sound).unwrap(), "of another slot");
    assert!(!store.heal_slot(blocks[1], &vec![7; 3024]).unwrap(), "not sound");
    assert!(store.heal_slot(blocks[1], &sound).unwrap());
    assert_eq!(content_of(&store, &stored[1].filename), Some(vec![2; 3000]));
    // A storage that is not running is repaired.
    damage(4, 0, &[0; 24]);
    assert!(!store.check_trunk().unwrap().faults.is_empty());
    assert!(store.repair_trunk().unwrap().faults.is_empty());
    assert_eq!(content_of(&store, &stored[4].filename), Some(vec![5; 3000]));
}

#[test]
fn a_member_deletes_trunk_files_in_which_it_has_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, member) = (in_office(one.path()), open_with_trunk(two.path()));
    let stored = put(&source, b"small");
    assert!(source.delete_empty_trunk_files().is_err(), "the trunk server knows what it has");
    let replicate = || {
        let mut replica = member.receive_create(&stored.filename, 5, stored.modified).unwrap();
        replica.write(b"small").unwrap();
        replica.finish().unwrap();
    };
    replicate();
    assert_eq!(member.delete_empty_trunk_files().unwrap(), 0);
    member.delete(&stored.filename).unwrap();
    assert_eq!(member.delete_empty_trunk_files().unwrap(), 1);
    assert_eq!(member.trunk_files().unwrap(), []);
}

#[test]
fn an_empty_file_and_the_largest_go_into_slots_and_a_larger_one_does_not() {
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let largest = vec![7; (1 << 20) - 24];
    for content in [&b""[..], &largest] {
        let stored = put(&store, content);
        assert_eq!(content_of(&store, &stored.filename).unwrap(), content);
    }
    assert!(begin(&store, &vec![7; (1 << 20) - 23]).wanted_slot().is_none());
    assert_sound(&store);
}

#[test]
fn the_captured_trunk_file_is_read_by_its_ids() {
    let base = tempfile::tempdir().unwrap();
    drop(Store::open(&options(base.path())).unwrap());
    let mut file = fs::File::create(base.path().join("data/00/00/000001")).unwrap();
    file.write_all(&crate::tests::bytes("trunk_000001.first64k")).unwrap();
    file.set_len(4 << 20).unwrap();
    fs::create_dir(base.path().join("data/trunk")).unwrap();
    let log = crate::tests::vector("trunk_binlog.before_compress");
    fs::write(base.path().join("data/trunk/binlog"), log).unwrap();
    let store = open_with_trunk(base.path());
    let name: RemoteFilename =
        "M00/00/00/fwAAAmsCe-OINMySAAAADemKt44AAAAAQAAAAAAAAEA001.txt".parse().unwrap();
    assert_eq!(content_of(&store, &name).unwrap(), b"trunk file a\n");
    // Taking the office from another finds nothing wrong, and gives out what it left free.
    store.take_trunk_office(OFFICE, 2).unwrap();
    let before = store.trunk_free().unwrap();
    assert_eq!(put(&store, b"another").filename.trunk_part().unwrap().trunk_id, 1);
    assert!(store.trunk_free().unwrap() < before);
    let other: RemoteFilename = name.as_str().replace("001.txt", "002.txt").parse().unwrap();
    assert_eq!(errno(store.open_file(&other)), 2);
}

#[test]
fn an_upload_that_fails_leaves_no_slot_behind() {
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    put(&store, b"first");
    let free = store.trunk_free().unwrap();
    let placed = place(&store, b"second");
    let block = placed.block();
    let upload = placed.abandon().unwrap();
    store.confirm_slot(block, true, false).unwrap();
    assert_eq!(store.trunk_free().unwrap(), free);
    // It becomes a plain file.
    let plain = upload.finish().unwrap();
    assert_eq!(plain.filename.as_str().len(), RemoteFilename::NORMAL_LEN);
    assert_eq!(store.open_file(&plain.filename).unwrap().size, 6);
    assert_sound(&store);
}

#[test]
fn two_files_of_one_slot_are_both_kept() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (in_office(one.path()), in_office(two.path()));
    let (a, b) = (put(&first, b"one"), put(&second, b"other"));
    assert_eq!(Block::of_name(&a.filename), Block::of_name(&b.filename));
    for (store, stored, content) in [(&first, &b, &b"other"[..]), (&second, &a, b"one")] {
        let mut replica =
            store.receive_create(&stored.filename, content.len() as u64, stored.modified).unwrap();
        replica.write(content).unwrap();
        assert_eq!(replica.finish().unwrap(), Replicated::Done);
    }
    for store in [&first, &second] {
        assert_eq!(store.open_file(&a.filename).unwrap().size, 3);
        assert_eq!(store.open_file(&b.filename).unwrap().size, 5);
        assert_eq!(store.check_trunk().unwrap().outside, 1);
        assert_sound(store);
        store.delete(&a.filename).unwrap();
        assert_eq!(errno(store.open_file(&a.filename)), 2);
        assert_eq!(store.open_file(&b.filename).unwrap().size, 5);
    }
}

#[test]
fn a_replica_lies_in_the_same_slot_and_goes_with_its_delete() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, member) = (in_office(one.path()), open_with_trunk(two.path()));
    let stored = put(&source, b"content");
    let create = || {
        let mut replica = member.receive_create(&stored.filename, 7, stored.modified).unwrap();
        replica.write(b"content").unwrap();
        replica.finish().unwrap()
    };
    assert_eq!(create(), Replicated::Done);
    assert_eq!(create(), Replicated::Has);
    assert_eq!(content_of(&member, &stored.filename).unwrap(), b"content");
    // What is damaged gives way to what is sound.
    let path = two.path().join(format!("data/00/00/{:06}", stored.filename.trunk_part().unwrap().trunk_id));
    let mut bytes = fs::read(&path).unwrap();
    bytes[25] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(content_of(&member, &stored.filename), None);
    let block = Block::of_name(&stored.filename).unwrap();
    let sound = fs::read(one.path().join("data/00/00/000001")).unwrap();
    assert!(!member.heal_slot(block, &bytes[..256]).unwrap());
    assert!(member.heal_slot(block, &sound[..256]).unwrap());
    assert_eq!(content_of(&member, &stored.filename).unwrap(), b"content");
    let time = Timestamp(stored.modified.0 + 1);
    assert_eq!(member.replicate_delete(&stored.filename, time).unwrap(), Replicated::Done);
    assert_eq!(member.replicate_delete(&stored.filename, time).unwrap(), Replicated::Lacks);
    assert_eq!(create(), Replicated::Has);
    assert!(!member.is_there(&stored.filename));
    assert!(member.is_slot_empty(block).unwrap());
}

#[test]
fn what_was_unpacked_keeps_its_id() {
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let stored = [put(&store, b"one"), put(&store, b"two")];
    assert_eq!(store.unpack_trunk().unwrap(), 2);
    assert_eq!(store.unpack_trunk().unwrap(), 0);
    assert_eq!(store.check_trunk().unwrap().outside, 2);
    for file in &stored {
        assert_eq!(store.open_file(&file.filename).unwrap().size, 3);
        assert_eq!(store.info(&file.filename, true).unwrap().crc32, Some(file.crc32));
    }
    assert!(store.repair_trunk().unwrap().faults.is_empty());
    store.delete(&stored[0].filename).unwrap();
    assert_eq!(errno(store.open_file(&stored[0].filename)), 2);
}

#[test]
fn a_check_tells_each_kind_of_fault_and_where_it_is() {
    use std::os::unix::fs::FileExt as _;
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let stored: Vec<_> = (1..5).map(|at| put(&store, &[at; 1000])).collect();
    let lost = store.alloc_slot(0, 1000).unwrap();
    let unknown = place(&store, b"nobody knows");
    let unknown_block = unknown.block();
    std::mem::forget(unknown);
    let block = |at: usize| Block::of_name(&stored[at].filename).unwrap();
    let path = base.path().join("data").join(lost.file.local_path());
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(b"x", u64::from(block(0).offset) + 500).unwrap();
    file.write_all_at(&[0; 24], block(1).offset.into()).unwrap();
    let used = block(2);
    let Block { file: TrunkFile { store_path, high, low, id }, offset, size } = used;
    let line = format!(
        "1 A {store_path} {high} {low} {id} {offset} {size}\n1 A {store_path} {high} {low} {id} 4194304 256\n"
    );
    store.settle_trunk_office(Duration::ZERO).unwrap();
    store.leave_trunk_office().unwrap();
    store.take_trunk_lines(&line).unwrap();
    let faults = store.check_trunk().unwrap().faults;
    let has = |fault: TrunkFault| assert!(faults.contains(&fault), "{fault}: {faults:#?}");
    has(TrunkFault::Damaged(block(0)));
    has(TrunkFault::Missing(stored[1].filename.clone()));
    has(TrunkFault::FreeAndUsed(used));
    has(TrunkFault::Lost(lost));
    has(TrunkFault::WithoutName(unknown_block));
    has(TrunkFault::BadFreeBlock(Block { offset: 4 << 20, size: 256, ..used }));
    let debris = |fault: &TrunkFault| matches!(fault, TrunkFault::Debris(part) if part.meets(&block(1)));
    assert!(faults.iter().any(debris), "{faults:#?}");
    let of_the_sound_one = |fault: &TrunkFault| matches!(fault, TrunkFault::Damaged(part) | TrunkFault::WithoutName(part) | TrunkFault::FreeAndUsed(part) if *part == block(3));
    assert!(!faults.iter().any(of_the_sound_one), "{faults:#?}");
}

#[test]
fn a_repair_makes_free_what_has_no_file_and_nothing_else() {
    let base = tempfile::tempdir().unwrap();
    let store = in_office(base.path());
    let stored = put(&store, b"stays");
    let (lost, placed) = (store.alloc_slot(0, 1000).unwrap(), place(&store, b"nobody knows"));
    std::mem::forget(placed);
    assert_eq!(store.check_trunk().unwrap().faults.len(), 2);
    store.leave_trunk_office().unwrap();
    assert!(store.repair_trunk().unwrap().faults.is_empty());
    assert_eq!(content_of(&store, &stored.filename).unwrap(), b"stays");
    store.take_trunk_office(OFFICE, 0).unwrap();
    assert!(store.trunk_free().unwrap() >= (4 << 20) - 256 && lost.size == 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is cut off at whatever step: what was recorded is there, and every part of every trunk file is free or has
    /// one file once gaps are freed.
    #[test]
    fn every_slot_is_free_or_has_one_file_after_any_ends(
        steps in prop::collection::vec((0_u8..8, 0_usize..20_000, any::<u8>(), any::<usize>()), 1..60),
    ) {
        let base = tempfile::tempdir().unwrap();
        let mut store = in_office(base.path());
        let mut live: Vec<(RemoteFilename, Vec<u8>)> = Vec::new();
        for (step, length, byte, pick) in steps {
            let content = vec![byte; length];
            match step {
                0..=2 => {
                    let stored = put(&store, &content);
                    live.push((stored.filename, content));
                }
                3 if !live.is_empty() => {
                    let (name, _) = live.swap_remove(pick % live.len());
                    store.delete(&name).unwrap();
                }
                // The process ends: with a slot that nobody fills, with one that is filled in part, with one that is filled
                // and not recorded.
                4..=6 => {
                    let cut_at = match step {
                        4 => { store.alloc_slot(0, 24 + u32::try_from(length).unwrap()).unwrap(); None }
                        5 => {
                            let placed = place(&store, &content);
                            let block = placed.block();
                            std::mem::forget(placed);
                            Some(block).filter(|_| byte != 0 && length > 0)
                        }
                        _ => { std::mem::forget(place(&store, &content)); None }
                    };
                    if let Some(block) = cut_at {
                        let path = base.path().join("data").join(block.file.local_path());
                        let file = fs::File::options().write(true).open(path).unwrap();
                        let at = u64::from(block.offset) + 24 + (length / 2) as u64;
                        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; length - length / 2], at).unwrap();
                    }
                    drop(store);
                    store = in_office_after_kill(base.path());
                }
                _ => {
                    reclaim(&store);
                    store.compress_trunk_binlog().unwrap();
                }
            }
            for (name, content) in &live {
                prop_assert!(content_of(&store, name).as_ref() == Some(content));
            }
        }
        reclaim(&store);
        let check = store.check_trunk().unwrap();
        prop_assert!(check.faults.is_empty(), "{:#?}", check.faults);
        let length: u64 = fs::read_dir(base.path().join("data/00/00")).unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        prop_assert_eq!(check.used + check.free, length);
    }
}

/// A placed file that was forgotten keeps the store open: as after `kill -9`, the lock has to go first.
fn in_office_after_kill(base: &Path) -> Store {
    let lock = base.join("data/rs/lock");
    fs::remove_file(lock).unwrap();
    in_office(base)
}
