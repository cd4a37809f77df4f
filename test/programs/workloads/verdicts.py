"""Runs one of Python's own test modules and prints a line with the verdict of each test.

Tracebacks go to stderr: a test may fail, as long as it fails on both sides.
"""
import sys
import traceback
import unittest
import warnings

from test import support


class Verdicts(unittest.TestResult):
    def verdict(self, test, word):
        print(f"{word} {test.id()}", flush=True)

    def addSuccess(self, test):
        self.verdict(test, "ok")

    def addSkip(self, test, reason):
        self.verdict(test, "skipped")

    def addFailure(self, test, error):
        self.verdict(test, "failed")
        traceback.print_exception(*error)

    addError = addFailure

    def addExpectedFailure(self, test, error):
        self.verdict(test, "failed as expected")

    def addUnexpectedSuccess(self, test):
        self.verdict(test, "passed unexpectedly")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.addFailure(subtest, error)


name, *left_out = sys.argv[1:]
support.verbose = False
support.use_resources = {"cpu", "decimal"}
warnings.simplefilter("ignore")


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        elif not any(word in test.id() for word in left_out):
            yield test


suite = unittest.defaultTestLoader.loadTestsFromName(name)
# A suite of its own for the fixtures of classes and modules.
unittest.TestSuite(cases(suite)).run(Verdicts())
