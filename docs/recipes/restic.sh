#!/bin/sh
# State sync through a restic repository that all instances of the workload reach. Written from restic's manual; never run.
# Needs restic, jq, GNU find; RESTIC_REPOSITORY, RESTIC_PASSWORD_FILE and STATE (the folder) in the environment.
set -eu

position() { # microseconds since 1970 of the newest change
  find "$STATE" -printf '%C@\n' | LC_ALL=C sort -n | tail -n 1 | awk '{printf "%.0f\n", $1 * 1000000}'
}

newest() { # of the snapshots; "null" when there is none
  restic snapshots --json --tag spotguard | jq -c 'sort_by(.time) | last'
}

case "$1" in
position)
  printf '{"position": %s}\n' "$(position)"
  ;;
push)
  own=$(position)
  begun=$(date +%s)
  sent=$(restic backup --json --tag spotguard --tag "position=$own" "$STATE" |
    jq -r 'select(.message_type == "summary") | .data_added')
  printf '{"position": %s, "bytes_sent": %s, "lag_seconds": %s}\n' "$own" "$sent" $(($(date +%s) - begun))
  ;;
received)
  # The snapshot's time is the primary's clock: both machines have to keep the time (chrony).
  newest | jq -c 'if . == null then {progress_percent: 0, position: null, lag_seconds: null} else {
    progress_percent: 100,
    position: (.tags[] | select(startswith("position=")) | ltrimstr("position=") | tonumber),
    lag_seconds: ([0, now - (.time | sub("\\.[0-9]+"; "") | fromdateiso8601)] | max)} end'
  ;;
adopt)
  # Also after a reboot, with another epoch: its own snapshot, or one adopted before, is older than what was served here.
  snapshot=$(newest | jq -r --arg own "$(uname -n)" 'if . == null or .hostname == $own then "" else .id end')
  if [ -z "$snapshot" ] || [ "$snapshot" = "$(cat "$STATE.adopted" 2>/dev/null)" ]; then
    echo '{"adopted": false}'
    exit 0
  fi
  restored=$(mktemp -d "$STATE.restored-XXXXXX")
  restic restore "$snapshot" --target "$restored"
  [ ! -e "$STATE" ] || mv "$STATE" "$STATE.before-$SPOTGUARD_EPOCH"
  mv "$restored$STATE" "$STATE"
  sync
  echo "$snapshot" >"$STATE.adopted"
  echo '{"adopted": true}'
  ;;
*)
  echo "one of position, push, received, adopt" >&2
  exit 2
  ;;
esac
