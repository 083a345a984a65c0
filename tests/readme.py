#!/usr/bin/env python3
"""The README's tables of settings are what the program says of itself.

    tests/readme.py PROGRAM [--write]

Without --write: exits with 1, and says where, when they differ.
"""
import difflib
import os
import re
import subprocess
import sys

README = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "README.md")
TABLE = re.compile(r"(<!-- settings of (\w+) -->\n).*?(<!-- end -->\n)", re.S)


def table_of(program, command):
    return subprocess.run([program, command, "--help=markdown"], check=True, capture_output=True, text=True).stdout


def main():
    program = sys.argv[1]
    with open(README, encoding="utf-8") as file:
        before = file.read()
    commands = [match.group(2) for match in TABLE.finditer(before)]
    if set(commands) != {"serve", "connect", "dial"}:
        print(f"README.md has tables of {commands}")
        return 1
    after = TABLE.sub(lambda match: match.group(1) + table_of(program, match.group(2)) + match.group(3), before)
    if after == before:
        return 0
    if "--write" in sys.argv[2:]:
        with open(README, "w", encoding="utf-8") as file:
            file.write(after)
        return 0
    sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "README.md",
                                               "what the program says"))
    return 1


if __name__ == "__main__":
    sys.exit(main())
