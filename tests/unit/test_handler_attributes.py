"""mypy checks no attribute of a class below one of torch's, which is not type-checked here: so a test does."""

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator

import pytest

import rendezvous_handler


def classes() -> Iterator[type]:
    """The handler's classes below one of torch's."""
    for module in pkgutil.walk_packages(rendezvous_handler.__path__, "rendezvous_handler."):
        if not module.name.endswith("__main__"):
            for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                of_torch = any(base.__module__.split(".")[0] == "torch" for base in found.__mro__)
                if found.__module__ == module.name and of_torch:
                    yield found


def unknown(kind: type) -> set[str]:
    """The attributes of ``self`` that a class reads, and that neither it nor a class above it has."""
    read: set[str] = set()
    written: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            (written if isinstance(node.ctx, ast.Store) else read).add(node.attr)
    return read - written - {*dir(kind)}


CLASSES = [*classes()]


def test_the_classes_are_found() -> None:
    assert {"KubernetesRendezvousHandler", "KubernetesStore"} <= {kind.__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_reads_only_attributes_that_it_has(kind: type) -> None:
    assert unknown(kind) == set()


def test_an_attribute_that_is_missing_is_found() -> None:
    class Torn(dict[str, int]):
        def __init__(self) -> None:
            self.here = self.get("a")
            _ = self.here, self.gone  # type: ignore[attr-defined]

    assert unknown(Torn) == {"gone"}
