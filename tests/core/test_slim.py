import csv
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.core.errors import UsageError
from efsprov.core.record import parse_record
from efsprov.core.slim import DEBUG, RULES, Saving, check_rules, rewrite_record, savings, select


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("torch/include/ATen/ops/add.h", "headers"),
        ("tensorflow/include/eigen/Core.hpp", "headers"),
        ("torch/include/ATen/cuda/x.cuh", "headers"),
        ("torch/lib/libdnnl.a", "static"),
        ("pkg/lib/libx.la", "static"),
        ("numpy/core/tests/test_abc.py", "tests"),
        ("numpy/core/tests/data/astype.pkl", "tests"),
        ("tests/__init__.py", "tests"),
        ("torch/test/atest", "tests"),
        ("numpy/__init__.pyi", "stubs"),
        ("numpy/core/tests/stub.pyi", "tests"),
        ("numpy/testing/__init__.py", None),
        ("numpy/tests.py", None),
        ("tensorflow/_api/v2/test/__init__.py", None),  # `import tensorflow` imports it
        ("tensorflow/_api/v2/test/experimental/x.py", None),
        ("torch/lib/libtorch.so", None),
        ("numpy/py.typed", None),
        ("numpy-1.26.dist-info/tests/x.h", None),
    ],
)
def test_which_rule_leaves_a_path_out(path, rule):
    paths = {path, "tensorflow/_api/v2/test/__init__.py"}
    assert select(paths, RULES).get(path) == rule


names = st.sampled_from(["a", "test", "tests", "x.h", "y.py", "__init__.py", "z.pyi", "l.a", "p.dist-info"])
paths = st.sets(st.lists(names, min_size=1, max_size=4).map("/".join), max_size=20)


@given(paths, st.sets(st.sampled_from(sorted(RULES))))
def test_only_the_rules_that_were_asked_for_apply(found, rules):
    chosen = select(found, rules)
    assert set(chosen.values()) <= rules - {DEBUG}
    assert chosen.keys() == {path for rule in rules for path in select(found, {rule})}


@given(paths)
def test_savings_are_what_each_rule_leaves_out(found):
    sizes = {path: number * 7 for number, path in enumerate(sorted(found))}
    result = savings(sizes)
    assert result.keys() == RULES.keys() - {DEBUG}
    for rule, saving in result.items():
        chosen = select(found, {rule})
        assert saving == Saving(len(chosen), sum(sizes[path] for path in chosen))


def test_rules_come_in_one_order_and_once():
    assert check_rules(["tests", "headers", "tests"]) == ("headers", "tests")
    with pytest.raises(UsageError, match="no slim rule 'everything'"):
        check_rules(["headers", "everything"])


SHA = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
RECORD = (
    f'pkg/__init__.py,{SHA},0\npkg/x.h,{SHA},0\n"pkg/a, b.h",{SHA},0\npkg/lib.so,{SHA},0\npkg-1.dist-info/RECORD,,\n'
)


def test_a_rewritten_record_lists_what_is_left():
    content = b"stripped"
    digest = hashlib.sha256(content).hexdigest()
    text = rewrite_record(RECORD, without={"pkg/x.h", "pkg/a, b.h"}, changed={"pkg/lib.so": (digest, len(content))})
    entries = parse_record(text, dist_info="pkg-1.dist-info", where="RECORD")
    assert entries.keys() == {"pkg/__init__.py", "pkg/lib.so", "pkg-1.dist-info/RECORD"}
    assert entries["pkg/lib.so"].digest == digest
    assert next(row for row in csv.reader(text.splitlines()) if row[0] == "pkg/lib.so")[2] == str(len(content))
    assert entries["pkg/__init__.py"] == parse_record(RECORD, dist_info="pkg-1.dist-info", where="")["pkg/__init__.py"]


def test_a_record_of_which_nothing_is_left_out_stays_as_it_is():
    assert rewrite_record(RECORD, without=(), changed={}) == RECORD
