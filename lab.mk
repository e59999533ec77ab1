# The NFS lab: a User-Mode Linux guest with an NFSv4.1 server and two Linux clients (docs/how-to/measure-on-nfs.md).
#   make lab RUN='ls -l' [SEED=DIR] [DELAY=MS] [THEN_B='...'] [LAB_OPTIONS='--memory 6144 --json']

LAB_PACKAGES := user-mode-linux nfs-ganesha nfs-ganesha-vfs nfs-common iproute2 kmod util-linux e2fsprogs procps \
	strace openssh-server openssh-client gcc libc6-dev shellcheck skopeo umoci docker-registry
LAB_PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
DELAY ?= 0

.PHONY: lab lab-packages

lab-packages:
	@devtools/nfs_lab/install-packages.sh $(LAB_PACKAGES)

lab: export LAB_RUN := $(value RUN)
lab: export LAB_THEN_B := $(value THEN_B)
lab: lab-packages
	@[ -n "$$LAB_RUN" ] || { echo "make lab RUN='command for client a' [SEED=DIR] [DELAY=MS] [THEN_B='command for b']" >&2; exit 2; }
	@$(LAB_PYTHON) -m devtools.nfs_lab --delay $(DELAY) $(if $(SEED),--seed '$(SEED)') $(LAB_OPTIONS) \
		$${LAB_THEN_B:+--then-b "$$LAB_THEN_B"} -- "$$LAB_RUN"
