"""Ctrl-C during training: the step is finished, kept and named; other handlers are left alone."""

import os
import signal
import threading
from dataclasses import replace

import pytest

from encoder.training.checkpointing import read_checkpoint
from encoder.training.interrupts import noting_interrupts
from encoder.training.loop import fit
from tests.support.tiny_training import CONFIG, batches, parts, run, same

SELDOM = replace(CONFIG, checkpoint_every_s=1e6)


@pytest.fixture(autouse=True)
def pythons_own():
    """Test runners in the background ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_step_is_finished_written_and_named(tmp_path):
    def interrupted(step):
        if step == 4:
            interrupt()
        return batches(step)

    with pytest.raises(KeyboardInterrupt, match=r"after step 5 of 12: '.*last\.pt' holds it"):
        fit(*parts(), interrupted, config=SELDOM, out=tmp_path)
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 5
    losses, weights = run(tmp_path, SELDOM)
    whole, as_if = run(tmp_path / "other", SELDOM)
    assert losses == {step: loss for step, loss in whole.items() if step > 5}
    assert same(weights, as_if)


def test_a_stop_in_the_last_step_is_a_stop(tmp_path):
    def interrupted(step):
        if step == 11:
            interrupt()
        return batches(step)

    with pytest.raises(KeyboardInterrupt, match="after step 12 of 12"):
        fit(*parts(), interrupted, config=SELDOM, out=tmp_path)
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 12


def test_a_second_one_stops_at_once(tmp_path):
    def twice(step):
        if step == 4:
            interrupt()
            interrupt()
        return batches(step)

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(*parts(), twice, config=SELDOM, out=tmp_path)
    assert str(caught.value) == "" and not (tmp_path / "last.pt").exists()


def test_it_is_noted_once_and_the_handler_comes_back():
    with noting_interrupts() as noted:
        assert not noted()
        interrupt()
        assert noted()
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_other_ways_with_it_stay():
    for handler in (signal.SIG_IGN, lambda *_: None):
        signal.signal(signal.SIGINT, handler)
        with noting_interrupts() as noted:
            assert signal.getsignal(signal.SIGINT) is handler
            interrupt()
            assert not noted()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_thread_changes_nothing():
    def elsewhere():
        with noting_interrupts() as noted:
            found.append((signal.getsignal(signal.SIGINT), noted()))

    found = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [(signal.default_int_handler, False)]
