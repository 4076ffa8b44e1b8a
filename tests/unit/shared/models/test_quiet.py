"""LiteRT's greeting is dropped; every other line reaches stderr."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from agegender.shared.models.quiet import without_greeting

GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


def test_only_the_greeting_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before\n")
    with without_greeting():
        os.write(2, b"WARNING: one\n" + GREETING + b"ERROR: two\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nWARNING: one\nERROR: two\nafter\n"


def test_an_exception_passes_with_what_was_written_before(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_greeting():
            os.write(2, b"ERROR: why\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert capfd.readouterr().err == "ERROR: why\n"


def test_no_file_descriptor_is_left_open() -> None:
    before = os.dup(2)
    os.close(before)
    with without_greeting():
        pass
    after = os.dup(2)
    os.close(after)
    assert after == before


def test_threads_that_load_nets_at_once_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Each restores stderr as it found it: one that overlaps another would find that one's pipe."""

    def load() -> None:
        for _ in range(100):
            with without_greeting():
                os.write(2, GREETING)

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_a_program_that_outlives_the_block_holds_nothing_up() -> None:
    with without_greeting():
        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    with program:
        assert program.poll() is None
