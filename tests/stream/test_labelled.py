from riverrun.records import Document, Rejection
from riverrun.settings import StreamSettings
from stream.explain import Explanation
from stream.pipeline import Pipeline
from tests.stream.labelled.score import STAGES, cleaned, rows, score

CLEAN = {"clean prose", "chat", "code", "logs", "about boilerplate", "looks personal"}


def test_the_set_is_wide_enough() -> None:
    kinds = {row["kind"] for row in rows()}
    assert len(rows()) >= 300
    assert len(kinds - CLEAN) >= 10
    assert {"en", "de", "fr", "es", "ru", "zh", "ja", "code"} <= {row["language"] for row in rows()}


def test_every_stage_finds_its_noise_and_little_else() -> None:
    for stage, one in score().items():
        assert one.recall >= 0.95, (stage, one.missed)
        assert one.precision >= 0.95, (stage, one.wrong)
    assert set(score()) == set(STAGES)


def default(row: dict[str, object]) -> Explanation:
    return cleaned(DEFAULT, row)


DEFAULT = Pipeline(StreamSettings())


def test_the_default_profile_drops_no_text_at_all() -> None:
    dropped = [row for row in rows() if isinstance(default(row).result, Rejection)]
    assert dropped == []


def test_the_default_profile_leaves_code_chat_and_clean_prose_as_they_are() -> None:
    for row in rows():
        if row["kind"] in CLEAN - {"looks personal"}:
            result = default(row).result
            assert isinstance(result, Document)
            assert result.text == row["text"]


def test_no_profile_drops_a_clean_record_of_its_own_kind() -> None:
    pipelines = {
        name: Pipeline(StreamSettings(profile=name)) for name in ("prose", "chat", "code", "logs")
    }
    for row in rows():
        if row["kind"] in CLEAN:
            result = cleaned(pipelines[row["profile"]], row).result
            assert isinstance(result, Document), (row, result)


def test_the_language_of_clean_prose_is_known() -> None:
    for row in rows():
        if row["kind"] == "clean prose":
            result = default(row).result
            assert isinstance(result, Document)
            assert result.language == row["language"]
