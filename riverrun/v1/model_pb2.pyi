from riverrun.v1 import version_pb2 as _version_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_LOADING: _ClassVar[State]
    STATE_SERVING: _ClassVar[State]
    STATE_DRAINING: _ClassVar[State]
STATE_UNSPECIFIED: State
STATE_LOADING: State
STATE_SERVING: State
STATE_DRAINING: State

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class WatchStatusRequest(_message.Message):
    __slots__ = ("interval_ms",)
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    interval_ms: int
    def __init__(self, interval_ms: _Optional[int] = ...) -> None: ...

class WatchStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("state", "model", "version", "context_tokens", "started_ms", "swaps", "refused_versions", "freshness_s", "load")
    STATE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    SWAPS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_S_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    state: State
    model: str
    version: _version_pb2.Version
    context_tokens: int
    started_ms: int
    swaps: int
    refused_versions: int
    freshness_s: float
    load: Load
    def __init__(self, state: _Optional[_Union[State, str]] = ..., model: _Optional[str] = ..., version: _Optional[_Union[_version_pb2.Version, _Mapping]] = ..., context_tokens: _Optional[int] = ..., started_ms: _Optional[int] = ..., swaps: _Optional[int] = ..., refused_versions: _Optional[int] = ..., freshness_s: _Optional[float] = ..., load: _Optional[_Union[Load, _Mapping]] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[_version_pb2.StoredVersion]
    next_page_token: str
    def __init__(self, versions: _Optional[_Iterable[_Union[_version_pb2.StoredVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetVersionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: _version_pb2.StoredVersion
    def __init__(self, version: _Optional[_Union[_version_pb2.StoredVersion, _Mapping]] = ...) -> None: ...

class TraceVersionRequest(_message.Message):
    __slots__ = ("id", "max_versions", "documents")
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    max_versions: int
    documents: bool
    def __init__(self, id: _Optional[str] = ..., max_versions: _Optional[int] = ..., documents: _Optional[bool] = ...) -> None: ...

class TraceVersionResponse(_message.Message):
    __slots__ = ("version", "span", "document", "missing")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    version: _version_pb2.Version
    span: _version_pb2.Span
    document: _version_pb2.LearnedDocument
    missing: _version_pb2.MissingDocuments
    def __init__(self, version: _Optional[_Union[_version_pb2.Version, _Mapping]] = ..., span: _Optional[_Union[_version_pb2.Span, _Mapping]] = ..., document: _Optional[_Union[_version_pb2.LearnedDocument, _Mapping]] = ..., missing: _Optional[_Union[_version_pb2.MissingDocuments, _Mapping]] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("rows", "waiting", "served", "failed", "generated_tokens", "tokens_per_s")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    GENERATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_S_FIELD_NUMBER: _ClassVar[int]
    rows: int
    waiting: int
    served: int
    failed: int
    generated_tokens: int
    tokens_per_s: float
    def __init__(self, rows: _Optional[int] = ..., waiting: _Optional[int] = ..., served: _Optional[int] = ..., failed: _Optional[int] = ..., generated_tokens: _Optional[int] = ..., tokens_per_s: _Optional[float] = ...) -> None: ...
