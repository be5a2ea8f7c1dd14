"""Chat templates: from messages to the one text that the model was taught.

A template comes with the weights, from a stranger, and is a program: it runs in jinja's
immutable sandbox. Knows nothing of tokens. Called by `riverrun/tokenizer.py`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from riverrun.errors import InvalidValue, ModelError

ROLES = ("system", "user", "assistant", "tool")


class ChatTemplate:
    """One compiled template, with the names of the special tokens that it may use."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        """
        Raises:
            ModelError: not a jinja template.
        """
        # The environment and its helpers are those that transformers gives to templates.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._special_tokens = dict(special_tokens)
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise ModelError(f"chat template, line {error.lineno}: {error.message}") from error

    def render(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = True
    ) -> str:
        """The conversation as text, ended by the assistant's opening when a reply is wanted.

        Raises:
            InvalidValue: messages that are malformed, or that the template refuses.
        """
        check(messages)
        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except (TemplateError, TypeError) as error:
            roles = [message["role"] for message in messages]
            allowed = f"what this model's chat template accepts: {error}"
            raise InvalidValue("messages (roles)", roles, allowed) from error


def check(messages: Sequence[Mapping[str, str]]) -> None:
    """Raises InvalidValue unless every message has a known role and a text."""
    if not messages:
        raise InvalidValue("messages", [], "at least one message")
    for i, message in enumerate(messages):
        if message.get("role") not in ROLES:
            raise InvalidValue(f"messages[{i}].role", message.get("role"), ", ".join(ROLES))
        if not isinstance(message.get("content"), str):
            raise InvalidValue(f"messages[{i}].content", message.get("content"), "a text")


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(reason: str) -> NoReturn:
    raise TemplateError(reason)
