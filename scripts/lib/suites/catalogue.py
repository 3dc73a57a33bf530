"""All the suites there are, the telling ones first."""

from . import go, java, node, perl, php, python, ruby, rust

SUITES = [
    *rust.SUITES,
    *python.SUITES,
    *go.SUITES,
    *java.SUITES,
    *node.SUITES,
    *ruby.SUITES,
    *php.SUITES,
    *perl.SUITES,
]
