#!/usr/bin/env bash
# Installs what the tests talk to: DCMTK, Orthanc, OpenSSL, curl and strace from the system's packages, Python peers, Node and SeaweedFS into
# .peers/venv, packages for Node into .peers/node, the tools of dicom-rs into .peers/dicom-rs. Each is done anew when its list has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
[ -x /usr/bin/storescu ] || packages+=(dcmtk)
[ -x /usr/sbin/Orthanc ] || [ -n "${ORTHANC_BIN:-}" ] || packages+=(orthanc)
command -v openssl >/dev/null || packages+=(openssl)
command -v curl >/dev/null || packages+=(curl)
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

lock=tests/interop/node/package-lock.json
if ! cmp -s "$lock" .peers/node/package-lock.json || [ ! -d .peers/node/node_modules ]; then
  rm -rf .peers/node
  mkdir -p .peers/node
  cp tests/interop/node/package.json "$lock" .peers/node
  bin="$PWD/.peers/venv/bin"
  (cd .peers/node && PATH="$bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent)
fi

tools=tests/interop/dicom-rs.txt
if ! cmp -s "$tools" .peers/dicom-rs/tools.txt; then
  rm -rf .peers/dicom-rs
  mkdir -p .peers/dicom-rs
  # One folder for all, so that what they share is built once; without debug information, since nobody debugs them.
  export CARGO_TARGET_DIR="$PWD/.peers/dicom-rs/target" CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
  while read -r name version features; do
    # shellcheck disable=SC2086 # these are several arguments
    cargo install --quiet --locked --debug --root .peers/dicom-rs "$name@$version" $features </dev/null
  done < "$tools"
  rm -rf .peers/dicom-rs/target
  cp "$tools" .peers/dicom-rs/tools.txt
fi
