"""Drives PyPI `fastdfs-client` through its whole API; the tracker is $FDFS_TRACKER (ip:port).

This client reads 46-byte address fields only.
"""

import asyncio
import os

from fastdfs_client import AsyncDfsClient, FastdfsClient
from fastdfs_client.client import get_tracker_conf

from python_family import drive
from python_steps import Steps, content, same

host, port = os.environ["FDFS_TRACKER"].rsplit(":", 1)
trackers = {"host_tuple": (host,), "port": int(port), "timeout": 5, "name": "Tracker Pool"}
step = Steps()


@step("get_tracker_conf")
def _():
    path = step.file("client.conf", f"connect_timeout=10\ntracker_server={host}:{port}\n".encode())
    found = get_tracker_conf(path)
    same((found["host_tuple"], found["port"]), ((host,), int(port)))


drive(lambda: FastdfsClient(trackers), os.environ["FDFS_GROUP"])


@step("upload_as_url")
def _():
    client, data = FastdfsClient(trackers), content("url", 4096)
    url = client.upload_as_url(data, "jpg")
    server, remote = url.removeprefix("http://").split("/", 1)
    same(server, host)
    same(bytes(client.download_to_buffer(remote)["Content"]), data)


@step("AsyncDfsClient upload and delete")
def _():
    async def run():
        client, data = AsyncDfsClient(trackers), content("async", 100_000)
        url = await client.upload(data, ".jpg")
        remote = url.removeprefix("http://").split("/", 1)[1]
        same(bytes(FastdfsClient(trackers).download_to_buffer(remote)["Content"]), data)
        await client.delete(url)

    asyncio.run(run())
