"""What the documents say in words only: which texts may be said or looked for, that they are trimmed, that a key names
one request, that a cursor comes from the page before, and how long a time has statistics."""

import datetime
import json
import re
import urllib.parse
import uuid

import schemathesis
from hypothesis import strategies as st

# Letters, numbers, punctuation and symbols of every script, but for those that are blank.
visible = st.characters(categories=("L", "N", "P", "S"), exclude_characters="\u115f\u1160\u3164\uffa0\u2800\U0001d159\U00013441\U00013442")

schemathesis.openapi.format("chat-text", st.text(visible, min_size=1, max_size=500))
# All of a room's words have 8 KB together: 200 of 10 characters of at most 4 bytes.
schemathesis.openapi.format("chat-word", st.text(visible, min_size=1, max_size=10))
schemathesis.openapi.format("chat-search", st.text(visible, min_size=1, max_size=100))
schemathesis.openapi.format("chat-attribute", st.text(visible, max_size=20))
# None can be made up; without one a list begins at its beginning. That a wrong one is refused is tested by hand.
schemathesis.openapi.format("chat-cursor", st.just(""))


def is_padded(value):
    """Too long as the schema counts, and not once it is trimmed."""
    if isinstance(value, dict):
        return any(is_padded(member) for member in value.values())
    if isinstance(value, list):
        return any(is_padded(item) for item in value)
    return isinstance(value, str) and len(value) > 50 and value != value.strip()


def has_large_attributes(body):
    """Within the bounds of each member, and not of all together."""
    attributes = body.get("attributes") if isinstance(body, dict) else None
    return attributes is not None and len(json.dumps(attributes, ensure_ascii=False).encode(errors="replace")) > 1_000


def has_similarity_alone(body):
    """A similarity needs the texts to which a message's has to be similar."""
    rule = body.get("rule") if isinstance(body, dict) else None
    return isinstance(rule, dict) and "similarity" in rule and "texts" not in rule


def has_forward_alone(body):
    """What becomes of later posts needs the seconds for which it does."""
    if not isinstance(body, dict) or "rule" not in body:
        return False
    return body.get("forward") is not None and body.get("secondsForward") is None


def has_large_float(value):
    """A user's number may be written as 7.0, and then is less than 2^52: beyond, a parser may be off by one."""
    if isinstance(value, dict):
        return any(has_large_float(member) for member in value.values())
    if isinstance(value, list):
        return any(has_large_float(item) for item in value)
    return isinstance(value, float) and abs(value) >= 2**52


def has_list(attributes):
    return isinstance(attributes, dict) and any(isinstance(value, list) for value in attributes.values())


def is_emote(emote):
    if not isinstance(emote, dict) or not isinstance(emote.get("id"), str):
        return False
    places = [emote.get("start"), emote.get("end")]
    is_place = all(isinstance(place, int) and not isinstance(place, bool) and place >= 0 for place in places)
    return is_place and re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", emote["id"]) is not None


def has_emotes_elsewhere(body):
    """Emotes as the schema has them, and not of this text."""
    emotes, text = (body.get("emotes"), body.get("text")) if isinstance(body, dict) else (None, None)
    if not isinstance(text, str) or not isinstance(emotes, list) or not all(map(is_emote, emotes)):
        return False
    end = 0
    for emote in sorted(emotes, key=lambda emote: emote["start"]):
        covered = text[emote["start"] : emote["end"]]
        is_within = end <= emote["start"] < emote["end"] <= len(text)
        if not is_within or any(map(str.isspace, covered)):
            return True
        end = emote["end"]
    return False


@schemathesis.hook
def map_body(context, body):
    """Moves emotes into the text: the schema cannot say where one is. Every text begins with a visible character."""
    emotes = body.get("emotes") if isinstance(body, dict) else None
    if isinstance(emotes, list) and len(emotes) <= 100 and all(map(is_emote, emotes)):
        body["emotes"] = [{**emote, "start": 0, "end": 1} for emote in emotes[:1]]
    return body


@schemathesis.hook
def filter_case(context, case):
    """Leaves out what the schema allows and words forbid, and a change to what is in an attribute's list where no
    attribute is a list: it violates nothing."""
    if has_similarity_alone(case.body) or has_forward_alone(case.body) or has_emotes_elsewhere(case.body):
        return False
    location = getattr(case.meta.phase.data, "location", None) if case.meta else None
    if not location or "/attributes/" not in location or not location.endswith("/items"):
        return True
    return isinstance(case.body, dict) and has_list(case.body.get("attributes"))


@schemathesis.hook
def filter_body(context, body):
    is_beyond = is_padded(body) or has_large_attributes(body) or has_large_float(body)
    return not is_beyond and not has_similarity_alone(body) and not has_forward_alone(body)


@schemathesis.hook
def filter_query(context, query):
    # The head of a request has at most 32 KB; a longer one gets 431 before it is read.
    return not is_padded(query) and len(urllib.parse.urlencode(query or {}, doseq=True, errors="replace")) < 24_000


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = key[: 255 - 32] + uuid.uuid4().hex


@schemathesis.hook
def map_query(context, query):
    """Makes the time of a statistic, where it is one, short enough; and so short that any buckets fit into it."""
    if query and "/statistics" in context.operation.path and is_time(query.get("from")) and is_time(query.get("to")):
        query["to"] = query["from"][:11] + "23:59:59.5Z"
        query["from"] = query["from"][:11] + "23:00:00Z"
    return query


def is_time(value):
    try:
        return isinstance(value, str) and bool(datetime.datetime.fromisoformat(value))
    except ValueError:
        return False
