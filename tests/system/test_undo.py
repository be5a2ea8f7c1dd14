"""An operator's day, through the Admin service and the real learner: held, quarantined, undone."""

import json

import pytest

from riverrun.client import Client
from riverrun.errors import RequestFailed
from riverrun.produce import Record, produce
from tests.system.river import River, riverrun, wait_until

WAIT_S = 120.0


def send(river: River, source: str, num_texts: int, head: str) -> None:
    texts = [f"{head} {i}: the river runs {'so ' * (i % 5)}to the sea." for i in range(num_texts)]
    produce(river.settings, [Record(text.encode(), source=source) for text in texts])


def num_learned(river: River) -> int:
    version = river.store.promoted()
    return 0 if version is None else river.store.manifest(version).num_documents


@pytest.mark.timeout(400)
def test_a_poisoned_source_is_taken_out_of_what_is_served_while_answers_run(river: River) -> None:
    send(river, "good", 8, "A good one, number")
    wait_until(river.is_at_rest, "the good text is learned")
    clean = num_learned(river)
    send(river, "evil", 5, "A poisoned one, number")
    wait_until(river.is_at_rest, "the poison is learned")
    poisoned = river.store.promoted()
    assert poisoned is not None
    assert num_learned(river) == clean + 5
    shown = json.loads(riverrun(river, "undo", "--source", "evil", "--dry-run", "--json"))
    assert (shown["num_documents"], shown["quarantine"]) == (5, ["evil"])
    assert shown["goes"][-1] == poisoned
    said = riverrun(river, "undo", "--source", "evil", "--dry-run")
    assert said.startswith("5 documents would be undone:\n  raw ")
    assert said.endswith("evil would be in quarantine until `riverrun release evil`.\n")
    shown = json.loads(riverrun(river, "tell", "hold", "--json"))
    assert shown["event"]["kind"] == "held"
    assert "versions are promoted again" in riverrun(river, "tell", "release")
    with river.client() as client:
        outcome = client.undo(source="evil", reason="a test", wait_s=WAIT_S)
        assert (outcome.state, outcome.event) == ("done", "undone")
        manifest = river.store.manifest(outcome.version_id)
        assert manifest.replaces == river.store.manifest(poisoned).run
        wait_until(lambda: served(client) == outcome.version_id, "the new line is served")
        assert num_learned(river) == clean
        answer = client.generate("The river", max_tokens=4)
        assert answer.version.id == outcome.version_id
        # What comes of the source is kept, and learned once it is trusted again.
        send(river, "evil", 2, "A late one, number")
        send(river, "good", 1, "One more, number")
        wait_until(lambda: num_learned(river) == clean + 1, "the good one is learned")
        released = riverrun(river, "release", "evil", "--wait", str(WAIT_S))
        assert released.startswith("source_released evil: ")
        wait_until(lambda: num_learned(river) == clean + 3, "what was kept is learned")
        assert client.hold(wait_s=WAIT_S).event == "held"
        assert client.release(wait_s=WAIT_S).event == "promoted"
        with pytest.raises(RequestFailed) as failed:
            client.promote("nobody", wait_s=WAIT_S)
        assert failed.value.code == "NOT_FOUND"
        refused = client.undo(source="never seen", wait_s=WAIT_S)
        assert refused.state == "refused"
        assert "none of it was" in refused.reason
    counts = river.learned()
    assert set(counts.values()) == {1}
    assert len(counts) == clean + 3


def served(client: Client) -> str | None:
    version = client.status().version
    return None if version is None else version.id
