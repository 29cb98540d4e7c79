# make demo    install into .venv and run the whole method on the embedded world, on the CPU
# make test    the test suite; `make fuzz` for 10,000 odd files; `make check` for style, types and the layers; `make docs` for the pages as a site
# make wheel    build the wheel, install it without the tree, and run it
# make release-check    whether HEAD can be released, and its wheel in build/release
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# mmengine asks for opencv-python, which needs libGL of the system; where that is missing, the headless build serves.
HEADLESS = $(BIN)/python -c 'import cv2' 2>/dev/null || { $(PIP) uninstall --yes opencv-python && \
  $(PIP) install --force-reinstall --no-deps -c constraints.txt opencv-python-headless; }

.PHONY: demo test fuzz check docs wheel release-check install install-dev clean
demo: install
	$(BIN)/scaseg run

# In two processes of one thread each, file by file: a file's tests share what they made.
# Without compiled files each of the processes that tests start would compile the package again.
test: install-dev
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist loadfile

# 10,000 files that are odd in a few places: each is read, or refused with a sentence.
fuzz: install-dev
	SCASEG_FUZZ_CASES=10000 OMP_NUM_THREADS=1 $(BIN)/pytest tests/fuzz -n 2 --dist load --timeout 3600

check: install-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install-dev
	$(BIN)/mkdocs build

wheel:
	.ci/wheel $(PYTHON)

release-check: check docs
	$(BIN)/python .ci/release_check.py

install: .venv/installed
install-dev: .venv/installed-dev

# A stamp is newer than what it was made from, so nothing is installed twice.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt -e .
	@$(HEADLESS)
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) install -c constraints.txt -e '.[dev]'
	@$(HEADLESS)
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
