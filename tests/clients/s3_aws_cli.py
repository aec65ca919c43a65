"""Drives the aws command line through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import os
import subprocess
import sys
import urllib.request

from python_steps import Steps, content, read, same

AWS = os.path.join(os.path.dirname(sys.executable), "aws")
BUCKET = "s3://aws-cli-bucket"
small, big = content("small", 11), content("big", 20 * 1024 * 1024 + 17)
step = Steps()


def aws(*arguments, **how):
    """Runs `aws s3` and returns what it printed; raises when it fails."""
    command = [AWS, "--endpoint-url", os.environ["FDFS_S3"], "--region", "us-east-1", "s3", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, **how)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout


def fails(*arguments):
    try:
        aws(*arguments)
    except AssertionError:
        return
    raise AssertionError(f"{arguments} did not fail")


def names(listing):
    return [line.split()[-1] for line in listing.decode().splitlines()]


@step("mb and ls", limit=60)
def _():
    aws("mb", BUCKET)
    same("aws-cli-bucket" in names(aws("ls")), True)


@step("cp up and down", limit=60)
def _():
    for data in (b"", b"x", small, content("4k", 4096)):
        aws("cp", step.file("up.bin", data), f"{BUCKET}/cp/file.bin")
        aws("cp", f"{BUCKET}/cp/file.bin", step.path("down.bin"))
        same(read(step.path("down.bin")), data)


@step("cp in parts", limit=90)
def _():
    aws("cp", step.file("big.bin", big), f"{BUCKET}/cp/big.bin")
    aws("cp", f"{BUCKET}/cp/big.bin", step.path("big-down.bin"))
    same(read(step.path("big-down.bin")), big)


@step("cp from and to a pipe", limit=60)
def _():
    aws("cp", "-", f"{BUCKET}/pipe", input=small)
    same(aws("cp", f"{BUCKET}/pipe", "-"), small)


@step("cp within S3", limit=60)
def _():
    aws("cp", f"{BUCKET}/pipe", f"{BUCKET}/copied")
    same(aws("cp", f"{BUCKET}/copied", "-"), small)


@step("mv", limit=60)
def _():
    aws("mv", f"{BUCKET}/copied", f"{BUCKET}/moved")
    same(aws("cp", f"{BUCKET}/moved", "-"), small)
    fails("cp", f"{BUCKET}/copied", "-")


@step("sync", limit=90)
def _():
    os.makedirs(step.path("tree/sub"))
    for name in ("tree/a", "tree/sub/b", "tree/sub/c d"):
        step.file(name, name.encode())
    aws("sync", step.path("tree"), f"{BUCKET}/tree")
    same(aws("sync", step.path("tree"), f"{BUCKET}/tree"), b"")
    aws("sync", f"{BUCKET}/tree", step.path("back"))
    for name in ("a", "sub/b", "sub/c d"):
        same(read(step.path(f"back/{name}")), f"tree/{name}".encode())


@step("ls below a prefix", limit=60)
def _():
    same(names(aws("ls", f"{BUCKET}/tree/")), ["sub/", "a"])
    same(len(aws("ls", "--recursive", f"{BUCKET}/tree/").splitlines()), 3)


@step("presign", limit=60)
def _():
    with urllib.request.urlopen(aws("presign", f"{BUCKET}/pipe").decode().strip()) as answer:
        same(answer.read(), small)


@step("rm and rb", limit=90)
def _():
    aws("rm", f"{BUCKET}/pipe")
    fails("cp", f"{BUCKET}/pipe", "-")
    aws("rm", "--recursive", f"{BUCKET}/")
    aws("rb", BUCKET)
    same("aws-cli-bucket" in names(aws("ls")), False)
