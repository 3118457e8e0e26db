"""What is wrong with a graph that Neo4j Community lets pass, how often, where, and what mends it?

A check is one statement `cypher/validate/<name>.cypher` and one line of the table in `checks`. `errors` make results
wrong, so `require_valid` keeps such a graph from training; `warnings` are for a curator to look at.
"""

from kg.validation.findings import Finding, Report
from kg.validation.validating import require_valid, validate

__all__ = ["Finding", "Report", "require_valid", "validate"]
