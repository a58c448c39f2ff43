#!/usr/bin/env bash
# Installs what the tests talk to: DCMTK, Orthanc, OpenSSL and strace from the system's packages, Python peers and SeaweedFS into .peers/venv.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
[ -x /usr/bin/storescu ] || packages+=(dcmtk)
[ -x /usr/sbin/Orthanc ] || [ -n "${ORTHANC_BIN:-}" ] || packages+=(orthanc)
command -v openssl >/dev/null || packages+=(openssl)
command -v strace >/dev/null || packages+=(strace)
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq
  # In runlevel 1 nothing is started: Orthanc is wanted as a program, not as a service of this machine.
  $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

requirements=tests/interop/requirements.txt
if ! cmp -s "$requirements" .peers/requirements.txt; then
  rm -rf .peers/venv
  python3 -m venv .peers/venv
  .peers/venv/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" .peers/requirements.txt
fi
