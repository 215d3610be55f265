"""The settings as rows of a table: what flags, variables, help, schema and the reference page are made of."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from failover.settings.facts import Facts, Group
from failover.settings.model import Settings
from failover.settings.types import SWITCH

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as everybody but the model sees it."""

    key: str
    facts: Facts
    required: bool
    default: Any

    @property
    def flag(self) -> str:
        return f"--{self.key.replace('_', '-')}"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names in the environment, ours first: it wins where both are set."""
        return (f"FAILOVER_{self.key.upper()}", *self.facts.variables)

    @property
    def several(self) -> bool:
        return self.facts.separator is not None

    @property
    def is_switch(self) -> bool:
        return self.facts.form is SWITCH

    @property
    def shown_default(self) -> str:
        """The default as one would write it; empty where there is none."""
        if self.facts.shown_default or self.required or self.default in (None, ()):
            return self.facts.shown_default
        return self.facts.form.write(self.default)

    def write(self, value: Any) -> str | list[str] | None:
        """A value of this setting as one would write it, secrets masked."""
        if value is None:
            return None
        return [self.facts.form.write(one) for one in value] if self.several else self.facts.form.write(value)


def _rows() -> Mapping[str, Setting]:
    rows = []
    for key, field in Settings.model_fields.items():
        facts = next(one for one in field.metadata if isinstance(one, Facts))
        rows.append(Setting(key, facts, field.is_required(), field.default if not field.is_required() else None))
    order = list(Group)
    rows.sort(key=lambda row: (order.index(row.facts.group), not row.required))
    return MappingProxyType({row.key: row for row in rows})


SETTINGS: Mapping[str, Setting] = _rows()
"""All settings by their key, in the order in which they are shown."""
