import pytest

from efsprov.core.errors import ModelError, UsageError
from efsprov.models.formats.inspection import RISKS, Inspection, Risk
from efsprov.models.policy import read_trust, require_trust

PICKLE = Risk("pickle", "model.pkl", "is a pickle")
LAMBDA = Risk("keras-code", "model.keras", "has a Lambda layer")


def test_a_model_that_only_holds_data_needs_no_trust():
    assert require_trust("m", Inspection("onnx"), ()) == ()


def test_what_is_not_trusted_is_named_with_ways_out():
    with pytest.raises(ModelError, match=r"Model m may run code when it is loaded: model\.pkl is a pickle") as caught:
        require_trust("m", Inspection("directory", "", (PICKLE,)), {"h5"})
    assert "--trust" in caught.value.hint
    assert "trust = ['pickle']" in caught.value.hint
    assert "safetensors" in caught.value.hint


def test_one_risk_that_is_not_trusted_is_enough():
    with pytest.raises(ModelError, match="has a Lambda layer"):
        require_trust("m", Inspection("directory", "", (PICKLE, LAMBDA)), {"pickle"})


def test_what_was_trusted_is_reported():
    assert require_trust("m", Inspection("directory", "", (PICKLE, LAMBDA)), set(RISKS)) == ("keras-code", "pickle")


@pytest.mark.parametrize(
    ("words", "trusted"), [([], set()), (["all"], set(RISKS)), (["h5", " pickle "], {"h5", "pickle"}), ([""], set())]
)
def test_a_policy_is_read(words, trusted):
    assert read_trust(words) == trusted


def test_an_unknown_word_is_an_error_that_lists_those_that_there_are():
    with pytest.raises(UsageError, match="'everything'") as caught:
        read_trust(["everything"])
    assert "savedmodel-ops" in caught.value.hint
