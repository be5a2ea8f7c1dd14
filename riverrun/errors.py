"""Every error that riverrun raises on purpose, as one tree.

    RiverrunError                 exit code 1
    ├── InvalidValue              exit code 2, a ValueError: names field, value, allowed range
    │   ├── UnknownModel          no such model name or directory
    │   └── UnknownSetting        no such key in any layer of the settings
    ├── DataDirInUse              another running system holds the data directory
    ├── NotRunning                a process that was asked for is not there
    ├── ProcessFailed             a process under the supervisor does not stay up
    ├── BrokerError               the embedded broker, or any Kafka, does not answer as it must
    │   └── PartitionCountChanged a topic exists with another number of partitions
    ├── OffsetExpired             Kafka no longer holds what the learner has still to read
    ├── ModelError                weights or a tokenizer that cannot be used
    ├── CheckpointError           a checkpoint that is torn, corrupt, or of another configuration
    ├── LeaseLost                 a second learner took over
    ├── Refused                   the learner does not do what an operator told it
    ├── Overloaded                serving has as many requests as it may
    ├── NotServing                serving has no version yet, or drains
    ├── VersionNotYet         served weights do not cover what a request waits for, in its time
    ├── PinExpired            an answer held old weights for longer than it may
    ├── SlowReader            a client does not read what it asked for
    ├── Unauthenticated           a call without a token that the server knows
    ├── PermissionDenied          a token whose role is not enough for the call
    ├── UnknownReply              feedback on an answer that serving does not remember
    ├── IdTaken                   an id that was used for something else
    ├── RequestFailed             a server answered a client with an error: code, details
    └── StoreError                the version store
        ├── UnknownVersion        no version of that name
        │   └── VersionGone       its manifest is there, its weights are not: names the nearest
        └── VersionRefused        a version that fails its hash, names, shapes or finiteness

The command line turns them into exit codes, serving into gRPC codes
(`serving/status_codes.py`); nothing else translates them.
"""


class RiverrunError(Exception):
    """Something that riverrun can explain in one sentence."""

    exit_code = 1


class InvalidValue(RiverrunError, ValueError):
    """A value that the caller can mend."""

    exit_code = 2

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        shown = repr(value)
        if len(shown) > 120:
            shown = f"{shown[:100]}… ({len(shown)} characters)"
        super().__init__(f"{field}: {shown} is not allowed; it takes {allowed}")


class UnknownModel(InvalidValue):
    """A model name that is neither built in, a directory, nor `hf:ORG/NAME`."""


class UnknownSetting(InvalidValue):
    """A key that is no setting; what is given as allowed is a hint at the nearest one."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(field, value, allowed)
        self.args = (f"{field}: no such setting; {allowed}",)


class DataDirInUse(RiverrunError):
    """The data directory belongs to a running system."""


class NotRunning(RiverrunError):
    """A process that the command needs is not running in this data directory."""


class ProcessFailed(RiverrunError):
    """A process under the supervisor does not stay up; `tail` is what it said last."""

    def __init__(self, message: str, tail: list[str], exit_code: int = 1) -> None:
        super().__init__(message)
        self.tail = tail
        self.exit_code = exit_code


class BrokerError(RiverrunError):
    """A Kafka broker that does not start, answer or agree."""


class PartitionCountChanged(BrokerError):
    """A topic exists with another partition count than the settings ask for."""


class OffsetExpired(RiverrunError):
    """The next offset to learn from is gone from Kafka: going on would lose data."""


class ModelError(RiverrunError):
    """A model's files are missing, damaged or of an architecture that we do not have."""


class CheckpointError(RiverrunError):
    """A checkpoint cannot be used."""


class LeaseLost(RiverrunError):
    """Another learner holds the lease; this one may publish nothing more."""


class Refused(RiverrunError):
    """The learner does not do what it was told; it says why."""


class Overloaded(RiverrunError):
    """Serving has as many requests as it may take; the same one will do later."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NotServing(RiverrunError):
    """Serving has no version to answer with yet, or takes no new requests any more."""


class VersionNotYet(RiverrunError):
    """No served weights were what a request waits for before its time was over.

    live, step, present: what is served: its version, its step, and per raw partition asked for the
    offset up to which it has learned, as `partition:offset`, by commas.
    """

    def __init__(self, what: str, waited_s: float, live: str, step: int, present: str = "") -> None:
        self.live = live
        self.step = str(step)
        self.present = present
        learned = f", learned up to {present} (partition:next offset)" if present else ""
        super().__init__(
            f"{what} is not served after {waited_s:.3g} s; {live} is, of step {step}{learned}"
        )


class PinExpired(RiverrunError):
    """An answer was pinned to weights that are old for longer than serving keeps these."""

    def __init__(self, version: str, max_pin_s: float) -> None:
        self.version = version
        super().__init__(
            f"{version} is no longer live and was held for {max_pin_s:g} s (serving.max_pin_s): "
            f"the answer ends here"
        )


class SlowReader(RiverrunError):
    """A client does not read its answer, which may not gather without bound."""


class Unauthenticated(RiverrunError):
    """A call without a token that the server knows. Never says which tokens there are."""


class PermissionDenied(RiverrunError):
    """A token whose role is not enough; `role` is the least one that is."""

    def __init__(self, name: str, role: str, needed: str) -> None:
        self.role = needed
        super().__init__(f"the token {name!r} has the role {role}; this takes {needed}")


class UnknownReply(RiverrunError):
    """Feedback on an answer that serving does not remember."""

    def __init__(self, field: str, request_id: str) -> None:
        self.field = field
        super().__init__(
            f"{field}: no answer of the request {request_id!r} is remembered; "
            f"give what was asked and what was answered"
        )


class IdTaken(RiverrunError):
    """An id that is to make a call idempotent was used for something else."""

    def __init__(self, field: str, taken: str) -> None:
        self.field = field
        super().__init__(f"{field}: {taken!r} was used before, for something else; take another id")


class RequestFailed(RiverrunError):
    """A server's answer to a client.

    code: the gRPC code's name. field: what it blames. reason: ErrorInfo's, with its metadata.
    retry_after_s: when the same call may do. request_id: what the server's log names it by.
    """

    def __init__(
        self,
        code: str,
        details: str,
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
        request_id: str | None = None,
    ) -> None:
        self.code = code
        self.details = details
        self.field = field
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.metadata = metadata or {}
        self.request_id = request_id
        # The caller can mend it, as an InvalidValue.
        self.exit_code = 2 if code == "INVALID_ARGUMENT" else 1
        super().__init__(f"{code}: {details}")


class StoreError(RiverrunError):
    """The version store cannot be read or written."""


class UnknownVersion(StoreError):
    """No version of that name is in the store."""


class VersionGone(UnknownVersion):
    """Retention has dropped the weights of this version; `nearest` still has them."""

    def __init__(self, version: str, nearest: str | None) -> None:
        self.version = version
        self.nearest = nearest
        hint = f"the nearest that has them is {nearest}" if nearest else "no other has them"
        super().__init__(f"the weights of {version} are gone (store.keep_versions); {hint}")


class VersionRefused(StoreError):
    """A version's weights are not what its manifest says."""
