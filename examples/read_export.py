#!/usr/bin/env python3
"""Streams the export of a room, goes on after a broken connection, and prints a summary.

Shows how to read an NDJSON export of any size with constant memory, how to tell a complete file from a truncated one,
and how to resume. It needs only Python's standard library. Start `chatting-server dev`, play something, then:

    chatting-server dev play samples/evening.ndjson --speed 10
    TOKEN=$(chatting-server token --user 1 --nickname presenter1) python3 examples/read_export.py --room 1

`--break-after 100` drops the connection after 100 messages, to show that nothing is missing or doubled afterwards.
"""

import argparse
import collections
import datetime
import http.client
import json
import os
import sys
import time
import urllib.parse

# A room comes in the order of the log, and times are of the ingest nodes' clocks. The archive keeps every time within
# 2 s after and 8 s before the message was stored, so a message is at most 10 s older than any message before it.
OVERLAP = datetime.timedelta(seconds=10)

ATTEMPTS = 5


class Broken(Exception):
    """The file is truncated. Everything received so far is good."""


def time_of(message):
    return datetime.datetime.fromisoformat(message["sentAt"].replace("Z", "+00:00"))


def stream(archiver, room, token, since, break_after):
    """Yields the lines of one export, parsed. Raises Broken where the file ends too early."""
    url = urllib.parse.urlsplit(archiver)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    query = {"format": "ndjson"}
    if since is not None:
        query["from"] = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    connection = kind(url.netloc, timeout=60)
    try:
        path = f"/v1/rooms/{room}/export?{urllib.parse.urlencode(query)}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        if answer.status != 200:
            problem = json.loads(answer.read() or b"{}")
            text = f"{answer.status} {problem.get('code')}: {problem.get('detail')}"
            if answer.status == 503:
                raise Broken(text)
            sys.exit(text)
        if answer.headers.get("Archive-Gaps"):
            print(f"incomplete: the archive misses some messages of this time: {answer.headers['Archive-Gaps']}")
        for count, line in enumerate(answer, 1):
            if not line.endswith(b"\n"):
                raise Broken("the last line is truncated")
            yield json.loads(line)
            if count == break_after:
                raise Broken("the connection was dropped (on purpose)")
    except (OSError, http.client.HTTPException) as error:
        # The file is complete only if the response ends as HTTP says. A truncated chunk raises IncompleteRead.
        raise Broken(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def messages(archiver, room, token, break_after):
    """Yields every message once, across broken connections."""
    latest = None
    # The ids of the last seconds: what comes again after a resume.
    recent = collections.OrderedDict()
    failures = 0
    while True:
        try:
            since = latest - OVERLAP if latest else None
            for message in stream(archiver, room, token, since, break_after):
                # A line of a gap has no id.
                if "id" not in message or message["id"] in recent:
                    continue
                failures = 0
                sent_at = time_of(message)
                latest = max(latest or sent_at, sent_at)
                recent[message["id"]] = sent_at
                while recent and next(iter(recent.values())) < latest - 2 * OVERLAP:
                    recent.popitem(last=False)
                yield message
            return
        except Broken as broken:
            failures += 1
            if failures > ATTEMPTS:
                sys.exit(f"gave up: {broken}")
            wait = min(10, 0.5 * 2**failures)
            print(f"broken: {broken}; going on in {wait:.0f} s from {latest - OVERLAP if latest else 'the start'}")
            break_after = None
            time.sleep(wait)


def main():
    arguments = argparse.ArgumentParser(description="Streams the export of a room and prints a summary.")
    arguments.add_argument("--archiver", default="http://127.0.0.1:8082")
    arguments.add_argument("--room", type=int, default=1)
    arguments.add_argument("--break-after", type=int, metavar="N", help="drop the connection after N messages")
    given = arguments.parse_args()
    token = os.environ.get("TOKEN")
    if not token:
        sys.exit("TOKEN is not set: TOKEN=$(chatting-server token --user 1)")

    count, characters = 0, 0
    writers, flags = collections.Counter(), collections.Counter()
    first = last = None
    for message in messages(given.archiver, given.room, token, given.break_after):
        count += 1
        characters += len(message["text"])
        writers[message["user"]["nickname"]] += 1
        flags.update(message["flags"])
        first = first or message["sentAt"]
        last = message["sentAt"]
    print(f"room {given.room}: {count} messages of {len(writers)} writers, {characters} characters")
    if count:
        print(f"from {first} to {last}")
        print("wrote most: " + ", ".join(f"{name} ({number})" for name, number in writers.most_common(3)))
        print("flags: " + (", ".join(f"{name} ({number})" for name, number in flags.most_common()) or "none"))


if __name__ == "__main__":
    main()
