# make run    start the demo: web pages, workers and the sandbox mailbox
# make test   run the tests (ARGS="tests/mail -x" picks some)
# make coverage  run them, and print the lines of the product that none of them reaches (twice as long)
# make bench  measure the speed beside that of others (QUICK=1 is a short form)
# make faults run the slow tests: clocks that are wrong, full disks, restored dumps (45 minutes at most)
# make soak   kill workers and misbehave as servers for an hour (MINUTES=5 for less), and count what was lost
# make check  what a change must pass beside its tests
# make pins   compile the pinned requirements anew
#
# They need only make and a Python of 3.11 or newer.

VENV ?= .venv
PYTHON = $(VENV)/bin/python
CANDIDATES = $(PYTHON3) python3 python3.14 python3.13 python3.12 python3.11
COMPILE = $(VENV)/uv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11
# The tests of a file stay together: they share what is started for them.
SHARED = -n auto --dist loadfile --no-loadscope-reorder

# Packages come without bytecode: the first program that imports a module leaves it for all others.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test coverage faults bench soak check pins
.DELETE_ON_ERROR:

run: $(VENV)/.product
	@exec $(PYTHON) manage.py demo --with-parent

test: $(VENV)/.dev
	@exec $(PYTHON) -m pytest $(SHARED) $(ARGS)

coverage: $(VENV)/.dev
	@$(PYTHON) -m coverage erase
	@$(PYTHON) -m coverage run -m pytest $(SHARED) $(ARGS); ended=$$?; \
	$(PYTHON) -m coverage combine --quiet && $(PYTHON) -m coverage report; \
	exit $$ended

faults: $(VENV)/.dev
	@exec $(PYTHON) -m pytest -m faults -n 2 --dist loadgroup --timeout 1800 $(ARGS)

bench: $(VENV)/.product
	@exec $(PYTHON) -u -m bench $(if $(QUICK),--quick) $(ARGS)

soak: $(VENV)/.dev
	@exec $(PYTHON) -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m tests.lint_words
	$(PYTHON) manage.py makemigrations --check --dry-run
	BASE_URL=https://mail.example.com $(PYTHON) manage.py check --deploy --fail-level WARNING

pins: $(VENV)/.product
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements-uv.in -o requirements-uv.txt
	$(COMPILE) requirements-fast.in -o requirements-fast.txt

# A name on the PATH proves nothing (it may be a shim that fails, or too old), so each candidate is tried.
# Debian ships python3 without ensurepip, which venv needs.
$(PYTHON):
	@for name in $(CANDIDATES); do \
	    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$$name && break; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Brilliance needs Python 3.11 or newer. Install one, or name it: make $(MAKECMDGOALS) PYTHON3=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "Making the virtual environment in $(VENV) ..."; \
	"$$python" -m venv --without-pip "$(VENV)" || { rm -rf "$(VENV)"; echo "The virtual environment could not be made in $(VENV); Python's message above says why." >&2; exit 1; }

$(VENV)/.product: requirements.txt | $(PYTHON)
	@echo "Installing the packages of requirements.txt ..."
	@$(PYTHON) deploy/install_packages.py requirements.txt && touch $@

$(VENV)/.dev: requirements-dev.txt | $(PYTHON)
	@echo "Installing the packages of requirements-dev.txt ..."
	@$(PYTHON) deploy/install_packages.py requirements-dev.txt && touch $@ $(VENV)/.product
