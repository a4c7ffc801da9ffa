#!/usr/bin/env python3
"""Streams the export of a room, goes on after a broken connection, and prints a summary.

Shows how the Python client reads an export of any size with constant memory. Start `chatting-server dev`, play
something, then:

    chatting-server dev play samples/evening.ndjson --speed 10
    TOKEN=$(chatting-server token --user 1 --nickname presenter1) python3 examples/read_export.py --room 1

`--break-after 100` drops the connection after 100 messages, to show that nothing is missing or doubled afterwards.
"""

import argparse
import collections
import http.client
import os
import pathlib
import sys
import urllib.parse

# The package as it is in the tree. A program of your own installs it: clients/python/README.md.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python/src"))

from chatting_server import Archive, ChattingError  # noqa: E402


class Breaks(http.client.HTTPResponse):
    """An answer whose connection is dropped, once, after so many lines."""

    lines_left = None

    def read1(self, n=-1):
        content = super().read1(min(n, 4096))
        if Breaks.lines_left is not None:
            Breaks.lines_left -= content.count(b"\n")
            if Breaks.lines_left <= 0:
                Breaks.lines_left = None
                raise ConnectionError("the connection was dropped (on purpose)")
        return content


class Connection(http.client.HTTPConnection):
    response_class = Breaks


def main():
    arguments = argparse.ArgumentParser(description="Streams the export of a room and prints a summary.")
    arguments.add_argument("--archiver", default="http://127.0.0.1:8082")
    arguments.add_argument("--room", type=int, default=1)
    arguments.add_argument("--break-after", type=int, metavar="N", help="drop the connection after about N messages")
    given = arguments.parse_args()
    token = os.environ.get("TOKEN")
    if not token:
        sys.exit("TOKEN is not set: TOKEN=$(chatting-server token --user 1)")

    Breaks.lines_left = given.break_after
    archive = Archive(
        given.archiver,
        token,
        on_retry=lambda error, wait_s: print(f"broken: {error}; going on in {wait_s:.1f} s"),
        connect=lambda: Connection(urllib.parse.urlsplit(given.archiver).netloc, timeout=60),
    )
    export = archive.export(given.room)
    count, characters = 0, 0
    writers, flags = collections.Counter(), collections.Counter()
    first = last = None
    try:
        for message in export:
            count += 1
            characters += len(message["text"])
            writers[message["user"]["nickname"]] += 1
            flags.update(message["flags"])
            first = first or message["sentAt"]
            last = message["sentAt"]
    except ChattingError as error:
        sys.exit(f"gave up: {error}")
    for gap in export.gaps:
        print(f"incomplete: {gap['batches']} batches left the log before they were archived")
    print(f"room {given.room}: {count} messages of {len(writers)} writers, {characters} characters")
    if count:
        print(f"from {first} to {last}")
        print("wrote most: " + ", ".join(f"{name} ({number})" for name, number in writers.most_common(3)))
        print("flags: " + (", ".join(f"{name} ({number})" for name, number in flags.most_common()) or "none"))


if __name__ == "__main__":
    main()
