#!/usr/bin/env python3
"""Keeps the arrows between rooms pointing one way, and the libraries behind src/net.

    main -> server, agent, bench -> edge, control -> registry -> net -> protocol, base

Reads each #include and each identifier; says where a rule is broken and exits with 1.
"""
import doctest
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# room: the rooms whose headers it may include beside its own; "protocol" is include/streamplex.h
BELOW = {
    "base": set(),
    "net": {"base", "protocol"},
    "registry": {"net", "base", "protocol"},
    "edge": {"registry", "net", "base", "protocol"},
    "control": {"registry", "net", "base", "protocol"},
    "server": {"edge", "control", "registry", "net", "base", "protocol"},
    "agent": {"edge", "control", "registry", "net", "base", "protocol"},
    "bench": {"edge", "control", "registry", "net", "base", "protocol"},
}

# The engine compiles for a board without an operating system.
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "string.h"}

# Libraries that only src/net may know, by header and by identifier.
NET_HEADERS = re.compile(r"^(uv\.h|uv/.*|openssl/.*|ares.*\.h)$")
NET_NAMES = re.compile(r"\b(uv_|SSL_|ares_)\w+")

# The yardstick of `bench` talks to OpenSSL itself and shares nothing with src/net, or it would shrink with what it measures.
YARDSTICK = os.path.join("src", "bench", "hop.c")

# Folders of somebody's own machine have no place in a file that everybody gets.
MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(home|root|work|Users)/\w")

INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")', re.M)
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
TEXT_NAMES = {".c", ".h", ".py", ".md", ".txt", ".sh", ".build", ".service", ".socket", ".ini", ""}


def judge_include(place, header):
    """What is wrong with `header`, with its quotes or brackets, in the room `place`, or None.

    >>> judge_include("protocol", "<stdint.h>"), judge_include("protocol", '"frame.h"')
    (None, None)
    >>> judge_include("protocol", "<stdio.h>")
    'the engine includes <stdio.h>'
    >>> judge_include("protocol", '"net/conn.h"')
    'the engine includes "net/conn.h"'
    >>> judge_include("net", '"base/log.h"'), judge_include("agent", '"streamplex.h"')
    (None, None)
    >>> judge_include("base", '"streamplex.h"'), judge_include("base", "<net/if.h>")
    ('base includes "streamplex.h"', None)
    >>> judge_include("net", '"server/config.h"')
    'net includes "server/config.h"'
    >>> judge_include("agent", '"server/config.h"')
    'agent includes "server/config.h"'
    >>> judge_include("server", "<uv.h>")
    'server includes <uv.h>, which is for net alone'
    >>> judge_include("net", "<openssl/ssl.h>"), judge_include("server", "<jansson.h>")
    (None, None)
    """
    name, ours = header[1:-1], header[0] == '"'
    if place == "protocol":
        fine = name == "streamplex.h" or "/" not in name if ours else name in FREESTANDING
        return None if fine else f"the engine includes {header}"
    if not ours:
        if NET_HEADERS.match(name) and place != "net":
            return f"{place} includes {header}, which is for net alone"
        return None
    room = "protocol" if name == "streamplex.h" else name.split("/")[0]
    return None if room == place or room in BELOW[place] else f"{place} includes {header}"


def judge_source(place, text):
    """All that is wrong with a source file of the room `place`.

    >>> list(judge_source("server", '#include "net/conn.h"\\nint a = uv_run(0, 0);'))
    ['server uses uv_run, which is for net alone']
    >>> list(judge_source("server", '/* uv_run */ const char *b = "SSL_new";'))
    []
    """
    for header in INCLUDE.findall(text):
        fault = judge_include(place, header)
        if fault:
            yield fault
    if place not in ("net", "main"):
        for name in sorted({match.group(0) for match in NET_NAMES.finditer(NOISE.sub(" ", text))}):
            yield f"{place} uses {name}, which is for net alone"


def judge_yardstick(text):
    """All that is wrong with the yardstick: what of ours it shares.

    >>> list(judge_yardstick('#include "bench/shared.h"\\n#include <openssl/ssl.h>\\nint a = SSL_new(0);'))
    []
    >>> list(judge_yardstick('#include "net/conn.h"\\n#include "bench/lane.h"'))
    ['the yardstick includes "net/conn.h"', 'the yardstick includes "bench/lane.h"']
    """
    for header in INCLUDE.findall(text):
        if header[0] == '"' and header != '"bench/shared.h"':
            yield f"the yardstick includes {header}"


def files():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders
                            if name not in (".git", "__pycache__") and not name.startswith("build"))
        for name in sorted(names):
            if name != ".git":  # a file in a worktree
                yield os.path.join(folder, name)


def room_of(path):
    """The room that a file's rules are: None for tests and such, "main" for what may know all."""
    parts = path.split(os.sep)
    if parts[-1][-2:] not in (".c", ".h"):
        return None
    if parts[0] in ("protocol", "include"):
        return "protocol"
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else "main"
    return None


def faults():
    for full in files():
        path = os.path.relpath(full, ROOT)
        if os.path.splitext(path)[1] not in TEXT_NAMES:
            continue
        try:
            with open(full, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue  # a seed of a fuzz target
        room = room_of(path)
        if room and room != "main":
            if room != "protocol" and room not in BELOW:
                yield f"{path}: src/{room} is no room"
                continue
            for fault in judge_yardstick(text) if path == YARDSTICK else judge_source(room, text):
                yield f"{path}: {fault}"
        for match in MACHINE_PATH.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: a path of one machine"


def main():
    if doctest.testmod()[0]:
        return 1
    found = list(faults())
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
