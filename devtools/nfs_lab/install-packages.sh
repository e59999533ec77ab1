#!/bin/sh
# Installs those of the named Debian packages that are missing, and starts none of the daemons that they bring.
# usage: install-packages.sh PACKAGE...
set -eu

missing=
for package; do
	case "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)" in
	*"ok installed") ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo

# Debian asks this file before it starts a service, and 101 forbids it (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap '$as_root rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
fi

echo "installing for the NFS lab:$missing" >&2
$as_root apt-get update -qq
# shellcheck disable=SC2086 # one word a package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
