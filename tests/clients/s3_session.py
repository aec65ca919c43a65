"""10,000 mixed requests of boto3 on one connection; the endpoint is $FDFS_S3, its metrics at $FDFS_METRICS.

A stall that is ours (a wait for an acknowledgement, for 100-continue, for a body nobody reads, for a lock held over a disk)
comes with the kind of request that causes it, again and again; one of a busy machine comes now and then, whatever is asked.
So of each 1,000 requests no kind may take longer than 100 ms in half of its cases, and none 10 s; and all of them go over
one connection."""

import os
import statistics
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
            times[number % KINDS].append(time.monotonic() - begin)
        medians = [statistics.median(kind) for kind in times]
        longest = max(map(max, times))
        assert max(medians) < 0.1 and longest < 10, f"medians {medians}, longest {longest}"


@step("all on one connection")
def _():
    same(connections(), before)
