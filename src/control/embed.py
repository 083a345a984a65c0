#!/usr/bin/env python3
"""Makes a JSON file C: embed.py JSON NAME HEADER > C. It has to be JSON, and loses its blanks."""
import json
import sys


def literal(text):
    """A C string, in pieces that a line of an editor can show.

    >>> literal('{"a":"\\u00e9?"}')
    '    "{\\\\"a\\\\":\\\\"\\\\303\\\\251\\\\077\\\\"}"'
    """
    plain = {ord("\\"): "\\\\", ord('"'): '\\"'}
    escaped = [plain.get(byte) or (chr(byte) if 32 <= byte < 127 and byte != 63 else "\\%03o" % byte)
               for byte in text.encode()]
    lines = ["".join(escaped[at:at + 80]) for at in range(0, len(escaped), 80)]
    return "\n".join('    "%s"' % line for line in lines)


def main():
    path, name, header = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = json.dumps(json.load(file), separators=(",", ":"), ensure_ascii=False)
    print(f'#include "{header}"\n\nconst char {name}_text[] =\n{literal(text)};')
    print(f"const size_t {name}_size = sizeof {name}_text - 1;")


if __name__ == "__main__":
    main()
