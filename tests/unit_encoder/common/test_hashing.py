"""Hashes choose the same in every version: speakers keep their split, utterances their codec."""

from encoder.common.hashing import hash_choice, hash_share


def test_pinned():
    held = [f"s{i}" for i in range(60) if hash_share(f"heldout s{i}") < 0.1]
    assert held == ["s15", "s31", "s33", "s36"]
    chosen = [hash_choice(f"telephone {name}", range(8)) for name in "abcdefgh"]
    assert chosen == [2, 2, 4, 2, 1, 2, 0, 3]
    some = [hash_share(f"telephone {name}") < 0.5 for name in "abcdefgh"]
    assert some == [True, False, True, False, True, True, True, False]


def test_shares_fill_the_unit_interval():
    shares = sorted(hash_share(f"{i}") for i in range(2000))
    assert shares[0] >= 0 and shares[-1] < 1
    assert max(abs(share - i / 2000) for i, share in enumerate(shares)) < 0.04
