#!/bin/bash
# What shell scripts do all day: pipes, here-documents, find, sort, awk, substitutions, background jobs, traps.
set -euo pipefail
root=${1:-/share}
work=$(mktemp -d)

finish() {
    local status=$?
    rm -rf "$work"
    echo "== done, status $status, left behind: $(find "$work" 2>/dev/null | wc -l) files"
}
trap finish EXIT

sources() {
    find "$root" \( -name target -o -name '.*' \) ! -path "$root" -prune -o -type f -name "*.$1" -print0 | sort -z
}

echo "== where we are"
cat <<END
$(uname -s) on $(uname -m), bash ${BASH_VERSION%%(*}, process $$, user $(id -un)
END

echo "== sources by kind"
for kind in rs toml py sh; do
    sources "$kind" | xargs -0 -r cat | wc -l >"$work/$kind.lines" &
done
wait
for kind in rs toml py sh; do
    printf '%-6s%8d lines\n' "$kind" "$(<"$work/$kind.lines")"
done

echo "== the five largest source files"
sources rs | xargs -0 wc -l | grep -v ' total$' | sort -k1,1nr -k2 | sed -n 1,5p | awk -v root="$root/" '{ sub(root, "", $2); printf "%6d  %s\n", $1, $2 }'

echo "== words of the public interface"
sources rs | xargs -0 cat | grep -ohE 'pub (fn|struct|enum|trait|const) ' | sort | uniq -c | sort -nr |
    awk '{ total += $1; printf "%6d  %s %s\n", $1, $2, $3 } END { printf "%6d  together\n", total }'

echo "== a here-document through three filters"
tr a-z A-Z <<'END' | sed 's/ /-/g' | rev
no expansion here: $HOME
END

echo "== process substitution"
diff <(seq 1 5) <(seq 1 2 5) || echo "they differ"

echo "== a signal and its trap"
trap 'echo "caught SIGUSR1"' USR1
kill -USR1 $$
exec {ready}< <(trap - EXIT; echo up; exec sleep 30)
sleeper=$!
read -r _ <&"$ready"
kill $sleeper
wait $sleeper || echo "the sleeper ended with $?"

echo "== arithmetic and arrays"
declare -A squares
for number in {1..5}; do squares[$number]=$((number * number)); done
echo "squares: $(for number in "${!squares[@]}"; do echo "${squares[$number]}"; done | sort -n | paste -sd' ')"
