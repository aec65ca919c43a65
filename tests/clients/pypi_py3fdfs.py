"""Drives PyPI `py3Fdfs` through its whole API; the tracker is $FDFS_TRACKER (ip:port)."""

import os

from fdfs_client.client import Fdfs_client, get_tracker_conf

from python_family import drive
from python_steps import Steps, same

host, port = os.environ["FDFS_TRACKER"].rsplit(":", 1)
step = Steps()


@step("get_tracker_conf")
def _():
    path = step.file("client.conf", f"connect_timeout=10\ntracker_server={host}:{port}\n".encode())
    trackers = get_tracker_conf(path)
    same((trackers["host_tuple"], trackers["port"]), ((host,), int(port)))


drive(
    lambda: Fdfs_client({"host_tuple": (host,), "port": int(port), "timeout": 5, "name": "Tracker Pool"}),
    os.environ["FDFS_GROUP"],
)
