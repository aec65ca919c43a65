"""Drives PyPI `minio` through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import io
from datetime import datetime, timedelta, timezone

from minio import Minio
from minio.commonconfig import ENABLED, REPLACE, ComposeSource, CopySource, Tags
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from s3_steps import (
    ACCESS_KEY, ENDPOINT, GROUP, HOST, ODD_KEYS as KEYS, PART, SECRET_KEY, SECURE, Steps, big, curl, curl_put, read, refused_by_curl, same,
    small,
)

BUCKET = "minio-bucket"
ODD_KEYS = [key for key in KEYS if "." not in key.split("/") and ".." not in key.split("/")]  # it refuses those itself
client = None


def renew():
    global client
    client = Minio(HOST, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=SECURE)


step = Steps(before=renew, limit=60)


def put(key, data=small, **how):
    return client.put_object(BUCKET, key, io.BytesIO(data), len(data), **how)


def get(key, **how):
    answer = client.get_object(BUCKET, key, **how)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def keys(**how):
    return [entry.object_name for entry in client.list_objects(BUCKET, **how)]


def denied(code, call):
    try:
        call()
    except S3Error as error:
        same(error.code, code)
    else:
        raise AssertionError(f"not refused with {code}")


@step("make_bucket, bucket_exists and list_buckets")
def _():
    same(client.bucket_exists(BUCKET), False)
    client.make_bucket(BUCKET)
    same(client.bucket_exists(BUCKET), True)
    names = [bucket.name for bucket in client.list_buckets()]
    same([name in names for name in (BUCKET, GROUP)], [True, True])


@step("put_object and get_object")
def _():
    for data in (b"", b"x", small):
        put("body", data)
        same(get("body"), data)


@step("put_object in parts")
def _():
    put("parts", big, part_size=PART)
    same(get("parts"), big)


@step("put_object of unknown length")
def _():
    for data in (b"", small, big):
        client.put_object(BUCKET, "stream", io.BytesIO(data), -1, part_size=PART)
        same(get("stream"), data)


@step("fput_object and fget_object")
def _():
    for data in (b"", small, big):
        client.fput_object(BUCKET, "file", step.file("up.bin", data), part_size=PART)
        client.fget_object(BUCKET, "file", step.path("down.bin"))
        same(read(step.path("down.bin")), data)


@step("get_object of a range")
def _():
    same(get("parts", offset=PART - 5, length=10), big[PART - 5 : PART + 5])
    same(get("parts", offset=len(big) - 10), big[-10:])


@step("odd keys")
def _():
    for key in ODD_KEYS:
        put(key, key.encode())
    same(sorted(keys(recursive=True)), sorted([*ODD_KEYS, "body", "file", "parts", "stream"]))
    for key in ODD_KEYS:
        same(get(key), key.encode())
        client.remove_object(BUCKET, key)


@step("stat_object and metadata")
def _():
    put("meta", content_type="image/x-odd", metadata={"width": "1024", "Cache-Control": "no-cache"})
    stat = client.stat_object(BUCKET, "meta")
    same((stat.size, stat.content_type, stat.metadata["x-amz-meta-width"]), (11, "image/x-odd", "1024"))
    same(stat.metadata["cache-control"], "no-cache")


@step("list_objects")
def _():
    for key in ("list/a", "list/b/1", "list/b/2", "list/b+1", "list/c"):
        put(key)
    same(sorted(keys(prefix="list/")), ["list/a", "list/b+1", "list/b/", "list/c"])
    same(keys(prefix="list/", recursive=True), ["list/a", "list/b+1", "list/b/1", "list/b/2", "list/c"])
    same(keys(prefix="list/", recursive=True, start_after="list/b/1"), ["list/b/2", "list/c"])
    same(sorted(keys(prefix="list/", use_api_v1=True)), ["list/a", "list/b+1", "list/b/", "list/c"])


@step("copy_object")
def _():
    client.copy_object(BUCKET, "copied", CopySource(BUCKET, "meta"))
    same((get("copied"), client.stat_object(BUCKET, "copied").metadata["x-amz-meta-width"]), (small, "1024"))
    client.copy_object(
        BUCKET, "copied", CopySource(BUCKET, "meta"), metadata={"height": "768"}, metadata_directive=REPLACE
    )
    metadata = client.stat_object(BUCKET, "copied").metadata
    same((metadata.get("x-amz-meta-height"), metadata.get("x-amz-meta-width")), ("768", None))


@step("compose_object")
def _():
    sources = [ComposeSource(BUCKET, "parts"), ComposeSource(BUCKET, "parts", offset=PART - 5, length=10)]
    client.compose_object(BUCKET, "composed", sources)
    same(get("composed"), big + big[PART - 5 : PART + 5])


@step("presigned URLs")
def _():
    key = "signed/ü &+%41.bin"
    curl_put(client.presigned_put_object(BUCKET, key, timedelta(minutes=5)), big)
    url = client.presigned_get_object(BUCKET, key, timedelta(minutes=5))
    same(curl(url), big)
    refused_by_curl(url.replace("X-Amz-Signature=", "X-Amz-Signature=0"))


@step("a presigned URL that changes the headers of the answer")
def _():
    url = client.presigned_get_object(BUCKET, "body", response_headers={"response-content-type": "text/x-odd"})
    same(b"text/x-odd" in curl(url, "--dump-header", "-", "--output", "/dev/null"), True)


@step("conditions")
def _():
    tag = put("conditional").etag
    same(client.stat_object(BUCKET, "conditional").etag, tag)
    past = datetime(2001, 1, 1, tzinfo=timezone.utc)
    client.copy_object(BUCKET, "copied", CopySource(BUCKET, "conditional", match_etag=tag, modified_since=past))
    wrong = CopySource(BUCKET, "conditional", not_match_etag=tag)
    denied("PreconditionFailed", lambda: client.copy_object(BUCKET, "copied", wrong))


@step("a form that uploads")
def _():
    policy = PostPolicy(BUCKET, datetime.now(timezone.utc) + timedelta(minutes=5))
    policy.add_equals_condition("key", "posted")
    policy.add_content_length_range_condition(1, 1 << 30)
    fields = {**client.presigned_post_policy(policy), "key": "posted"}
    arguments = [part for name, value in fields.items() for part in ("--form-string", f"{name}={value}")]
    curl(f"{ENDPOINT}/{BUCKET}", *arguments, "--form", f"file=@{step.file('posted.bin', big)}")
    same(get("posted"), big)


@step("tags")
def _():
    tags = Tags(for_object=True)
    tags["pet"] = "cat ü"
    put("tagged", tags=tags)
    same(dict(client.get_object_tags(BUCKET, "tagged")), {"pet": "cat ü"})
    client.delete_object_tags(BUCKET, "tagged")
    same(client.get_object_tags(BUCKET, "tagged"), None)
    tags = Tags(for_object=False)
    tags["owner"] = "anna"
    client.set_bucket_tags(BUCKET, tags)
    same(dict(client.get_bucket_tags(BUCKET)), {"owner": "anna"})


@step("versions")
def _():
    bucket = f"{BUCKET}-versions"
    client.make_bucket(bucket)
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    same(client.get_bucket_versioning(bucket).status, "Enabled")
    made = [client.put_object(bucket, "key", io.BytesIO(data), 3).version_id for data in (b"old", b"new")]
    client.remove_object(bucket, "key")
    found = list(client.list_objects(bucket, include_version=True))
    same([entry.version_id for entry in found if not entry.is_delete_marker], made[::-1])
    with client.get_object(bucket, "key", version_id=made[0]) as answer:
        same(answer.read(), b"old")
    doomed = [DeleteObject(entry.object_name, entry.version_id) for entry in found]
    same(list(client.remove_objects(bucket, doomed)), [])
    client.remove_bucket(bucket)


@step("a key that is not there")
def _():
    denied("NoSuchKey", lambda: get("nothing"))
    denied("NoSuchKey", lambda: client.stat_object(BUCKET, "nothing"))
    denied("NoSuchBucket", lambda: client.get_object("nobody-made-this", "nothing"))


@step("remove_objects and remove_bucket")
def _():
    denied("BucketNotEmpty", lambda: client.remove_bucket(BUCKET))
    client.remove_object(BUCKET, "body")
    errors = client.remove_objects(BUCKET, [DeleteObject(key) for key in keys(recursive=True)])
    same(list(errors), [])
    client.remove_bucket(BUCKET)
    same(client.bucket_exists(BUCKET), False)
