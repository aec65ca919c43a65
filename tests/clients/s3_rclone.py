"""Drives rclone through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import json
import os
import subprocess

from s3_steps import (
    ACCESS_KEY, CA, ENDPOINT, GROUP, ODD_NAMES, SECRET_KEY, TREE, Steps, big, curl, program, read, run, same,
    same_tree, small, tree,
)

BUCKET = "s3:rclone-bucket"
SETTINGS = {
    "RCLONE_CONFIG": os.devnull,
    "RCLONE_CONFIG_S3_TYPE": "s3",
    "RCLONE_CONFIG_S3_PROVIDER": "Other",
    "RCLONE_CONFIG_S3_ENDPOINT": ENDPOINT,
    "RCLONE_CONFIG_S3_ACCESS_KEY_ID": ACCESS_KEY,
    "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": SECRET_KEY,
    "RCLONE_RETRIES": "1",
    "RCLONE_LOW_LEVEL_RETRIES": "1",
    "RCLONE_S3_CHUNK_SIZE": "5Mi",
    "RCLONE_S3_UPLOAD_CUTOFF": "5Mi",
    "RCLONE_STATS": "0",
}
if CA:
    SETTINGS["RCLONE_CA_CERT"] = CA
step = Steps(limit=60)


def rclone(*arguments, **how):
    return run(program("rclone"), *arguments, env={**os.environ, **SETTINGS}, **how)


def transferred(*arguments):
    """Runs a command and returns how many files it sent, copied, moved or deleted, by its own count."""
    command = [program("rclone"), "--use-json-log", "--stats-log-level", "NOTICE", "--stats", "1h", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=90, env={**os.environ, **SETTINGS, "RCLONE_STATS": "1h"})
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    if done.returncode:
        raise AssertionError("; ".join(line["msg"] for line in lines))
    stats = [line["stats"] for line in lines if "stats" in line][-1]
    return {what: stats[what] for what in ("transfers", "deletes", "serverSideCopies") if stats[what]}


def listed(path, *arguments):
    entries = json.loads(rclone("lsjson", "--recursive", "--files-only", *arguments, path))
    return {entry["Path"]: entry for entry in entries}


def put(path, data=small, *arguments):
    rclone("rcat", *arguments, f"{BUCKET}/{path}", input=data)


def get(path, *arguments):
    return rclone("cat", *arguments, f"{BUCKET}/{path}")


@step("mkdir and lsd")
def _():
    rclone("mkdir", BUCKET)
    names = [entry["Path"] for entry in json.loads(rclone("lsjson", "--dirs-only", "s3:"))]
    same([name in names for name in ("rclone-bucket", GROUP)], [True, True])


@step("rcat and cat")
def _():
    for data in (b"x", small):
        put("rcat", data)
        same(get("rcat"), data)


@step("copyto up and down")
def _():
    for name, data in (("empty", b""), ("one", b"x"), ("big", big)):
        rclone("copyto", step.file("up.bin", data), f"{BUCKET}/copyto/{name}")
        rclone("copyto", f"{BUCKET}/copyto/{name}", step.path("down.bin"))
        same(read(step.path("down.bin")), data)


@step("rcat in parts")
def _():
    put("streamed", big, "--streaming-upload-cutoff", "1Mi")
    same(get("streamed"), big)


@step("cat a range")
def _():
    same(get("copyto/big", "--offset", "5242000", "--count", "2000"), big[5242000:5244000])
    same(get("copyto/big", "--tail", "10"), big[-10:])


@step("size, time and hash of a file")
def _():
    local = step.file("stat.bin", small)
    os.utime(local, (1234567890, 1234567890))
    rclone("copyto", local, f"{BUCKET}/stat/stat.bin")
    entry = listed(f"{BUCKET}/stat", "--hash")["stat.bin"]
    same((entry["Size"], entry["ModTime"][:19]), (11, "2009-02-13T23:31:30"))
    same(rclone("md5sum", f"{BUCKET}/stat"), rclone("md5sum", os.path.dirname(local), "--include", "/stat.bin"))


@step("metadata")
def _():
    rclone(
        "copyto", "--metadata", "--metadata-set", "width=1024", "--metadata-set", "content-type=image/x-odd",
        "--metadata-set", "cache-control=no-cache", step.file("meta.bin", small), f"{BUCKET}/meta/meta.bin",
    )
    entry = listed(f"{BUCKET}/meta", "--metadata")["meta.bin"]
    kept = [entry["Metadata"].get(name) for name in ("width", "content-type", "cache-control")]
    same(kept, ["1024", "image/x-odd", "no-cache"])


@step("touch sets the time alone")
def _():
    rclone("touch", "--timestamp", "2001-02-03T04:05:06", f"{BUCKET}/meta/meta.bin")
    entry = listed(f"{BUCKET}/meta", "--metadata")["meta.bin"]
    same((entry["ModTime"][:19], entry["Metadata"]["width"]), ("2001-02-03T04:05:06", "1024"))
    same(get("meta/meta.bin"), small)


@step("odd names")
def _():
    for name in ODD_NAMES:
        os.makedirs(os.path.dirname(step.path(f"odd/{name}")), exist_ok=True)
        step.file(f"odd/{name}", name.encode())
    same(transferred("sync", step.path("odd"), f"{BUCKET}/odd"), {"transfers": len(ODD_NAMES)})
    same(sorted(listed(f"{BUCKET}/odd")), sorted(ODD_NAMES))
    rclone("sync", f"{BUCKET}/odd", step.path("odd-back"))
    same_tree(step.path("odd-back"), {name: name.encode() for name in ODD_NAMES})


@step("sync up and down")
def _():
    directory = tree(step, "tree")
    same(transferred("sync", directory, f"{BUCKET}/tree"), {"transfers": len(TREE)})
    same(transferred("sync", f"{BUCKET}/tree", step.path("back")), {"transfers": len(TREE)})
    same_tree(step.path("back"))


@step("a second sync moves nothing")
def _():
    same(transferred("sync", step.path("tree"), f"{BUCKET}/tree"), {})
    same(transferred("sync", "--checksum", step.path("tree"), f"{BUCKET}/tree"), {})
    same(transferred("sync", f"{BUCKET}/tree", step.path("back")), {})


@step("check finds no difference")
def _():
    rclone("check", "--download", step.path("tree"), f"{BUCKET}/tree")


@step("sync within S3 moves no bytes")
def _():
    counted = transferred("sync", "--s3-copy-cutoff", "8Mi", f"{BUCKET}/tree", f"{BUCKET}/twin")
    same(counted["serverSideCopies"], len(TREE))
    rclone("check", "--download", step.path("tree"), f"{BUCKET}/twin")


@step("sync deletes what is gone")
def _():
    os.remove(step.path("tree/one"))
    same(transferred("sync", step.path("tree"), f"{BUCKET}/twin"), {"deletes": 1})
    same("one" in listed(f"{BUCKET}/twin"), False)


@step("moveto and move")
def _():
    rclone("moveto", f"{BUCKET}/copyto/one", f"{BUCKET}/moved/uno")
    same(get("moved/uno"), b"x")
    rclone("move", f"{BUCKET}/twin/sub", f"{BUCKET}/triplet")
    same(sorted(listed(f"{BUCKET}/triplet")), sorted(name[4:] for name in TREE if name.startswith("sub/")))
    same([name for name in listed(f"{BUCKET}/twin") if name.startswith("sub/")], [])
    same("one" in listed(f"{BUCKET}/copyto"), False)


@step("link")
def _():
    put("linked/ü &+%41.bin", small)
    same(curl(rclone("link", "--expire", "5m", f"{BUCKET}/linked/ü &+%41.bin").decode().strip()), small)


@step("directories that are marked")
def _():
    rclone("mkdir", "--s3-directory-markers", f"{BUCKET}/marked/empty")
    entries = json.loads(rclone("lsjson", "--s3-directory-markers", f"{BUCKET}/marked"))
    same([(entry["Path"], entry["IsDir"]) for entry in entries], [("empty", True)])
    rclone("rmdir", "--s3-directory-markers", f"{BUCKET}/marked/empty")


@step("uploads that are open are listed and cleaned up")
def _():
    same(json.loads(rclone("backend", "list-multipart-uploads", BUCKET)), {"rclone-bucket": []})
    rclone("cleanup", BUCKET)


@step("versions")
def _():
    bucket = f"{BUCKET}-versions"
    rclone("mkdir", bucket)
    rclone("backend", "versioning", bucket, "Enabled")
    for data in (b"old", b"new"):
        rclone("rcat", f"{bucket}/key.txt", input=data)
    rclone("deletefile", f"{bucket}/key.txt")
    same(rclone("lsf", bucket), b"")
    old = rclone("lsf", "--s3-versions", bucket).decode().splitlines()
    same(sorted(rclone("cat", "--s3-versions", f"{bucket}/{name}") for name in old), [b"new", b"old"])
    rclone("backend", "cleanup-hidden", bucket)
    same(rclone("lsf", "--s3-versions", bucket), b"")
    rclone("purge", bucket)


@step("deletefile and delete")
def _():
    rclone("deletefile", f"{BUCKET}/rcat")
    same("rcat" in listed(BUCKET), False)
    rclone("delete", f"{BUCKET}/tree")
    same(listed(f"{BUCKET}/tree"), {})


@step("purge")
def _():
    rclone("purge", BUCKET)
    same("rclone-bucket" in rclone("lsf", "s3:").decode(), False)
