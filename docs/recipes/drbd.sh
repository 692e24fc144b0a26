#!/bin/sh
# State sync by DRBD 9 with protocol C: a write is acknowledged when it is on both disks. Written from its manual; never run.
# Needs drbd-utils and jq; RESOURCE, DEVICE (/dev/drbd0) and MOUNT in the environment. Two instances, one peer.
# There is no position: what was acknowledged is on both, or the peer is not up to date. So it is 0 throughout.
set -eu

field() { # of the only volume's only peer
  drbdsetup status "$RESOURCE" --json --statistics | jq -r ".[0].connections[0].peer_devices[0].\"$1\""
}

case "$1" in
position)
  echo '{"position": 0}'
  ;;
push)
  begun=$(date +%s)
  drbdadm wait-sync "$RESOURCE"
  [ "$(field peer-disk-state)" = UpToDate ] && [ "$(field out-of-sync)" = 0 ] || {
    echo "the peer is not up to date" >&2
    exit 1
  }
  printf '{"position": 0, "bytes_sent": 0, "lag_seconds": %s}\n' $(($(date +%s) - begun))
  ;;
received)
  mine=$(drbdsetup status "$RESOURCE" --json | jq -r '.[0].devices[0]["disk-state"]')
  link=$(drbdsetup status "$RESOURCE" --json | jq -r '.[0].connections[0]["connection-state"]')
  if [ "$mine" = UpToDate ] && [ "$link" = Connected ]; then
    echo '{"progress_percent": 100, "position": 0, "lag_seconds": 0}'
  elif [ "$mine" = UpToDate ]; then # how old it is nobody can tell
    echo '{"progress_percent": 100, "position": 0, "lag_seconds": null}'
  else
    printf '{"progress_percent": %s, "position": null, "lag_seconds": null}\n' "$(field percent-in-sync)"
  fi
  ;;
adopt)
  drbdadm primary "$RESOURCE"
  mountpoint -q "$MOUNT" || mount "$DEVICE" "$MOUNT"
  echo '{"adopted": true}'
  ;;
*)
  echo "one of position, push, received, adopt" >&2
  exit 2
  ;;
esac
