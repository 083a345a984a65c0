#!/bin/sh
# What the shells complete, by asking them.
#
#     tests/completion.sh PROGRAM bash|zsh|fish
#
# Exits with 77 (skipped) where there is no such shell.
set -eu
program=$(realpath "$1")
shell=$2
command -v "$shell" >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" completion "$shell" > "$folder/_streamplex"
cd "$folder"
touch key.pem

# complete LINE: what may stand at the end of the line, a word each line
case $shell in
bash)
    complete() {
        bash --norc -c '
            source ./_streamplex
            line=$1
            read -ra COMP_WORDS <<< "${line//=/ = }"
            [[ $line == *[\ =] ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _streamplex
            printf "%s\n" "${COMPREPLY[@]}"' bash "$1"
    }
    ;;
fish)
    complete() { fish --no-config -c 'source ./_streamplex; complete -C $argv[1]' "$1" | cut -f1; }
    ;;
zsh)
    # Completion is for interactive shells alone: its functions are stood in for by some that print
    # what they were given.
    complete() {
        zsh -f -c '
            compdef() { :; }
            _describe() { print -rl -- "${(@)${(@P)2}%%:*}"; }
            _files() { print -rl -- *(N); }
            _arguments() {
                local spec last=$words[CURRENT] before=$words[CURRENT-1]
                for spec; do
                    spec=${spec#\*}
                    case $spec in
                        (${before}=*) print -rl -- ${=${${spec##*:\(}%\)}}; return ;;
                        (:file:_files) _files ;;
                        (--*) print -r -- ${${spec%%\[*}%=} ;;
                    esac
                done
            }
            source ./_streamplex
            words=(${=1}) CURRENT=$#words
            [[ $1 == *" " ]] && words+=("") && ((CURRENT++))
            _streamplex' zsh "$1" | grep -e "^${1##* }" || true
    }
    ;;
esac

# expect LINE WORD...: these, and nothing else
expect() {
    line=$1
    shift
    wanted=$(printf '%s\n' "$@" | sort)
    got=$(complete "$line" | sort)
    if [ "$got" != "$wanted" ]; then
        echo "$shell: \"$line\" gave"
        echo "$got"
        exit 1
    fi
}

expect 'streamplex soc' socket
expect 'streamplex socket ' create delete ls show $([ $shell = bash ] && echo --help)
expect 'streamplex admin user s' set show
expect 'streamplex socket create --ty' --type
expect 'streamplex socket create --hostn' --hostname
expect 'streamplex socket create --type t' tcp tls
expect 'streamplex admin backup k' key.pem
[ $shell = zsh ] || expect 'streamplex connect --client-ca k' key.pem
[ $shell != bash ] || expect 'streamplex socket create --type=p' passthrough
[ $shell != bash ] || expect 'streamplex tunnel ls --socket_id ' ''

# every option of every command
"$program" --help | sed -n 's/^  \([a-z]*\( [a-z]\{1,\}\)*\)  .*/\1/p' > commands
[ "$(wc -l < commands)" -gt 30 ]
while read -r command; do
    "$program" $command --help < /dev/null | sed -n 's/^  --\(\[no-\]\)\{0,1\}\([a-z0-9-]*\).*/--\2/p' | sort -u > wanted
    complete "streamplex $command --" | sort -u > got
    if ! missing=$(comm -23 wanted got) || [ -n "$missing" ] || [ ! -s wanted ]; then
        echo "$shell: streamplex $command lacks" $missing
        exit 1
    fi
done < commands
