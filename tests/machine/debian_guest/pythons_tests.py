"""Runs python's own tests of the modules that are named, but those that would take a quarter of an hour by the interpreter.

Of decimal these are all that run on the module in python, `_pydecimal`, beside the one in C: the same tests once more."""
import sys
import unittest

LEFT_OUT = {"test_sumprod_stress"}
LEFT_OUT_OF_DECIMAL = "Py"  # what the names of such classes begin with


def tests_in(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_in(test)
        else:
            yield test


def is_wanted(test):
    names = test.id().split(".")
    return names[-1] not in LEFT_OUT and not ("test_decimal" in names and type(test).__name__.startswith(LEFT_OUT_OF_DECIMAL))


found = unittest.defaultTestLoader.loadTestsFromNames([f"test.test_{name}" for name in sys.argv[1:]])
chosen = [test for test in tests_in(found) if is_wanted(test)]
sys.exit(not unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(chosen)).wasSuccessful())
