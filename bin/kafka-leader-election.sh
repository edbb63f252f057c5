#!/bin/sh
dohle="${DOHLE_BINARY:-$(dirname "$0")/../target/release/dohle}"; [ -x "$dohle" ] || dohle=dohle; exec "$dohle" leader-election "$@"
