from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from riverrun.metrics import LearnerMetrics
from riverrun.scrape import Samples, scrape
from riverrun.workspace import free_port


def test_a_scrape_reads_back_what_was_counted() -> None:
    registry = CollectorRegistry()
    metrics = LearnerMetrics(registry)
    metrics.steps.labels("new").inc(3)
    metrics.steps.labels("rehearsal").inc(4)
    metrics.lag.labels("0").set(5)
    samples = Samples(generate_latest(registry).decode())
    assert samples.value("riverrun_learner_steps_total", kind="new") == 3
    assert samples.total("riverrun_learner_steps_total") == 7
    assert samples.by("riverrun_learner_lag", "partition") == {"0": 5}
    assert samples.value("riverrun_learner_steps_total", kind="none") is None
    assert samples.total("riverrun_no_such_metric") is None


def test_a_process_that_listens_is_scraped() -> None:
    registry = CollectorRegistry()
    LearnerMetrics(registry).rate.set(0.5)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        samples = scrape(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert samples is not None
    assert samples.value("riverrun_learner_rate") == 0.5


def test_a_process_that_does_not_answer_is_none() -> None:
    assert scrape(free_port()) is None
