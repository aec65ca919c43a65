"""Drives boto3 through the S3 API; the endpoint is $FDFS_S3 (a URL), keys are where boto3 looks for them."""

import io
import os
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from python_steps import Steps, content, read, same

BUCKET = "boto3-bucket"
small, big = content("small", 11), content("big", 12 * 1024 * 1024 + 17)
PART = 5 * 1024 * 1024
client = None


def renew():
    global client
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["FDFS_S3"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


step = Steps(before=renew)


def get(key, **how):
    return client.get_object(Bucket=BUCKET, Key=key, **how)["Body"].read()


def put(key, body=small, **how):
    return client.put_object(Bucket=BUCKET, Key=key, Body=body, **how)


def denied(code, call):
    try:
        call()
    except ClientError as error:
        same(error.response["Error"]["Code"], code)
    else:
        raise AssertionError(f"not refused with {code}")


def keys(**how):
    answer = client.list_objects_v2(Bucket=BUCKET, **how)
    return [entry["Key"] for entry in answer.get("Contents", [])], answer


@step("create_bucket")
def _():
    client.create_bucket(Bucket=BUCKET)
    client.head_bucket(Bucket=BUCKET)


@step("list_buckets")
def _():
    names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    same([BUCKET in names, os.environ["FDFS_GROUP"] in names], [True, True])


@step("a bucket that is not there")
def _():
    denied("NoSuchBucket", lambda: client.list_objects_v2(Bucket="nobody-made-this"))


@step("put_object and get_object")
def _():
    for body in (b"", b"x", small, big):
        put("objects/body", body)
        same(get("objects/body"), body)


@step("odd keys")
def _():
    for key in ("späße/ü.txt", "a b+c&d=e?.txt", "percent%41.txt", "plus+plus", "'quoted\"", "deep/" * 20 + "x"):
        put(key, key.encode())
        same(get(key), key.encode())
        same(keys(Prefix=key)[0], [key])
        client.delete_object(Bucket=BUCKET, Key=key)


@step("get_object range")
def _():
    put("ranged", big)
    same(get("ranged", Range="bytes=1000-5999"), big[1000:6000])
    same(get("ranged", Range="bytes=-10"), big[-10:])
    same(get("ranged", Range="bytes=12582912-"), big[12582912:])
    denied("InvalidRange", lambda: get("ranged", Range="bytes=99999999-"))


@step("head_object with metadata")
def _():
    put("pets/cat.jpg", small, ContentType="image/jpeg", Metadata={"width": "1024"})
    head = client.head_object(Bucket=BUCKET, Key="pets/cat.jpg")
    same((head["ContentLength"], head["ContentType"], head["Metadata"]), (11, "image/jpeg", {"width": "1024"}))


@step("get_object conditions")
def _():
    tag = put("conditional")["ETag"]
    same(get("conditional", IfMatch=tag), small)
    denied("PreconditionFailed", lambda: get("conditional", IfMatch='"0123"'))
    denied("304", lambda: get("conditional", IfNoneMatch=tag))


@step("a key that is not there")
def _():
    denied("NoSuchKey", lambda: get("nothing"))
    denied("404", lambda: client.head_object(Bucket=BUCKET, Key="nothing"))


@step("delete_object")
def _():
    put("doomed")
    client.delete_object(Bucket=BUCKET, Key="doomed")
    denied("NoSuchKey", lambda: get("doomed"))
    client.delete_object(Bucket=BUCKET, Key="doomed")


@step("list_objects_v2")
def _():
    for key in ("list/a", "list/b/1", "list/b/2", "list/b+1", "list/c"):
        put(key)
    same(keys(Prefix="list/")[0], ["list/a", "list/b+1", "list/b/1", "list/b/2", "list/c"])
    found, answer = keys(Prefix="list/", Delimiter="/")
    same(found, ["list/a", "list/b+1", "list/c"])
    same([prefix["Prefix"] for prefix in answer["CommonPrefixes"]], ["list/b/"])


@step("list_objects_v2 pages")
def _():
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 2}
    )
    found = [[entry["Key"] for entry in page["Contents"]] for page in pages]
    same(found, [["list/a", "list/b+1"], ["list/b/1", "list/b/2"], ["list/c"]])
    same(keys(Prefix="list/", StartAfter="list/b/1")[0], ["list/b/2", "list/c"])


@step("multipart upload", limit=60)
def _():
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="parts", Metadata={"made": "of parts"})["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(big), PART), 1):
        answer = client.upload_part(
            Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=big[start : start + PART]
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    denied("NoSuchKey", lambda: get("parts"))
    listed = client.list_parts(Bucket=BUCKET, Key="parts", UploadId=upload)["Parts"]
    same([part["ETag"] for part in listed], [part["ETag"] for part in parts])
    client.complete_multipart_upload(
        Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    same(get("parts"), big)
    same(get("parts", Range=f"bytes={PART - 5}-{PART + 4}"), big[PART - 5 : PART + 5])
    same(client.head_object(Bucket=BUCKET, Key="parts")["Metadata"], {"made": "of parts"})


@step("multipart upload given up")
def _():
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="given-up")["UploadId"]
    client.upload_part(Bucket=BUCKET, Key="given-up", UploadId=upload, PartNumber=1, Body=small)
    client.abort_multipart_upload(Bucket=BUCKET, Key="given-up", UploadId=upload)
    denied("NoSuchUpload", lambda: client.list_parts(Bucket=BUCKET, Key="given-up", UploadId=upload))
    denied("NoSuchKey", lambda: get("given-up"))


@step("upload_fileobj and download_file", limit=60)
def _():
    transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    client.upload_fileobj(io.BytesIO(big), BUCKET, "transferred", Config=transfer)
    client.download_file(BUCKET, "transferred", step.path("transferred"), Config=transfer)
    same(read(step.path("transferred")), big)


def presigned(version, method):
    signer = boto3.client(
        "s3",
        endpoint_url=os.environ["FDFS_S3"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, signature_version=version),
    )
    where = {"Bucket": BUCKET, "Key": "presigned/ü &.bin"}
    return signer.generate_presigned_url(method, Params=where, ExpiresIn=60)


def fetched(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


@step("presigned URLs")
def _():
    url = presigned("s3v4", "put_object")
    urllib.request.urlopen(urllib.request.Request(url, data=small, method="PUT")).close()
    same(fetched(presigned("s3v4", "get_object")), small)


@step("presigned URLs of signature version 2")
def _():
    same(fetched(presigned("s3", "get_object")), small)


@step("a forged presigned URL is refused")
def _():
    for version in ("s3v4", "s3"):
        try:
            fetched(presigned(version, "get_object").replace("Signature=", "Signature=0"))
        except urllib.error.HTTPError as error:
            same(error.code, 403)
        else:
            raise AssertionError("a forged signature was accepted")


@step("a wrong secret is refused")
def _():
    forger = boto3.client(
        "s3",
        endpoint_url=os.environ["FDFS_S3"],
        region_name="us-east-1",
        aws_access_key_id=boto3.Session().get_credentials().access_key,
        aws_secret_access_key="0" * 40,
    )
    denied("SignatureDoesNotMatch", forger.list_buckets)


@step("a group is a bucket")
def _():
    group = os.environ["FDFS_GROUP"]
    client.put_object(Bucket=group, Key="named/file.txt", Body=small)
    same(client.get_object(Bucket=group, Key="named/file.txt")["Body"].read(), small)
