# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck shell=bash
# A stage is one line: "building release ... 42 s". What its command says goes to build/log and is shown, the end of
# it, when the command fails. Stages speak on stderr, so stdout belongs to the result. Sourced by the scripts above.

LOGS=build/log

say() { printf '%s\n' "$*" >&2; }

# stop SENTENCE...: the script cannot go on.
stop() {
  say "$@"
  exit 1
}

# Bad usage: a sentence, then how to ask for help.
misused() {
  say "$@"
  say "Try: scripts/$(basename "$0") --help"
  exit 2
}

# On a terminal a running stage shows how far Ninja or CTest has come ("[17/80]", " 17/80 Test").
STAGE_TICKER=
stage_tick() {
  local label=$1 log=$2 progress
  while sleep 1; do
    progress=$(tail -c 4000 "$log" | grep -oE '^\[[0-9]+/[0-9]+\]|^ *[0-9]+/[0-9]+ Test' | tail -n 1 | tr -cd '0-9/')
    printf '\r%s ... %s\033[K' "$label" "$progress" >&2
  done
}

stage_tick_end() {
  [[ -n $STAGE_TICKER ]] || return 0
  kill "$STAGE_TICKER" 2>/dev/null
  wait "$STAGE_TICKER" 2>/dev/null
  STAGE_TICKER=
}
trap stage_tick_end EXIT
# Said here: else bash goes on where a command has just ended by itself.
trap 'exit 130' INT

# stage LABEL COMMAND...: runs the command and returns its status. The command may read what
# it has said in STAGE_LOG and leave a remark in STAGE_NOTE.
stage() {
  local label=$1 started=$SECONDS status
  shift
  mkdir -p "$LOGS"
  STAGE_LOG=$LOGS/$(tr -cs 'A-Za-z0-9\n' - <<<"$label").log
  STAGE_NOTE=
  : >"$STAGE_LOG"
  printf '%s ... ' "$label" >&2
  if [[ -t 2 ]]; then
    stage_tick "$label" "$STAGE_LOG" &
    STAGE_TICKER=$!
  fi
  "$@" >"$STAGE_LOG" 2>&1 </dev/null
  status=$?
  if [[ -n $STAGE_TICKER ]]; then
    stage_tick_end
    printf '\r%s ... \033[K' "$label" >&2
  fi
  if ((status == 0)); then
    say "${STAGE_NOTE:+$STAGE_NOTE, }$((SECONDS - started)) s"
  else
    say "${STAGE_NOTE:+$STAGE_NOTE, }failed after $((SECONDS - started)) s; the end of $STAGE_LOG:"
    tail -n 60 "$STAGE_LOG" | sed 's/^/  | /' >&2
  fi
  return "$status"
}
