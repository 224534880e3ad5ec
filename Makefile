# Two commands: `make demo` shows the face speaking, `make test` checks everything.
# Each sets up what it needs by itself; a second run starts within seconds.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
WAV ?=
EMOTION ?= happy:0.7
FACE ?= hybrid
OUT ?= out

.DEFAULT_GOAL := help
.PHONY: help setup system system-test demo test test-long lint types arrows firmware bench bench-speech clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

system:
	@scripts/system-packages

system-test:
	@scripts/system-packages test

# Made anew when the dependencies or the firmware's core change.
$(VENV)/.ready: pyproject.toml constraints.txt setup.py $(wildcard firmware/core/*.[ch] firmware/boards/common/*.[ch] sim/_boardcore.c)
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is wanted, found $$($(PYTHON) --version). Try: make PYTHON=python3.11 demo"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV) (a few minutes the first time)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,sim,report,live,vision,page,log,dev]'
	@scripts/face-model $(PY)
	@touch $@

setup: system $(VENV)/.ready ## everything that the demo needs

demo: setup ## WAV=… EMOTION=happy:0.7 FACE=hybrid: the simulated face speaks; leaves out/demo.mp4
	@$(PY) -m animaface.app.main demo --face $(FACE) --emotion $(EMOTION) --out $(OUT) $(if $(WAV),--wav "$(WAV)")

lint: setup
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check -q .

types: setup
	@$(VENV)/bin/mypy

arrows: setup
	@PYTHONPATH=src $(VENV)/bin/lint-imports --no-cache

test: system-test lint types arrows ## the whole check: lint, types, arrows, tests (12 minutes at most on 2 cores)
	@$(PY) -m pytest -n 2 -m "not long and not realtime"
	@$(PY) -m pytest -m "realtime and not long" -r fER

test-long: system-test setup ## minutes more: full calibration, endurance, new random examples
	@$(PY) -m pytest -m "long"
	@$(PY) -m pytest -m hypothesis --hypothesis-profile=new

firmware: system-test ## images of the servo boards, the same bytes every time
	@$(MAKE) -C firmware

bench: setup ## hours: every measurement behind the numbers in the docs; results in bench/results/
	@for b in bench/*.py; do case $$b in */align_*|*/virtual_card.py|*/calibrated.py|*/ship_calibration.py|*/emotion_read.py|*/portraits.py) ;; *) echo "== $$b"; $(PY) $$b || exit 1;; esac; done

bench-speech: setup ## the speech side measured, a page with tables, curves and faces: out/speech_report.html
	@for b in speech emotion_heard life; do echo "== $$b"; $(PY) bench/$$b.py || exit 1; done
	@test ! -d bench/emotion_reader/node_modules || $(PY) bench/emotion_read.py --intensities
	@$(PY) bench/speech_report.py --out $(OUT)/speech_report.html

clean: ## forget what was built and made; the sources stay
	rm -rf $(VENV) $(OUT) build *.egg-info src/*.egg-info
