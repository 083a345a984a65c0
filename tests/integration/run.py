#!/usr/bin/env python3
"""Runs every test_*.py here (or those named), two at a time, each in a process of its own. The program is in STREAMPLEX.

    STREAMPLEX=build/src/streamplex tests/integration/run.py [test_auth ...]
"""

import concurrent.futures
import faulthandler
import os
import subprocess
import sys
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
FILE_DEADLINE = int(os.environ.get("FILE_DEADLINE", "300"))  # seconds for one file; each wait in it has a shorter one


def run_here(name):
    """In the child: runs one file and prints, last, how many passed and failed. A skipped test hasn't passed."""
    sys.path.insert(0, FOLDER)
    faulthandler.dump_traceback_later(FILE_DEADLINE, exit=True, file=sys.stdout)  # a test that hangs says where
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.skipped) + len(result.unexpectedSuccesses)
    passed = max(0, result.testsRun - len(result.failures) - len([e for e in result.errors if is_test(e[0])]) -
                 len(result.skipped) - len(result.unexpectedSuccesses))
    print(f"{passed} {failed}")
    return 1 if failed else 0


def is_test(case):
    """Not a class or module whose setting up or tearing down failed."""
    return not type(case).__name__.startswith("_ErrorHolder")


def run_child(name):
    command = [sys.executable, os.path.abspath(__file__), "--one", name]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=FILE_DEADLINE + 20)
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace") + f"\n{name}: not done in {FILE_DEADLINE} s\n"
    lines = output.rstrip().splitlines()
    try:
        passed, failed = map(int, lines[-1].split())
        lines.pop()
    except (ValueError, IndexError):
        passed, failed = 0, 1
    return name, passed, failed, "\n".join(lines)


def main():
    if sys.argv[1:2] == ["--one"]:
        return run_here(sys.argv[2])
    names = [name.removesuffix(".py") for name in sys.argv[1:]] or sorted(
        name.removesuffix(".py") for name in os.listdir(FOLDER) if name.startswith("test_") and name.endswith(".py"))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, good, bad, output in pool.map(run_child, names):
            print(f"== {name}: {good} passed, {bad} failed\n{output}", flush=True)
            passed += good
            failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
