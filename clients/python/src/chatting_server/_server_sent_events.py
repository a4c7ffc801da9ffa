"""Server-sent events, as the HTML standard parses them, from a stream of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """An event with data."""

    event: str
    id: str | None
    data: str
    retry: int | None


def blocks(lines: Iterable[bytes]) -> Iterator[Block]:
    """The events. One that the stream breaks off in is dropped."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            retry = fields.get("retry", [""])[-1]
            yield Block(
                event=fields.get("event", ["message"])[-1],
                id=fields["id"][-1] if "id" in fields else None,
                data="\n".join(fields["data"]),
                retry=int(retry) if retry.isdigit() else None,
            )
        fields = {}
