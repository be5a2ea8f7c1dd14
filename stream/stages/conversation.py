"""A supervised record: `{"messages": [...]}`, or `{"prompt", "completion"}`, as a conversation.

Only shape is looked at here: roles, strings, and that an answer comes last. What the contents are
is the stages' affair. Fields that would change what is learned and that we do not act on (`weight`,
`tool_calls`) are refused, not passed over. Called by decode.
"""

from typing import Any, get_args

from riverrun.records import RAW_FORMS, Message, Role
from stream.rejected import bad_field

ROLES: tuple[str, ...] = get_args(Role)

NOT_ACTED_ON = ("tool_calls", "function_call", "weight")

Conversation = tuple[tuple[Message, ...], tuple[str, ...]]
"""Messages, and the name of the field that each content came from."""


def is_supervised(fields: dict[str, Any]) -> bool:
    """Whether a JSON record is one. Raises Rejected (bad_field) when it is two things at once."""
    given = [form for form in RAW_FORMS if any(name in fields for name in form)]
    if len(given) > 1:
        names = ", ".join(name for form in given for name in form if name in fields)
        raise bad_field(names, "all of them", "text, or messages, or prompt and completion")
    return bool(given) and given[0] != ("text",)


def read_conversation(fields: dict[str, Any]) -> Conversation:
    """Raises Rejected: bad_field, with the field named as `messages[2].role`."""
    if "messages" in fields:
        return _messages(fields["messages"])
    names = ("prompt", "completion")
    roles: tuple[Role, Role] = ("user", "assistant")
    messages = tuple(
        Message(role, _content(fields.get(name), name, is_there=name in fields))
        for role, name in zip(roles, names, strict=True)
    )
    return messages, names


def _messages(given: object) -> Conversation:
    if not isinstance(given, list) or len(given) < 2:
        raise bad_field("messages", given, "a list of at least two messages")
    messages = tuple(_message(one, f"messages[{i}]") for i, one in enumerate(given))
    last = len(messages) - 1
    if messages[last].role != "assistant":
        raise bad_field(f"messages[{last}].role", messages[last].role, "assistant in the last one")
    return messages, tuple(f"messages[{i}].content" for i in range(len(messages)))


def _message(given: object, name: str) -> Message:
    if not isinstance(given, dict):
        raise bad_field(name, given, 'an object {"role", "content"}')
    role = given.get("role")
    if role not in ROLES:
        got = role if "role" in given else "no such field"
        raise bad_field(f"{name}.role", got, f"one of {', '.join(ROLES)}")
    for field in NOT_ACTED_ON:
        value = given.get(field)
        if value is not None and not (field == "weight" and value == 1):
            raise bad_field(f"{name}.{field}", value, "nothing: riverrun does not act on it")
    return Message(role, _content(given.get("content"), f"{name}.content", "content" in given))


def _content(value: object, name: str, is_there: bool) -> str:
    if not isinstance(value, str) or not value.strip():
        raise bad_field(name, value if is_there else "no such field", "a string that is not empty")
    return value
