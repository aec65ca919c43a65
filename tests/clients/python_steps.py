"""What the Python drivers share: steps, each reported on one line, and files to work on."""

import hashlib
import os
import signal
import sys
import tempfile
import traceback


class Steps:
    """Runs named steps; a step that raises or hangs is reported, and the run goes on.

    Each step begins with `before`, for instance a new client: what one step broke is no business of the next.
    """

    def __init__(self, before=lambda: None, limit=20):
        self.before = before
        self.limit = limit  # seconds a step may take
        signal.signal(signal.SIGALRM, hang)
        self.directory = tempfile.mkdtemp(prefix="fdfs-client-", dir=os.environ.get("FDFS_WORK_DIR"))

    def __call__(self, name, limit=None):
        def run(step):
            signal.alarm(limit or self.limit)
            try:
                self.before()
                step()
            except Exception as error:  # whatever the client raises is a finding
                place = traceback.extract_tb(error.__traceback__)[-1]
                text = " ".join(str(error).split())
                print(f"failed {name}: {type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}: {text}")
            else:
                print(f"ok {name}")
            finally:
                signal.alarm(0)
            sys.stdout.flush()

        return run

    def path(self, name):
        return os.path.join(self.directory, name)

    def file(self, name, content):
        """A local file with this content."""
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)


def hang(_signal, _frame):
    raise TimeoutError("nothing came")


def content(seed, length):
    """Bytes that look random and are the same in every run."""
    block, blocks = seed.encode(), []
    for number in range(length // 32 + 1):
        blocks.append(hashlib.sha256(block + number.to_bytes(8, "big")).digest())
    return b"".join(blocks)[:length]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def same(actual, expected):
    if actual != expected:
        raise AssertionError(f"got {shown(actual)}, expected {shown(expected)}")


def shown(value):
    return f"{len(value)} bytes" if isinstance(value, (bytes, bytearray)) else repr(value)


def refused(call):
    """Checks that the client reports an error."""
    try:
        result = call()
    except Exception:
        return
    raise AssertionError(f"no error, but {result!r}")
