"""Stepping back: the process, and its session where it leads one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = """
import os, sys
from pathlib import Path
from riverrun.priority import step_back
step_back(7, autogroup=Path(sys.argv[1]))
print(os.nice(0))
"""


def stepped_back(group: Path, *, leads: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(group)],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=leads,
    )
    return int(done.stdout)


def test_whoever_leads_a_session_lowers_its_group_too(tmp_path: Path) -> None:
    group = tmp_path / "autogroup"
    group.write_text("0")
    assert stepped_back(group, leads=True) == min(19, os.nice(0) + 7)
    assert group.read_text() == "7"


def test_a_session_that_others_share_is_left_alone(tmp_path: Path) -> None:
    group = tmp_path / "autogroup"
    group.write_text("0")
    stepped_back(group, leads=False)
    assert group.read_text() == "0"


def test_a_kernel_without_groups_is_no_error(tmp_path: Path) -> None:
    stepped_back(tmp_path / "nothing", leads=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel groups no tasks by session"
)
def test_the_kernel_takes_the_group_s_priority() -> None:
    show = (
        "from riverrun.priority import AUTOGROUP, step_back\n"
        "step_back(7)\nprint(AUTOGROUP.read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", show],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout.split()[-2:] == ["nice", "7"]
