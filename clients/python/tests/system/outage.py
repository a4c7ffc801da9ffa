"""Posts to room 2 and reads it, while the tests end and start ingest and delivery: `cargo test --test it clients::`.

It prints a line for each message that is stored, and at the end what was read.
"""

from __future__ import annotations

import os
import sys
from threading import Thread

from test_system import token

from chatting_server import Ingest, read_room

MESSAGES = 300

read: list[str] = []
reader = read_room(os.environ["CHATTING_DELIVERY"], 2, token(2), from_="window")


def follow() -> None:
    for event in reader:
        read.append(str(event.get("id", event["type"])))
        if len(read) == MESSAGES:
            return


thread = Thread(target=follow)
thread.start()
ingest = Ingest(os.environ["CHATTING_INGEST"], token(42))
posted = []
for number in range(MESSAGES):
    posted.append(ingest.post(2, f"message {number}")["id"])
    print(f"stored {number + 1}", flush=True)
thread.join()
if read != posted:
    sys.exit(f"posted {posted}, read {read}")
print("each message once and in order")
