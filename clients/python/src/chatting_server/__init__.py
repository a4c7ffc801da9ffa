"""A client for chatting-server: `Ingest` posts and moderates, `read_room` follows a room, `Archive` is searched.

Each role of the server has its own address. Everything here needs Python's standard library only, and may be shared by
threads, except for iterators and readers.
"""

from .archive import Archive
from .errors import ChattingError, RateLimited, Refused, Unavailable
from .exports import Export
from .gateway import ForwardedUser, Gateway
from .ingest import Ingest
from .reader import Reader, read_room

__all__ = [
    "Archive",
    "ChattingError",
    "Export",
    "ForwardedUser",
    "Gateway",
    "Ingest",
    "RateLimited",
    "Reader",
    "Refused",
    "Unavailable",
    "read_room",
]
__version__ = "0.1.0"
