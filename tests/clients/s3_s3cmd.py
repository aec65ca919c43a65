"""Drives s3cmd through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import configparser
import os
import subprocess
import sys

from python_steps import Steps, content, read, same

S3CMD = os.path.join(os.path.dirname(sys.executable), "s3cmd")
BUCKET = "s3://s3cmd-bucket"
small, big = content("small", 11), content("big", 12 * 1024 * 1024 + 17)
step = Steps()

keys = configparser.ConfigParser()
keys.read(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
host = os.environ["FDFS_S3"].removeprefix("http://")
CONFIG = step.file(
    "s3cfg",
    f"""[default]
access_key = {keys["default"]["aws_access_key_id"]}
secret_key = {keys["default"]["aws_secret_access_key"]}
host_base = {host}
host_bucket = {host}
use_https = False
bucket_location = us-east-1
multipart_chunk_size_mb = 5
max_retries = 1
""".encode(),
)


def s3cmd(*arguments):
    """Runs s3cmd and returns what it printed; raises when it fails."""
    done = subprocess.run([S3CMD, "-c", CONFIG, "--no-progress", *arguments], capture_output=True, timeout=60)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout.decode()


def fails(*arguments):
    try:
        s3cmd(*arguments)
    except AssertionError:
        return
    raise AssertionError(f"{arguments} did not fail")


@step("mb and ls", limit=60)
def _():
    s3cmd("mb", BUCKET)
    same(BUCKET in s3cmd("ls"), True)


@step("put and get", limit=60)
def _():
    for data in (b"", b"x", small):
        s3cmd("put", step.file("up.bin", data), f"{BUCKET}/put/file.bin")
        s3cmd("get", "--force", f"{BUCKET}/put/file.bin", step.path("down.bin"))
        same(read(step.path("down.bin")), data)


@step("put in parts", limit=90)
def _():
    s3cmd("put", step.file("big.bin", big), f"{BUCKET}/put/big.bin")
    s3cmd("get", "--force", f"{BUCKET}/put/big.bin", step.path("big-down.bin"))
    same(read(step.path("big-down.bin")), big)


@step("put with metadata", limit=60)
def _():
    s3cmd("put", "--add-header=x-amz-meta-width:1024", step.file("meta.jpg", small), f"{BUCKET}/meta.jpg")
    same("x-amz-meta-width: 1024" in s3cmd("info", f"{BUCKET}/meta.jpg"), True)


@step("ls below a prefix", limit=60)
def _():
    lines = s3cmd("ls", f"{BUCKET}/").splitlines()
    same([line.split()[-1] for line in lines], [f"{BUCKET}/put/", f"{BUCKET}/meta.jpg"])
    same(len(s3cmd("ls", "--recursive", f"{BUCKET}/").splitlines()), 3)


@step("cp and mv", limit=60)
def _():
    s3cmd("cp", f"{BUCKET}/meta.jpg", f"{BUCKET}/copied.jpg")
    s3cmd("mv", f"{BUCKET}/copied.jpg", f"{BUCKET}/moved.jpg")
    s3cmd("get", "--force", f"{BUCKET}/moved.jpg", step.path("moved.jpg"))
    same(read(step.path("moved.jpg")), small)
    fails("info", f"{BUCKET}/copied.jpg")


@step("sync", limit=90)
def _():
    os.makedirs(step.path("tree/sub"))
    for name in ("tree/a", "tree/sub/b"):
        step.file(name, name.encode())
    s3cmd("sync", step.path("tree") + "/", f"{BUCKET}/tree/")
    os.makedirs(step.path("back"))
    s3cmd("sync", f"{BUCKET}/tree/", step.path("back") + "/")
    for name in ("a", "sub/b"):
        same(read(step.path(f"back/{name}")), f"tree/{name}".encode())


@step("del and rb", limit=90)
def _():
    s3cmd("del", f"{BUCKET}/meta.jpg")
    fails("info", f"{BUCKET}/meta.jpg")
    s3cmd("del", "--recursive", "--force", f"{BUCKET}/")
    s3cmd("rb", BUCKET)
    same(BUCKET in s3cmd("ls"), False)
