"""What `make bench-check` calls a loss."""

import copy

import pytest

from benchmarks.check import losses
from benchmarks.contenders import OURS_1, OURS_2, PLAIN_ALL

COMMITTED = {
    "cases": {
        "qv4": {
            "cold": {
                PLAIN_ALL: {"ratio": 1.5},
                OURS_1: {"ratio": 1.0},
                OURS_2: {"ratio": 2.0},
            },
            "warm": {OURS_1: {"ratio": 1.5}, OURS_2: {"ratio": 3.0}},
        },
        "vqe": {"cold": {OURS_1: {"ratio": 2.0}, OURS_2: {"ratio": 4.0}}},
    }
}


def changed(known, contender, ratio):
    """The committed report with another ratio of qv4."""
    measured = copy.deepcopy(COMMITTED)
    measured["cases"]["qv4"][known][contender]["ratio"] = ratio
    return measured


def test_the_same_figures_are_no_loss():
    assert losses(COMMITTED, COMMITTED) == []


@pytest.mark.parametrize(
    ("known", "contender", "ratio"),
    [("cold", OURS_1, 0.84), ("warm", OURS_2, 2.5)],
)
def test_a_loss_is_named(known, contender, ratio):
    (text,) = losses(changed(known, contender, ratio), COMMITTED)
    assert text.startswith(f"qv4, {known}, {contender}: {ratio:.2f}x")


@pytest.mark.parametrize("ratio", [0.86, 1.0, 9.0])
def test_noise_and_gains_are_no_loss(ratio):
    assert losses(changed("cold", OURS_1, ratio), COMMITTED) == []


def test_the_others_may_lose_what_they_like():
    assert losses(changed("cold", PLAIN_ALL, 0.1), COMMITTED) == []


def test_only_cases_of_both_reports_are_compared():
    measured = {"cases": {"qv4": COMMITTED["cases"]["qv4"], "new": {"cold": {}}}}
    assert losses(measured, COMMITTED) == []


def test_nothing_to_compare_is_no_pass():
    with pytest.raises(ValueError, match="no case in common"):
        losses({"cases": {"new": {}}}, COMMITTED)


def test_a_contender_that_is_gone_is_no_pass():
    measured = copy.deepcopy(COMMITTED)
    del measured["cases"]["qv4"]["warm"]
    with pytest.raises(KeyError):
        losses(measured, COMMITTED)
