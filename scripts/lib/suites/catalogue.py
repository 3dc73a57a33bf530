"""All the suites there are, the telling ones first."""

from . import python, rust

SUITES = [*rust.SUITES, *python.SUITES]
