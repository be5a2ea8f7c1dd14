"""A JSON body, field by field: each is asked for with its type, and none is left unasked.

Called by `serving/http/requests.py`.
"""

from typing import Any

import msgspec

from riverrun.errors import InvalidValue


def parsed(body: bytes) -> dict[str, Any]:
    """
    Raises:
        InvalidValue: no JSON object.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue("body", f"{len(body)} bytes", f"a JSON object ({error})") from error
    if not isinstance(value, dict):
        raise InvalidValue("body", type(value).__name__, "a JSON object")
    return value


class Fields:
    """The fields of one object, each taken once; null counts as absent."""

    def __init__(self, body: dict[str, Any], prefix: str = "") -> None:
        self._left = {key: value for key, value in body.items() if value is not None}
        self._prefix = prefix

    def take(self, name: str) -> Any:
        """Whatever is there."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        value = self._typed(name, (str,), "a text")
        return None if value is None else plain_text(self.name(name), value)

    def flag(self, name: str) -> bool:
        value = self._typed(name, (bool,), "true or false")
        return bool(value)

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self._typed(name, (int,), "a whole number")
        if value is None:
            return None
        if isinstance(value, bool) or not least <= value <= most:
            raise InvalidValue(self.name(name), value, f"a whole number from {least} to {most}")
        return int(value)

    def number(self, name: str) -> float | None:
        value = self._typed(name, (int, float), "a number")
        if isinstance(value, bool):
            raise InvalidValue(self.name(name), value, "a number")
        return None if value is None else float(value)

    def object(self, name: str) -> "Fields | None":
        value = self._typed(name, (dict,), "an object")
        return None if value is None else Fields(value, f"{self.name(name)}.")

    def ignore(self, names: frozenset[str]) -> None:
        """These change nothing of an answer."""
        for name in names:
            self._left.pop(name, None)

    def refuse(self, neutral: dict[str, tuple[Any, ...]]) -> None:
        """These would change an answer, and we have them not: only a value without effect passes.

        Raises:
            InvalidValue: another value.
        """
        for name, values in neutral.items():
            value = self.take(name)
            if value is not None and value not in values:
                shown = " or ".join(repr(one) for one in values) or "nothing"
                allowed = f"{shown}: anything else is not supported here"
                raise InvalidValue(self.name(name), value, allowed)

    def finish(self) -> None:
        """
        Raises:
            InvalidValue: a field that nobody asked for.
        """
        for name, value in self._left.items():
            raise InvalidValue(self.name(name), value, "nothing: there is no such parameter here")

    def name(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _typed(self, name: str, kinds: tuple[type, ...], allowed: str) -> Any:
        value = self.take(name)
        if value is not None and not isinstance(value, kinds):
            raise InvalidValue(self.name(name), value, allowed)
        return value


def plain_text(field: str, value: Any) -> str:
    """
    Raises:
        InvalidValue: no text, or one that UTF-8 cannot carry (half a surrogate pair).
    """
    if not isinstance(value, str):
        raise InvalidValue(field, value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(field, ascii(value), "a text that is valid Unicode") from error
    return value
