"""10,000 mixed requests of boto3 on one connection; the endpoint is $FDFS_S3, its metrics at $FDFS_METRICS.

No request may take longer than 100 ms, but for what the machine takes: two processes beside this one, which do nothing but
send each other a byte, and sync a small file, write down when that was late. A request passes a few threads that have to be
woken and a disk, so it may be late by ten times as much as they were within a second of it. On an idle machine they never are. Beside
that no kind of request may take longer than 100 ms in half of its cases, of each 1,000, and none 10 s whatever the machine
does; and all of them go over one connection."""

import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from python_steps import Steps, content, same

BUCKET = "session-bucket"
ROUNDS = 10
REQUESTS = 1_000
KINDS = 10
client = boto3.client(
    "s3",
    endpoint_url=os.environ["FDFS_S3"],
    region_name="us-east-1",
    config=Config(
        s3={"addressing_style": "path"}, retries={"max_attempts": 0}, max_pool_connections=1, read_timeout=30
    ),
)
step = Steps(limit=120)
small, middle = content("small", 1_000), content("middle", 70_000)


def connections():
    """How many connections the S3 server has accepted."""
    with urllib.request.urlopen(os.environ["FDFS_METRICS"], timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    name = 'fdfs_connections_accepted_total{server="s3"}'
    return int(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(name)))


def missing(call):
    try:
        call()
    except ClientError as error:
        same(error.response["ResponseMetadata"]["HTTPStatusCode"], 404)
    else:
        raise AssertionError("not missing")


def request(number):
    """One request, of another kind each time."""
    key, here = f"key-{number % 50}", {"Bucket": BUCKET}
    match number % KINDS:
        case 0:
            client.put_object(**here, Key=key, Body=small)
        case 1:
            client.put_object(**here, Key=key, Body=middle)
        case 2:
            same(len(client.get_object(**here, Key="always")["Body"].read()), len(middle))
        case 3:
            client.head_object(**here, Key="always")
        case 4:
            same(client.get_object(**here, Key="always", Range="bytes=10-19")["Body"].read(), middle[10:20])
        case 5:
            client.list_objects_v2(**here, MaxKeys=20)
        case 6:
            client.delete_object(**here, Key=key)
        case 7:
            missing(lambda: client.get_object(**here, Key="never"))
        case 8:
            client.put_object(**here, Key="empty", Body=b"")
        case 9:
            client.copy_object(**here, Key="copy", CopySource=f"{BUCKET}/always")


def echo(side):
    while side.recv(1):
        side.send(b"x")


def watch(side, lates):
    """Writes down begin and length of what should have taken no time."""
    with tempfile.TemporaryFile() as file:
        while True:
            begin = time.monotonic()
            time.sleep(0.005)
            side.send(b"x")
            side.recv(1)
            file.seek(0)
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            late = time.monotonic() - begin - 0.015
            if late > 0:
                lates.send((begin, begin + 0.015 + late, late))


def excess(begin, end):
    """By how much a request was later than the machine explains."""
    late = sum(late for since, until, late in known if since < end + NEAR and until > begin - NEAR)
    return end - begin - LIMIT - 10 * late


LIMIT, NEAR = 0.1, 1.0
one, other = socket.socketpair()
lates, written = multiprocessing.Pipe(duplex=False)
for work in [multiprocessing.Process(target=echo, args=(other,)), multiprocessing.Process(target=watch, args=(one, written))]:
    work.daemon = True
    work.start()
known, slow, longest = [], [], 0.0

client.create_bucket(Bucket=BUCKET)
client.put_object(Bucket=BUCKET, Key="always", Body=middle)
before = connections()

for index in range(ROUNDS):

    @step(f"requests {index * REQUESTS} to {(index + 1) * REQUESTS}")
    def _():
        times = [[] for _ in range(KINDS)]
        for number in range(REQUESTS):
            begin = time.monotonic()
            request(number)
            end = time.monotonic()
            while lates.poll():
                known.append(lates.recv())
            times[number % KINDS].append(end - begin)
            if end - begin > LIMIT:
                slow.append((begin, end, number % KINDS))
        global longest
        medians = [statistics.median(kind) for kind in times]
        longest = max(longest, *map(max, times))
        assert max(medians) < LIMIT and longest < 10, f"medians {medians}, longest {longest}"


@step("no request stalls by itself")
def _():
    # What was late at the end is written down a moment later.
    time.sleep(0.5)
    while lates.poll():
        known.append(lates.recv())
    stalls = [(kind, end - begin) for begin, end, kind in slow if excess(begin, end) > 0]
    print(f"longest {longest * 1e3:.1f} ms, {len(slow)} over 100 ms, of which {len(stalls)} by themselves", file=sys.stderr)
    assert not stalls, f"kinds and seconds: {stalls}; the machine was late {len(known)} times"


@step("all on one connection")
def _():
    same(connections(), before)
