//! What a tracker finds again.

use fdfs_proto::tracker::{ListOneGroupRequest, ListStoragesRequest};
use fdfs_types::StorageStatus;

use crate::support::{Storage, World, group, id};

#[tokio::test]
async fn groups_and_storages_are_found_again_after_a_restart() {
    let world = World::start("127.0.28.1").await;
    let _four = Storage::bring_up(&world, "127.0.29.4").await;
    let _ten = Storage::bring_up(&world, "127.0.29.10").await;
    assert_eq!(
        world.file("storage_groups_new.dat"),
        "[Global]\n\tgroup_count=1\n\n# group: group1\n[Group001]\n\tgroup_name=group1\n\
         \tstorage_port=23000\n\tstore_path_count=2\n\tsubdir_count_per_path=4\n\
         \tcurrent_trunk_file_id=0\n\ttrunk_server=\n\tlast_trunk_server=\n\n"
    );
    let world = world.restart().await;
    assert_eq!(world.file("storage_sync_timestamp.dat"), "group1,127.0.29.4,0,0\ngroup1,127.0.29.10,0,0\n");
    let mut client = world.client("127.0.0.1").await;
    let record = client.ask(&ListOneGroupRequest { group: group("group1") }).await;
    assert_eq!((record.storage_count, record.writable_count), (2, 0));
    let list = ListStoragesRequest { group: group("group1"), storage_id: None };
    let storages = client.ask(&list).await.storages;
    assert_eq!(storages.len(), 2);
    assert_eq!((storages[0].id, storages[0].status), (id("127.0.29.10"), StorageStatus::Offline));
    assert_eq!((storages[0].total_mb, storages[0].port), (200_000, 23000));

    let mut four = Storage::connect(&world, "127.0.29.4").await;
    four.request.is_initial = false;
    four.request.status = Some(StorageStatus::Active);
    assert_eq!(four.join().await.status, StorageStatus::Online);
}

#[tokio::test]
async fn a_new_storage_survives_the_death_of_the_tracker() {
    let world = World::start("127.0.28.2").await;
    let _four = Storage::bring_up(&world, "127.0.29.4").await;
    let World { tracker, address, dir } = world;
    // Dropped, not shut down: nothing more is written.
    drop(tracker);
    let (tracker, address) = crate::support::start_in(dir.path(), address, |_| {}).await;
    let world = World { tracker, address, dir };
    let mut client = world.client("127.0.0.1").await;
    let record = client.ask(&ListOneGroupRequest { group: group("group1") }).await;
    assert_eq!(record.storage_count, 1);
}

#[tokio::test]
async fn a_tracker_that_cannot_save_says_so_until_it_can() {
    let world = World::start("127.0.28.3").await;
    let check = world.tracker.check();
    assert_eq!(check(), Ok(()));
    let data = world.dir.path().join("data");
    // A directory in the place of the temporary file: nothing can be written there.
    for name in ["storage_groups_new.dat.tmp", "storage_servers_new.dat.tmp"] {
        std::fs::create_dir(data.join(name)).expect("a new directory");
    }
    let _four = Storage::bring_up(&world, "127.0.29.4").await;
    assert!(check().is_err_and(|reason| reason.contains("cannot be saved")));
    for name in ["storage_groups_new.dat.tmp", "storage_servers_new.dat.tmp"] {
        std::fs::remove_dir(data.join(name)).expect("an empty directory");
    }
    let _five = Storage::bring_up(&world, "127.0.29.5").await;
    assert_eq!(check(), Ok(()));
}
