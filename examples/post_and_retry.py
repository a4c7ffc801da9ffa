#!/usr/bin/env python3
"""Posts one message, loses the answer on purpose, and retries: it stays one message.

Shows what the Python client does when an answer is lost, and how a program hears of it. Start `chatting-server dev`, then:

    export TOKEN=$(chatting-server token --user 42 --nickname viewer42)
    python3 examples/post_and_retry.py --room 1 "hello"

Kill ingest while it runs (the page of `chatting-server dev` has a button), and the message still arrives once.
"""

import argparse
import http.client
import json
import os
import pathlib
import sys
import urllib.parse
import uuid

# The package as it is in the tree. A program of your own installs it: clients/python/README.md.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python/src"))

from chatting_server import ChattingError, Ingest  # noqa: E402


class LosesTheFirstAnswer(http.client.HTTPConnection):
    """The server has taken the request. This is what a broken network or a restarted gateway looks like from here."""

    has_lost = False

    def getresponse(self):
        response = super().getresponse()
        if not LosesTheFirstAnswer.has_lost:
            LosesTheFirstAnswer.has_lost = True
            raise ConnectionError("the answer was lost (on purpose)")
        return response


def main():
    arguments = argparse.ArgumentParser(description="Posts one message, loses the answer on purpose, and retries.")
    arguments.add_argument("text", nargs="?", default="hello")
    arguments.add_argument("--ingest", default="http://127.0.0.1:8080")
    arguments.add_argument("--room", type=int, default=1)
    given = arguments.parse_args()
    token = os.environ.get("TOKEN")
    if not token:
        sys.exit("TOKEN is not set: TOKEN=$(chatting-server token --user 42)")

    attempt = 1

    def on_retry(error, wait_s):
        nonlocal attempt
        print(f"attempt {attempt}: {error}\n  retry in {wait_s:.1f} s under the same key")
        attempt += 1

    address = urllib.parse.urlsplit(given.ingest).netloc
    connect = lambda: LosesTheFirstAnswer(address, timeout=30)  # noqa: E731
    ingest = Ingest(given.ingest, token, on_retry=on_retry, connect=connect)
    # The client makes a key up for each message. A program that may itself be restarted keeps it with the message.
    key = str(uuid.uuid4())
    print(f"Idempotency-Key: {key}")
    try:
        posted = ingest.post(given.room, given.text, idempotency_key=key)
        print(f"attempt {attempt}: 202 {json.dumps(posted)}")
        found = ingest.look_up(given.room, key)
    except ChattingError as error:
        sys.exit(f"gave up: {error}")
    print(f"stored under the key: {json.dumps(found)}")
    is_one = found == {"id": posted["id"], "position": posted["position"]}
    print("one message" if is_one else "the answers differ")
    sys.exit(0 if is_one else 1)


if __name__ == "__main__":
    main()
