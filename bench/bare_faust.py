"""A faust worker as its documentation writes one: an agent that sends each value on, unchanged, to
the partition of the same number, with its raw offset in a header. All else is faust's default; a
send is not awaited to its end.

What `bench clean` holds the stream against. Started by it as a process:

    python -m bench.bare_faust SERVERS RAW CLEAN DATA_DIR
"""

import sys
from typing import Any


def build(servers: str, raw: str, clean: str, data_dir: str) -> Any:
    """The app, not yet started."""
    import faust

    app = faust.App(
        f"{raw}-bare-faust",
        broker=[f"kafka://{server}" for server in servers.split(",")],
        datadir=data_dir,
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    source = app.topic(raw, key_type=bytes, value_type=bytes, internal=False)
    sink = app.topic(clean, key_type=bytes, value_type=bytes, internal=False)

    @app.agent(source)
    async def forward(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            await sink.send(
                key=event.key,
                value=event.value,
                partition=message.partition,
                headers={"raw-offset": b"%d" % message.offset},
            )

    return app


def main() -> None:
    from mode import Worker

    app = build(*sys.argv[1:5])
    Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
