"""The notation of a search space: what it means, what it refuses, and that it reads back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.errors import BadValue
from fre_hpo.methods import Parameter
from fre_hpo.study.space import Fixed, Range, parse, written

B = Parameter("B", "int", 1, "maps", "1..maps:log", "how many")
X = Parameter("X", "float", 1.0, 1e6, "1..1000:log", "factor")
LAMBDA = Parameter("lambda", "float", 0.0, 1.0, "0..1", "weight")


@pytest.mark.parametrize(
    ("given_", "parameter", "expected"),
    [
        (162, B, Fixed(162)),
        ("162", B, Fixed(162)),
        ("1e2", B, Fixed(100)),
        ("1..16", B, Range(1, 16, log=False, integer=True)),
        ("1..maps", B, Range(1, 512, log=False, integer=True)),
        ("1..maps:log", B, Range(1, 512, log=True, integer=True)),
        (" 2 .. 8 : log ", B, Range(2, 8, log=True, integer=True)),
        ("512..maps", B, Fixed(512)),
        (100, X, Fixed(100.0)),
        (10_000, X, Fixed(10_000.0)),
        ("1..1_000:log", X, Range(1.0, 1000.0, log=True, integer=False)),
        ("1.5..2.5e3", X, Range(1.5, 2500.0, log=False, integer=False)),
        ("7..7:log", X, Fixed(7.0)),
        ("0..1", LAMBDA, Range(0.0, 1.0, log=False, integer=False)),
        (0.3257, LAMBDA, Fixed(0.3257)),
    ],
)
def test_notation(given_: object, parameter: Parameter, expected: Fixed | Range) -> None:
    space = parse(given_, parameter, maps=512)
    assert space == expected
    numbers = vars(space).values()
    wanted = int if parameter.kind == "int" else float
    assert all(type(n) in (wanted, bool) for n in numbers)


@pytest.mark.parametrize(
    ("given_", "parameter", "sentence"),
    [
        (
            600,
            B,
            "B = 600 cannot be used: the network has 512 feature maps at the end of its encoder",
        ),
        (
            "1..600:log",
            B,
            "B = 1..600:log cannot be used: "
            "the network has 512 feature maps at the end of its encoder",
        ),
        (0, B, "B = 0 cannot be used: the smallest B is 1"),
        (2.5, B, "B = 2.5 cannot be used: B is a whole number"),
        ("1.5..8", B, "B = 1.5..8 cannot be used: B is a whole number"),
        ("9..3", B, "B = 9..3 cannot be used: the lower bound 9 is above the upper bound 3"),
        (0.5, X, "X = 0.5 cannot be used: the smallest X is 1"),
        (10**400, X, f"X = {10**400} cannot be used: the largest X is 1000000"),
        ("1..1e400", X, "X = 1..1e400 cannot be used: it is not a finite number"),
        (math.nan, X, "X = nan cannot be used: it is not a finite number"),
        (-math.inf, X, "X = -inf cannot be used: it is not a finite number"),
        ("0..1:log", LAMBDA, "lambda = 0..1:log cannot be used: a log scale needs a lower bound"),
        (1.1, LAMBDA, "lambda = 1.1 cannot be used: the largest lambda is 1"),
    ],
)
def test_refusals_say_why(given_: object, parameter: Parameter, sentence: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(given_, parameter, maps=512)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "given_",
    [
        *("", "word", "1..", "..2", "1..2..3", "1..2:lin", "1...5", "1__0", "nan", "maps", "0x1f"),
        *(True, None, [1, 2], {"low": 1}, "1..maps"),
    ],
)
def test_anything_else_is_told_the_notation(given_: object) -> None:
    with pytest.raises(
        BadValue, match=r"^X = .* cannot be used: write one number, a range low\.\.high"
    ):
        parse(given_, X, maps=512)


finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def parameters(draw: st.DrawFn) -> tuple[Parameter, Fixed | Range]:
    """A parameter of any limits and a space within them."""
    integer = draw(st.booleans())
    numbers = st.integers(-(10**12), 10**12) if integer else finite.map(lambda x: x + 0.0)
    low, high = sorted([draw(numbers), draw(numbers)])
    parameter = Parameter("p", "int" if integer else "float", low, high, low, "any number")
    if low == high:
        return parameter, Fixed(low)
    log = low > 0 and draw(st.booleans())
    return parameter, Range(low, high, log=log, integer=integer)


@given(parameters())
def test_what_is_written_reads_back(drawn: tuple[Parameter, Fixed | Range]) -> None:
    parameter, space = drawn
    assert parse(str(space), parameter, maps=1) == space


@given(finite)
def test_numbers_are_written_exactly(number: float) -> None:
    assert float(written(number)) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1000.0, "1000"),
        (1e-05, "1e-05"),
        ([8, 16], "8,16"),
        ((), "[]"),
        ("flips", "flips"),
        ("", '""'),
        (Range(1, 64, log=True, integer=True), "1..64:log"),
    ],
)
def test_values_are_written_as_set_takes_them(value: object, text: str) -> None:
    assert written(value) == text
