"""The demo, as somebody starts it: the tour, a taken port, a second start."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app import embedded
from app.cli import demo_shop
from app.services import doctoring, insights, nps_figures, programs
from app.services.context import Actor, Context

ROOT = Path(__file__).parents[2]


def leima(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_tour_walks_the_main_job_end_to_end():
    done = leima("demo", "--tour")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert "The tour is complete." in done.stdout
    for promise in (
        "Lunch for two earns on two cards, and bonus",
        "Silver bean, and both phones show it",
        "it is void on the phone",
        "At the door a visit counts once",
        "both are rewarded",
        "The owner exports everything and loads it elsewhere",
    ):
        assert promise in done.stdout


def test_the_shops_past_agrees_with_its_ledger_and_fills_the_charts(ctx: Context, tmp_path: Path):
    told = demo_shop.fill(ctx, tmp_path / "demo.json", {})
    owner = Actor(programs.by_slug(ctx, told["program"]).id, may_manage=True)
    weeks = insights.insights(ctx, owner, 26)
    asked = nps_figures.figures(ctx, owner, 26)
    assert 5 < sum(came > 0 for came in weeks.came)
    assert 10 < asked.all.answers
    assert ([], [], []) == (
        doctoring.differences(ctx),
        doctoring.stamp_differences(ctx),
        doctoring.credit_differences(ctx),
    )


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = leima("demo", LEIMA_DATA=str(tmp_path), LEIMA_PORT=str(port))
    assert 1 == done.returncode
    assert f"LEIMA_PORT={port + 1}" in done.stderr
    assert not embedded.is_running(tmp_path)


def test_a_reset_does_not_empty_a_folder_that_is_not_a_demos(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = leima("demo", "--reset", LEIMA_DATA=str(tmp_path), LEIMA_PORT=str(port))
    assert 1 == done.returncode
    assert "does not look like a demo's data folder" in done.stderr
    assert "three years of work" == (tmp_path / "thesis.txt").read_text()


def test_doctor_finds_a_demos_stand_ins_a_second_start_keeps_the_data_and_ctrl_c_leaves_nothing(tmp_path: Path):
    first = _started_and_stopped(tmp_path, _ask_the_doctor)
    second = _started_and_stopped(tmp_path)
    assert first == second
    assert not embedded.is_running(tmp_path / "var")


def _ask_the_doctor(data: Path) -> None:
    done = leima("doctor", LEIMA_ENV="demo", LEIMA_DATA=str(data))
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "lets pass.fi.leima.demo in" in done.stdout
    assert "answers to leima@leima-sandbox" in done.stdout
    assert "twilio; new members get their link by page" in done.stdout


def _started_and_stopped(data: Path, meanwhile: Callable[[Path], None] = lambda data: None) -> str:
    """Start the demo, press Ctrl-C when it serves, and return demo.json without what the ports change."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")}
    with (data / "out.txt").open("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "demo"],
            cwd=ROOT,
            env=clean | {"LEIMA_DATA": str(data / "var"), "LEIMA_PORT": str(port)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 90
            while not _answers(port):
                out.seek(0)
                assert process.poll() is None, out.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            meanwhile(data / "var")
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
            process.wait(60)
    assert 0 == process.returncode
    assert not embedded.is_running(data / "var")
    # A stand-in takes another port when somebody else took its own in between.
    return re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1:PORT", (data / "var" / "demo.json").read_text())


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
