"""What a line leaves out: the same records as one look after the other would find."""

import random

from learner.left_out import StandingLeftOut, merged
from riverrun.records import LeftOut


def test_a_quick_look_finds_what_each_range_takes() -> None:
    dice = random.Random(2)
    ranges = [
        LeftOut(
            partition=dice.randrange(3),
            first=(first := dice.randrange(200)),
            last=first + dice.randrange(9),
            source=dice.choice([None, None, "a", "b"]),
        )
        for _ in range(60)
    ]
    standing = StandingLeftOut(ranges[:30])
    standing.add(ranges[30:])
    taken = 0
    for partition in range(4):
        for offset in range(220):
            for source in ("a", "b", "c"):
                expected = any(one.takes(partition, offset, source) for one in ranges)
                assert standing.takes(partition, offset, source) == expected
                taken += expected
    assert 0 < taken < 4 * 220 * 3
    assert merged(standing.ranges) == standing.ranges
    assert len(standing.ranges) < len(ranges)


def test_it_is_the_same_after_a_checkpoint() -> None:
    standing, again = StandingLeftOut(), StandingLeftOut([LeftOut(partition=1, first=0, last=1)])
    assert not standing
    standing.add([LeftOut(partition=0, first=3, last=4), LeftOut(partition=0, first=5, last=5)])
    again.restore([standing.snapshot(whole=True)])
    assert again.ranges == [LeftOut(partition=0, first=3, last=5)]
    assert again.takes(0, 5, "any")
    assert not again.takes(1, 0, "any")
