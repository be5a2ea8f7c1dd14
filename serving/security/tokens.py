"""Bearer tokens from a file: who they belong to and what they allow.

A line is `NAME ROLE TOKEN`, where TOKEN is the token itself or `sha256:` and its hash in hex; `#`
begins a comment. Only hashes are kept. The file is read again when it changes; one that is wrong
changes nothing. No token is ever in a message: errors name the line. Called by the guard.
"""

import hashlib
import hmac
import logging
import re
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from riverrun.errors import InvalidValue
from serving.security.file_stamps import stamp_of
from serving.security.roles import ROLES, Role

FIELD = "serving.tokens_file"
MIN_CHARACTERS = 16
LOOK_INTERVAL_S = 1.0
"""Between two looks at the file: a call must not wait for a disk."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom a token belongs to, and his role."""

    name: str
    role: Role


class Tokens:
    """The tokens of one file, as it is now; from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        look_interval_s: float = LOOK_INTERVAL_S,
        on_reload: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """
        on_reload: told, after each change of the file, whether it was taken.

        Raises:
            InvalidValue: a file that cannot be read, or a line in it that is wrong.
        """
        self._path = path
        self._look_interval_s = look_interval_s
        self._on_reload = on_reload
        self._lock = threading.Lock()
        self._stamp = stamp_of([path])
        self._looked_at = time.monotonic()
        self._entries = _entries(path)

    def find(self, token: str) -> Grant | None:
        """Whose `token` is; None for one that is nobody's.

        Takes the same time wherever in the file it stands: hashes are compared, all of them.
        """
        self._look()
        given = hashlib.sha256(token.encode()).digest()
        found: Grant | None = None
        for digest, grant in self._entries:
            if hmac.compare_digest(digest, given):
                found = grant
        return found

    def _look(self) -> None:
        """Read the file again if it changed."""
        now = time.monotonic()
        if now - self._looked_at < self._look_interval_s:
            return
        with self._lock:
            self._looked_at = now
            stamp = stamp_of([self._path])
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._entries = _entries(self._path)
            except InvalidValue as error:
                log.error("tokens stay as they were: %s", error)
                self._on_reload(False)
            else:
                log.info("%d tokens, read again from %s", len(self._entries), self._path)
                self._on_reload(True)


Entries = tuple[tuple[bytes, Grant], ...]


def _entries(path: Path) -> Entries:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        mode = path.stat().st_mode
    except UnicodeDecodeError:
        raise InvalidValue(FIELD, str(path), "a file of UTF-8 text") from None
    except OSError as error:
        raise InvalidValue(FIELD, str(path), f"a file of tokens ({error.strerror})") from error
    entries: dict[bytes, Grant] = {}
    is_plain = False
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        digest, grant = _entry(f"{path}, line {number}", words)
        if digest in entries:
            raise InvalidValue(FIELD, f"{path}, line {number}", "another token than every other")
        entries[digest] = grant
        is_plain = is_plain or not _HASH.fullmatch(words[2])
    if not entries:
        raise InvalidValue(FIELD, str(path), "at least one line `NAME ROLE TOKEN`")
    if is_plain and mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("%s holds tokens in plain text that others can read: chmod 600 it", path)
    return tuple(entries.items())


def _entry(place: str, words: list[str]) -> tuple[bytes, Grant]:
    """Never quotes a word of the line: any of them may be a token in the wrong column."""
    if len(words) != 3:
        raise InvalidValue(FIELD, place, f"`NAME ROLE TOKEN`, three words (it has {len(words)})")
    name, role, token = words
    if not _NAME.fullmatch(name):
        raise InvalidValue(FIELD, place, "a name of 1 to 64 of A-Z a-z 0-9 . _ -")
    known: Role | None = next((one for one in ROLES if one == role), None)
    if known is None:
        raise InvalidValue(FIELD, place, f"a role: {', '.join(ROLES)}")
    hashed = _HASH.fullmatch(token)
    if hashed is not None:
        return bytes.fromhex(hashed[1]), Grant(name, known)
    if token.startswith("sha256:") or len(token) < MIN_CHARACTERS or not token.isascii():
        allowed = f"a token of at least {MIN_CHARACTERS} ASCII characters, or sha256: and 64 digits"
        raise InvalidValue(FIELD, place, allowed)
    return hashlib.sha256(token.encode()).digest(), Grant(name, known)
