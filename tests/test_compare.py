"""Deciding claims: at the edge of each tolerance, over every kind of value, laws with their false alarms."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coursekit.judging.compare import compare, measure, run_distance, same_behavior, value_distance
from coursekit.judging.runs import Raised, Run, decide_holds, frozen, run_from_data, run_to_data
from coursekit.judging.smallest import named
from coursekit.judging.tell import describe
from coursekit.judging.wire import Array, Opaque, freeze
from coursekit.probe import Claim, at_most, equal, holds, law

NAN, INF = math.nan, math.inf


def distance(want: Any, got: Any, tol: float = 1e-5) -> float:
    return value_distance(freeze(want), freeze(got), tol).distance


def tensor(*numbers: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(numbers, dtype=dtype)


SAME = {
    "a tensor": tensor(1.0, -2.0),
    "nan where nan is wanted": tensor(NAN, 1.0),
    "infinities": tensor(INF, -INF),
    "zeros": tensor(0.0, 0.0),
    "an empty tensor": tensor(),
    "truth values": torch.tensor([True, False]),
    "a number of any size": 10**5000,
    "a nest": {"a": [1, (2.0, None, "text", True)], "b": {}},
    "half precision": tensor(1.0, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("value", SAME.values(), ids=list(SAME))
def test_a_value_equals_itself(value: Any) -> None:
    assert distance(value, value) == 0


DIFFERENT = {
    "another shape": (torch.zeros(2, 1), torch.zeros(1, 2)),
    "a shape that would broadcast": (torch.zeros(2, 2), torch.zeros(1, 2)),
    "another dtype": (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
    "half instead of brain float": (torch.zeros(2).half(), torch.zeros(2).bfloat16()),
    "an array for a tensor": (torch.zeros(2), np.zeros(2, dtype=np.float32)),
    "a list for a tensor": (torch.zeros(2), [0.0, 0.0]),
    "a float for a tensor": (torch.tensor(0.0), 0.0),
    "an int for a float": (1.0, 1),
    "a truth value for an int": (1, True),
    "a tuple for a list": ([1], (1,)),
    "nothing": (torch.zeros(2), None),
    "nan for a number": (tensor(1.0, 2.0), tensor(1.0, NAN)),
    "a number for nan": (tensor(1.0, NAN), tensor(1.0, 2.0)),
    "an infinity of the other sign": (tensor(INF), tensor(-INF)),
    "a large number for an infinity": (tensor(-INF, 1.0), tensor(-1e30, 1.0)),
    "an infinity for a number": (tensor(1.0), tensor(INF)),
    "one wrong whole number": (torch.tensor([10**9, 1]), torch.tensor([10**9, 2])),
    "one wrong truth value": (torch.tensor([True]), torch.tensor([False])),
    "a longer list": ([1], [1, 1]),
    "another key": ({"a": 1}, {"b": 1}),
    "another text": ("a", "b"),
    "deep in a nest": ({"a": [(1, 2)]}, {"a": [(1, 3)]}),
    "an int beyond floats": (2**60, 2**60 + 1),
}


@pytest.mark.parametrize(("want", "got"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_another_type_shape_dtype_or_pattern_is_infinitely_far(want: Any, got: Any) -> None:
    assert distance(want, got) == INF
    assert distance(got, want) == INF


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, 1e-320])
def test_the_tolerance_is_relative_to_the_largest_magnitude(scale: float) -> None:
    want = tensor(8.0, 0.0) * scale
    assert distance(want, want + tensor(0.0, 7e-5) * scale) <= 1
    assert distance(want, want + tensor(0.0, 16e-5) * scale) > 1 or scale == 1e-320


def test_the_edge_of_the_tolerance_is_inside() -> None:
    want = equal("", freeze(tensor(1.0)), 0.25)
    for got, holds_ in ((1.25, True), (0.75, True), (1.2500001, False), (0.7499999, False)):
        assert (compare(want, equal("", freeze(tensor(got)))) is None) is holds_


def test_infinities_do_not_widen_the_tolerance() -> None:
    assert distance(tensor(-INF, 1.0), tensor(-INF, 1.001)) > 1


def test_where_only_zeros_are_wanted_the_tolerance_is_absolute() -> None:
    assert distance(tensor(0.0), tensor(0.9e-5)) < 1 < distance(tensor(0.0), tensor(1.1e-5))


def test_the_worst_place_is_named_with_both_numbers() -> None:
    found = value_distance(freeze({"y": [tensor(1.0, 2.0)]}), freeze({"y": [tensor(1.0, 3.0)]}), 1e-5)
    assert (found.where, found.got, found.expected) == ("['y'][0][1]", "3", "2")


@given(st.floats(-1e6, 1e6), st.floats(0, 1e3))
def test_distance_grows_with_the_error(x: float, error: float) -> None:
    one, two = distance(tensor(x), tensor(x + error)), distance(tensor(x), tensor(x + 2 * error))
    assert one <= two


@given(
    st.recursive(st.none() | st.floats() | st.text() | st.integers(), lambda s: st.lists(s) | st.tuples(s))
)
def test_any_two_values_compare_without_an_exception(value: Any) -> None:
    others = [value, [value], None, 1.0, "x", Opaque("set"), {"a": value}, Array(np.zeros(2), "float64")]
    for other in others:
        found = value_distance(freeze(value), freeze(other), 1e-5)
        assert not math.isnan(found.distance)
        assert found.distance == 0 or len(found.got) + len(found.expected) < 400


# --- costs


@pytest.mark.parametrize("count", [0, 9, 9.0, -1])
def test_a_cost_within_its_limit_holds(count: float) -> None:
    assert compare(at_most("", 0, 9), at_most("", count, 9)) is None


@pytest.mark.parametrize(
    "count", [10, 9.5, NAN, INF, 10**40, None, True, "9", [9], Array(np.array(9), "int64")]
)
def test_any_other_cost_does_not(count: Any) -> None:
    found = compare(at_most("", 0, 9), Claim("", count, "at_most", limit=INF))
    assert found is not None
    assert found.expected == "at most 9"


def test_a_cost_too_long_to_write_does_not_hold() -> None:
    assert compare(at_most("", 0, 9), at_most("", 10**5000, 9)) is not None


def test_a_limit_of_zero_is_a_limit() -> None:
    assert compare(at_most("", 0, 0), at_most("", 0, 0)) is None
    assert compare(at_most("", 0, 0), at_most("", 1, 0)) is not None


# --- laws

P = np.array([0.5, 0.3, 0.1, 0.1, 0.0])


def draws(seed: int, p: Any = P, n: int = 3000) -> Any:
    return np.random.default_rng(seed).choice(len(p), size=n, p=np.array(p) / np.sum(p))


def law_distance(got: Any, n: int = 3000) -> float:
    want = frozen(law("", draws(0, n=n), P))
    return measure(want, frozen(law("", got, np.ones(5) / 5))).distance


def test_draws_of_the_right_law_are_never_rejected() -> None:
    found = [law_distance(draws(seed)) for seed in range(200)]
    assert max(found) < 1
    # Not because the test is blind: the worst of 200 comes a good part of the way.
    assert max(found) > 0.1


WRONG_LAWS = {
    "two outcomes changed places": [0.3, 0.5, 0.1, 0.1, 0.0],
    "a temperature of 0.7": P ** (1 / 0.7),
    "uniform": np.ones(5),
    "the impossible, once in a hundred": [0.49, 0.3, 0.1, 0.1, 0.01],
    "always the most probable": [1, 0, 0, 0, 0],
    "one outcome never": [0.5, 0.3, 0.2, 0, 0],
}


@pytest.mark.parametrize("p", WRONG_LAWS.values(), ids=list(WRONG_LAWS))
def test_draws_of_a_wrong_law_are_always_rejected(p: Any) -> None:
    assert min(law_distance(draws(seed, p)) for seed in range(50)) > 1


NO_DRAWS = {
    "none": np.zeros(0, dtype=int),
    "too few to tell": np.array([0, 0, 1]),
    "too many": draws(0, n=6000),
    "floats": draws(0).astype(float),
    "truth values": draws(0) > 0,
    "an outcome that there is not": np.full(3000, 5),
    "a negative one": np.full(3000, -1),
    "nothing": None,
    "text": "0" * 3000,
    "a nest": [[0]] * 3000,
}


@pytest.mark.parametrize("got", NO_DRAWS.values(), ids=list(NO_DRAWS))
def test_what_is_no_set_of_draws_is_rejected(got: Any) -> None:
    assert law_distance(got) == INF


def test_the_law_is_the_trusted_runs_and_not_the_one_that_came_back() -> None:
    want = frozen(law("", draws(0), P))
    got = frozen(law("", draws(1, np.ones(5)), np.ones(5) / 5))
    assert compare(want, got) is not None


# --- predicates


def is_even(value: Any, given: Any) -> bool:
    return value % 2 == given


CHECKS: Any = [SimpleNamespace(), SimpleNamespace(is_even=is_even)]


@pytest.mark.parametrize(("value", "accepted"), [(2, True), (3, False), (None, False), ([], False)])
def test_a_predicate_decides_and_what_it_cannot_look_at_does_not_hold(value: Any, accepted: bool) -> None:
    want = Run((holds("even", 2, is_even, 0),))
    # What comes back names another predicate and another `given`: neither is looked at.
    got = Run((Claim("even", value, "holds", predicate="print", given=1),))
    decided = decide_holds(CHECKS, want, got)
    assert (compare(want.claims[0], decided.claims[0]) is None) is accepted


@pytest.mark.parametrize("value", [True, 1, "True", None])
def test_a_value_that_was_not_decided_does_not_hold_unless_it_is_the_answer_yes(value: Any) -> None:
    assert (compare(holds("", 0, is_even), Claim("", value, "holds")) is None) is (value is True)


# --- runs


def run(*values: Any, raised: Raised | None = None) -> Run:
    return Run(tuple(frozen(equal("a claim", value)) for value in values), raised)


def test_the_distance_of_two_runs_is_that_of_their_worst_claim() -> None:
    assert run_distance(run(1.0, 1.0), run(1.0, 1.0 + 2e-5)) == pytest.approx(2, rel=1e-3)


def test_runs_that_end_otherwise_are_infinitely_far() -> None:
    raised = Raised("ValueError", "no")
    assert run_distance(run(1.0), run()) == INF
    assert run_distance(run(1.0), run(1.0, raised=raised)) == INF


def test_only_runs_that_cannot_be_told_apart_behave_the_same() -> None:
    reference = run(1.0, 2.0)
    known = run(1.0, 5.0)
    assert same_behavior(known, run(1.0, 5.0), reference)
    assert not same_behavior(known, run(1.0, 5.1), reference)
    assert not same_behavior(known, run(1.0), reference)
    assert not same_behavior(known, run(1.0, 5.0, raised=Raised("E", "")), reference)


def test_exceptions_are_the_same_only_with_type_and_text() -> None:
    one = run(raised=Raised("ValueError", "shapes (2, 3)"))
    assert same_behavior(one, run(raised=Raised("ValueError", "shapes (2, 3)", line=7)), run(1.0))
    assert not same_behavior(one, run(raised=Raised("ValueError", "shapes (3, 2)")), run(1.0))
    assert not same_behavior(one, run(raised=Raised("TypeError", "shapes (2, 3)")), run(1.0))


def test_a_run_comes_back_from_data() -> None:
    one = run(1.0, (2, "x"), raised=Raised("ValueError", "no", "trace", 3, True, "module"))
    assert run_from_data(run_to_data(one)) == one


BAD_RUNS = [
    {},
    [],
    None,
    3,
    "x",
    {"claims": 3, "raised": None, "returns": []},
    {"claims": [3], "raised": None, "returns": []},
    {"claims": [{"label": "x"}], "raised": None, "returns": []},
    {"claims": [], "raised": {"type": 1, "message": ""}, "returns": []},
    {"claims": [], "raised": {"type": "E", "message": "", "line": "3"}, "returns": []},
    {"claims": [], "raised": None, "returns": [None]},
    {"claims": [], "raised": None, "returns": 3},
]


@pytest.mark.parametrize("data", BAD_RUNS)
def test_data_that_is_no_run_is_refused(data: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        run_from_data(data)


# --- words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(2, 3), "a float32 tensor of shape (2, 3)"),
        (torch.tensor(2.5), "a float32 tensor of 2.5"),
        (np.zeros(1), "a float64 array of shape (1,)"),
        ({1}, "an object of type set"),
        ("x" * 1000, "'" + "x" * 78 + "…"),
        (None, "None"),
        (True, "the bool True"),
        ([1, 2], "a list of 2"),
    ],
)
def test_any_value_has_a_few_words(value: Any, words: str) -> None:
    assert describe(freeze(value)) == words


def test_a_whole_number_too_long_to_write_has_its_size() -> None:
    assert describe(10**5000) == "an int of 16610 bits"


def test_a_large_tensor_is_not_printed_whole() -> None:
    assert len(named("x = ", freeze(torch.zeros(1000, 1000)))) < 2000


@pytest.mark.parametrize(
    ("want", "got", "told"),
    [
        ([1, 2], [1], ("[1]", "[1, 2]")),
        ([(97, 98)], [], ("[]", "[(97, 98)]")),
        (["a", " b"], ["a b"], ("['a b']", "['a', ' b']")),
        ([None], [], ("[]", "1 values")),
        (list(range(100)), [0], ("[0]", "100 values")),
    ],
)
def test_rows_of_unequal_length_are_told_whole_where_they_are_short(want: Any, got: Any, told: Any) -> None:
    difference = value_distance(want, got, 1e-5)
    assert (difference.got, difference.expected) == told
