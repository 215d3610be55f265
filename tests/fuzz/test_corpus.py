"""The fixed inputs of the fuzz targets, without the fuzzer: what was found once is never let through again.

Each file of `corpus/TARGET` is an input; one that found a defect has a name that says what it was. `make fuzz` looks
for new ones, docs/fuzzing.md says how.
"""

from __future__ import annotations

import importlib

import pytest

from fuzz.run import CORPUS, DICTIONARIES, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_breaks_an_invariant(name):
    target = importlib.import_module(f"fuzz.targets.{name}")
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 3
    for path in inputs:
        try:
            target.one(path.read_bytes())
        except BaseException as error:
            error.add_note(f"with {path}")
            raise


def test_every_folder_of_the_corpus_has_its_target():
    assert sorted(path.name for path in CORPUS.iterdir()) == TARGETS


def test_each_target_says_its_invariants_first_and_has_its_words():
    for name in TARGETS:
        target = importlib.import_module(f"fuzz.targets.{name}")
        assert "\n1. " in target.__doc__
        assert (DICTIONARIES / f"{target.DICTIONARY}.dict").is_file()
