"""Frozen dataclasses to and from the JSON of the Kubernetes API.

The names follow from the fields: ``pod_uid`` is ``podUID``, ``min_nodes`` is ``minNodes``. A field that is None, or an
empty tuple, mapping or dataclass, is left out; so a reader must give such a field a default.
"""

import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")

_INITIALISMS = {"id": "ID", "uid": "UID"}
_MOST_CHARACTERS = 200
"""Of a value that an error shows."""


def json_name(field_name: str) -> str:
    """Name of a dataclass field in JSON, by the Kubernetes API conventions (lower camel case, ``ID`` and ``UID``)."""
    first, *rest = field_name.split("_")
    return first + "".join(_INITIALISMS.get(word, word.capitalize()) for word in rest)


class DecodeError(ValueError):
    """An object is not of the expected shape; the message begins with the path of the field."""


def encode(value: Any) -> Any:
    """Turn a dataclass (or a tuple, mapping or scalar in one) into what ``json.dumps`` takes."""
    if is_dataclass(value):
        encoded = {}
        for field_name, name in _json_names(cast(Hashable, type(value))):
            field_value = encode(getattr(value, field_name))
            if field_value is not None and field_value != [] and field_value != {}:
                encoded[name] = field_value
        return encoded
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    return value


def decode(cls: type[T], data: Mapping[str, Any], path: str = "") -> T:
    """Build ``cls`` from parsed JSON. Unknown fields are ignored, so that an older reader survives a newer API.

    Raises:
        DecodeError: a field is missing or of another type; the message names its path.
    """
    if not isinstance(data, Mapping):
        raise _error(path or cls.__name__, data, "object")
    arguments = {}
    for field_name, name, convert, required in _decoders(cast(Hashable, cls)):
        value = data.get(name)
        if value is None:
            if required:
                raise DecodeError(f"{path}.{name}: is required".lstrip("."))
        else:
            arguments[field_name] = convert(value, f"{path}.{name}")
    return cls(**arguments)


@functools.cache
def _json_names(cls: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, json_name(field.name)) for field in fields(cls))


_Converter = Callable[[Any, str], Any]


@functools.cache
def _decoders(cls: Any) -> tuple[tuple[str, str, _Converter, bool], ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        (
            field.name,
            json_name(field.name),
            converter(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(cls)
    )


def converter(hint: Any) -> _Converter:
    """What turns a JSON value into a field of the type `hint`. Raises TypeError for types that no field may have."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return converter(inner)
    if origin is tuple and arguments[1:] == (...,):
        return _tuple(converter(arguments[0]))
    if hint == Mapping[str, str]:
        return _strings
    if is_dataclass(hint):
        return lambda value, path: decode(cast(type[Any], hint), value, path)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _scalar(lambda value: hint(value), hint.__name__)
    if hint in (str, int, bool):
        return _checked(hint)
    raise TypeError(f"{hint} cannot be decoded")


def _error(path: str, value: Any, expected: str) -> DecodeError:
    """An error that shows a value, in one line of a log."""
    text = repr(value)
    shown = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
    return DecodeError(f"{path.lstrip('.')}: {shown} is no {expected}")


def _tuple(item: _Converter) -> _Converter:
    def converter(value: Any, path: str) -> Any:
        # Any other iterable would do for Python: of a string its characters, of an object its keys.
        if not isinstance(value, list):
            raise _error(path, value, "list")
        return tuple(item(element, f"{path}[{i}]") for i, element in enumerate(value))

    return converter


def _strings(value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _error(path, value, "object")
    for key, text in value.items():
        if not isinstance(text, str):
            raise _error(f"{path}[{key!r}]", text, "str")
    return value


def _scalar(convert: Callable[[Any], Any], expected: str) -> _Converter:
    def converter(value: Any, path: str) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError):
            raise _error(path, value, expected) from None

    return converter


def _checked(expected: type) -> _Converter:
    def converter(value: Any, path: str) -> Any:
        # bool is an int in Python, but not in JSON.
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise _error(path, value, expected.__name__)
        return value

    return converter
