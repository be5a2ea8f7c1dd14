"""Merges the layers of settings; `settings_rules` says what does not fit.

Layers, weakest first: defaults, the settings of the system that runs in the data directory (or
`riverrun.toml` there, or `--config`), the environment, the command line. Called by the command
line for every command, and by the supervisor, which saves what its children read.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from riverrun.errors import InvalidValue
from riverrun.settings import Settings
from riverrun.settings.rules import explain, refuse_unknown
from riverrun.workspace import Workspace, replace_file

Layer = dict[str, Any]

NOT_SETTINGS = {
    "RIVERRUN_CACHE",
    "RIVERRUN_SUPERVISED",
    "RIVERRUN_TOKEN",
}
PATHS = {
    "control_file",
    "data_dir",
    "origin_file",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_keyfile",
    "tls_ca",
    "tls_cert",
    "tls_client_ca",
    "tls_key",
    "token_file",
    "tokens_file",
}


def load_settings(
    data_dir: Path | None = None,
    config: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    running: bool = False,
) -> Settings:
    """The settings that hold.

    data_dir: overrides every layer. config: a TOML file instead of the data directory's own.
    overrides: `{"learner.lr": "1e-4"}` from the command line.
    running: begin from what the system running in the data directory was started with.
    Raises InvalidValue naming the key.
    """
    command_line = nest(overrides or {})
    environment = from_environment(os.environ)
    root = Path(
        data_dir
        or command_line.get("data_dir")
        or environment.get("data_dir")
        or Settings.model_fields["data_dir"].default
    )
    workspace = Workspace(root)
    if config is not None:
        file = read_toml(config)
    elif running and workspace.is_held("up"):
        file = json.loads(workspace.settings_file.read_text())
    elif (root / "riverrun.toml").exists():
        file = read_toml(root / "riverrun.toml")
    else:
        file = {}
    merged = merge(merge(file, environment), command_line)
    merged["data_dir"] = root
    refuse_unknown(merged)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise explain(error, merged) from None


def save_settings(settings: Settings, path: Path) -> None:
    """Write the settings for the other processes, readable by this user only (passwords).

    Paths become absolute: a client may stand in another directory.
    """
    data = settings.model_dump(mode="json", exclude_unset=True)
    if settings.kafka.sasl_password is not None:
        data["kafka"]["sasl_password"] = settings.kafka.sasl_password.get_secret_value()
    for level in [data, *(value for value in data.values() if isinstance(value, dict))]:
        for key, value in level.items():
            if value is not None and is_path(key, value):
                level[key] = str(Path(value).expanduser().absolute())
    replace_file(path, json.dumps(data, indent=1).encode(), mode=0o600)


def is_path(key: str, value: str) -> bool:
    """Whether a setting's value is a path on this machine (a model or store need not be)."""
    if key == "url":
        return "://" not in value
    return key in PATHS or (key == "model" and Path(value).expanduser().is_dir())


def read_toml(path: Path) -> Layer:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidValue("config", str(path), "a TOML file that exists") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidValue("config", str(path), f"valid TOML ({error})") from None


def from_environment(environ: Mapping[str, str]) -> Layer:
    """`RIVERRUN_LEARNER__LR=1e-4` as `{"learner": {"lr": "1e-4"}}`.

    Pydantic would skip a name that it does not know; we want it refused like any other.
    """
    prefix = "RIVERRUN_"
    found = {
        name[len(prefix) :].lower().replace("__", "."): value
        for name, value in environ.items()
        if name.startswith(prefix) and name not in NOT_SETTINGS
    }
    return nest(found)


def nest(flat: Mapping[str, str]) -> Layer:
    """`{"a.b": "1"}` as `{"a": {"b": "1"}}`."""
    layer: Layer = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        level = layer
        for name in path:
            level = level.setdefault(name, {})
            if not isinstance(level, dict):
                raise InvalidValue(key, value, f"one value; `{name}` has one already")
        level[last] = value
    return layer


def merge(below: Layer, above: Layer) -> Layer:
    """Both layers; where both have a key, `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged
