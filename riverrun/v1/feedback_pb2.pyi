from riverrun.v1 import generation_pb2 as _generation_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Subject(_message.Message):
    __slots__ = ("request_id", "prompt", "conversation", "answer", "version_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    prompt: str
    conversation: _generation_pb2.Conversation
    answer: str
    version_id: str
    def __init__(self, request_id: _Optional[str] = ..., prompt: _Optional[str] = ..., conversation: _Optional[_Union[_generation_pb2.Conversation, _Mapping]] = ..., answer: _Optional[str] = ..., version_id: _Optional[str] = ...) -> None: ...

class RateRequest(_message.Message):
    __slots__ = ("id", "subject", "rating")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    id: str
    subject: Subject
    rating: float
    def __init__(self, id: _Optional[str] = ..., subject: _Optional[_Union[Subject, _Mapping]] = ..., rating: _Optional[float] = ...) -> None: ...

class RateResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: FeedbackReceipt
    def __init__(self, receipt: _Optional[_Union[FeedbackReceipt, _Mapping]] = ...) -> None: ...

class CorrectRequest(_message.Message):
    __slots__ = ("id", "subject", "correction")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    id: str
    subject: Subject
    correction: str
    def __init__(self, id: _Optional[str] = ..., subject: _Optional[_Union[Subject, _Mapping]] = ..., correction: _Optional[str] = ...) -> None: ...

class CorrectResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: FeedbackReceipt
    def __init__(self, receipt: _Optional[_Union[FeedbackReceipt, _Mapping]] = ...) -> None: ...

class PreferRequest(_message.Message):
    __slots__ = ("id", "subject", "chosen", "rejected")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    id: str
    subject: Subject
    chosen: str
    rejected: str
    def __init__(self, id: _Optional[str] = ..., subject: _Optional[_Union[Subject, _Mapping]] = ..., chosen: _Optional[str] = ..., rejected: _Optional[str] = ...) -> None: ...

class PreferResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: FeedbackReceipt
    def __init__(self, receipt: _Optional[_Union[FeedbackReceipt, _Mapping]] = ...) -> None: ...

class FeedbackReceipt(_message.Message):
    __slots__ = ("id", "topic", "partition", "offset", "repeated")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    topic: str
    partition: int
    offset: int
    repeated: bool
    def __init__(self, id: _Optional[str] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., repeated: _Optional[bool] = ...) -> None: ...
