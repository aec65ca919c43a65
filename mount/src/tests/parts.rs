//! Parts of large files that are written anew.

use bytes::Bytes;
use fdfs_objects::SetAttributes;

use super::bytes;
use super::operations::{READ, Rig, WRITE};
use crate::ops::{attributes, content};

#[tokio::test]
async fn of_a_large_file_only_what_was_written_is_uploaded() {
    let rig = Rig::new().await;
    let mut expected = bytes(1, 8_000_000);
    let inode = rig.put("disk.img", &expected).await;
    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    let mut write = async |at: usize, seed, length| {
        let part = bytes(seed, length);
        rig.write(handle, at as u64, &part).await;
        let end = expected.len().max(at + length);
        expected.resize(end, 0);
        expected[at..at + length].copy_from_slice(&part);
    };
    write(5_000_000, 2, 4_096).await;
    write(1_000_000, 3, 10_000).await;
    write(1_005_000, 4, 10_000).await;
    write(8_100_000, 5, 100).await;
    let before = content::read(&rig.fs, handle, 999_000, 20_000).await.unwrap();
    assert_eq!(before, expected[999_000..1_019_000]);
    content::flush(&rig.fs, handle).await.unwrap();
    assert_eq!(rig.get("disk.img").await, expected);
    let lengths = rig.files.state(|state| state.lengths.clone());
    assert_eq!(lengths, [None, Some(4_096 + 15_000 + 100)], "one upload of all parts");

    // What was written is written over, and the file is cut in the middle of a part.
    rig.write(handle, 1_002_000, b"again").await;
    expected[1_002_000..1_002_005].copy_from_slice(b"again");
    let cut = SetAttributes { size: Some(5_002_000), ..Default::default() };
    attributes::set(&rig.fs, inode, cut).await.unwrap();
    rig.write(handle, 5_003_000, b"end").await;
    expected.truncate(5_002_000);
    expected.resize(5_003_000, 0);
    expected.extend_from_slice(b"end");
    rig.close(handle).await;
    assert_eq!(rig.get("disk.img").await, expected);
    let lengths = rig.files.state(|state| state.lengths.clone());
    assert_eq!(lengths.last(), Some(&Some(8)));
}

#[tokio::test]
async fn what_was_written_in_thousands_of_places_is_uploaded_alone_until_the_pieces_are_too_many() {
    let rig = Rig::new().await;
    let mut expected = bytes(1, 8_000_000);
    let inode = rig.put("table.db", &expected).await;
    for (round, uploaded) in [(0, 4_000 * 500), (1, 8_000_000)] {
        let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
        for part in 0..4_000 {
            let at = part * 2_000 + round * 700;
            rig.write(handle, at as u64, &[part as u8; 500]).await;
            expected[at..at + 500].fill(part as u8);
        }
        rig.close(handle).await;
        assert_eq!(rig.get("table.db").await, expected);
        let lengths = rig.files.state(|state| state.lengths.clone());
        assert_eq!(lengths.last(), Some(&Some(uploaded)), "round {round}");
    }
}

#[tokio::test]
async fn a_file_of_many_parts_is_made_one_file_and_keeps_its_bytes() {
    let rig = Rig::new().await;
    let mut expected = bytes(1, 4_000_000);
    let inode = rig.put("table.db", &expected).await;
    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    for part in 0..100 {
        let at = 10_000 + part * 30_000;
        rig.write(handle, at as u64, &[part as u8; 512]).await;
        expected[at..at + 512].fill(part as u8);
    }
    rig.close(handle).await;
    let reading = content::open(&rig.fs, inode, READ).await.unwrap();
    assert!(rig.fs.objects.inode_info(inode).await.unwrap().file_id.is_none());
    assert_eq!(rig.fs.objects.rewrite_due().await.unwrap(), 1);
    assert!(!rig.file_id(inode).await.is_empty());
    assert_eq!(rig.get("table.db").await, expected);
    assert_eq!(content::read(&rig.fs, reading, 9_000, 50_000).await.unwrap(), expected[9_000..59_000]);
    assert_eq!(rig.fs.objects.rewrite_due().await.unwrap(), 0);
    rig.close(reading).await;
}

#[tokio::test]
async fn who_closes_last_has_written_all_of_a_file_and_not_a_mix() {
    let rig = Rig::new().await;
    let (mut mine, theirs) = (bytes(1, 3_000_000), bytes(2, 3_000_000));
    let inode = rig.put("shared", &mine).await;
    let handle = content::open(&rig.fs, inode, WRITE).await.unwrap();
    rig.write(handle, 1_000_000, b"mine").await;
    mine[1_000_000..1_000_004].copy_from_slice(b"mine");

    let mut elsewhere = rig.fs.objects.write_inode(inode, None).await.unwrap();
    elsewhere.write(Bytes::from(theirs.clone())).await.unwrap();
    elsewhere.commit(Default::default()).await.unwrap();
    assert_eq!(rig.get("shared").await, theirs);
    rig.close(handle).await;
    assert_eq!(rig.get("shared").await, mine);
}

#[tokio::test]
async fn what_nobody_wrote_to_is_not_uploaded() {
    let rig = Rig::new().await;
    let (inode, handle) = rig.create("sparse").await;
    rig.write(handle, 1 << 40, b"far away").await;
    rig.write(handle, 10, b"near").await;
    rig.close(handle).await;
    assert_eq!(rig.size(inode).await, (1 << 40) + 8);
    assert_eq!(rig.files.state(|state| state.lengths.clone()), [Some(12)]);
    let handle = content::open(&rig.fs, inode, READ).await.unwrap();
    assert_eq!(content::read(&rig.fs, handle, 8, 8).await.unwrap(), b"\0\0near\0\0"[..]);
    assert_eq!(content::read(&rig.fs, handle, (1 << 40) - 2, 100).await.unwrap(), b"\0\0far away"[..]);
    rig.close(handle).await;
}

#[tokio::test]
async fn what_was_reserved_and_is_written_from_front_to_back_goes_to_a_storage_as_it_comes() {
    let rig = Rig::new().await;
    let written = bytes(4, 3_000_000);
    // Written to its end, almost, and nowhere near it.
    for (name, reserved, length) in
        [("whole", 3_000_000, 3_000_000), ("most", 5_000_000, 2_000_000), ("part", 90_000_000, 2_000_000)]
    {
        let (inode, handle) = rig.create(name).await;
        let set = SetAttributes { size: Some(reserved), ..SetAttributes::default() };
        attributes::set(&rig.fs, inode, set).await.unwrap();
        let before = rig.files.state(|state| state.lengths.len());
        for (number, piece) in written[..length].chunks(1 << 20).enumerate() {
            rig.write(handle, (number as u64) << 20, piece).await;
            assert_eq!(rig.fs.attributes(inode).await.unwrap().size, reserved, "{name}");
        }
        rig.close(handle).await;
        let lengths = rig.files.state(|state| state.lengths[before..].to_vec());
        assert_eq!(lengths, [None], "{name}: one upload, begun before its end was known");
        let mut expected = written[..length].to_vec();
        expected.resize(reserved as usize, 0);
        assert!(rig.get(name).await == expected, "{name}");
        let is_one_file = rig.fs.objects.inode_info(inode).await.unwrap().file_id.is_some();
        assert_eq!(is_one_file, name != "part", "a long hole is not uploaded");
    }
}
