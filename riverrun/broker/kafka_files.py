"""What Kafka is told: its server.properties and its log4j2.properties, as text.

Pure functions of the settings. Every path in them is relative to Kafka's working directory, so
that no comma, colon or letter in the data directory's path can be read as something else.
"""

from riverrun.settings import KafkaSettings

DATA = "data"
"""Kafka's log directory, in its working directory."""


def server_properties(kafka: KafkaSettings, port: int, controller_port: int, data: str) -> str:
    """One node that is broker and controller, on loopback only."""
    longest_request = max(104_857_600, 2 * kafka.max_record_bytes)
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        # The largest record, everywhere that one passes.
        "message.max.bytes": kafka.max_record_bytes,
        "replica.fetch.max.bytes": kafka.max_record_bytes,
        "socket.request.max.bytes": longest_request,
        # A misspelt topic is an error, not a topic.
        "auto.create.topics.enable": "false",
        # One node: nothing can have a second copy.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker may register again when its session is over: 9 s by default, and a start
        # then took 12 s rather than 3.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # A laptop's share of threads and memory (128 MB for the cleaner alone by default).
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 4,
        "log.cleaner.dedupe.buffer.size": 8_388_608,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def log4j2_properties() -> str:
    """Warnings to standard output, where the wrapper writes them to a bounded file."""
    return """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1}: %m%n%ex{3}
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.ready.name=kafka.server.KafkaRaftServer
logger.ready.level=info
logger.recovery.name=org.apache.kafka.storage.internals.log.LogManager
logger.recovery.level=info
"""
