"""Drives restic, a backup program, through the S3 API; the endpoint is $FDFS_S3 (a URL)."""

import os
import shutil

from s3_steps import ACCESS_KEY, CA, ENDPOINT, SECRET_KEY, TREE, Steps, content, run, same, same_tree, tree

step = Steps(limit=90)
SETTINGS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "RESTIC_REPOSITORY": f"s3:{ENDPOINT}/restic-bucket/backups",
    "RESTIC_PASSWORD": "known to this test",
    "RESTIC_CACHE_DIR": step.path("cache"),
}
CHANGED = {**TREE, "one": b"two", "sub/new": content("new", 3_000_000)}


def restic(*arguments):
    trust = ("--cacert", CA) if CA else ()
    return run("restic", *trust, *arguments, env={**os.environ, **SETTINGS}).decode()


def restored(snapshot):
    """What restic gives back."""
    target = step.path(f"restored-{snapshot}")
    restic("restore", snapshot, "--target", target)
    return os.path.join(target, step.path("tree").lstrip("/"))


@step("init")
def _():
    restic("init")


@step("backup and restore")
def _():
    restic("backup", tree(step, "tree"))
    same_tree(restored("latest"))


@step("a second backup sends no file")
def _():
    printed = " ".join(restic("backup", step.path("tree")).split())
    same(f"Files: 0 new, 0 changed, {len(TREE)} unmodified" in printed, True)


@step("backup of changes")
def _():
    for path, data in CHANGED.items():
        step.file(f"tree/{path}", data)
    restic("backup", step.path("tree"))
    same_tree(restored("latest"), CHANGED)


@step("snapshots")
def _():
    first = restic("snapshots", "--json").split('"short_id":"')[1][:8]
    same_tree(restored(first))


@step("check reads every byte back")
def _():
    same("no errors were found" in restic("check", "--read-data"), True)


@step("forget and prune")
def _():
    restic("forget", "--keep-last", "1", "--prune")
    shutil.rmtree(step.path("cache"))
    same("no errors were found" in restic("check", "--read-data"), True)
    same_tree(restored("latest"), CHANGED)


@step("a wrong password is no missing repository")
def _():
    SETTINGS["RESTIC_PASSWORD"] = "another"
    try:
        restic("snapshots")
    except AssertionError as error:
        same("wrong password" in str(error), True)
        return
    raise AssertionError("not refused")
