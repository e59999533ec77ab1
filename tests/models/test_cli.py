import hashlib
import json
import re
from pathlib import Path

import pytest

from efsprov.cli.main import main
from efsprov.core.errors import FetchError, IntegrityError, ModelError, NotFoundError, UsageError


@pytest.fixture
def run(tmp_path, tmp_path_factory, monkeypatch, capsys):
    """Runs `efsprov model ...` on a root of its own; returns exit code, stdout and stderr."""
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("EFSPROV_ROOT", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)

    def model(*words):
        with pytest.raises(SystemExit) as left:
            main(["model", *map(str, words)])
        result = capsys.readouterr()
        return left.value.code, result.out, result.err

    return model


@pytest.fixture
def run_json(run):
    def model(*words, code=0):
        left, out, _ = run(*words, "--json")
        assert left == code, out
        return json.loads(out)

    return model


def test_a_channel_that_a_model_is_for_and_that_is_not_there_is_remarked(run, made):
    code, _, result = run("push", "net", made, "--for", "torhc")
    assert code == 0
    assert "There is no channel torhc in" in result


def test_the_life_of_a_model(run, run_json, make_safetensors):
    first = run_json("push", "net", make_safetensors(fill=1), "--meta", "accuracy=0.9", "--for", "torch")
    second = run_json("push", "net", make_safetensors(fill=2))
    assert (first["outcome"], second["before"]) == ("published", first["release"])
    (listed,) = run_json("list")["models"]
    assert [release["id"] for release in listed["releases"]] == [second["release"], first["release"]]
    assert listed["releases"][1]["meta"] == {"accuracy": "0.9"}
    assert run_json("rollback", "net")["current"] == first["release"]
    shown = run_json("show", "net")
    assert shown["manifest"]["model"]["made_for"] == "torch"
    assert shown["path"] == first["path"]
    assert run_json("activate", "net", second["release"])["current"] == second["release"]
    assert run_json("pin", "net", first["release"])["done"] == "pin"
    assert run_json("verify", "net")["findings"] == []
    pruned = run_json("prune", "net", "--keep-last", "1", "--grace-hours", "0")
    assert [d["keep"] for d in pruned["decisions"]] == [True, True]
    assert run_json("mark-bad", "net", first["release"], "--note", "drifts")["release"] == first["release"]
    assert [e["do"] for e in run_json("history", "net")["entries"]][-2:] == ["pin", "mark-bad"]


def test_people_are_reported_what_was_published_and_how_it_is_used(run, make_safetensors):
    path = make_safetensors()
    code, out, err = run("push", "net", path)
    assert code == 0
    assert "✓ model net: release " in out
    assert "safetensors, " in out
    assert hashlib.sha256(path.read_bytes()).hexdigest() in out
    assert 'efsprov.bootstrap.model("net")' in out
    assert "Publishing" in err
    for words, part in [
        (("list",), "-> "),
        (("show", "net"), "model.safetensors"),
        (("verify", "net"), "1 release checked, all as in the manifest"),
        (("history", "net"), "publish"),
    ]:
        code, out, _ = run(*words)
        assert code == 0
        assert part in out


def test_nothing_there_is_reported(run, tmp_path):
    (tmp_path / "root").mkdir()
    code, out, _ = run("list")
    assert code == 0
    assert "`efsprov model push NAME SOURCE` makes one" in out


@pytest.mark.parametrize("verb", ["activate", "rollback", "verify", "show", "history", "prune", "pin"])
def test_verbs_on_a_model_that_is_not_there(run_json, make_safetensors, verb):
    run_json("push", "net", make_safetensors())
    words = ["20261121T063000Z-3f2a9c1b"] if verb in {"activate", "pin"} else []
    error = run_json(verb, "other", *words, code=NotFoundError.exit_code)["error"]
    assert error["code"] == "not-found"
    assert "There is no model other in" in error["message"]
    assert "net" in error["hint"]


def test_hints_name_the_commands_for_models(run, run_json, make_safetensors):
    release = run_json("push", "net", make_safetensors())["release"]
    error = run_json("rollback", "net", code=NotFoundError.exit_code)["error"]
    assert "`efsprov model rollback net --to ID`" in error["hint"]
    assert "`efsprov model list`" in error["hint"]
    run_json("mark-bad", "net", release)
    error = run_json("activate", "net", release, code=IntegrityError.exit_code)["error"]
    assert f"`efsprov model mark-good net {release}`" in error["hint"]


def test_damage_is_found(run_json, make_safetensors):
    pushed = run_json("push", "net", make_safetensors())
    Path(pushed["path"], "model.safetensors").write_bytes(b"x")
    found = run_json("verify", "net", code=IntegrityError.exit_code)["findings"]
    assert [f["problem"] for f in found] == ["has 1 bytes instead of 92"]


def test_trust_by_flag_and_by_configuration(run_json, samples, tmp_path):
    error = run_json("push", "net", samples / "dense.h5", code=ModelError.exit_code)["error"]
    assert error["code"] == "model"
    (tmp_path / "efsprov.toml").write_text('[models]\ntrust = ["h5"]\n')
    assert run_json("push", "net", samples / "dense.h5")["manifest"]["model"]["trusted"] == ["h5"]
    run_json("push", "net", samples / "linear_module.pt", code=ModelError.exit_code)
    trusted = run_json("push", "net", samples / "linear_module.pt", "--trust")["manifest"]["model"]["trusted"]
    assert trusted == ["pickle"]


def test_configuration_that_trusts_what_is_unknown_is_refused(run_json, samples, tmp_path):
    (tmp_path / "efsprov.toml").write_text('[models]\ntrust = ["everything"]\n')
    error = run_json("push", "net", samples / "dense.h5", code=UsageError.exit_code)["error"]
    assert "models.trust" in error["message"]
    assert "savedmodel-ops" in error["message"]


@pytest.fixture
def made(make_safetensors):
    """A sound model in the current folder."""
    return make_safetensors()


@pytest.mark.parametrize(
    ("words", "error", "part"),
    [
        (["Net", "model.safetensors"], UsageError, "'Net' cannot name a model"),
        (["../net", "model.safetensors"], UsageError, "cannot name a model"),
        (["net", "nowhere"], UsageError, "There is no file or folder nowhere"),
        (["net", "model.safetensors", "--sha256", "0" * 64], FetchError, "is not what --sha256 pins"),
        (["net", "model.safetensors", "--meta", "novalue"], UsageError, "is not KEY=VALUE"),
        (["net", "s3://", "--region", "us-east-1"], UsageError, "is not an object of S3"),
        (["net"], UsageError, "Missing argument"),
    ],
)
def test_bad_input_is_one_message_and_changes_nothing(run_json, made, words, error, part):
    result = run_json("push", *words, code=error.exit_code)["error"]
    assert (result["code"], bool(result["hint"])) == (error.code, True)
    assert part in result["message"]
    assert not (made.parent / "root").exists()


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--quantize", "dynamic"], "There is no channel in ", "that hold onnxruntime and onnx: --channel NAME[,NAME]"),
        (
            ["--quantize", "dynamic"],
            "There is no channel in ",
            "`efsprov sync --root DIR --channel NAME --requirements FILE` makes one",
        ),
        (["--quantize", "static"], "needs representative data", "--representative FILE.npy"),
        (["--to", "tflite"], "A model of the format onnx cannot become tflite", "tflite can be made from: h5, keras"),
        ([], "The model is onnx already", "--quantize"),
        (["--quantize", "static", "--representative", "none.npy"], "none.npy is not a file", "numpy.save"),
    ],
)
def test_optimisation_that_cannot_be_says_what_it_takes(run, run_json, samples, words, message, hint):
    """Before it looks for a channel, where none could help."""
    run_json("push", "net", samples / "matmul.onnx")
    error = json.loads(run("optimize", "net", *words, "--json")[1])["error"]
    assert message in error["message"]
    assert hint in error["hint"]


def test_root_that_is_not_there_is_reported_in_words_of_models(run, tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_ROOT", str(tmp_path / "nowhere"))
    assert "`efsprov model push NAME SOURCE` makes it" in run("list")[2]


def test_every_verb_says_what_it_does(run):
    _, out, _ = run("--help")
    verbs = re.findall(r"^│ ([a-z-]+) ", out, re.MULTILINE)
    assert {"push", "list", "show", "activate", "rollback", "verify", "prune", "pin", "optimize"} <= set(verbs)
