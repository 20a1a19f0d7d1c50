# Everything runs in .venv, which is made when it is missing or setup.cfg has changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
METHOD ?= alignflow
SOURCE ?= mnist
TARGET ?= usps
EXTRAS ?= test

.PHONY: run adapt compare checkpoints cards images test lint board clean

run: $(VENV)/.installed  ## train AlignFlow and seven classifiers on Digits, print the adaptation table
	$(BIN)/crossdomain adapt --config zoo/alignflow.yaml --seeds $(SEED)

adapt: $(VENV)/.installed  ## the same from SOURCE to TARGET (mnist, usps, svhn) by METHOD, with semantic consistency
	$(BIN)/crossdomain adapt --config zoo/$(METHOD)_$(SOURCE)_$(TARGET).yaml --semantic --seeds $(SEED)

compare: $(VENV)/.installed  ## every member of the zoo that fits, side by side, on digits and on ToyFacades
	$(BIN)/crossdomain compare --data Digits --logs runs/compare/digits
	$(BIN)/crossdomain compare --data ToyFacades --logs runs/compare/toy_facades

checkpoints: $(VENV)/.installed  ## train all pretrained checkpoints anew (an hour), and write their cards
	$(BIN)/python checkpoints/train.py
	$(BIN)/python checkpoints/rivals.py
	$(BIN)/python checkpoints/cards.py

cards: $(VENV)/.installed  ## write the checkpoints' cards and the README's tables from the index
	$(BIN)/python checkpoints/cards.py

images: $(VENV)/.installed  ## make the pictures of docs/images anew from the checkpoints (a minute; needs Chromium)
	$(BIN)/python -m pip install --quiet --editable '.[browser]'
	$(BIN)/python checkpoints/images.py

test: $(VENV)/.installed  ## run the tests, one process a core, of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: $(VENV)/.installed  ## style, types, floors, nothing written twice, and tables in the docs as they would be written
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pylint --disable=all --enable=duplicate-code --min-similarity-lines=12 --ignore-imports=y \
		src/crossdomain datamodules tests
	$(BIN)/python docs/options.py --check

board: $(VENV)/.installed  ## open the logs of all runs
	$(BIN)/tensorboard --logdir runs

$(VENV)/.installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

clean:  ## remove the environment; runs and data stay
	rm -rf $(VENV) build src/*.egg-info
