#!/usr/bin/env python3
"""Writes what was captured from the original as seeds: seeds.py FOLDER makes FOLDER/TARGET/N.

Those that nobody captured lie in seeds/.
"""

import json
import pathlib
import sys
from urllib.parse import urlsplit

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"


def captured(name):
    return json.loads((VECTORS / name).read_text())


def wire():
    """Requests as they came; answers behind the number of the command."""
    for name in ["wire-client.json", "wire-storage-sync.json", "wire-tracker-cluster.json"]:
        for exchange in captured(name):
            request = bytes.fromhex(exchange.get("request_hex") or "")
            answer = bytes.fromhex(exchange.get("response_hex") or "")
            for family in ["storage", "tracker", "cluster", "sync", "ours"]:
                yield f"request_{family}", request
            if len(request) >= 10 and len(answer) > 10 and answer[9] == 0:
                for family in ["storage", "tracker", "cluster"]:
                    yield f"answer_{family}", request[8:9] + answer[10:]


def words():
    for row in captured("file-ids.json")["vectors"]:
        yield "words", row["file_id"].encode()
    yield "words", b"width\x021024\x01height\x02768"
    yield "words", b"[192.168.1.1,fd00::2]:9"


def http():
    for row in captured("http.json"):
        url = urlsplit(row.get("url") or "")
        target = url.path + ("?" + url.query if url.query else "")
        headers = [f"{name}: {value}" for name, value in row.get("request_headers") or []]
        yield "http_request", "\n".join([f"{row['method']} {target}", *headers]).encode()


def files():
    for folder, targets in [("storage", ["binlog", "storage_files"]), ("tracker", ["tracker_files"])]:
        for path in (VECTORS / "disk" / folder).rglob("*"):
            if path.is_file() and path.stat().st_size < 16384:
                for target in targets:
                    yield target, path.read_bytes()


def main(folder):
    for family in [wire, words, http, files]:
        for number, (target, seed) in enumerate(sorted(set(family()))):
            (folder / target).mkdir(parents=True, exist_ok=True)
            (folder / target / f"{family.__name__}-{number}").write_bytes(seed)


main(pathlib.Path(sys.argv[1]))
