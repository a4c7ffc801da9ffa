#!/usr/bin/env python3
"""Posts one message, loses the answer on purpose, and retries: it stays one message.

Shows how a client of ingest uses an Idempotency-Key, which answers to retry, and how long to wait before each retry.
It needs only Python's standard library. Start `chatting-server dev`, then:

    export TOKEN=$(chatting-server token --user 42 --nickname viewer42)
    python3 examples/post_and_retry.py --room 1 "hello"

Kill ingest while it runs (the page of `chatting-server dev` has a button), and the message still arrives once.
"""

import argparse
import http.client
import json
import os
import random
import sys
import time
import urllib.parse
import uuid

# Ingest answers a post within 25 s (ingest.http.request_timeout). A longer silence is a lost answer.
ANSWER_TIMEOUT_S = 30

# The server remembers a key for at least 10 minutes (ingest.idempotency). A later retry is a second message.
GIVE_UP_AFTER_S = 9 * 60

BACKOFF_FIRST_S = 0.25
BACKOFF_MOST_S = 10


def request(base, method, path, headers, body=None, lose_the_answer=False):
    """Sends one request. Returns the status, the headers and the parsed body, or raises OSError or HTTPException."""
    url = urllib.parse.urlsplit(base)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request(method, path, body, headers)
        if lose_the_answer:
            # The server has the request. This is what a broken network or a restarted gateway looks like from here.
            time.sleep(0.2)
            raise ConnectionError("the answer was lost (on purpose)")
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, answer.headers, json.loads(content) if content else {}
    finally:
        connection.close()


def post(ingest, room, token, text, key, lose_the_first_answer):
    """Posts until the outcome is known. Returns the body of the 202, or raises RuntimeError for a final refusal."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key}
    body = json.dumps({"text": text}).encode()
    started = time.monotonic()
    attempt = 0
    while True:
        attempt += 1
        # Full jitter: many clients that failed together do not come back together.
        wait = random.uniform(0, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2**attempt))
        try:
            lose = lose_the_first_answer and attempt == 1
            status, answer_headers, answer = request(
                ingest, "POST", f"/v1/rooms/{room}/messages", headers, body, lose
            )
        except (OSError, http.client.HTTPException) as error:
            # No answer: the message may be stored or not. The same key makes the retry safe.
            print(f"attempt {attempt}: {error}")
        else:
            if status == 202:
                print(f"attempt {attempt}: 202 {json.dumps(answer)}")
                return answer
            outcome = f", outcome {answer['outcome']}" if "outcome" in answer else ""
            print(f"attempt {attempt}: {status} {answer.get('code')}{outcome}: {answer.get('detail')}")
            # 5xx: try again. 408: the body came too slowly. 429: too many messages, Retry-After says when.
            if status < 500 and status not in (408, 429):
                raise RuntimeError(f"refused for good: {answer.get('code')}")
            wait = max(wait, float(answer_headers.get("Retry-After", 0)))
        if time.monotonic() - started + wait > GIVE_UP_AFTER_S:
            raise RuntimeError("gave up: after 10 minutes the key may be forgotten")
        print(f"  retry in {wait:.1f} s under the same key")
        time.sleep(wait)


def main():
    arguments = argparse.ArgumentParser(description="Posts one message, loses the answer on purpose, and retries.")
    arguments.add_argument("text", nargs="?", default="hello")
    arguments.add_argument("--ingest", default="http://127.0.0.1:8080")
    arguments.add_argument("--room", type=int, default=1)
    arguments.add_argument("--keep-first-answer", action="store_true", help="do not lose the first answer")
    given = arguments.parse_args()
    token = os.environ.get("TOKEN")
    if not token:
        sys.exit("TOKEN is not set: TOKEN=$(chatting-server token --user 42)")

    # One key for each message, made up before the first attempt and kept for all of its retries.
    key = str(uuid.uuid4())
    print(f"Idempotency-Key: {key}")
    try:
        posted = post(given.ingest, given.room, token, given.text, key, not given.keep_first_answer)
    except RuntimeError as error:
        sys.exit(str(error))

    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    status, _, found = request(given.ingest, "GET", f"/v1/rooms/{given.room}/requests", headers)
    print(f"stored under the key: {status} {json.dumps(found)}")
    is_one = status == 200 and found["id"] == posted["id"] and found["position"] == posted["position"]
    print("one message" if is_one else "the answers differ")
    sys.exit(0 if is_one else 1)


if __name__ == "__main__":
    main()
