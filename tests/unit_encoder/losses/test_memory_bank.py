"""The ring against a list, and the choice of hard speakers against nested loops."""

import pytest
import torch

from encoder.errors import ConfigError
from encoder.losses.memory_bank import MemoryBank, select_batch


def unit(*shape, seed=0):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(x, dim=-1)


def filled(seed, size=20, rows=16, kinds=6):
    history = MemoryBank(size, 3)
    g = torch.Generator().manual_seed(seed)
    speakers = 10 * torch.randint(kinds, (rows,), generator=g)  # labels need not be dense
    history.push(unit(rows, 3, seed=seed), speakers, torch.arange(rows))
    return history


@pytest.mark.parametrize("size", [1, 4, 7])
def test_the_ring_holds_the_last_rows(size):
    history, all_rows = MemoryBank(size, 3), []
    for step, n in enumerate([2, 0, 3, 1, 9, 2, 5]):
        rows = unit(n, 3, seed=step)
        names = torch.arange(n) + 100 * step
        history.push(rows.requires_grad_(), names, names + 1)
        all_rows += [
            (name, name + 1, row.tolist()) for name, row in zip(names.tolist(), rows, strict=True)
        ]
        embeddings, speakers = history.pool()
        assert len(history) == len(speakers) == min(size, len(all_rows))
        assert not embeddings.requires_grad
        sessions = history.takes[: len(history)].tolist()
        held = list(zip(speakers.tolist(), sessions, embeddings.tolist(), strict=True))
        assert sorted(held) == sorted(all_rows[-size:])


def test_the_pool_is_a_copy():
    history = filled(1, size=16)
    embeddings, speakers = history.pool()
    kept = embeddings.clone(), speakers.clone()
    history.push(unit(16, 3, seed=9), torch.full((16,), 77), torch.zeros(16, dtype=torch.int64))
    assert torch.equal(embeddings, kept[0]) and torch.equal(speakers, kept[1])


def test_it_is_saved_and_goes_on_at_its_place(tmp_path):
    one, other = filled(2, size=18), MemoryBank(18, 3)
    torch.save(one.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for history in (one, other):
        history.push(unit(5, 3, seed=4), torch.arange(5), torch.arange(5))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    assert list(one.parameters()) == []


@pytest.mark.parametrize(("size", "D"), [(0, 3), (3, 0)])
def test_a_history_without_room(size, D):
    with pytest.raises(ConfigError, match="at least 1"):
        MemoryBank(size, D)


def by_loops(history, speakers, utterances, anchor):
    """The speakers and rows that belong to an anchor row."""
    embeddings, names = history.pool()
    rows_of = {}
    for row, name in enumerate(names.tolist()):
        rows_of.setdefault(name, []).append(row)
    own = int(names[anchor])
    similar = [float(embeddings[row] @ embeddings[anchor]) for row in range(len(names))]
    others = sorted(
        (name for name in rows_of if name != own),
        key=lambda name: -max(similar[row] for row in rows_of[name]),
    )
    chosen, rows = [own, *others][:speakers], []
    for name in chosen:
        if name == own:
            ranked = [anchor, *sorted(set(rows_of[own]) - {anchor}, key=lambda r: similar[r])]
        else:
            ranked = sorted(rows_of[name], key=lambda r: -similar[r])
        rows.append([ranked[k % len(ranked)] for k in range(utterances)])
    return chosen, rows


@pytest.mark.parametrize(("speakers", "utterances"), [(1, 1), (3, 2), (4, 5), (50, 2)])
def test_select_batch_against_nested_loops(speakers, utterances):
    anchors = set()
    for seed in range(40):
        history = filled(seed % 5)
        got = select_batch(
            history, speakers=speakers, utterances=utterances,
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        anchor = int(got.rows[0, 0])
        anchors.add((seed % 5, anchor))
        chosen, rows = by_loops(history, speakers, utterances, anchor)
        assert got.speakers.tolist() == chosen
        assert got.rows.tolist() == rows
        assert len(set(chosen)) == len(chosen) <= speakers
        assert (history.speakers[got.rows] == got.speakers[:, None]).all()
    assert len(anchors) > 15


def test_anchors_are_drawn_evenly_over_speakers_and_follow_the_generator():
    history = MemoryBank(10, 3)
    names = torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])  # one speaker has a single utterance
    history.push(unit(10, 3), names, torch.arange(10))

    def draw(seed):
        g = torch.Generator().manual_seed(seed)
        return select_batch(history, speakers=2, utterances=3, generator=g)

    assert all(torch.equal(a, b) for a, b in zip(draw(3), draw(3), strict=True))
    first = [int(draw(seed).speakers[0]) for seed in range(200)]
    assert 70 < sum(first) < 130
    single = next(draw(seed) for seed in range(200) if first[seed] == 1)
    assert single.rows[0].tolist() == [9, 9, 9]  # the same utterance again: no endless search


def test_an_empty_history_has_nobody_to_choose():
    got = select_batch(MemoryBank(4, 3), speakers=2, utterances=3)
    assert got.speakers.shape == (0,) and got.rows.shape == (0, 3)


@pytest.mark.parametrize(("speakers", "utterances"), [(0, 2), (2, 0)])
def test_a_batch_of_nothing(speakers, utterances):
    with pytest.raises(ConfigError, match="at least 1 of both"):
        select_batch(filled(0), speakers=speakers, utterances=utterances)
