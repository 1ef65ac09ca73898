# Every target makes what it needs; `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
ifeq ($(OS),Windows_NT)
BIN    := $(VENV)/Scripts
EXE    := .exe
else
BIN    := $(VENV)/bin
endif
# On Linux the public torch wheel brings gigabytes of CUDA libraries. Where that is not wanted, name
# the package index of PyTorch's CPU builds (see "Get started" on PyTorch's site):
#   make demo TORCH_INDEX=address
TORCH_INDEX ?=
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt \
           $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

SAMPLE := recipes/samples/ami_ES2004a_600_660
CORPUS ?= ../shared/corpus
DATA   ?= $(CORPUS)
CONFIG ?= recipes/configs/embedder/small.toml
OUT    ?= runs/$(basename $(notdir $(CONFIG)))
FINETUNED ?= runs/finetune-$(notdir $(patsubst %/,%,$(DATA)))
OUT_ONNX ?= runs/deepspeaker.onnx

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint wheel-test train train-smoke finetune segmentation campplus pyannote teacher export evaluate score-conversations calibrate calibrate-turns plda score score-naming decisions score-joins count-speakers fuzz ablation bench bench-clusters bench-peers simulate tables picture clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 22

$(BIN)/python$(EXE):
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python$(EXE)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) -e '.[test]'
	@touch $@

demo: $(VENV)/.installed  ## install, fetch the public models (81 MB, once), diarize a real meeting excerpt, show the result and its error
	@mkdir -p demo-out
	@preset=best; $(BIN)/diarize models fetch best || { preset=fast; \
	    echo "The public models cannot be had, so this is the preset fast, with packaged networks."; }; \
	set -x; $(BIN)/diarize $(SAMPLE).flac --preset $$preset -o demo-out/meeting.rttm -o demo-out/meeting.json
	@echo; echo "First turns of demo-out/meeting.rttm:"; head -5 demo-out/meeting.rttm; echo
	$(BIN)/diarize score $(SAMPLE).rttm demo-out/meeting.rttm --uem $(SAMPLE).uem

test: $(VENV)/.installed-test  ## install what the tests need and run them
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(VENV)/.installed-test  ## the tests that `make test` leaves out: long recordings, whole recipes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

lint: $(VENV)/.installed-test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel-test: $(VENV)/.installed-test  ## build the wheel, install it elsewhere, run the tests that matter there
	$(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL=$(TORCH_INDEX)) $(BIN)/python .ci/wheel_test.py --constraints constraints.txt

train: $(VENV)/.installed-test  ## train an embedder: CONFIG=... DATA=corpus OUT=folder; goes on after a stop
	$(BIN)/python -m recipes.train.embedder --config $(CONFIG) --data $(DATA) --out $(OUT)

segmentation: $(VENV)/.installed-test  ## train the local segmentation network on simulated conversations; goes on after a stop
	$(BIN)/python -m recipes.train.segmentation --data $(DATA) --out runs/segmentation $(ARGS)

campplus: $(VENV)/.installed  ## fetch CAM++, a public model, for `--embedder campplus` (once)
	$(BIN)/diarize models fetch campplus

pyannote: $(VENV)/.installed  ## fetch pyannote's segmentation, a public network, for `--segmenter pyannote` (once)
	$(BIN)/diarize models fetch pyannote-segmentation

train-smoke: $(VENV)/.installed-test  ## half a minute of training: does it work on this machine?
	$(BIN)/python -m recipes.train.smoke

finetune: $(VENV)/.installed-test  ## go on from the packaged weights with the voices in DATA, a folder of speaker folders
	$(BIN)/python -m recipes.train.finetune --data $(DATA) --out $(FINETUNED) --general $(CORPUS)

teacher: $(VENV)/.installed-test  ## vectors of EMBEDDER (default: CAM++) for DATA, which small.toml learns from
	$(BIN)/python -m recipes.prepare.teacher_vectors --data $(DATA) --out cache/teacher.npz $(if $(EMBEDDER),--embedder $(EMBEDDER))

export: $(VENV)/.installed-test  ## WEIGHTS (default: the packaged ones) as an ONNX file, OUT_ONNX=...
	$(BIN)/python -m recipes.prepare.onnx_export $(if $(WEIGHTS),--weights $(WEIGHTS)) --out $(OUT_ONNX)

evaluate: $(VENV)/.installed-test  ## EER and more of WEIGHTS (default: the packaged ones beside CAM++) on unseen speakers
	$(BIN)/python -m recipes.evaluate.embedders --data $(DATA) $(if $(WEIGHTS),--embedder $(WEIGHTS)) $(ARGS)

score-conversations: $(VENV)/.installed-test  ## DER on the development conversations, and speed, ours beside CAM++
	$(BIN)/python -m recipes.evaluate.diarization --data $(DATA) $(ARGS)

calibrate: $(VENV)/.installed-test  ## what a similarity means: fit on speakers of `heldout`, check on others
	$(BIN)/python -m recipes.calibrate.scores --data $(DATA) $(if $(WEIGHTS),--embedder $(WEIGHTS)) $(ARGS)

score: $(VENV)/.installed-test  ## all scores of voices: evaluate, the calibrations as they are, groups of clips
	$(BIN)/python -m recipes.evaluate.embedders --data $(DATA)
	$(BIN)/python -m recipes.calibrate.scores --data $(DATA) --check
	$(BIN)/python -m recipes.evaluate.clips --data $(DATA)

plda: $(VENV)/.installed-test  ## how an embedder's vectors vary within a speaker and between: fit on speakers of `train`
	$(BIN)/python -m recipes.calibrate.plda --data $(DATA) $(if $(WEIGHTS),--embedder $(WEIGHTS)) $(ARGS)

calibrate-turns: $(VENV)/.installed-test  ## how sure turns are, from the development conversations; after `make calibrate`
	$(BIN)/python -m recipes.calibrate.turns --data $(DATA) $(if $(WEIGHTS),--embedder $(WEIGHTS)) $(ARGS)

score-naming: $(VENV)/.installed-test  ## how often known voices get their name, and unknown ones a wrong one
	$(BIN)/python -m recipes.evaluate.naming --data $(DATA) $(if $(WEIGHTS),--embedder $(WEIGHTS)) $(ARGS)

decisions: $(VENV)/.installed-test  ## do the settings hold? cross-validated on the development conversations and simulated ones
	$(BIN)/python -m recipes.prepare.simulated_conversations --data $(DATA) --split train --seed 10 --out cache/simulated-train
	$(BIN)/python -m recipes.evaluate.decisions --data $(DATA) --simulated cache/simulated-train $(ARGS)

score-joins: $(VENV)/.installed-test  ## are the speakers of recordings of 10 to 40 s counted right?
	$(BIN)/python -m recipes.evaluate.short_joins --data $(DATA) $(ARGS)

count-speakers: $(VENV)/.installed-test  ## rules that count speakers, compared on the development conversations
	$(BIN)/python -m recipes.evaluate.speaker_counting --data $(DATA) $(ARGS)

fuzz: $(VENV)/.installed-test  ## spoilt files and settings through every command: is any answer not allowed?
	$(BIN)/python -m recipes.fuzz.run $(ARGS)

ablation: $(VENV)/.installed-test  ## what each part of the pipeline is worth, on the development and simulated conversations
	$(BIN)/python -m recipes.evaluate.ablation --data $(DATA) $(ARGS)

bench: $(VENV)/.installed-test  ## seconds, memory and floor of each stage, for 1 minute to 10 hours of talk
	$(BIN)/python -m recipes.benchmark.pipeline --data $(DATA) $(ARGS)

bench-clusters: $(VENV)/.installed-test  ## time, memory and quality of clustering 10,000 to 1,000,000 clips
	$(BIN)/python -m recipes.benchmark.clustering --data $(DATA) $(ARGS)

bench-peers: $(VENV)/.installed-test  ## other diarizers, installed from PyPI into cache/peers, beside ours
	$(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL=$(TORCH_INDEX)) $(BIN)/python -m recipes.benchmark.peers --data $(DATA) $(ARGS)

simulate: $(VENV)/.installed-test  ## make labelled conversations of three styles out of the split `heldout`'s voices
	$(BIN)/python -m recipes.prepare.simulated_conversations --data $(DATA) $(ARGS)

tables: $(VENV)/.installed  ## write README's tables from recipes/results
	$(BIN)/python -m recipes.report.tables

picture: $(VENV)/.installed  ## draw the picture in README from a real run
	$(BIN)/python -m recipes.report.picture --sample $(SAMPLE).flac

clean:  ## remove what was built, not what was trained
	rm -rf build dist *.egg-info demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
