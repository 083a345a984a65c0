#!/bin/sh
# The man pages: that every option of every command is in them, and that man has nothing to say.
#
#     tests/man.sh PROGRAM PAGE...
#
# The pages are those that are installed: one for the program, and one for each first word.
set -eu
program=$(realpath "$1")
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$program" --help | sed -n 's/^  \([a-z]*\( [a-z]\{1,\}\)*\)  .*/\1/p' > commands
{ echo streamplex; cut -d' ' -f1 commands; } | sort -u > wanted
printf '%s\n' "$@" | sort > pages
if ! diff wanted pages; then
    echo "these pages are to be installed (src/meson.build)"
    exit 1
fi

for page in "$@"; do
    "$program" man "$page" > "$page.1"
    if command -v man > /dev/null; then
        MANWIDTH=500 MANROFFOPT= man --warnings -E UTF-8 -l -P cat "$page.1" > "$page.txt" 2> complaints
    else
        sed 's/\\-/-/g; s/\\fI//g; s/\\fR//g' "$page.1" > "$page.txt"
        : > complaints
    fi
    if command -v mandoc > /dev/null; then
        mandoc -T lint -W warning "$page.1" | grep -v 'missing date' >> complaints || true
    fi
    if [ -s complaints ]; then
        echo "$page.1:"
        cat complaints
        exit 1
    fi
done

while read -r command; do
    # a command's own part of its group's page
    page=${command%% *}
    sed -n "/^   $command\$/,/^   [a-z]/p" "$page.txt" > part
    [ "$page" = "$command" ] && cp "$page.txt" part
    "$program" $command --help < /dev/null | sed -n 's/^  \(--[^ ]*\).*/\1/p' | tr -d , > options
    [ -s options ]
    while read -r option; do
        if ! grep -q -F -e "       $option" part; then
            echo "$page.1: $command lacks $option"
            exit 1
        fi
    done < options
done < commands
