"""Any message of a proto, built from its descriptor: what a fuzz test sends.

Values lean to the edges: zero, the largest, NaN, infinity, empty and long texts, ids that look
right. Fields are left out as often as set.
"""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

MAX_ITEMS = 3
Strategy = st.SearchStrategy[Any]

TEXTS = st.one_of(
    st.sampled_from(["", "x", "the river", "user", "assistant", "\x00", "../../etc", "é" * 129]),
    st.text(max_size=40),
    st.integers(1, 3000).map(lambda n: "long " * n),
)


def _integers(low: int, high: int) -> Strategy:
    return st.one_of(st.sampled_from([0, 1, 2, 20, high, max(low, -1)]), st.integers(low, high))


BY_TYPE: dict[int, Strategy] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_UINT32: _integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: _integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_INT64: _integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    # An open enum: a number that nobody knows must do no harm.
    FieldDescriptor.TYPE_ENUM: st.sampled_from([0, 1, 2, 3, 77, -1]),
}


def messages(descriptor: Descriptor) -> Strategy:
    """Messages of one type."""
    return st.fixed_dictionaries(
        {}, optional={field.name: _values(field) for field in descriptor.fields}
    ).map(lambda fields: _build(descriptor, fields))


def _values(field: FieldDescriptor) -> Strategy:
    entry = field.message_type
    if entry is not None and _is_map(field):
        key, value = (entry.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_one(key), _one(value), max_size=MAX_ITEMS)
    one = _one(field)
    return st.lists(one, max_size=MAX_ITEMS) if field.is_repeated else one


def _one(field: FieldDescriptor) -> Strategy:
    if field.message_type is not None:
        return messages(field.message_type)
    return BY_TYPE[field.type]


def _is_map(field: FieldDescriptor) -> bool:
    message = field.message_type
    return message is not None and bool(message.GetOptions().map_entry)


def _build(descriptor: Descriptor, fields: dict[str, Any]) -> Any:
    message = GetMessageClass(descriptor)()
    for name, value in fields.items():
        field = descriptor.fields_by_name[name]
        target = getattr(message, name)
        if _is_map(field):
            target.update(value)
        elif field.is_repeated:
            target.extend(value)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            target.CopyFrom(value)
        else:
            setattr(message, name, value)
    return message
