#!/bin/sh
# State sync through a restic repository that all instances of the workload reach. Written from restic's manual; never run.
# Needs restic (0.16 or newer: --retry-lock), jq, GNU find, flock; RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE and STATE (the folder) in the environment.
set -eu
me=${SPOTGUARD_INSTANCE_ID:-$(uname -n)} # a host name may be in the image, and the same on all of them

position() { # microseconds since 1970 of the newest change
  find "$STATE" -printf '%C@\n' | LC_ALL=C sort -n | tail -n 1 | awk '{printf "%.0f\n", $1 * 1000000}'
}

newest() { # of the whole snapshots; "null" when there is none; fails where the repository does not answer
  listed=$(restic snapshots --no-lock --json --tag spotguard)
  printf '%s\n' "$listed" | jq -c '(. // []) | sort_by(.time) | last'
}

note() { # what this folder has come from, or gone into; it travels with the disk
  sync
  echo "$1" >"$STATE.adopted"
}

case "$1" in
position)
  printf '{"position": %s}\n' "$(position)"
  ;;
push)
  own=$(position)
  begun=$(date +%s)
  # Exit status 3 is a snapshot that lacks what could not be read: it never gets the tag that standbys look for.
  mine="unproven=$begun-$$"
  said=$(restic backup --json --host "$me" --tag "$mine" "$STATE")
  sent=$(printf '%s\n' "$said" | jq -r 'select(.message_type == "summary") | .data_added')
  restic tag --retry-lock 1m --tag "$mine" --set spotguard --set "position=$own" >&2
  found=$(newest)
  [ "$(printf '%s\n' "$found" | jq -r .hostname)" = "$me" ] || {
    echo "another machine's copy counts as newer than this one: the clocks differ" >&2
    exit 1
  }
  note "$(printf '%s\n' "$found" | jq -r .id)"
  printf '{"position": %s, "bytes_sent": %s, "lag_seconds": %s}\n' "$own" "$sent" $(($(date +%s) - begun))
  ;;
received)
  # The snapshot's time is the primary's clock: both machines have to keep the time (chrony).
  found=$(newest)
  printf '%s\n' "$found" | jq -c 'if . == null then {progress_percent: 0, position: null, lag_seconds: null} else {
    progress_percent: 100,
    position: (.tags[] | select(startswith("position=")) | ltrimstr("position=") | tonumber),
    lag_seconds: ([0, now - (.time | sub("\\.[0-9]+"; "") | fromdateiso8601)] | max)} end'
  ;;
adopt)
  # Also after a reboot, or on a machine made from its disk: its own snapshot, or one that it adopted, is older than
  # what was served here. Without an answer of the repository nothing is served.
  exec 9>"$STATE.lock"
  flock 9 # one that an agent before this one has begun comes to its end first
  found=$(newest)
  snapshot=$(printf '%s\n' "$found" | jq -r --arg own "$me" 'if . == null or .hostname == $own then "" else .id end')
  if [ -z "$snapshot" ] || [ "$snapshot" = "$(cat "$STATE.adopted" 2>/dev/null)" ]; then
    echo '{"adopted": false}'
    exit 0
  fi
  restored="$STATE.restored"
  rm -rf "$restored" # of one that did not end in time
  restic restore "$snapshot" --target "$restored"
  [ ! -e "$STATE" ] || mv "$STATE" "$STATE.before-$SPOTGUARD_EPOCH"
  mv "$restored$STATE" "$STATE"
  note "$snapshot"
  rm -rf "$restored"
  echo '{"adopted": true}'
  ;;
*)
  echo "one of position, push, received, adopt" >&2
  exit 2
  ;;
esac
