# All targets set up what they need in .venv; a new machine needs git, make and Python 3.11 or newer.
PYTHON ?= python3
SUITE ?= bookworm
BASES ?= stand-in
BIN := .venv/bin
TESTBED := $(BIN)/python -m tests.testbed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

# What runs with a hub on this machine.
LIVE := people identity jupyterhub_client rotate route_keeping_proxy sign_in sign_in_ldap sign_in_lti sign_in_native sign_in_oauth sign_in_remote_user
# Those that take longest first, since two run at a time.
SCENARIOS := trixie default https docker_engine galaxy

.PHONY: help demo demo-down test checks lint readmes sanity unit live molecule pictures bench clean
help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: .venv/ready ## A throw-away server with JupyterHub on this machine
	@$(TESTBED) demo up --suite $(SUITE) --bases $(BASES)

demo-down: .venv/ready ## Remove what demo made
	@$(TESTBED) demo down

test: checks unit live molecule ## Every check and test that CI runs

# Each of them leaves a processor idle.
checks: .venv/ready
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line lint sanity

lint: .venv/ready ## Static checks
	@yamllint --strict .
	@ruff check --quiet .
	@ruff format --quiet --check .
	@mypy
	@ansible-lint --offline -q
	@antsibull-changelog lint
	@antsibull-docs lint-collection-docs --plugin-docs .
	@$(BIN)/python -m tests.readmes --check

readmes: .venv/ready ## Write the roles' READMEs from their specifications
	@$(BIN)/python -m tests.readmes

sanity: .venv/ready ## ansible-test sanity on the collection as it is built
	@$(BIN)/python -m tests.sanity

unit: .venv/ready ## Tests of the plugins and the package ailab_hub
	@$(BIN)/python -c 'from tests.testbed.system import require; require("openssl", "ssh-keygen")'
	@pytest --quiet --numprocesses 2 tests/unit

live: .venv/ready ## Tests with a real hub on this machine: sign-in, modules for people, the proxy, the tests' own client
	@pytest --quiet --numprocesses 2 --dist loadfile $(LIVE:%=tests/live/test_%.py)

molecule: .venv/ready ## Scenarios on throw-away servers, two side by side
	@$(BIN)/python -m tests.scenarios $(SCENARIOS)

molecule-%: .venv/ready
	@$(BIN)/python -m tests.scenarios $*

pictures: demo ## Take the pictures of the documentation anew
	@PICTURES=docs/images pytest --quiet --inventory=.demo/inventory tests/live/test_browser.py

bench: .venv/ready ## Benchmarks, each beside the same work without the collection
	@$(TESTBED:.testbed=.bench) --suite $(SUITE)

.venv/ready: requirements.txt tests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	@echo "Setting up .venv (a minute or two)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	@touch $@

clean: demo-down ## Remove .venv, .demo and all the testbed has cached
	@$(TESTBED) purge
	@rm -rf .venv .bench .tests
