from pathlib import Path

import pytest

from riverrun.errors import InvalidValue, UnknownSetting
from riverrun.settings import Settings
from riverrun.settings.load import load_settings, save_settings
from riverrun.workspace import Workspace


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RIVERRUN_MODEL", "RIVERRUN_DATA_DIR", "RIVERRUN_LEARNER__LR"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_each_layer_wins_over_the_one_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(tmp_path).learner.lr is None
    write(tmp_path / "riverrun.toml", "[learner]\nlr = 0.1\nseed = 7\n")
    assert load_settings(tmp_path).learner.lr == 0.1
    monkeypatch.setenv("RIVERRUN_LEARNER__LR", "0.2")
    assert load_settings(tmp_path).learner.lr == 0.2
    settings = load_settings(tmp_path, None, {"learner.lr": "0.3"})
    assert settings.learner.lr == 0.3
    assert settings.learner.seed == 7, "layers merge key by key"


def test_a_named_file_replaces_that_of_the_data_directory(tmp_path: Path) -> None:
    write(tmp_path / "riverrun.toml", "model = 'tiny'\n")
    other = write(tmp_path / "other.toml", "[learner]\nseed = 3\n")
    settings = load_settings(tmp_path, other)
    assert settings.learner.seed == 3
    assert settings.model == "smollm2"


def test_the_data_directory_can_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIVERRUN_DATA_DIR", str(tmp_path / "there"))
    write(tmp_path / "there" / "riverrun.toml", "model = 'tiny'\n")
    settings = load_settings()
    assert settings.data_dir == tmp_path / "there"
    assert settings.model == "tiny"


@pytest.mark.parametrize(
    ("key", "near"),
    [("learner.lrr", "learner.lr"), ("learnr.lr", "learner"), ("modle", "model")],
)
def test_an_unknown_key_of_the_command_line_is_refused_with_the_nearest(
    key: str, near: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownSetting, match=f"no such setting; did you mean {near}\\?"):
        load_settings(tmp_path, None, {key: "1"})


def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "riverrun.toml", "[serving]\nprot = 1\n")
    with pytest.raises(UnknownSetting, match=r"^serving\.prot: no such setting; .*serving\.port"):
        load_settings(tmp_path)


def test_an_unknown_key_of_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIVERRUN_LEARNER__LEARNING_RATE", "1")
    with pytest.raises(UnknownSetting, match=r"^learner\.learning_rate: no such setting"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("learner.lr", "7", "'7' is not allowed; it takes a number above 0 and at most 1"),
        ("learner.lr", "fast", "'fast' is not allowed; it takes a number above 0 and at most 1"),
        ("serving.port", "-1", "'-1' is not allowed; it takes a whole number from 0 to 65,535"),
        ("log_level", "LOUD", "'LOUD' is not allowed; it takes `DEBUG`, `INFO`, `WARNING` or"),
        ("learner", "7", "'7' is not allowed; it takes no value of its own"),
        ("kafka.topic_prefix", "a/b", "'a/b' is not allowed; it takes text that matches"),
    ],
)
def test_a_refusal_names_the_key_the_value_and_what_is_allowed(
    key: str, value: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValue) as refused:
        load_settings(tmp_path, None, {key: value})
    assert str(refused.value).startswith(f"{key}: {sentence}")
    assert refused.value.exit_code == 2


def test_no_message_shows_a_password(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue) as refused:
        load_settings(tmp_path, None, {"kafka.sasl_password.x": "geheim"})
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("text", ["model =", "\xff"])
def test_a_file_that_is_no_toml_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "riverrun.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidValue, match=r"^config: .*riverrun\.toml.* valid TOML"):
        load_settings(tmp_path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="a TOML file that exists"):
        load_settings(tmp_path, tmp_path / "nowhere.toml")


def test_clients_begin_from_what_the_running_system_was_started_with(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    started = load_settings(
        tmp_path, None, {"model": "tiny", "kafka.sasl_password": "p", "learner.seed": "5"}
    )
    save_settings(started, workspace.settings_file)
    assert load_settings(tmp_path, running=True).model == "smollm2", "nothing runs"
    with workspace.hold("up"):
        client = load_settings(tmp_path, running=True)
        assert load_settings(tmp_path).model == "smollm2", "another `up` does not"
    assert client.model == "tiny"
    assert client.learner.seed == 5
    assert client.kafka.sasl_password is not None
    assert client.kafka.sasl_password.get_secret_value() == "p"
    assert workspace.settings_file.stat().st_mode & 0o077 == 0, "it holds a password"


def test_saved_paths_hold_from_every_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my-model").mkdir()
    overrides = {
        "model": "my-model",
        "store.url": "versions",
        "learner.origin_file": "texts.txt",
    }
    settings = load_settings(Path("data"), None, overrides)
    workspace = Workspace(settings.data_dir)
    save_settings(settings, workspace.settings_file)
    with workspace.hold("up"):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        found = load_settings(tmp_path / "data", running=True)
    assert found.model == str(tmp_path / "my-model")
    assert found.store.url == str(tmp_path / "versions")
    assert found.learner.origin_file == tmp_path / "texts.txt"


def test_a_remote_store_stays_a_url(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, None, {"store.url": "s3://bucket/versions"})
    save_settings(settings, tmp_path / "saved.json")
    assert "s3://bucket/versions" in (tmp_path / "saved.json").read_text()


def test_every_setting_says_what_it_is_for() -> None:
    from riverrun.settings.rules import SECTIONS, takes

    for section in [Settings, *SECTIONS.values()]:
        for name, field in section.model_fields.items():
            if name not in SECTIONS:
                assert field.description, name
                assert takes(field), name
