from riverrun.supervisor.restarts import NEVER_READY_RESTARTS, Restarts


def test_pauses_double_up_to_the_longest() -> None:
    restarts = Restarts(max_restarts=10, max_backoff_s=3.0)
    pauses = [restarts.pause_after(0.0, float(t), was_ready=True) for t in range(5)]
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert restarts.total == 5


def test_a_minute_of_health_makes_the_next_pause_short_again() -> None:
    restarts = Restarts(max_restarts=10, max_backoff_s=30.0)
    for t in range(4):
        restarts.pause_after(0.0, float(t), was_ready=True)
    assert restarts.pause_after(59.0, 70.0, was_ready=True) == 8.0
    assert restarts.pause_after(60.0, 140.0, was_ready=True) == 0.5


def test_too_many_restarts_within_ten_minutes_are_the_end() -> None:
    restarts = Restarts(max_restarts=3, max_backoff_s=30.0)
    for t in (0.0, 100.0, 200.0):
        assert restarts.pause_after(99.0, t, was_ready=True) is not None
    assert restarts.pause_after(99.0, 300.0, was_ready=True) is None
    assert restarts.pause_after(99.0, 601.0, was_ready=True) is not None, "the first is forgotten"


def test_what_was_never_ready_is_tried_only_a_few_times() -> None:
    restarts = Restarts(max_restarts=10, max_backoff_s=30.0)
    pauses = [restarts.pause_after(0.0, float(t), was_ready=False) for t in range(5)]
    assert len([p for p in pauses if p is not None]) == NEVER_READY_RESTARTS
    assert pauses[-1] is None


def test_no_restarts_means_none() -> None:
    restarts = Restarts(max_restarts=0, max_backoff_s=30.0)
    assert restarts.pause_after(0.0, 0.0, was_ready=True) is None
