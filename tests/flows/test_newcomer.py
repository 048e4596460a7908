"""What somebody does who has just cloned this: the demo, then the platform that stays up."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.flows.newcomer import COTERIE, Newcomer, until


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    return Newcomer(tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="module")
def demo(newcomer: Newcomer) -> subprocess.CompletedProcess[str]:
    return newcomer.run(COTERIE, "demo", "--data", "data", "--report", "report.json")


@pytest.mark.slow
def test_the_demo_tells_everything_ends_by_itself_and_leaves_no_process(
    newcomer: Newcomer, demo: subprocess.CompletedProcess[str]
) -> None:
    assert demo.returncode == 0, demo.stdout[-3000:] + demo.stderr[-3000:]
    assert newcomer.left() == []
    parts = ("The brief of Monday", "Merit:", "On the way", "withheld, and why", "One suggestion:")
    places = [demo.stdout.find(part) for part in (*parts, "Audit", "clean", "make up")]
    assert -1 not in places
    assert places == sorted(places)
    report = json.loads((newcomer.folder / "report.json").read_text())
    assert report["audit"]["verdict"] == "clean"
    assert min(report["standing"]["turns"].values()) >= 1


@pytest.mark.slow
def test_a_log_file_of_the_demo_shows_each_chapter_once_and_no_control_characters(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert all(character.isprintable() or character == "\n" for character in demo.stdout)
    assert demo.stdout.count("Offers meet the guard") == 1
    assert demo.stdout.count("A circle is founded") == 1


@pytest.mark.slow
def test_the_platform_stays_up_with_that_community_and_its_requests_work_as_printed(
    newcomer: Newcomer, demo: subprocess.CompletedProcess[str]
) -> None:
    assert demo.returncode == 0
    output = newcomer.folder / "up.txt"
    up = newcomer.start(COTERIE, "up", "--data", "data", output=output)
    try:
        lines = until(output, "Ctrl-C stops everything", up).splitlines()
        assert not any("Loading" in line for line in lines)
        requests = [line for line in lines if line.startswith("curl ")]
        assert len(requests) == 6
        for request in requests * 2:
            answered = newcomer.run("sh", "-c", request)
            assert answered.returncode == 0, request + answered.stderr
            answer = json.loads(answered.stdout)
            assert "urn:coterie:problem" not in str(answer), (request, answer)
        commands = [line for line in lines if line.startswith(str(COTERIE))]
        assert [line.split()[1] for line in commands] == ["story", "why", "audit"]
        for command in (*commands, f"{COTERIE} service recognition redrive list --data data"):
            told = newcomer.run("sh", "-c", command)
            assert told.returncode == 0, command + told.stdout + told.stderr
        assert told.stdout == "0 open, 0 deadlines\n"
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
    assert up.returncode == 0
    assert output.read_text().endswith("stopped; nothing was left running\n")
    assert newcomer.left() == []


@pytest.mark.slow
def test_a_loading_that_was_cut_short_is_followed_by_another(newcomer: Newcomer) -> None:
    first, second = newcomer.folder / "first.txt", newcomer.folder / "second.txt"
    up = newcomer.start(COTERIE, "up", "--data", "cut", output=first)
    until(first, "They say what they want", up)
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    up = newcomer.start(COTERIE, "up", "--data", "cut", output=second)
    try:
        told = until(second, "They rate what helped", up)
        assert "anew, since the last time was cut short" in told
        audited = newcomer.run(COTERIE, "audit", "--data", "cut")
        assert audited.returncode == 0, audited.stdout
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)
    assert newcomer.left() == []
