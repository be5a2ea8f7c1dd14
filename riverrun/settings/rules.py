"""What each setting takes, in words, and what to say to somebody who gave something else.

Called by `settings_load`, and by `riverrun config`, which writes docs/configuration.md.
"""

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from riverrun.errors import InvalidValue, UnknownSetting
from riverrun.settings import Section, Settings
from riverrun.settings.profile import ProfileSettings

SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}

TYPES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    SecretStr: "text",
    Path: "a path",
}


def takes(field: FieldInfo) -> str:
    """What a setting takes: `a number above 0 and at most 1`."""
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        *first, last = (f"`{one}`" for one in get_args(kind))
        return f"{', '.join(first)} or {last}" if first else last
    if get_origin(kind) is dict:
        return "a table"
    if get_origin(kind) is tuple:
        one = get_args(kind)[0]
        if one is float:
            return "numbers from 1 to 1e9, separated by commas"
        names = f" of {', '.join(f'`{name}`' for name in get_args(one))}" if get_args(one) else ""
        return f"a list{names}"
    assert isinstance(kind, type), kind
    return " ".join([TYPES[kind], *_limits(field.metadata)]).replace(" ,", ",")


def _limits(rules: Sequence[object]) -> Iterator[str]:
    """`from 1 to 9`, `above 0 and at most 1`: the lower bound comes first in every field."""
    open_below = False
    for rule in rules:
        match rule:
            case Gt(gt=bound):
                open_below = True
                yield f"above {_plain(bound)}"
            case Ge(ge=bound):
                yield f"from {_plain(bound)}"
            case Lt(lt=bound):
                yield f"and below {_plain(bound)}" if open_below else f"to below {_plain(bound)}"
            case Le(le=bound):
                yield f"and at most {_plain(bound)}" if open_below else f"to {_plain(bound)}"
            case MinLen(min_length=length):
                yield ", not empty" if length == 1 else f", at least {length} characters"
            case MaxLen(max_length=length):
                yield f", at most {length} characters"
            case _:
                if pattern := getattr(rule, "pattern", None):
                    yield f"that matches `{pattern}`"


def _plain(bound: object) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def refuse_unknown(given: Mapping[str, Any]) -> None:
    """Raise UnknownSetting for the first key that is no setting, with the nearest one that is."""
    for key, value in given.items():
        if key not in Settings.model_fields:
            raise _unknown(key, value, list(Settings.model_fields))
        section = SECTIONS.get(key)
        if section is None:
            continue
        names = list(section.model_fields)
        if not isinstance(value, Mapping):
            raise InvalidValue(key, value, f"no value of its own; set {key}.{names[0]} and so on")
        for name in value:
            if name not in names:
                raise _unknown(f"{key}.{name}", value[name], [f"{key}.{one}" for one in names])


def _unknown(key: str, value: object, known: list[str]) -> UnknownSetting:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    return UnknownSetting(key, value, f"{hint} (`riverrun config` lists all)")


def explain(error: ValidationError, given: Mapping[str, Any]) -> InvalidValue:
    """The first fault, with its key, its value and what the key takes."""
    path = [str(part) for part in error.errors()[0]["loc"]]
    cause = error.errors()[0].get("ctx", {}).get("error")
    if isinstance(cause, InvalidValue):
        return cause
    value: Any = given
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else value
    if path[:2] == ["stream", "profiles"] and len(path) > 3:
        known = ProfileSettings.model_fields
        key = ".".join(path[:4])
        if path[3] not in known:
            return _unknown(key, value, [".".join([*path[:3], name]) for name in known])
        return InvalidValue(key, value, takes(known[path[3]]))
    if path[0] in SECTIONS:
        key, field = ".".join(path[:2]), SECTIONS[path[0]].model_fields[path[1]]
    else:
        key, field = path[0], Settings.model_fields[path[0]]
    return InvalidValue(key, "(hidden)" if "password" in key else value, takes(field))
