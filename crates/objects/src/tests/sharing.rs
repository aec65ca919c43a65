//! Files that several contents share: raw files under a name, parts taken out of objects, what becomes of them.

use super::*;
use crate::objects::now_ms;

fn share(number: u16, range: std::ops::Range<u64>) -> ShareOptions {
    let source_preconditions = Preconditions::default();
    ShareOptions { number, range, checksums: Vec::new(), source_version: None, source_preconditions }
}

async fn begin(objects: &Objects) -> UploadId {
    objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap()
}

/// Takes a part out of an object.
async fn part_of(
    objects: &Objects,
    upload_id: UploadId,
    source: &str,
    part: ShareOptions,
) -> Result<CompletePart, ObjectsError> {
    let (source, target) = (("group1", source.as_bytes()), ("group1", &b"big.bin"[..]));
    let part = objects.share_part(source, target, upload_id, part).await?.unwrap();
    Ok(CompletePart { number: part.number, md5: Some(part.md5) })
}

#[tokio::test]
async fn a_raw_file_gets_a_name_and_stays_when_the_name_goes() {
    let (objects, files) = at_once().await;
    let file = files.add(b"legacy", "txt");
    let raw = file.filename.to_string();
    let copy = objects.copy(("group1", raw.as_bytes()), ("group1", b"named"), CopyOptions::default()).await;
    assert_eq!(copy.unwrap().file_id, Some(file.clone()));
    assert_eq!(get(&objects, "named").await, "legacy");
    objects.copy(("group1", b"named"), ("group1", b"again"), CopyOptions::default()).await.unwrap();

    // Its metadata is not ours to change.
    let inode = objects.head("group1", b"again").await.unwrap().attributes.inode;
    objects.delete("group1", b"named", Preconditions::default()).await.unwrap();
    objects.set_extended(inode, b"user.width", b"1", SetMode::Any).await.unwrap();
    assert!(files.metadata_of(&file).is_empty());

    objects.delete("group1", b"again", Preconditions::default()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 0);
    assert_eq!(files.content(&file), Some(Bytes::from_static(b"legacy")));
}

#[tokio::test]
async fn parts_of_objects_move_no_byte_and_become_one_file_later() {
    let (objects, files) = at_once().await;
    let etag = put(&objects, "source", b"0123456789").await.etag().unwrap();
    let legacy = files.add(b"legacy", "");
    let uploads = files.state(|state| state.pieces);
    let upload_id = begin(&objects).await;
    let parts = vec![
        part_of(&objects, upload_id, "source", share(1, 2..6)).await.unwrap(),
        part_of(&objects, upload_id, legacy.filename.as_ref(), share(2, 0..3)).await.unwrap(),
        part_of(&objects, upload_id, "source", share(3, 0..10)).await.unwrap(),
    ];
    assert_eq!(parts[2].md5, Some(etag.digest), "the whole of a content has its digest");
    let beyond = part_of(&objects, upload_id, "source", share(4, 2..11)).await;
    assert!(matches!(beyond, Err(ObjectsError::InvalidRange)), "{beyond:?}");
    objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    assert_eq!(files.state(|state| state.pieces), uploads, "no byte was written");
    assert_eq!(get(&objects, "big.bin").await, "2345leg0123456789");

    objects.delete("group1", b"source", Preconditions::default()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 0, "the parts use the file");
    assert_eq!(objects.join_due().await.unwrap(), 0, "no storage joins pieces of files");
    assert_eq!(objects.rewrite_due().await.unwrap(), 1);
    let file = objects.head("group1", b"big.bin").await.unwrap().file_id.unwrap();
    assert_eq!(files.content(&file), Some(Bytes::from_static(b"2345leg0123456789")));
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(files.ids().len(), 2, "the legacy file stays");
}

#[tokio::test]
async fn a_single_piece_of_a_file_becomes_a_file_of_its_own() {
    let (objects, files) = at_once().await;
    put(&objects, "source", b"0123456789").await;
    let upload_id = begin(&objects).await;
    let parts = vec![part_of(&objects, upload_id, "source", share(1, 0..4)).await.unwrap()];
    let info = objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    assert_eq!(info.file_id, None);
    objects.join_due().await.unwrap();
    objects.rewrite_due().await.unwrap();
    let file = objects.head("group1", b"big.bin").await.unwrap().file_id.unwrap();
    assert_eq!(files.content(&file), Some(Bytes::from_static(b"0123")));
}

#[tokio::test]
async fn copies_of_parts_get_the_joined_file_together() {
    let (objects, files) = at_once().await;
    let upload_id = begin(&objects).await;
    let parts =
        vec![put_part(&objects, upload_id, 1, b"one").await, put_part(&objects, upload_id, 2, b"two").await];
    objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    let copy = objects.copy(("group1", b"big.bin"), ("group1", b"copy"), CopyOptions::default()).await;
    assert_eq!(objects.object_parts(&copy.unwrap()).await.unwrap().len(), 2);
    assert_eq!(objects.join_due().await.unwrap(), 1);
    let [big, copy] = [&b"big.bin"[..], b"copy"].map(|key| objects.head("group1", key));
    let (big, copy) = (big.await.unwrap(), copy.await.unwrap());
    assert!(big.file_id.is_some() && big.file_id == copy.file_id);
    assert_eq!(objects.free_due().await.unwrap(), 2);
    assert_eq!(files.ids(), [copy.file_id.unwrap()]);
}

#[tokio::test]
async fn abandoned_uploads_end_with_their_parts_and_others_do_not() {
    let age = Some(Duration::from_secs(3_600));
    let settings = Settings {
        free_after: Duration::ZERO,
        min_part: 1,
        abandoned_uploads_after: age,
        ..Settings::default()
    };
    let (objects, files) = cluster(settings).await;
    let upload_id = begin(&objects).await;
    put_part(&objects, upload_id, 1, b"one").await;
    assert_eq!(objects.end_abandoned_uploads().await.unwrap(), 0, "it is young");
    let later = now_ms() + 1;
    assert_eq!(objects.abort_stale_uploads("group1", b"other", later).await.unwrap(), 0);
    assert_eq!(objects.abort_stale_uploads("group1", b"big", later).await.unwrap(), 1);
    assert!(is(objects.upload("group1", b"big.bin", upload_id).await, ObjectsError::NoSuchUpload));
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(files.ids(), []);

    let (objects, _files) =
        cluster(Settings { abandoned_uploads_after: Some(Duration::ZERO), ..Settings::default() }).await;
    begin(&objects).await;
    let ended = async {
        while objects.end_abandoned_uploads().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
}
