"""What the S3 drivers in Python share: where the server is, keys to sign with, and content to store."""

import configparser
import os
import subprocess
import sys
import urllib.parse

from python_steps import Steps, content, read, same, shown

ENDPOINT = os.environ["FDFS_S3"]
SECURE = ENDPOINT.startswith("https://")
HOST = urllib.parse.urlsplit(ENDPOINT).netloc
CA = os.environ.get("AWS_CA_BUNDLE")
GROUP = os.environ["FDFS_GROUP"]

_keys = configparser.ConfigParser()
_keys.read(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
ACCESS_KEY = _keys["default"]["aws_access_key_id"]
SECRET_KEY = _keys["default"]["aws_secret_access_key"]

PART = 5 * 1024 * 1024
small, big = content("small", 11), content("big", 20 * 1024 * 1024 + 17)

# Keys that a client, a URL or an XML document may take for something else, and that are file names, too.
ODD_NAMES = (
    "a b",
    " space at both ends ",
    "plus+plus",
    "percent%41%",
    "späße/ü.txt",
    "日本語/😀",
    "'quoted\"",
    "<&amp;>",
    "a=b&c;d?e#f,g:h@i!",
    "(round)[square]{curly}~^`|$*",
    "back\\slash",
    "new..dots/...",
    "deep/" * 20 + "x",
)
# Keys that no file system can hold.
ODD_KEYS = (*ODD_NAMES, "double//slash", "/leading", "//", "dots/./in/../it", "folder/", "tab\tline\nend")
TREE = {
    "empty": b"",
    "one": b"x",
    "sub/small": small,
    "sub/a b+c%41.txt": b"odd",
    "sub/sub/ü.txt": content("text", 70_000),
    "sub/parts.bin": content("parts", 2 * PART + 3),
}


def tree(step, name):
    """Makes local files as TREE has them and returns their directory."""
    for path, data in TREE.items():
        os.makedirs(os.path.dirname(step.path(f"{name}/{path}")), exist_ok=True)
        step.file(f"{name}/{path}", data)
    return step.path(name)


def local(directory):
    """What lies below a local directory: path to content."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, directory)] = read(path)
    return found


def same_tree(directory, expected=None):
    found, expected = local(directory), TREE if expected is None else expected
    same(sorted(found), sorted(expected))
    for path, data in expected.items():
        if found[path] != data:
            raise AssertionError(f"{path}: got {shown(found[path])}, expected {shown(data)}")


def run(*command, **how):
    """Runs a program and returns what it printed; raises when it fails."""
    done = subprocess.run(command, capture_output=True, timeout=90, **how)
    if done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace") or done.stdout.decode(errors="replace"))
    return done.stdout


def program(name):
    """A program that was installed beside this Python."""
    return os.path.join(os.path.dirname(sys.executable), name)


def curl(url, *arguments, **how):
    """What the server answers to curl; raises on any status from 400 on."""
    trust = ("--cacert", CA) if CA else ()
    return run("curl", "--silent", "--show-error", "--fail", "--path-as-is", *trust, *arguments, url, **how)


def curl_put(url, data, *arguments):
    return curl(url, "--request", "PUT", "--data-binary", "@-", "--header", "Content-Type:", *arguments, input=data)


def refused_by_curl(url, status=403):
    try:
        curl(url)
    except AssertionError as error:
        same(f"error: {status}" in str(error), True)
        return
    raise AssertionError(f"not refused with {status}")
