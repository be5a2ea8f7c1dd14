"""From a producer's receipt to an answer whose weights have learned what it sent."""

from riverrun import Producer
from tests.system.river import River


def test_a_request_after_a_receipt_is_answered_by_weights_that_learned_it(river: River) -> None:
    with Producer(data_dir=river.settings.data_dir) as producer, river.client() as client:
        for day in ("Monday", "Thursday"):
            receipt = producer.send(f"The lock at Ebersbach is closed on {day}.", source="locks")
            answer = client.generate(
                "The lock at", max_tokens=4, after=receipt, timeout_s=90, request_id=f"lock-{day}"
            )
            assert answer.version.next_offsets[receipt.partition] > receipt.offset
    assert (receipt.partition, receipt.offset) in river.learned()
