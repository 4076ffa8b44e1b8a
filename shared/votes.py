"""How the faces of one person vote on age and gender."""

from __future__ import annotations

MAX_VOTES = 16
"""At most so many faces of one person have a say: more change nothing that matters."""
