"""The one exception for input the engine refuses."""


class InputError(ValueError):
    """Bad input, described in one line that names the value and its bound."""
