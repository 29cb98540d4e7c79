"""Checks of what a run of a recipe needs and whether this machine has it, without network access."""

from scaseg_cli.doctor.examine import examine
from scaseg_cli.doctor.finding import Finding, as_json_value, as_table, can_start

__all__ = ["Finding", "as_json_value", "as_table", "can_start", "examine"]
