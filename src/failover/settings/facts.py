"""What the model says of a field, beside its type and default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from failover.settings.types import Form


class Group(StrEnum):
    """The subjects that settings are listed under, in this order."""

    EVERYDAY = "Everyday settings"
    PROBES = "Probes"
    TIMEOUTS = "Time-outs"
    TRAFFIC = "Requests and targets"
    TLS = "TLS from clients"
    PROCESS = "Processes"
    INCIDENTS = "Incidents and reports"
    ADMIN = "Pages, API and metrics"
    TELLING = "What is told to whom"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the model says of a field.

    `separator` is set where several values may be given, and stands between them in one text; `shown_default` is set
    where the default says less than words; `in_file` is false for what makes no sense in the file.
    """

    group: Group
    form: Form
    meaning: str
    variables: tuple[str, ...] = ()
    secret: bool = False
    separator: str | None = None
    shown_default: str = ""
    in_file: bool = True


def facts_of(field: FieldInfo) -> Facts:
    return next(one for one in field.metadata if isinstance(one, Facts))
