"""Drives boto3 through the S3 API; the endpoint is $FDFS_S3 (a URL), keys are where boto3 looks for them."""

import io
import json
import os

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from s3_steps import ENDPOINT, ODD_KEYS, PART, Steps, big, curl, curl_put, read, refused_by_curl, same, small

BUCKET = "boto3-bucket"
client = None


def renew():
    global client
    client = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


step = Steps(before=renew, limit=60)


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


@step("one client puts after empty objects and refusals")
def _():
    # It asks for `100 Continue` each time, and trips over the next answer where an empty object is not told so.
    for body in [b"", b"x", b"", small, b""]:
        put("after-empty", body)
        same(get("after-empty"), body)
        put("after-empty", body)
        denied("PreconditionFailed", lambda: put("after-empty", body, IfNoneMatch="*"))
        put("after-empty", b"y")
        denied("PreconditionFailed", lambda: put("after-empty", b"", IfNoneMatch="*"))
        put("after-empty", small)
    client.delete_object(Bucket=BUCKET, Key="after-empty")


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
    for key in ODD_KEYS:
        put(key, key.encode())
        same(get(key), key.encode())
        same(key in keys(Prefix=key)[0], True)
    same(keys()[0], sorted([*ODD_KEYS, "objects/body"], key=str.encode))
    entries = [{"Key": key} for key in ODD_KEYS]
    deleted = client.delete_objects(Bucket=BUCKET, Delete={"Objects": entries})["Deleted"]
    same(sorted(entry["Key"] for entry in deleted), sorted(ODD_KEYS))
    same(keys()[0], ["objects/body"])


@step("get_object range")
def _():
    put("ranged", big)
    same(get("ranged", Range="bytes=1000-5999"), big[1000:6000])
    same(get("ranged", Range="bytes=-10"), big[-10:])
    same(get("ranged", Range="bytes=20971520-"), big[20971520:])
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


@step("multipart upload")
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


@step("upload_fileobj and download_file")
def _():
    transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    client.upload_fileobj(io.BytesIO(big), BUCKET, "transferred", Config=transfer)
    client.download_file(BUCKET, "transferred", step.path("transferred"), Config=transfer)
    same(read(step.path("transferred")), big)


@step("upload_part_copy")
def _():
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="part-copy")["UploadId"]
    parts = []
    for number, span in enumerate((f"0-{PART}", f"{PART + 1}-{len(big) - 1}"), 1):
        answer = client.upload_part_copy(
            Bucket=BUCKET, Key="part-copy", UploadId=upload, PartNumber=number, CopySourceRange=f"bytes={span}",
            CopySource={"Bucket": BUCKET, "Key": "parts"},
        )
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    client.complete_multipart_upload(
        Bucket=BUCKET, Key="part-copy", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    same(get("part-copy"), big)


@step("copy_object")
def _():
    source = {"Bucket": BUCKET, "Key": "source/ü &+%41"}
    put(source["Key"], ContentType="image/x-odd", Metadata={"width": "1024"})
    client.copy_object(Bucket=BUCKET, Key="copied", CopySource=source)
    same((get("copied"), client.head_object(Bucket=BUCKET, Key="copied")["Metadata"]), (small, {"width": "1024"}))
    client.copy_object(
        Bucket=BUCKET, Key="copied", CopySource={"Bucket": BUCKET, "Key": "copied"},
        MetadataDirective="REPLACE", ContentType="text/x-odd", Metadata={"height": "768"},
    )
    head = client.head_object(Bucket=BUCKET, Key="copied")
    same((get("copied"), head["ContentType"], head["Metadata"]), (small, "text/x-odd", {"height": "768"}))


@step("copy in parts")
def _():
    how = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    client.copy({"Bucket": BUCKET, "Key": "parts"}, BUCKET, "managed-copy", Config=how)
    same(get("managed-copy"), big)


@step("checksums")
def _():
    for name in ("CRC32", "SHA1", "SHA256"):
        made = put("checked", io.BytesIO(big), ChecksumAlgorithm=name)[f"Checksum{name}"]
        answer = client.get_object(Bucket=BUCKET, Key="checked", ChecksumMode="ENABLED")
        same((answer[f"Checksum{name}"], answer["Body"].read()), (made, big))
    denied("BadDigest", lambda: put("checked", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="))


@step("put_object conditions")
def _():
    denied("PreconditionFailed", lambda: put("conditional", IfNoneMatch="*"))
    denied("PreconditionFailed", lambda: put("conditional", IfMatch='"0123"'))
    tag = client.head_object(Bucket=BUCKET, Key="conditional")["ETag"]
    put("conditional", b"new", IfMatch=tag)
    same(get("conditional"), b"new")


@step("headers of the answer")
def _():
    put("headers", CacheControl="no-cache", ContentDisposition='attachment; filename="ü"', ContentLanguage="de")
    head = client.head_object(Bucket=BUCKET, Key="headers")
    same((head["CacheControl"], head["ContentLanguage"]), ("no-cache", "de"))
    answer = client.get_object(Bucket=BUCKET, Key="headers", ResponseContentType="text/x-odd")
    same(answer["ContentType"], "text/x-odd")


@step("list_objects")
def _():
    answer = client.list_objects(Bucket=BUCKET, Prefix="list/", Delimiter="/", MaxKeys=2)
    same([entry["Key"] for entry in answer["Contents"]], ["list/a", "list/b+1"])
    same((answer["IsTruncated"], answer["NextMarker"]), (True, "list/b+1"))
    answer = client.list_objects(Bucket=BUCKET, Prefix="list/", Delimiter="/", Marker="list/b+1")
    same([prefix["Prefix"] for prefix in answer["CommonPrefixes"]], ["list/b/"])


@step("list_multipart_uploads")
def _():
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="open")["UploadId"]
    listed = client.list_multipart_uploads(Bucket=BUCKET, Prefix="open")["Uploads"]
    same([(entry["Key"], entry["UploadId"]) for entry in listed], [("open", upload)])
    client.abort_multipart_upload(Bucket=BUCKET, Key="open", UploadId=upload)
    same("Uploads" in client.list_multipart_uploads(Bucket=BUCKET), False)


def presigned(version, method):
    signer = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, signature_version=version),
    )
    where = {"Bucket": BUCKET, "Key": "presigned/ü &+%41.bin"}
    return signer.generate_presigned_url(method, Params=where, ExpiresIn=60)


@step("presigned URLs")
def _():
    for version in ("s3v4", "s3"):
        for data in (b"", small, big):
            curl_put(presigned(version, "put_object"), data)
            same(curl(presigned(version, "get_object")), data)
            same(curl(presigned(version, "get_object"), "--range", "3-9"), data[3:10]) if data else None


@step("a forged presigned URL is refused")
def _():
    for version in ("s3v4", "s3"):
        refused_by_curl(presigned(version, "get_object").replace("Signature=", "Signature=0"))


@step("a wrong secret is refused")
def _():
    forger = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=boto3.Session().get_credentials().access_key,
        aws_secret_access_key="0" * 40,
    )
    denied("SignatureDoesNotMatch", forger.list_buckets)


@step("presigned POST")
def _():
    form = client.generate_presigned_post(
        BUCKET, "posted/${filename}", Fields={"x-amz-meta-width": "1024"},
        Conditions=[{"x-amz-meta-width": "1024"}, ["content-length-range", 1, 2 * len(big)]],
    )
    fields = [part for name, value in form["fields"].items() for part in ("--form-string", f"{name}={value}")]
    curl(form["url"], *fields, "--form", f"file=@{step.file('posted.bin', big)}")
    same(get("posted/posted.bin"), big)
    same(client.head_object(Bucket=BUCKET, Key="posted/posted.bin")["Metadata"], {"width": "1024"})


@step("tags of objects")
def _():
    tags = [{"Key": "pet", "Value": "cat ü"}, {"Key": "empty", "Value": ""}]
    put("tagged", Tagging="a=b")
    client.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": tags})
    found = client.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"]
    same(sorted(tag["Key"] for tag in found), ["empty", "pet"])
    client.delete_object_tagging(Bucket=BUCKET, Key="tagged")
    same(client.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"], [])


@step("get_object_attributes")
def _():
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = client.get_object_attributes(Bucket=BUCKET, Key="parts", ObjectAttributes=wanted)
    same((found["ObjectSize"], found["StorageClass"]), (len(big), "STANDARD"))
    same(found["ObjectParts"]["TotalPartsCount"], -(-len(big) // PART))


@step("versions")
def _():
    bucket = f"{BUCKET}-versions"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = [client.put_object(Bucket=bucket, Key="key", Body=body)["VersionId"] for body in (b"old", b"new")]
    client.delete_object(Bucket=bucket, Key="key")
    listed = client.list_object_versions(Bucket=bucket)
    same([entry["VersionId"] for entry in listed["Versions"]], made[::-1])
    same(len(listed["DeleteMarkers"]), 1)
    denied("NoSuchKey", lambda: client.get_object(Bucket=bucket, Key="key"))
    same(client.get_object(Bucket=bucket, Key="key", VersionId=made[0])["Body"].read(), b"old")
    client.delete_object(Bucket=bucket, Key="key", VersionId=listed["DeleteMarkers"][0]["VersionId"])
    same(client.get_object(Bucket=bucket, Key="key")["Body"].read(), b"new")
    service = boto3.resource("s3", endpoint_url=ENDPOINT, region_name="us-east-1")
    service.Bucket(bucket).object_versions.delete()
    client.delete_bucket(Bucket=bucket)


@step("configuration of a bucket")
def _():
    rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 7}}]
    client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
    same(client.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"], rules)
    client.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    same(client.get_bucket_tagging(Bucket=BUCKET)["TagSet"], [{"Key": "a", "Value": "b"}])
    cors = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
    client.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": cors})
    same(client.get_bucket_cors(Bucket=BUCKET)["CORSRules"], cors)


@step("a public bucket is read without a signature")
def _():
    where = f"arn:aws:s3:::{BUCKET}/objects/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": where}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    refused_by_curl(f"{ENDPOINT}/{BUCKET}/objects/body")
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    same(curl(f"{ENDPOINT}/{BUCKET}/objects/body"), big)
    client.delete_bucket_policy(Bucket=BUCKET)
    refused_by_curl(f"{ENDPOINT}/{BUCKET}/objects/body")


@step("a temporary key")
def _():
    service = boto3.client("sts", endpoint_url=ENDPOINT, region_name="us-east-1")
    key = service.assume_role(RoleArn="arn:aws:iam::000000000000:role/any", RoleSessionName="test")["Credentials"]
    temporary = boto3.client(
        "s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"], aws_session_token=key["SessionToken"],
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )
    same(temporary.get_object(Bucket=BUCKET, Key="objects/body")["Body"].read(), big)
    where = {"Bucket": BUCKET, "Key": "objects/body"}
    same(curl(temporary.generate_presigned_url("get_object", Params=where)), big)


@step("presigned posts")
def _():
    for version in ("s3v4", "s3"):
        signer = boto3.client(
            "s3",
            endpoint_url=os.environ["FDFS_S3"],
            region_name="us-east-1",
            config=Config(signature_version=version, s3={"addressing_style": "path"}),
        )
        post = signer.generate_presigned_post(
            BUCKET, "posted/${filename}", {"x-amz-meta-a": "b"}, [{"x-amz-meta-a": "b"}, ["content-length-range", 1, 100]]
        )
        fields = [part for item in post["fields"].items() for part in ("--form-string", "=".join(item))]
        path = step.file(f"{version}.txt", small)
        curl(post["url"], *fields, "--form", f"file=@{path}")
        same(get(f"posted/{version}.txt"), small)
        same(client.head_object(Bucket=BUCKET, Key=f"posted/{version}.txt")["Metadata"], {"a": "b"})
        try:
            curl(post["url"], *fields, "--form", f"file=@{step.file('long.txt', small * 100)}")
        except AssertionError:
            continue
        raise AssertionError("more than the policy allows was taken")


@step("policy, ACL and public access block")
def _():
    put("open/k")
    url = f"{os.environ['FDFS_S3']}/{BUCKET}/open/k"
    refused_by_curl(url)
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": f"arn:aws:s3:::{BUCKET}/open/*",
                }
            ],
        }
    )
    client.put_bucket_policy(Bucket=BUCKET, Policy=document)
    same(client.get_bucket_policy(Bucket=BUCKET)["Policy"], document)
    same(client.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"], {"IsPublic": True})
    same(curl(url), small)
    client.delete_bucket_policy(Bucket=BUCKET)
    refused_by_curl(url)
    denied("MalformedPolicy", lambda: client.put_bucket_policy(Bucket=BUCKET, Policy="{}"))

    client.put_object_acl(Bucket=BUCKET, Key="open/k", ACL="public-read")
    same(curl(url), small)
    same([grant["Permission"] for grant in client.get_object_acl(Bucket=BUCKET, Key="open/k")["Grants"]], ["FULL_CONTROL", "READ"])
    block = {
        "BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True,
    }
    client.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)
    same(client.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"], block)
    refused_by_curl(url)
    denied("AccessDenied", lambda: client.put_object_acl(Bucket=BUCKET, Key="open/k", ACL="public-read"))
    client.delete_public_access_block(Bucket=BUCKET)
    same(curl(url), small)


@step("a group is a bucket")
def _():
    group = os.environ["FDFS_GROUP"]
    client.put_object(Bucket=group, Key="named/file.txt", Body=small)
    same(client.get_object(Bucket=group, Key="named/file.txt")["Body"].read(), small)


@step("delete_bucket")
def _():
    denied("BucketNotEmpty", lambda: client.delete_bucket(Bucket=BUCKET))
    boto3.resource("s3", endpoint_url=ENDPOINT, region_name="us-east-1").Bucket(BUCKET).objects.delete()
    client.delete_bucket(Bucket=BUCKET)
    denied("404", lambda: client.head_bucket(Bucket=BUCKET))
