from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Version(_message.Message):
    __slots__ = ("id", "parent_id", "step", "created_ms", "next_offsets", "documents", "metrics")
    class NextOffsetsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    id: str
    parent_id: str
    step: int
    created_ms: int
    next_offsets: _containers.ScalarMap[int, int]
    documents: int
    metrics: _containers.ScalarMap[str, float]
    def __init__(self, id: _Optional[str] = ..., parent_id: _Optional[str] = ..., step: _Optional[int] = ..., created_ms: _Optional[int] = ..., next_offsets: _Optional[_Mapping[int, int]] = ..., documents: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ...) -> None: ...

class StoredVersion(_message.Message):
    __slots__ = ("version", "promoted", "has_weights", "live", "tokens", "bytes", "sha256", "decision", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_FIELD_NUMBER: _ClassVar[int]
    HAS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: Version
    promoted: bool
    has_weights: bool
    live: bool
    tokens: int
    bytes: int
    sha256: str
    decision: str
    reason: str
    def __init__(self, version: _Optional[_Union[Version, _Mapping]] = ..., promoted: _Optional[bool] = ..., has_weights: _Optional[bool] = ..., live: _Optional[bool] = ..., tokens: _Optional[int] = ..., bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., decision: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("step", "partition", "raw_first", "raw_last", "clean_first", "clean_last", "documents")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    RAW_FIRST_FIELD_NUMBER: _ClassVar[int]
    RAW_LAST_FIELD_NUMBER: _ClassVar[int]
    CLEAN_FIRST_FIELD_NUMBER: _ClassVar[int]
    CLEAN_LAST_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    step: int
    partition: int
    raw_first: int
    raw_last: int
    clean_first: int
    clean_last: int
    documents: int
    def __init__(self, step: _Optional[int] = ..., partition: _Optional[int] = ..., raw_first: _Optional[int] = ..., raw_last: _Optional[int] = ..., clean_first: _Optional[int] = ..., clean_last: _Optional[int] = ..., documents: _Optional[int] = ...) -> None: ...

class LearnedDocument(_message.Message):
    __slots__ = ("step", "partition", "raw_offset", "clean_offset", "source", "timestamp_ms", "id", "text")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    RAW_OFFSET_FIELD_NUMBER: _ClassVar[int]
    CLEAN_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    step: int
    partition: int
    raw_offset: int
    clean_offset: int
    source: str
    timestamp_ms: int
    id: str
    text: str
    def __init__(self, step: _Optional[int] = ..., partition: _Optional[int] = ..., raw_offset: _Optional[int] = ..., clean_offset: _Optional[int] = ..., source: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class MissingDocuments(_message.Message):
    __slots__ = ("partition", "clean_first", "clean_last")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    CLEAN_FIRST_FIELD_NUMBER: _ClassVar[int]
    CLEAN_LAST_FIELD_NUMBER: _ClassVar[int]
    partition: int
    clean_first: int
    clean_last: int
    def __init__(self, partition: _Optional[int] = ..., clean_first: _Optional[int] = ..., clean_last: _Optional[int] = ...) -> None: ...
