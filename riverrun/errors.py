"""Every error that riverrun raises on purpose, as one tree.

    RiverrunError                 exit code 1
    ├── InvalidValue              exit code 2, a ValueError: names field, value, allowed range
    │   └── UnknownModel          no such model name or directory
    ├── DataDirInUse              another running system holds the data directory
    ├── NotRunning                a process that was asked for is not there
    ├── BrokerError               the embedded broker, or any Kafka, does not answer as it must
    │   └── PartitionCountChanged a topic exists with another number of partitions
    ├── OffsetExpired             Kafka no longer holds what the learner has still to read
    ├── ModelError                weights or a tokenizer that cannot be used
    ├── CheckpointError           a checkpoint that is torn, corrupt, or of another configuration
    ├── LeaseLost                 a second learner took over
    └── StoreError                the version store
        ├── UnknownVersion        no version of that name
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


class DataDirInUse(RiverrunError):
    """The data directory belongs to a running system."""


class NotRunning(RiverrunError):
    """A process that the command needs is not running in this data directory."""


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


class StoreError(RiverrunError):
    """The version store cannot be read or written."""


class UnknownVersion(StoreError):
    """No version of that name is in the store."""


class VersionRefused(StoreError):
    """A version's weights are not what its manifest says."""
