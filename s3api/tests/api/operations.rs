//! Every operation of S3 by its name: the served ones are, and the others say so.

use std::fs;
use std::path::Path;

use crate::support::{Gateway, Signed, assert_ok, assert_refused, complete, get, put, upload_id};

/// What is not served, as clients send it.
const REFUSED: &[(&str, &str, &str)] = &[
    ("CreateBucketMetadataConfiguration", "POST", "/pets?metadataConfiguration"),
    ("CreateBucketMetadataTableConfiguration", "POST", "/pets?metadataTable"),
    ("CreateSession", "GET", "/pets?session"),
    ("DeleteBucketAnalyticsConfiguration", "DELETE", "/pets?analytics&id=a"),
    ("DeleteBucketEncryption", "DELETE", "/pets?encryption"),
    ("DeleteBucketIntelligentTieringConfiguration", "DELETE", "/pets?id=a&intelligent-tiering"),
    ("DeleteBucketInventoryConfiguration", "DELETE", "/pets?id=a&inventory"),
    ("DeleteBucketMetadataConfiguration", "DELETE", "/pets?metadataConfiguration"),
    ("DeleteBucketMetadataTableConfiguration", "DELETE", "/pets?metadataTable"),
    ("DeleteBucketMetricsConfiguration", "DELETE", "/pets?id=a&metrics"),
    ("DeleteBucketReplication", "DELETE", "/pets?replication"),
    ("GetBucketAbac", "GET", "/pets?abac"),
    ("GetBucketAnalyticsConfiguration", "GET", "/pets?analytics&id=a"),
    ("GetBucketIntelligentTieringConfiguration", "GET", "/pets?id=a&intelligent-tiering"),
    ("GetBucketInventoryConfiguration", "GET", "/pets?id=a&inventory"),
    ("GetBucketMetadataConfiguration", "GET", "/pets?metadataConfiguration"),
    ("GetBucketMetadataTableConfiguration", "GET", "/pets?metadataTable"),
    ("GetBucketMetricsConfiguration", "GET", "/pets?id=a&metrics"),
    ("GetObjectLegalHold", "GET", "/pets/k?legal-hold"),
    ("GetObjectRetention", "GET", "/pets/k?retention"),
    ("GetObjectTorrent", "GET", "/pets/k?torrent"),
    ("ListBucketAnalyticsConfigurations", "GET", "/pets?analytics&x-id=ListBucketAnalyticsConfigurations"),
    ("ListBucketIntelligentTieringConfigurations", "GET", "/pets?intelligent-tiering"),
    ("ListBucketInventoryConfigurations", "GET", "/pets?inventory"),
    ("ListBucketMetricsConfigurations", "GET", "/pets?metrics"),
    ("ListDirectoryBuckets", "GET", "/?max-directory-buckets=10"),
    ("ListDirectoryBuckets", "GET", "/?x-id=ListDirectoryBuckets"),
    ("PutBucketAbac", "PUT", "/pets?abac"),
    ("PutBucketAccelerateConfiguration", "PUT", "/pets?accelerate"),
    ("PutBucketAnalyticsConfiguration", "PUT", "/pets?analytics&id=a"),
    ("PutBucketEncryption", "PUT", "/pets?encryption"),
    ("PutBucketIntelligentTieringConfiguration", "PUT", "/pets?id=a&intelligent-tiering"),
    ("PutBucketInventoryConfiguration", "PUT", "/pets?id=a&inventory"),
    ("PutBucketLogging", "PUT", "/pets?logging"),
    ("PutBucketMetricsConfiguration", "PUT", "/pets?id=a&metrics"),
    ("PutBucketNotificationConfiguration", "PUT", "/pets?notification"),
    ("PutBucketReplication", "PUT", "/pets?replication"),
    ("PutBucketRequestPayment", "PUT", "/pets?requestPayment"),
    ("PutObjectLegalHold", "PUT", "/pets/k?legal-hold"),
    ("PutObjectLockConfiguration", "PUT", "/pets?object-lock"),
    ("PutObjectRetention", "PUT", "/pets/k?retention"),
    ("RestoreObject", "POST", "/pets/k?restore"),
    ("SelectObjectContent", "POST", "/pets/k?select&select-type=2"),
    ("UpdateBucketMetadataInventoryTableConfiguration", "PUT", "/pets?metadataInventoryTable"),
    ("UpdateBucketMetadataJournalTableConfiguration", "PUT", "/pets?metadataJournalTable"),
    ("UpdateObjectEncryption", "PUT", "/pets/k?encryption"),
    ("WriteGetObjectResponse", "POST", "/WriteGetObjectResponse"),
];

/// What is served, as clients send it; in an order in which bucket and key are there. Some lack what their bodies should say, which is another answer.
const SERVED: &[(&str, &str, &str)] = &[
    ("ListBuckets", "GET", "/"),
    ("HeadBucket", "HEAD", "/pets"),
    ("CreateBucket", "PUT", "/dogs"),
    ("DeleteBucket", "DELETE", "/dogs"),
    ("GetBucketAccelerateConfiguration", "GET", "/pets?accelerate"),
    ("GetBucketAcl", "GET", "/pets?acl"),
    ("GetBucketCors", "GET", "/pets?cors"),
    ("GetBucketEncryption", "GET", "/pets?encryption"),
    ("GetBucketLifecycleConfiguration", "GET", "/pets?lifecycle"),
    ("GetBucketLocation", "GET", "/pets?location"),
    ("GetBucketLogging", "GET", "/pets?logging"),
    ("GetBucketNotificationConfiguration", "GET", "/pets?notification"),
    ("GetBucketOwnershipControls", "GET", "/pets?ownershipControls"),
    ("GetBucketPolicy", "GET", "/pets?policy"),
    ("GetBucketPolicyStatus", "GET", "/pets?policyStatus"),
    ("GetBucketReplication", "GET", "/pets?replication"),
    ("GetBucketRequestPayment", "GET", "/pets?requestPayment"),
    ("GetBucketTagging", "GET", "/pets?tagging"),
    ("GetBucketVersioning", "GET", "/pets?versioning"),
    ("GetBucketWebsite", "GET", "/pets?website"),
    ("GetObjectLockConfiguration", "GET", "/pets?object-lock"),
    ("GetPublicAccessBlock", "GET", "/pets?publicAccessBlock"),
    ("ListMultipartUploads", "GET", "/pets?uploads"),
    ("ListObjectVersions", "GET", "/pets?versions"),
    ("ListObjects", "GET", "/pets"),
    ("ListObjectsV2", "GET", "/pets?list-type=2"),
    ("PutBucketAcl", "PUT", "/pets?acl"),
    ("PutBucketCors", "PUT", "/pets?cors"),
    ("PutBucketLifecycleConfiguration", "PUT", "/pets?lifecycle"),
    ("PutBucketOwnershipControls", "PUT", "/pets?ownershipControls"),
    ("PutBucketPolicy", "PUT", "/pets?policy"),
    ("PutBucketTagging", "PUT", "/pets?tagging"),
    ("PutBucketVersioning", "PUT", "/pets?versioning"),
    ("PutBucketWebsite", "PUT", "/pets?website"),
    ("PutPublicAccessBlock", "PUT", "/pets?publicAccessBlock"),
    ("DeleteBucketCors", "DELETE", "/pets?cors"),
    ("DeleteBucketLifecycle", "DELETE", "/pets?lifecycle"),
    ("DeleteBucketOwnershipControls", "DELETE", "/pets?ownershipControls"),
    ("DeleteBucketPolicy", "DELETE", "/pets?policy"),
    ("DeleteBucketTagging", "DELETE", "/pets?tagging"),
    ("DeleteBucketWebsite", "DELETE", "/pets?website"),
    ("DeletePublicAccessBlock", "DELETE", "/pets?publicAccessBlock"),
    ("DeleteObjects", "POST", "/pets?delete"),
    ("PostObject", "POST", "/pets"),
    ("GetObject", "GET", "/pets/k"),
    ("HeadObject", "HEAD", "/pets/k"),
    ("GetObjectAcl", "GET", "/pets/k?acl"),
    ("GetObjectAttributes", "GET", "/pets/k?attributes"),
    ("GetObjectTagging", "GET", "/pets/k?tagging"),
    ("PutObject", "PUT", "/pets/l"),
    ("PutObjectAcl", "PUT", "/pets/k?acl"),
    ("PutObjectTagging", "PUT", "/pets/k?tagging"),
    ("DeleteObjectTagging", "DELETE", "/pets/k?tagging"),
    ("RenameObject", "PUT", "/pets/m?renameObject"),
    ("CopyObject", "PUT", "/pets/copy"),
    ("CreateMultipartUpload", "POST", "/pets/k?uploads"),
    ("UploadPart", "PUT", "/pets/k?partNumber=1&uploadId=UPLOAD"),
    ("UploadPartCopy", "PUT", "/pets/k?partNumber=2&uploadId=UPLOAD"),
    ("ListParts", "GET", "/pets/k?uploadId=UPLOAD"),
    ("CompleteMultipartUpload", "POST", "/pets/k?uploadId=UPLOAD"),
    ("AbortMultipartUpload", "DELETE", "/pets/k?uploadId=UPLOAD"),
    ("DeleteObject", "DELETE", "/pets/k"),
];

#[tokio::test]
async fn every_operation_of_s3_is_served_or_says_that_it_is_not() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    assert_ok(&wire.send(put("/pets/k", "content")).await);
    for (name, method, target) in REFUSED {
        let answer = wire.send(Signed::new(method, target)).await;
        assert_eq!((answer.status, answer.code().as_str()), (501, "NotImplemented"), "{name}");
        assert_eq!(answer.header("content-type"), Some("application/xml"), "{name}");
        for element in ["Message", "Resource", "RequestId"] {
            assert!(answer.element(element).is_some_and(|text| !text.is_empty()), "{name}: {element}");
        }
    }
    // None of them was taken for another one.
    assert_eq!(wire.send(get("/pets?list-type=2")).await.elements("Key"), ["k"]);
    assert_eq!(wire.send(get("/")).await.elements("Name"), ["group1", "pets"]);

    let upload = upload_id(&mut wire, Signed::new("POST", "/pets/k?uploads")).await;
    for (name, method, target) in SERVED {
        let mut request = Signed::new(method, target).with_upload(&upload);
        if ["CopyObject", "UploadPartCopy"].contains(name) {
            request = request.header("x-amz-copy-source", "pets/k");
        }
        let status = wire.send(request).await.status;
        assert!(status < 500 && status != 405, "{name}: {status}");
    }
}

#[test]
fn every_operation_of_s3_stands_in_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("COMPATIBILITY.md");
    let text = fs::read_to_string(path).unwrap();
    let table = text.split("\n## ").find(|part| part.starts_with("Operations")).unwrap();
    let (served, refused): (Vec<_>, Vec<_>) = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .partition(|row| !row.contains("| `NotImplemented` |"));
    let names = |row: &&str| {
        let first = row.split('|').nth(1).unwrap_or_default();
        first.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (served, refused): (Vec<String>, Vec<String>) =
        (served.iter().flat_map(names).collect(), refused.iter().flat_map(names).collect());
    for (name, _, _) in SERVED {
        assert!(served.iter().any(|word| word == name), "{name} is missing among what is served");
    }
    for (name, _, _) in REFUSED {
        assert!(refused.iter().any(|word| word == name), "{name} is missing among what is refused");
    }
}

#[tokio::test]
async fn nothing_is_done_in_a_bucket_of_another_owner_than_was_expected() {
    const OWNER: &str = "x-amz-expected-bucket-owner";
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    assert_ok(&wire.send(put("/pets/k", "content")).await);
    let upload = upload_id(&mut wire, Signed::new("POST", "/pets/k?uploads")).await;
    for (name, method, target) in SERVED {
        // They name no bucket, or one that is not there yet.
        if ["ListBuckets", "CreateBucket", "DeleteBucket"].contains(name) {
            continue;
        }
        let request = || {
            let request = Signed::new(method, target).with_upload(&upload);
            let copies = ["CopyObject", "UploadPartCopy"].contains(name);
            if copies { request.header("x-amz-copy-source", "pets/k") } else { request }
        };
        for (owner, status, code) in
            [("111122223333", 403, "AccessDenied"), ("nobody", 400, "InvalidBucketOwnerAWSAccountID")]
        {
            let answer = wire.send(request().header(OWNER, owner)).await;
            assert_eq!(answer.status, status, "{name} {owner}");
            assert!(*method == "HEAD" || answer.code() == code, "{name} {owner}: {}", answer.text());
        }
    }
    let from = |owner: &str| {
        let copy = put("/pets/copy", "").header("x-amz-copy-source", "pets/k");
        copy.header("x-amz-source-expected-bucket-owner", owner)
    };
    assert_refused(&wire.send(from("111122223333")).await, 403, "AccessDenied");
    assert_eq!(wire.send(get("/pets?list-type=2")).await.elements("Key"), ["k"]);

    // The account is the one that the token service tells; a client that would pay is not asked to.
    let owned = |request: Signed| request.header(OWNER, "000000000000");
    assert_ok(&wire.send(from("000000000000").header(OWNER, "000000000000")).await);
    let paid = wire.send(owned(get("/pets/k")).header("x-amz-request-payer", "requester")).await;
    assert_eq!((paid.status, paid.header("x-amz-request-charged")), (200, None));
    let part = wire.send(owned(put("/pets/k?partNumber=1&uploadId=UPLOAD", "x").with_upload(&upload))).await;
    let etag = part.header("etag").unwrap().to_owned();
    let done = complete("/pets/k?uploadId=UPLOAD", &[(1, &etag, "")]).with_upload(&upload);
    assert_ok(&wire.send(owned(done)).await);
    assert_ok(&wire.send(owned(Signed::new("DELETE", "/pets/k"))).await);
}
