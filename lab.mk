# The NFS lab: a User-Mode Linux guest with an NFSv4.1 server and two Linux clients (docs/how-to/measure-on-nfs.md).
#   make lab RUN='ls -l' [SEED=DIR] [DELAY=MS] [THEN_B='...'] [LAB_OPTIONS='--memory 6144 --json']

LAB_PACKAGES := user-mode-linux nfs-ganesha nfs-ganesha-vfs nfs-common iproute2 kmod util-linux e2fsprogs \
	strace openssh-server gcc libc6-dev
LAB_PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
LAB_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
DELAY ?= 0

.PHONY: lab lab-packages

# quiet when nothing is missing; openssh-server is wanted for its binary, not for a running daemon
lab-packages:
	@missing=; \
	for package in $(LAB_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing for the NFS lab:$$missing" >&2; \
		$(LAB_ROOT) apt-get update -qq && \
		$(LAB_ROOT) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
			apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

lab: export LAB_RUN := $(value RUN)
lab: export LAB_THEN_B := $(value THEN_B)
lab: lab-packages
	@[ -n "$$LAB_RUN" ] || { echo "make lab RUN='command for client a' [SEED=DIR] [DELAY=MS] [THEN_B='command for b']" >&2; exit 2; }
	@$(LAB_PYTHON) -m tests.lab --delay $(DELAY) $(if $(SEED),--seed '$(SEED)') $(LAB_OPTIONS) \
		$${LAB_THEN_B:+--then-b "$$LAB_THEN_B"} -- "$$LAB_RUN"
