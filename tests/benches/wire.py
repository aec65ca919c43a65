"""A cluster of trackers and storages on loopback, and the few requests that watch it. Used by the scripts beside this file."""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

OFFLINE, ACTIVE = 5, 7


def call(address, command, body=b"", timeout=2.0):
    """One request; (status, body). Raises OSError where nobody answers."""
    with socket.create_connection(address, timeout) as stream:
        stream.settimeout(timeout)
        stream.sendall(struct.pack(">QBB", len(body), command, 0) + body)
        length, _, status = struct.unpack(">QBB", read(stream, 10))
        return status, read(stream, length)


def read(stream, length):
    parts = bytearray()
    while len(parts) < length:
        part = stream.recv(min(1 << 20, length - len(parts)))
        if not part:
            raise OSError("connection closed")
        parts += part
    return bytes(parts)


def until(what, limit, is_so):
    """Polls until `is_so()` is true; the seconds that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < limit:
        try:
            if is_so():
                return time.monotonic() - begun
        except OSError:
            pass
        time.sleep(0.01)
    raise SystemExit(f"after {limit} s not so: {what}")


def status_of(tracker, ip, group="group1"):
    """The status that a tracker lists for a storage, or None."""
    status, body = call(tracker, 92, group.encode().ljust(16, b"\0"))
    if status != 0:
        return None
    record = 487 if len(body) % 487 == 0 else 517
    for at in range(0, len(body), record):
        if body[at + 18 :].startswith(ip.encode() + b"\0"):
            return body[at]
    return None


def leads(tracker):
    status, body = call(tracker, 64)
    return status == 0 and body[0] == 1


class Process:
    """A daemon in the foreground; its output goes to a file."""

    def __init__(self, binary, kind, conf, output):
        self.arguments, self.output = [binary, kind, "-c", str(conf)], pathlib.Path(output)
        self.process = None

    def start(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(self.arguments, stdout=output, stderr=output)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pid(self):
        """The process that serves: wrappers have it as their child."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    def rss_mib(self):
        for line in pathlib.Path(f"/proc/{self.pid()}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


class Cluster:
    """Trackers and storages in a directory of their own, removed at the end."""

    def __init__(self, binary, net="127.47.0", directory="/dev/shm", beat=5):
        self.binary, self.net, self.beat = binary, net, beat
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="fdfs-bench-", dir=directory))
        self.trackers, self.storages = {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in [*self.storages.values(), *self.trackers.values()]:
            if process.process:
                process.signal(signal.SIGCONT)
            process.kill()
        if os.environ.get("KEEP") is None:
            shutil.rmtree(self.dir, ignore_errors=True)

    def add(self, kind, number, lines):
        base = self.dir / f"{kind}{number}"
        base.mkdir()
        conf = self.dir / f"{kind}{number}.conf"
        conf.write_text(f"bind_addr={self.net}.{number}\nbase_path={base}\n{lines}")
        return Process(self.binary, kind, conf, self.dir / f"{kind}{number}.out")

    def tracker(self, number, lines=""):
        process = self.add("tracker", number, f"port=22122\nreserved_storage_space=0MB\n{lines}")
        self.trackers[number] = process
        process.start()
        address = self.tracker_at(number)
        until("the tracker answers", 10, lambda: call(address, 111)[0] == 0)
        return address

    def storage(self, number, lines="", start=True):
        servers = "".join(f"tracker_server={self.net}.{tracker}:22122\n" for tracker in self.trackers)
        base = self.dir / f"storage{number}"
        process = self.add(
            "storage",
            number,
            f"group_name=group1\nport=23000\nstore_path0={base}/path0\nheart_beat_interval={self.beat}\n"
            f"stat_report_interval=10\nsubdir_count_per_path=16\nthread_stack_size=512KB\nlog_level=warn\n{servers}{lines}",
        )
        (base / "path0").mkdir()
        self.storages[number] = process
        if start:
            process.start()
        return process

    def tracker_at(self, number):
        return (f"{self.net}.{number}", 22122)

    def storage_at(self, number):
        return (f"{self.net}.{number}", 23000)

    def is_listed(self, storage, status, tracker=None):
        """Whether a tracker, or each that runs, lists a storage with this status."""
        running = [number for number, process in self.trackers.items() if process.process]
        trackers = running if tracker is None else [tracker]
        return all(status_of(self.tracker_at(one), f"{self.net}.{storage}") == status for one in trackers)

    def files(self, storage):
        """Normal files in the store path of a storage."""
        count = 0
        for high in (self.dir / f"storage{storage}" / "path0" / "data").iterdir():
            if high.is_dir() and len(high.name) == 2:
                for low in high.iterdir():
                    if low.is_dir():
                        count += sum(1 for name in os.scandir(low) if not name.name.endswith(".tmp"))
        return count

    def upload(self, storage, content, count, connections=16):
        """Stores `count` files of this content over some connections."""
        import threading

        request = struct.pack(">QBB", 15 + len(content), 11, 0)
        request += b"\xff" + struct.pack(">Q", len(content)) + b"bin\0\0\0" + content
        shares = [count // connections + (one < count % connections) for one in range(connections)]
        failures = []

        def work(share):
            try:
                with socket.create_connection(self.storage_at(storage), 30) as stream:
                    for _ in range(share):
                        stream.sendall(request)
                        length, _, status = struct.unpack(">QBB", read(stream, 10))
                        read(stream, length)
                        if status != 0:
                            raise OSError(f"upload refused with status {status}")
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(share,)) for share in shares if share]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise SystemExit(f"uploads failed: {failures[0]}")
