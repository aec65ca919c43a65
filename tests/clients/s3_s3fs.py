"""Drives s3fs, the file system of fsspec, through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import os

import fsspec
import fsspec.generic
import s3fs

from s3_steps import (
    ACCESS_KEY, ENDPOINT, GROUP, ODD_NAMES, PART, SECRET_KEY, TREE, Steps, big, curl, curl_put, read, same, same_tree,
    small, tree,
)

BUCKET = "s3fs-bucket"
SETTINGS = {
    "key": ACCESS_KEY,
    "secret": SECRET_KEY,
    "endpoint_url": ENDPOINT,
    "client_kwargs": {"region_name": "us-east-1"},
    "config_kwargs": {"retries": {"max_attempts": 1}, "s3": {"addressing_style": "path"}},
    "skip_instance_cache": True,
}
fs = None


def renew():
    global fs
    fs = s3fs.S3FileSystem(**SETTINGS)


step = Steps(before=renew, limit=60)


def names(found):
    return sorted(path.removeprefix(f"{BUCKET}/") for path in found)


@step("mkdir and ls")
def _():
    fs.mkdir(BUCKET)
    same([name in fs.ls("", detail=False) for name in (BUCKET, GROUP)], [True, True])


@step("pipe and cat")
def _():
    for data in (b"", b"x", small, big):
        fs.pipe(f"{BUCKET}/piped", data)
        same(fs.cat(f"{BUCKET}/piped"), data)
    same(fs.cat_file(f"{BUCKET}/piped", start=PART - 7, end=PART + 9), big[PART - 7 : PART + 9])
    same(fs.tail(f"{BUCKET}/piped", 10), big[-10:])


@step("a file written and read in pieces")
def _():
    with fs.open(f"{BUCKET}/written", "wb", block_size=PART) as file:
        for start in range(0, len(big), 1_000_003):
            file.write(big[start : start + 1_000_003])
    with fs.open(f"{BUCKET}/written", "rb", block_size=1 << 20) as file:
        file.seek(9_999_999)
        same(file.read(2_000_000), big[9_999_999:11_999_999])
        file.seek(0)
        same(file.read(), big)


@step("append to a file")
def _():
    for old in (small, big):
        fs.pipe(f"{BUCKET}/appended", old)
        with fs.open(f"{BUCKET}/appended", "ab") as file:
            file.write(b"more")
        same(fs.cat(f"{BUCKET}/appended"), old + b"more")


@step("odd names")
def _():
    for name in ODD_NAMES:
        fs.pipe(f"{BUCKET}/odd/{name}", name.encode())
    same(names(fs.find(f"{BUCKET}/odd")), sorted(f"odd/{name}" for name in ODD_NAMES))
    for name in ODD_NAMES:
        same(fs.cat_file(f"{BUCKET}/odd/{name}"), name.encode())


@step("put and get of a tree")
def _():
    fs.put(tree(step, "tree") + "/", f"{BUCKET}/tree/", recursive=True)
    same(names(fs.find(f"{BUCKET}/tree")), sorted(f"tree/{path}" for path in TREE))
    fs.get(f"{BUCKET}/tree/", step.path("back") + "/", recursive=True)
    same_tree(step.path("back"))


@step("ls, walk, glob and du")
def _():
    same(names(fs.ls(f"{BUCKET}/tree", detail=False)), ["tree/empty", "tree/one", "tree/sub"])
    walked = [(folder.removeprefix(f"{BUCKET}/"), sorted(files)) for folder, _, files in fs.walk(f"{BUCKET}/tree")]
    same([folder for folder, _ in walked], ["tree", "tree/sub", "tree/sub/sub"])
    same(names(fs.glob(f"{BUCKET}/tree/**/*.txt")), ["tree/sub/a b+c%41.txt", "tree/sub/sub/ü.txt"])
    same(fs.du(f"{BUCKET}/tree"), sum(map(len, TREE.values())))


@step("rsync both ways, and again")
def _():
    source, target = f"file://{tree(step, 'rsync')}", f"s3://{BUCKET}/rsync"
    how = {"inst_kwargs": {"default_method": "options", "storage_options": {"s3": SETTINGS}}}
    same(len(fsspec.generic.rsync(source, target, **how)), len(TREE))
    same(fsspec.generic.rsync(source, target, **how), {})
    same(len(fsspec.generic.rsync(target, f"file://{step.path('rsync-back')}", **how)), len(TREE))
    same_tree(step.path("rsync-back"))


@step("copy and move")
def _():
    fs.copy(f"{BUCKET}/tree/sub/small", f"{BUCKET}/copied")
    same(fs.cat(f"{BUCKET}/copied"), small)
    fs.mv(f"{BUCKET}/copied", f"{BUCKET}/moved")
    same((fs.cat(f"{BUCKET}/moved"), fs.exists(f"{BUCKET}/copied")), (small, False))
    fs.copy(f"{BUCKET}/tree/sub", f"{BUCKET}/twin", recursive=True)
    same(fs.cat(f"{BUCKET}/twin/parts.bin"), TREE["sub/parts.bin"])


@step("copy in parts and merge")
def _():
    fsspec.asyn.sync(fs.loop, fs._copy_managed, f"{BUCKET}/written", f"{BUCKET}/in-parts", len(big), PART)
    same(fs.cat(f"{BUCKET}/in-parts"), big)
    fs.merge(f"{BUCKET}/merged", [f"{BUCKET}/written", f"{BUCKET}/moved"])
    same(fs.cat(f"{BUCKET}/merged"), big + small)


@step("info, metadata and checksum")
def _():
    fs.pipe_file(f"{BUCKET}/meta", small, ContentType="image/x-odd", Metadata={"width": "1024"})
    info = fs.info(f"{BUCKET}/meta")
    same((info["size"], info["type"], info["ContentType"]), (11, "file", "image/x-odd"))
    same(fs.getxattr(f"{BUCKET}/meta", "width"), "1024")
    fs.setxattr(f"{BUCKET}/meta", height="768")
    renew()
    same(fs.metadata(f"{BUCKET}/meta"), {"width": "1024", "height": "768"})
    same(fs.cat(f"{BUCKET}/meta"), small)
    same(fs.info(f"{BUCKET}/tree/sub")["type"], "directory")


@step("presigned URLs")
def _():
    path = f"{BUCKET}/signed/ü &+%41.bin"
    curl_put(fs.sign(path, client_method="put_object"), big)
    same(curl(fs.sign(path)), big)


@step("a file that is not there")
def _():
    for call in (fs.info, fs.cat, fs.rm_file):
        try:
            call(f"{BUCKET}/nothing")
        except FileNotFoundError:
            continue
        same(call, fs.rm_file)  # S3 deletes what is not there
    same(fs.exists(f"{BUCKET}/nothing"), False)


@step("touch and rm")
def _():
    fs.touch(f"{BUCKET}/touched")
    same(fs.size(f"{BUCKET}/touched"), 0)
    fs.rm(f"{BUCKET}/touched")
    same(fs.exists(f"{BUCKET}/touched"), False)
    fs.rm(BUCKET, recursive=True)
    same(BUCKET in fs.ls("", detail=False), False)
