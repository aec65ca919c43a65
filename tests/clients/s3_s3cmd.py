"""Drives s3cmd through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import os
import time

from s3_steps import (
    ACCESS_KEY, CA, ENDPOINT, GROUP, HOST, ODD_NAMES, SECRET_KEY, SECURE, Steps, big, curl, program, read, refused_by_curl,
    run, same, same_tree, small, tree,
)

BUCKET = "s3://s3cmd-bucket"
step = Steps(limit=90)
CONFIG = step.file(
    "s3cfg",
    f"""[default]
access_key = {ACCESS_KEY}
secret_key = {SECRET_KEY}
host_base = {HOST}
host_bucket = {HOST}
use_https = {SECURE}
ca_certs_file = {CA or ""}
signurl_use_https = {SECURE}
bucket_location = us-east-1
multipart_chunk_size_mb = 5
multipart_copy_chunk_size_mb = 5
max_retries = 1
""".encode(),
)


def s3cmd(*arguments):
    """Runs s3cmd and returns what it printed; raises when it fails."""
    return run(program("s3cmd"), "-c", CONFIG, "--no-progress", *arguments).decode()


def fails(*arguments):
    try:
        s3cmd(*arguments)
    except AssertionError:
        return
    raise AssertionError(f"{arguments} did not fail")


@step("mb and ls")
def _():
    s3cmd("mb", BUCKET)
    same([f"s3://{name}" in s3cmd("ls") for name in ("s3cmd-bucket", GROUP)], [True, True])


@step("put and get")
def _():
    for data in (b"", b"x", small):
        s3cmd("put", step.file("up.bin", data), f"{BUCKET}/put/file.bin")
        s3cmd("get", "--force", f"{BUCKET}/put/file.bin", step.path("down.bin"))
        same(read(step.path("down.bin")), data)


@step("put in parts")
def _():
    s3cmd("put", step.file("big.bin", big), f"{BUCKET}/put/big.bin")
    s3cmd("get", "--force", f"{BUCKET}/put/big.bin", step.path("big-down.bin"))
    same(read(step.path("big-down.bin")), big)


@step("put with metadata")
def _():
    s3cmd("put", "--add-header=x-amz-meta-width:1024", "--mime-type=image/x-odd", step.file("meta.jpg", small), f"{BUCKET}/meta.jpg")
    info = s3cmd("info", f"{BUCKET}/meta.jpg")
    same([line in info for line in ("x-amz-meta-width: 1024", "MIME type: image/x-odd")], [True, True])


@step("modify")
def _():
    s3cmd("modify", "--add-header=x-amz-meta-height:768", f"{BUCKET}/meta.jpg")
    same("x-amz-meta-height: 768" in s3cmd("info", f"{BUCKET}/meta.jpg"), True)
    s3cmd("get", "--force", f"{BUCKET}/meta.jpg", step.path("modified.jpg"))
    same(read(step.path("modified.jpg")), small)


@step("ls below a prefix")
def _():
    lines = s3cmd("ls", f"{BUCKET}/").splitlines()
    same([line.split()[-1] for line in lines], [f"{BUCKET}/put/", f"{BUCKET}/meta.jpg"])
    same(len(s3cmd("ls", "--recursive", f"{BUCKET}/").splitlines()), 3)


@step("cp and mv")
def _():
    s3cmd("cp", f"{BUCKET}/meta.jpg", f"{BUCKET}/copied.jpg")
    s3cmd("mv", f"{BUCKET}/copied.jpg", f"{BUCKET}/moved.jpg")
    s3cmd("get", "--force", f"{BUCKET}/moved.jpg", step.path("moved.jpg"))
    same(read(step.path("moved.jpg")), small)
    fails("info", f"{BUCKET}/copied.jpg")


@step("cp in parts and recursively")
def _():
    s3cmd("cp", "--recursive", f"{BUCKET}/put/", f"{BUCKET}/twin/")
    s3cmd("get", "--force", f"{BUCKET}/twin/big.bin", step.path("twin.bin"))
    same(read(step.path("twin.bin")), big)


@step("sync up and down")
def _():
    s3cmd("sync", tree(step, "tree") + "/", f"{BUCKET}/tree/")
    os.makedirs(step.path("back"))
    s3cmd("sync", f"{BUCKET}/tree/", step.path("back") + "/")
    same_tree(step.path("back"))


@step("a second sync moves nothing")
def _():
    same(s3cmd("sync", step.path("tree") + "/", f"{BUCKET}/tree/"), "")
    same(s3cmd("sync", f"{BUCKET}/tree/", step.path("back") + "/"), "")


@step("sync deletes what is gone")
def _():
    os.remove(step.path("tree/one"))
    printed = s3cmd("sync", "--delete-removed", step.path("tree") + "/", f"{BUCKET}/tree/")
    same([line.split("'")[1] for line in printed.splitlines()], [f"{BUCKET}/tree/one"])


@step("odd names")
def _():
    for name in ODD_NAMES:
        os.makedirs(os.path.dirname(step.path(f"odd/{name}")), exist_ok=True)
        step.file(f"odd/{name}", name.encode())
    s3cmd("put", "--recursive", step.path("odd") + "/", f"{BUCKET}/odd/")
    os.makedirs(step.path("odd-back"))
    s3cmd("get", "--recursive", f"{BUCKET}/odd/", step.path("odd-back") + "/")
    same_tree(step.path("odd-back"), {name: name.encode() for name in ODD_NAMES})


@step("signurl")
def _():
    same(curl(s3cmd("signurl", f"{BUCKET}/put/big.bin", str(int(time.time()) + 60)).strip()), big)


@step("du and multipart")
def _():
    same(s3cmd("du", f"{BUCKET}/put/").split()[:3], [str(len(big) + 11), "2", "objects"])
    same(len(s3cmd("multipart", BUCKET).splitlines()), 2)


@step("setacl")
def _():
    url = f"{ENDPOINT}/s3cmd-bucket/put/file.bin"
    refused_by_curl(url)
    s3cmd("setacl", "--acl-public", f"{BUCKET}/put/file.bin")
    same(curl(url), small)
    s3cmd("setacl", "--acl-private", f"{BUCKET}/put/file.bin")
    refused_by_curl(url)


@step("setpolicy, setcors, setlifecycle, settagging and setversioning")
def _():
    allow = '{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::s3cmd-bucket/open/*"}'
    policy = f'{{"Version":"2012-10-17","Statement":[{allow}]}}'.encode()
    s3cmd("setpolicy", step.file("policy.json", policy), BUCKET)
    cors = b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
    s3cmd("setcors", step.file("cors.xml", cors), BUCKET)
    s3cmd("expire", "--expiry-days=7", "--expiry-prefix=tmp/", BUCKET)
    s3cmd("settagging", BUCKET, "owner=anna")
    info = s3cmd("info", BUCKET)
    same(["s3cmd-bucket/open/" in info, "<AllowedOrigin>*</AllowedOrigin>" in info], [True, True])
    same("owner: anna" in " ".join(s3cmd("gettagging", BUCKET).split()).replace("\t", " "), True)
    same("<Days>7</Days>" in s3cmd("getlifecycle", BUCKET), True)
    for command in ("delpolicy", "delcors", "dellifecycle", "deltagging"):
        s3cmd(command, BUCKET)


@step("del and rb")
def _():
    s3cmd("del", f"{BUCKET}/meta.jpg")
    fails("info", f"{BUCKET}/meta.jpg")
    s3cmd("del", "--recursive", "--force", f"{BUCKET}/")
    s3cmd("rb", BUCKET)
    same(BUCKET in s3cmd("ls"), False)
