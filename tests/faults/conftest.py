"""How many power cuts a run makes."""


def pytest_addoption(parser):
    parser.addoption("--cycles", type=int, default=30, help="power cuts per test")
