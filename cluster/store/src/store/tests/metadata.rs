//! Tests of metadata.

use fdfs_types::Metadata;

use super::*;
use crate::MetadataFlag::{Merge, Overwrite};

fn metadata(bytes: &[u8]) -> Metadata {
    Metadata::decode(bytes).unwrap()
}

#[test]
fn metadata_is_set_merged_and_removed_with_a_record_each() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    assert!(matches!(store.metadata(&name), Err(StoreError::NoMetadata)));
    store.set_metadata(&name, Overwrite, metadata(b"width\x02100\x01author\x02bob\x01empty\x02")).unwrap();
    let captured = crate::tests::vector("fwAAAmsCe-OINMySAAAADemKt44AAAAAQAAAAAAAAEA001.txt-m");
    assert_eq!(store.metadata(&name).unwrap(), captured.as_bytes());
    assert_eq!(fs::read(format!("{}-m", local(base.path(), &name).display())).unwrap(), captured.as_bytes());

    store.set_metadata(&name, Merge, metadata(b"width\x027\x01z\x021")).unwrap();
    assert_eq!(store.metadata(&name).unwrap(), b"author\x02bob\x01empty\x02\x01width\x027\x01z\x021");
    store.set_metadata(&name, Merge, metadata(b"")).unwrap();
    store.set_metadata(&name, Overwrite, metadata(b"a\x021")).unwrap();
    assert_eq!(store.metadata(&name).unwrap(), b"a\x021");
    store.set_metadata(&name, Overwrite, metadata(b"")).unwrap();
    store.set_metadata(&name, Overwrite, metadata(b"")).unwrap();
    assert_eq!(errno(store.metadata(&name)), 2);
    store.set_metadata(&name, Merge, metadata(b"a\x021")).unwrap();
    let letters: Vec<_> = log(&store).iter().map(|line| line.split_at(1).0.to_owned()).collect();
    assert_eq!(letters.concat(), "CCUUDC");
    assert!(log(&store)[1..].iter().all(|line| line[2..] == format!("{name}-m")));
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn metadata_belongs_to_a_file_that_is_there() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    store.delete(&name).unwrap();
    assert_eq!(errno(store.set_metadata(&name, Overwrite, metadata(b"a\x021"))), 2);
    assert_eq!(errno(store.metadata(&name)), 2);
}

#[test]
fn what_the_original_left_in_a_sidecar_is_merged_as_far_as_it_can_be_read() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    let path = format!("{}-m", local(base.path(), &name).display());
    fs::write(path, b"b\x021\x01norow\x01b\x022\x01c\x02\x03\0stale\x02bytes").unwrap();
    store.set_metadata(&name, Merge, metadata(b"a\x020")).unwrap();
    assert_eq!(store.metadata(&name).unwrap(), b"a\x020\x01b\x022\x01c\x02\x03");
}

#[test]
fn a_sidecar_beyond_all_bounds_is_not_read() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    let sidecar = fs::File::create(format!("{}-m", local(base.path(), &name).display())).unwrap();
    sidecar.set_len(1 << 40).unwrap();
    assert_eq!(errno(store.metadata(&name)), 5);
}
