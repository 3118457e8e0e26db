"""Does the drawn tree of errors match the classes?"""

import inspect

from kg import errors


def test_every_error_is_exported_drawn_and_rooted() -> None:
    classes = {n: c for n, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__}
    assert set(errors.__all__) == set(classes)
    for name, cls in classes.items():
        assert issubclass(cls, errors.KorvaiError)
        assert name in errors.__doc__


def test_the_asterisk_marks_the_retryable_ones() -> None:
    for name in errors.__all__:
        assert (f"{name}*" in errors.__doc__) == getattr(errors, name).retryable
