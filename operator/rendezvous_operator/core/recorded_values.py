"""Values of the core as JSON, without loss: written, compared with those before, and read again.

Names are those of the Kubernetes API (``podUID``); what is None or empty is left out.
"""

import functools
import math
import types
import typing
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeVar, cast

from rendezvous_api.codec import DecodeError, converter, json_name
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.names import GROUP
from rendezvous_operator.core.timers import Fact, Timer

Json = dict[str, Any]
T = TypeVar("T")


class OrderError(Exception):
    """The entries of a mapping are in another order than the patch would bring them into."""


def encode(value: Any) -> Any:
    """A value of the core as what ``json.dumps`` takes."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if _names(value):
        return encode_record(value)
    if isinstance(value, Mapping):
        if _has_facts(value):
            return [[timer.value, _key(key), encode(moment)] for (timer, key), moment in value.items()]
        return {name: encode(item) for name, item in value.items()}
    if isinstance(value, frozenset):
        return [encode(item) for item in sorted(value)]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    raise TypeError(f"{type(value)} cannot be recorded")


def encode_record(record: Any, but: Collection[str] = ()) -> Json:
    """A record of the core, without these of its fields."""
    return {
        name: encode(item)
        for field, name in _names(record)
        if field not in but and not _is_left_out(record, field, item := _part(record, field))
    }


def difference(before: Any, after: Any, same: T) -> Any | T:
    """The JSON merge patch from one value to another one of the same field; ``same`` if there is no difference.

    Raises:
        OrderError: no patch brings the entries of a mapping into their order.
    """
    if before is after:
        return same
    if type(before) is type(after) and (names := _names(after)):
        found = {}
        for field, name in names:
            was, is_now = _part(before, field), _part(after, field)
            left_out = _is_left_out(after, field, is_now)
            if was is is_now or (left_out and _is_left_out(before, field, was)):
                continue
            patch = None if left_out else difference(was, is_now, _SAME)
            if patch is not _SAME:
                found[name] = patch
        return found or same
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not (_has_facts(before) or _has_facts(after)):
        return _difference_of_mappings(before, after, same)
    if before == after:
        return same
    return encode(after)


_SAME: Final = object()


def _difference_of_mappings(before: Mapping[Any, Any], after: Mapping[Any, Any], same: T) -> Any | T:
    found: Json = {}
    if list(before) != list(after):
        found = {name: None for name in before if name not in after}
        order = [name for name in before if name in after]
        order += [name for name in after if name not in before]
        if order != list(after):
            raise OrderError
    for name, value in after.items():
        # Most of a large group has not changed.
        if (was := before.get(name)) is not value and (patch := difference(was, value, _SAME)) is not _SAME:
            found[name] = patch
    return found or same


def changed_fields(before: Any, after: Any) -> Json:
    """The fields in which a record differs from another one of its kind; None: it is left out."""
    return {
        name: None if _is_left_out(after, field, value) else encode(value)
        for field, name in _names(after)
        if (value := getattr(after, field)) is not (was := getattr(before, field)) and value != was
    }


def patched(target: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7396); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result


def _has_facts(value: Mapping[Any, Any]) -> bool:
    """Whether its keys are facts, which are no texts."""
    return isinstance(next(iter(value), None), tuple)


def _is_left_out(record: Any, field: str, value: Any) -> bool:
    """Whether a field of a record is left out with this value. Where it may be None, an empty value is another one."""
    if value is None:
        return True
    return (
        not value
        and isinstance(value, (Mapping, frozenset, tuple))
        and field not in _may_be_none(cast(Hashable, type(record)))
    )


@functools.cache
def _may_be_none(cls: Any) -> frozenset[str]:
    hints = typing.get_type_hints(cls)
    return frozenset(field for field, _ in _fields(cls) if type(None) in typing.get_args(hints[field]))


def _part(value: Any, field: str) -> Any:
    part = getattr(value, field)
    if part and field == "annotations" and isinstance(value, ObjectMeta):
        # Others are the user's, and no decision reads what they say.
        return {name: text if name.startswith(f"{GROUP}/") else "" for name, text in part.items()}
    return part


def _names(value: Any) -> tuple[tuple[str, str], ...]:
    """Names of the fields of a record, in Python and in JSON; empty: it is none."""
    return _fields(cast(Hashable, type(value)))


@functools.cache
def _fields(cls: Any) -> tuple[tuple[str, str], ...]:
    found = [field.name for field in fields(cls)] if is_dataclass(cls) else getattr(cls, "_fields", ())
    return tuple((name, json_name(name)) for name in found)


def _key(key: Hashable) -> Any:
    """The key of a fact: a list for a tuple, an object for a set."""
    if isinstance(key, tuple):
        return [_key(item) for item in key]
    return {"set": sorted(key)} if isinstance(key, frozenset) else encode(key)


# ---- and back

_Decoder = Callable[[Any, str], Any]


def decoded(cls: type[T], tree: Any, path: str) -> T:
    """The value of that type which `encode` has written so; a field that the type does not have is ignored.

    Args:
        cls: a record of the core, or what a field of one may be.
        tree: what was read.
        path: where, for the message.

    Raises:
        DecodeError: a field is missing or has another type; the message names its path.
    """
    return cast(T, _decoder(cast(Hashable, cls))(tree, path))


@functools.cache
def _decoder(hint: Any) -> _Decoder:
    """What turns JSON into a field of the type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _decoder(inner)
    if hint is float:
        return _checked(lambda value: value if isinstance(value, (int, float)) else float(str(value)), "number")
    if hint is datetime:
        return _checked(_time, "time")
    if origin is tuple:
        return lambda value, path: tuple(_items(_decoder(arguments[0]), value, path))
    if origin is frozenset:
        return lambda value, path: frozenset(_items(_decoder(arguments[0]), value, path))
    if hint == Mapping[Fact, float]:
        return _facts
    if hint != Mapping[str, str] and getattr(origin, "__name__", "") == "Mapping":
        return lambda value, path: {
            name: _decoder(arguments[1])(item, f"{path}.{name}") for name, item in json_object(value, path).items()
        }
    if isinstance(hint, type) and hint.__module__.startswith("rendezvous_operator.") and _fields(hint):
        return lambda value, path: _record(hint, value, path)
    return converter(hint)


def _record(cls: Any, value: Any, path: str) -> Any:
    tree, arguments = json_object(value, path), {}
    for field, name, decoder, required in _decoders(cls):
        found = tree.get(name)
        if found is not None:
            arguments[field] = decoder(found, f"{path}.{name}")
        elif required:
            raise DecodeError(f"{path}.{name}: is required")
    return cls(**arguments)


@functools.cache
def _decoders(cls: Any) -> tuple[tuple[str, str, _Decoder, bool], ...]:
    hints = typing.get_type_hints(cls)
    if is_dataclass(cls):
        optional = {field.name for field in fields(cls) if (field.default, field.default_factory) != (MISSING, MISSING)}
    else:
        optional = set(getattr(cls, "_field_defaults", ()))
    return tuple((field, name, _decoder(hints[field]), field not in optional) for field, name in _fields(cls))


def json_object(value: Any, path: str) -> Json:
    """The value, if it is an object.

    Raises:
        DecodeError: it is none.
    """
    if not isinstance(value, dict):
        raise DecodeError(f"{path}: {str(value)[:200]!r} is no object")
    return value


def _items(item: _Decoder, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError(f"{path}: {str(value)[:200]!r} is no list")
    return [item(element, f"{path}[{i}]") for i, element in enumerate(value)]


def _checked(convert: Callable[[Any], Any], expected: str) -> _Decoder:
    def decoder(value: Any, path: str) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError):
            raise DecodeError(f"{path}: {str(value)[:200]!r} is no {expected}") from None

    return decoder


def _facts(value: Any, path: str) -> Mapping[Fact, float]:
    """The timers; those of facts that this release does not know are left out."""
    known = {timer.value: timer for timer in Timer}
    found: dict[Fact, float] = {}
    for fact in _items(lambda fact, _: fact, value, path):
        if not isinstance(fact, list) or len(fact) != 3:
            raise DecodeError(f"{path}: {str(fact)[:200]!r} is no fact with a key and a moment")
        name, key, moment = fact
        if (timer := known.get(str(name))) is not None:
            found[timer, _key_of(key, path)] = _decoder(float)(moment, path)
    return found


def _key_of(tree: Any, path: str) -> Hashable:
    if isinstance(tree, list):
        return tuple(_key_of(item, path) for item in tree)
    if isinstance(tree, dict):
        return frozenset(_key_of(item, path) for item in _items(lambda item, _: item, tree.get("set"), f"{path}.set"))
    return cast(Hashable, tree)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)  # it cannot be compared with others
    return found
