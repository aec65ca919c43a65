"""Drives the aws command line through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import json
import os

from s3_steps import (
    ENDPOINT, GROUP, ODD_NAMES, PART, TREE, Steps, big, content, curl, program, read, refused_by_curl, run, same,
    same_tree, small, tree,
)

NAME = "aws-cli-bucket"
BUCKET = f"s3://{NAME}"
step = Steps(limit=90)


def aws(*arguments, **how):
    """Runs `aws s3` and returns what it printed; raises when it fails."""
    return run(program("aws"), "--endpoint-url", ENDPOINT, "--region", "us-east-1", "s3", *arguments, **how)


def api(operation, *arguments):
    """Runs an `aws s3api` command on the bucket and returns the answer."""
    command = (operation, "--bucket", NAME, *arguments)
    answer = run(program("aws"), "--endpoint-url", ENDPOINT, "--region", "us-east-1", "s3api", *command)
    return json.loads(answer or b"{}")


def fails(*arguments):
    try:
        aws(*arguments)
    except AssertionError:
        return
    raise AssertionError(f"{arguments} did not fail")


def names(listing):
    return [line.split()[-1] for line in listing.decode().splitlines()]


@step("mb and ls")
def _():
    aws("mb", BUCKET)
    same([name in names(aws("ls")) for name in (NAME, GROUP)], [True, True])


@step("cp up and down")
def _():
    for data in (b"", small, content("4k", 4096)):
        aws("cp", step.file("up.bin", data), f"{BUCKET}/cp/file.bin")
        aws("cp", f"{BUCKET}/cp/file.bin", step.path("down.bin"))
        same(read(step.path("down.bin")), data)


@step("cp in parts")
def _():
    aws("cp", step.file("big.bin", big), f"{BUCKET}/cp/big.bin")
    aws("cp", f"{BUCKET}/cp/big.bin", step.path("big-down.bin"))
    same(read(step.path("big-down.bin")), big)


@step("cp from and to a pipe")
def _():
    aws("cp", "-", f"{BUCKET}/pipe", input=small)
    same(aws("cp", f"{BUCKET}/pipe", "-"), small)


@step("cp within S3")
def _():
    aws("cp", f"{BUCKET}/pipe", f"{BUCKET}/copied")
    same(aws("cp", f"{BUCKET}/copied", "-"), small)


@step("mv")
def _():
    aws("mv", f"{BUCKET}/copied", f"{BUCKET}/moved")
    same(aws("cp", f"{BUCKET}/moved", "-"), small)
    fails("cp", f"{BUCKET}/copied", "-")


@step("cp with metadata")
def _():
    aws(
        "cp", step.file("meta.bin", small), f"{BUCKET}/meta", "--metadata", "width=1024", "--content-type",
        "image/x-odd", "--cache-control", "no-cache",
    )
    aws("cp", f"{BUCKET}/meta", f"{BUCKET}/meta-copied")
    head = api("head-object", "--key", "meta-copied")
    same((head["ContentType"], head["CacheControl"], head["Metadata"]), ("image/x-odd", "no-cache", {"width": "1024"}))


@step("cp of parts within S3")
def _():
    aws("cp", f"{BUCKET}/cp/big.bin", f"{BUCKET}/cp/big-copied.bin")
    same(aws("cp", f"{BUCKET}/cp/big-copied.bin", "-"), big)


@step("sync up and down")
def _():
    aws("sync", tree(step, "tree"), f"{BUCKET}/tree")
    aws("sync", f"{BUCKET}/tree", step.path("back"))
    same_tree(step.path("back"))


@step("a second sync moves nothing")
def _():
    same(aws("sync", step.path("tree"), f"{BUCKET}/tree"), b"")
    same(aws("sync", f"{BUCKET}/tree", step.path("back")), b"")


@step("sync within S3, and what is gone is deleted")
def _():
    aws("sync", f"{BUCKET}/tree", f"{BUCKET}/twin")
    os.remove(step.path("tree/one"))
    same(names(aws("sync", "--delete", "--no-progress", step.path("tree"), f"{BUCKET}/twin")), [f"{BUCKET}/twin/one"])
    aws("sync", f"{BUCKET}/twin", step.path("twin"))
    same_tree(step.path("twin"), {path: data for path, data in TREE.items() if path != "one"})


@step("odd names")
def _():
    for name in ODD_NAMES:
        os.makedirs(os.path.dirname(step.path(f"odd/{name}")), exist_ok=True)
        step.file(f"odd/{name}", name.encode())
    aws("cp", "--recursive", step.path("odd"), f"{BUCKET}/odd")
    aws("mv", "--recursive", f"{BUCKET}/odd", f"{BUCKET}/moved-odd")
    aws("cp", "--recursive", f"{BUCKET}/moved-odd", step.path("odd-back"))
    same_tree(step.path("odd-back"), {name: name.encode() for name in ODD_NAMES})


@step("ls below a prefix")
def _():
    same(names(aws("ls", f"{BUCKET}/tree/")), ["sub/", "empty", "one"])
    same(len(aws("ls", "--recursive", f"{BUCKET}/tree/").splitlines()), len(TREE))


@step("presign")
def _():
    url = aws("presign", "--expires-in", "60", f"{BUCKET}/cp/big.bin").decode().strip()
    same(curl(url), big)
    same(curl(url, "--range", f"{PART - 5}-{PART + 4}"), big[PART - 5 : PART + 5])
    refused_by_curl(url.replace("Signature=", "Signature=0"))


@step("s3api")
def _():
    target = step.path("range.bin")
    api("get-object", "--key", "cp/big.bin", "--range", f"bytes={PART - 5}-{PART + 4}", target)
    same(read(target), big[PART - 5 : PART + 5])
    made = api("put-object", "--key", "checked", "--body", step.path("meta.bin"), "--checksum-algorithm", "SHA256")
    head = api("head-object", "--key", "checked", "--checksum-mode", "ENABLED")
    same(head["ChecksumSHA256"], made["ChecksumSHA256"])
    page = api("list-objects-v2", "--prefix", "tree/", "--max-items", "2", "--page-size", "1")
    same([entry["Key"] for entry in page["Contents"]], ["tree/empty", "tree/one"])
    same(api("delete-objects", "--delete", "Objects=[{Key=checked},{Key=nothing}]")["Deleted"][0]["Key"], "checked")


@step("rm and rb")
def _():
    aws("rm", f"{BUCKET}/pipe")
    fails("cp", f"{BUCKET}/pipe", "-")
    aws("rm", "--recursive", f"{BUCKET}/")
    aws("rb", BUCKET)
    same(NAME in names(aws("ls")), False)
