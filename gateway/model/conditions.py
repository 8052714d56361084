"""What an identity must be, to be let in or to be taken for an application's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY_VALUE = "*"  # of a claim: that it is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Require:
    """All that it names must hold; what is empty is not asked for.

    Of roles, groups, a claim's values and `acr` one of each is enough; of scopes all must be there. A claim is named by
    its path (`address.country`). `max_age`: seconds since the user signed in.
    """

    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    acr: tuple[str, ...] = ()
    max_age: float | None = None
