//! Content that several names and parts share, lists of uploads, renames of keys.

use super::*;

fn whole(inode: u64) -> ContentSource {
    ContentSource::Inode(inode, Preconditions::default())
}

async fn upload(namespace: &Namespace, root: u64, key: &str) -> UploadId {
    namespace.create_upload(root, key.as_bytes(), NewUpload::default()).await.unwrap()
}

#[test]
fn a_file_of_others_is_shared_and_never_freed() {
    for_every_engine(|namespace, root| async move {
        let copy = async |source, key: &str| {
            namespace.copy(source, root, key.as_bytes(), NewFile::default(), Preconditions::default()).await
        };
        let foreign = ContentSource::File(file_id(1), 5);
        let first = copy(foreign, "first").await.unwrap();
        assert_eq!(first.size, 5);
        copy(whole(first.inode), "second").await.unwrap();
        copy(ContentSource::File(file_id(1), 5), "third").await.unwrap();
        let upload_id = upload(&namespace, root, "k").await;
        namespace.share_part(root, b"k", upload_id, part(1, 0), whole(first.inode), 1..4).await.unwrap();
        assert!(namespace.is_named(&file_id(1)).await.unwrap());
        for key in ["first", "second", "third"] {
            namespace.delete(root, key.as_bytes(), Preconditions::default()).await.unwrap();
        }
        namespace.abort_upload(root, b"k", upload_id).await.unwrap();
        assert!(!namespace.is_named(&file_id(1)).await.unwrap());
        assert_eq!(freed(&namespace).await, []);

        // One of ours stays ours when it is copied by its ID.
        put(&namespace, root, "ours", 2).await;
        copy(ContentSource::File(file_id(2), 5), "copy").await.unwrap();
        for key in [b"ours", &b"copy"[..]] {
            namespace.delete(root, key, Preconditions::default()).await.unwrap();
        }
        assert_eq!(freed(&namespace).await, [file_id(2)]);
    });
}

#[test]
fn a_copy_has_the_parts_of_its_source_and_gets_the_joined_file_with_it() {
    for_every_engine(|namespace, root| async move {
        let upload_id = upload(&namespace, root, "big").await;
        let mut parts = Vec::new();
        for number in [1, 2] {
            namespace.put_part(root, b"big", upload_id, part(number, number.into())).await.unwrap();
            parts.push(named(number));
        }
        let etag = ETag { digest: [9; 16], parts: Some(2) };
        let completion =
            Completion { parts, etag, checksum: None, min_part: 1, preconditions: Preconditions::default() };
        let big = namespace.complete_upload(root, b"big", upload_id, completion).await.unwrap();
        let stale = ContentSource::Inode(big.inode, Preconditions::same(content(7).etag));
        let refused = namespace.copy(stale, root, b"no", NewFile::default(), Preconditions::default()).await;
        assert!(is(refused, NamespaceError::PreconditionFailed));
        let copy =
            namespace.copy(whole(big.inode), root, b"copy", NewFile::default(), Preconditions::default());
        let copy = copy.await.unwrap();
        assert_eq!(namespace.object_parts(copy.inode).await.unwrap().len(), 2);
        assert_eq!(namespace.waiting_joins(10).await.unwrap().len(), 2);
        // Not the same content: it has the first part alone.
        let upload_id = upload(&namespace, root, "cut").await;
        namespace.share_part(root, b"cut", upload_id, part(1, 0), whole(big.inode), 0..5).await.unwrap();

        let extents = namespace.record(big.inode).await.unwrap().extents;
        let joined = Extent::whole(file_id(8), 10);
        namespace.joined(big.inode, extents, joined.clone(), Mirrored::None).await.unwrap();
        assert_eq!(namespace.waiting_joins(10).await.unwrap(), []);
        assert_eq!(namespace.record(copy.inode).await.unwrap().extents, [joined]);
        assert_eq!(freed(&namespace).await, [file_id(2)]);

        // What replaces the content has no parts of it.
        put(&namespace, root, "big", 3).await;
        let etag = ETag { digest: [1; 16], parts: Some(0) };
        let extents = vec![Extent::whole(file_id(4), 5)];
        namespace.set_content(copy.inode, extents, 5, etag, None).await.unwrap();
        assert_eq!(namespace.object_parts(copy.inode).await.unwrap(), []);
        assert_eq!(namespace.record(copy.inode).await.unwrap().part_count, 0);
    });
}

#[test]
fn a_part_is_a_range_of_what_is_there() {
    for_every_engine(|namespace, root| async move {
        let extents = vec![
            Extent::whole(file_id(1), 5),
            Extent { offset: 5, ..Extent::whole(file_id(2), 5) },
            Extent { offset: 15, ..Extent::whole(file_id(1), 5) },
        ];
        let file = NewFile { extents, size: 20, ..NewFile::default() };
        let source = namespace.put(root, b"source", file, Preconditions::default()).await.unwrap().inode;
        let upload_id = upload(&namespace, root, "k").await;
        let share = async |number, range| {
            namespace.share_part(root, b"k", upload_id, part(number, 0), whole(source), range).await
        };
        share(1, 3..17).await.unwrap();
        assert!(is(share(2, 10..21).await, NamespaceError::ContentChanged));
        let parts = namespace.parts(root, b"k", upload_id, 0, 10).await.unwrap();
        let cut = |offset, number, file_offset, length| Extent {
            offset,
            length,
            file_offset,
            ..Extent::whole(file_id(number), 5)
        };
        assert_eq!(parts[0].extents, [cut(0, 1, 3, 2), cut(2, 2, 0, 5), cut(12, 1, 0, 2)]);
        assert_eq!(parts[0].size, 14);

        namespace.delete(root, b"source", Preconditions::default()).await.unwrap();
        assert_eq!(freed(&namespace).await, [], "the part uses the files");
        share(1, 0..1).await.unwrap_err();
        namespace.put_part(root, b"k", upload_id, part(1, 3)).await.unwrap();
        assert_eq!(freed(&namespace).await.len(), 2, "a part that is sent again lets go of what it shared");
    });
}

#[test]
fn pages_of_uploads_join_into_all_of_them() {
    for_every_engine(|namespace, root| async move {
        let mut ids = Vec::new();
        for key in ["a/1", "a/2", "b", "b", "c/x", "c/y", "d"] {
            ids.push(upload(&namespace, root, key).await);
        }
        for (prefix, wanted) in [
            ("", &["a/ ...", "b", "b", "c/ ...", "d"][..]),
            ("c", &["c/ ..."]),
            ("c/", &["c/x", "c/y"]),
            ("x", &[]),
        ] {
            for limit in 1..8 {
                let mut seen = Vec::new();
                let mut query =
                    UploadQuery { prefix: prefix.into(), delimiter: b"/".to_vec(), after: None, limit };
                loop {
                    let page = namespace.list_uploads(root, query.clone()).await.unwrap();
                    assert!(page.items.len() <= limit);
                    seen.extend(page.items.iter().map(|item| match item {
                        UploadItem::Upload(upload) => String::from_utf8(upload.key.clone()).unwrap(),
                        UploadItem::CommonPrefix(prefix) => {
                            format!("{} ...", String::from_utf8_lossy(prefix))
                        }
                    }));
                    query.after = page.next;
                    if query.after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen, wanted, "{limit} at once");
            }
        }
        let after = UploadMarker { key: b"b".to_vec(), upload_id: None };
        let query = UploadQuery { after: Some(after), limit: 10, ..UploadQuery::default() };
        assert_eq!(namespace.list_uploads(root, query).await.unwrap().items.len(), 3);
        let beyond = UploadMarker { key: b"x".to_vec(), upload_id: Some(ids[0]) };
        let query =
            UploadQuery { prefix: b"a".to_vec(), after: Some(beyond), limit: 10, ..UploadQuery::default() };
        assert_eq!(namespace.list_uploads(root, query).await.unwrap(), UploadPage::default());
    });
}

#[test]
fn a_key_is_renamed_only_where_its_conditions_hold() {
    for_every_engine(|namespace, root| async move {
        put(&namespace, root, "a", 1).await;
        put(&namespace, root, "b", 2).await;
        let same = |number| Preconditions::same(content(number).etag);
        let rename = async |to: &str, source, target| {
            let conditions = RenameConditions { source, target };
            namespace.rename_key(root, b"a", to.as_bytes(), conditions).await
        };
        let none = Preconditions::default;
        for (to, source, target) in [
            ("c", same(2), none()),
            ("b", none(), Preconditions::absent()),
            ("b", none(), same(1)),
            ("c", none(), same(1)),
        ] {
            assert!(is(rename(to, source, target).await, NamespaceError::PreconditionFailed));
        }
        assert_eq!(list(&namespace, root, "", "").await, ["a", "b"]);
        rename("b", same(1), same(2)).await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, ["b"]);
        assert_eq!(namespace.get(root, b"b").await.unwrap().attributes.etag, content(1).etag);
        assert_eq!(freed(&namespace).await, [file_id(2)]);
    });
}

#[test]
fn an_entry_tells_which_checksum_its_content_has() {
    for_every_engine(|namespace, root| async move {
        let checksum = Checksum { algorithm: 3, kind: 1, value: vec![1; 8] };
        let file = NewFile { checksums: vec![checksum], ..content(1) };
        let put = namespace.put(root, b"k", file, Preconditions::default()).await.unwrap();
        assert_eq!(put.checksum, Some(ChecksumForm { algorithm: 3, composed: true }));
        let query = ListQuery { limit: 1, ..ListQuery::default() };
        let page = namespace.list(root, query).await.unwrap();
        let [ListItem::Key { entry, .. }] = page.items.as_slice() else { panic!("one key") };
        assert_eq!(entry.attributes.as_ref().unwrap().checksum, put.checksum);
    });
}
