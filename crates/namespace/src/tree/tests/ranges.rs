//! Two names that trade places, and ranges of content.

use super::*;

async fn make(namespace: &Namespace, parent: u64, name: &str, kind: Kind) -> u64 {
    let new = NewInode { kind, mode: 0o755, ..NewInode::default() };
    namespace.make(parent, name.as_bytes(), new).await.unwrap().inode
}

#[test]
fn two_names_trade_what_they_stand_for_as_one_change() {
    for_every_engine(|namespace, root| async move {
        let names = &namespace;
        let inode =
            async |parent, name: &str| names.lookup(parent, name.as_bytes()).await.map(|found| found.inode);
        let exchange = async |one: (u64, &str), other: (u64, &str)| {
            names.rename(one.0, one.1.as_bytes(), other.0, other.1.as_bytes(), RenameMode::Exchange).await
        };
        let directory = make(names, root, "directory", Kind::Directory).await;
        let below = make(names, directory, "below", Kind::Directory).await;
        let file = put(names, root, "file", 1).await.inode;
        let other = put(names, root, "directory/other", 2).await.inode;

        exchange((root, "file"), (directory, "other")).await.unwrap();
        assert_eq!(
            (inode(root, "file").await.unwrap(), inode(directory, "other").await.unwrap()),
            (other, file)
        );
        // A directory and a file, in different directories: the counts of directories follow.
        exchange((root, "file"), (directory, "below")).await.unwrap();
        assert_eq!(
            (inode(root, "file").await.unwrap(), inode(directory, "below").await.unwrap()),
            (below, other)
        );
        assert_eq!(names.attributes(root).await.unwrap().links, 4);
        assert_eq!(names.attributes(directory).await.unwrap().links, 2);
        assert_eq!(
            list(names, root, "", "").await,
            ["directory/", "directory/below", "directory/other", "file/"]
        );

        names.link(other, root, b"link").await.unwrap();
        exchange((root, "link"), (directory, "below")).await.unwrap();
        exchange((root, "link"), (directory, "other")).await.unwrap();
        assert_eq!(
            (inode(root, "link").await.unwrap(), inode(directory, "other").await.unwrap()),
            (file, other)
        );

        assert!(is(exchange((root, "directory"), (directory, "other")).await, NamespaceError::Loop));
        assert!(is(exchange((root, "link"), (root, "nothing")).await, NamespaceError::NotFound));
        let elsewhere = names.create_bucket("elsewhere", NewBucket::default()).await.unwrap().root;
        put(names, elsewhere, "file", 3).await;
        assert!(is(exchange((root, "link"), (elsewhere, "file")).await, NamespaceError::CrossBucket));
        // `hidden` and `hidden/` are both keys: what would take the place of the first is refused.
        put(names, root, "hidden", 4).await;
        put(names, root, "hidden/x", 5).await;
        assert!(is(exchange((root, "link"), (root, "hidden")).await, NamespaceError::AlreadyExists));
    });
}

#[test]
fn ranges_are_emptied_and_shared_without_a_byte_being_moved() {
    for_every_engine(|namespace, root| async move {
        let names = &namespace;
        let extents = async |inode| {
            let extents = names.record(inode).await.unwrap().extents;
            extents
                .into_iter()
                .map(|extent| (extent.offset, extent.length, extent.file_offset))
                .collect::<Vec<_>>()
        };
        let one = put(names, root, "one", 1).await.inode;
        assert_eq!(names.zero_range(one, 1..3, false).await.unwrap().size, 5);
        assert_eq!(extents(one).await, [(0, 1, 0), (3, 2, 3)]);
        assert_eq!(names.zero_range(one, 4..9, true).await.unwrap().size, 9);
        assert_eq!(extents(one).await, [(0, 1, 0), (3, 1, 3)]);

        let two = put(names, root, "two", 2).await.inode;
        let source = ContentSource::Inode(one, Preconditions::default());
        assert_eq!(names.copy_range((source.clone(), 2), (two, 4), 100).await.unwrap(), 7);
        assert_eq!(extents(two).await, [(0, 4, 0), (5, 1, 3)]);
        assert_eq!(names.attributes(two).await.unwrap().size, 11);
        assert_eq!(names.copy_range((source, 9), (two, 4), 100).await.unwrap(), 0);
        // Pieces that follow one another in a file are one.
        let itself = ContentSource::Inode(two, Preconditions::default());
        names.copy_range((itself.clone(), 0), (two, 20), 2).await.unwrap();
        names.copy_range((itself, 2), (two, 22), 2).await.unwrap();
        assert_eq!(extents(two).await, [(0, 4, 0), (5, 1, 3), (20, 4, 0)]);

        names.delete(root, b"one", Preconditions::default()).await.unwrap();
        assert_eq!(freed(names).await, []);
        names.zero_range(two, 0..24, false).await.unwrap();
        let mut freed = freed(names).await;
        freed.sort_by_key(ToString::to_string);
        let mut expected = vec![file_id(1), file_id(2)];
        expected.sort_by_key(ToString::to_string);
        assert_eq!(freed, expected);
    });
}
