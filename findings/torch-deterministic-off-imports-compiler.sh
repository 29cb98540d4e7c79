#!/usr/bin/env bash
# Package: torch 2.11.0 (CPU is enough), Python 3.11.
#
# Behaviour: torch.use_deterministic_algorithms imports the configuration of the compiler (torch._inductor), and with it
# the tracer (torch._dynamo) and SymPy, whatever its argument: also for False, which is what holds anyway. The
# documentation says that it turns the compiler's deterministic mode on as well, and nothing of what False costs.
# torch.backends.cudnn.deterministic = False imports nothing.
#
# Guess that missed: a switch that stays off, in a program that compiles nothing, costs nothing.
#
# Seen:
#   backends.cudnn.deterministic = False: 0 modules
#   use_deterministic_algorithms(False):  881 modules, of them torch._inductor 16, torch._dynamo 86, sympy 419
#
# Why it matters: programs set it once at the start, from an option that is mostly off. Every command that segments one
# image or scores a folder then starts seconds later.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.11.0 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PY'
import sys

import torch


def new_modules(switch):
    before = set(sys.modules)
    switch()
    return set(sys.modules) - before


def count(modules, package):
    return sum(name == package or name.startswith(package + ".") for name in modules)


assert not torch.are_deterministic_algorithms_enabled()
one = new_modules(lambda: setattr(torch.backends.cudnn, "deterministic", False))
print("backends.cudnn.deterministic = False:", len(one), "modules")
many = new_modules(lambda: torch.use_deterministic_algorithms(False))
counts = {name: count(many, name) for name in ("torch._inductor", "torch._dynamo", "sympy")}
shown = ", ".join(f"{name} {number}" for name, number in counts.items())
print(f"use_deterministic_algorithms(False):  {len(many)} modules, of them {shown}")
assert not one and len(many) > 500 and all(counts.values())
PY
