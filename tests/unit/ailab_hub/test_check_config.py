# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ailab_hub.check_config``: a process of its own that nothing in the file can break."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ailab_hub
import pytest
from ailab_hub import check_config

SOUND = """
c.JupyterHub.spawner_class = "ailab_hub.spawner.LabSpawner"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
"""

# whatever surrounds the command in a test
Wrapper = list[str]


@dataclass
class Done:
    """What one run of the command left."""

    status: int
    output: str
    errors: str
    seconds: float

    @property
    def problems(self) -> list[dict[str, Any]]:
        return list(json.loads(self.output)["problems"])


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Write a configuration file and run the command on it."""

    def done(lines: str, *options: str, wrapper: Wrapper | None = None, **settings: Any) -> Done:
        file = tmp_path / "jupyterhub_config.py"
        file.write_text(SOUND + lines + "\n")
        start = time.monotonic()
        process = subprocess.run(
            [
                *(wrapper or []),
                sys.executable,
                "-m",
                "ailab_hub.check_config",
                str(file),
                *options,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **{"env": environment(), **settings},
        )
        seconds = time.monotonic() - start
        return Done(process.returncode, process.stdout, process.stderr, seconds)

    return done


def environment(**variables: str) -> dict[str, str]:
    """The environment of a hub's container, and the package on the path."""
    path = str(Path(ailab_hub.__file__).parents[1])
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path, "LANG": "C.UTF-8", **variables}


def processes_with(text: str) -> list[str]:
    """The command lines of all processes whose environment contains `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_a_sound_file_has_status_0_and_an_empty_report(run: Run) -> None:
    done = run("")
    assert (done.status, done.errors) == (0, "")
    assert json.loads(done.output) == {"problems": [], "warnings": []}


def test_a_file_with_problems_has_status_1_and_a_report(run: Run) -> None:
    done = run("c.JupyterHub.prt = 8000")
    assert done.status == 1
    assert done.problems == [
        {
            "class": "JupyterHub",
            "trait": "prt",
            "line": 5,
            "message": "JupyterHub has no option prt; did you mean port?",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: file"),
        (["/nowhere/file.py"], "/nowhere/file.py: No such file or directory"),
        (["/"], "/: Is a directory"),
        (["--timeout", "0", "/dev/null"], "expected seconds, more than 0 and at most 3600"),
        (["--timeout", "soon", "/dev/null"], "expected seconds, more than 0 and at most 3600"),
    ],
)
def test_wrong_usage_has_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        check_config.main(arguments)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_what_the_file_prints_is_not_seen(run: Run) -> None:
    done = run(
        "import os, subprocess, sys\n"
        "print('hunter2'); print('hunter2', file=sys.stderr)\n"
        "os.write(1, b'hunter2'); os.write(2, b'hunter2')\n"
        "subprocess.run(['echo', 'hunter2'])\n"
        "import logging; logging.error('hunter2')\n"
        "import warnings; warnings.warn('hunter2')\n"
    )
    assert done.status == 0
    assert "hunter2" not in done.output + done.errors


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        pytest.param(
            "while True:\n    try:\n        import time; time.sleep(600)\n"
            "    except BaseException:\n        pass",
            7,
            id="loops and catches everything",
        ),
        pytest.param(
            "def wait():\n    import time; time.sleep(600)\nwait()", 6, id="in a function"
        ),
    ],
)
def test_a_file_that_hangs_is_ended_and_its_line_told(run: Run, lines: str, line: int) -> None:
    done = run(lines, "--timeout", "0.5")
    assert done.status == 1
    (problem,) = done.problems
    assert problem["message"] == "not finished after 0.5 seconds"
    assert problem["line"] in (line, line - 1)


def test_a_file_that_stops_the_alarm_is_ended_nevertheless(run: Run) -> None:
    done = run(
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0)\ntime.sleep(600)",
        "--timeout",
        "0.5",
    )
    assert done.problems[0]["message"] == "the file was not read after 0.5 seconds"


def test_an_authenticator_that_hangs_is_ended(run: Run) -> None:
    done = run(
        "from jupyterhub.auth import Authenticator\n"
        "class Ours(Authenticator):\n"
        "    def __init__(self, **kwargs):\n"
        "        import time; time.sleep(600)\n"
        "c.JupyterHub.authenticator_class = Ours\n",
        "--timeout",
        "5",
    )
    assert done.problems[-1]["message"] == "not finished after 5 seconds"
    assert done.problems[-1]["line"] == 8


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("import os; os._exit(0)", "the file ends the process that reads it, with status 0"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "signal SIGKILL ended the process that reads the file",
        ),
    ],
)
def test_a_file_that_ends_the_process_is_a_problem(run: Run, lines: str, message: str) -> None:
    done = run(lines)
    assert (done.status, done.problems[0]["message"]) == (1, message)


def test_a_value_that_breaks_the_check_itself_is_a_problem(run: Run) -> None:
    done = run(
        "class Evil(list):\n"
        "    def __iter__(self):\n"
        "        raise SystemExit('hunter2')\n"
        "c.Spawner.args = Evil(['x'])\n"
    )
    assert done.status == 1
    assert done.problems[-1]["message"].startswith("the check itself failed: ")
    assert "hunter2" not in done.output


def test_what_the_file_started_ends_with_the_check(run: Run) -> None:
    mark = f"MARK_{os.getpid()}_{time.monotonic_ns()}"
    done = run(
        "import os, subprocess\n"
        "subprocess.Popen(['sleep', '300'])\n"
        "if os.fork() == 0:\n    import time; time.sleep(300)\n"
        "c.JupyterHub.prt = 1",
        env=environment(**{mark: "1"}),
    )
    assert [problem["trait"] for problem in done.problems] == ["prt"]
    deadline = time.monotonic() + 5
    while processes_with(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(mark) == []


def test_a_forked_copy_does_not_report(run: Run) -> None:
    done = run("import os\nchild = os.fork()\nif child == 0: c.JupyterHub.prt = 1\n")
    assert (done.status, done.problems) == (0, [])


def test_modules_of_the_callers_folder_are_not_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "onlyhere.py").write_text("")
    done = run("import onlyhere", cwd=tmp_path)
    assert done.problems[0]["message"] == "ModuleNotFoundError: No module named 'onlyhere'"


def _works(*command: str) -> bool:
    return bool(shutil.which(command[0])) and (
        subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    )


WITHOUT_NETWORK = ["unshare", "--net", "--map-root-user"]
READ_ONLY = ["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"]
# may read everything, so that it does not matter where this Python is installed
OTHER_USER = [
    "setpriv",
    "--reuid=12345",
    "--regid=12345",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
]


@pytest.mark.skipif(not _works(*WITHOUT_NETWORK), reason="needs user namespaces")
def test_it_needs_no_network(run: Run) -> None:
    done = run("", wrapper=WITHOUT_NETWORK)
    assert (done.status, done.errors) == (0, "")


@pytest.mark.skipif(not _works(*OTHER_USER), reason="only root can become another user")
def test_it_works_as_a_user_without_name_and_home(run: Run) -> None:
    done = run("", wrapper=OTHER_USER, cwd="/")
    assert (done.status, done.errors) == (0, "")


@pytest.mark.skipif(not _works(*READ_ONLY), reason="needs the right to mount")
def test_it_works_where_nothing_can_be_written(run: Run) -> None:
    done = run("", wrapper=READ_ONLY, cwd="/")
    assert (done.status, done.errors) == (0, "")
    refused = run("open('/written', 'w')", wrapper=READ_ONLY, cwd="/")
    assert refused.problems[0]["message"] == "OSError: Read-only file system"
