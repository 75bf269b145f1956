"""Filters on metadata: the language, its check, and its translation for the ledger.

A filter is a mapping; all that it says must hold. `{"project": "spring"}` is equality; an operator is a mapping in the
value's place; `$and`, `$or` and `$not` join filters. The operators are spelled as in MongoDB and Chroma:

    {"year": {"$gte": 2020, "$lt": 2024}, "$or": [{"camera": {"$exists": False}}, {"by": {"$in": ["ann", "bob"]}}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from seehear.errors import InputError, QueryError
from seehear.metadata import checked
from seehear.types import Metadata, Scalar
from seehear.wording import repeated

Type = Literal["bool", "number", "text"]
RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
OPERATORS = ("$eq", "$ne", "$in", "$nin", *RANGES, "$exists")
JOINS = ("$and", "$or", "$not")
_AMONG = "sources.key IN (SELECT source FROM facts WHERE"
_EACH = "EXISTS (SELECT 1 FROM facts WHERE source = sources.key AND"
DEEPEST, TERMS, MOST = 8, 200, 1_000
"""Levels, terms and values of one filter: SQLite takes a little more, and fails beyond."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter for the ledger, over its table `sources`."""

    sql: str
    values: tuple[Scalar, ...] = ()
    asks: tuple[tuple[str, frozenset[Type]], ...] = ()
    """Metadata names, each with the types of which its values must be for the filter to make sense."""

    @property
    def of_each(self) -> str:
        """The same, for a look at few files one by one; `sql` is for finding all files that pass."""
        return self.sql.replace(_AMONG, _EACH)


def joined(word: Literal["AND", "OR"], parts: Iterable[Condition]) -> Condition:
    """Join conditions by one word."""
    listed = list(parts)
    return Condition(
        "(" + f" {word} ".join(part.sql for part in listed) + ")",
        tuple(value for part in listed for value in part.values),
        tuple(ask for part in listed for ask in part.asks),
    )


def type_of(value: Scalar) -> Type:
    """What kind of value it is: true is not 1, though Python says so."""
    return "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def facts(metadata: Metadata) -> list[tuple[str, Type, Scalar]]:
    """Metadata as rows of the ledger's table `facts`: name, type, value."""
    return [(name, type_of(value), value) for name, value in metadata.items()]


def condition(where: Any) -> Condition:
    """Translate a filter. Raises QueryError that names what is wrong and what is known."""
    return _all_of(where, 0)


def _bounded(found: Condition) -> Condition:
    """Raises QueryError for what is too much: at each level, for a small filter may hold another a hundred times."""
    terms = found.sql.count(_AMONG)
    if (values := len(found.values) - terms) > MOST:
        raise QueryError(f"The filter has {values:,} values; at most {MOST:,} make sense.")
    _few(terms)
    return found


def _few(terms: int) -> None:
    if terms > TERMS:
        raise QueryError(
            f"The filter has {terms:,} terms; at most {TERMS} make sense. Many values of one name go into $in."
        )


def _all_of(where: Any, depth: int) -> Condition:
    if not isinstance(where, Mapping) or not where:
        raise QueryError(f"A filter is a mapping such as {{'project': 'spring'}}, not {repeated(where)}.")
    if depth > DEEPEST:
        raise QueryError(f"The filter is nested deeper than {DEEPEST} levels.")
    _few(len(where))
    return _bounded(joined("AND", [_term(name, asked, depth) for name, asked in where.items()]))


def _term(name: Any, asked: Any, depth: int) -> Condition:
    if name == "$not":
        inner = _all_of(asked, depth + 1)
        return Condition(f"NOT {inner.sql}", inner.values, inner.asks)
    if name in JOINS:
        if not isinstance(asked, (list, tuple)) or not asked:
            raise QueryError(f"{name} takes a list of filters, not {repeated(asked)}.")
        _few(len(asked))
        return _bounded(joined("AND" if name == "$and" else "OR", [_all_of(one, depth + 1) for one in asked]))
    if isinstance(name, str) and name.startswith("$"):
        raise QueryError(f"There is no {name}. A filter is joined by {', '.join(JOINS)}.")
    if not isinstance(asked, Mapping):
        return _equal(name, [asked])
    if not asked:
        raise QueryError(f"The filter on {repeated(name)} says nothing.")
    return joined("AND", [_operator(name, operator, value) for operator, value in asked.items()])


def _operator(name: Any, operator: Any, value: Any) -> Condition:
    if operator in ("$eq", "$ne", "$in", "$nin"):
        listed = _listed(operator, value) if operator in ("$in", "$nin") else [value]
        if operator in ("$eq", "$in"):
            return _equal(name, listed)
        if any(one is None for one in listed):
            raise QueryError(f"Everything differs from None; ask {{{repeated(name)}: {{'$exists': True}}}}.")
        inner = _equal(name, listed)  # as in Chroma, what has no such name passes too, and any type may differ
        return Condition(f"NOT {inner.sql}", inner.values, tuple((asked, frozenset()) for asked, _ in inner.asks))
    if operator == "$exists":
        if not isinstance(value, bool):
            raise QueryError(f"$exists is true or false, not {repeated(value)}.")
        _value(name, None)
        return Condition(f"{'' if value else 'NOT '}{_having('')}", (name,), ((name, frozenset()),) if value else ())
    if operator in RANGES:
        _value(name, None)
        value = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise QueryError(
                f"{operator} on {repeated(name)} compares numbers, not {repeated(value)}. "
                "Dates are asked for with after and before."
            )
        sql = _having(f"AND type = 'number' AND value {RANGES[operator]} ?")
        return Condition(sql, (name, _value(name, value)), ((name, frozenset({"number"})),))
    raise QueryError(f"There is no operator {repeated(operator)}. Known are {', '.join(OPERATORS)}.")


def _listed(operator: str, value: Any) -> list[Any]:
    try:
        listed = [] if isinstance(value, (str, bytes)) else list(islice(value, MOST + 1))
    except TypeError:  # a number, or an array that is one
        listed = []
    if not listed:
        raise QueryError(f"{operator} takes a list of values, not {repeated(value)}.")
    if len(listed) > MOST:
        raise QueryError(f"The filter has {len(listed):,} values or more; at most {MOST:,} make sense.")
    return listed


def _equal(name: Any, values: list[Any]) -> Condition:
    clean = [_value(name, value) for value in values]
    if any(one is None for one in values):
        raise QueryError(f"Nothing equals None; ask {{{repeated(name)}: {{'$exists': False}}}}.")
    kinds = sorted({type_of(value) for value in clean})
    parts = []
    for kind in kinds:
        same = [value for value in clean if type_of(value) == kind]
        marks = ", ".join("?" * len(same))
        parts.append(Condition(_having(f"AND type = '{kind}' AND value IN ({marks})"), (name, *same)))
    found = joined("OR", parts)
    return Condition(found.sql, found.values, ((name, frozenset(kinds)),))


def _value(name: Any, value: Any) -> Scalar:
    """Check a name and a value, or None, by the rules that metadata keeps to. Raises QueryError."""
    try:
        return checked({name: value}).get(name, "")
    except InputError as error:
        raise QueryError(str(error)) from error


def _having(more: str) -> str:
    return f"{_AMONG} name = ? {more})"
