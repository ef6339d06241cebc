# microbosh: every target that a person needs. `make` alone lists them.

GO            ?= go
BIN           := $(CURDIR)/bin
TOOLS         := $(BIN)/tools
GOLANGCI      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
GOLANGCI_V    := v2.15.0
BUILD         := CGO_ENABLED=0 $(GO) build -trimpath
PROGRAMS      := microbosh microbosh-agent microbosh-registry microbosh-cpi-openstack devcloud
# The race detector needs a C compiler.
RACE          := $(shell command -v gcc >/dev/null 2>&1 && echo -race)

# Tests of a real machine, which only root can make, use these tools; those of
# a real terminal use tmux.
ROOT_PACKAGES := iptables iproute2 e2fsprogs xfsprogs fdisk util-linux passwd monit ruby tmux

.DEFAULT_GOAL := help
# What builds stemcells that boot, and boots them.
STEMCELL_PACKAGES := debootstrap e2fsprogs extlinux fdisk genisoimage qemu-system-x86 qemu-utils ruby curl openssh-client

.PHONY: deps-root deps-stemcell test-stemcell e2e-openstack help build test bench crash check lint generate demo clean openstack-up openstack-down test-openstack $(PROGRAMS)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(PROGRAMS) ## build every program into bin/

microbosh:
	@$(BUILD) -o $(BIN)/$@ ./services/orchestrator
# The agent goes into every VM: no symbols, and no HTTP/2, which nobody speaks to it.
microbosh-agent:
	@$(BUILD) -tags nethttpomithttp2 -ldflags '-s -w' -o $(BIN)/$@ ./services/agent
microbosh-registry:
	@$(BUILD) -o $(BIN)/$@ ./services/registry
microbosh-cpi-openstack:
	@$(BUILD) -o $(BIN)/$@ ./services/cpi-openstack
devcloud:
	@$(BUILD) -o $(BIN)/$@ ./deploy/devcloud/cmd/devcloud

test: build ## run all tests (with the race detector when there is a C compiler)
	@$(GO) test $(RACE) $(TESTFLAGS) ./...

check: build lint ## what CI checks beside the tests: vet, linters, go.mod
	@$(GO) vet ./...
	@$(GO) mod tidy -diff

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_V) ## run the linters
	@$< run ./...

$(TOOLS)/golangci-lint-$(GOLANGCI_V):
	@mkdir -p $(TOOLS)
	@GOBIN=$(TOOLS) $(GO) install $(GOLANGCI)@$(GOLANGCI_V)
	@mv $(TOOLS)/golangci-lint $@

generate: ## write what is generated from the code
	@$(GO) test ./pkg/messages ./pkg/manifest -update
	@$(GO) test ./pkg/bus/embed -run 'Matrix|Configs' -update

SEEDS ?= 1000
TARGETS ?=
crash: build ## kill at every message (of TARGETS alone), and live through SEEDS random histories
	@MICROBOSH_BIN=$(BIN) $(GO) test -count=1 -v -timeout 0 ./test/crash -run Matrix -crash.all -crash.targets='$(TARGETS)'
	@MICROBOSH_BIN=$(BIN) $(GO) test -count=1 -v -timeout 0 ./test/crash -run Random -crash.histories=$(SEEDS)

bench: build ## measure whole deploys, alone and many at once
	@MICROBOSH_BIN=$(BIN) $(GO) test -count=1 -v -timeout 0 ./test/bench -bench.run
	@$(GO) test -count=1 -timeout 0 -run '^$$' -bench API -benchtime 2s ./services/registry/internal/settings
	@$(GO) test -count=1 -timeout 0 -run '^$$' -bench Deploy ./pkg/seal
	@$(GO) test -count=1 -timeout 0 -run '^$$' -bench Life -benchtime 50x ./services/cpi-openstack/internal/executable
	@$(GO) test -count=1 -timeout 0 -run '^$$' -bench Upload -benchtime 1x ./services/cpi-openstack/internal/executable
	@$(GO) test -count=1 -timeout 0 -run '^$$' -bench . ./services/orchestrator/internal/journal

# As root the servers of the demo are real machines, in a network of their own.
# A demo that is kept is looked at from outside, so its servers are processes.
HYPERVISOR    ?= $(if $(KEEP),rootless,$(shell [ "$$(id -u)" = 0 ] && [ -e /dev/loop-control ] && unshare -m -n true 2>/dev/null && echo namespace || echo rootless))

demo: build ## deploy and delete a micro BOSH on this machine (KEEP=1 keeps it, HYPERVISOR=namespace|rootless)
	@KEEP=$(KEEP) STEMCELL=$(abspath $(DEMO_STEMCELL)) $(if $(filter namespace,$(HYPERVISOR)),$(BIN)/devcloud --network) $(GO) run ./deploy/examples/dev/demo

OPENSTACK_DIR ?= $(or $(MICROBOSH_OPENSTACK_DIR),/tmp/microbosh-openstack)
openstack-up: ## bring a real OpenStack up on this machine (as root, Debian 12), in OPENSTACK_DIR
	@$(GO) run ./test/openstack up $(OPENSTACK_DIR)

openstack-down: ## stop it; its state stays in OPENSTACK_DIR
	@$(GO) run ./test/openstack down $(OPENSTACK_DIR)

test-openstack: build openstack-up ## run the conformance suite against the real OpenStack too
	@MICROBOSH_BIN=$(BIN) MICROBOSH_OPENSTACK=$(OPENSTACK_DIR)/cloud.json $(GO) test -count=1 -v -timeout 20m ./test/conformance $(TESTFLAGS)

OPENSTACK_VM_DIR ?= $(or $(MICROBOSH_OPENSTACK_VM_DIR),/tmp/microbosh-openstack-vm)
e2e-openstack: build deps-stemcell ## whole lives of a micro BOSH on a real OpenStack that boots servers (as root)
	@$(BIN)/microbosh stemcell build --format openstack-qcow2 -o $(STEMCELL)
	@SOURCE_DATE_EPOCH=1735776000 $(BIN)/microbosh stemcell build --format openstack-qcow2 -o $(STEMCELL:.tgz=-2.tgz)
	@$(GO) run ./test/openstack --level vm up $(OPENSTACK_VM_DIR)
	@status=0; MICROBOSH_BIN=$(BIN) MICROBOSH_STEMCELLS=$(STEMCELL):$(STEMCELL:.tgz=-2.tgz) MICROBOSH_OPENSTACK_VM=$(OPENSTACK_VM_DIR)/cloud.json \
		$(GO) test -count=1 -v -timeout 30m ./test/e2e -run OpenStack $(TESTFLAGS) || status=$$?; \
		$(GO) run ./test/openstack down $(OPENSTACK_VM_DIR); exit $$status

deps-root: ## install (Debian) what the tests that need root look for
	@command -v apt-get >/dev/null && apt-get update -q >/dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(ROOT_PACKAGES) >/dev/null

deps-stemcell: ## install (Debian) what builds stemcells that boot, and boots them
	@command -v apt-get >/dev/null && apt-get update -q >/dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(STEMCELL_PACKAGES) >/dev/null

STEMCELL      ?= $(BIN)/microbosh-openstack-qcow2.tgz
test-stemcell: build deps-stemcell ## build a stemcell that boots (as root) and boot it in qemu and in namespaces
	@$(BIN)/microbosh stemcell build --format openstack-qcow2 -o $(STEMCELL)
	@MICROBOSH_STEMCELL=$(STEMCELL) $(GO) test -count=1 -v -timeout 20m ./test/stemcell $(TESTFLAGS)
	@$(MAKE) --no-print-directory demo HYPERVISOR=namespace DEMO_STEMCELL=$(STEMCELL)

clean: ## remove what was built
	@rm -rf $(BIN) .demo
