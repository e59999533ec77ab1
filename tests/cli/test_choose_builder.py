from typing import get_args

from efsprov.cli.choose_builder import FACTORIES
from efsprov.core.build import BuilderName


def test_every_builder_that_can_be_named_can_be_made():
    assert set(FACTORIES) == set(get_args(BuilderName))
